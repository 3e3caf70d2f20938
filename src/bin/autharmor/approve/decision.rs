//! [`decide`]: who gets in.

use autharmor::ErrorKind;

use super::settings::{Failmode, Unenrolled};

/// How asking a person has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The person approved, and the service has verified it.
    Approved,
    /// The configuration exempts the person.
    Exempt,
    Declined,
    /// The person did not respond in time.
    Silent,
    /// The person approved, but too late to be verified.
    TooLate,
    /// The service refused the request or the sign-in, or its response cannot
    /// be trusted.
    Refused,
    /// The response is about another user or request.
    WrongUser,
    /// A setting is missing or wrong, or the service does not accept the
    /// credentials.
    Misconfigured,
    /// The proxy refused to connect to the service.
    ProxyRefused,
    /// The service failed before the person could have responded.
    Unreachable,
    /// The service failed after the person was asked: the response is unknown.
    Lost,
    /// The user does not have the app, as the service says.
    NoApp,
    /// No Auth Armor user belongs to the login name.
    NoUser,
    /// The user was to enrol, and did not.
    NotEnrolled,
    /// A signal, or a closed terminal.
    Interrupted,
    /// The program could not do its work on this machine.
    Broken,
}

/// A decision, and the reason for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Admit,
    /// The user enrols first. Then the question is asked again.
    Enrol,
    /// Not let in. The number is the exit status.
    Refuse(u8),
}

/// Decides who gets in. Nothing else does.
///
/// | outcome | let in |
/// | --- | --- |
/// | [`Approved`](Outcome::Approved), [`Exempt`](Outcome::Exempt) | always |
/// | [`Unreachable`](Outcome::Unreachable) | if `failmode` is `safe` |
/// | [`NoApp`](Outcome::NoApp), [`NoUser`](Outcome::NoUser) | if `unenrolled` is `allow` |
/// | all others | never |
pub(crate) fn decide(outcome: Outcome, failmode: Failmode, unenrolled: Unenrolled) -> Decision {
    use Verdict::{Admit, Enrol, Refuse};
    let (verdict, reason) = match outcome {
        Outcome::Approved => (Admit, "approved"),
        Outcome::Exempt => (Admit, "exempt"),
        Outcome::Declined => (Refuse(1), "declined"),
        Outcome::Silent => (Refuse(1), "no response"),
        Outcome::TooLate => (Refuse(1), "approved too late"),
        Outcome::Refused => (Refuse(1), "refused by the service"),
        Outcome::WrongUser => (Refuse(1), "response about another user"),
        Outcome::Misconfigured => (Refuse(3), "wrong configuration"),
        Outcome::ProxyRefused => (Refuse(1), "refused by the proxy"),
        Outcome::Unreachable => match failmode {
            Failmode::Secure => (Refuse(4), "service not reachable"),
            Failmode::Safe => (Admit, "service not reachable, and failmode is safe"),
        },
        Outcome::Lost => (Refuse(4), "service not reachable after the request"),
        Outcome::NoApp => match unenrolled {
            Unenrolled::Deny => (Refuse(1), "user without the app"),
            Unenrolled::Allow => (Admit, "user without the app, and unenrolled is allow"),
            Unenrolled::Enrol => (Enrol, "user without the app"),
        },
        // Nobody knows as whom this person would enrol.
        Outcome::NoUser => match unenrolled {
            Unenrolled::Deny | Unenrolled::Enrol => (Refuse(1), "no user for this login"),
            Unenrolled::Allow => (Admit, "no user for this login, and unenrolled is allow"),
        },
        Outcome::NotEnrolled => (Refuse(1), "app not enrolled"),
        Outcome::Interrupted => (Refuse(1), "interrupted"),
        Outcome::Broken => (Refuse(1), "failure on this machine"),
    };
    Decision { verdict, reason }
}

/// How far the sign-in was when an error ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The service has not confirmed that it has sent a push notification. If
    /// it has sent one nevertheless, no response to it could be verified.
    BeforeAsking,
    /// The person may have responded.
    AfterAsking,
}

/// The failure of the system behind an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// No connection could be made. So a proxy has not said anything.
    NoConnection,
    /// This machine or this process lacks something, such as memory. Whoever
    /// has an account here may have used it up.
    Shortage,
    Other,
}

/// Returns the outcome of a sign-in that ended with an error.
pub(crate) fn outcome_of_error(stage: Stage, kind: ErrorKind, cause: Cause) -> Outcome {
    let is_outage = match kind {
        ErrorKind::Unavailable
        | ErrorKind::Dns
        | ErrorKind::Connect
        | ErrorKind::Timeout
        | ErrorKind::Transport => true,
        ErrorKind::Proxy => cause == Cause::NoConnection,
        // A 429 is a refusal that anybody can provoke. A failure of TLS, of HTTP
        // or of JSON is the work of somebody else than the service.
        _ => false,
    };
    match (kind, stage) {
        _ if cause == Cause::Shortage => Outcome::Broken,
        (_, Stage::BeforeAsking) if is_outage => Outcome::Unreachable,
        (_, Stage::AfterAsking) if is_outage => Outcome::Lost,
        (ErrorKind::Proxy, _) => Outcome::ProxyRefused,
        (ErrorKind::Mismatch, _) => Outcome::WrongUser,
        (
            ErrorKind::Config
            | ErrorKind::InvalidInput
            | ErrorKind::UsernameInUrl
            | ErrorKind::Auth
            | ErrorKind::Unauthorized
            | ErrorKind::Forbidden,
            Stage::BeforeAsking,
        ) => Outcome::Misconfigured,
        _ => Outcome::Refused,
    }
}

#[cfg(test)]
mod tests;
