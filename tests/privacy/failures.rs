//! Causes every kind of error, with canaries in every value that can hold one.

use std::sync::Arc;
use std::time::Duration;

use autharmor::auth::{
    FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    ValidateAuth,
};
use autharmor::emulator::Emulator;
use autharmor::flow::{BrowserSignIn, ExpectedUser, Method};
use autharmor::registrations::{
    StartAuthenticatorRegistration, StartMagiclinkEmailRegistration, StartWebauthnRegistration,
    ValidateRegistration,
};
use autharmor::users::{UpdateUser, UserQuery};
use autharmor::{
    ApiVersion, Client, ClientAuth, ClientBuilder, Error, ErrorKind, PageQuery, RetryPolicy,
    Target, auth, credentials, users,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::ServerConfig;
use serde_json::json;
use uuid::Uuid;

use crate::canaries::{
    CLIENT_ID, NAME, NEW_NAME, NONCE, ODD_NAME, PASSWORD, QR, SECRET, SIG, TOKEN, VALIDATION,
    percent,
};
use crate::flows::REDIRECT;
use autharmor_test_support::scripted::{Act, Ca, DEAD_PORT, Server};

const ID: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);

/// All kinds of errors.
pub(crate) const KINDS: [ErrorKind; 19] = [
    ErrorKind::Config,
    ErrorKind::InvalidInput,
    ErrorKind::UsernameInUrl,
    ErrorKind::Auth,
    ErrorKind::Unauthorized,
    ErrorKind::Forbidden,
    ErrorKind::NotFound,
    ErrorKind::RateLimited,
    ErrorKind::Api,
    ErrorKind::Unavailable,
    ErrorKind::Dns,
    ErrorKind::Connect,
    ErrorKind::Proxy,
    ErrorKind::Tls,
    ErrorKind::Timeout,
    ErrorKind::Transport,
    ErrorKind::Protocol,
    ErrorKind::Decode,
    ErrorKind::Mismatch,
];

/// An error and its cause.
pub(crate) struct Failure {
    pub(crate) how: String,
    pub(crate) error: Error,
}

/// Collects failures.
struct Failures(Vec<Failure>);

impl Failures {
    fn add<T>(&mut self, how: impl Into<String>, kind: ErrorKind, result: Result<T, Error>) {
        let how = how.into();
        let Err(error) = result else {
            panic!("{how}: the call did not fail")
        };
        assert_eq!(error.kind(), kind, "{how}: {error:?}");
        self.0.push(Failure { how, error });
    }
}

/// Causes all failures.
pub(crate) fn all() -> Vec<Failure> {
    let mut failures = Failures(Vec::new());
    settings(&mut failures);
    certificates(&mut failures);
    names(&mut failures);
    values(&mut failures);
    flow_input(&mut failures);
    refusals(&mut failures);
    token_refusals(&mut failures);
    undecodable_responses(&mut failures);
    broken_responses(&mut failures);
    unreachable_servers(&mut failures);
    tls(&mut failures);
    proxies(&mut failures);
    mismatches(&mut failures);
    emulated(&mut failures);
    failures.0
}

fn builder() -> ClientBuilder {
    Client::builder(CLIENT_ID, SECRET)
        .no_proxy()
        .retry(RetryPolicy::off())
}

