//! Errors show no secret, no username and nothing that the server wrote.

use std::collections::HashSet;
use std::error::Error as StdError;

use autharmor::Error;

use crate::marks::Marks;
use crate::provoke;

#[test]
fn errors_show_no_secret_and_no_name() {
    let marks = Marks::all().with("other secret", "an0ther s3cr3t");
    let provoked = provoke::all();
    for failure in &provoked {
        let (how, error) = (&failure.how, &failure.error);
        marks.check_display(error, how);
        marks.check_debug(error, how);
        assert!(error.to_string().lines().count() == 1, "{how}: {error}");
        check_facts(&marks, how, error);
        check_servers_words(how, error);
        let mut source = error.source();
        while let Some(cause) = source {
            marks.check_display(cause, how);
            marks.check(&format!("{cause:#}"), how);
            marks.check_debug(cause, how);
            source = cause.source();
        }
    }
    let kinds: HashSet<_> = provoked.iter().map(|it| it.error.kind()).collect();
    for kind in provoke::KINDS {
        assert!(kinds.contains(&kind), "{kind:?} was not provoked");
    }
    // Else nothing was echoed, and nothing proved.
    let said = provoked
        .iter()
        .filter_map(|it| it.error.server_message())
        .filter(|message| marks.find(message).is_some())
        .count();
    assert!(said > 100, "{said}");
}

fn check_facts(marks: &Marks, how: &str, error: &Error) {
    for fact in [error.code(), error.tracking_id()].into_iter().flatten() {
        marks.check(fact, how);
    }
}

/// The server's words are to be had, on one line and not too many of them.
fn check_servers_words(how: &str, error: &Error) {
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
