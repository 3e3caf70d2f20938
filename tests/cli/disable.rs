//! `autharmor credentials disable`: questions, input, failures, and what happens
//! when it is killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use autharmor::PageQuery;
use autharmor::emulator::{Emulator, Fault, RecordedRequest};
use uuid::Uuid;

use crate::harness::{End, Setup, assert_golden, at_noon};

/// The enabled credentials of all users, with their users.
fn enabled(emulator: &Emulator) -> Vec<(Uuid, String)> {
    let client = emulator.client_builder().build().unwrap();
    let mut enabled = Vec::new();
    for (user, _) in emulator.users() {
        for credential in client.credentials(user, PageQuery::new()) {
            let credential = credential.unwrap();
            if credential.enabled == Some(true) {
                enabled.push((user, credential.credential_id.to_string()));
            }
        }
    }
    enabled
}

/// The credentials as lines of input.
fn lines(credentials: &[(Uuid, String)]) -> String {
    let lines = credentials
        .iter()
        .map(|(user, id)| format!("{user},{id}\n"));
    lines.collect()
}

#[test]
fn results_are_printed_in_every_format() {
    for format in ["table", "json", "csv"] {
        let setup = Setup::with_users();
        let all = enabled(&setup.emulator);
        let input = format!("# a comment\n\n{}{}", lines(&all), lines(&all[..1]));
        let end = setup.run_with(
            &[
                "credentials",
                "disable",
                "--yes",
                "--parallel=1",
                "--format",
                format,
            ],
            &input,
        );
        assert!(end.status.success(), "{end:?}");
        // Each once, although one was given twice.
        assert_eq!(end.stderr, "3 disabled\n");
        assert_golden(&format!("credentials-disable.{format}"), &end.stdout);
        assert!(enabled(&setup.emulator).is_empty());
    }
}

#[test]
fn one_list_is_the_input_of_the_next_command() {
    let setup = Setup::with_users();
    let list = [
        "credentials",
        "list",
        "ada@example.com",
        "--type=phone",
        "--format=json",
    ];
    let listed = setup.run(&list).output();
    let end = setup.run_with(&["credentials", "disable", "--yes"], &listed);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stderr, "1 disabled\n");
    let left = setup.run(&list[..3]).output();
    assert_eq!(left.matches("true").count(), 1, "{left}");
    // Another user's list is refused before anything is done.
    let end = setup.run_with(&["credentials", "disable", "grace", "--yes"], &listed);
    assert!(
        end.failure(2)
            .contains("standard input, line 1: not a credential")
    );
}

#[test]
fn it_asks_unless_it_shall_not() {
    let setup = Setup::with_users();
    let id = enabled(&setup.emulator)[0].1.clone();
    let disable = ["credentials", "disable", "ada@example.com", &id];
    for no in ["n\n", "\n", "", "yess\n"] {
        let end = setup.run_with(&disable, no);
        let message = end.failure(1);
        assert!(
            message.contains("Disable 1 credential of 1 user?"),
            "{message}"
        );
        assert!(message.ends_with("nothing was disabled\n"), "{message}");
        assert_eq!(enabled(&setup.emulator).len(), 3);
    }
    let end = setup.run_with(&disable, "y\n");
    assert!(end.status.success(), "{end:?}");
    assert_eq!(enabled(&setup.emulator).len(), 2);
}

#[test]
fn a_failure_of_one_credential_does_not_stop_the_others() {
    let setup = Setup::with_users();
    let all = enabled(&setup.emulator);
    let unknown = Uuid::from_u128(7);
    let input = format!("{unknown} {unknown}\n{}", lines(&all));
    let end = setup.run_with(&["credentials", "disable", "--yes", "--parallel=1"], &input);
    let row = end.stdout.lines().nth(1).unwrap();
    assert!(row.contains("failed") && row.contains("not found"), "{row}");
    let message = end.failure(1);
    assert!(message.starts_with("3 disabled, 1 failed\n"), "{message}");
    assert!(enabled(&setup.emulator).is_empty());
}

#[test]
fn a_failure_of_the_service_ends_the_run_and_the_next_one_continues() {
    let setup = Setup::with_users();
    let all = enabled(&setup.emulator);
    let hour = Duration::from_secs(3600);
    setup
        .emulator
        .limit_rate("disable_user_credential", 1, hour);
    let command = [
        "credentials",
        "disable",
        "--yes",
        "--parallel=1",
        "--done-file",
    ];
    let done = setup.folder.path().join("done");
    let command = [&command[..], &[done.to_str().unwrap()]].concat();
    let message = setup.run_with(&command, &lines(&all)).failure(4);
    assert!(
        message.starts_with("1 disabled, 1 failed, 1 not tried\n"),
        "{message}"
    );
    assert!(message.contains("status 429"), "{message}");
    setup.emulator.clear_rate_limits();
    let end = setup.run_with(&command, &lines(&all));
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stderr, "2 disabled, 1 disabled before\n");
    assert!(enabled(&setup.emulator).is_empty());
    let end = setup.run_with(&command, &lines(&all));
    assert_eq!(end.stderr, "0 disabled, 3 disabled before\n");
}

