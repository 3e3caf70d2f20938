//! Helpers for the tests of `doctor` and `probe`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;

use autharmor::emulator::{Emulator, EmulatorBuilder, NewUser};
use autharmor_test_support::Folder;
use serde_json::Value;

pub(crate) const SECRET: &str = "canary-secret";
pub(crate) const USER: &str = "canary.person@example.com";

/// Texts that no output may hold.
const CANARIES: [&str; 5] = [
    "canary",
    "Canary",
    "%40example.com",
    "eyJ",
    "emulator-client",
];

pub(crate) fn emulator() -> EmulatorBuilder {
    let user = NewUser::new(USER).email("Canary.Address@example.com");
    Emulator::builder()
        .client("emulator-client", SECRET)
        .user(user)
}

/// A home directory with a configuration for an emulator.
pub(crate) struct Setup {
    folder: Folder,
    variables: Vec<(String, String)>,
}

/// How a run of the program ended.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Setup {
    pub(crate) fn new(emulator: &Emulator) -> Self {
        let setup = Self {
            folder: Folder::new(),
            variables: Vec::new(),
        };
        fs::create_dir_all(setup.home().join(".config/autharmor")).unwrap();
        setup.write("secret", SECRET);
        setup.write("ca.pem", emulator.ca_pem());
        setup.configure(emulator.base_url(), "");
        setup
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("canary-home")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// Writes a file that only this user can read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        self.set_mode(name, 0o600);
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, url: &str, more: &str) {
        let home = self.home();
        let home = home.to_str().unwrap();
        let text = format!(
            "client_id = \"emulator-client\"\n\
             client_secret_file = \"{home}/secret\"\n\
             ca_file = \"{home}/ca.pem\"\n\
             api_url = \"{url}\"\nlogin_url = \"{url}\"\n{more}\n"
        );
        self.write(".config/autharmor/config.toml", &text);
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the program without any other variable, and checks that its output
    /// holds no secret and no name.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        let output: Output = Command::new(env!("CARGO_BIN_EXE_autharmor"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .envs(variables)
            .output()
            .unwrap();
        let run = Run {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        for text in [&run.stdout, &run.stderr] {
            for canary in CANARIES {
                assert!(!text.contains(canary), "{canary} in\n{text}");
            }
        }
        run
    }
}

impl Run {
    /// The lines of JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

/// Returns the address of a port that nobody listens on.
pub(crate) fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Starts a proxy that leads every tunnel to `to`, or responds with `refusal`.
pub(crate) fn proxy(to: SocketAddr, refusal: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            thread::spawn(move || tunnel(client.unwrap(), to, refusal));
        }
    });
    address
}

fn tunnel(mut client: TcpStream, to: SocketAddr, refusal: Option<&str>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        // The check for open ports sends nothing.
        if client.read_exact(&mut byte).is_err() {
            return;
        }
        head.extend(byte);
    }
    if let Some(refusal) = refusal {
        let _ = client.write_all(format!("HTTP/1.1 {refusal}\r\n\r\n").as_bytes());
        return;
    }
    assert!(head.starts_with(b"CONNECT "));
    let mut server = TcpStream::connect(to).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    let up = thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    up.join().unwrap();
}
