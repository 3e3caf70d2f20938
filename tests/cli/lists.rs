//! Lists: their formats, filters, order, pages and memory.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::{Emulator, Fault, NewUser};
use autharmor::flow::WaitPolicy;
use serde_json::Value;

use crate::harness::{End, Setup, assert_golden, at_noon};

const FORMATS: [&str; 3] = ["table", "json", "csv"];

/// Compares the output of a command in each format.
#[track_caller]
fn assert_formats(setup: &Setup, name: &str, arguments: &[&str]) {
    for format in FORMATS {
        let arguments = [arguments, &["--format", format]].concat();
        let text = setup.run(&arguments).output();
        assert_golden(&format!("{name}.{format}"), &text);
        if format == "json" {
            for line in text.lines() {
                let value: Value = serde_json::from_str(line).unwrap();
                assert!(value.is_object(), "{line}");
            }
        }
    }
}

#[test]
fn users_are_listed_shown_and_renamed_in_every_format() {
    let setup = Setup::with_users();
    assert_formats(&setup, "users-list", &["users", "list"]);
    assert_formats(&setup, "users-show", &["users", "show", "ada@example.com"]);
    let id = setup.emulator.users()[1].0.to_string();
    assert_formats(&setup, "users-rename", &["users", "rename", &id, "hopper"]);
    let text = setup.run(&["users", "show", "hopper"]).output();
    assert!(text.contains(&id), "{text}");
}

#[test]
fn credentials_are_listed_in_every_format() {
    let setup = Setup::with_users();
    let list = ["credentials", "list", "ada@example.com"];
    assert_formats(&setup, "credentials-list", &list);
    let rows = |more: &[&str]| {
        let text = setup
            .run(&[&list[..], more, &["--format=csv"]].concat())
            .output();
        let rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        rows
    };
    assert_eq!(rows(&["--type", "phone"]).len(), 1);
    assert_eq!(rows(&["--type", "phone", "--type", "email"]).len(), 2);
    assert_eq!(rows(&["--type", "passkey"]).len(), 0);
    assert_eq!(rows(&["--enabled"]).len(), 2);
    assert_eq!(rows(&["--disabled"]).len(), 0);
    let phone = rows(&["--type=phone"])[0].clone();
    let phone = phone.split(',').nth(1).unwrap();
    setup
        .run(&["credentials", "disable", "ada@example.com", phone, "--yes"])
        .status
        .success()
        .then_some(())
        .unwrap();
    assert_eq!(rows(&["--disabled", "--type=phone"]).len(), 1);
    assert_eq!(rows(&["--enabled"]).len(), 1);
}

#[test]
fn the_history_is_listed_in_every_format() {
    let setup = Setup::with_users();
    let emulator = &setup.emulator;
    let client = emulator.client_builder().build().unwrap();
    let begin = || {
        let request = StartAuthenticatorAuth::new().user("grace").action_name("x");
        client.begin_authenticator_sign_in(&request).unwrap()
    };
    let approved = begin();
    let id = emulator.pending_requests()[0].auth_request_id;
    emulator.approve(id).unwrap();
    let end = approved.pending.wait(&client, &WaitPolicy::new()).unwrap();
    assert!(end.user().is_some());
    emulator.advance(Duration::from_secs(3600));
    begin();
    let id = emulator.pending_requests()[0].auth_request_id;
    emulator.decline(id).unwrap();
    emulator.advance(Duration::from_secs(3600));
    begin();

    let history = ["users", "history", "grace"];
    assert_formats(&setup, "users-history", &history);
    let outcomes = |more: &[&str]| {
        let text = setup
            .run(&[&history[..], more, &["--format=json"]].concat())
            .output();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let outcomes = lines.map(|line| line["outcome"].as_str().unwrap().to_owned());
        outcomes.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(outcomes(&[]), "pending declined approved");
    assert_eq!(outcomes(&["--outcome=declined"]), "declined");
    let two = ["--outcome=approved", "--outcome=pending"];
    assert_eq!(outcomes(&two), "pending approved");
    assert_eq!(
        outcomes(&["--since=2026-01-31T13:00:00"]),
        "pending declined"
    );
    assert_eq!(outcomes(&["--before=2026-01-31T13:00:00"]), "approved");
    assert_eq!(outcomes(&["--limit=1"]), "pending");
    let oldest = ["--sort=date", "--limit=1"];
    assert_eq!(outcomes(&oldest), "approved");
}

#[test]
fn users_are_filtered_and_sorted() {
    let setup = Setup::new(at_noon().user("carl").user("ada").user("bob"));
    setup.emulator.advance(Duration::from_secs(86_400));
    setup.emulator.add_user("adam").unwrap();
    let names = |more: &[&str]| {
        let list = ["users", "list", "--format=csv"];
        let text = setup.run(&[&list[..], more].concat()).output();
        let names = text
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(1).unwrap());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&[]), "carl ada bob adam");
    assert_eq!(names(&["--name", "ada"]), "ada adam");
    assert_eq!(names(&["--sort=username"]), "ada adam bob carl");
    assert_eq!(
        names(&["--sort=username", "--descending"]),
        "carl bob adam ada"
    );
    assert_eq!(names(&["--limit=2", "--page-size=1"]), "carl ada");
    assert_eq!(names(&["--limit=0"]), "");
    assert_eq!(names(&["--since=2026-02-01"]), "adam");
    assert_eq!(names(&["--before=2026-02-01"]), "carl ada bob");
    assert_eq!(names(&["--page-size=1"]), "carl ada bob adam");
}

