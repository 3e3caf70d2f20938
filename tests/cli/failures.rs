//! The exit status and the message of each failure that all commands share.

use std::net::TcpListener;

use autharmor::emulator::Fault;

use crate::harness::{End, Setup, program, run};

/// A command of each kind that calls the service.
const COMMANDS: [&[&str]; 8] = [
    &["users", "list"],
    &["users", "show", "ada@example.com"],
    &["users", "rename", "ada@example.com", "x"],
    &["users", "history", "ada@example.com"],
    &["credentials", "list", "ada@example.com"],
    &["credentials", "disable", "ada@example.com", "x", "--yes"],
    &["enrol", "ada@example.com", "--existing"],
    &[
        "invite",
        "--email=bob@example.com",
        "--redirect-url=https://app.example/welcome",
    ],
];

/// Runs every command and returns the messages of the failures.
#[track_caller]
fn failures(setup: &Setup, status: i32) -> Vec<String> {
    let ends = COMMANDS.into_iter().map(|command| setup.run(command));
    ends.map(|end| end.failure(status)).collect()
}

#[test]
fn a_service_that_cannot_be_reached_is_status_4() {
    let setup = Setup::with_users();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for command in COMMANDS {
        let url = format!("https://{free}");
        let more = ["--api-url", &url, "--login-url", &url];
        let message = setup.run(&[command, &more].concat()).failure(4);
        assert!(message.contains("no connection"), "{message}");
    }
}

#[test]
fn a_service_that_is_down_is_status_4() {
    let setup = Setup::with_users();
    setup.emulator.fault(Fault::status(503).on("token"));
    for message in failures(&setup, 4) {
        assert!(message.contains("status 503"), "{message}");
    }
}

#[test]
fn a_slow_service_is_status_4() {
    let setup = Setup::with_users();
    setup
        .emulator
        .fault(Fault::latency(std::time::Duration::from_secs(3)));
    let message = setup.run(&["users", "list", "--timeout=1"]).failure(4);
    assert!(message.contains("timed out"), "{message}");
}

#[test]
fn a_wrong_secret_is_status_3_and_not_shown() {
    let setup = Setup::with_users();
    setup.write("secret", "wr0ng-s3cret\n", 0o600);
    for message in failures(&setup, 3) {
        assert!(
            message.contains("the client credentials were refused"),
            "{message}"
        );
        assert!(!message.contains("wr0ng"), "{message}");
    }
}

#[test]
fn a_missing_or_wrong_configuration_is_status_3() {
    let bare = |command: &[&str]| -> End { run(program(command), "") };
    for command in COMMANDS {
        // There may be a configuration of this machine.
        let message = bare(&[command, &["--config=/nowhere/at/all"]].concat()).failure(3);
        assert!(
            message.contains("/nowhere/at/all: No such file"),
            "{message}"
        );
    }
    let setup = Setup::with_users();
    for (file, content, mode, part) in [
        (
            "secret",
            "s3cr3t",
            0o644,
            "others can read or write it (mode 0644)",
        ),
        (
            "autharmor/config.toml",
            "client_id = \"x\"",
            0o600,
            "client_secret_file is not set",
        ),
        (
            "autharmor/config.toml",
            "client_ip = 1",
            0o600,
            "line 1: unknown field `client_ip`",
        ),
        (
            "autharmor/config.toml",
            "",
            0o666,
            "others can write it (mode 0666)",
        ),
    ] {
        setup.write(file, content, mode);
        for message in failures(&setup, 3) {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn the_environment_and_options_override_the_file() {
    let setup = Setup::with_users();
    let list = ["users", "list"];
    let with = |name: &str, value: &str, more: &[&str]| {
        let mut command = setup.command(&[&list[..], more].concat());
        command.env(name, value);
        run(command, "")
    };
    with("AUTHARMOR_CLIENT_ID", "nobody", &[]).failure(3);
    let id = setup.emulator.client_id();
    with("AUTHARMOR_CLIENT_ID", "nobody", &["--client-id", id]).output();
    with("AUTHARMOR_CLIENT_SECRET", "wrong", &[]).failure(3);
    let file = setup.folder.path().join("secret");
    let option = ["--client-secret-file", file.to_str().unwrap()];
    with("AUTHARMOR_CLIENT_SECRET", "wrong", &option).output();
    with(
        "AUTHARMOR_CLIENT_SECRET",
        setup.emulator.client_secret(),
        &[],
    )
    .output();
}

#[test]
fn a_token_file_saves_the_token() {
    let setup = Setup::with_users();
    let file = setup.folder.path().join("token");
    for _ in 0..2 {
        let option = ["--token-file", file.to_str().unwrap()];
        setup
            .run(&[&["users", "list"][..], &option].concat())
            .output();
    }
    let tokens = autharmor_test_support::emulator::token_requests(&setup.emulator);
    assert_eq!(tokens, 1);
}

#[test]
fn an_unknown_user_is_status_1() {
    let setup = Setup::with_users();
    for command in [
        &["users", "show", "nobody"][..],
        &["users", "rename", "nobody", "x"],
        &["users", "history", "nobody"],
        &["credentials", "list", "nobody"],
        &["credentials", "disable", "nobody", "x", "--yes"],
        &["enrol", "nobody", "--existing"],
    ] {
        let message = setup.run(command).failure(1);
        assert!(message.contains("not found"), "{message}");
        assert!(!message.contains("nobody"), "{message}");
    }
    let message = setup
        .run(&["users", "rename", "grace", "ada@example.com"])
        .failure(1);
    assert!(message.contains("status 409"), "{message}");
}

#[test]
fn a_wrong_command_line_is_status_2() {
    let setup = Setup::with_users();
    for command in [
        &[][..],
        &["nonsense"],
        &["users"],
        &["users", "show"],
        &["users", "show", " x"],
        &["users", "list", "--format=xml"],
        &["users", "list", "--since=yesterday"],
        &["users", "list", "--timeout=0"],
        &["users", "list", "--client-secret=x"],
        &["users", "history", "ada", "--outcome=good"],
        &["credentials", "list", "ada", "--enabled", "--disabled"],
        &["completions", "klingon"],
    ] {
        let end = setup.run(command);
        assert!(end.stdout.is_empty(), "{command:?}: {end:?}");
        end.failure(2);
    }
}

#[test]
fn a_name_in_a_url_needs_permission() {
    let setup = Setup::with_users();
    setup.configure("api_version = \"v4\"");
    let message = setup.run(&["users", "show", "grace"]).failure(2);
    assert!(message.contains("set username_in_query"), "{message}");
    let id = setup.emulator.users()[1].0.to_string();
    setup.run(&["users", "show", &id]).output();
    setup.configure("api_version = \"v4\"\nusername_in_query = true");
    setup.run(&["users", "show", "grace"]).output();
}
