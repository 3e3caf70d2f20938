//! What a sign-in or a registration must remember between its beginning and
//! its end, and how that is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wait::{RegistrationWatch, USUAL_LIFE};
use crate::client::Client;
use crate::error::Error;
use crate::registrations::MagiclinkEmailRegistrationType;
use crate::request::ApiVersion;
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
        serialize_with = "Secret::on_the_wire",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) token: Option<Secret>,
    #[serde(
        default,
        serialize_with = "Secret::on_the_wire",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) nonce: Option<Secret>,
    /// `aa_guid` or `aa_sig`.
    #[serde(
        default,
        serialize_with = "Secret::on_the_wire",
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
