//! What a sign-in or a registration must remember between its beginning and
//! its end, and how that is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wait::{RegistrationWatch, USUAL_LIFE};
use crate::client::Client;
use crate::error::Error;
use crate::http::ApiVersion;
use crate::registrations::MagiclinkEmailRegistrationType;
use crate::secret::{Private, Secret};
use crate::user_key::UserKey;

/// The form in which states are written. Another one is refused.
const FORMAT: u8 = 1;

/// The flow that a state belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Flow {
    AuthenticatorSignIn,
    WebauthnSignIn,
    MagiclinkSignIn,
    AuthenticatorRegistration,
    WebauthnRegistration,
    MagiclinkRegistration,
}

/// The state itself. Short names: it may travel in a cookie.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(rename = "v")]
    format: u8,
    #[serde(rename = "api")]
    pub(super) version: ApiVersion,
    flow: Flow,
    /// The auth request or registration. A magic-link registration has none
    /// before its link arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Uuid>,
    /// Whom the program asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<UserKey>,
    /// Who that is by the word of the start answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) ignore_case: bool,
    #[serde(
        default,
        serialize_with = "Secret::serialize_exposed_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) token: Option<Secret>,
    #[serde(
        default,
        serialize_with = "Secret::serialize_exposed_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) nonce: Option<Secret>,
    /// `aa_guid` or `aa_sig`.
    #[serde(
        default,
        serialize_with = "Secret::serialize_exposed_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) aa_sig: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) webauthn_client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ip_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<String>,
    /// What tells an enrolment from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) watch: Option<RegistrationWatch>,
    /// Whether a registration is for a user who exists already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) for_user: bool,
    /// What a mail was sent for, and whereto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mail: Option<(MagiclinkEmailRegistrationType, Private)>,
    /// How long the request lives, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) life: Option<u64>,
}

impl State {
    pub(super) fn new(client: &Client, flow: Flow) -> Self {
        Self {
            format: FORMAT,
            version: client.api_version(),
            flow,
            id: None,
            user: None,
            user_id: None,
            ignore_case: false,
            token: None,
            nonce: None,
            aa_sig: None,
            webauthn_client_id: None,
            ip_address: None,
            user_agent: None,
            watch: None,
            for_user: false,
            mail: None,
            life: None,
        }
    }

    /// Refuses to be ended by a client that speaks another version.
    pub(super) fn check(&self, client: &Client) -> Result<(), Error> {
        if self.version == client.api_version() {
            Ok(())
        } else {
            Err(Error::invalid(format!(
                "this was begun under {}, and the client speaks {}",
                self.version.as_str(),
                client.api_version().as_str()
            )))
        }
    }

    /// How long it may be waited for.
    pub(super) fn life(&self) -> Duration {
        self.life.map_or(USUAL_LIFE, Duration::from_secs)
    }

    /// The id, or the nil UUID, which is refused when it is sent.
    pub(super) fn id(&self) -> Uuid {
        self.id.unwrap_or_default()
    }

    /// What a state read back must be, in words that repeat nothing of it.
    pub(super) fn expect(self, flow: Flow) -> Result<Self, &'static str> {
        if self.format != FORMAT {
            Err("a pending state of another format")
        } else if self.flow == flow {
            Ok(self)
        } else {
            Err("a pending state of another flow")
        }
    }
}