fn settings(failures: &mut Failures) {
    let kind = ErrorKind::Config;
    for url in [
        format!("https://ada:{PASSWORD}@api.example"),
        format!("https://api.example/?token={}", percent(TOKEN)),
        format!("https://api.example/#{}", percent(SECRET)),
        format!("https://api.example/{}/v3", percent(NAME)),
        format!("https://api.example/../{}", percent(SECRET)),
        format!("https://api.example:{PASSWORD}"),
        format!("http://{PASSWORD}.example"),
        "http://127.0.0.1".to_owned(),
        format!("ftp://{PASSWORD}.example"),
        format!("ht!tp://{SECRET}"),
        SECRET.to_owned(),
        format!("https://{NAME}"),
    ] {
        failures.add("API URL", kind, builder().api_url(&url).build());
        failures.add("login URL", kind, builder().login_url(&url).build());
        failures.add("target", kind, Target::new(&url));
    }
    for secret in ["", "cl13nt\u{7}s3cr3t/of&the+client"] {
        failures.add("secret", kind, Client::new(CLIENT_ID, secret));
    }
    failures.add("id", kind, Client::new(format!("{SECRET}\n{SECRET}"), "x"));
    let suffix = format!("{SECRET}\u{7}");
    let suffixed = builder().user_agent_suffix(suffix).build();
    failures.add("user agent", kind, suffixed);
    failures.add("scope", kind, builder().scopes([SECRET]).build());
    failures.add("timeout", kind, builder().timeout(Duration::ZERO).build());
    for url in [
        format!("http://ada:{PASSWORD}@"),
        format!("http://ada:{PASSWORD}@proxy.example/path"),
        format!("http://ada:{PASSWORD}@proxy.example:port"),
        format!("socks5://ada:{PASSWORD}@proxy.example"),
        format!("ht!tp://ada:{PASSWORD}@proxy.example"),
        format!("ada:{PASSWORD}@proxy"),
    ] {
        failures.add("proxy URL", kind, builder().proxy(url).build());
    }
}

fn pem(label: &str, content: &str) -> String {
    format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n")
}

fn certificates(failures: &mut Failures) {
    let kind = ErrorKind::Config;
    let ca = Ca::new();
    let (ours, other) = (
        ca.issue(&["client"], (2020, 2120)),
        ca.issue(&["other"], (2020, 2120)),
    );
    for content in [
        SECRET.to_owned(),
        BASE64_STANDARD.encode(SECRET),
        BASE64_STANDARD.encode(TOKEN.repeat(20)),
    ] {
        let (certificate, key) = (pem("CERTIFICATE", &content), pem("PRIVATE KEY", &content));
        let added = builder().add_root_certificates(&certificate).build();
        failures.add("root certificate", kind, added);
        let only = builder().only_root_certificates(&certificate).build();
        failures.add("root certificate", kind, only);
        let own_key = String::from_utf8(ours.key_pem()).unwrap();
        let presented = builder().client_certificate(&certificate, own_key).build();
        failures.add("client certificate", kind, presented);
        let presented = builder().client_certificate(ours.certificate_pem(), key);
        failures.add("client key", kind, presented.build());
    }
    let bare = builder().only_root_certificates(SECRET).build();
    failures.add("no certificate", kind, bare);
    let wrong_key = String::from_utf8(other.key_pem()).unwrap();
    let presented = builder().client_certificate(ours.certificate_pem(), wrong_key);
    failures.add("another's key", kind, presented.build());
}

fn names(failures: &mut Failures) {
    let client = builder().build().unwrap();
    let kind = ErrorKind::InvalidInput;
    let page = PageQuery::new();
    for name in [
        String::new(),
        format!(" {NAME}"),
        format!("{NAME}\u{a0}"),
        format!("{NAME}\r\nx: y"),
        NAME.repeat(100),
        format!("{NAME}\u{fc}"),
    ] {
        failures.add("name", kind, client.get_user(&*name));
        let listed = client.list_user_credentials(&*name, &page);
        failures.add("name", kind, listed);
        let filter = UserQuery::new().username(&*name);
        failures.add("filter", kind, client.list_users(filter));
        if name.is_ascii() {
            let renamed = client.update_user(ID, &UpdateUser::new(&*name));
            failures.add("new name", kind, renamed);
            let request = StartAuthenticatorAuth::new().user(&*name);
            let started = client.start_authenticator_auth(&request);
            failures.add("name in a body", kind, started);
            let request = StartMagiclinkEmailRegistration::new(&*name, REDIRECT);
            let started = client.start_magiclink_email_registration(&request);
            failures.add("address", kind, started);
            let request = StartWebauthnRegistration::new(NAME).email_address(&*name);
            let started = client.start_webauthn_registration(&request);
            failures.add("address", kind, started);
        }
    }
    let request = StartAuthenticatorRegistration::new(format!("{NAME}{NAME}"));
    let started = client.start_authenticator_registration(&request);
    failures.add("long name", kind, started);

    let client = builder().api_version(ApiVersion::V4).build().unwrap();
    let kind = ErrorKind::UsernameInUrl;
    for name in [NAME, ODD_NAME] {
        failures.add("name under v4", kind, client.get_user(name));
        let filter = UserQuery::new().username(name);
        failures.add("filter under v4", kind, client.list_users(filter));
    }
}

