//! `autharmor emulator`: the emulator, for clients in any language.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};

use autharmor::emulator::{Emulator, EmulatorBuilder, NewUser, RecordedRequest};
use clap::Args;
use serde::Deserialize;

use crate::failure::Failure;

type Error = Box<dyn std::error::Error>;

/// Emulates the Auth Armor API on this machine until Ctrl-C
///
/// For developers: a program in any language can sign emulated people in, without an
/// account and without a phone. Prints where it listens and what a client needs, then a
/// line for each call, with the reason if it was refused. Its control page shows sign-ins
/// and mails, and has buttons to approve and decline.
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor emulator --user ada@example.com
  autharmor emulator --user ada@example.com --approve-after 2 --http
  autharmor emulator --origin http://localhost:3000 --seed seed.json

  # In a container, with the name that other containers use.
  autharmor emulator --listen 0.0.0.0:8443 --host emulator \\
    --dangerously-allow-remote-control")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Options {
    /// Address and port to listen on; a loopback address, unless
    /// --dangerously-allow-remote-control is given
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// Host name by which clients reach the emulator; may be repeated
    ///
    /// The certificate is valid for it, and the control routes accept it. URLs and
    /// magic links have the first one.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,

    /// Allows every address for --listen
    ///
    /// Everyone who reaches the address can sign in as every user, read all mails
    /// and get the client's secret.
    #[arg(long)]
    dangerously_allow_remote_control: bool,

    /// Accepts unknown fields and the like from clients (the default)
    ///
    /// Vendor clients send more than the service's description has. It is accepted,
    /// and the log says what is wrong.
    #[arg(long, conflicts_with = "strict")]
    tolerant: bool,

    /// Refuses what --tolerant accepts
    #[arg(long)]
    strict: bool,

    /// Adds a user; may be repeated
    #[arg(long, value_name = "USERNAME")]
    user: Vec<String>,

    /// Origin of the website that uses passkeys, such as `http://localhost:3000`
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,

    /// Relying party's id of that website; defaults to the host of --origin
    #[arg(long, value_name = "NAME", requires = "origin")]
    rp_id: Option<String>,

    /// JSON file with users and settings
    ///
    /// Either an array of users, each a name or an object with `username`,
    /// `email_address` and `without_methods`; or an object with any of `users`
    /// (such an array), `auth_redirects` and `registration_redirects` (the allow
    /// lists), `origin` and `rp_id` (of the website that uses passkeys), `seed` (a
    /// number that determines all ids), `token_lifetime` and `validation_window`
    /// (seconds). Without `seed`, ids and codes are random. Options on the command
    /// line have priority.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,

    /// Writes the certificate of the authority to trust to this file
    ///
    /// Defaults to a new file in the temporary folder.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Keeps the authority: its key in this file, its certificate in --ca-file
    ///
    /// Both files are made if they do not exist. Whoever reads the key can
    /// impersonate every server to those who trust the certificate.
    #[arg(
        long,
        value_name = "FILE",
        requires = "ca_file",
        conflicts_with = "http"
    )]
    ca_key: Option<PathBuf>,

    /// Uses HTTP without TLS
    #[arg(long)]
    http: bool,

    /// Approves every sign-in on a phone after this time
    #[arg(long, value_name = "SECONDS")]
    approve_after: Option<u64>,
}

/// Runs until the process ends. Returns only on errors.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let config = |error: Error| Failure::Config(error.to_string());
    let emulator = builder(options).map_err(config)?.start().map_err(|error| {
        let text = format!("cannot start on {}: {error}", options.listen);
        match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData => Failure::Config(text),
            _ => Failure::Failed(text),
        }
    })?;
    let url = emulator.base_url();
    print_line(&format!("API and token endpoint  {url}"));
    print_line(&format!("control page            {url}/_emulator/"));
    print_line(&format!("client id               {}", emulator.client_id()));
    print_line(&format!(
        "client secret           {}",
        emulator.client_secret()
    ));
    if !options.http {
        let file = match (&options.ca_file, &options.ca_key) {
            (Some(file), Some(_)) => file.clone(),
            (file, _) => write_ca(&emulator, file.as_deref()).map_err(config)?,
        };
        print_line(&format!("certificate to trust    {}", file.display()));
    }
    loop {
        thread::park();
    }
}

fn builder(options: &Options) -> Result<EmulatorBuilder, Error> {
    let mut builder = Emulator::builder()
        .listen(options.listen)
        .tolerant(!options.strict)
        // A website must not be able to guess the code of a magic link.
        .random_ids()
        .on_request(log)
        .on_invalid_input(|reason| print_line(&format!("(not a request): {reason}")));
    if let Some(file) = &options.seed {
        builder = seed(builder, file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    for name in &options.host {
        builder = builder.host(name);
    }
    if options.dangerously_allow_remote_control {
        builder = builder.dangerously_allow_remote_control();
    }
    for name in &options.user {
        builder = builder.user(name.as_str());
    }
    if let Some(origin) = &options.origin {
        let rp_id = options.rp_id.as_deref().or_else(|| host_of(origin));
        builder = builder.website(origin, rp_id.ok_or("--origin is not an origin")?);
    }
    if let (Some(file), Some(key)) = (&options.ca_file, &options.ca_key) {
        builder = builder.ca_files(file, key);
    }
    if options.http {
        builder = builder.plain_http();
    }
    if let Some(seconds) = options.approve_after {
        builder = builder.approve_after(Duration::from_secs(seconds));
    }
    Ok(builder)
}

/// The host name in an origin.
fn host_of(origin: &str) -> Option<&str> {
    let (_, authority) = origin.split_once("://")?;
    let host = authority
        .split_once(':')
        .map_or(authority, |(host, _)| host);
    (!host.is_empty() && !host.contains('/')).then_some(host)
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

/// Prints one line for each request, with the reason of a refusal and what was
/// tolerated: without path and query, which may hold usernames.
fn log(request: &RecordedRequest, status: u16) {
    let endpoint = request.endpoint().unwrap_or("(no such route)");
    let reason = request.error().map(|error| format!(": {error}"));
    let mut text = reason.unwrap_or_default();
    if !request.warnings().is_empty() {
        text = format!("{text} (tolerated: {})", request.warnings().join("; "));
    }
    print_line(&format!("{status} {} {endpoint}{text}", request.method()));
}

fn print_line(line: &str) {
    // A closed pipe must not stop the emulator.
    let _ = writeln!(io::stdout(), "{line}");
}
