//! [`Fault`]: failures on demand.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Endpoint, Private, emulator::message::Response};

/// A failure on demand.
///
/// A constructor chooses the failure, [`on`](Self::on) the endpoint and
/// [`times`](Self::times) the number of calls.
/// [`Emulator::fault`](crate::emulator::Emulator::fault) adds the fault:
///
/// ```
/// use autharmor::emulator::{Emulator, Fault};
///
/// let emulator = Emulator::start()?;
/// emulator.fault(Fault::status(503).retry_after("2").on("get_user").times(3));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    target: String,
    left: Option<u32>,
    /// `None`: depends on the kind.
    processed: Option<bool>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Status {
        status: u16,
        retry_after: Option<String>,
        /// Content type and text. The text may repeat what a client sent.
        body: Option<(String, Private)>,
    },
    Latency(Duration),
    DropBeforeResponse,
    DropInResponse,
    Garbage,
    TruncatedBody,
    BrokenChunks,
    SlowBody(Duration),
    ExpiredToken,
    OtherUser,
}

impl Fault {
    fn new(kind: Kind) -> Self {
        Self {
            target: "*".to_owned(),
            left: None,
            processed: None,
            kind,
        }
    }

    /// Responds with this status, and without a body unless
    /// [`body`](Self::body) sets one. The call has no effect.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(Kind::Status {
            status,
            retry_after: None,
            body: None,
        })
    }

    /// Delays the call, which is then processed as usual or meets the next
    /// fault.
    #[must_use]
    pub fn latency(time: Duration) -> Self {
        Self::new(Kind::Latency(time))
    }

    /// Reads the request and closes the connection without a response. The call
    /// has no effect.
    #[must_use]
    pub fn drop_before_response() -> Self {
        Self::new(Kind::DropBeforeResponse)
    }

    /// Closes the connection in the middle of the response's head. The call has
    /// its effect.
    #[must_use]
    pub fn drop_in_response() -> Self {
        Self::new(Kind::DropInResponse)
    }

    /// Responds with bytes that are not HTTP. The call has its effect.
    #[must_use]
    pub fn garbage() -> Self {
        Self::new(Kind::Garbage)
    }

    /// Responds with a body that is shorter than its `Content-Length`. The call
    /// has its effect.
    #[must_use]
    pub fn truncated_body() -> Self {
        Self::new(Kind::TruncatedBody)
    }

    /// Responds in chunks, the second of which is malformed. The call has its
    /// effect.
    #[must_use]
    pub fn broken_chunks() -> Self {
        Self::new(Kind::BrokenChunks)
    }

    /// Sends the head of the response at once and its body in ten pieces over this
    /// time. The call has its effect.
    #[must_use]
    pub fn slow_body(time: Duration) -> Self {
        Self::new(Kind::SlowBody(time))
    }

    /// Responds about another user: `user_id`, `username` and `email_address` are
    /// those of the first user with another id, or of nobody if there is none. The
    /// call has its effect, for the user that it was made for.
    #[must_use]
    pub fn other_user() -> Self {
        Self::new(Kind::OtherUser)
    }

    /// Revokes the access token of the call before it is checked. Calls of the
    /// token endpoint are not affected.
    #[must_use]
    pub fn expired_token() -> Self {
        Self::new(Kind::ExpiredToken)
    }

    /// Responds with 503 at the token endpoint alone.
    #[must_use]
    pub fn token_endpoint_down() -> Self {
        Self::status(503).on("token")
    }

    /// Sets the `Retry-After` header of [`status`](Self::status). Any text is
    /// sent as it is. Defaults to none.
    #[must_use]
    pub fn retry_after(mut self, value: impl Into<String>) -> Self {
        if let Kind::Status { retry_after, .. } = &mut self.kind {
            *retry_after = Some(value.into());
        }
        self
    }

    /// Sets the body of [`status`](Self::status) and its content type. Defaults
    /// to none.
    #[must_use]
    pub fn body(mut self, content_type: impl Into<String>, text: impl Into<String>) -> Self {
        if let Kind::Status { body, .. } = &mut self.kind {
            *body = Some((content_type.into(), Private::from(text.into())));
        }
        self
    }

    /// Sets the endpoint that fails: a name such as `get_user`, `token`, or `*`
    /// for every endpoint. Defaults to `*`.
    #[must_use]
    pub fn on(mut self, endpoint: impl Into<String>) -> Self {
        self.target = endpoint.into();
        self
    }

    /// Sets how many calls fail. Defaults to every call until the faults are
    /// cleared.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.left = Some(calls);
        self
    }

    /// Sets whether the call has its effect: `false` is a lost request, `true` a
    /// lost response. Defaults to what the constructor says.
    #[must_use]
    pub fn processed(mut self, processed: bool) -> Self {
        self.processed = Some(processed);
        self
    }
}