fn values(failures: &mut Failures) {
    let client = builder().build().unwrap();
    let kind = ErrorKind::InvalidInput;
    failures.add("nil id", kind, client.get_user(Uuid::nil()));
    for id in ["", "..", "%2e%2e", "cl13nt\u{7}", "../pr0xy-passw0rd"] {
        let found = client.get_user_credential(ID, id);
        failures.add("credential", kind, found);
    }
    let page = PageQuery::new().page_number(u32::MAX).sort_column(SECRET);
    failures.add("page", kind, client.list_users(page));
    let request = StartMagiclinkEmailAuth::new(NAME, REDIRECT).action_name(SECRET.repeat(9));
    let started = client.start_magiclink_email_auth(&request);
    failures.add("action name", kind, started);
    let request = StartAuthenticatorAuth::new()
        .user(NAME)
        .nonce(NONCE)
        .timeout_in_seconds(7);
    let started = client.start_authenticator_auth(&request);
    failures.add("timeout", kind, started);
    let request = StartWebauthnAuth::new().user(NAME).nonce(NONCE);
    failures.add("nonce under v3", kind, client.start_webauthn_auth(&request));
    let request = ValidateAuth::new(ID, VALIDATION).nonce(NONCE);
    let validated = client.validate_webauthn_auth(&request);
    failures.add("nonce under v3", kind, validated);
    let request = FinishWebauthnAuth::new(ID, "", VALIDATION);
    failures.add("no sig", kind, client.finish_webauthn_auth(&request));
    let request = ValidateRegistration::new(VALIDATION);
    let validated = client.validate_authenticator_registration(Uuid::nil(), &request);
    failures.add("nil registration", kind, validated);
    let target = Target::new("https://api.example").unwrap();
    let request = credentials::list_user_credentials(NAME, PageQuery::new());
    failures.add("look-up without client", kind, request.to_http(&target));
    let request = users::get_user(NAME).timeout(Duration::ZERO);
    failures.add("no time", kind, client.send(&request));
}

/// Starts a server that sends a token and then, on the same connection,
/// `responses`, and creates a client of it.
fn scripted_client(responses: &[String]) -> (Server, Client) {
    let mut script = vec![Act::Read, Act::write(ok(&token_body()))];
    for response in responses {
        script.extend([Act::Read, Act::write(response)]);
    }
    script.push(Act::Read);
    let server = Server::start(vec![script]);
    let client = plain(&server).build().unwrap();
    (server, client)
}

/// Settings for a client of a scripted server without TLS.
pub(crate) fn plain(server: &Server) -> ClientBuilder {
    let url = server.http("").replace("localhost", "127.0.0.1");
    builder()
        .allow_http_on_loopback(true)
        .api_url(&url)
        .login_url(url)
}

pub(crate) fn token_body() -> String {
    json!({"access_token": TOKEN, "expires_in": 600, "token_type": "Bearer"}).to_string()
}

