//! Code that the programs of this package share.

pub use autharmor_test_support::canned;

pub mod clients;
pub mod delay_proxy;
pub mod measure;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// The URLs of the servers and the certificates to trust.
#[derive(Clone)]
pub struct Servers {
    pub api: String,
    pub login: String,
    pub ca_pem: String,
}

impl Servers {
    const API: &str = "COMPARE_API";
    const LOGIN: &str = "COMPARE_LOGIN";
    const CA: &str = "COMPARE_CA";

    pub fn of(server: &canned::Canned) -> Self {
        Self {
            api: server.url(),
            login: server.url(),
            ca_pem: server.ca_pem().to_owned(),
        }
    }

    /// Returns variables from which another process reads this value.
    pub fn to_env(&self) -> [(&'static str, String); 3] {
        [
            (Self::API, self.api.clone()),
            (Self::LOGIN, self.login.clone()),
            (Self::CA, self.ca_pem.clone()),
        ]
    }

    pub fn from_env() -> Self {
        let get = |name| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        Self {
            api: get(Self::API),
            login: get(Self::LOGIN),
            ca_pem: get(Self::CA),
        }
    }
}

/// A file that is removed when this is dropped.
pub struct TempFile(pub PathBuf);

impl TempFile {
    pub fn new(name: &str, content: &str) -> Self {
        let path = env::temp_dir().join(format!("autharmor-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("a temporary file can be written");
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Prints a bound, the measured value, and whether it is within the bound.
/// Returns `passed`.
pub fn check_bound(passed: bool, bound: &str, measured: &str) -> bool {
    println!(
        "- {}: {bound}: {measured}",
        if passed { "pass" } else { "FAIL" }
    );
    passed
}

/// Fails if a bound was exceeded and that is to be an error.
pub fn exit_code(all_passed: bool, strict: bool) -> ExitCode {
    if all_passed || !strict {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
