//! S: tokens and stores, second list.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime};

use autharmor::ErrorKind::{Auth, Decode, Timeout, Unauthorized};
use autharmor::auth::ValidateAuth;
use autharmor::emulator::Emulator;
use autharmor::{
    Client, Error, FileTokenStore, HttpRequest, Limits, RetryPolicy, Secret, StoredToken, TokenKey,
    TokenStore, TransportError, TransportErrorKind,
};
use autharmor_test_support::Folder;
use autharmor_test_support::emulator::{emulator, token_requests};
use autharmor_test_support::scripted::Act;

use super::authorization::revoked;
use super::calls::{Call, ID, LONG, Outcome, REQUEST_ID, seconds, token_body};
use super::expect::{fails, served};
use super::fake_service::{
    FakeService, TransportResult, healthy, respond, serving, tokens, with_clock, with_clock_and,
};
use super::harness::{Row, Scenario};
use super::network::ThroughProxy;
use super::scripted_service::{Fault, Hosts, Scheme};
use super::secrets::{SECRET, TOKEN, VALIDATION, assert_no_secrets, take_warnings};
use super::token::form_fields;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ERROR_BODY: &str = r#"{"error_code":401,"error_message":"no","tracking_id":"t-1"}"#;

/// A store in memory.
#[derive(Clone, Default)]
struct MemoryStore {
    token: Arc<Mutex<Option<StoredToken>>>,
    cannot_remove: bool,
}

impl MemoryStore {
    fn text(&self) -> Option<String> {
        let token = self.token.lock().unwrap();
        token
            .as_ref()
            .map(|token| token.token().expose().to_owned())
    }
}

impl TokenStore for MemoryStore {
    fn load(&self, _: &TokenKey) -> io::Result<Option<StoredToken>> {
        Ok(self.token.lock().unwrap().clone())
    }

    fn save(&self, _: &TokenKey, token: &StoredToken) -> io::Result<()> {
        *self.token.lock().unwrap() = Some(token.clone());
        Ok(())
    }

    fn remove(&self, _: &TokenKey, token: &Secret) -> io::Result<()> {
        if self.cannot_remove {
            return Err(io::Error::other("the disk is full"));
        }
        let mut stored = self.token.lock().unwrap();
        if stored
            .as_ref()
            .is_some_and(|stored| stored.token() == token)
        {
            *stored = None;
        }
        Ok(())
    }
}

/// The number of the token in a request.
fn number(request: &HttpRequest) -> usize {
    let header = request.headers()["authorization"].to_str().unwrap();
    let number = header.rsplit('-').next().unwrap();
    number.parse().unwrap()
}

fn later_tokens(number: usize, _: &HttpRequest, _: Limits) -> TransportResult {
    respond(200, token_body(number + 1, "600"))
}

#[test]
fn s1_stored_token_from_the_future() {
    let mut row = Row::new("S1", "a stored token was issued in the future and revoked");
    let at_boot = Some(SystemTime::UNIX_EPOCH + seconds(10));
    for (ahead, wall) in [
        (DAY, None),
        (seconds(3600), None),
        (seconds(300), None),
        (Duration::ZERO, at_boot),
    ] {
        for call in Call::ALL {
            let store = MemoryStore::default();
            let with_store =
                |service| with_clock_and(service, |builder| builder.token_store(store.clone()));
            let (writer, clock) = with_store(FakeService::new(tokens, serving));
            clock.set_wall(SystemTime::now() + ahead);
            writer.client.check_credentials().unwrap();
            assert_eq!(store.text().unwrap(), format!("{TOKEN}-0"));

            let (scenario, clock) = with_store(FakeService::new(later_tokens, revoked));
            if let Some(wall) = wall {
                clock.set_wall(wall);
            }
            // Whether the token is tried at all does not matter.
            let expect = served().requests(2, 2).tokens(1).at_most();
            row.check_call(&scenario, call, &expect);
            assert_eq!(store.text().unwrap(), format!("{TOKEN}-1"));
        }
    }
    row.note("the store holds the new token");
    row.finish();
}