pub(crate) fn ok(body: &str) -> String {
    response("200 OK", "content-type: application/json\r\n", body)
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// A text with all canaries, as a server could echo them.
fn echo() -> String {
    let basic = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{SECRET}"));
    format!(
        "no user {NAME} ({}), X-AuthArmor-UsernameValue: {ODD_NAME}, Authorization: Bearer \
         {TOKEN}, Authorization: Basic {basic}, client_secret={}, {{\"auth_validation_token\":\
         \"{VALIDATION}\",\"nonce\":\"{NONCE}\",\"aa_sig\":\"{SIG}\"}} {QR} {PASSWORD} {NEW_NAME}",
        percent(NAME),
        percent(SECRET),
    )
}

/// Error bodies in every spelling, with canaries in every value.
fn error_bodies() -> Vec<(&'static str, String)> {
    let nasty = format!("{NAME}\r\nx\u{1b}[31m\u{202e}{} {TOKEN}", "y".repeat(400));
    vec![
        ("text/html", format!("<html><body>{}", echo())),
        ("text/plain", echo()),
        ("text/plain", nasty.clone()),
        ("application/json", json!(echo()).to_string()),
        (
            "application/json",
            json!({"error_code": NAME, "error_message": echo(), "tracking_id": VALIDATION})
                .to_string(),
        ),
        (
            "application/json",
            json!({"errorCode": TOKEN, "errorMessage": nasty, "trackingGuid": SECRET}).to_string(),
        ),
        (
            "application/json",
            json!({"error": SECRET, "error_description": echo(), "trackingId": ODD_NAME})
                .to_string(),
        ),
        (
            "application/json",
            json!({"error_code": {NAME: TOKEN}, "error_message": [echo()], "title": echo()})
                .to_string(),
        ),
    ]
}

fn refusals(failures: &mut Failures) {
    for (status, kind) in [
        ("400 Bad Request", ErrorKind::Api),
        ("401 Unauthorized", ErrorKind::Unauthorized),
        ("403 Forbidden", ErrorKind::Forbidden),
        ("404 Not Found", ErrorKind::NotFound),
        ("429 Too Many Requests", ErrorKind::RateLimited),
        ("500 Internal Server Error", ErrorKind::Unavailable),
        ("302 Found", ErrorKind::Protocol),
        ("999 Whatever", ErrorKind::Protocol),
    ] {
        for (content_type, body) in error_bodies() {
            let headers = format!(
                "content-type: {content_type}\r\nwww-authenticate: Bearer {TOKEN}\r\n\
                 x-echo: {NAME}\r\nlocation: https://other.example/\r\n"
            );
            let refused = response(status, &headers, &body);
            let mut script = vec![refused.clone(); 3];
            if kind == ErrorKind::Unauthorized {
                // The first one costs a token request and a repeat.
                script.extend([ok(&token_body()), refused]);
                script.swap(1, 3);
            }
            let (_server, client) = scripted_client(&script);
            let how = format!("{status}, {content_type}");
            failures.add(&how, kind, client.get_user(NAME));
            let request = ValidateAuth::new(ID, VALIDATION).nonce(NONCE);
            let validated = client.validate_authenticator_auth(&request);
            failures.add(&how, kind, validated);
            // The look-up before the call fails.
            let listed = client.list_user_credentials(NAME, PageQuery::new());
            failures.add(&how, kind, listed);
        }
    }
}

fn token_refusals(failures: &mut Failures) {
    for (status, kind) in [
        ("400 Bad Request", ErrorKind::Auth),
        ("401 Unauthorized", ErrorKind::Auth),
        ("404 Not Found", ErrorKind::Api),
        ("429 Too Many Requests", ErrorKind::RateLimited),
        ("503 Service Unavailable", ErrorKind::Unavailable),
        ("307 Temporary Redirect", ErrorKind::Protocol),
    ] {
        for (content_type, body) in error_bodies() {
            let headers = format!(
                "content-type: {content_type}\r\nwww-authenticate: Basic realm=\"{SECRET}\"\r\n\
                 location: https://other.example/\r\n"
            );
            let script = vec![Act::Read, Act::write(response(status, &headers, &body))];
            let server = Server::start(vec![script]);
            for client_auth in [ClientAuth::SecretPost, ClientAuth::SecretBasic] {
                let client = plain(&server).client_auth(client_auth).build().unwrap();
                let how = format!("token: {status}, {content_type}, {client_auth:?}");
                failures.add(how, kind, client.get_user(NAME));
            }
        }
    }
    for (how, body) in [
        ("token is no text", json!({"access_token": {TOKEN: TOKEN}})),
        (
            "token with a space",
            json!({"access_token": format!("{TOKEN} {TOKEN}")}),
        ),
        (
            "token with a line end",
            json!({"access_token": format!("{TOKEN}\r\nx: y")}),
        ),
        ("empty token", json!({"access_token": "", "x": TOKEN})),
        ("long token", json!({"access_token": TOKEN.repeat(200)})),
        (
            "other type",
            json!({"access_token": TOKEN, "token_type": SECRET}),
        ),
        (
            "odd life",
            json!({"access_token": TOKEN, "expires_in": SECRET}),
        ),
        ("no token", json!({"token": TOKEN})),
        ("text", json!(TOKEN)),
    ] {
        let server = Server::start(vec![vec![Act::Read, Act::write(ok(&body.to_string()))]]);
        let client = plain(&server).build().unwrap();
        failures.add(how, ErrorKind::Decode, client.check_credentials());
    }
}

fn undecodable_responses(failures: &mut Failures) {
    let kind = ErrorKind::Decode;
    for body in [
        String::new(),
        echo(),
        format!("<html>{}", echo()),
        json!(NAME).to_string(),
        json!({"user_id": NAME}).to_string(),
        json!({"user_id": ID, "username": {TOKEN: NAME}}).to_string(),
        json!({"user_id": ID, "email_address": [NAME]}).to_string(),
        json!({"user_id": ID, "enrolled_auth_methods": NAME}).to_string(),
        json!({"user_id": ID, "enrolled_auth_methods": [{"auth_method_id": NAME}]}).to_string(),
        json!({"user_id": ID, "enrolled_auth_methods": [{NAME: 1}, NAME]}).to_string(),
        json!({NAME: TOKEN}).to_string(),
        format!("{{\"user_id\":\"{ID}\",\"username\":\"{NAME}"),
        format!("{{\"user_id\":\"{ID}\",\"username\":\"{NAME}\"}} {TOKEN}"),
        format!("{{\"user_id\":\"{ID}\",\"user_id\":\"{ID}\",\"username\":\"{NAME}\"}}"),
        format!("{{\"user_id\":\"{ID}\",\"{NAME}\":{TOKEN}}}"),
    ] {
        for content_type in ["application/json", "text/html"] {
            let headers = format!("content-type: {content_type}\r\n");
            let (_server, client) = scripted_client(&[response("200 OK", &headers, &body)]);
            failures.add("undecodable", kind, client.get_user(NAME));
        }
    }
    let request = ValidateAuth::new(ID, VALIDATION);
    for body in [
        json!({"validate_auth_response_details": NAME}),
        json!({"validate_auth_response_details": {"context_data": TOKEN}}),
        json!({"validate_auth_response_details": {"context_data": [{NAME: NAME}]}}),
        json!({"validate_auth_response_details": {"auth_details": {"request_details":
            {"auth_profile_details": {"user_id": NAME}}}}}),
        json!({"auth_request_status_id": VALIDATION}),
    ] {
        let (_server, client) = scripted_client(&[ok(&body.to_string())]);
        let validated = client.validate_authenticator_auth(&request);
        failures.add("undecodable validate response", kind, validated);
    }
    let (_server, client) = scripted_client(&[ok(&json!({"auth_request_id": ID}).to_string())]);
    let request = StartAuthenticatorAuth::new().user(NAME).nonce(NONCE);
    let begun = client.begin_authenticator_sign_in(&request);
    failures.add("no validation token", kind, begun);
}

fn broken_responses(failures: &mut Failures) {
    let protocol = ErrorKind::Protocol;
    let packed = response("200 OK", "content-encoding: gzip\r\n", &echo());
    let huge_head = response("200 OK", &format!("x: {}\r\n", NAME.repeat(5000)), "{}");
    for (how, kind, bytes) in [
        ("compressed", protocol, packed),
        ("huge head", protocol, huge_head),
        (
            "too large",
            protocol,
            response("200 OK", "", &echo().repeat(5000)),
        ),
        ("no HTTP", protocol, format!("{}\r\n\r\n", echo())),
        (
            "bad header",
            protocol,
            format!("HTTP/1.1 200 OK\r\n{} \r\n\r\n", echo()),
        ),
        (
            "bad length",
            protocol,
            format!("HTTP/1.1 200 OK\r\ncontent-length: {TOKEN}\r\n\r\n"),
        ),
        (
            "bad chunk",
            protocol,
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}\r\n",
                echo()
            ),
        ),
    ] {
        let (_server, client) = scripted_client(&[bytes]);
        failures.add(how, kind, client.get_user(NAME));
    }
    for (how, end) in [
        ("cut", vec![Act::Cut]),
        ("half a head", vec![Act::write("HTTP/1.1 200"), Act::Cut]),
        (
            "half a body",
            vec![
                Act::write(format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{}",
                    echo()
                )),
                Act::Cut,
            ],
        ),
    ] {
        let mut script = vec![Act::Read, Act::write(ok(&token_body())), Act::Read];
        script.extend(end);
        let server = Server::start(vec![script]);
        let client = plain(&server).build().unwrap();
        failures.add(how, ErrorKind::Transport, client.get_user(NAME));
    }
}

