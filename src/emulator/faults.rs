//! Failures on demand.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{RecordedRequest, http::Reply, server::Outcome};
use crate::Private;

/// Something that goes wrong on purpose.
///
/// A fault is made by one of the constructors, aimed with [`on`](Self::on),
/// limited with [`times`](Self::times), and handed to
/// [`Emulator::fault`](super::Emulator::fault):
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
    /// `None`: as befits the kind.
    processed: Option<bool>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Status {
        status: u16,
        retry_after: Option<String>,
        /// Content type and text, which may repeat what a client sent.
        body: Option<(String, Private)>,
    },
    Latency(Duration),
    DropBeforeAnswer,
    DropInAnswer,
    Garbage,
    TruncatedBody,
    BrokenChunks,
    ExpiredToken,
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

    /// Answers with this status and, unless [`body`](Self::body) says
    /// otherwise, without a body. The call has no effect.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::new(Kind::Status {
            status,
            retry_after: None,
            body: None,
        })
    }

    /// Makes the call wait; then it goes on as usual, or into the next fault.
    #[must_use]
    pub fn latency(time: Duration) -> Self {
        Self::new(Kind::Latency(time))
    }

    /// Takes the request and closes the connection without a byte. The call
    /// has no effect, unless [`processed`](Self::processed) says otherwise.
    #[must_use]
    pub fn drop_before_answer() -> Self {
        Self::new(Kind::DropBeforeAnswer)
    }

    /// Closes the connection in the middle of the answer's head. The call has
    /// its effect.
    #[must_use]
    pub fn drop_in_answer() -> Self {
        Self::new(Kind::DropInAnswer)
    }

    /// Answers with bytes that are not HTTP. The call has its effect.
    #[must_use]
    pub fn garbage() -> Self {
        Self::new(Kind::Garbage)
    }

    /// Answers with a body that is shorter than announced. The call has its
    /// effect.
    #[must_use]
    pub fn truncated_body() -> Self {
        Self::new(Kind::TruncatedBody)
    }

    /// Answers in chunks of which the second is broken. The call has its
    /// effect.
    #[must_use]
    pub fn broken_chunks() -> Self {
        Self::new(Kind::BrokenChunks)
    }

    /// Lets the token of the call expire before it is looked at. Calls of the
    /// token endpoint are not affected.
    #[must_use]
    pub fn expired_token() -> Self {
        Self::new(Kind::ExpiredToken)
    }

    /// The token endpoint answers 503; the rest of the service goes on.
    #[must_use]
    pub fn token_endpoint_down() -> Self {
        Self::status(503).on("token")
    }

    /// A `Retry-After` header for [`status`](Self::status): seconds or a date,
    /// or anything else that a client should survive.
    #[must_use]
    pub fn retry_after(mut self, value: impl Into<String>) -> Self {
        if let Kind::Status { retry_after, .. } = &mut self.kind {
            *retry_after = Some(value.into());
        }
        self
    }

    /// A body for [`status`](Self::status), and its content type.
    #[must_use]
    pub fn body(mut self, content_type: impl Into<String>, text: impl Into<String>) -> Self {
        if let Kind::Status { body, .. } = &mut self.kind {
            *body = Some((content_type.into(), Private::from(text.into())));
        }
        self
    }

    /// The endpoint that fails: a name such as `get_user`, `token`, or `*` for
    /// all of them. Defaults to `*`.
    #[must_use]
    pub fn on(mut self, endpoint: impl Into<String>) -> Self {
        self.target = endpoint.into();
        self
    }

    /// How many calls fail. Defaults to every call, until the faults are
    /// cleared.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.left = Some(calls);
        self
    }

    /// Whether the call has its effect although its answer is spoilt: the
    /// difference between a request that was lost and an answer that was.
    #[must_use]
    pub fn processed(mut self, processed: bool) -> Self {
        self.processed = Some(processed);
        self
    }

    /// Whether the fault can ever strike: its target has to exist.
    pub(super) fn target_exists(&self) -> bool {
        self.target == "*"
            || self.target == "token"
            || super::routes::Endpoint::ALL
                .iter()
                .any(|endpoint| endpoint.name() == self.target)
    }
}

/// A fault as the control route takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultSpec {
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
                Self::status(status.ok_or("status has to be from 200 to 599")?)
            }
            "latency" => Self::latency(Duration::from_millis(
                spec.milliseconds.ok_or("milliseconds are missing")?,
            )),
            "drop_before_answer" => Self::drop_before_answer(),
            "drop_in_answer" => Self::drop_in_answer(),
            "garbage" => Self::garbage(),
            "truncated_body" => Self::truncated_body(),
            "broken_chunks" => Self::broken_chunks(),
            "expired_token" => Self::expired_token(),
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
        if fault.target_exists() {
            Ok(fault)
        } else {
            Err("unknown endpoint".to_owned())
        }
    }
}

