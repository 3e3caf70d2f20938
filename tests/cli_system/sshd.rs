//! Real sshd on a loopback port: logins, commands and file transfers.
//!
//! sshd runs in a mount namespace of its own, with accounts, a `/run` and a
//! syslog socket of its own.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use autharmor::emulator::{Decision, Fault};
use autharmor_test_support::emulator::token_requests;
use libtest_mimic::Trial;

use crate::pam::{self, Services};
use crate::programs::{
    find, missing_namespace, missing_program, processes_with, tests, trials as ignorable,
    wait_until,
};
use crate::setup::{PROGRAM, Setup, set_mode, text, write};
use crate::stacks;

pub(crate) fn trials() -> Vec<Trial> {
    let forced = tests![
        a_command_runs_after_an_approval,
        nothing_runs_after_a_decline,
        a_shell_is_a_login_shell,
        odd_bytes_of_a_command_arrive,
        a_terminal_shows_what_to_do,
        scp_works,
        sftp_works_with_both_servers,
        no_file_is_transferred_after_a_decline,
        a_second_session_uses_the_stored_token,
        each_decision_is_in_the_log_of_the_system,
        failmode_safe_is_logged_as_an_alert,
        nothing_is_forwarded_without_an_approval,
        a_lost_connection_ends_it,
        the_client_cannot_set_the_environment,
        a_setuid_program_keeps_the_secret_from_the_user,
    ];
    let mut all = ignorable("sshd", forced, missing);
    all.extend(ignorable("sshd", tests![rsync_works], || {
        missing().or_else(|| missing_program(&["rsync"]))
    }));
    all.extend(ignorable("sshd", tests![git_works], || {
        missing().or_else(|| missing_program(&["git"]))
    }));
    let with_pam = tests![
        a_wrong_first_password_does_not_ask_and_the_next_one_does,
        after_a_key_the_account_lines_ask,
    ];
    all.extend(ignorable("sshd", with_pam, || {
        missing().or_else(pam::missing)
    }));
    all
}

fn missing() -> Option<String> {
    missing_namespace().or_else(|| {
        missing_program(&[
            "sshd",
            "ssh",
            "ssh-keygen",
            "scp",
            "sftp",
            "mount",
            "setsid",
        ])
    })
}

/// The accounts of the tests.
const ADA: u32 = 47_111;
const HELPER: u32 = 47_112;

/// A server, and what its user needs.
struct Server {
    setup: Setup,
    /// The home of the user.
    home: PathBuf,
    port: u16,
    process: Child,
    log: UnixDatagram,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts a server that forces `approve --exec`.
    fn start(setup: Setup) -> Self {
        let secret = setup.folder.path().join("secret");
        chown(secret, Some(ADA), Some(ADA)).unwrap();
        let lines = format!("UsePAM no\n{}", force_command(&setup));
        Self::start_with(setup, &lines, None)
    }