fn unreachable_servers(failures: &mut Failures) {
    let nowhere = format!("https://127.0.0.1:{DEAD_PORT}");
    let client = builder().api_url(&nowhere).login_url(&nowhere).build();
    let refused = client.unwrap().get_user(NAME);
    failures.add("connection refused", ErrorKind::Connect, refused);

    // A label of more than 63 letters is never resolved.
    let unnamed = format!("https://{}.example", "x".repeat(70));
    let client = builder().api_url(&unnamed).login_url(&unnamed).build();
    let lost = client.unwrap().get_user(NAME);
    failures.add("no such host", ErrorKind::Dns, lost);

    let server = Server::start(vec![vec![Act::Read, Act::Stall]]);
    let client = plain(&server).timeout(Duration::from_millis(50)).build();
    let late = client.unwrap().get_user(NAME);
    failures.add("stalled token", ErrorKind::Timeout, late);

    let stall = vec![
        Act::Read,
        Act::write(ok(&token_body())),
        Act::Read,
        Act::Stall,
    ];
    let server = Server::start(vec![stall]);
    let client = plain(&server).build().unwrap();
    client.check_credentials().unwrap();
    let request = auth::validate_authenticator_auth(&ValidateAuth::new(ID, VALIDATION));
    let late = client.send(&request.timeout(Duration::from_millis(50)));
    failures.add("stalled response", ErrorKind::Timeout, late);
}