/// The names of endpoints that faults and rate limits can have.
pub(super) fn targets() -> impl Iterator<Item = &'static str> {
    let names = Endpoint::ALL.iter().map(|endpoint| endpoint.name());
    names.chain(["token", "discovery", "keys"])
}

/// Whether a fault or a rate limit with this name has an effect.
pub(super) fn is_target(name: &str) -> bool {
    name == "*" || targets().any(|target| target == name)
}

/// The body of the control route for faults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultSpec {
    kind: String,
    endpoint: Option<String>,
    times: Option<u32>,
    processed: Option<bool>,
    status: Option<u16>,
    retry_after: Option<String>,
    content_type: Option<String>,
    body: Option<String>,
    milliseconds: Option<u64>,
}

impl TryFrom<FaultSpec> for Fault {
    type Error = String;

    fn try_from(spec: FaultSpec) -> Result<Self, String> {
        let mut fault = match spec.kind.as_str() {
            "status" => {
                let status = spec.status.filter(|status| (200..=599).contains(status));
                Self::status(status.ok_or("status must be from 200 to 599")?)
            }
            "latency" => Self::latency(Duration::from_millis(
                spec.milliseconds.ok_or("milliseconds is required")?,
            )),
            "drop_before_response" => Self::drop_before_response(),
            "drop_in_response" => Self::drop_in_response(),
            "garbage" => Self::garbage(),
            "truncated_body" => Self::truncated_body(),
            "broken_chunks" => Self::broken_chunks(),
            "slow_body" => Self::slow_body(Duration::from_millis(
                spec.milliseconds.ok_or("milliseconds is required")?,
            )),
            "expired_token" => Self::expired_token(),
            "other_user" => Self::other_user(),
            _ => return Err("unknown kind of fault".to_owned()),
        };
        if let Some(value) = spec.retry_after {
            fault = fault.retry_after(value);
        }
        if let Some(text) = spec.body {
            let content_type = spec.content_type.as_deref().unwrap_or("application/json");
            fault = fault.body(content_type, text);
        }
        if let Some(endpoint) = spec.endpoint {
            fault = fault.on(endpoint);
        }
        fault.left = spec.times;
        fault.processed = spec.processed;
        if is_target(&fault.target) {
            Ok(fault)
        } else {
            Err("unknown endpoint".to_owned())
        }
    }
}

/// The active faults, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

/// The effect of the faults on one call.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) latencies: Vec<Duration>,
    /// The kind of the fault that makes the call fail.
    pub(crate) kind: Option<&'static str>,
    pub(crate) expires_token: bool,
    /// Whether the response is about another user.
    pub(crate) other_user: bool,
    /// The response instead of the call's own.
    pub(crate) replacement: Option<Response>,
    /// Whether the call has its effect.
    pub(crate) processed: bool,
    pub(crate) damage: Damage,
}

