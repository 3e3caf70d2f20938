//! What the programs of this package share.

pub use autharmor_test_support::canned;

pub mod contenders;
pub mod distance;
pub mod measure;

use std::env;
use std::fs;
use std::path::PathBuf;

/// Where the servers are and what to trust.
#[derive(Clone)]
pub struct Place {
    pub api: String,
    pub login: String,
    pub ca_pem: String,
}

impl Place {
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

    /// As the environment of another program.
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

/// A file that is removed in the end.
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

/// Prints what was promised and whether it holds; returns whether it does.
pub fn verdict(holds: bool, promise: &str, found: &str) -> bool {
    println!(
        "{}  {promise}: {found}",
        if holds { "pass" } else { "FAIL" }
    );
    holds
}