/// A pending state of one flow: `name: flow`.
macro_rules! pending {
    ($($(#[$doc:meta])* $name:ident: $flow:ident,)+) => {
        $(
            $(#[$doc])*
            ///
            /// It can be serialised, kept, and ended by another process. It
            /// **holds secrets**: keep it in a session on the server, or in a
            /// cookie that is encrypted *and* authenticated. Whoever can
            /// change it can sign in as somebody else. Its `Debug` shows none
            /// of them.
            #[derive(Clone, serde::Serialize, serde::Deserialize)]
            #[serde(try_from = "State", into = "State")]
            #[must_use = "without it the flow cannot be ended"]
            pub struct $name(pub(super) State);

            impl TryFrom<State> for $name {
                type Error = &'static str;

                fn try_from(state: State) -> Result<Self, &'static str> {
                    state.expect(Flow::$flow).map(Self)
                }
            }

            impl From<$name> for State {
                fn from(pending: $name) -> Self {
                    pending.0
                }
            }

            impl std::fmt::Debug for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.debug_struct(stringify!($name))
                        .field("version", &self.0.version)
                        .field("id", &self.0.id)
                        .field("user", &self.0.user)
                        .finish_non_exhaustive()
                }
            }
        )+
    };
}
pub(super) use pending;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ErrorKind;
    use crate::flow::{PendingAuthenticator, PendingMagiclink, PendingWebauthn};
    use crate::testing::{TestClient, respond};

    const ID: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
    const USER: Uuid = Uuid::from_u128(0xada0_0000_0000_4000_8000_0000_0000_0001);

    /// The flows of the three sign-ins, as they are written.
    const SIGN_INS: [&str; 3] = [
        "authenticator_sign_in",
        "webauthn_sign_in",
        "magiclink_sign_in",
    ];

    fn client(version: ApiVersion) -> Client {
        let refuse = |_, _: &_, _| respond(403, "");
        TestClient::with(refuse, refuse, |builder| builder.api_version(version)).client
    }

    fn full() -> Value {
        json!({
            "v": 1,
            "api": "v4",
            "flow": "authenticator_sign_in",
            "id": ID,
            "user": {"username": "ada"},
            "user_id": USER,
            "ignore_case": true,
            "token": "t0k3n",
            "nonce": "n0nc3",
            "aa_sig": "aa-s1g",
            "webauthn_client_id": "wc",
            "ip_address": "203.0.113.7",
            "user_agent": "Firefox",
            "life": 60,
        })
    }

    /// What reading each of the three pending states makes of it: the number
    /// of the one that takes it, and the errors of the others.
    fn read(json: &Value) -> (Vec<usize>, Vec<String>) {
        let text = json.to_string();
        let results = [
            serde_json::from_str::<PendingAuthenticator>(&text).map(drop),
            serde_json::from_str::<PendingWebauthn>(&text).map(drop),
            serde_json::from_str::<PendingMagiclink>(&text).map(drop),
        ];
        let mut taken = Vec::new();
        let mut errors = Vec::new();
        for (number, result) in results.into_iter().enumerate() {
            match result {
                Ok(()) => taken.push(number),
                Err(error) => errors.push(error.to_string()),
            }
        }
        (taken, errors)
    }

    /// States that an older release of this crate wrote must still be read, or
    /// be of another format.
    #[test]
    fn the_form_of_format_1_stays() {
        let state: State = serde_json::from_value(full()).unwrap();
        assert_eq!(serde_json::to_value(&state).unwrap(), full());
        let key = state.user.clone().unwrap();
        assert_eq!(key, UserKey::Username("ada".into()));
        assert_eq!((state.id(), state.life), (ID, Some(60)));

        let by_id =
            json!({"v": 1, "api": "v3", "flow": "magiclink_sign_in", "user": {"user_id": USER}});
        let state: State = serde_json::from_value(by_id.clone()).unwrap();
        assert_eq!(state.user, Some(UserKey::Id(USER)));
        assert_eq!(serde_json::to_value(&state).unwrap(), by_id);
    }

    #[test]
    fn what_is_not_set_takes_no_room() {
        let state = State::new(&client(ApiVersion::V3), Flow::MagiclinkRegistration);
        assert_eq!(
            serde_json::to_string(&state).unwrap(),
            r#"{"v":1,"api":"v3","flow":"magiclink_registration"}"#
        );
        assert!(state.id().is_nil());
    }

    #[test]
    fn a_state_is_taken_by_its_own_flow_only() {
        for (number, flow) in SIGN_INS.iter().enumerate() {
            let mut json = full();
            json["flow"] = json!(flow);
            let (taken, errors) = read(&json);
            assert_eq!(taken, [number]);
            assert_eq!(errors.len(), 2);
            for error in errors {
                assert!(error.contains("of another flow"), "{error}");
                for value in ["ada", "t0k3n", "n0nc3", "aa-s1g", "203.0.113.7"] {
                    assert!(!error.contains(value), "{error}");
                }
            }
        }
        for flow in [
            "authenticator_registration",
            "webauthn_registration",
            "magiclink_registration",
        ] {
            let mut json = full();
            json["flow"] = json!(flow);
            assert!(read(&json).0.is_empty());
        }
    }

    #[test]
    fn another_format_is_refused_without_being_repeated() {
        for format in [0, 2, 255] {
            let mut json = full();
            json["v"] = json!(format);
            let (taken, errors) = read(&json);
            assert!(taken.is_empty());
            for error in errors {
                assert!(error.contains("of another format"), "{error}");
                assert!(!error.contains("t0k3n") && !error.contains("ada"));
            }
        }
        for (key, value) in [
            ("v", json!(256)),
            ("v", json!(-1)),
            ("v", json!("1")),
            ("v", json!(null)),
            ("api", json!("v5")),
            ("api", json!(null)),
            ("flow", json!("another")),
        ] {
            let mut json = full();
            json[key] = value;
            assert!(read(&json).0.is_empty(), "{json}");
            json.as_object_mut().unwrap().remove(key);
            assert!(read(&json).0.is_empty(), "{json}");
        }
    }

    #[test]
    fn a_state_is_ended_under_its_own_version_only() {
        for began in [ApiVersion::V3, ApiVersion::V4] {
            for ends in [ApiVersion::V3, ApiVersion::V4] {
                let state = State::new(&client(began), Flow::WebauthnSignIn);
                match state.check(&client(ends)) {
                    Ok(()) => assert_eq!(began, ends),
                    Err(error) => {
                        assert_ne!(began, ends);
                        assert_eq!(error.kind(), ErrorKind::InvalidInput);
                        assert!(!error.may_have_been_sent());
                    }
                }
            }
        }
    }

    #[test]
    fn debug_shows_no_value_that_matters() {
        let pending: PendingAuthenticator = serde_json::from_value(full()).unwrap();
        assert_eq!(
            format!("{pending:?}"),
            format!(
                "PendingAuthenticator {{ version: V4, id: Some({ID}), \
                 user: Some(Username(Private(..))), .. }}"
            )
        );
    }
}
