//! The calls that each fault is tried on, and responses that serve them.

use std::time::Duration;

use autharmor::auth::{StartAuthenticatorAuth, ValidateAuth};
use autharmor::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
use autharmor::{Client, Error, auth, users};
use uuid::Uuid;

use super::secrets::{NAME, TOKEN, VALIDATION};

pub(crate) const ID: &str = "client-of-the-fault-tests";
pub(crate) const USER_ID: Uuid = Uuid::from_u128(0x5b1d_7d5e_0000_4000_8000_0000_0000_0001);
pub(crate) const REQUEST_ID: Uuid = Uuid::from_u128(0x9999_9999_2222_4333_8444_5555_5555_5555);

/// A timeout that no call shall reach.
pub(crate) const LONG: Duration = Duration::from_secs(40);
/// A timeout for calls to a server that does not respond.
pub(crate) const SHORT: Duration = Duration::from_millis(250);

/// The result of a call that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The call returned what was asked for. A validate call signed a user in.
    Served,
    /// A validate call signed nobody in.
    NotAuthorized,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `get_user`, by name.
    Read,
    /// `start_authenticator_auth`, which sends a push notification.
    Start,
    /// `validate_authenticator_auth`, through the flow that judges it.
    Validate,
}

impl Call {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Start, Self::Validate];

    pub(crate) fn make(self, client: &Client) -> Result<Outcome, Error> {
        match self {
            Self::Read => client.get_user(NAME).map(served_user),
            Self::Start => client.start_authenticator_auth(&start()).map(served_start),
            Self::Validate => client
                .complete_browser_sign_in(&from_page())
                .map(|end| match end {
                    SignIn::SignedIn(user) => {
                        assert_eq!(user.user_id(), USER_ID, "I5: somebody else signed in");
                        Outcome::Served
                    }
                    _ => Outcome::NotAuthorized,
                }),
        }
    }

    /// The same with a long timeout, whatever the client's own is.
    pub(crate) fn make_with_time(self, client: &Client) -> Result<Outcome, Error> {
        match self {
            Self::Read => client
                .send(&users::get_user(NAME).timeout(LONG))
                .map(served_user),
            Self::Start => client
                .send(&auth::start_authenticator_auth(&start()).timeout(LONG))
                .map(served_start),
            Self::Validate => {
                let validate = ValidateAuth::new(REQUEST_ID, VALIDATION);
                let request = auth::validate_authenticator_auth(&validate).timeout(LONG);
                client.send(&request).map(|response| {
                    let details = response.validate_auth_response_details;
                    match details.and_then(|details| details.authorized) {
                        Some(true) => Outcome::Served,
                        _ => Outcome::NotAuthorized,
                    }
                })
            }
        }
    }

    /// A response body that serves it.
    pub(crate) fn body(self) -> String {
        match self {
            Self::Read => format!(r#"{{"user_id":"{USER_ID}","username":"{NAME}"}}"#),
            Self::Start => format!(
                r#"{{"auth_request_id":"{REQUEST_ID}","user_id":"{USER_ID}","auth_validation_token":"{VALIDATION}","push_message_sent":true}}"#
            ),
            Self::Validate => validated("true", &USER_ID.to_string(), NAME),
        }
    }

    /// The call that a request path belongs to.
    pub(crate) fn of(path: &str) -> Self {
        if path.contains("/start") {
            Self::Start
        } else if path.contains("/validate") {
            Self::Validate
        } else {
            Self::Read
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Start => "start",
            Self::Validate => "validate",
        }
    }
}

/// The response to a validate call. `authorized` is JSON.
pub(crate) fn validated(authorized: &str, user_id: &str, name: &str) -> String {
    format!(
        r#"{{"auth_request_status_id":2,"validate_auth_response_details":{{"result_code":2,"authorized":{authorized},"auth_details":{{"response_details":{{"auth_profile_details":{{"user_id":"{user_id}","username":"{name}"}}}}}}}}}}"#
    )
}

/// The response with the token of this number. `life` is JSON.
pub(crate) fn token_body(number: usize, life: &str) -> String {
    format!(r#"{{"access_token":"{TOKEN}-{number}","expires_in":{life},"token_type":"Bearer"}}"#)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn start() -> StartAuthenticatorAuth {
    StartAuthenticatorAuth::new().user(NAME).send_push(true)
}

fn from_page() -> BrowserSignIn {
    BrowserSignIn::new(
        Method::Authenticator,
        REQUEST_ID,
        VALIDATION,
        ExpectedUser::Is(NAME.into()),
    )
}

#[expect(clippy::needless_pass_by_value, reason = "it ends a chain")]
fn served_user(user: users::UserDetails) -> Outcome {
    assert_eq!(user.user_id, USER_ID);
    Outcome::Served
}

#[expect(clippy::needless_pass_by_value, reason = "it ends a chain")]
fn served_start(response: auth::StartAuthenticatorAuthResponse) -> Outcome {
    assert_eq!(response.auth_request_id, REQUEST_ID);
    Outcome::Served
}
