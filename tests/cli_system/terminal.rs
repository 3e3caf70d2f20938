//! Signals, and a terminal that is closed.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use autharmor::emulator::Fault;
use autharmor_test_support::emulator::wait_for_call;
use libtest_mimic::Trial;
use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::programs::{missing_program, tests, trials as ignorable, wait_until};
use crate::setup::{PROGRAM, Setup, text, write};

pub(crate) fn trials() -> Vec<Trial> {
    let tests = tests![
        signals_end_it,
        a_blocked_or_ignored_signal_ends_it_as_well,
        control_c_ends_it,
        a_closed_terminal_ends_it,
        a_closed_terminal_of_another_session_ends_it,
        a_closed_pipe_ends_it,
        what_a_person_sees,
        a_qr_code_for_a_new_user,
        without_a_terminal_a_list_of_credentials_needs_a_yes,
    ];
    ignorable("terminal", tests, || {
        missing_program(&["setsid", "env", "sh"])
    })
}

/// A pseudo-terminal.
struct Terminal {
    master: PtyMaster,
    slave: File,
}

impl Terminal {
    fn open() -> Self {
        // No other child inherits it, which would keep it open.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, OFlag::O_NOCTTY.bits());
        let slave = options.open(ptsname_r(&master).unwrap()).unwrap();
        Self { master, slave }
    }

    /// Starts a program in this terminal. The terminal is closed when the
    /// master is dropped.
    fn start(self, command: &mut Command) -> (Child, PtyMaster) {
        let slave = || Stdio::from(self.slave.try_clone().unwrap());
        let command = command.stdin(slave()).stdout(slave()).stderr(slave());
        (command.spawn().unwrap(), self.master)
    }
}

/// The program, started by another one.
fn through(setup: &Setup, starter: &[&str]) -> Command {
    let mut command = Command::new(starter[0]);
    command
        .args(&starter[1..])
        .arg(PROGRAM)
        .args([
            "approve",
            "ada",
            "--log",
            "stderr",
            "--failmode",
            "safe",
            "--config",
        ])
        .arg(setup.config());
    command
}

/// Checks that a process ends within a second, with a no.
#[track_caller]
fn assert_ends_at_once(mut child: Child, began: Instant) {
    let status = child.wait().unwrap();
    let time = began.elapsed();
    assert_eq!(status.code(), Some(1));
    assert!(time < Duration::from_secs(1), "{time:?}");
}

/// Waits until the program waits for the person.
fn wait_for_push(setup: &Setup) {
    setup
        .emulator
        .wait_for_request(Duration::from_secs(30))
        .unwrap();
}

fn send(child: &Child, signal: Signal) -> Instant {
    let began = Instant::now();
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    began
}

fn signals_end_it() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let setup = Setup::new();
        let mut command = through(&setup, &["env"]);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        wait_for_push(&setup);
        let began = send(&child, signal);
        assert_ends_at_once(child, began);
        // While the network does not respond either.
        let setup = Setup::new();
        let slow = Fault::latency(Duration::from_secs(60));
        setup.emulator.fault(slow.on("token"));
        let mut command = through(&setup, &["env"]);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        wait_for_call(&setup.emulator, "token");
        let began = send(&child, signal);
        assert_ends_at_once(child, began);
    }
}

fn a_blocked_or_ignored_signal_ends_it_as_well() {
    for (starter, signal) in [
        (["env", "--block-signal=TERM"].as_slice(), Signal::SIGTERM),
        (&["env", "--ignore-signal=HUP"], Signal::SIGHUP),
    ] {
        let setup = Setup::new();
        let mut command = through(&setup, starter);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        wait_for_push(&setup);
        let began = send(&child, signal);
        assert_ends_at_once(child, began);
    }
}

fn control_c_ends_it() {
    let setup = Setup::new();
    let mut command = through(&setup, &["setsid", "--ctty"]);
    let (child, mut master) = Terminal::open().start(&mut command);
    wait_for_push(&setup);
    let began = Instant::now();
    master.write_all(b"\x03").unwrap();
    assert_ends_at_once(child, began);
}

