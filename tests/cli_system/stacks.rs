//! The PAM stacks of the manual, each with a wrong and a right first password.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use autharmor::emulator::{Decision, Emulator};
use libtest_mimic::Trial;
use nix::unistd::geteuid;

use crate::pam::{Services, missing};
use crate::programs::{find, missing_program, tests, trials as ignorable};
use crate::setup::{PROGRAM, Setup, text};

const MANUAL: &str = include_str!("../../src/guide/pam-and-ssh.md");

pub(crate) fn trials() -> Vec<Trial> {
    let tests = tests![sudo, su, sshd_with_passwords, sshd_with_keys];
    let mut all = ignorable("stacks", tests, missing);
    all.extend(ignorable("stacks", tests![su_itself], || {
        let needs_root = !geteuid().is_root();
        missing()
            .or_else(|| missing_program(&["su"]))
            .or_else(|| needs_root.then(|| "needs root".to_owned()))
    }));
    all
}

/// Returns the lines of the file in the manual whose first line is this
/// comment.
pub(crate) fn stack(title: &str) -> String {
    let start = format!("```text\n# {title}\n");
    let (_, rest) = MANUAL.split_once(&start).expect(title);
    let (lines, _) = rest.split_once("```").unwrap();
    lines.to_owned()
}

/// Adds the service as the manual has it.
pub(crate) fn add(services: &Services, name: &str, title: &str, config: &Path) {
    add_lines(services, name, &stack(title), config);
}

/// The included files are Debian's, with another module in the place of
/// `pam_unix`. They are put into the stack, since libpam would read those of the
/// system.
fn add_lines(services: &Services, name: &str, lines: &str, config: &Path) {
    let passwords = services.passwords(&format!("ada:secret:{name}\nroot:secret:{name}\n"));
    let matrix = format!("pam_matrix.so passdb={}", passwords.display());
    let installed = "/usr/local/bin/autharmor approve --pam";
    assert_eq!(lines.matches(installed).count(), 1, "{lines}");
    let ours = format!(
        "{PROGRAM} approve --pam --log stderr --config {}",
        config.display()
    );
    let mut all = lines.replace(installed, &ours);
    for (included, content) in [
        (
            "common-auth",
            format!(
                "auth [success=1 default=ignore] {matrix}\nauth requisite pam_deny.so\n\
                 auth required pam_permit.so\n"
            ),
        ),
        (
            "common-account",
            format!(
                "account [success=1 new_authtok_reqd=done default=ignore] {matrix}\n\
                 account requisite pam_deny.so\naccount required pam_permit.so\n"
            ),
        ),
        (
            "common-session-noninteractive",
            "session required pam_permit.so\n".to_owned(),
        ),
        (
            "common-session",
            "session required pam_permit.so\n".to_owned(),
        ),
        (
            "common-password",
            "password required pam_permit.so\n".to_owned(),
        ),
    ] {
        all = all.replace(&format!("@include {included}\n"), &content);
    }
    assert!(!all.contains("@include"), "{all}");
    services.add(name, &all);
}

#[track_caller]
fn assert_is_let_in(output: &Output, expected: bool) {
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.success(), expected, "{all}");
    assert!(!all.contains("Broken pipe"), "{all}");
}

/// Tries a stack whose `auth` lines ask on the phone.
fn try_stack(service: &str, login: &str, options: &[&str]) {
    let setup = Setup::new().decides(Decision::Approve);
    let services = Services::new();
    add(
        &services,
        service,
        &format!("/etc/pam.d/{service}"),
        &setup.config(),
    );
    let arguments = [options, &[service, login, "authenticate", "acct_mgmt"]].concat();
    // The phone is not asked after a wrong password.
    assert_is_let_in(&services.run(&arguments, "wrong"), false);
    assert_eq!(setup.pushes(), 0);
    assert_is_let_in(&services.run(&arguments, "secret"), true);
    assert_eq!(setup.pushes(), 1);
    setup.emulator.on_sign_in(|_| Decision::Decline);
    assert_is_let_in(&services.run(&arguments, "secret"), false);
    assert_eq!(setup.pushes(), 2);
}

fn sudo() {
    try_stack("sudo", "ada", &["-I", "ruser=ada"]);
}

/// Ada becomes root: her phone is asked.
fn su() {
    let setup = Setup::new().decides(Decision::Approve);
    let services = Services::new();
    // The tests may run as root, who is let in without a password.
    let lines = stack("/etc/pam.d/su");
    let (of_root, others) = lines.split_once('\n').unwrap();
    assert!(of_root.ends_with("sufficient pam_rootok.so"));
    add_lines(&services, "su", others, &setup.config());
    let arguments = ["-I", "ruser=ada", "su", "root", "authenticate"];
    assert_is_let_in(&services.run(&arguments, "wrong"), false);
    assert_eq!(setup.pushes(), 0);
    assert_is_let_in(&services.run(&arguments, "secret"), true);
    assert_eq!(setup.pushes(), 1);
    setup.emulator.on_sign_in(|_| Decision::Decline);
    assert_is_let_in(&services.run(&arguments, "secret"), false);
}

fn sshd_with_passwords() {
    try_stack("sshd", "ada", &["-I", "rhost=203.0.113.7"]);
}

/// The real su, which tells PAM who has called it. `pam_wrapper` works for a
/// caller who is root only.
fn su_itself() {
    let emulator = Emulator::builder()
        .user("root@example.com")
        .start()
        .unwrap();
    let setup = Setup::with(emulator).decides(Decision::Approve);
    let services = Services::new();
    let lines = stack("/etc/pam.d/su");
    let (_, others) = lines.split_once('\n').unwrap();
    add_lines(&services, "su", others, &setup.config());
    let su = |password: &str| {
        let mut command = Command::new(find("su").unwrap());
        let mut child = command
            .args(["root", "-c", "echo done"])
            .envs(services.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        child.wait_with_output().unwrap()
    };
    assert!(!su("wrong").status.success());
    assert_eq!(setup.pushes(), 0);
    let output = su("secret");
    let (seen, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && seen.ends_with("done\n"),
        "{seen}{errors}"
    );
    assert_eq!(setup.pushes(), 1);
    setup.emulator.on_sign_in(|_| Decision::Decline);
    let output = su("secret");
    assert!(!output.status.success() && !text(&output.stdout).contains("done"));
    assert_eq!(setup.pushes(), 2);
}

/// After a key, sshd uses the `account` lines alone.
fn sshd_with_keys() {
    let setup = Setup::new();
    let services = Services::new();
    add(
        &services,
        "sshd",
        "/etc/pam.d/sshd with keys",
        &setup.config(),
    );
    for (decision, is_let_in) in [(Decision::Approve, true), (Decision::Decline, false)] {
        setup.emulator.on_sign_in(move |_| decision);
        let output = services.run(&["sshd", "ada", "acct_mgmt"], "");
        assert_is_let_in(&output, is_let_in);
    }
    assert_eq!(setup.pushes(), 2);
}
