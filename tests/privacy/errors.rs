//! Tests that errors show no secret, no username and no text of the server.

use std::collections::HashSet;
use std::error::Error as StdError;

use autharmor::Error;

use crate::canaries::Canaries;
use crate::failures;

#[test]
fn errors_show_no_secret_and_no_name() {
    let canaries = Canaries::all().with("other secret", "an0ther s3cr3t");
    let failures = failures::all();
    for failure in &failures {
        let (how, error) = (&failure.how, &failure.error);
        canaries.check(&error.to_string(), how);
        canaries.check_debug(error, how);
        assert!(error.to_string().lines().count() == 1, "{how}: {error}");
        check_facts(&canaries, how, error);
        check_server_message(how, error);
        let mut source = error.source();
        while let Some(cause) = source {
            canaries.check(&cause.to_string(), how);
            canaries.check(&format!("{cause:#}"), how);
            canaries.check_debug(cause, how);
            source = cause.source();
        }
    }
    let kinds: HashSet<_> = failures.iter().map(|it| it.error.kind()).collect();
    for kind in failures::KINDS {
        assert!(kinds.contains(&kind), "{kind:?} is not tested");
    }
    // The servers did echo the canaries: otherwise this test proves nothing.
    let echoes = failures
        .iter()
        .filter_map(|it| it.error.server_message())
        .filter(|message| canaries.find(message).is_some())
        .count();
    assert!(echoes > 100, "{echoes}");
}

fn check_facts(canaries: &Canaries, how: &str, error: &Error) {
    for fact in [error.code(), error.tracking_id()].into_iter().flatten() {
        canaries.check(fact, how);
    }
}

/// The server's message is available, on one line and not too long.
fn check_server_message(how: &str, error: &Error) {
    let all = format!("{error:#}");
    let Some(message) = error.server_message() else {
        assert_eq!(all, error.to_string(), "{how}");
        return;
    };
    assert!(message.chars().count() <= 300, "{how}: {message}");
    assert!(!message.chars().any(char::is_control), "{how}: {message:?}");
    assert!(!message.contains('\u{202e}'), "{how}: {message:?}");
    assert_eq!(all, format!("{error}\nthe server says: {message}"), "{how}");
}