fn a_closed_terminal_ends_it() {
    let setup = Setup::new();
    let mut command = through(&setup, &["setsid", "--ctty"]);
    let (child, master) = Terminal::open().start(&mut command);
    wait_for_push(&setup);
    let began = Instant::now();
    drop(master);
    assert_ends_at_once(child, began);
}

/// No signal tells that this terminal is closed.
fn a_closed_terminal_of_another_session_ends_it() {
    let setup = Setup::new();
    let mut command = through(&setup, &["setsid"]);
    let (child, master) = Terminal::open().start(&mut command);
    wait_for_push(&setup);
    let began = Instant::now();
    drop(master);
    assert_ends_at_once(child, began);
}

fn a_closed_pipe_ends_it() {
    let setup = Setup::new();
    let mut command = through(&setup, &["env"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_push(&setup);
    let began = Instant::now();
    drop(child.stdout.take());
    assert_ends_at_once(child, began);
}

/// Reads until the program ends.
fn read_all(mut child: Child, mut master: PtyMaster) -> (Option<i32>, String) {
    let mut output = Vec::new();
    // The end of a pseudo-terminal is an error.
    let _ = master.read_to_end(&mut output);
    let status = child.wait().unwrap().code();
    (status, String::from_utf8(output).unwrap())
}

fn what_a_person_sees() {
    for (is_approved, status, last) in [
        (true, 0, "Let in: approved."),
        (false, 1, "Not let in: declined."),
    ] {
        let setup = Setup::new().approve("visual_verify = true\nlog = \"syslog\"\n");
        let mut command = Command::new(PROGRAM);
        command
            .args(["approve", "ada", "--config"])
            .arg(setup.config());
        let (child, master) = Terminal::open().start(&mut command);
        drop(command);
        let request = setup
            .emulator
            .wait_for_request(Duration::from_secs(30))
            .unwrap();
        if is_approved {
            setup.emulator.approve(request.auth_request_id).unwrap();
        } else {
            setup.emulator.decline(request.auth_request_id).unwrap();
        }
        let (code, seen) = read_all(child, master);
        assert_eq!(code, Some(status), "{seen}");
        let lines: Vec<_> = seen.lines().collect();
        let number = request.visual_verify_value.unwrap();
        assert_eq!(lines[0], format!("Choose {number} in the app."));
        assert!(lines[1].starts_with("Approve the login in the Auth Armor app, within "));
        assert_eq!(lines[2..], [last]);
    }
}

fn a_qr_code_for_a_new_user() {
    let emulator = autharmor::emulator::Emulator::start().unwrap();
    emulator.on_sign_in(|_| autharmor::emulator::Decision::Approve);
    let setup = Setup::with(emulator).approve("unenrolled = \"enrol\"\nlog = \"syslog\"\n");
    let mut command = Command::new(PROGRAM);
    command
        .args(["approve", "ada", "--config"])
        .arg(setup.config());
    let (child, master) = Terminal::open().start(&mut command);
    drop(command);
    let registration = wait_until("no registration", || {
        let pending = setup.emulator.pending_registrations();
        pending.first().map(|pending| pending.registration_id)
    });
    setup.emulator.enrol_phone(registration).unwrap();
    let (code, seen) = read_all(child, master);
    assert_eq!(code, Some(0), "{seen}");
    assert!(
        seen.contains("Scan this with the Auth Armor app:"),
        "{seen}"
    );
    assert!(seen.contains('\u{2584}'), "{seen}");
    assert!(seen.trim_end().ends_with("Let in: approved."), "{seen}");
}

fn without_a_terminal_a_list_of_credentials_needs_a_yes() {
    let setup = Setup::new();
    let input = setup.folder.path().join("input");
    write(&input, "ada@example.com phone-7\n", 0o600);
    let output = Command::new("setsid")
        .args(["--wait", PROGRAM, "credentials", "disable", "--config"])
        .arg(setup.config())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(File::open(input).unwrap())
        .output()
        .unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("add --yes"), "{errors}");
    assert_eq!(setup.emulator.request_count(), 0);
}
