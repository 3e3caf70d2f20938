//! `pam_exec` of real Linux-PAM runs the program, without a line of the
//! system's own PAM configuration: `pam_wrapper` has libpam read a folder.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use autharmor::emulator::{Decision, Emulator, Fault};
use autharmor_test_support::Folder;
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::programs::{
    find, find_library, missing_program, processes_with, tests, trials as ignorable, wait_until,
};
use crate::setup::{PROGRAM, Setup, text, write};

pub(crate) fn trials() -> Vec<Trial> {
    let tests = tests![
        only_an_approval_lets_in,
        nobody_who_is_silent_gets_in,
        another_user_is_not_this_one,
        failmode_decides_if_the_service_is_down,
        a_wrong_configuration_lets_nobody_in,
        a_hostile_environment_changes_nothing,
        a_name_that_another_module_has_set_is_refused,
        the_account_phase_asks_as_well,
        the_person_reads_what_to_do,
        it_ends_with_the_program_that_asked,
    ];
    ignorable("pam", tests, missing)
}

/// Returns what the tests need and the machine lacks.
pub(crate) fn missing() -> Option<String> {
    let library = |name: &str| {
        let missing = find_library(name).is_none();
        missing.then(|| format!("{name} is missing"))
    };
    missing_program(&["pamtester"])
        .or_else(|| library("libpam_wrapper.so"))
        .or_else(|| library("pam_wrapper/pam_matrix.so"))
        .or_else(|| library("security/pam_exec.so"))
}

/// A folder of PAM services.
pub(crate) struct Services(Folder);

impl Services {
    pub(crate) fn new() -> Self {
        Self(Folder::new())
    }

    /// Adds a service. A module gets the path of the one that is installed.
    pub(crate) fn add(&self, name: &str, lines: &str) {
        let mut resolved = String::new();
        for line in lines.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let words: Vec<_> = words.iter().map(|word| Self::module(word)).collect();
            resolved += &words.join(" ");
            resolved.push('\n');
        }
        write(&self.0.path().join(name), &resolved, 0o644);
    }

    fn module(word: &str) -> String {
        let is_module = word
            .strip_prefix("pam_")
            .and_then(|it| it.strip_suffix(".so"));
        let file = match word {
            _ if is_module.is_none() => return word.to_owned(),
            "pam_matrix.so" => find_library("pam_wrapper/pam_matrix.so"),
            _ => find_library(&format!("security/{word}")),
        };
        file.unwrap_or_else(|| panic!("no {word}"))
            .display()
            .to_string()
    }

    /// Adds the passwords for `pam_matrix`: `login:password:service` in a line.
    pub(crate) fn passwords(&self, lines: &str) -> PathBuf {
        let path = self.0.path().join("passwords");
        write(&path, lines, 0o644);
        path
    }

    /// The environment that has a program use these services.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("LD_PRELOAD", find_library("libpam_wrapper.so").unwrap()),
            ("PAM_WRAPPER", PathBuf::from("1")),
            ("PAM_WRAPPER_SERVICE_DIR", self.0.path().to_owned()),
        ]
    }

    /// Begins to authenticate a login. The first password is `first`.
    pub(crate) fn start(&self, arguments: &[&str], first: &str) -> Child {
        let mut command = Command::new(find("pamtester").unwrap());
        let mut child = command
            .args(arguments)
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{first}").unwrap();
        child
    }

    pub(crate) fn run(&self, arguments: &[&str], first: &str) -> Output {
        self.start(arguments, first).wait_with_output().unwrap()
    }
}

/// A service that asks on the phone, and nothing else.
fn service(setup: &Setup, options: &str) -> Services {
    let services = Services::new();
    let config = setup.config();
    let line = format!(
        "required pam_exec.so seteuid stdout {PROGRAM} approve --pam --log stderr --config {} {options}",
        config.display()
    );
    services.add("sshd", &format!("auth {line}\naccount {line}\n"));
    services
}

const LOGIN: &[&str] = &["-I", "rhost=203.0.113.7", "sshd", "ada", "authenticate"];

#[track_caller]
fn assert_ends(output: &Output, is_let_in: bool, line: &str) {
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.success(), is_let_in, "{all}");
    assert!(all.contains(&format!("autharmor: {line}")), "{line}: {all}");
}

fn only_an_approval_lets_in() {
    let setup = Setup::new();
    let services = service(&setup, "");
    for (decision, is_let_in, line) in [
        (Decision::Approve, true, "let in: approved login=\"ada\""),
        (Decision::Decline, false, "refused: declined login=\"ada\""),
    ] {
        setup.emulator.on_sign_in(move |_| decision);
        let output = services.run(LOGIN, "");
        assert_ends(&output, is_let_in, line);
        assert_ends(&output, is_let_in, line.split(':').next().unwrap());
        assert!(
            text(&output.stdout).contains("from=\"203.0.113.7\"")
                || text(&output.stderr).contains("from=\"203.0.113.7\"")
        );
    }
    assert_eq!(setup.pushes(), 2);
}

fn nobody_who_is_silent_gets_in() {
    let setup = Setup::new()
        .approve("deadline = 5\n")
        .decides(Decision::Ignore);
    for failmode in ["secure", "safe"] {
        let services = service(&setup, &format!("--failmode {failmode}"));
        assert_ends(&services.run(LOGIN, ""), false, "refused: no response");
    }
}

