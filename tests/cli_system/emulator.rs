//! `autharmor emulator`, with curl as a client.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use autharmor::emulator::Emulator;
use libtest_mimic::Trial;

use crate::programs::{missing_program, tests, trials as ignorable};
use crate::setup::PROGRAM;

pub(crate) fn trials() -> Vec<Trial> {
    let with_curl = tests![
        curl_alone_registers_and_signs_in_by_all_methods,
        curl_trusts_the_certificate_file_of_the_program,
        the_program_takes_every_option,
    ];
    let mut all = ignorable("emulator", with_curl, || missing_program(&["curl"]));
    let others = tests![
        the_program_prints_its_urls_logs_without_secrets_and_ends,
        wrong_options_are_refused,
        a_closed_output_does_not_stop_it,
    ];
    all.extend(ignorable("emulator", others, || None));
    all
}

/// The steps that the script prints.
const STEPS: &str = "\
phone enrolled
phone registered
approved on the phone
signed in by phone
passkey registered
signed in by passkey
mail registered
signed in by mail
phone disabled
all of it in the history
";

/// Runs the script.
fn walk_through(arguments: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/emulator/walkthrough.sh");
    let output = Command::new("sh")
        .arg(script)
        .args(arguments)
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), STEPS, "{errors}");
}

fn curl_alone_registers_and_signs_in_by_all_methods() {
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let (id, secret) = (emulator.client_id(), emulator.client_secret());
    walk_through(&[emulator.base_url(), id, secret]);
    assert_eq!(emulator.users()[0].1, "grace");
    for request in emulator.requests() {
        assert!(request.header("user-agent").unwrap().starts_with("curl/"));
        assert!(request.endpoint().is_some(), "{}", request.request_line());
    }
}