#[test]
fn s2_young_token_is_revoked() {
    let mut row = Row::new("S2", "a token that was issued seconds ago is revoked");
    for call in Call::ALL {
        for age in [0, 1, 29] {
            let (scenario, clock) = with_clock(FakeService::new(tokens, revoked));
            scenario.client.check_credentials().unwrap();
            clock.advance(seconds(age));
            row.check_call(&scenario, call, &served().requests(2, 2).tokens(1));
        }
        // A second 401 costs a token request only after 30 seconds.
        let refused = fails(Unauthorized).status(401).refused();
        for (pause, expect) in [
            (0, refused.clone()),
            (29, refused),
            (30, served().requests(2, 2).tokens(1)),
        ] {
            let first_valid = Arc::new(AtomicUsize::new(0));
            let valid = first_valid.clone();
            let (scenario, clock) = with_clock(FakeService::new(tokens, move |_, request, _| {
                if number(request) < valid.load(SeqCst) {
                    respond(401, "")
                } else {
                    healthy(request)
                }
            }));
            scenario.client.check_credentials().unwrap();
            first_valid.store(1, SeqCst);
            call.make(&scenario.client).unwrap();
            clock.advance(seconds(pause));
            first_valid.store(2, SeqCst);
            row.check_call(&scenario, call, &expect);
        }
    }
    the_emulators_clock_is_advanced(&emulator());
    row.note("one token request in 30 s because of 401s");
    row.finish();
}

/// The client does not know of the advance.
fn the_emulators_clock_is_advanced(emulator: &Emulator) {
    let client = Client::builder(emulator.client_id(), emulator.client_secret())
        .api_url(emulator.api_url())
        .login_url(emulator.login_url())
        .only_root_certificates(emulator.ca_pem())
        .no_proxy()
        .build()
        .unwrap();
    client.get_user("ada@example.com").unwrap();
    emulator.advance(DAY);
    client.get_user("ada@example.com").unwrap();
    assert_eq!(token_requests(emulator), 2);
}

type Validate = fn(&Client) -> Result<Outcome, Error>;

#[test]
fn s3_revoked_token_of_a_program_that_only_validates() {
    let validates: [Validate; 3] = [
        |client| {
            let request = ValidateAuth::new(REQUEST_ID, VALIDATION);
            let end = client.validate_authenticator_auth(&request);
            end.map(|_| Outcome::NotAuthorized)
        },
        |client| {
            let request = ValidateAuth::new(REQUEST_ID, VALIDATION);
            let end = client.validate_webauthn_auth(&request);
            end.map(|_| Outcome::NotAuthorized)
        },
        |client| {
            let request = ValidateAuth::new(REQUEST_ID, VALIDATION);
            let end = client.validate_magiclink_email_auth(&request);
            end.map(|_| Outcome::NotAuthorized)
        },
    ];
    let mut row = Row::new("S3", "401 with an error body, because the token is revoked");
    let refusal = fails(Unauthorized)
        .status(401)
        .code("401")
        .tracking_id("t-1");
    let refuse_first = |_: usize, request: &HttpRequest, _: Limits| {
        if number(request) == 0 {
            respond(401, ERROR_BODY)
        } else {
            healthy(request)
        }
    };
    for validate in validates {
        let (scenario, _) = with_clock(FakeService::new(tokens, refuse_first));
        scenario.client.check_credentials().unwrap();
        row.check_other_call(&scenario, false, validate, &refusal);

        let (scenario, _) = with_clock(FakeService::new(tokens, refuse_first));
        scenario.client.check_credentials().unwrap();
        validate(&scenario.client).unwrap_err();
        row.check_call(&scenario, Call::Validate, &served().tokens(1));

        // Without end, but within 30 seconds.
        let (scenario, _) =
            with_clock(FakeService::new(tokens, |_, _, _| respond(401, ERROR_BODY)));
        for _ in 0..1000 {
            validate(&scenario.client).unwrap_err();
        }
        let counts = scenario.service.counts();
        assert_eq!((counts.api, counts.acted_on), (1000, 0));
        assert!(counts.tokens <= 2, "I7: {counts:?}");
    }
    row.note("no retry; the next call gets a new token, once in 30 s");
    row.finish();
}

