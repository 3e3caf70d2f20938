//! [`Expect`]: how a call must end and what it may cost.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use autharmor::{Error, ErrorKind};

use super::calls::Outcome;
use super::harness::Counts;
use super::secrets::{all_text, assert_no_secrets};

/// How a call must end and what it may cost.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    end: End,
    /// Requests that reach the API: of a read, and of a call that must be sent
    /// only once.
    requests: [usize; 2],
    pub(crate) tokens: usize,
    /// How many calls are made that must be sent only once.
    calls: usize,
    /// The numbers of requests are upper bounds.
    pub(crate) is_at_most: bool,
    says: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum End {
    Good(Outcome),
    Fails(Failure),
}

#[derive(Clone, Debug)]
struct Failure {
    kind: ErrorKind,
    status: Option<u16>,
    code: Option<&'static str>,
    has_any_code: bool,
    tracking_id: Option<&'static str>,
    retry_after: Option<Duration>,
    sent: bool,
    cause: Cause,
}

/// The type of an error's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    None,
    Io,
    Tls,
    Other,
}

pub(crate) fn served() -> Expect {
    Expect {
        end: End::Good(Outcome::Served),
        requests: [1, 1],
        tokens: 0,
        calls: 1,
        is_at_most: false,
        says: None,
    }
}

pub(crate) fn not_authorized() -> Expect {
    Expect {
        end: End::Good(Outcome::NotAuthorized),
        ..served()
    }
}

/// Fails after one request, which may have been sent.
pub(crate) fn fails(kind: ErrorKind) -> Expect {
    let failure = Failure {
        kind,
        status: None,
        code: None,
        has_any_code: false,
        tracking_id: None,
        retry_after: None,
        sent: true,
        cause: Cause::None,
    };
    Expect {
        end: End::Fails(failure),
        ..served()
    }
}

impl Expect {
    fn failure(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        match &mut self.end {
            End::Fails(failure) => change(failure),
            End::Good(outcome) => panic!("{outcome:?} is no failure"),
        }
        self
    }

    pub(crate) fn status(self, status: u16) -> Self {
        self.failure(|failure| failure.status = Some(status))
    }

    pub(crate) fn code(self, code: &'static str) -> Self {
        self.failure(|failure| failure.code = Some(code))
    }

    /// The code does not matter.
    pub(crate) fn any_code(self) -> Self {
        self.failure(|failure| failure.has_any_code = true)
    }

    pub(crate) fn tracking_id(self, id: &'static str) -> Self {
        self.failure(|failure| failure.tracking_id = Some(id))
    }

    pub(crate) fn retry_after(self, after: Duration) -> Self {
        self.failure(|failure| failure.retry_after = Some(after))
    }

    pub(crate) fn caused_by(self, cause: Cause) -> Self {
        self.failure(|failure| failure.cause = cause)
    }

    /// No request reaches the API.
    pub(crate) fn unsent(self) -> Self {
        self.refused().requests(0, 0)
    }

    /// The API refuses the request before it does anything.
    pub(crate) fn refused(self) -> Self {
        self.failure(|failure| failure.sent = false)
    }

    /// The number of requests to the API: of a read, and of a call that must
    /// be sent only once.
    pub(crate) fn requests(mut self, read: usize, once: usize) -> Self {
        self.requests = [read, once];
        self
    }

    pub(crate) fn tokens(mut self, tokens: usize) -> Self {
        self.tokens = tokens;
        self
    }

    /// The flow makes this many different calls that must be sent only once, and
    /// each of them is sent.
    pub(crate) fn calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self.requests(calls, calls)
    }

    /// The numbers of requests are upper bounds.
    pub(crate) fn at_most(mut self) -> Self {
        self.is_at_most = true;
        self
    }

    /// Asserts the number of requests to the API or to the token endpoint.
    pub(crate) fn check_count(&self, context: &str, found: usize, expected: usize) {
        if self.is_at_most {
            assert!(found <= expected, "{context}: {found}, at most {expected}");
        } else {
            assert_eq!(found, expected, "{context}");
        }
    }

    /// The text of the error contains this.
    pub(crate) fn says(mut self, text: &'static str) -> Self {
        self.says = Some(text);
        self
    }

    /// The same fault at the token endpoint: the call itself is not sent.
    pub(crate) fn at_login(mut self) -> Self {
        match &mut self.end {
            End::Fails(failure) => {
                failure.sent = false;
                self.tokens = self.requests[0];
                self.requests = [0, 0];
            }
            End::Good(_) => self.tokens = 1,
        }
        self
    }

    pub(crate) fn requests_of(&self, is_read: bool) -> usize {
        self.requests[usize::from(!is_read)]
    }

    /// Asserts what a single result can show of the invariants.
    pub(crate) fn check(
        &self,
        context: &str,
        result: &Result<Outcome, Error>,
        counts: Counts,
        is_read: bool,
    ) {
        // I3, before anything else prints the error.
        if let Err(error) = result {
            assert_no_secrets(context, &all_text(error));
        }
        if !is_read {
            assert!(counts.acted_on <= self.calls, "I4: {context}: {counts:?}");
        }
        if matches!(result, Ok(Outcome::Served)) {
            let granted = matches!(self.end, End::Good(Outcome::Served));
            assert!(granted, "I5: {context}: served, or even signed in");
        }
        assert!(counts.tokens_at_once <= 1, "I7: {context}: {counts:?}");
        // One fetch of at most three attempts, and one more after a 401.
        assert!(counts.tokens <= 4, "I7: {context}: {counts:?}");
        match (result, &self.end) {
            (Ok(outcome), End::Good(expected)) => {
                assert_eq!(outcome, expected, "I8: {context}");
            }
            (Err(error), End::Fails(failure)) => {
                failure.check(context, error);
                if !error.may_have_been_sent() {
                    assert_eq!(counts.acted_on, 0, "I8: {context}: it was sent; {error}");
                }
                let text = all_text(error);
                let says = self.says.unwrap_or_default();
                assert!(text.contains(says), "I8: {context}: no {says:?} in {text}");
            }
            (result, expected) => panic!("I8: {context}: {result:?} instead of {expected:?}"),
        }
    }
}

impl Failure {
    fn check(&self, context: &str, error: &Error) {
        assert_eq!(error.kind(), self.kind, "I8: {context}: {error}");
        let found = Failure {
            kind: error.kind(),
            status: error.status(),
            code: self.code,
            has_any_code: self.has_any_code,
            tracking_id: self.tracking_id,
            retry_after: error.retry_after(),
            sent: error.may_have_been_sent(),
            cause: cause(error),
        };
        let text = (format!("{found:?}"), format!("{self:?}"));
        assert_eq!(text.0, text.1, "I8: {context}: {error}");
        if !self.has_any_code {
            assert_eq!(error.code(), self.code, "I8: {context}: {error}");
        }
        assert_eq!(
            error.tracking_id(),
            self.tracking_id,
            "I8: {context}: {error}"
        );
        assert_eq!(
            error.is_timeout(),
            error.kind() == ErrorKind::Timeout,
            "I2: {context}"
        );
        assert!(
            error.to_string().lines().count() == 1,
            "I8: {context}: {error}"
        );
    }
}

fn cause(error: &Error) -> Cause {
    match error.source() {
        None => Cause::None,
        Some(source) if source.is::<rustls::Error>() => Cause::Tls,
        Some(source) if source.is::<io::Error>() || source.is::<Arc<io::Error>>() => Cause::Io,
        Some(_) => Cause::Other,
    }
}