fn another_user_is_not_this_one() {
    let setup = Setup::new().decides(Decision::Approve);
    setup.emulator.add_user("mallory@example.com").unwrap();
    let fault = Fault::other_user().on("validate_authenticator_auth");
    setup.emulator.fault(fault);
    let services = service(&setup, "--failmode safe");
    assert_ends(
        &services.run(LOGIN, ""),
        false,
        "refused: response about another user",
    );
}

fn failmode_decides_if_the_service_is_down() {
    let setup = Setup::new()
        .approve("deadline = 5\n")
        .decides(Decision::Approve);
    setup.emulator.fault(Fault::status(503));
    let output = service(&setup, "").run(LOGIN, "");
    assert_ends(&output, false, "refused: service not reachable");
    let output = service(&setup, "--failmode safe").run(LOGIN, "");
    assert_ends(
        &output,
        true,
        "let in: service not reachable, and failmode is safe",
    );
}

fn a_wrong_configuration_lets_nobody_in() {
    let setup = Setup::new()
        .approve("fail_mode = \"safe\"\n")
        .decides(Decision::Approve);
    let output = service(&setup, "--failmode safe").run(LOGIN, "");
    assert_ends(&output, false, "refused: wrong configuration");
    assert_eq!(setup.pushes(), 0);
    // Usage errors are a no as well.
    assert!(
        !service(&setup, "--no-such-option")
            .run(LOGIN, "")
            .status
            .success()
    );
}

fn a_hostile_environment_changes_nothing() {
    let mallory = Emulator::builder().user("ada@example.com").start().unwrap();
    mallory.on_sign_in(|_| Decision::Approve);
    let setup = Setup::new().decides(Decision::Decline);
    let ca = setup.folder.path().join("mallory.pem");
    write(&ca, mallory.ca_pem(), 0o644);
    let ca = ca.display();
    let variables = [
        format!("AUTHARMOR_API_URL={}", mallory.api_url()),
        format!("AUTHARMOR_LOGIN_URL={}", mallory.login_url()),
        format!("AUTHARMOR_CLIENT_ID={}", mallory.client_id()),
        format!("AUTHARMOR_CLIENT_SECRET={}", mallory.client_secret()),
        format!("AUTHARMOR_CA_FILE={ca}"),
        format!("SSL_CERT_FILE={ca}"),
        "HTTPS_PROXY=http://127.0.0.1:1".to_owned(),
        "https_proxy=http://127.0.0.1:1".to_owned(),
        "XDG_CONFIG_HOME=/tmp".to_owned(),
        "SSH_ORIGINAL_COMMAND=true".to_owned(),
    ];
    let mut arguments = Vec::new();
    for variable in &variables {
        arguments.extend(["-E", variable.as_str()]);
    }
    arguments.extend(LOGIN);
    let services = service(&setup, "--failmode safe");
    assert_ends(&services.run(&arguments, ""), false, "refused: declined");
    assert_eq!(mallory.request_count(), 0);
    assert_eq!(setup.pushes(), 1);
}

/// `pam_exec` puts its own variables behind those of other modules.
fn a_name_that_another_module_has_set_is_refused() {
    let setup = Setup::new().decides(Decision::Approve);
    setup.emulator.add_user("mallory@example.com").unwrap();
    let services = service(&setup, "--failmode safe");
    let arguments = [&["-E", "PAM_USER=mallory"], LOGIN].concat();
    let output = services.run(&arguments, "");
    assert_ends(&output, false, "refused: failure on this machine");
    assert_eq!(setup.pushes(), 0);
}

fn the_account_phase_asks_as_well() {
    let setup = Setup::new();
    let services = service(&setup, "");
    for (decision, is_let_in) in [(Decision::Approve, true), (Decision::Decline, false)] {
        setup.emulator.on_sign_in(move |_| decision);
        let output = services.run(&["sshd", "ada", "acct_mgmt"], "");
        assert_eq!(
            output.status.success(),
            is_let_in,
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(setup.pushes(), 2);
}

fn the_person_reads_what_to_do() {
    let setup = Setup::new().approve("visual_verify = true\n");
    let services = service(&setup, "");
    let child = services.start(LOGIN, "");
    let request = setup
        .emulator
        .wait_for_request(Duration::from_secs(30))
        .unwrap();
    setup.emulator.approve(request.auth_request_id).unwrap();
    let output = child.wait_with_output().unwrap();
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    let number = format!(
        "Choose {} in the app.",
        request.visual_verify_value.unwrap()
    );
    assert!(output.status.success(), "{all}");
    assert!(all.contains(&number), "{all}");
    assert!(all.contains("Approve the login"), "{all}");
}

/// `pam_exec` starts a session of its own, which no signal reaches.
fn it_ends_with_the_program_that_asked() {
    let setup = Setup::new();
    let services = service(&setup, "");
    let mut child = services.start(LOGIN, "");
    setup
        .emulator
        .wait_for_request(Duration::from_secs(30))
        .unwrap();
    let config = setup.config();
    assert_eq!(processes_with(&config).len(), 1);
    let pamtester = Pid::from_raw(child.id().try_into().unwrap());
    kill(pamtester, Signal::SIGKILL).unwrap();
    let began = Instant::now();
    wait_until("it goes on", || {
        processes_with(&config).is_empty().then_some(())
    });
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    child.wait().unwrap();
    fs::remove_file(config).unwrap();
}