#[test]
fn s4_invalidated_during_a_fetch() {
    let invalidate: fn(&Client) = Client::invalidate_token;
    let replace: fn(&Client) = |client| client.set_credentials(ID, SECRET).unwrap();
    let mut row = Row::new(
        "S4",
        "`invalidate_token` or `set_credentials` during a token fetch",
    );
    for call in Call::ALL {
        for change in [invalidate, replace] {
            // The first fetch, and an early renewal.
            for fetch in [0, 1] {
                let client = Arc::new(OnceLock::<Client>::new());
                let is_over = Arc::new(AtomicBool::new(false));
                let store = MemoryStore::default();
                let (inner, over) = (client.clone(), is_over.clone());
                let service = FakeService::new(
                    move |number, request, limits| {
                        if number == fetch {
                            change(inner.get().unwrap());
                        }
                        tokens(number, request, limits)
                    },
                    move |_, request, _| {
                        let is_old = over.load(SeqCst) && number(request) <= fetch;
                        assert!(!is_old, "S4: a token from before the change is used");
                        healthy(request)
                    },
                );
                let (scenario, clock) =
                    with_clock_and(service, |builder| builder.token_store(store.clone()));
                client.set(scenario.client.clone()).unwrap();
                for _ in 0..fetch {
                    call.make(&scenario.client).unwrap();
                    clock.advance(seconds(580));
                }
                call.make(&scenario.client).unwrap();
                assert_ne!(store.text(), Some(format!("{TOKEN}-{fetch}")));
                is_over.store(true, SeqCst);
                // The call may have fetched a second token for itself.
                let has_fetched = scenario.service.counts().tokens > fetch + 1;
                let missing = usize::from(!has_fetched);
                row.check_call(&scenario, call, &served().tokens(missing).at_most());
            }
        }
    }
    row.note("the fetched token is neither cached nor saved");
    row.finish();
}

/// A token endpoint that knows these secrets.
fn knowing(
    secrets: &'static [&'static str],
) -> impl Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync {
    move |number, request, limits| {
        let fields = form_fields(request.body().unwrap());
        let secret = fields.last().unwrap().strip_prefix("client_secret=");
        if secrets.contains(&secret.unwrap()) {
            tokens(number, request, limits)
        } else {
            respond(400, r#"{"error":"invalid_client"}"#)
        }
    }
}

#[test]
fn s5_credentials_are_replaced_with_a_stored_token() {
    const NEW: &str = "f4ult-s3cr3t-of-tomorrow";
    let mut row = Row::new("S5", "`set_credentials` while a store holds a token");
    let refused = fails(Auth)
        .status(400)
        .code("invalid_client")
        .unsent()
        .tokens(1);
    for call in Call::ALL {
        for cannot_remove in [false, true] {
            let store = MemoryStore {
                cannot_remove,
                ..MemoryStore::default()
            };
            let with_store = || {
                let service = FakeService::new(knowing(&[SECRET, NEW]), serving);
                let set = |builder: autharmor::ClientBuilder| builder.token_store(store.clone());
                with_clock_and(service, set).0
            };
            // The token is in the cache as well.
            let scenario = with_store();
            call.make(&scenario.client).unwrap();
            scenario.client.set_credentials(ID, "wrong").unwrap();
            row.check_call(&scenario, call, &refused);

            // The token is in the store alone.
            with_store().client.check_credentials().unwrap();
            let scenario = with_store();
            scenario.client.set_credentials(ID, "wrong").unwrap();
            row.check_call(&scenario, call, &refused);

            // The new secret is good.
            let scenario = with_store();
            call.make(&scenario.client).unwrap();
            scenario.client.set_credentials(ID, NEW).unwrap();
            row.check_call(&scenario, call, &served().tokens(1));
        }
    }
    row.note("the stored token is not used any more");
    row.finish();
}

/// A client whose token file is at this path.
fn with_file(path: &Path) -> Scenario {
    let store = FileTokenStore::new(path);
    FakeService::new(tokens, serving).with_settings(|builder| builder.token_store(store))
}

#[cfg(unix)]
#[test]
fn s6_token_file_is_no_file() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    let mut row = Row::new(
        "S6",
        "the token file is a FIFO, device, socket, folder, 50 GB",
    );
    let makes: [fn(&Path); 5] = [
        |path| {
            let status = Command::new("mkfifo").arg(path).status().unwrap();
            assert!(status.success());
        },
        // A link, which can be replaced without harm to the device.
        |path| symlink("/dev/zero", path).unwrap(),
        |path| drop(UnixListener::bind(path).unwrap()),
        |path| fs::create_dir(path).unwrap(),
        |path| {
            let file = fs::File::create(path).unwrap();
            file.set_permissions(fs::Permissions::from_mode(0o600))
                .unwrap();
            file.set_len(50 << 30).unwrap();
        },
    ];
    for make in makes {
        for call in Call::ALL {
            let folder = Folder::new();
            let path = folder.path().join("token");
            make(&path);
            row.check_call(&with_file(&path), call, &served().tokens(1));
        }
    }
    row.note("it is not used, and no call blocks");
    row.finish();
}

