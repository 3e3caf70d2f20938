//! `autharmor enrol` and `autharmor invite`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use autharmor::emulator::Emulator;

use crate::harness::{End, Setup};

/// Waits until something is there.
fn wait_for<T>(what: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nothing came");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Starts the enrolment and returns the first line that it prints.
fn enrol(setup: &Setup, arguments: &[&str]) -> (Child, String) {
    let mut child = setup
        .command(&[&["enrol"], arguments].concat())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    // The rest is read to the end of the process.
    child.stdout = Some(stdout.into_inner());
    (child, line)
}

fn registration(emulator: &Emulator) -> uuid::Uuid {
    wait_for(|| Some(emulator.pending_registrations().first()?.registration_id))
}

#[test]
fn a_new_user_scans_the_link() {
    let setup = Setup::with_users();
    let (child, link) = enrol(&setup, &["bob", "--link"]);
    setup.emulator.scan_qr(link.trim(), None).unwrap();
    let end = End::of(child);
    assert!(end.status.success(), "{end:?}");
    assert!(
        end.stdout
            .starts_with("registered     bob\nuser_id        "),
        "{end:?}"
    );
    assert!(end.stdout.contains("credential_id  "), "{end:?}");
    let text = setup.run(&["users", "show", "bob"]).output();
    assert!(text.contains("phone"), "{text}");
}

#[test]
fn the_qr_code_is_plain_without_a_terminal() {
    let setup = Setup::with_users();
    let child = setup.command(&["enrol", "bob"]).spawn().unwrap();
    setup
        .emulator
        .enrol_phone(registration(&setup.emulator))
        .unwrap();
    let end = End::of(child);
    assert!(end.status.success(), "{end:?}");
    assert!(
        end.stdout.contains('█') && !end.stdout.contains('\x1b'),
        "{end:?}"
    );
    assert_eq!(
        end.stderr,
        "Scan this with the Auth Armor app. Waiting; Ctrl-C ends it.\n"
    );
}

#[test]
fn a_user_who_exists_gets_a_phone_only_if_asked_for() {
    let setup = Setup::with_users();
    let message = setup.run(&["enrol", "grace"]).failure(1);
    assert!(message.contains("status 409"), "{message}");
    let (child, link) = enrol(&setup, &["grace", "--existing", "--link"]);
    setup.emulator.scan_qr(link.trim(), None).unwrap();
    let end = End::of(child);
    assert!(end.status.success(), "{end:?}");
    let list = ["credentials", "list", "grace", "--format=csv"];
    let phones = setup.run(&list).output();
    assert_eq!(
        phones.matches("autharmor_authenticator").count(),
        2,
        "{phones}"
    );
    let message = setup.run(&["enrol", "nobody", "--existing"]).failure(1);
    assert!(message.contains("not found"), "{message}");
}

#[test]
fn a_phone_that_does_not_enrol_is_a_failure() {
    let setup = Setup::with_users();
    let child = setup.command(&["enrol", "bob"]).spawn().unwrap();
    let id = registration(&setup.emulator);
    setup.emulator.decline_registration(id).unwrap();
    let message = End::of(child).failure(1);
    assert!(message.ends_with("not registered: declined\n"), "{message}");

    let child = setup.command(&["enrol", "bob"]).spawn().unwrap();
    registration(&setup.emulator);
    setup.emulator.advance(Duration::from_secs(3600));
    let message = End::of(child).failure(1);
    assert!(message.ends_with("nobody responded in time\n"), "{message}");

    let message = setup.run(&["enrol", "carl", "--wait=1"]).failure(1);
    assert!(message.ends_with("nobody responded in time\n"), "{message}");
}

#[test]
fn ctrl_c_ends_the_waiting() {
    let setup = Setup::with_users();
    for signal in ["-INT", "-TERM", "-HUP"] {
        let child = setup.command(&["enrol", "bob"]).spawn().unwrap();
        autharmor_test_support::emulator::wait_for_call(&setup.emulator, "get_registration_info");
        setup.emulator.clear_requests();
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let began = Instant::now();
        let message = End::of(child).failure(1);
        assert!(
            message.ends_with("not registered: interrupted\n"),
            "{message}"
        );
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

const PAGE: &str = "--redirect-url=https://app.example/welcome";

#[test]
fn a_mail_is_sent_to_a_new_user() {
    let setup = Setup::with_users();
    let end = setup.run(&[
        "invite",
        "--email",
        "bob@example.com",
        PAGE,
        "--action=Welcome",
    ]);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.stderr, "The mail is on its way.\n");
    let mails = setup.emulator.outbox();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, "bob@example.com");
    let text = setup
        .run(&["invite", "--email", "bob@example.com"])
        .failure(3);
    assert!(
        text.contains("registration_redirect_url is not set"),
        "{text}"
    );
    setup.configure("registration_redirect_url = \"https://app.example/welcome\"");
    let end = setup.run(&["invite", "--email", "carl@example.com"]);
    assert!(end.status.success(), "{end:?}");
    assert_eq!(setup.emulator.outbox().len(), 2);
    let text = setup
        .run(&["invite", "--email", "ada@example.com"])
        .failure(1);
    assert!(text.contains("status 409"), "{text}");
    let text = setup.run(&["invite", PAGE]).failure(2);
    assert!(text.contains("--email"), "{text}");
}

#[test]
fn the_registration_is_completed_with_the_url_of_the_page() {
    let setup = Setup::with_users();
    for (user, address) in [
        (None, "bob@example.com"),
        (Some("grace"), "grace@example.com"),
    ] {
        let mut arguments = vec!["invite", "--email", address, PAGE, "--complete"];
        arguments.extend(user);
        let sent = setup.emulator.outbox().len();
        let mut child = setup.command(&arguments).spawn().unwrap();
        let mail = wait_for(|| setup.emulator.outbox().into_iter().nth(sent));
        let url = setup.emulator.click(&mail.link).unwrap();
        writeln!(child.stdin.take().unwrap(), "{url}").unwrap();
        let end = End::of(child);
        assert!(end.status.success(), "{end:?}");
        assert!(end.stdout.starts_with("registered     "), "{end:?}");
        let text = setup
            .run(&["users", "show", user.unwrap_or(address)])
            .output();
        assert!(text.contains("magic link"), "{text}");
    }
    let arguments = ["invite", "--email=dan@example.com", PAGE, "--complete"];
    let message = setup
        .run_with(&arguments, "https://app.example/welcome\n")
        .failure(2);
    assert!(
        message.contains("registration_validation_token"),
        "{message}"
    );
}
