//! Runs the program with a configuration file that leads to an emulator.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use autharmor::emulator::{Emulator, EmulatorBuilder};
use autharmor_test_support::Folder;

/// 2026-01-31, 12:00 UTC.
const NOON: u64 = 1_769_860_800;

/// An emulator, and the configuration of a user whose home folder is empty
/// otherwise.
pub(crate) struct Setup {
    pub(crate) emulator: Emulator,
    pub(crate) folder: Folder,
}

/// What a process has left.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Setup {
    /// Starts an emulator. Ids are always the same; a clock that stands still is
    /// up to the caller.
    pub(crate) fn new(builder: EmulatorBuilder) -> Self {
        let emulator = builder.start().unwrap();
        let folder = Folder::new();
        let setup = Self { emulator, folder };
        setup.write("secret", setup.emulator.client_secret(), 0o600);
        setup.write("ca.pem", setup.emulator.ca_pem(), 0o644);
        setup.configure("");
        setup
    }

    /// An emulator that stands still at noon, with two users.
    pub(crate) fn with_users() -> Self {
        let builder = at_noon().user("ada@example.com").user("grace");
        Self::new(builder)
    }

    /// Writes the configuration file, with these lines at its end.
    pub(crate) fn configure(&self, more: &str) {
        let url = self.emulator.base_url();
        let id = self.emulator.client_id();
        let text = format!(
            "client_id = \"{id}\"\nclient_secret_file = \"../secret\"\nca_file = \"../ca.pem\"\n\
             api_url = \"{url}\"\nlogin_url = \"{url}\"\n{more}\n"
        );
        self.write("autharmor/config.toml", &text, 0o600);
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// The program with the configuration file of this user and nothing else in
    /// its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments);
        command.env("XDG_CONFIG_HOME", self.folder.path());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> End {
        run(self.command(arguments), "")
    }

    /// Runs the program to its end with this as standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> End {
        run(self.command(arguments), input)
    }
}

/// The builder of an emulator whose clock stands still.
pub(crate) fn at_noon() -> EmulatorBuilder {
    Emulator::builder().clock_at(NOON)
}

/// The program with an empty environment.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autharmor"));
    command.args(arguments).env_clear();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command, input: &str) -> End {
    let mut child = command.spawn().unwrap();
    // A program that reads no input may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    End::of(child)
}

impl End {
    /// Waits for the end of a process.
    pub(crate) fn of(child: Child) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        Self {
            status,
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Returns standard output. Fails unless the program succeeded and kept
    /// silent about it.
    #[track_caller]
    pub(crate) fn output(self) -> String {
        assert!(self.status.success(), "{self:?}");
        assert_eq!(self.stderr, "");
        self.stdout
    }

    /// Returns the message of a failure with this exit status.
    #[track_caller]
    pub(crate) fn failure(self, status: i32) -> String {
        assert_eq!(self.status.code(), Some(status), "{self:?}");
        self.stderr
    }
}

/// Compares a text with a file in `tests/cli/golden`. With `GOLDEN=write` in
/// the environment the file is written instead.
#[track_caller]
pub(crate) fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/golden")
        .join(name);
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{name} differs:\n{text}\n--- expected:\n{expected}"
    );
}