#[cfg(unix)]
#[test]
fn s7_token_file_of_others() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    let mut row = Row::new("S7", "others can use the token file, or own it");
    for call in Call::ALL {
        for mode in [0o644, 0o660, 0o606, 0o600] {
            let folder = Folder::new();
            let path = folder.path().join("token");
            with_file(&path).client.check_credentials().unwrap();
            let open = fs::Permissions::from_mode(mode);
            fs::set_permissions(&path, open).unwrap();
            // Only root can give a file away.
            if mode == 0o600 && chown(&path, Some(12345), None).is_err() {
                continue;
            }
            let service = FakeService::new(later_tokens, |_, request, _| {
                assert_eq!(number(request), 1, "S7: the token of the file is used");
                healthy(request)
            });
            let store = FileTokenStore::new(&path);
            let scenario = service.with_settings(|builder| builder.token_store(store));
            let make = move |client: &Client| {
                take_warnings();
                let result = call.make(client);
                let warnings = take_warnings();
                assert!(!warnings.is_empty(), "S7: no warning");
                result
            };
            let is_read = call == Call::Read;
            let tokens = served().tokens(1);
            // The healthy call afterwards gets a token of any number.
            row.check_other_call(&scenario, is_read, make, &tokens);
            let file = fs::metadata(&path).unwrap();
            assert_eq!(file.mode() & 0o777, 0o600);
            assert_ne!(file.uid(), 12345);
        }
    }
    row.note("a warning is logged, and the file is replaced");
    row.finish();
}

#[test]
fn s8_token_endpoint_cannot_be_connected_to() {
    const THREADS: usize = 64;
    let mut row = Row::new("S8", "connect timeouts at the token endpoint, 64 threads");
    let connect_timeout = seconds(2);
    let expect = fails(Timeout).unsent().at_most();

    // The handshake with the token endpoint stalls.
    let hosts = Hosts::start(Scheme::Https);
    hosts.login.fail(&Fault::Connection(vec![Act::Stall]));
    let client = hosts
        .builder()
        .connect_timeout(connect_timeout)
        .build()
        .unwrap();
    let scenario = Scenario::new(client, hosts.clone());
    row.check_threads(&scenario, Call::Read, THREADS, &expect);
    let connections = hosts.login.server.connections();
    assert!(connections <= 6, "I7: {connections} connections");

    // A proxy stalls.
    let through = ThroughProxy::start();
    through.set(vec![Act::Read, Act::Stall]);
    let client = through
        .builder()
        .connect_timeout(connect_timeout)
        .timeout(LONG)
        .build()
        .unwrap();
    let scenario = Scenario::new(client, through.clone());
    row.check_threads(&scenario, Call::Read, THREADS, &expect);
    let connections = through.connections();
    // Those of the healthy call, and of connections opened early, included.
    assert!(connections <= 10, "I7: {connections} connections");

    // A transport times out.
    let service = FakeService::new(
        move |_, _, _| {
            thread::sleep(connect_timeout);
            Err(TransportError::new(TransportErrorKind::Timeout, false))
        },
        serving,
    );
    row.check_threads(&service.scenario(), Call::Start, THREADS, &expect.tokens(4));
    row.note("the threads share the failure");
    row.finish();
}

