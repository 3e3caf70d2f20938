//! A pending state that one process stores and another one completes.

use std::env;
use std::fmt::Debug;
use std::io::{self, Read as _, Write as _};
use std::process::Stdio;

use autharmor::auth::{StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth};
use autharmor::flow::{
    PendingAuthenticator, PendingAuthenticatorRegistration, PendingMagiclink,
    PendingMagiclinkRegistration, PendingWebauthn, PendingWebauthnRegistration, Registration,
    SignIn, WaitPolicy,
};
use autharmor::registrations::{
    StartAuthenticatorRegistration, StartMagiclinkEmailRegistration, StartWebauthnRegistration,
};
use autharmor::{ApiVersion, Client, ErrorKind};
use autharmor_test_support::programs::this_program;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::scenario::{ADA, AGENT, By, GRACE, IP, REDIRECT, Scenario, Scenarios, kind};

/// Set for the other process alone: the API's URL and the certificate of its
/// authority.
const API_URL: &str = "AUTHARMOR_TEST_API_URL";
const CA: &str = "AUTHARMOR_TEST_CA";

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Flow {
    Authenticator,
    Webauthn,
    Magiclink,
    AuthenticatorRegistration,
    WebauthnRegistration,
    MagiclinkRegistration,
}

/// What the other process reads from its standard input.
#[derive(Serialize, Deserialize)]
struct Task {
    flow: Flow,
    version: ApiVersion,
    client_id: String,
    client_secret: String,
    state: Value,
    /// The page's JSON, or the URL of the browser.
    browser: String,
}

/// The other process.
#[test]
#[ignore = "no test: other tests run it in another process"]
fn the_other_process() {
    let (Ok(url), Ok(ca)) = (env::var(API_URL), env::var(CA)) else {
        return;
    };
    let mut task = String::new();
    io::stdin().read_to_string(&mut task).unwrap();
    let task: Task = serde_json::from_str(&task).unwrap();
    let client = Client::builder(&task.client_id, task.client_secret.as_str())
        .api_url(&url)
        .login_url(&url)
        .only_root_certificates(&ca)
        .no_proxy()
        .api_version(task.version)
        .build()
        .unwrap();
    let user = end(&client, task);
    // The harness may have left its own line open.
    println!("\nuser_id={user}");
}

fn end(client: &Client, task: Task) -> Uuid {
    fn read<T: DeserializeOwned>(state: Value) -> T {
        serde_json::from_value(state).unwrap()
    }
    let (state, browser) = (task.state, task.browser.as_str());
    let sign_in = match task.flow {
        Flow::Authenticator => {
            let pending: PendingAuthenticator = read(state);
            pending.wait(client, &WaitPolicy::new())
        }
        Flow::Webauthn => read::<PendingWebauthn>(state).complete(client, browser),
        Flow::Magiclink => read::<PendingMagiclink>(state).complete(client, browser),
        _ => return end_registration(client, task.flow, state, browser),
    };
    match sign_in.unwrap() {
        SignIn::SignedIn(user) => user.user_id(),
        other => panic!("not signed in: {other:?}"),
    }
}

fn end_registration(client: &Client, flow: Flow, state: Value, browser: &str) -> Uuid {
    let end = match flow {
        Flow::WebauthnRegistration => {
            let pending: PendingWebauthnRegistration = serde_json::from_value(state).unwrap();
            pending.complete(client, browser)
        }
        Flow::MagiclinkRegistration => {
            let pending: PendingMagiclinkRegistration = serde_json::from_value(state).unwrap();
            pending.complete(client, browser)
        }
        _ => {
            let pending: PendingAuthenticatorRegistration = serde_json::from_value(state).unwrap();
            pending.wait(client, &WaitPolicy::new())
        }
    };
    match end.unwrap() {
        Registration::Registered(user) => user.user_id(),
        other => panic!("not registered: {other:?}"),
    }
}

