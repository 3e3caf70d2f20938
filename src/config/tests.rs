use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::environment::Environment;
use crate::testing::{SECRET, respond};
use crate::transport::Roots;
use crate::{Client, ClientBuilder, Error, ErrorKind, HttpRequest, Limits};

fn builder() -> ClientBuilder {
    Client::builder("id", SECRET).no_proxy()
}

fn from_env(variables: &[(&str, &str)]) -> Result<ClientBuilder, Error> {
    ClientBuilder::from_variables(Environment::of(variables))
}

/// A call whose response describes the request.
fn echo(builder: ClientBuilder) -> serde_json::Value {
    let transport = |request: HttpRequest, _: Limits| {
        if request.uri().path().ends_with("/connect/token") {
            return respond(200, format!(r#"{{"access_token":"{}"}}"#, request.uri()));
        }
        let json = serde_json::json!({
            "uri": request.uri().to_string(),
            "token": request.headers()["authorization"].to_str().unwrap(),
            "agent": request.headers()["user-agent"].to_str().unwrap(),
        });
        respond(200, json.to_string())
    };
    let client = builder.transport(transport).build().unwrap();
    client
        .send(&crate::Request::new(crate::Endpoint::ListUsers))
        .unwrap()
}

#[test]
fn the_defaults_are_the_urls_of_the_service() {
    let seen = echo(builder());
    assert_eq!(seen["uri"], "https://api.autharmor.com/v3/users");
    assert_eq!(
        seen["token"],
        "Bearer https://login.autharmor.com/connect/token"
    );
    assert_eq!(
        seen["agent"],
        concat!("autharmor-rust/", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_environment_configures_a_client() {
    let id_and_secret = [
        ("AUTHARMOR_CLIENT_ID", "id"),
        ("AUTHARMOR_CLIENT_SECRET", "s\n"),
    ];
    let urls = [
        ("AUTHARMOR_API_URL", "https://api.example/gate/"),
        ("AUTHARMOR_LOGIN_URL", "https://login.example"),
    ];
    let seen = echo(from_env(&[id_and_secret, urls].concat()).unwrap());
    assert_eq!(seen["uri"], "https://api.example/gate/v3/users");
    assert_eq!(seen["token"], "Bearer https://login.example/connect/token");

    let empty = [("AUTHARMOR_API_URL", ""), ("AUTHARMOR_LOGIN_URL", "")];
    let seen = echo(from_env(&[id_and_secret, empty].concat()).unwrap());
    assert_eq!(seen["uri"], "https://api.autharmor.com/v3/users");
}

#[test]
fn a_variable_that_is_missing_or_empty_is_named() {
    for vars in [
        &[][..],
        &[("AUTHARMOR_CLIENT_ID", "")],
        &[("AUTHARMOR_CLIENT_ID", "id")],
        &[
            ("AUTHARMOR_CLIENT_ID", "id"),
            ("AUTHARMOR_CLIENT_SECRET", ""),
        ],
    ] {
        let error = from_env(vars).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let missing = if vars.len() == 1 && !vars[0].1.is_empty() || vars.len() == 2 {
            "AUTHARMOR_CLIENT_SECRET is not set"
        } else {
            "AUTHARMOR_CLIENT_ID is not set"
        };
        assert!(error.to_string().ends_with(missing), "{error}");
    }
}

#[test]
fn wrong_settings_are_refused_by_name_and_without_their_value() {
    let zero = Duration::ZERO;
    for (builder, what) in [
        (Client::builder("", SECRET), "client id is empty"),
        (Client::builder("id", "\r\n"), "client secret is empty"),
        (
            Client::builder("id", "cl13nt-s3cr3t\0"),
            "client secret holds a control character",
        ),
        (
            builder().api_url("https://cl13nt-s3cr3t@x"),
            "api_url has a user name",
        ),
        (
            builder().login_url("http://x/cl13nt-s3cr3t"),
            "login_url is http://",
        ),
        (
            builder().login_url("http://127.0.0.1"),
            "login_url is http://, which needs allow_http_on_loopback(true)",
        ),
        (
            builder()
                .login_url("http://login.example")
                .allow_http_on_loopback(true),
            "login_url is http://, which is for loopback addresses only",
        ),
        (
            builder().api_url("http://127.0.0.1"),
            "allow_http_on_loopback(true)",
        ),
        (
            builder().login_url("http://127.0.0.1"),
            "login_url is http://",
        ),
        (
            builder()
                .login_url("http://login.example")
                .allow_http_on_loopback(true),
            "login_url is http://",
        ),
        (builder().timeout(zero), "timeout is zero"),
        (builder().connect_timeout(zero), "connect_timeout is zero"),
        (builder().max_response_body(0), "max_response_body is zero"),
        (builder().scopes(["a b"]), "scope"),
        (builder().scopes([""]), "scope"),
        (builder().user_agent_suffix(""), "user_agent_suffix"),
        (builder().user_agent_suffix("a\r\nb"), "user_agent_suffix"),
        (builder().user_agent_suffix("é"), "user_agent_suffix"),
        (
            builder().user_agent_suffix("x".repeat(257)),
            "user_agent_suffix",
        ),
        (builder().add_root_certificates("cl13nt-s3cr3t"), "root"),
        (builder().only_root_certificates(""), "root"),
        (builder().client_certificate("x", "cl13nt-s3cr3t"), "client"),
        (builder().proxy("cl13nt-s3cr3t"), "proxy"),
        (builder().proxy("socks5://cl13nt-s3cr3t:1"), "proxy"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(
            error.to_string().contains(what),
            "{error} does not name {what}"
        );
        assert!(!format!("{error:#} {error:?}").contains(SECRET), "{error}");
    }
}

#[test]
fn a_proxy_from_the_environment_is_named_when_it_is_garbage() {
    let vars = [
        ("AUTHARMOR_CLIENT_ID", "id"),
        ("AUTHARMOR_CLIENT_SECRET", SECRET),
        ("HTTPS_PROXY", "garbage"),
    ];
    let error = from_env(&vars).unwrap().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
    from_env(&vars).unwrap().no_proxy().build().unwrap();
}

#[test]
fn timeouts_of_any_length_do_not_overflow() {
    let seen = echo(
        builder()
            .timeout(Duration::MAX)
            .connect_timeout(Duration::MAX),
    );
    assert_eq!(seen["uri"], "https://api.autharmor.com/v3/users");
}

#[test]
fn the_user_agent_carries_the_suffix() {
    let seen = echo(builder().user_agent_suffix("door-daemon/2.1"));
    let expected = concat!(
        "autharmor-rust/",
        env!("CARGO_PKG_VERSION"),
        " door-daemon/2.1"
    );
    assert_eq!(seen["agent"], expected);
}

#[test]
fn debug_of_builder_and_client_shows_no_secret() {
    let builder = builder()
        .transport(|_: HttpRequest, _: Limits| respond(200, ""))
        .client_certificate("x", SECRET)
        .proxy(SECRET);
    let text = format!(
        "{builder:?} {:?}",
        Client::builder("id", SECRET).no_proxy().build()
    );
    assert!(!text.contains(SECRET), "{text}");
    assert!(
        text.starts_with("ClientBuilder {") && text.contains("Client {"),
        "{text}"
    );
}

#[test]
fn clients_are_send_sync_and_clone() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Client>();
    check::<ClientBuilder>();
    check::<Error>();
    check::<crate::Request<std::rc::Rc<()>>>();
}

/// A file of a test, deleted when dropped.
struct TestFile(std::path::PathBuf);

impl TestFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let name = format!("autharmor-config-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

const ID: (&str, &str) = ("AUTHARMOR_CLIENT_ID", "id");

#[test]
fn the_secret_can_be_in_a_file() {
    for end in ["", "\n", "\r\n"] {
        let file = TestFile::new("secret", format!("{SECRET}{end}").as_bytes());
        let variables = [
            ID,
            ("AUTHARMOR_CLIENT_SECRET", ""),
            ("AUTHARMOR_CLIENT_SECRET_FILE", file.path()),
        ];
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        let client = from_env(&variables)
            .unwrap()
            .transport(move |request: HttpRequest, _: Limits| {
                let body = request.body().unwrap_or_default().to_vec();
                seen.lock().unwrap().push(String::from_utf8(body).unwrap());
                respond(200, r#"{"access_token":"t"}"#)
            })
            .build()
            .unwrap();
        client.check_credentials().unwrap();
        let expected = format!("client_secret={SECRET}");
        assert!(bodies.lock().unwrap()[0].ends_with(&expected), "{end:?}");
    }
}

#[test]
fn root_certificates_from_a_file_replace_the_bundled_ones() {
    let file = TestFile::new("roots", b"a certificate\n");
    let variables = [
        ID,
        ("AUTHARMOR_CLIENT_SECRET", SECRET),
        ("AUTHARMOR_CA_FILE", file.path()),
    ];
    let roots = from_env(&variables).unwrap().roots;
    let expected = [b"a certificate\n".to_vec()];
    assert!(matches!(roots, Roots::Only(pems) if pems == expected));
}

#[test]
fn a_file_that_cannot_be_used_is_named_by_its_variable() {
    let file = |name, content: &[u8]| TestFile::new(name, content);
    let empty = file("empty", b"");
    let large = file("large", &vec![b's'; (1 << 20) + 1]);
    let binary = file("binary", b"cl13nt-s3cr3t\xff");
    let good = file("good", SECRET.as_bytes());
    let (secret, ca) = ("AUTHARMOR_CLIENT_SECRET_FILE", "AUTHARMOR_CA_FILE");
    let both = "AUTHARMOR_CLIENT_SECRET and AUTHARMOR_CLIENT_SECRET_FILE are both set";
    let absent = "/does/not/exist/cl13nt-s3cr3t";
    let with_secret = ("AUTHARMOR_CLIENT_SECRET", SECRET);
    for (variables, says) in [
        ([ID, with_secret, (secret, good.path())], both),
        (
            [ID, ID, (secret, absent)],
            "AUTHARMOR_CLIENT_SECRET_FILE: the file cannot be read: ",
        ),
        (
            [ID, ID, (secret, "/")],
            "AUTHARMOR_CLIENT_SECRET_FILE: the file cannot be read: ",
        ),
        (
            [ID, ID, (secret, empty.path())],
            "AUTHARMOR_CLIENT_SECRET_FILE: the file is empty",
        ),
        (
            [ID, ID, (secret, large.path())],
            "AUTHARMOR_CLIENT_SECRET_FILE: the file is larger than 1 MiB",
        ),
        (
            [ID, ID, (secret, binary.path())],
            "AUTHARMOR_CLIENT_SECRET_FILE: the file is not UTF-8",
        ),
        (
            [ID, with_secret, (ca, absent)],
            "AUTHARMOR_CA_FILE: the file cannot be read: ",
        ),
        (
            [ID, with_secret, (ca, empty.path())],
            "AUTHARMOR_CA_FILE: the file is empty",
        ),
        (
            [ID, with_secret, (ca, good.path())],
            "a root certificate is not PEM",
        ),
    ] {
        let error = from_env(&variables)
            .and_then(ClientBuilder::build)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(says), "{error}");
        assert!(
            !format!("{error:#} {error:?}").contains("s3cr3t"),
            "{error:?}"
        );
    }
}

#[test]
fn the_proxy_of_a_url_is_told_without_its_password() {
    let env = [
        ("AUTHARMOR_CLIENT_ID", "id"),
        ("AUTHARMOR_CLIENT_SECRET", SECRET),
        ("HTTPS_PROXY", "http://user:pass@proxy.example:3128"),
        ("NO_PROXY", "exempt.example"),
    ];
    let builder = from_env(&env).unwrap();
    for (url, proxy) in [
        ("https://api.example/v3", Some("proxy.example:3128")),
        ("https://exempt.example", None),
        ("https://127.0.0.1:8443", None),
    ] {
        assert_eq!(builder.proxy_for(url).unwrap().as_deref(), proxy, "{url}");
    }
    assert_eq!(
        builder.no_proxy().proxy_for("https://api.example").unwrap(),
        None
    );
    for url in ["", "api.example", "ftp://api.example", "https://"] {
        let error = self::builder().proxy_for(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    }
}