fn tls(failures: &mut Failures) {
    let (ca, other) = (Ca::new(), Ca::new());
    let servers: [(&str, Arc<ServerConfig>); 4] = [
        ("unknown issuer", other.localhost()),
        ("expired", ca.server(&["localhost"], (2001, 2002))),
        ("not yet valid", ca.server(&["localhost"], (2100, 2101))),
        (
            "another host",
            ca.server(&["elsewhere.example"], (2020, 2120)),
        ),
    ];
    let client = |server: &Server| {
        builder()
            .only_root_certificates(ca.pem())
            .api_url(server.https(""))
            .login_url(server.https(""))
            .build()
            .unwrap()
    };
    for (how, config) in servers {
        let server = Server::start(vec![vec![Act::Tls(config), Act::Read]]);
        let refused = client(&server).get_user(NAME);
        failures.add(how, ErrorKind::Tls, refused);
    }
    let server = Server::start(vec![vec![
        Act::ReadSome,
        Act::write(response("400 Bad Request", "", &echo())),
    ]]);
    let refused = client(&server).get_user(NAME);
    failures.add("no TLS", ErrorKind::Tls, refused);
    let server = Server::start(vec![vec![Act::ReadSome, Act::Cut]]);
    let refused = client(&server).get_user(NAME);
    failures.add("cut handshake", ErrorKind::Connect, refused);
}

fn proxies(failures: &mut Failures) {
    let through = |port: u16| {
        let url = format!("http://ada:{PASSWORD}@127.0.0.1:{port}");
        builder().proxy(url).build().unwrap()
    };
    let kind = ErrorKind::Proxy;
    let refused = through(DEAD_PORT).get_user(NAME);
    failures.add("no proxy", kind, refused);
    let user = BASE64_STANDARD.encode(format!("ada:{PASSWORD}"));
    for (how, bytes) in [
        (
            "proxy wants a password",
            response(
                "407 Proxy Authentication Required",
                &format!("proxy-authenticate: Basic {user}\r\n"),
                &format!("{user} {PASSWORD}"),
            ),
        ),
        (
            "proxy refuses",
            response(&format!("503 {PASSWORD}"), "", PASSWORD),
        ),
        ("proxy speaks no HTTP", format!("{user} {PASSWORD}\r\n\r\n")),
        ("proxy closes", String::new()),
    ] {
        let server = Server::start(vec![vec![Act::Read, Act::write(bytes)]]);
        let port = server.http("").rsplit_once(':').unwrap().1.parse();
        let refused = through(port.unwrap()).get_user(NAME);
        failures.add(how, kind, refused);
    }
}