#[test]
fn s9_token_response_repeats_a_secret() {
    const PLAIN: &str = "f4ult-s3cr3t.plain_text";
    let mut row = Row::new("S9", "the token response repeats our secret or token");
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    for secret in [PLAIN, SECRET] {
        let form = encoded(secret);
        for body in [
            serde_json::json!({"error": secret}).to_string(),
            serde_json::json!({"error": "invalid_client", "error_description": format!("bad secret {secret}")}).to_string(),
            serde_json::json!({"error": "invalid_client", "error_description": format!("client_secret={form}")}).to_string(),
            format!("cannot authenticate with {secret}"),
            format!("<p>client_secret={form}</p>"),
        ] {
            for call in Call::ALL {
                let body = body.clone();
                let service = FakeService::new(move |_, _, _| respond(400, body.clone()), serving);
                let scenario = service.with_builder(
                    Client::builder(ID, secret).retry(RetryPolicy::off()),
                );
                let make = move |client: &Client| {
                    let result = call.make(client);
                    assert_hidden(&result);
                    result
                };
                let expect = fails(Auth).status(400).any_code().unsent().tokens(1);
                row.check_other_call(&scenario, call == Call::Read, make, &expect);
            }
        }
    }
    // The API repeats the token.
    for body in [
        serde_json::json!({"error_code": 400, "error_message": format!("bad {TOKEN}-0")})
            .to_string(),
        serde_json::json!({"error_code": format!("{TOKEN}-0"), "error_message": "no"}).to_string(),
        format!("Authorization: Bearer {TOKEN}-0"),
    ] {
        for call in Call::ALL {
            let body = body.clone();
            let service = FakeService::new(tokens, move |_, _, _| respond(400, body.clone()));
            let make = move |client: &Client| {
                let result = call.make(client);
                assert_hidden(&result);
                result
            };
            let expect = fails(autharmor::ErrorKind::Api)
                .status(400)
                .any_code()
                .tokens(1);
            row.check_other_call(&service.scenario(), call == Call::Read, make, &expect);
        }
    }
    row.note("it is blanked, in code, message and `{:#}` too");
    row.finish();
}

/// Asserts that no text of the error contains a secret, the server's message
/// included.
fn assert_hidden(result: &Result<Outcome, Error>) {
    let Err(error) = result else { return };
    let text = format!("{:?} {:?} {error:#}", error.code(), error.server_message());
    assert_no_secrets("S9", &text);
}

#[test]
fn s10_invisible_characters_around_credentials() {
    let mut row = Row::new("S10", "invisible characters or quotes around id or secret");
    for invisible in [
        "\u{feff}", "\u{200b}", "\u{2060}", "\u{a0}", " ", "\u{3000}",
    ] {
        for around in [
            |text: &str, odd: &str| format!("{odd}{text}"),
            |text: &str, odd: &str| format!("{text}{odd}"),
        ] {
            let id = around(ID, invisible);
            let build = || Client::builder(id, SECRET).no_proxy().build();
            row.check_refused_build(build, "client id");
            let secret = around(SECRET, invisible);
            let build = || Client::builder(ID, secret).no_proxy().build();
            row.check_refused_build(build, "client secret");
        }
    }
    for quote in ['"', '\'', '`'] {
        let secret = format!("{quote}{SECRET}{quote}");
        let service = FakeService::new(knowing(&[SECRET]), serving);
        let scenario = service.with_builder(Client::builder(ID, secret));
        let expect = fails(Auth)
            .status(400)
            .code("invalid_client")
            .unsent()
            .tokens(1)
            .says("quote");
        row.check_call(&scenario, Call::Read, &expect);
    }
    row.note("the error names the setting; of quotes it gives a hint");
    row.finish();
}

#[test]
fn s11_token_type_is_no_text() {
    let mut row = Row::new("S11", "`token_type` is an array or an object");
    for token_type in [r#"["Bearer"]"#, "[]", "{}", r#"{"Bearer":true}"#] {
        for call in Call::ALL {
            let body = token_body(0, "600").replace("\"Bearer\"", token_type);
            let service = FakeService::new(move |_, _, _| respond(200, body.clone()), serving);
            let expect = fails(Decode).status(200).unsent().tokens(1);
            row.check_call(&service.scenario(), call, &expect);
        }
    }
    row.finish();
}
