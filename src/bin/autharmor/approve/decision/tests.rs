use super::Outcome::*;
use super::*;

/// The decisions: let in, enrol, or refuse with an exit status.
const IN: Option<u8> = Some(0);
const ENROL: Option<u8> = None;
const NO: Option<u8> = Some(1);
const NO_CONFIG: Option<u8> = Some(3);
const NO_SERVICE: Option<u8> = Some(4);

/// For each outcome, the decision under each pair of settings, in the order of
/// [`SETTINGS`], and how each reason begins.
#[rustfmt::skip]
const TABLE: &[(Outcome, &str, [Option<u8>; 6])] = &[
    (Approved,      "approved",                      [IN, IN, IN, IN, IN, IN]),
    (Exempt,        "exempt",                        [IN, IN, IN, IN, IN, IN]),
    (Declined,      "declined",                      [NO, NO, NO, NO, NO, NO]),
    (Silent,        "no response",                   [NO, NO, NO, NO, NO, NO]),
    (TooLate,       "approved too late",             [NO, NO, NO, NO, NO, NO]),
    (Refused,       "refused by the service",        [NO, NO, NO, NO, NO, NO]),
    (WrongUser,     "response about another user",   [NO, NO, NO, NO, NO, NO]),
    (Misconfigured, "wrong configuration",           [NO_CONFIG; 6]),
    (ProxyRefused,  "refused by the proxy",          [NO, NO, NO, NO, NO, NO]),
    (Unreachable,   "service not reachable",         [NO_SERVICE, NO_SERVICE, NO_SERVICE, IN, IN, IN]),
    (Lost,          "service not reachable after",   [NO_SERVICE; 6]),
    (NoApp,         "user without the app",          [NO, IN, ENROL, NO, IN, ENROL]),
    (NoUser,        "no user for this login",        [NO, IN, NO, NO, IN, NO]),
    (NotEnrolled,   "app not enrolled",              [NO, NO, NO, NO, NO, NO]),
    (Interrupted,   "interrupted",                   [NO, NO, NO, NO, NO, NO]),
    (Broken,        "failure on this machine",       [NO, NO, NO, NO, NO, NO]),
];

const SETTINGS: [(Failmode, Unenrolled); 6] = [
    (Failmode::Secure, Unenrolled::Deny),
    (Failmode::Secure, Unenrolled::Allow),
    (Failmode::Secure, Unenrolled::Enrol),
    (Failmode::Safe, Unenrolled::Deny),
    (Failmode::Safe, Unenrolled::Allow),
    (Failmode::Safe, Unenrolled::Enrol),
];

#[test]
fn who_gets_in() {
    for (outcome, reason, row) in TABLE {
        for (cell, (failmode, unenrolled)) in row.iter().zip(SETTINGS) {
            let case = format!("{outcome:?}, {failmode:?}, {unenrolled:?}");
            let decision = decide(*outcome, failmode, unenrolled);
            let found = match decision.verdict {
                Verdict::Admit => IN,
                Verdict::Enrol => ENROL,
                Verdict::Refuse(status) => Some(status),
            };
            assert_eq!(found, *cell, "{case}");
            // The setting that lets somebody in is named.
            let setting = match (cell, outcome) {
                (&IN, Unreachable) => ", and failmode is safe",
                (&IN, NoApp | NoUser) => ", and unenrolled is allow",
                _ => "",
            };
            let found = decision.reason.strip_suffix(setting);
            let rest = found.and_then(|found| found.strip_prefix(reason));
            let rest = rest.unwrap_or_else(|| panic!("{case}: {}", decision.reason));
            assert_eq!(
                rest,
                if *outcome == Lost { " the request" } else { "" },
                "{case}"
            );
        }
    }
}

#[test]
fn a_refusal_never_has_the_exit_status_of_success() {
    for (_, _, row) in TABLE {
        assert!(
            row.iter().all(|cell| *cell != Some(2)),
            "2 is of usage errors"
        );
    }
    for (outcome, ..) in TABLE {
        for (failmode, unenrolled) in SETTINGS {
            let decision = decide(*outcome, failmode, unenrolled);
            assert_ne!(decision.verdict, Verdict::Refuse(0), "{outcome:?}");
        }
    }
}

#[test]
fn the_table_has_every_outcome_once() {
    // The compiler asks for a new outcome to be added here.
    let number = |outcome| match outcome {
        Approved => 0,
        Exempt => 1,
        Declined => 2,
        Silent => 3,
        TooLate => 4,
        Refused => 5,
        WrongUser => 6,
        Misconfigured => 7,
        ProxyRefused => 8,
        Unreachable => 9,
        Lost => 10,
        NoApp => 11,
        NoUser => 12,
        NotEnrolled => 13,
        Interrupted => 14,
        Broken => 15,
    };
    let numbers: Vec<usize> = TABLE.iter().map(|row| number(row.0)).collect();
    assert_eq!(numbers, (0..16).collect::<Vec<_>>());
}

#[test]
fn only_an_outage_before_the_person_was_asked_counts_as_unreachable() {
    use Stage::{AfterAsking, BeforeAsking};
    for (kind, before, after) in [
        (ErrorKind::Config, Misconfigured, Refused),
        (ErrorKind::InvalidInput, Misconfigured, Refused),
        (ErrorKind::UsernameInUrl, Misconfigured, Refused),
        (ErrorKind::Auth, Misconfigured, Refused),
        (ErrorKind::Unauthorized, Misconfigured, Refused),
        (ErrorKind::Forbidden, Misconfigured, Refused),
        (ErrorKind::NotFound, Refused, Refused),
        (ErrorKind::RateLimited, Refused, Refused),
        (ErrorKind::Api, Refused, Refused),
        (ErrorKind::Unavailable, Unreachable, Lost),
        (ErrorKind::Dns, Unreachable, Lost),
        (ErrorKind::Connect, Unreachable, Lost),
        (ErrorKind::Proxy, ProxyRefused, ProxyRefused),
        (ErrorKind::Tls, Refused, Refused),
        (ErrorKind::Timeout, Unreachable, Lost),
        (ErrorKind::Transport, Unreachable, Lost),
        (ErrorKind::Protocol, Refused, Refused),
        (ErrorKind::Decode, Refused, Refused),
        (ErrorKind::Mismatch, WrongUser, WrongUser),
    ] {
        assert_eq!(
            outcome_of_error(BeforeAsking, kind, Cause::Other),
            before,
            "{kind}"
        );
        assert_eq!(
            outcome_of_error(AfterAsking, kind, Cause::Other),
            after,
            "{kind}"
        );
        for stage in [BeforeAsking, AfterAsking] {
            assert_eq!(
                outcome_of_error(stage, kind, Cause::Shortage),
                Broken,
                "{kind}"
            );
        }
        if kind != ErrorKind::Proxy {
            assert_eq!(
                outcome_of_error(BeforeAsking, kind, Cause::NoConnection),
                before,
                "{kind}"
            );
        }
    }
    assert_eq!(
        outcome_of_error(BeforeAsking, ErrorKind::Proxy, Cause::NoConnection),
        Unreachable
    );
    assert_eq!(
        outcome_of_error(AfterAsking, ErrorKind::Proxy, Cause::NoConnection),
        Lost
    );
}
