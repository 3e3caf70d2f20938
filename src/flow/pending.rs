//! Pending states: what a flow keeps from its beginning to its end, and how
//! that is serialised.

use std::fmt;
use std::marker::PhantomData;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::http::{ApiVersion, Endpoint};
use crate::secret::{Private, Secret};

/// The format in which states are serialised. A state of another format is
/// refused.
const FORMAT: u8 = 1;

/// The values that one flow keeps.
pub(super) trait State {
    /// The flow's name in the serialised state.
    const FLOW: &'static str;
}

/// The state of a flow, and the API version under which the flow was begun.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "S: State + Serialize",
    deserialize = "S: State + Deserialize<'de>"
))]
pub(super) struct Pending<S> {
    // Because of `flatten`, serde reads these before any part of the state,
    // which may be quite different in another format or flow.
    #[serde(rename = "v")]
    format: Format,
    flow: Flow<S>,
    #[serde(rename = "api")]
    version: ApiVersion,
    #[serde(flatten)]
    pub(super) state: S,
}

impl<S> Pending<S> {
    pub(super) fn new(client: &Client, state: S) -> Self {
        Self {
            format: Format,
            flow: Flow(PhantomData),
            version: client.api_version(),
            state,
        }
    }

    /// Returns the state, if the client speaks the API version under which the
    /// flow was begun.
    pub(super) fn state_for(&self, client: &Client) -> Result<&S, Error> {
        if self.version == client.api_version() {
            Ok(&self.state)
        } else {
            Err(Error::invalid(format!(
                "the flow was begun under {}, but the client speaks {}",
                self.version.as_str(),
                client.api_version().as_str()
            )))
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Pending<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("version", &self.version)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The number of the format.
#[derive(Clone, Copy)]
struct Format;

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(FORMAT)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer) {
            Ok(FORMAT) => Ok(Self),
            _ => Err(D::Error::custom("a pending state of another format")),
        }
    }
}

/// The name of the flow.
struct Flow<S>(PhantomData<S>);

impl<S> Clone for Flow<S> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<S: State> Serialize for Flow<S> {
    fn serialize<R: Serializer>(&self, serializer: R) -> Result<R::Ok, R::Error> {
        serializer.serialize_str(S::FLOW)
    }
}

impl<'de, S: State> Deserialize<'de> for Flow<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer) {
            Ok(flow) if flow == S::FLOW => Ok(Self(PhantomData)),
            _ => Err(D::Error::custom("a pending state of another flow")),
        }
    }
}

/// IP address and user agent of the user's browser for the validate call: those
/// of the start call, unless the program gives those of the arriving browser.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Browser {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip_address: Option<Private>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<Private>,
}

impl Browser {
    pub(super) fn new(ip_address: Option<&str>, user_agent: Option<&str>) -> Self {
        Self {
            ip_address: ip_address.map(Private::from),
            user_agent: user_agent.map(Private::from),
        }
    }

    pub(super) fn ip_address(&self) -> Option<String> {
        self.ip_address.as_deref().map(str::to_owned)
    }

    pub(super) fn user_agent(&self) -> Option<String> {
        self.user_agent.as_deref().map(str::to_owned)
    }
}

/// Returns the validation token of a response, which must have one.
pub(super) fn required_token(token: Option<Secret>, endpoint: Endpoint) -> Result<Secret, Error> {
    token
        .filter(|token| !token.expose().is_empty())
        .ok_or_else(|| missing("the validation token", endpoint))
}

/// The error for a response that lacks a part.
pub(super) fn missing(part: &str, endpoint: Endpoint) -> Error {
    Error::new(ErrorKind::Decode, format!("{part} is missing"))
        .in_area(endpoint.name())
        .with_sent(true)
}

#[cfg(test)]
mod tests;