/// The faults that are waiting, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

/// What becomes of one call.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) latencies: Vec<Duration>,
    pub(super) expires_token: bool,
    /// Whether the call has its effect.
    pub(super) processed: bool,
    pub(super) damage: Damage,
}

#[derive(Debug)]
pub(super) enum Damage {
    None,
    Instead(Reply),
    DropBefore,
    DropIn,
    Garbage,
    Truncate,
    BreakChunks,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn describe(&self) -> Vec<Value> {
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

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Uses up what is meant for this call: every latency, and the first of
    /// the others.
    pub(super) fn plan(&mut self, endpoint: &str) -> Option<Plan> {
        if self.0.is_empty() {
            return None;
        }
        let mut plan = Plan {
            latencies: Vec::new(),
            expires_token: false,
            processed: true,
            damage: Damage::None,
        };
        let mut struck = false;
        let mut spoilt = false;
        for fault in &mut self.0 {
            let meant = fault.target == "*" || fault.target == endpoint;
            if !meant || fault.left == Some(0) {
                continue;
            }
            match (&fault.kind, spoilt) {
                (Kind::Latency(time), _) => plan.latencies.push(*time),
                (Kind::ExpiredToken, false) if endpoint == "token" => continue,
                (_, true) => continue,
                (kind, false) => {
                    spoilt = true;
                    plan.expires_token = matches!(kind, Kind::ExpiredToken);
                    plan.processed = fault.processed.unwrap_or(!matches!(
                        kind,
                        Kind::Status { .. } | Kind::DropBeforeAnswer
                    ));
                    plan.damage = kind.damage();
                }
            }
            struck = true;
            fault.left = fault.left.map(|left| left.saturating_sub(1));
        }
        self.0.retain(|fault| fault.left != Some(0));
        struck.then_some(plan)
    }
}

impl Kind {
    const fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Latency(_) => "latency",
            Self::DropBeforeAnswer => "drop_before_answer",
            Self::DropInAnswer => "drop_in_answer",
            Self::Garbage => "garbage",
            Self::TruncatedBody => "truncated_body",
            Self::BrokenChunks => "broken_chunks",
            Self::ExpiredToken => "expired_token",
        }
    }

    fn damage(&self) -> Damage {
        match self {
            Self::Status {
                status,
                retry_after,
                body,
            } => {
                let mut reply = Reply::empty(*status);
                if let Some(value) = retry_after {
                    reply = reply.with("retry-after", value);
                }
                if let Some((content_type, text)) = body {
                    reply = reply.with("content-type", content_type);
                    reply.body = text.as_bytes().to_vec();
                }
                Damage::Instead(reply)
            }
            Self::Latency(_) | Self::ExpiredToken => Damage::None,
            Self::DropBeforeAnswer => Damage::DropBefore,
            Self::DropInAnswer => Damage::DropIn,
            Self::Garbage => Damage::Garbage,
            Self::TruncatedBody => Damage::Truncate,
            Self::BrokenChunks => Damage::BreakChunks,
        }
    }
}

impl Damage {
    /// Spoils an answer; a call that was not processed has an empty one.
    pub(super) fn apply(&self, processed: Option<Reply>, request: &RecordedRequest) -> Outcome {
        let mut reply = processed.unwrap_or_else(|| Reply::empty(200));
        let head_only = request.method() == "HEAD";
        match self {
            Self::None => Outcome::Answer(reply),
            Self::Instead(instead) => Outcome::Answer(instead.clone()),
            Self::DropBefore => Outcome::Break(Vec::new()),
            Self::DropIn => {
                let mut bytes = reply.encode(true, head_only);
                bytes.truncate(24);
                Outcome::Break(bytes)
            }
            Self::Garbage => {
                let mut bytes: Vec<u8> = (0_u8..=255).rev().collect();
                bytes.extend_from_slice(b"\r\n\r\n");
                Outcome::Close(bytes)
            }
            Self::Truncate => {
                if reply.body.is_empty() {
                    reply.body = b"{}".to_vec();
                }
                let missing = reply.body.len().div_ceil(2);
                let mut bytes = reply.encode(true, false);
                bytes.truncate(bytes.len() - missing);
                Outcome::Close(bytes)
            }
            Self::BreakChunks => {
                let mut bytes = reply.head("transfer-encoding: chunked", true);
                let half = reply.body.len() / 2;
                let first = reply.body.get(..half).unwrap_or_default();
                if !first.is_empty() {
                    bytes.extend_from_slice(format!("{half:x}\r\n").as_bytes());
                    bytes.extend_from_slice(first);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"not a size\r\n");
                Outcome::Close(bytes)
            }
        }
    }
}