#[test]
fn a_call_whose_response_was_lost_is_not_repeated() {
    let setup = Setup::with_users();
    let all = enabled(&setup.emulator);
    let done = setup.folder.path().join("done");
    let command = [
        "credentials",
        "disable",
        "--yes",
        "--done-file",
        done.to_str().unwrap(),
    ];
    // The call has its effect, and the program is not told.
    setup
        .emulator
        .fault(Fault::drop_in_response().on("disable_user_credential"));
    setup.run_with(&command, &lines(&all[..1])).failure(4);
    setup.emulator.clear_faults();
    let calls = |emulator: &Emulator| {
        let requests = emulator.requests();
        let calls = requests.iter().filter_map(RecordedRequest::endpoint);
        calls
            .filter(|name| *name == "disable_user_credential")
            .count()
    };
    let before = calls(&setup.emulator);
    let end = setup.run_with(&command, &lines(&all[..1]));
    assert!(end.status.success(), "{end:?}");
    assert_eq!(calls(&setup.emulator), before);
}

#[test]
fn wrong_input_is_refused_before_anything_is_done() {
    let setup = Setup::with_users();
    let all = enabled(&setup.emulator);
    for (arguments, input, expected) in [
        (
            &[][..],
            "nonsense\n",
            "standard input, line 1: not a credential",
        ),
        (
            &[],
            "ada@example.com x\nada\n",
            "standard input, line 2: not a credential",
        ),
        (
            &["ada@example.com", "\u{1b}"],
            "",
            "CREDENTIAL 1: not a credential",
        ),
        (&["--parallel=0"], "", "--parallel"),
        (&["--parallel=33"], "", "--parallel"),
    ] {
        let command = [&["credentials", "disable", "--yes"], arguments].concat();
        let message = setup.run_with(&command, input).failure(2);
        assert!(message.contains(expected), "{message}");
    }
    let letter = setup.write("letter", "dear ada\n", 0o600);
    let command = [
        "credentials",
        "disable",
        "--yes",
        "--done-file",
        letter.to_str().unwrap(),
    ];
    let message = setup.run_with(&command, &lines(&all)).failure(1);
    assert!(
        message.contains("not a file of an earlier run"),
        "{message}"
    );
    assert_eq!(enabled(&setup.emulator), all);
}

/// Three thousand credentials: killed twice in the middle, then run to the end.
#[test]
fn a_killed_run_loses_and_repeats_nothing() {
    let mut builder = at_noon();
    for n in 0..1500 {
        builder = builder.user(format!("user-{n}@example.com"));
    }
    let setup = Setup::new(builder);
    let emulator = &setup.emulator;
    let all = enabled(emulator);
    assert_eq!(all.len(), 3000);
    emulator.clear_requests();
    let input = setup.write("input", &lines(&all), 0o600);
    let done = setup.folder.path().join("done");
    let command = || {
        let done = done.to_str().unwrap();
        let arguments = [
            "credentials",
            "disable",
            "--yes",
            "--parallel=8",
            "--done-file",
            done,
        ];
        let mut command = setup.command(&arguments);
        command.stdin(File::open(&input).unwrap());
        command
    };
    // How many calls the emulator has processed for each credential.
    let calls = || {
        let mut calls = BTreeMap::new();
        for request in emulator.requests() {
            if request.endpoint() == Some("disable_user_credential") {
                *calls.entry(request.path().to_owned()).or_insert(0) += 1;
            }
        }
        calls
    };
    for at_least in [600, 1500] {
        let mut child = command().spawn().unwrap();
        let began = Instant::now();
        while emulator.request_count() < at_least {
            assert!(began.elapsed() < Duration::from_secs(120), "too slow");
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        let end = End::of(child);
        assert!(!end.status.success() && end.stderr.is_empty(), "{end:?}");
        assert!(calls().len() < 3000);
    }
    let end = End::of(command().spawn().unwrap());
    assert!(end.status.success(), "{end:?}");
    let counts: Vec<usize> = end
        .stderr
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 3000, "{}", end.stderr);
    assert!(end.stderr.contains("disabled before"), "{}", end.stderr);

    assert!(enabled(emulator).is_empty());
    let calls = calls();
    assert_eq!(calls.len(), 3000);
    let repeated: Vec<_> = calls.iter().filter(|(_, count)| **count != 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    let noted = fs::read_to_string(&done).unwrap();
    let noted = noted.lines().filter(|line| line.starts_with("disabled\t"));
    assert_eq!(noted.count(), 3000);
}

#[test]
fn ctrl_c_lets_calls_end_and_starts_no_more() {
    let setup = Setup::with_users();
    let all = enabled(&setup.emulator);
    let slow = Fault::latency(Duration::from_millis(500));
    setup.emulator.fault(slow.on("disable_user_credential"));
    let command = ["credentials", "disable", "--yes", "--parallel=1"];
    let mut command = setup.command(&command);
    command.stdin(File::open(setup.write("input", &lines(&all), 0o600)).unwrap());
    let child = command.spawn().unwrap();
    autharmor_test_support::emulator::wait_for_call(&setup.emulator, "disable_user_credential");
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let message = End::of(child).failure(1);
    assert_eq!(message, "1 disabled, 2 not tried\nautharmor: interrupted\n");
    assert_eq!(enabled(&setup.emulator).len(), 2);
}
