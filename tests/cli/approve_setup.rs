//! An emulator, and the configuration of the program for it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use autharmor::emulator::{Decision, Emulator};
use autharmor_test_support::Folder;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_autharmor");
pub(crate) const USER: &str = "ada@example.com";

/// An emulator, and the configuration of a client for it.
pub(crate) struct Setup {
    pub(crate) emulator: Emulator,
    pub(crate) folder: Folder,
    /// Lines of the configuration file.
    pub(crate) top: String,
    /// Lines of the table `approve`.
    pub(crate) approve: String,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with(Emulator::builder().user(USER).start().unwrap())
    }

    pub(crate) fn with(emulator: Emulator) -> Self {
        let folder = Folder::new();
        let secret = folder.path().join("secret");
        write(&secret, emulator.client_secret(), 0o600);
        let ca = folder.path().join("ca.pem");
        write(&ca, emulator.ca_pem(), 0o644);
        let top = format!(
            "client_id = {:?}\nclient_secret_file = \"{}\"\nca_file = \"{}\"\n\
             api_url = {:?}\nlogin_url = {:?}\n",
            emulator.client_id(),
            secret.display(),
            ca.display(),
            emulator.api_url(),
            emulator.login_url(),
        );
        Self {
            emulator,
            folder,
            top,
            approve: "user = \"{user}@example.com\"\n".to_owned(),
        }
    }

    pub(crate) fn approve(mut self, lines: &str) -> Self {
        self.approve += lines;
        self
    }

    /// Adds a line above the tables.
    pub(crate) fn top(mut self, line: &str) -> Self {
        self.top += line;
        self.top.push('\n');
        self
    }

    pub(crate) fn decides(self, decision: Decision) -> Self {
        self.emulator.on_sign_in(move |_| decision);
        self
    }

    pub(crate) fn config(&self) -> PathBuf {
        let path = self.folder.path().join("config.toml");
        let text = format!("{}[approve]\n{}", self.top, self.approve);
        write(&path, &text, 0o644);
        path
    }

    pub(crate) fn pushes(&self) -> usize {
        let requests = self.emulator.requests();
        let is_push = |endpoint| endpoint == Some("start_authenticator_auth");
        requests.iter().filter(|it| is_push(it.endpoint())).count()
    }
}

pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    set_mode(path, mode);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