/// The damage that the server does to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    None,
    DropBefore,
    DropIn,
    Garbage,
    Truncate,
    BreakChunks,
    SlowBody(Duration),
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn describe(&self) -> Vec<Value> {
        self.0
            .iter()
            .map(|fault| {
                json!({
                    "kind": fault.kind.name(),
                    "endpoint": fault.target,
                    "times": fault.left,
                })
            })
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Applies the faults of this call: every latency, and the first of the
    /// others.
    pub(crate) fn plan(&mut self, endpoint: &str) -> Option<Plan> {
        if self.0.is_empty() {
            return None;
        }
        let mut plan = Plan {
            latencies: Vec::new(),
            kind: None,
            expires_token: false,
            other_user: false,
            replacement: None,
            processed: true,
            damage: Damage::None,
        };
        let mut applied = false;
        let mut failed = false;
        for fault in &mut self.0 {
            let matches = fault.target == "*" || fault.target == endpoint;
            if !matches || fault.left == Some(0) {
                continue;
            }
            match (&fault.kind, failed) {
                (Kind::Latency(time), _) => plan.latencies.push(*time),
                (Kind::ExpiredToken, false) if endpoint == "token" => continue,
                (_, true) => continue,
                (kind, false) => {
                    failed = true;
                    plan.kind = Some(kind.name());
                    plan.expires_token = matches!(kind, Kind::ExpiredToken);
                    plan.other_user = matches!(kind, Kind::OtherUser);
                    plan.processed = fault.processed.unwrap_or(!matches!(
                        kind,
                        Kind::Status { .. } | Kind::DropBeforeResponse
                    ));
                    plan.replacement = kind.replacement();
                    plan.damage = kind.damage();
                }
            }
            applied = true;
            fault.left = fault.left.map(|left| left.saturating_sub(1));
        }
        self.0.retain(|fault| fault.left != Some(0));
        applied.then_some(plan)
    }
}

impl Kind {
    const fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Latency(_) => "latency",
            Self::DropBeforeResponse => "drop_before_response",
            Self::DropInResponse => "drop_in_response",
            Self::Garbage => "garbage",
            Self::TruncatedBody => "truncated_body",
            Self::BrokenChunks => "broken_chunks",
            Self::SlowBody(_) => "slow_body",
            Self::ExpiredToken => "expired_token",
            Self::OtherUser => "other_user",
        }
    }

    fn replacement(&self) -> Option<Response> {
        let Self::Status {
            status,
            retry_after,
            body,
        } = self
        else {
            return None;
        };
        let mut response = Response::empty(*status);
        if let Some(value) = retry_after {
            response = response.with_header("retry-after", value);
        }
        if let Some((content_type, text)) = body {
            response = response.with_header("content-type", content_type);
            response.body = text.as_bytes().to_vec();
        }
        Some(response)
    }

    const fn damage(&self) -> Damage {
        match self {
            Self::Status { .. } | Self::Latency(_) | Self::ExpiredToken | Self::OtherUser => {
                Damage::None
            }
            Self::DropBeforeResponse => Damage::DropBefore,
            Self::DropInResponse => Damage::DropIn,
            Self::Garbage => Damage::Garbage,
            Self::TruncatedBody => Damage::Truncate,
            Self::BrokenChunks => Damage::BreakChunks,
            Self::SlowBody(time) => Damage::SlowBody(*time),
        }
    }
}

/// Replaces every user of a response by the first of `users` that it is not
/// about.
pub(crate) fn replace_user<'a>(
    response: &mut Response,
    mut users: impl Iterator<Item = (Uuid, &'a str, Option<&'a str>)>,
) {
    let Ok(mut body) = serde_json::from_slice(&response.body) else {
        return;
    };
    let about = first_user(&body).map(str::to_owned);
    let other = users
        .find(|(id, ..)| Some(id.to_string()) != about)
        .unwrap_or((Uuid::max(), "nobody", None));
    replace(&mut body, other);
    response.body = body.to_string().into_bytes();
}

/// The first `user_id` in a response.
fn first_user(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) => match fields.get("user_id").and_then(Value::as_str) {
            Some(id) => Some(id),
            None => fields.values().find_map(first_user),
        },
        Value::Array(items) => items.iter().find_map(first_user),
        _ => None,
    }
}

fn replace(value: &mut Value, other: (Uuid, &str, Option<&str>)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "user_id" => *value = json!(other.0),
                    "username" => *value = json!(other.1),
                    "email_address" => *value = json!(other.2),
                    _ => replace(value, other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, other)),
        _ => {}
    }
}
