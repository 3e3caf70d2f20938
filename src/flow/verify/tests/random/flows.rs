//! The same through every way in: only a validate response that fulfils every
//! condition signs a user in.

use std::ops::ControlFlow;

use super::*;
use crate::auth::{StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth};
use crate::client::Client;
use crate::flow::{BrowserSignIn, ExpectedUser, Method, WaitPolicy};
use crate::http::ApiVersion;
use crate::testing::{TestClient, respond, seconds, token};

#[derive(Clone, Copy, Debug)]
enum Way {
    Poll,
    Wait,
    WaitInAThread,
    Complete,
    WebauthnStandard,
    WebauthnVendor,
    Magiclink,
    Browser,
}

const WAYS: [Way; 8] = [
    Way::Poll,
    Way::Wait,
    Way::WaitInAThread,
    Way::Complete,
    Way::WebauthnStandard,
    Way::WebauthnVendor,
    Way::Magiclink,
    Way::Browser,
];

// The client data is `{"type":"webauthn.get"}`.
const STANDARD: &str = r#"{"id":"AQID","type":"public-key","response":{"authenticatorData":"BwgJ","clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0","signature":"BAUG"}}"#;
const VENDOR: &str = r#"{"id":"AQID","attestation_object":"BwgJ","client_data":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0","signature":"BAUG"}"#;

impl Way {
    fn is_polled(self) -> bool {
        matches!(self, Self::Poll | Self::Wait | Self::WaitInAThread)
    }

    /// Leaves out what the way has no place for.
    fn limit(self, expected: &mut Expected) {
        let identity = &mut expected.identity;
        expected.auth_request_id = REQUEST;
        match self {
            Self::WebauthnStandard | Self::WebauthnVendor => identity.started_for = None,
            Self::Magiclink => {
                identity.finished_by = None;
                identity.user.get_or_insert_with(|| "ada".into());
                expected.nonce = None;
            }
            Self::Browser => {
                identity.started_for = None;
                identity.finished_by = None;
            }
            _ => identity.finished_by = None,
        }
        if !matches!(self, Self::Magiclink | Self::Browser) {
            expected.nonce.get_or_insert_with(|| NONCE.into());
        }
    }

    fn sign_in(self, client: &Client, expected: &Expected) -> Result<SignIn, Error> {
        let user = expected.identity.user.clone();
        let ignore_case = expected.identity.ignore_case;
        let nonce = expected.nonce.clone();
        match self {
            Self::Poll | Self::Wait | Self::WaitInAThread | Self::Complete => {
                let mut request = StartAuthenticatorAuth::new();
                (request.user, request.nonce) = (user, nonce);
                let mut pending = client.begin_authenticator_sign_in(&request)?.pending;
                if ignore_case {
                    pending = pending.ignore_username_case();
                }
                let policy = WaitPolicy::new().timeout(seconds(2));
                match self {
                    Self::Poll => pending.ip_address("203.0.113.7").poll(client),
                    Self::Wait => pending.wait(client, &policy),
                    Self::Complete => pending.complete(client),
                    _ => {
                        let policy = policy.on_progress(|_| ControlFlow::Continue(()));
                        pending.wait(client, &policy)
                    }
                }
            }
            Self::WebauthnStandard | Self::WebauthnVendor => {
                let mut request = StartWebauthnAuth::new();
                (request.user, request.nonce) = (user, nonce);
                let mut pending = client.begin_webauthn_sign_in(&request)?.pending;
                if ignore_case {
                    pending = pending.ignore_username_case();
                }
                let is_standard = matches!(self, Self::WebauthnStandard);
                let page = if is_standard { STANDARD } else { VENDOR };
                pending.user_agent("Browser/2").complete(client, page)
            }
            Self::Magiclink => {
                let user = user.unwrap();
                let request = StartMagiclinkEmailAuth::new(user, "https://app.example/in");
                let mut pending = client.begin_magiclink_sign_in(&request)?;
                if ignore_case {
                    pending = pending.ignore_username_case();
                }
                let query = format!("?auth_request_id={REQUEST}&auth_validation_token=t");
                pending.ip_address("203.0.113.7").complete(client, &query)
            }
            Self::Browser => {
                let user = user.map_or(ExpectedUser::Anyone, ExpectedUser::Is);
                let mut page = BrowserSignIn::new(Method::Authenticator, REQUEST, "t", user);
                if ignore_case {
                    page = page.ignore_username_case();
                }
                if let Some(nonce) = nonce {
                    page = page.nonce(nonce);
                }
                client.complete_browser_sign_in(&page)
            }
        }
    }
}

/// A v4 service with this poll status and this validate response.
fn service(expected: &Expected, status: i64, validate: String) -> TestClient {
    let identity = &expected.identity;
    let start = json!({
        "auth_request_id": REQUEST,
        "auth_validation_token": "t",
        "aa_guid": "a",
        "fido2_json_options": "{}",
        "user_id": identity.started_for,
    });
    let finish = json!({
        "auth_request_id": REQUEST,
        "auth_validation_token": "t",
        "user_id": identity.finished_by,
    });
    let poll = json!({
        "auth_request_status_id": status,
        "auth_response": {"result_code": 2, "authorized": true},
    });
    let [start, finish, poll] = [start, finish, poll].map(|json| json.to_string());
    TestClient::with(
        |number, _, _| token(number, 86_400),
        move |_, request, _| match request.uri().path().rsplit('/').next() {
            Some("start") => respond(200, start.clone()),
            Some("finish") => respond(200, finish.clone()),
            Some("validate") => respond(200, validate.clone()),
            _ => respond(200, poll.clone()),
        },
        |builder| builder.api_version(ApiVersion::V4).username_in_query(true),
    )
}

#[test]
fn no_way_in_signs_in_unless_every_condition_holds() {
    let mut random = Random(Rng::new(0xf10e_5eed_f10e_5eed));
    let mut counts = [[0; 2]; WAYS.len()];
    for case in 0..4_000 {
        let way = WAYS[case % WAYS.len()];
        let (response, mut expected) = (random.response(), random.expected());
        way.limit(&mut expected);
        let status = random.pick(&[4, 4, 4, 4, 2, 3, 0, 77]);
        let is_decoded =
            serde_json::from_str::<ValidateAuthResponse>(&response.to_string()).is_ok();
        let may =
            is_decoded && (status == 4 || !way.is_polled()) && may_sign_in(&response, &expected);

        let test = service(&expected, status, response.to_string());
        let result = way.sign_in(&test.client, &expected);
        let user = result.as_ref().ok().and_then(SignIn::user);
        assert_eq!(
            user.is_some(),
            may,
            "case {case}, {way:?}: {result:?} {response} {expected:?}"
        );
        if let Some(user) = user {
            let id = response.pointer(&format!("{WHO}/user_id")).unwrap();
            assert_eq!(id.as_str(), Some(&*user.user_id().to_string()));
            assert_eq!(user.auth_request_id(), REQUEST);
        }
        counts[case % WAYS.len()][usize::from(may)] += 1;
    }
    // Every way lets somebody in often, and refuses often.
    assert!(
        counts.iter().flatten().all(|count| *count > 20),
        "{counts:?}"
    );
}
