//! `autharmor approve` as a process, against the emulator.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use autharmor::emulator::{Decision, Emulator, Fault, NewUser};
use autharmor_test_support::emulator::token_requests;
use autharmor_test_support::{BlackHole, Folder};

use crate::approve_setup::{PROGRAM, Setup, USER, set_mode, text, write};

impl Setup {
    /// Replaces the API's URL and the token endpoint's.
    fn at(mut self, url: &str) -> Self {
        for known in [self.emulator.api_url(), self.emulator.login_url()] {
            self.top = self.top.replace(&format!("{known:?}"), &format!("{url:?}"));
        }
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(["approve", "--log", "stderr", "--config"])
            .arg(self.config())
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// Checks the exit status and how the only line begins. Standard output is
/// empty: somebody may read a file transfer from it.
#[track_caller]
fn assert_ends(output: &Output, status: i32, line: &str) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    assert!(
        errors.starts_with(&format!("autharmor: {line}")),
        "{errors}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn only_an_approval_ends_with_0() {
    let setup = Setup::new();
    for (decision, status, line) in [
        (
            Decision::Approve,
            0,
            "let in: approved login=\"ada\" user=\"ada@example.com\"",
        ),
        (
            Decision::Decline,
            1,
            "refused: declined login=\"ada\" user=\"ada@example.com\"",
        ),
    ] {
        setup.emulator.on_sign_in(move |_| decision);
        assert_ends(&setup.run(&["ada"]), status, line);
    }
    assert_eq!(setup.pushes(), 2);
}

#[test]
fn the_log_has_the_id_of_the_request() {
    let setup = Setup::new();
    let child = setup
        .command(&["ada"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = setup
        .emulator
        .wait_for_request(Duration::from_secs(30))
        .unwrap();
    setup.emulator.decline(request.auth_request_id).unwrap();
    let output = child.wait_with_output().unwrap();
    let id = format!("request=\"{}\"", request.auth_request_id);
    assert!(
        text(&output.stderr).contains(&id),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_phone_shows_where_the_login_comes_from() {
    let setup =
        Setup::new().approve("message = \"{service} of {user} from {remote_host} at {tty}\"\n");
    let mut command = setup.command(&["--pam"]);
    command.envs([
        ("PAM_USER", "ada"),
        ("PAM_SERVICE", "sshd"),
        ("PAM_RHOST", "203.0.113.7"),
        ("PAM_TTY", "ssh\u{1b}[2J"),
    ]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let request = setup
        .emulator
        .wait_for_request(Duration::from_secs(30))
        .unwrap();
    assert_eq!(request.username.as_deref(), Some(USER));
    assert_eq!(request.action_name.as_deref(), Some("SSH login"));
    assert_eq!(
        request.short_msg.as_deref(),
        Some("SSH of ada from 203.0.113.7 at ssh\\u{1b}[2J")
    );
    setup.emulator.approve(request.auth_request_id).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn nobody_who_is_silent_gets_in() {
    let setup = Setup::new()
        .approve("deadline = 5\n")
        .decides(Decision::Ignore);
    for failmode in ["secure", "safe"] {
        let output = setup.run(&["ada", "--failmode", failmode]);
        assert_ends(&output, 1, "refused: no response");
    }
}

#[test]
fn another_user_is_not_this_one() {
    let setup = Setup::new().decides(Decision::Approve);
    setup.emulator.add_user("mallory@example.com").unwrap();
    for endpoint in ["*", "validate_authenticator_auth"] {
        setup.emulator.clear_faults();
        setup.emulator.fault(Fault::other_user().on(endpoint));
        for failmode in ["secure", "safe"] {
            let output = setup.run(&["ada", "--failmode", failmode]);
            assert_ends(&output, 1, "refused: response about another user");
        }
    }
}

/// A service that cannot be asked, in several ways.
fn outages() -> Vec<(&'static str, Setup)> {
    let faulty = |fault: Fault| {
        let setup = Setup::new()
            .approve("deadline = 5\n")
            .decides(Decision::Approve);
        setup.emulator.fault(fault);
        setup
    };
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let slow = Duration::from_secs(60);
    let push = "start_authenticator_auth";
    vec![
        ("refused", Setup::new().at(&format!("https://{closed}"))),
        ("no such name", Setup::new().at("https://service.invalid")),
        ("token 503", faulty(Fault::status(503).on("token"))),
        ("token slow", faulty(Fault::latency(slow).on("token"))),
        ("push 500", faulty(Fault::status(500).on(push))),
        ("push slow", faulty(Fault::latency(slow).on(push))),
        (
            "push dropped",
            faulty(Fault::drop_before_response().on(push)),
        ),
    ]
}

#[test]
fn failmode_decides_if_the_service_cannot_be_asked() {
    for (case, setup) in outages() {
        println!("{case}");
        let began = Instant::now();
        let output = setup.run(&["ada"]);
        // A call alone could take 30 seconds.
        let time = began.elapsed();
        assert!(time < Duration::from_secs(15), "{case}: {time:?}");
        assert_ends(&output, 4, "refused: service not reachable login=\"ada\"");
        assert!(text(&output.stderr).contains(" detail=\""));
        let output = setup.run(&["ada", "--failmode", "safe"]);
        let line = "let in: service not reachable, and failmode is safe login=\"ada\"";
        assert_ends(&output, 0, line);
    }
}

#[test]
fn a_black_hole_counts_as_unreachable_when_the_deadline_is_over() {
    let hole = BlackHole::new();
    let setup = Setup::new()
        .at(&format!("https://{}", hole.addresses(1)[0]))
        .approve("deadline = 5\nfailmode = \"safe\"\n");
    let output = setup.run(&["ada"]);
    assert_ends(
        &output,
        0,
        "let in: service not reachable, and failmode is safe",
    );
    assert_ends(
        &setup.run(&["ada", "--failmode", "secure"]),
        4,
        "refused: service not",
    );
}

#[test]
fn an_outage_after_the_push_lets_nobody_in() {
    for fault in [
        Fault::status(503).on("get_auth_info"),
        Fault::status(503).on("validate_authenticator_auth"),
        Fault::drop_before_response().on("validate_authenticator_auth"),
    ] {
        let setup = Setup::new()
            .approve("deadline = 5\n")
            .decides(Decision::Approve);
        setup.emulator.fault(fault);
        let output = setup.run(&["ada", "--failmode", "safe"]);
        assert_ends(
            &output,
            4,
            "refused: service not reachable after the request",
        );
    }
}

#[test]
fn failmode_safe_lets_nobody_in_after_a_no() {
    let push = "start_authenticator_auth";
    let html = "<html>blocked</html>";
    for (fault, status, line) in [
        (Fault::status(429).on(push), 1, "refused by the service"),
        (Fault::status(400).on(push), 1, "refused by the service"),
        // As of a gateway, without an error body of the API.
        (Fault::status(404), 1, "refused by the service"),
        (Fault::status(403).on(push), 3, "wrong configuration"),
        (Fault::status(401).on("token"), 3, "wrong configuration"),
        (
            Fault::status(200).body("text/html", html).on("token"),
            1,
            "refused by the service",
        ),
        (Fault::garbage().on(push), 1, "refused by the service"),
        (Fault::status(302).on(push), 1, "refused by the service"),
    ] {
        for unenrolled in ["deny", "allow", "enrol"] {
            let lines =
                format!("deadline = 5\nfailmode = \"safe\"\nunenrolled = \"{unenrolled}\"\n");
            let setup = Setup::new().approve(&lines).decides(Decision::Approve);
            setup.emulator.fault(fault.clone());
            let output = setup.run(&["ada"]);
            assert_ends(&output, status, &format!("refused: {line}"));
        }
    }
}

#[test]
fn the_no_of_a_proxy_is_no_outage_but_a_proxy_that_is_down_is_one() {
    use std::io::{Read as _, Write as _};
    for status in [
        "403 Forbidden",
        "407 Proxy Authentication Required",
        "502 Bad Gateway",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = write!(stream, "HTTP/1.1 {status}\r\n\r\n");
            }
        });
        let setup = Setup::new()
            .top(&format!("proxy = \"http://{address}\""))
            .approve("deadline = 5\nfailmode = \"safe\"\n");
        assert_ends(&setup.run(&["ada"]), 1, "refused: refused by the proxy");
    }
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let setup = Setup::new()
        .top(&format!("proxy = \"http://{closed}\""))
        .approve("deadline = 5\nfailmode = \"safe\"\n");
    assert_ends(&setup.run(&["ada"]), 0, "let in: service not reachable");
}

#[test]
fn a_server_with_another_certificate_is_no_outage() {
    let other = Emulator::start().unwrap();
    let mut setup = Setup::new().approve("failmode = \"safe\"\n");
    let ca = setup.folder.path().join("other.pem");
    write(&ca, other.ca_pem(), 0o644);
    let own = setup.folder.path().join("ca.pem");
    setup.top = setup.top.replace(&format!("{own:?}"), &format!("{ca:?}"));
    assert_ends(&setup.run(&["ada"]), 1, "refused: refused by the service");
}

#[test]
fn a_wrong_configuration_lets_nobody_in() {
    let without = |name: &str, text: &str| -> String {
        let lines = text.lines().filter(|line| !line.starts_with(name));
        lines.fold(String::new(), |all, line| all + line + "\n")
    };
    // Each replaces the beginning of a line.
    for (from, to) in [
        ("client_id = ", None),
        ("client_secret_file = ", None),
        ("client_id = ", Some("client_ids = ")),
        (
            "client_secret_file = \"",
            Some("client_secret_file = \"/nowhere"),
        ),
        ("api_url = \"https:", Some("api_url = \"ftp:")),
        ("failmode = \"safe", Some("failmode = \"safest")),
        ("failmode", Some("fail_mode")),
        ("user = \"{user}", Some("user = \"{name}")),
        ("user = ", Some("deadline = 4\nuser = ")),
        ("user = ", Some("deadline = 301\nuser = ")),
        ("user = ", Some("message = \"{\"\nuser = ")),
        ("user = ", Some("users_file = \"/nowhere\"\nuser = ")),
    ] {
        let setup = Setup::new().approve("failmode = \"safe\"\nunenrolled = \"allow\"\n");
        let mut command = setup.command(&["ada"]);
        let path = setup.config();
        let good = fs::read_to_string(&path).unwrap();
        let good = format!("\n{good}");
        let wrong = match to {
            None => without(from, &good),
            Some(to) => good.replacen(&format!("\n{from}"), &format!("\n{to}"), 1),
        };
        assert_ne!(wrong, good, "{from}");
        write(&path, &wrong, 0o644);
        let line = "refused: wrong configuration login=\"ada\"";
        assert_ends(&command.output().unwrap(), 3, line);
        assert_eq!(setup.pushes(), 0);
    }
}

#[test]
fn files_that_others_can_write_or_secrets_that_they_can_read_are_refused() {
    for (file, mode) in [
        ("config.toml", 0o666),
        ("config.toml", 0o664),
        ("secret", 0o644),
        ("secret", 0o660),
        ("ca.pem", 0o666),
        ("users", 0o666),
    ] {
        let setup = Setup::new();
        let users = setup.folder.path().join("users");
        write(&users, "ada ada@example.com\n", 0o644);
        let setup = setup.approve(&format!("users_file = {users:?}\n"));
        let mut command = setup.command(&["ada", "--failmode", "safe"]);
        let path = setup.folder.path().join(file);
        set_mode(&path, mode);
        let output = command.output().unwrap();
        assert_ends(&output, 3, "refused: wrong configuration");
        assert!(
            text(&output.stderr).contains(file),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn users_without_the_app() {
    for (unenrolled, status, line) in [
        ("deny", 1, "refused: user without the app"),
        (
            "allow",
            0,
            "let in: user without the app, and unenrolled is allow",
        ),
    ] {
        let emulator = Emulator::builder()
            .user(NewUser::new(USER).without_methods())
            .start()
            .unwrap();
        let lines = format!("unenrolled = \"{unenrolled}\"\n");
        let setup = Setup::with(emulator).approve(&lines);
        assert_ends(&setup.run(&["ada"]), status, line);
        // Somebody whom the service does not know.
        assert_ends(&setup.run(&["grace"]), status, line);
    }
    // Without a terminal the QR code cannot be shown.
    let emulator = Emulator::builder().start().unwrap();
    let setup = Setup::with(emulator).approve("unenrolled = \"enrol\"\n");
    let output = setup.run(&["ada"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<_> = text(&output.stderr).lines().collect();
    assert!(
        lines[0].starts_with("autharmor: enrols: user without the app"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("autharmor: refused: app not enrolled"),
        "{lines:?}"
    );
}

#[test]
fn a_new_user_enrols_and_then_approves() {
    for (decision, status) in [(Decision::Approve, 0), (Decision::Decline, 1)] {
        let setup = Setup::with(Emulator::builder().start().unwrap())
            .approve("unenrolled = \"enrol\"\n")
            .decides(decision);
        let mut command = setup.command(&["--pam"]);
        command.envs([("PAM_USER", "ada"), ("PAM_SERVICE", "sshd")]);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let registration = wait_for_registration(&setup.emulator);
        setup.emulator.enrol_phone(registration).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stdout).contains("Scan this"),
            "{}",
            text(&output.stdout)
        );
        assert!(
            text(&output.stdout).contains('▄'),
            "{}",
            text(&output.stdout)
        );
        assert_eq!(setup.pushes(), 2, "refused, and then approved");
    }
}

fn wait_for_registration(emulator: &Emulator) -> uuid::Uuid {
    let began = Instant::now();
    loop {
        if let Some(pending) = emulator.pending_registrations().first() {
            return pending.registration_id;
        }
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_file_of_users_and_the_exemptions() {
    let setup = Setup::new().decides(Decision::Approve);
    let users = setup.folder.path().join("users");
    write(&users, "lovelace  ada@example.com\n", 0o644);
    let mut setup = setup;
    setup.approve = format!("users_file = {users:?}\nexempt_users = [\"backup\"]\n");
    assert_ends(
        &setup.run(&["lovelace"]),
        0,
        "let in: approved login=\"lovelace\" user=\"ada@example.com\"",
    );
    assert_ends(&setup.run(&["ada"]), 1, "refused: no user for this login");
    assert_eq!(setup.pushes(), 1);
    assert_ends(
        &setup.run(&["backup"]),
        0,
        "let in: exempt login=\"backup\"",
    );
    assert_eq!(setup.pushes(), 1);
}

/// Whoever types `su` has chosen the current folder.
#[test]
fn a_relative_path_is_one_in_the_folder_of_the_configuration_file() {
    let mallory = Folder::new();
    write(
        &mallory.path().join("users"),
        "ada mallory@example.com\n",
        0o644,
    );
    let mut setup = Setup::new().decides(Decision::Approve);
    setup.emulator.add_user("mallory@example.com").unwrap();
    setup.approve = "users_file = \"users\"\n".to_owned();
    write(
        &setup.folder.path().join("users"),
        "ada ada@example.com\n",
        0o644,
    );
    let mut command = setup.command(&["ada"]);
    let output = command.current_dir(mallory.path()).output().unwrap();
    assert_ends(
        &output,
        0,
        "let in: approved login=\"ada\" user=\"ada@example.com\"",
    );
}

#[test]
fn the_environment_is_ignored_under_pam() {
    let mallory = Emulator::builder().user(USER).start().unwrap();
    mallory.on_sign_in(|_| Decision::Approve);
    let setup = Setup::new().decides(Decision::Decline);
    let ca = setup.folder.path().join("mallory.pem");
    write(&ca, mallory.ca_pem(), 0o644);
    let hostile = [
        ("AUTHARMOR_API_URL", mallory.api_url()),
        ("AUTHARMOR_LOGIN_URL", mallory.login_url()),
        ("AUTHARMOR_CLIENT_ID", mallory.client_id()),
        ("AUTHARMOR_CLIENT_SECRET", mallory.client_secret()),
        ("AUTHARMOR_CA_FILE", ca.to_str().unwrap()),
        ("SSL_CERT_FILE", ca.to_str().unwrap()),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("https_proxy", "http://127.0.0.1:1"),
        ("ALL_PROXY", "http://127.0.0.1:1"),
        ("XDG_CONFIG_HOME", setup.folder.path().to_str().unwrap()),
        ("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22"),
    ];
    for arguments in [
        ["--pam", "--failmode", "safe"],
        ["--exec", "--failmode", "safe"],
    ] {
        let mut command = setup.command(&arguments);
        let output = command
            .envs(hostile)
            .env("PAM_USER", "ada")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    }
    assert_eq!(mallory.request_count(), 0);
    // The control: by hand, the environment counts.
    let mut command = setup.command(&["ada"]);
    let environment = [
        "AUTHARMOR_API_URL",
        "AUTHARMOR_LOGIN_URL",
        "AUTHARMOR_CLIENT_ID",
        "AUTHARMOR_CLIENT_SECRET",
        "AUTHARMOR_CA_FILE",
    ];
    let environment = hostile
        .iter()
        .filter(|(name, _)| environment.contains(name));
    command.envs(environment.copied());
    assert!(command.output().unwrap().status.success());
}

#[test]
fn what_pam_says_is_checked() {
    let setup = Setup::new().decides(Decision::Approve);
    let long = "x".repeat(300);
    for (variables, status, line) in [
        (
            vec![],
            3,
            "refused: wrong configuration detail=\"PAM_USER is not set",
        ),
        (vec![("PAM_USER", "")], 3, "refused: wrong configuration"),
        (
            vec![("PAM_USER", "a\u{1b}[2J\nb")],
            1,
            "refused: failure on this machine",
        ),
        (
            vec![("PAM_USER", long.as_str())],
            1,
            "refused: failure on this machine",
        ),
        (
            vec![("PAM_USER", "ada"), ("PAM_TYPE", "password")],
            3,
            "refused: wrong configuration",
        ),
        (
            vec![("PAM_USER", "ada"), ("PAM_TYPE", "close_session")],
            3,
            "refused: wrong configuration",
        ),
    ] {
        let mut command = setup.command(&["--pam", "--failmode", "safe"]);
        let output = command.envs(variables).output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{errors}");
        assert!(
            errors.starts_with(&format!("autharmor: {line}")),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(!errors.contains('\u{1b}'), "{errors}");
    }
    assert_eq!(setup.pushes(), 0);
}

/// Limits are inherited from whoever types `su`.
#[test]
fn limits_of_the_caller_are_no_outage() {
    for limit in ["-n 3", "-n 4", "-n 5", "-n 6", "-v 400000", "-d 20000"] {
        let mut setup = Setup::new().decides(Decision::Decline);
        // Two hosts need two connections.
        let url = setup.emulator.login_url().replace("127.0.0.1", "localhost");
        let line = format!("login_url = {:?}", setup.emulator.login_url());
        setup.top = setup.top.replace(&line, &format!("login_url = {url:?}"));
        let known = setup.command(&["--pam", "--failmode", "safe"]);
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                &format!("ulimit {limit} && exec \"$@\""),
                "sh",
                PROGRAM,
            ])
            .args(known.get_args())
            .env_clear()
            .envs([
                ("PAM_USER", "root"),
                ("PAM_RUSER", "ada"),
                ("PAM_SERVICE", "su"),
            ]);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{limit}: {errors}");
        assert!(!errors.contains("let in"), "{limit}: {errors}");
    }
}

#[test]
fn su_asks_the_caller_and_not_the_target() {
    let setup = Setup::new().decides(Decision::Approve);
    for (service, expected) in [("su", "ada"), ("su-l", "ada"), ("sshd", "root")] {
        let mut command = setup.command(&["--pam"]);
        let names = [
            ("PAM_USER", "root"),
            ("PAM_RUSER", "ada"),
            ("PAM_SERVICE", service),
        ];
        let output = command.envs(names).output().unwrap();
        let login = format!("login=\"{expected}\"");
        assert!(
            text(&output.stderr).contains(&login),
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn check_does_everything_but_the_push() {
    let setup = Setup::new();
    let token_file = setup.folder.path().join("token");
    let setup = setup.top(&format!("token_file = \"{}\"", token_file.display()));
    for arguments in [["ada", "--check"].as_slice(), &["ada", "--check", "--pam"]] {
        let output = setup.run(arguments);
        let report = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{report}{}",
            text(&output.stderr)
        );
        for line in [
            "login          ada is ada@example.com\n",
            "credentials    accepted\n",
            "app            enrolled\n",
            "push           not sent\n",
        ] {
            assert!(report.contains(line), "{report}");
        }
    }
    assert_eq!(setup.pushes(), 0);
    // Each has stored a new token for the logins.
    assert_eq!(token_requests(&setup.emulator), 2);
    assert_ends(&setup.run(&["grace"]), 1, "refused: user without the app");
    assert_eq!(token_requests(&setup.emulator), 2);
    let output = setup.run(&["grace", "--check"]);
    let report = text(&output.stdout);
    assert!(
        report.contains("app            not enrolled: this login is refused"),
        "{report}"
    );
    setup.emulator.fault(Fault::status(401).on("token"));
    let output = setup.run(&["ada", "--check"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("\nFAILED "));
    setup.emulator.clear_faults();
    setup.emulator.fault(Fault::status(503).on("token"));
    assert_eq!(setup.run(&["ada", "--check"]).status.code(), Some(4));
}

#[test]
fn a_number_that_cannot_be_shown_lets_nobody_in() {
    let setup = Setup::new()
        .approve("visual_verify = true\n")
        .decides(Decision::Approve);
    assert_ends(&setup.run(&["ada"]), 1, "refused: failure on this machine");
    assert_eq!(setup.pushes(), 0);
    let mut command = setup.command(&["--pam"]);
    let output = command.env("PAM_USER", "ada").output().unwrap();
    assert!(output.status.success());
    assert!(
        text(&output.stdout).starts_with("Choose "),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn a_service_that_sends_no_number_lets_nobody_in() {
    let setup = Setup::new()
        .approve("visual_verify = true\nfailmode = \"safe\"\n")
        .decides(Decision::Approve);
    let id = uuid::Uuid::from_u128(7);
    let started = format!(
        "{{\"auth_request_id\": \"{id}\", \"user_id\": \"{id}\", \"visual_verify_value\": \"\", \
         \"auth_validation_token\": \"token\", \"push_message_sent\": true}}"
    );
    let fault = Fault::status(200).body("application/json", started);
    setup.emulator.fault(fault.on("start_authenticator_auth"));
    let mut command = setup.command(&["--pam"]);
    let output = command.env("PAM_USER", "ada").output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("detail=\"the service has sent no number\""),
        "{errors}"
    );
    assert_eq!(
        setup.emulator.requests().last().unwrap().endpoint(),
        Some("start_authenticator_auth")
    );
}

#[test]
fn wrong_usage() {
    let setup = Setup::new();
    for arguments in [
        ["--pam", "--exec"].as_slice(),
        &["--pam", "ada"],
        &["--exec", "ada"],
        &["--failmode", "maybe"],
        &["ada", "grace"],
    ] {
        let output = setup.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(setup.emulator.request_count(), 0);
}

#[test]
fn no_secret_is_printed() {
    let setup = Setup::new().decides(Decision::Approve);
    let secret = setup.emulator.client_secret().to_owned();
    for arguments in [["ada"].as_slice(), &["ada", "--check"]] {
        let output = setup.run(arguments);
        let all = [output.stdout, output.stderr].concat();
        assert!(!text(&all).contains(&secret));
    }
}