/// The running program.
struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["emulator", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        let timeout = Duration::from_secs(30);
        self.lines.recv_timeout(timeout).expect("a line of output")
    }

    /// The value in the next line, which has to begin with `name`.
    fn value(&self, name: &str) -> String {
        let line = self.line();
        let value = line.strip_prefix(name).unwrap_or_else(|| panic!("{line}"));
        value.trim().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn the_program_prints_its_urls_logs_without_secrets_and_ends() {
    let seed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator-seed.json");
    fs::write(
        &seed,
        r#"["ada@example.com", {"username": "bob", "without_methods": true}]"#,
    )
    .unwrap();
    let mut program = Program::start(&["--http", "--seed", seed.to_str().unwrap()]);
    let url = program.value("API and token endpoint");
    let address = url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(program.value("control page"), format!("{url}/_emulator/"));
    let id = program.value("client id");
    let secret = program.value("client secret");

    let plain = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let health = exchange(&address, &format!("GET /_emulator/health {plain}\r\n"));
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    assert!(health.contains(&format!("\"api_url\":\"{url}\"")));
    let users = exchange(&address, &format!("GET /_emulator/users {plain}\r\n"));
    assert!(users.contains("\"ada@example.com\"") && users.contains("\"bob\""));
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let response = exchange(
        &address,
        &format!(
            "POST /connect/token {plain}Content-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        ),
    );
    let token = response.split("\"access_token\":\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let name = "00000000-0000-0000-0000-000000000000?username=ada%40example.com";
    for (path, bearer) in [
        (format!("/v4/users/{name}"), token),
        (format!("/v4/users/{name}"), "wrong-token"),
        ("/v4/secret-path".to_owned(), token),
    ] {
        let request = format!("GET {path} {plain}Authorization: Bearer {bearer}\r\n\r\n");
        exchange(&address, &request);
    }
    // One line for each request of the API, without names and tokens.
    let lines: Vec<String> = (0..4).map(|_| program.line()).collect();
    assert_eq!(
        lines,
        [
            "200 POST token",
            "200 GET get_user",
            "401 GET get_user: the access token is unknown or was revoked",
            "404 GET (no such route): route not found",
        ]
    );

    assert!(program.child.try_wait().unwrap().is_none());
    let pid = program.child.id().to_string();
    let killed = Command::new("kill").arg(&pid).status();
    if !killed.is_ok_and(|status| status.success()) {
        program.child.kill().unwrap();
    }
    program.child.wait().unwrap();
    assert!(TcpStream::connect(&address).is_err());
}

fn curl_trusts_the_certificate_file_of_the_program() {
    let ca = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator-ca.pem");
    let program = Program::start(&["--ca-file", ca.to_str().unwrap()]);
    let url = program.value("API and token endpoint");
    assert!(url.starts_with("https://127.0.0.1:"));
    program.value("control page");
    let id = program.value("client id");
    let secret = program.value("client secret");
    assert_eq!(
        program.value("certificate to trust"),
        ca.display().to_string()
    );
    walk_through(&[&url, &id, &secret, ca.to_str().unwrap()]);
}

fn the_program_takes_every_option() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (ca, key) = (
        folder.join("program-ca.pem"),
        folder.join("program-key.pem"),
    );
    let _ = (fs::remove_file(&ca), fs::remove_file(&key));
    let options = [
        "--host=localhost",
        "--user=ada",
        "--user=grace",
        "--origin=http://localhost:3000",
        "--strict",
        "--approve-after=0",
        &format!("--ca-file={}", ca.display()),
        &format!("--ca-key={}", key.display()),
    ];
    let health = |options: &[&str]| {
        let program = Program::start(options);
        let url = program.value("API and token endpoint");
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--noproxy", "*"])
            .arg("--cacert")
            .arg(&ca)
            .arg(format!("{url}/_emulator/health"))
            .arg(format!("{url}/_emulator/users"))
            .arg(format!("{url}/_emulator/requests/automatic"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        (url, String::from_utf8(output.stdout).unwrap())
    };
    let (url, text) = health(&options);
    assert!(url.starts_with("https://localhost:"), "{url}");
    for part in [
        r#""origin":"http://localhost:3000""#,
        r#""rp_id":"localhost""#,
        r#""tolerant":false"#,
        // Nobody can guess the codes.
        r#""seed":null"#,
        r#""username":"ada""#,
        r#""username":"grace""#,
        r#"{"decision":"approve","seconds":0}"#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The authority is the same after a restart; tolerant is the default.
    let trusted = fs::read_to_string(&ca).unwrap();
    let (_, text) = health(&options[6..]);
    assert!(text.contains(r#""tolerant":true"#), "{text}");
    assert_eq!(fs::read_to_string(&ca).unwrap(), trusted);
}

fn wrong_options_are_refused() {
    let used = TcpListener::bind("127.0.0.1:0").unwrap();
    let used = used.local_addr().unwrap().to_string();
    for (arguments, status) in [
        (&["--nonsense"][..], 2),
        (&["--listen", "nowhere"], 2),
        (&["--listen"], 2),
        (&["--tolerant", "--strict"], 2),
        (&["--rp-id", "localhost"], 2),
        (&["--ca-key", "key.pem"], 2),
        (&["--origin", "nonsense"], 3),
        (&["--host", "a b"], 3),
        // Not a loopback address.
        (&["--listen", "192.0.2.1:0"], 3),
        (&["--seed", "/nowhere/at/all.json"], 3),
        (&["--listen", &used], 1),
    ] {
        let mut command = Command::new(PROGRAM);
        command.arg("emulator").args(arguments).env_clear();
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

fn a_closed_output_does_not_stop_it() {
    let mut program = Program::start(&["--http"]);
    let url = program.value("API and token endpoint");
    // The thread that reads the output ends with the next line.
    program.lines = mpsc::channel().1;
    let address = url.strip_prefix("http://").unwrap();
    let plain = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    for _ in 0..3 {
        let response = exchange(address, &format!("GET /v4/users {plain}\r\n"));
        assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
    }
    assert!(program.child.try_wait().unwrap().is_none());
}
