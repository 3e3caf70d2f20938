//! Measures the emulator, and the program `autharmor` as a process.
//!
//!     cargo build --release --features cli --bin autharmor
//!     cargo run --release --manifest-path benches/compare/Cargo.toml \
//!         -p autharmor-program -- target/release/autharmor

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use autharmor::Client;
use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::{Decision, Emulator};
use autharmor_compare::measure::{median, status_kib};
use autharmor_compare::{TempFile, check_bound, exit_code};
use clap::Parser;

/// Measures the emulator within a process, and the program `autharmor`: its start,
/// its emulator, and a login that is approved at once.
#[derive(Parser)]
struct Cli {
    /// The program
    program: PathBuf,
    /// Exit with 1 if a bound is exceeded
    #[arg(long)]
    strict: bool,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USER: &str = "ada@example.com";
const STARTS: usize = 200;
const CALLS: usize = 2000;
/// The number of requests that the emulator keeps.
const KEPT_REQUESTS: usize = 10_000;
const RUNS: usize = 30;
const LOGINS: usize = 10;

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let start = emulator()?;
    program(&cli.program)?;
    println!("## Bounds\n");
    let passed = check_bound(
        start < 1e-3,
        "the emulator starts in less than a millisecond",
        &format!("{:.3} ms", start * 1e3),
    );
    Ok(exit_code(passed, cli.strict))
}

fn ms(seconds: f64) -> String {
    format!("{:.3} ms", seconds * 1e3)
}

fn row(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

fn table(title: &str) {
    println!("## {title}\n\n| | |\n| --- | ---: |");
}

/// Measures `runs` times. Returns seconds.
fn time<T>(runs: usize, mut run: impl FnMut() -> Result<T>) -> Result<Vec<f64>> {
    (0..runs)
        .map(|_| {
            let began = Instant::now();
            let result = run()?;
            let took = began.elapsed().as_secs_f64();
            drop(result);
            Ok(took)
        })
        .collect()
}

// ---- the emulator ----------------------------------------------------------

/// Returns the median time of a start.
fn emulator() -> Result<f64> {
    table("The emulator in a test");
    let mut starts = time(STARTS, || Ok(Emulator::start()?))?;
    let start = median(starts.iter().copied());
    row("start, median", &ms(start));
    starts.sort_by(f64::total_cmp);
    row("start, 95 of 100", &ms(starts[STARTS * 95 / 100]));
    let emulator = Emulator::builder().user(USER).start()?;
    let client = emulator.client_builder().build()?;
    calls(&client)?;
    println!();
    Ok(start)
}

/// Prints the median times of warm calls.
fn calls(client: &Client) -> Result<()> {
    let request = StartAuthenticatorAuth::new().user(USER).send_push(true);
    client.get_user(USER)?;
    let gets = time(CALLS, || Ok(client.get_user(USER)?))?;
    row("`get_user` by name", &ms(median(gets)));
    let begins = time(CALLS, || Ok(client.start_authenticator_auth(&request)?))?;
    row("`start_authenticator_auth`", &ms(median(begins)));
    let tokens = time(CALLS, || Ok(client.check_credentials()?))?;
    row("token request", &ms(median(tokens)));
    Ok(())
}

// ---- the program -----------------------------------------------------------

fn program(program: &Path) -> Result<()> {
    table("The program `autharmor`");
    let mut version = Command::new(program);
    version.arg("--version").stdout(Stdio::null());
    let starts = time(RUNS, || succeed(version.spawn()?))?;
    row("`--version`, whole process", &ms(median(starts)));
    emulator_process(program)?;
    logins(program)?;
    println!();
    Ok(())
}

fn succeed(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| format!("the program ended: {status}").into())
}

/// A process that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Starts `autharmor emulator`. Returns what it printed until it was ready.
fn start_emulator(program: &Path, ca_file: &Path) -> Result<(Running, String)> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let child = Command::new(program)
        .args(["emulator", "--user", USER, "--ca-file"])
        .arg(ca_file)
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut child = Running(child);
    let mut output = BufReader::new(child.0.stdout.take().ok_or("no output")?);
    let mut lines = String::new();
    while !lines.contains("certificate to trust") {
        if output.read_line(&mut lines)? == 0 {
            return Err(format!("the emulator ended: {lines}").into());
        }
    }
    // It prints a line for each request.
    thread::spawn(move || io::copy(&mut output, &mut io::sink()));
    Ok((child, lines))
}

/// Measures `autharmor emulator`: its start and its memory.
fn emulator_process(program: &Path) -> Result<()> {
    let ca = TempFile::new("program-ca.pem", "");
    let starts = time(RUNS, || start_emulator(program, &ca.0))?;
    row("`emulator`, until it is ready", &ms(median(starts)));
    let (child, lines) = start_emulator(program, &ca.0)?;
    let value = |name: &str| {
        let line = lines.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).ok_or_else(|| format!("no {name}"))
    };
    let url = value("API and token endpoint")?;
    let client = Client::builder(value("client id")?, value("client secret")?)
        .api_url(url)
        .login_url(url)
        .only_root_certificates(fs::read(&ca.0)?)
        .no_proxy()
        .build()?;
    let print_memory = |when: &str| {
        let resident = status_kib(child.0.id(), "VmRSS").unwrap_or(0);
        let what = format!("`emulator`, resident memory {when}");
        row(&what, &format!("{resident} KiB"));
    };
    client.get_user(USER)?;
    print_memory("after one call");
    for _ in 0..KEPT_REQUESTS {
        client.get_user(USER)?;
    }
    print_memory("after 10,000 calls, all recorded");
    Ok(())
}

/// Measures `autharmor approve` with a user who approves at once.
fn logins(program: &Path) -> Result<()> {
    let has_approve = Command::new(program).args(["approve", "--help"]).output()?;
    if !has_approve.status.success() {
        row("`approve`", "not in this program");
        return Ok(());
    }
    let emulator = Emulator::builder().user(USER).start()?;
    let (shown, pushes) = mpsc::channel();
    emulator.on_sign_in(move |_| {
        let _ = shown.send(Instant::now());
        Decision::Approve
    });
    let ca = TempFile::new("program-ca.pem", emulator.ca_pem());
    let tokens = TempFile::new("program.token", "");
    fs::remove_file(&tokens.0)?;
    for (what, options) in [
        ("", vec![]),
        (
            ", stored token",
            vec!["--token-file".into(), tokens.0.clone()],
        ),
    ] {
        let (mut until_push, mut whole, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
        // The first run stores the token.
        for run in 0..=LOGINS {
            let began = Instant::now();
            let mut child = Command::new(program)
                .args(["approve", USER])
                .args(&options)
                .envs(emulator.environment())
                .env("AUTHARMOR_CA_FILE", &ca.0)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            let push = pushes.recv_timeout(Duration::from_secs(10))?;
            let mut peak = 0;
            while child.try_wait()?.is_none() {
                peak = status_kib(child.id(), "VmHWM").unwrap_or(peak);
                thread::sleep(Duration::from_millis(1));
            }
            let took = began.elapsed();
            succeed(child)?;
            if run > 0 {
                until_push.push((push - began).as_secs_f64());
                whole.push(took.as_secs_f64());
                #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
                peaks.push(peak as f64);
            }
        }
        row(
            &format!("`approve`{what}, until the push notification"),
            &ms(median(until_push)),
        );
        row(
            &format!("`approve`{what}, whole process with the pause before its first poll"),
            &ms(median(whole)),
        );
        row(
            &format!("`approve`{what}, peak memory"),
            &format!("{:.0} KiB", median(peaks)),
        );
    }
    Ok(())
}
