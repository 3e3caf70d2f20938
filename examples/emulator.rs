//! The emulator as a program, to point any client or a whole website at.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, thread};

use autharmor::emulator::{Emulator, EmulatorBuilder, NewUser, RecordedRequest};
use serde::Deserialize;

const HELP: &str = "\
Emulates the Auth Armor API on this machine until Ctrl-C.

Usage: cargo run --example emulator -- [OPTIONS]

Options:
  --listen ADDRESS  Loopback address and port [default: 127.0.0.1:8443]
  --seed FILE       Users to start with: a JSON array of usernames, or of objects
                    with `username`, `email_address` and `without_methods`
  --ca-file FILE    Where to write the certificate of the authority to trust
                    [default: a new file in the temporary folder]
  --http            Speak plain HTTP
  --help            Print this
";

type Error = Box<dyn std::error::Error>;

struct Options {
    listen: SocketAddr,
    seed: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    http: bool,
}

fn main() -> ExitCode {
    match parse(env::args().skip(1)) {
        Ok(Some(options)) => match run(&options) {
            Ok(never) => match never {},
            Err(error) => fail(&error.to_string(), 1),
        },
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(message) => fail(&format!("{message}; try --help"), 2),
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("emulator: {message}");
    ExitCode::from(code)
}

/// `None` if help is asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
        seed: None,
        ca_file: None,
        http: false,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--http" => options.http = true,
            "--seed" => options.seed = Some(value()?.into()),
            "--ca-file" => options.ca_file = Some(value()?.into()),
            "--listen" => {
                let text = value()?;
                let parsed = text.parse();
                options.listen =
                    parsed.map_err(|_| format!("{text} is not an address and port"))?;
            }
            _ => return Err(format!("unknown option {argument}")),
        }
    }
    Ok(Some(options))
}

/// Returns only if something goes wrong.
fn run(options: &Options) -> Result<std::convert::Infallible, Error> {
    let mut builder = Emulator::builder().listen(options.listen).on_request(log);
    if let Some(file) = &options.seed {
        builder = seed(builder, file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    if options.http {
        builder = builder.plain_http();
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
    Name(String),
    User {
        username: String,
        email_address: Option<String>,
        #[serde(default)]
        without_methods: bool,
    },
}

fn seed(mut builder: EmulatorBuilder, file: &Path) -> Result<EmulatorBuilder, Error> {
    for user in serde_json::from_slice::<Vec<Seed>>(&fs::read(file)?)? {
        builder = builder.user(match user {
            Seed::Name(username) => NewUser::new(username),
            Seed::User {
                username,
                email_address,
                without_methods,
            } => {
                let mut user = NewUser::new(username);
                if let Some(address) = email_address {
                    user = user.email(address);
                }
                if without_methods {
                    user = user.without_methods();
                }
                user
            }
        });
    }
    Ok(builder)
}

fn write_ca(emulator: &Emulator, file: Option<&Path>) -> Result<PathBuf, Error> {
    let (path, created) = if let Some(path) = file {
        (path.to_owned(), File::create(path))
    } else {
        let name = format!("autharmor-emulator-ca-{}.pem", std::process::id());
        let path = env::temp_dir().join(name);
        // Others can write to this folder: never through a link of theirs.
        let created = File::create_new(&path);
        (path, created)
    };
    created
        .and_then(|mut file| file.write_all(emulator.ca_pem().as_bytes()))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}

/// One line a request. Paths and queries may name users, so the endpoint's
/// name has to do.
fn log(request: &RecordedRequest, status: u16) {
    let endpoint = request.endpoint().unwrap_or("(no such route)");
    // A reader who has gone is no reason to stop serving.
    let _ = writeln!(io::stdout(), "{status} {} {endpoint}", request.method());
}