fn mismatches(failures: &mut Failures) {
    let kind = ErrorKind::Mismatch;
    let page = PageQuery::new();
    for user in [
        json!({"user_id": ID, "username": NEW_NAME}),
        json!({"user_id": Uuid::nil(), "username": NAME}),
        json!({"username": NAME}),
        json!({"user_id": ID}),
    ] {
        let (_server, client) = scripted_client(&[ok(&user.to_string())]);
        let listed = client.list_user_credentials(NAME, &page);
        failures.add("look-up of another", kind, listed);
    }
    for (user, id) in [(NEW_NAME, ID), (NAME, Uuid::nil())] {
        let profile = json!({"user_id": id, "username": user});
        let verdict = json!({
            "auth_request_status_id": 2,
            "validate_auth_response_details": {
                "result_code": 2,
                "result_message": echo(),
                "authorized": true,
                "auth_details": {"response_details": {"auth_profile_details": profile}},
            },
        });
        let (_server, client) = scripted_client(&[ok(&verdict.to_string())]);
        let expected = ExpectedUser::Is(NAME.into());
        let from_page = BrowserSignIn::new(Method::Authenticator, ID, VALIDATION, expected);
        let end = client.complete_browser_sign_in(&from_page);
        failures.add("validate response about another user", kind, end);
    }
}

fn flow_input(failures: &mut Failures) {
    let kind = ErrorKind::InvalidInput;
    let emulator = crate::flows::emulator(NAME);
    let client = emulator.client_builder().build().unwrap();
    let request = StartMagiclinkEmailAuth::new(NAME, REDIRECT);
    let mail = client.begin_magiclink_sign_in(&request).unwrap();
    let token = percent(VALIDATION);
    let id = mail.auth_request_id();
    for callback in [
        format!("?auth_validation_token={token}"),
        format!("?auth_request_id={id}"),
        format!("?auth_request_id={token}&auth_validation_token={token}"),
        format!("?auth_request_id={id}&auth_validation_token={token}&auth_validation_token=x"),
        format!("?auth_request_id={id}&auth_validation_token={token}%ff"),
        format!("?auth_request_id={id}&auth_validation_token=&x={token}"),
        format!("?{}", token.repeat(1000)),
    ] {
        let end = mail.complete(&client, &callback);
        failures.add("callback", kind, end);
    }
    let callback = format!("?auth_request_id={ID}&auth_validation_token={token}");
    let end = mail.complete(&client, &callback);
    failures.add("another's link", ErrorKind::Mismatch, end);
    let other = emulator.client_builder().api_version(ApiVersion::V4);
    let end = mail.complete(&other.build().unwrap(), &callback);
    failures.add("another version", kind, end);

    let request = StartWebauthnRegistration::new(ODD_NAME);
    let started = client.begin_webauthn_registration(&request).unwrap();
    for page in [
        VALIDATION.to_owned(),
        json!(VALIDATION).to_string(),
        json!({"id": VALIDATION}).to_string(),
        json!({"id": {NAME: VALIDATION}, "attestation_object": SIG}).to_string(),
    ] {
        let end = started.pending.complete(&client, &page);
        failures.add("page", kind, end);
    }
}

/// Calls that the emulator refuses.
fn emulated(failures: &mut Failures) {
    let emulator = Emulator::builder()
        .client(CLIENT_ID, SECRET)
        .start()
        .unwrap();
    let client = emulator.client_builder().build().unwrap();
    let found = client.get_user(NAME);
    failures.add("unknown user", ErrorKind::NotFound, found);
    let listed = client.list_user_credentials(NAME, PageQuery::new());
    failures.add("unknown user", ErrorKind::NotFound, listed);
    let request = ValidateAuth::new(ID, VALIDATION);
    let validated = client.validate_magiclink_email_auth(&request);
    failures.add("unknown request", ErrorKind::NotFound, validated);
    client.set_credentials(CLIENT_ID, "an0ther s3cr3t").unwrap();
    let refused = client.check_credentials();
    failures.add("refused credentials", ErrorKind::Auth, refused);
}
