//! One deadline for a whole flow: whatever hangs, the flow returns by it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use crate::auth::{StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth};
use crate::client::Client;
use crate::clock::{Clock, ManualClock};
use crate::error::{Error, ErrorKind};
use crate::flow::WaitPolicy;
use crate::http::ApiVersion;
use crate::registrations::StartAuthenticatorRegistration;
use crate::testing::{TestClient, respond, seconds, token};
use crate::{TransportError, TransportErrorKind};

const ID: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
const ADA: Uuid = Uuid::from_u128(0xada0_0000_0000_4000_8000_0000_0000_0001);

/// The calls of a flow.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Start,
    /// The poll, or the finish of a passkey.
    Middle,
    Validate,
}

/// The time that the service takes for one kind of call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    Prompt,
    /// 8 seconds.
    Slow,
    /// For ever.
    Hangs,
}

type Flow = fn(&Client) -> Result<bool, Error>;

/// From begin to complete. Returns whether the user is signed in or registered.
const FLOWS: [(&str, Flow); 4] = [
    ("authenticator", |client| {
        let request = StartAuthenticatorAuth::new().user("ada");
        let pending = client.begin_authenticator_sign_in(&request)?.pending;
        let end = pending.wait(client, &WaitPolicy::new())?;
        Ok(end.user().is_some())
    }),
    ("webauthn", |client| {
        // The client data is `{"type":"webauthn.get"}`.
        let page = r#"{"id":"AQID","attestation_object":"BwgJ","client_data":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0"}"#;
        let request = StartWebauthnAuth::new().user("ada");
        let pending = client.begin_webauthn_sign_in(&request)?.pending;
        Ok(pending.complete(client, page)?.user().is_some())
    }),
    ("magic link", |client| {
        let request = StartMagiclinkEmailAuth::new("ada", "https://app.example/in");
        let pending = client.begin_magiclink_sign_in(&request)?;
        let query = format!("auth_request_id={ID}&auth_validation_token=t");
        Ok(pending.complete(client, &query)?.user().is_some())
    }),
    ("registration", |client| {
        let request = StartAuthenticatorRegistration::new("ada");
        let pending = client.begin_authenticator_registration(&request)?.pending;
        let end = pending.wait(client, &WaitPolicy::new())?;
        Ok(end.user().is_some())
    }),
];

/// The response to any call: each field is of one of them.
fn everything() -> String {
    json!({
        "auth_request_id": ID,
        "auth_validation_token": "t",
        "aa_guid": "a",
        "fido2_json_options": "{}",
        "registration_id": ID,
        "registration_validation_token": "t",
        "registration_status_code": 8,
        "user_id": ADA,
        "username": "ada",
        "credential_id": ID,
        "auth_request_status_id": 4,
    })
    .to_string()
}

fn signed_in() -> String {
    let profile = json!({"user_id": ADA, "username": "ada"});
    json!({
        "auth_request_status_id": 2,
        "validate_auth_response_details": {
            "authorized": true,
            "auth_details": {"response_details": {"auth_profile_details": profile}},
        },
        "user_id": ADA,
        "username": "ada",
    })
    .to_string()
}

fn service(speeds: [Speed; 3]) -> TestClient {
    let clock = Arc::new(OnceLock::<Arc<ManualClock>>::new());
    let clock_of_server = Arc::clone(&clock);
    let test = TestClient::with(
        |number, _, _| token(number, 86_400),
        move |_, request, limits| {
            let path = request.uri().path();
            let call = match path.rsplit('/').next() {
                Some("start") => Call::Start,
                Some("validate") => Call::Validate,
                _ => Call::Middle,
            };
            let duration = match speeds[call as usize] {
                Speed::Prompt => Duration::ZERO,
                Speed::Slow => seconds(8),
                Speed::Hangs => Duration::MAX,
            };
            let clock = clock_of_server.get().unwrap();
            let allowed = limits.deadline - clock.now();
            clock.advance(duration.min(allowed));
            if duration > allowed {
                return Err(TransportError::new(TransportErrorKind::Timeout, true));
            }
            respond(
                200,
                if call == Call::Validate {
                    signed_in()
                } else {
                    everything()
                },
            )
        },
        |builder| builder.api_version(ApiVersion::V4),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
    test
}

#[test]
fn a_flow_returns_by_the_deadline_of_its_client_whatever_hangs() {
    use Speed::{Hangs, Prompt, Slow};
    for (name, flow) in FLOWS {
        for allowed in [1, 12, 20, 60] {
            let mut ended_well = Vec::new();
            for start in [Prompt, Slow, Hangs] {
                for middle in [Prompt, Slow, Hangs] {
                    for validate in [Prompt, Slow, Hangs] {
                        let speeds = [start, middle, validate];
                        let test = service(speeds);
                        let began = test.clock.now();
                        let client = test.client.with_deadline(began + seconds(allowed));
                        let end = flow(&client);
                        let elapsed = test.clock.now() - began;
                        let case = format!("{name} {allowed} s {speeds:?}: {end:?}");
                        assert!(elapsed <= seconds(allowed), "{case} after {elapsed:?}");
                        if matches!(end, Ok(true)) {
                            ended_well.push(speeds);
                        }
                        if let Err(error) = end {
                            assert_eq!(error.kind(), ErrorKind::Timeout, "{case}");
                        }
                    }
                }
            }
            assert!(ended_well.contains(&[Prompt; 3]), "{name} {allowed}");
            let is_slow_start_ok = ended_well.contains(&[Slow, Prompt, Prompt]);
            assert_eq!(is_slow_start_ok, allowed > 8, "{name} {allowed}");
        }
    }
}

#[test]
fn a_wait_leaves_time_for_the_validation() {
    // The first poll hangs; half of the time is left for what follows.
    let test = service([Speed::Prompt, Speed::Hangs, Speed::Prompt]);
    let began = test.clock.now();
    let client = test.client.with_deadline(began + seconds(4));
    let end = client.wait_for_auth(ID, &WaitPolicy::new()).unwrap();
    assert!(
        matches!(end, crate::flow::AuthWait::ServiceUnavailable(_)),
        "{end:?}"
    );
    // Polls from 1 to 2.5 and from 2.5 to 3.25 seconds.
    assert_eq!(test.api_requests(), 2);
    assert_eq!(test.clock.now() - began, Duration::from_millis(3250));
}

#[test]
fn after_the_deadline_nothing_is_sent() {
    let test = service([Speed::Prompt; 3]);
    let now = test.clock.now();
    let client = test.client.with_deadline(now);
    for (_, flow) in FLOWS {
        let error = flow(&client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(!error.may_have_been_sent());
    }
    let error = client.check_credentials().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // This is no outage: nobody has asked the service.
    let error = client.wait_for_auth(ID, &WaitPolicy::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // A later deadline does not help, and another view is not affected.
    let later = client.with_deadline(now + seconds(60));
    later.check_credentials().unwrap_err();
    assert!(test.seen().is_empty());
    test.client.check_credentials().unwrap();
}