    fn start_with(setup: Setup, lines: &str, services: Option<&Services>) -> Self {
        let folder = setup.folder.path().to_owned();
        let home = folder.join("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(ADA), Some(ADA)).unwrap();
        for name in ["host", "user"] {
            let mut keygen = Command::new(find("ssh-keygen").unwrap());
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            assert!(keygen.arg(folder.join(name)).status().unwrap().success());
        }
        let mut accounts = format!(
            "{}ada:x:{ADA}:{ADA}::{}:/bin/sh\n\
             helper:x:{HELPER}:{HELPER}::/nonexistent:/usr/sbin/nologin\n",
            fs::read_to_string("/etc/passwd").unwrap(),
            home.display()
        );
        if !accounts.contains("\nsshd:") {
            accounts += "sshd:x:47113:47113::/run/sshd:/usr/sbin/nologin\n";
        }
        write(&folder.join("passwd"), &accounts, 0o644);
        let log = UnixDatagram::bind(folder.join("log")).unwrap();
        log.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        set_mode(&folder.join("log"), 0o666);
        let port = free_port();
        let folder_text = folder.display();
        let subsystem = if lines.contains("Subsystem") {
            ""
        } else {
            "Subsystem sftp internal-sftp\n"
        };
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {folder_text}/host\nPidFile none\n\
             StrictModes no\nAuthorizedKeysFile {folder_text}/user.pub\n\
             LogLevel ERROR\n{subsystem}{lines}"
        );
        write(&folder.join("sshd_config"), &config, 0o644);
        let variables = services.map(Services::environment);
        let variables = variables.iter().flatten();
        let variables = variables.map(|(name, value)| format!("{name}={}", value.display()));
        let preload = variables.fold("env".to_owned(), |all, it| all + " " + &it);
        // A syslog socket in /dev comes before the one in /run.
        let script = format!(
            "set -e; cd {folder_text}; mount -t tmpfs tmpfs /run; mkdir -p -m 755 /run/sshd; \
             cp -a /etc /run/etc; cp passwd /run/etc/passwd; \
             mkdir -p /run/etc/autharmor; cp config.toml /run/etc/autharmor; \
             mount --bind /run/etc /etc; : >/run/log; mount --bind log /run/log; \
             if [ -S /dev/log ] && [ ! -L /dev/log ]; then mount --bind log /dev/log; fi; \
             exec {preload} {} -D -e -f {folder_text}/sshd_config",
            find("sshd").unwrap().display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let errors = File::create(folder.join("errors")).unwrap();
        let process = command.stdin(Stdio::null()).stderr(errors).spawn().unwrap();
        let server = Self {
            setup,
            home,
            port,
            process,
            log,
        };
        wait_until("sshd does not listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        server
    }

    fn path(&self, name: &str) -> String {
        self.setup.folder.path().join(name).display().to_string()
    }

    /// The options that all clients take.
    fn options(&self) -> Vec<String> {
        let mut options = vec!["-F".to_owned(), "none".to_owned()];
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "IdentitiesOnly=yes",
            &format!("IdentityFile={}", self.path("user")),
            &format!("Port={}", self.port),
        ] {
            options.extend(["-o".to_owned(), option.to_owned()]);
        }
        options
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(find(program).unwrap());
        command
            .args(self.options())
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    fn ssh(&self, arguments: &[&str]) -> Output {
        let mut command = self.client("ssh");
        command
            .arg("ada@127.0.0.1")
            .args(arguments)
            .output()
            .unwrap()
    }

    /// The shell command that rsync and git connect with.
    fn shell(&self) -> String {
        format!(
            "{} {}",
            find("ssh").unwrap().display(),
            self.options().join(" ")
        )
    }

    /// Returns the next line of the program in the log of the system.
    fn log_line(&self) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length = self.log.recv(&mut buffer).unwrap();
            let line = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if line.contains(" autharmor[") {
                return line;
            }
        }
    }
}

/// Returns a port that the system gives to nobody who asks for any port.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    wait_until("no free port", || {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    })
}

/// Returns the lines of the manual that have sshd run the program in place of
/// each command.
fn force_command(setup: &Setup) -> String {
    let installed = "/usr/local/bin/autharmor approve --exec";
    let ours = format!(
        "{PROGRAM} approve --exec --config {}",
        setup.config().display()
    );
    let lines = stacks::stack("sshd_config");
    assert_eq!(lines.matches(installed).count(), 1);
    lines.replace(installed, &ours)
}

/// A server whose user decides so.
fn server(decision: Decision) -> Server {
    Server::start(Setup::new().decides(decision))
}

#[track_caller]
fn assert_output(output: &Output, status: i32, stdout: &str) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    assert_eq!(text(&output.stdout), stdout, "{errors}");
    assert_eq!(errors, "");
}

fn a_command_runs_after_an_approval() {
    let server = server(Decision::Approve);
    let output = server.ssh(&["echo \"$0 $HOME\"; exit 7"]);
    let home = server.home.display();
    assert_output(&output, 7, &format!("sh {home}\n"));
    assert_eq!(server.setup.pushes(), 1);
}

fn nothing_runs_after_a_decline() {
    let server = server(Decision::Decline);
    assert_output(&server.ssh(&["touch ran; echo ran"]), 1, "");
    assert!(!server.home.join("ran").exists());
    assert_eq!(server.setup.pushes(), 1);
}

