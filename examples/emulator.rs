//! The emulator as a program, for clients in any language.
//!
//! ```sh
//! cargo run --example emulator -- --help
//! ```

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, thread};

use autharmor::emulator::{Emulator, EmulatorBuilder, NewUser, RecordedRequest};
use clap::Parser;
use serde::Deserialize;

type Error = Box<dyn std::error::Error>;

/// Emulates the Auth Armor API on this machine until Ctrl-C.
#[derive(Parser)]
struct Options {
    /// Loopback address and port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// JSON file with users and settings
    ///
    /// Either an array of users, each a name or an object with `username`,
    /// `email_address` and `without_methods`; or an object with any of `users`
    /// (such an array), `auth_redirects` and `registration_redirects` (the allow
    /// lists), `origin` and `rp_id` (of the website that uses passkeys), `seed` (a
    /// number that determines all ids), `token_lifetime` and `validation_window`
    /// (seconds).
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,

    /// Writes the certificate of the authority to trust to this file
    ///
    /// Defaults to a new file in the temporary folder.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Uses HTTP without TLS
    #[arg(long)]
    http: bool,

    /// Approves every sign-in on a phone after this time
    #[arg(long, value_name = "SECONDS")]
    approve_after: Option<u64>,
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(help) if !help.use_stderr() => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let text = error.to_string();
            eprint!("emulator: {}", text.trim_start_matches("error: "));
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until the process ends. Returns only on errors.
fn run(options: &Options) -> Result<std::convert::Infallible, Error> {
    let mut builder = Emulator::builder().listen(options.listen).on_request(log);
    if let Some(file) = &options.seed {
        builder = seed(builder, file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    if options.http {
        builder = builder.plain_http();
    }
    if let Some(seconds) = options.approve_after {
        builder = builder.approve_after(Duration::from_secs(seconds));
    }
    let emulator = builder
        .start()
        .map_err(|e| format!("cannot start on {}: {e}", options.listen))?;

    println!("API and token endpoint  {}", emulator.base_url());
    println!("control page            {}/_emulator/", emulator.base_url());
    println!("client id               {}", emulator.client_id());
    println!("client secret           {}", emulator.client_secret());
    if !options.http {
        let file = write_ca(&emulator, options.ca_file.as_deref())?;
        println!("certificate to trust    {}", file.display());
    }
    loop {
        thread::park();
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Seed {
    Users(Vec<User>),
    Settings(Settings),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum User {
    Name(String),
    Described(Described),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    username: String,
    email_address: Option<String>,
    #[serde(default)]
    without_methods: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    users: Vec<User>,
    auth_redirects: Vec<String>,
    registration_redirects: Vec<String>,
    origin: Option<String>,
    rp_id: Option<String>,
    seed: Option<u64>,
    token_lifetime: Option<u64>,
    validation_window: Option<u64>,
}

fn seed(mut builder: EmulatorBuilder, file: &Path) -> Result<EmulatorBuilder, Error> {
    let settings = match serde_json::from_slice(&fs::read(file)?)? {
        Seed::Users(users) => Settings {
            users,
            ..Settings::default()
        },
        Seed::Settings(settings) => settings,
    };
    for user in settings.users {
        builder = builder.user(new_user(user));
    }
    for url in settings.auth_redirects {
        builder = builder.allow_auth_redirect(url);
    }
    for url in settings.registration_redirects {
        builder = builder.allow_registration_redirect(url);
    }
    match (settings.origin, settings.rp_id) {
        (None, None) => {}
        (Some(origin), Some(rp_id)) => builder = builder.website(origin, rp_id),
        _ => return Err("`origin` and `rp_id` go together".into()),
    }
    if let Some(seed) = settings.seed {
        builder = builder.seed(seed);
    }
    if let Some(seconds) = settings.token_lifetime {
        builder = builder.token_lifetime(Duration::from_secs(seconds));
    }
    if let Some(seconds) = settings.validation_window {
        builder = builder.validation_window(Duration::from_secs(seconds));
    }
    Ok(builder)
}

fn new_user(user: User) -> NewUser {
    let Described {
        username,
        email_address,
        without_methods,
    } = match user {
        User::Name(name) => return NewUser::new(name),
        User::Described(described) => described,
    };
    let mut user = NewUser::new(username);
    if let Some(address) = email_address {
        user = user.email(address);
    }
    if without_methods {
        user = user.without_methods();
    }
    user
}

fn write_ca(emulator: &Emulator, file: Option<&Path>) -> Result<PathBuf, Error> {
    let (path, created) = if let Some(path) = file {
        (path.to_owned(), File::create(path))
    } else {
        // Other users can write to this folder, so never follow their links. An
        // earlier process with the same id may have left a file.
        let id = std::process::id();
        let path = |n: u32| env::temp_dir().join(format!("autharmor-emulator-ca-{id}-{n}.pem"));
        let mut n = 0;
        let mut created = File::create_new(path(n));
        while n < 1000
            && created
                .as_ref()
                .is_err_and(|e| e.kind() == ErrorKind::AlreadyExists)
        {
            n += 1;
            created = File::create_new(path(n));
        }
        (path(n), created)
    };
    created
        .and_then(|mut file| file.write_all(emulator.ca_pem().as_bytes()))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}

/// Prints one line for each request: without path and query, which may hold
/// usernames.
fn log(request: &RecordedRequest, status: u16) {
    let endpoint = request.endpoint().unwrap_or("(no such route)");
    // A closed pipe must not stop the emulator.
    let _ = writeln!(io::stdout(), "{status} {} {endpoint}", request.method());
}