/// Stores a state and lets the other process complete it. Returns the user's id
/// that the other process prints.
fn hand_over<T: Serialize + Debug>(
    scenario: &Scenario,
    flow: Flow,
    pending: &T,
    browser: &str,
) -> Uuid {
    let stored = serde_json::to_value(pending).unwrap();
    check_stored(&stored, &format!("{pending:?} {pending:#?}"));
    let emulator = &scenario.emulator;
    let task = Task {
        flow,
        version: scenario.version,
        client_id: emulator.client_id().to_owned(),
        client_secret: emulator.client_secret().to_owned(),
        state: stored,
        browser: browser.to_owned(),
    };
    let mut child = this_program()
        .args([
            "process::the_other_process",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(API_URL, emulator.api_url())
        .env(CA, emulator.ca_pem())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(&serde_json::to_vec(&task).unwrap())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let user = stdout
        .lines()
        .find_map(|line| line.strip_prefix("user_id="));
    user.unwrap_or_else(|| panic!("{stdout}")).parse().unwrap()
}

/// Checks that the state is small and that its `Debug` shows no secret and no
/// name.
fn check_stored(state: &Value, debug: &str) {
    assert!(state.to_string().len() < 1024, "{state}");
    assert_eq!(state["v"], 1);
    for name in ["token", "nonce", "aa_sig"] {
        if let Some(secret) = state.get(name) {
            assert!(!debug.contains(secret.as_str().unwrap()), "{name}");
        }
    }
    for name in [ADA, GRACE] {
        assert!(!debug.contains(name));
    }
}

#[test]
fn authenticator_sign_in() {
    Scenarios::of("start_authenticator_auth", &[By::Name]).run(|scenario| {
        let request = StartAuthenticatorAuth::new()
            .user(ADA)
            .ip_address(IP)
            .user_agent(AGENT);
        let started = scenario
            .client
            .begin_authenticator_sign_in(&request)
            .unwrap();
        let pending = started.pending;
        scenario
            .emulator
            .approve(pending.auth_request_id())
            .unwrap();
        let user = hand_over(scenario, Flow::Authenticator, &pending, "");
        assert_eq!(user, scenario.ada);
        // This process cannot complete it again.
        let end = pending.complete(&scenario.client);
        assert_eq!(kind(end), ErrorKind::Forbidden);
    });
}

#[test]
fn webauthn_sign_in() {
    Scenarios::of("start_webauthn_auth", &[By::Name]).run(|scenario| {
        scenario.add_passkey(scenario.ada);
        let request = StartWebauthnAuth::new()
            .user(ADA)
            .webauthn_client_id("the website");
        let started = scenario.client.begin_webauthn_sign_in(&request).unwrap();
        let page = scenario
            .emulator
            .use_passkey(&started.fido2_json_options, scenario.emulator.origin())
            .unwrap();
        let user = hand_over(scenario, Flow::Webauthn, &started.pending, &page);
        assert_eq!(user, scenario.ada);
    });
}

#[test]
fn magiclink_sign_in() {
    Scenarios::of("start_magiclink_email_auth", &[By::Name]).run(|scenario| {
        let request = StartMagiclinkEmailAuth::new(ADA, REDIRECT)
            .ip_address(IP)
            .user_agent(AGENT);
        let pending = scenario.client.begin_magiclink_sign_in(&request).unwrap();
        let url = scenario
            .emulator
            .click(&scenario.mail_to(ADA).link)
            .unwrap();
        let user = hand_over(scenario, Flow::Magiclink, &pending, &url);
        assert_eq!(user, scenario.ada);
    });
}

fn assert_grace(scenario: &Scenario, user: Uuid) {
    let users = scenario.emulator.users();
    assert_eq!(users.last(), Some(&(user, GRACE.to_owned())));
}

#[test]
fn authenticator_registration() {
    Scenarios::of("start_authenticator_registration", &[By::Name]).run(|scenario| {
        let request = StartAuthenticatorRegistration::new(GRACE);
        let started = scenario
            .client
            .begin_authenticator_registration(&request)
            .unwrap();
        let pending = started.pending;
        scenario
            .emulator
            .enrol_phone(pending.registration_id())
            .unwrap();
        let user = hand_over(scenario, Flow::AuthenticatorRegistration, &pending, "");
        assert_grace(scenario, user);
    });
}

#[test]
fn webauthn_registration() {
    Scenarios::of("start_webauthn_registration", &[By::Name]).run(|scenario| {
        let request = StartWebauthnRegistration::new(GRACE);
        let started = scenario
            .client
            .begin_webauthn_registration(&request)
            .unwrap();
        let page = scenario
            .emulator
            .create_passkey(&started.fido2_json_options, scenario.emulator.origin())
            .unwrap();
        let user = hand_over(
            scenario,
            Flow::WebauthnRegistration,
            &started.pending,
            &page,
        );
        assert_grace(scenario, user);
    });
}

#[test]
fn magiclink_registration() {
    Scenarios::of("start_magiclink_email_registration", &[By::Name]).run(|scenario| {
        let request = StartMagiclinkEmailRegistration::new(GRACE, REDIRECT);
        let pending = scenario
            .client
            .begin_magiclink_registration(&request)
            .unwrap();
        let url = scenario
            .emulator
            .click(&scenario.mail_to(GRACE).link)
            .unwrap();
        let user = hand_over(scenario, Flow::MagiclinkRegistration, &pending, &url);
        assert_grace(scenario, user);
    });
}

#[test]
fn a_client_of_the_other_version_refuses() {
    Scenarios::of("start_authenticator_auth", &[By::Name]).run(|scenario| {
        let request = StartAuthenticatorAuth::new().user(ADA);
        let started = scenario
            .client
            .begin_authenticator_sign_in(&request)
            .unwrap();
        let other = match scenario.version {
            ApiVersion::V3 => ApiVersion::V4,
            ApiVersion::V4 => ApiVersion::V3,
        };
        let builder = scenario.emulator.client_builder().api_version(other);
        let client = builder.build().unwrap();
        let seen = scenario.emulator.request_count();
        let end = started.pending.complete(&client);
        assert_eq!(kind(end), ErrorKind::InvalidInput);
        let end = started.pending.wait(&client, &WaitPolicy::new());
        assert_eq!(kind(end), ErrorKind::InvalidInput);
        assert_eq!(scenario.emulator.request_count(), seen);
    });
}