fn a_shell_is_a_login_shell() {
    let server = server(Decision::Approve);
    write(&server.home.join(".profile"), "echo profile\n", 0o644);
    let mut command = server.client("ssh");
    let mut child = command
        .args(["-T", "ada@127.0.0.1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut { input }, b"echo $0\nexit 3\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_output(&output, 3, "profile\n-sh\n");
}

fn odd_bytes_of_a_command_arrive() {
    use std::os::unix::ffi::OsStrExt as _;
    let server = server(Decision::Approve);
    let mut command = server.client("ssh");
    let odd = std::ffi::OsStr::from_bytes(b"printf %s '\xff\x1b[2J\n $(x)'");
    let output = command.arg("ada@127.0.0.1").arg(odd).output().unwrap();
    assert_eq!(output.stdout, b"\xff\x1b[2J\n $(x)");
    assert!(output.status.success());
}

fn a_terminal_shows_what_to_do() {
    let server = Server::start(Setup::new().approve("visual_verify = true\n"));
    let mut command = server.client("ssh");
    command.args(["-tt", "ada@127.0.0.1", "echo done"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let emulator = &server.setup.emulator;
    let request = emulator.wait_for_request(Duration::from_secs(30)).unwrap();
    assert_eq!(request.action_name.as_deref(), Some("SSH login"));
    let message = request.short_msg.unwrap();
    assert!(
        message.starts_with("SSH login to ") && message.ends_with(" from 127.0.0.1"),
        "{message}"
    );
    emulator.approve(request.auth_request_id).unwrap();
    let output = child.wait_with_output().unwrap();
    let seen = text(&output.stdout);
    let lines: Vec<_> = seen.lines().collect();
    let number = request.visual_verify_value.unwrap();
    assert_eq!(lines[0], format!("Choose {number} in the app."), "{seen}");
    assert!(lines[1].starts_with("Approve the login"), "{seen}");
    assert_eq!(lines[2..], ["Let in: approved.", "done"], "{seen}");
}

fn scp_works() {
    let server = server(Decision::Approve);
    let source = server.path("sshd_config");
    // By the old protocol and by sftp.
    for (options, name) in [(["-q", "-O"], "old"), (["-q", "-s"], "new")] {
        let mut command = server.client("scp");
        command.args(options).arg(&source);
        let output = command
            .arg(format!("ada@127.0.0.1:{name}"))
            .output()
            .unwrap();
        assert_output(&output, 0, "");
        assert_eq!(
            fs::read(server.home.join(name)).unwrap(),
            fs::read(&source).unwrap()
        );
    }
    assert_eq!(server.setup.pushes(), 2);
}

fn sftp(server: &Server) -> Output {
    let batch = server.setup.folder.path().join("batch");
    write(
        &batch,
        &format!("put {} copy\n", server.path("sshd_config")),
        0o644,
    );
    let mut command = server.client("sftp");
    command.arg("-q").arg("-b").arg(batch);
    command.arg("ada@127.0.0.1").output().unwrap()
}

fn sftp_works_with_both_servers() {
    let known = [
        "/usr/lib/openssh/sftp-server",
        "/usr/libexec/openssh/sftp-server",
        "/usr/lib/ssh/sftp-server",
        "/usr/libexec/sftp-server",
    ];
    let path = known
        .into_iter()
        .find(|path| Path::new(path).exists())
        .unwrap();
    for subsystem in ["internal-sftp", "internal-sftp -l ERROR", path] {
        let setup = Setup::new().decides(Decision::Approve);
        chown(setup.folder.path().join("secret"), Some(ADA), Some(ADA)).unwrap();
        let forced = force_command(&setup);
        let lines = format!("UsePAM no\nSubsystem sftp {subsystem}\n{forced}");
        let server = Server::start_with(setup, &lines, None);
        let output = sftp(&server);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "");
        assert!(server.home.join("copy").exists());
    }
}

fn no_file_is_transferred_after_a_decline() {
    let server = server(Decision::Decline);
    assert!(!sftp(&server).status.success());
    for option in ["-O", "-s"] {
        let mut command = server.client("scp");
        command.arg(option).arg(server.path("sshd_config"));
        let output = command.arg("ada@127.0.0.1:copy").output().unwrap();
        assert!(!output.status.success());
    }
    assert!(!server.home.join("copy").exists());
    assert_eq!(server.setup.pushes(), 3);
}

fn rsync_works() {
    let server = server(Decision::Approve);
    let mut command = Command::new(find("rsync").unwrap());
    command.args(["-e", &server.shell(), &server.path("sshd_config")]);
    let output = command.arg("ada@127.0.0.1:copy").output().unwrap();
    assert_output(&output, 0, "");
    assert!(server.home.join("copy").exists());
}

fn git_works() {
    let server = server(Decision::Approve);
    let output = server.ssh(&["git init -q -b main repository"]);
    assert_output(&output, 0, "");
    let mut command = Command::new(find("git").unwrap());
    command.args(["ls-remote", "ada@127.0.0.1:repository"]);
    let output = command
        .env("GIT_SSH_COMMAND", server.shell())
        .output()
        .unwrap();
    assert_output(&output, 0, "");
    server.setup.emulator.on_sign_in(|_| Decision::Decline);
    assert!(
        !command
            .env("GIT_SSH_COMMAND", server.shell())
            .output()
            .unwrap()
            .status
            .success()
    );
}

fn a_second_session_uses_the_stored_token() {
    let setup = Setup::new().decides(Decision::Approve);
    let tokens = setup.folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    set_mode(&tokens, 0o700);
    chown(&tokens, Some(ADA), Some(ADA)).unwrap();
    let line = format!("token_file = \"{}/token\"", tokens.display());
    let server = Server::start(setup.top(&line));
    for _ in 0..2 {
        assert_output(&server.ssh(&["echo done"]), 0, "done\n");
    }
    assert_eq!(server.setup.pushes(), 2);
    assert_eq!(token_requests(&server.setup.emulator), 1);
}

fn each_decision_is_in_the_log_of_the_system() {
    let server = server(Decision::Approve);
    assert_output(&server.ssh(&["true"]), 0, "");
    let line = server.log_line();
    // authpriv is 10, info is 6, notice is 5.
    assert!(line.starts_with("<86>"), "{line}");
    let record = "let in: approved login=\"ada\" user=\"ada@example.com\" service=\"sshd\" \
                  from=\"127.0.0.1\" request=\"";
    assert!(line.contains(record), "{line}");
    server.setup.emulator.on_sign_in(|_| Decision::Decline);
    assert_output(&server.ssh(&["true"]), 1, "");
    let line = server.log_line();
    assert!(
        line.starts_with("<85>") && line.contains("refused: declined"),
        "{line}"
    );
}

fn failmode_safe_is_logged_as_an_alert() {
    let server = Server::start(Setup::new().approve("failmode = \"safe\"\ndeadline = 5\n"));
    server.setup.emulator.fault(Fault::status(503));
    assert_output(&server.ssh(&["echo done"]), 0, "done\n");
    let line = server.log_line();
    assert!(line.starts_with("<81>"), "{line}");
    assert!(
        line.contains("let in: service not reachable, and failmode is safe"),
        "{line}"
    );
}

/// A forwarding needs no command that could be replaced.
fn nothing_is_forwarded_without_an_approval() {
    let server = server(Decision::Decline);
    let mut command = server.client("ssh");
    let target = format!("127.0.0.1:{}", server.port);
    let output = command
        .args(["-W", &target, "ada@127.0.0.1"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(text(&output.stdout), "");
    assert!(
        text(&output.stderr).contains("forwarding failed"),
        "{}",
        text(&output.stderr)
    );
}

fn a_lost_connection_ends_it() {
    let server = Server::start(Setup::new());
    let mut command = server.client("ssh");
    let mut child = command.args(["ada@127.0.0.1", "true"]).spawn().unwrap();
    server
        .setup
        .emulator
        .wait_for_request(Duration::from_secs(30))
        .unwrap();
    let config = server.setup.folder.path().join("config.toml");
    assert_eq!(processes_with(&config).len(), 1);
    child.kill().unwrap();
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
    assert!(server.log_line().contains("refused: interrupted"));
}

fn the_client_cannot_set_the_environment() {
    let setup = Setup::new().decides(Decision::Decline);
    chown(setup.folder.path().join("secret"), Some(ADA), Some(ADA)).unwrap();
    let mallory = autharmor::emulator::Emulator::builder()
        .user("ada@example.com")
        .start()
        .unwrap();
    mallory.on_sign_in(|_| Decision::Approve);
    let ca = setup.folder.path().join("mallory.pem");
    write(&ca, mallory.ca_pem(), 0o644);
    let lines = format!("UsePAM no\nAcceptEnv *\n{}", force_command(&setup));
    let server = Server::start_with(setup, &lines, None);
    let mut command = server.client("ssh");
    for (name, value) in [
        ("AUTHARMOR_API_URL", mallory.api_url()),
        ("AUTHARMOR_LOGIN_URL", mallory.login_url()),
        ("AUTHARMOR_CLIENT_ID", mallory.client_id()),
        ("AUTHARMOR_CLIENT_SECRET", mallory.client_secret()),
        ("AUTHARMOR_CA_FILE", ca.to_str().unwrap()),
        ("PAM_USER", "mallory"),
        ("SSH_ORIGINAL_COMMAND", "echo from the client"),
    ] {
        command
            .env(name, value)
            .args(["-o", &format!("SendEnv={name}")]);
    }
    command.args(["ada@127.0.0.1", "echo done"]);
    assert_output(&command.output().unwrap(), 1, "");
    assert_eq!(mallory.request_count(), 0);
    server.setup.emulator.on_sign_in(|_| Decision::Approve);
    assert_output(&command.output().unwrap(), 0, "done\n");
}

fn a_setuid_program_keeps_the_secret_from_the_user() {
    let setup = Setup::new().decides(Decision::Approve);
    let folder = setup.folder.path().to_owned();
    chown(folder.join("secret"), Some(HELPER), Some(HELPER)).unwrap();
    let program = folder.join("autharmor");
    fs::copy(PROGRAM, &program).unwrap();
    chown(&program, Some(HELPER), Some(HELPER)).unwrap();
    set_mode(&program, 0o4755);
    // It takes no --config: that of the machine is read.
    setup.config();
    let lines = format!(
        "UsePAM no\nForceCommand {} approve --exec\n",
        program.display()
    );
    let server = Server::start_with(setup, &lines, None);
    let output = server.ssh(&["grep -E '^(Uid|Gid):' /proc/self/status; cat ../secret 2>&1"]);
    let seen = text(&output.stdout);
    let ids = format!("Uid:\t{ADA}\t{ADA}\t{ADA}\t{ADA}\nGid:\t{ADA}\t{ADA}\t{ADA}\t{ADA}\n");
    assert!(seen.starts_with(&ids), "{seen}{}", text(&output.stderr));
    assert!(seen.contains("Permission denied"), "{seen}");
    // The user runs it by hand.
    for arguments in [
        "approve --config /etc/autharmor/config.toml",
        "approve --exec --api-url https://mallory.example",
        "approve --check --client-secret-file /etc/shadow",
        "approve --pam",
        "approve root",
        "emulator --listen 127.0.0.1:0",
    ] {
        let output = server.ssh(&[&format!("{} {arguments}", program.display())]);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments}: {}",
            text(&output.stderr)
        );
    }
    let output = server.ssh(&[&format!("{} approve --check", program.display())]);
    let seen = text(&output.stdout);
    assert!(seen.contains("environment    is ignored"), "{seen}");
    assert!(output.status.success(), "{seen}");
}

/// The client asks a program for each password.
fn log_in_with_passwords(server: &Server, passwords: &str) -> Output {
    let folder = server.setup.folder.path();
    write(&folder.join("passwords"), passwords, 0o644);
    let askpass = folder.join("askpass");
    // Takes the first line of the file.
    let script = "#!/bin/sh\ncd \"${0%/*}\" && head -n 1 passwords && sed -i 1d passwords\n";
    write(&askpass, script, 0o755);
    let options = server.options().into_iter();
    let mut command = Command::new(find("ssh").unwrap());
    command
        .args(options.map(|option| option.replace("BatchMode=yes", "PubkeyAuthentication=no")))
        .stdin(Stdio::null())
        .args(["ada@127.0.0.1", "echo done"])
        .env("SSH_ASKPASS", askpass)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .output()
        .unwrap()
}

fn a_wrong_first_password_does_not_ask_and_the_next_one_does() {
    let setup = Setup::new().decides(Decision::Approve);
    let services = Services::new();
    stacks::add(&services, "sshd", "/etc/pam.d/sshd", &setup.config());
    let lines = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n";
    let server = Server::start_with(setup, lines, Some(&services));
    let output = log_in_with_passwords(&server, "wrong\nsecret\n");
    assert_eq!(text(&output.stdout), "done\n", "{}", text(&output.stderr));
    assert!(output.status.success());
    assert_eq!(server.setup.pushes(), 1);
    server.setup.emulator.on_sign_in(|_| Decision::Decline);
    let output = log_in_with_passwords(&server, "secret\n");
    assert_eq!(text(&output.stdout), "");
    assert!(!output.status.success());
}

fn after_a_key_the_account_lines_ask() {
    let setup = Setup::new().decides(Decision::Approve);
    let services = Services::new();
    stacks::add(
        &services,
        "sshd",
        "/etc/pam.d/sshd with keys",
        &setup.config(),
    );
    let lines = "UsePAM yes\nAuthenticationMethods publickey\n";
    let server = Server::start_with(setup, lines, Some(&services));
    // The client options have BatchMode.
    let output = server.ssh(&["echo done"]);
    assert_eq!(text(&output.stdout), "done\n", "{}", text(&output.stderr));
    assert!(sftp(&server).status.success());
    assert!(server.home.join("copy").exists());
    assert_eq!(server.setup.pushes(), 2);
    server.setup.emulator.on_sign_in(|_| Decision::Decline);
    let output = server.ssh(&["echo done"]);
    assert_eq!(text(&output.stdout), "");
    assert!(!output.status.success());
}