#[test]
fn text_of_the_service_does_not_control_the_terminal() {
    let setup = Setup::with_users();
    let user = serde_json::json!({
        "user_id": "00000000-0000-0000-0000-000000000007",
        "username": "a\u{1b}]0;x\u{7}\u{9b}31m\u{202e}b\r\nc",
    });
    let page = serde_json::json!({
        "user_records": [user],
        "page_info": {"total_record_count": 1, "total_page_count": 1, "currnet_page_number": 1},
    });
    for (endpoint, body, command) in [
        ("list_users", &page, vec!["users", "list"]),
        ("get_user", &user, vec!["users", "show", "grace"]),
        ("update_user", &user, vec!["users", "rename", "grace", "x"]),
    ] {
        for format in FORMATS {
            let fault = Fault::status(200).body("application/json", body.to_string());
            setup.emulator.fault(fault.on(endpoint).times(1));
            let text = setup
                .run(&[&command[..], &["--format", format]].concat())
                .output();
            assert!(text.contains("31m"), "{text}");
            let is_hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(is_hidden), "{text:?}");
            let lines = if format == "json" { 1 } else { 2 };
            assert!(format == "table" || text.lines().count() == lines, "{text}");
        }
    }
}

/// 20,000 users, which a client has to fetch in 200 pages.
fn crowd() -> Setup {
    let mut builder = Emulator::builder().keep_requests(10);
    for n in 0..20_000 {
        builder = builder.user(NewUser::new(format!("user-{n:05}@example.com")).without_methods());
    }
    Setup::new(builder)
}

/// The largest memory that a process has used so far, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn twenty_thousand_users_are_listed_in_flat_memory() {
    let setup = crowd();
    for format in FORMATS {
        let arguments = ["users", "list", "--format", format];
        let mut child = setup.command(&arguments).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut count, mut early, mut late) = (0, 0, 0);
        for line in lines {
            assert!(line.unwrap().len() > 36);
            count += 1;
            // The pipe holds less than 2,000 lines, so the process has not ended.
            match count {
                2_000 => early = peak_memory(child.id()),
                18_000 => late = peak_memory(child.id()),
                _ => {}
            }
        }
        End::of(child).output();
        assert_eq!(count, 20_000 + usize::from(format != "json"), "{format}");
        assert!(
            late - early < 1024,
            "{format}: {early} KiB, then {late} KiB"
        );
        assert!(late < 40 * 1024, "{format}: {late} KiB");
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_list_quietly() {
    let setup = crowd();
    for format in FORMATS {
        setup.emulator.clear_requests();
        let arguments = ["users", "list", "--format", format];
        let mut child = setup.command(&arguments).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        drop(stdout);
        let before = setup.emulator.request_count();
        let end = End::of(child);
        assert_eq!((end.status.code(), end.stderr.as_str()), (Some(0), ""));
        // It has not gone through all pages.
        assert!(setup.emulator.request_count() - before < 100);
    }
}

#[test]
fn rows_before_a_failure_are_printed() {
    let setup = Setup::new(at_noon().user("ada").user("bob"));
    let hour = Duration::from_secs(3600);
    setup.emulator.limit_rate("list_users", 1, hour);
    let end = setup.run(&["users", "list", "--page-size=1"]);
    assert!(
        end.stdout.contains("ada") && !end.stdout.contains("bob"),
        "{end:?}"
    );
    assert!(end.failure(4).contains("status 429"));
}
