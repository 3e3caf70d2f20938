//! Measures size, build time and memory of a program with one call.
//!
//!     cargo bench --manifest-path benches/compare/Cargo.toml --bench footprint

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use autharmor_compare::canned::{Canned, USER_ID, USERNAME};
use autharmor_compare::clients::{ClientKind, arg};
use autharmor_compare::measure::{median, status_kib};
use autharmor_compare::{Servers, TempFile, check_bound, exit_code};
use clap::Parser;

/// Compares a program that only calls get_user by name with the same program on
/// bare ureq with rustls and serde_json.
///
/// Measured are: size with opt-level="z", LTO, panic="abort", stripped; time of a
/// clean build with these settings; crates in the tree; memory of the process after
/// its call; memory of each open TLS connection.
#[derive(Parser)]
struct Cli {
    /// Clean builds of each program, of which the fastest counts; 0 measures only the
    /// connections
    #[arg(long, default_value_t = 3)]
    builds: usize,
    /// Build nothing; run this command, which is one of the two programs, perhaps
    /// for another target in an emulator
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
    /// Exit with 1 if a bound is exceeded
    #[arg(long)]
    strict: bool,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// The two programs, ours first.
const PROGRAMS: [&str; 2] = ["small-autharmor", "small-ureq"];
const RUNS: usize = 5;
const CONNECTIONS: usize = 64;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let server = Canned::start();
    if let Some(command) = cli.run {
        let memory = run(&server, command.split_whitespace());
        println!("{command}: works, peak memory {} KiB", memory.peak);
        return ExitCode::SUCCESS;
    }

    let mut bounds = Vec::new();
    if cli.builds > 0 {
        programs(&server, cli.builds, &mut bounds);
    }
    connections(&server, &mut bounds);
    println!("## Bounds\n");
    let mut all_passed = true;
    for (passed, bound, measured) in bounds {
        all_passed &= check_bound(passed, bound, &measured);
    }
    exit_code(all_passed, cli.strict)
}

/// Whether a bound was kept, the bound, and the measured value.
type Bounds = Vec<(bool, &'static str, String)>;

#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Builds the two programs and runs them.
fn programs(server: &Canned, builds: usize, bounds: &mut Bounds) {
    let built = build(builds);
    println!("## A program that gets a user by name\n");
    println!(
        "| | size | s to build | CPU s to build | crates | peak KiB after the call | resident KiB |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for program in &built {
        let runs: Vec<_> = (0..RUNS)
            .map(|_| run(server, [program.path.to_str().expect("a path in UTF-8")]))
            .collect();
        let peak = median(runs.iter().map(|memory| as_f64(memory.peak)));
        let resident = median(runs.iter().map(|memory| as_f64(memory.resident)));
        println!(
            "| {} | {} | {:.1} | {:.1} | {} | {peak:.0} | {resident:.0} |",
            program.name, program.size, program.wall, program.cpu, program.crates,
        );
    }
    println!();

    let [ours, bare] = &built;
    let size = as_f64(ours.size) / as_f64(bare.size);
    let (wall, cpu) = (ours.wall / bare.wall, ours.cpu / bare.cpu);
    bounds.extend([
        (
            size <= 1.15,
            "at most 1.15 times the size of bare ureq's",
            format!("{size:.2}"),
        ),
        (
            wall <= 1.3,
            "clean build in at most 1.3 times the time of bare ureq's",
            format!("{wall:.2} by the clock, {cpu:.2} by the CPU"),
        ),
        (
            ours.crates <= 40,
            "at most 40 crates",
            ours.crates.to_string(),
        ),
    ]);
}

// ---- building --------------------------------------------------------------

struct Built {
    name: &'static str,
    path: PathBuf,
    size: u64,
    wall: f64,
    cpu: f64,
    crates: usize,
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var("CARGO").unwrap_or("cargo".to_owned()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // Set by the cargo that runs this program.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS");
    cargo
}

fn build(builds: usize) -> [Built; 2] {
    let target = |name: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..builds {
        for (name, times) in PROGRAMS.iter().zip(&mut times) {
            let target = target(name);
            if target.exists() {
                fs::remove_dir_all(&target).expect("our own folder");
            }
            let (began, cpu) = (Instant::now(), cpu_of_children());
            let status = cargo()
                .args([
                    "build",
                    "--quiet",
                    "--locked",
                    "--offline",
                    "--profile=small",
                    "-p",
                    name,
                ])
                .arg("--target-dir")
                .arg(&target)
                .status();
            assert!(
                status.is_ok_and(|status| status.success()),
                "{name} does not build"
            );
            times.push((began.elapsed().as_secs_f64(), cpu_of_children() - cpu));
        }
    }
    let mut built = PROGRAMS.iter().zip(times).map(|(name, times)| {
        let path = target(name).join("small").join(name);
        Built {
            name,
            size: fs::metadata(&path).expect("the program was built").len(),
            path,
            wall: least(times.iter().map(|(wall, _)| *wall)),
            cpu: least(times.iter().map(|(_, cpu)| *cpu)),
            crates: crates(name),
        }
    });
    [(); 2].map(|()| built.next().expect("two programs"))
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

/// Counts the crates in the tree without the program itself.
fn crates(name: &str) -> usize {
    let output = cargo()
        .args([
            "tree",
            "--quiet",
            "--locked",
            "--offline",
            "-e",
            "normal",
            "--prefix=none",
        ])
        .args(["-p", name])
        .output()
        .expect("cargo");
    let tree = String::from_utf8(output.stdout).expect("text");
    let crates: BTreeSet<_> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty() && !line.starts_with(name))
        .collect();
    crates.len()
}

/// Returns the CPU seconds of all children that have ended, their children
/// included.
fn cpu_of_children() -> f64 {
    // The unit in /proc is 1/100 s on every architecture.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    // The second field may contain spaces. It ends at the last parenthesis.
    let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
    let ticks: u64 = rest
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number"))
        .sum();
    as_f64(ticks) / TICKS
}

// ---- running ---------------------------------------------------------------

/// Memory after the call, in KiB.
struct Memory {
    peak: u64,
    resident: u64,
}

fn run<'a>(server: &Canned, command: impl IntoIterator<Item = &'a str>) -> Memory {
    let ca = TempFile::new("small-ca.pem", server.ca_pem());
    let mut command = command.into_iter();
    let mut child = Command::new(command.next().expect("a command"))
        .args(command)
        .arg(USERNAME)
        .env("AUTHARMOR_CLIENT_ID", "id")
        .env("AUTHARMOR_CLIENT_SECRET", "secret")
        .env("AUTHARMOR_API_URL", server.url())
        .env("AUTHARMOR_LOGIN_URL", server.url())
        .env("SMALL_CA", &ca.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program that can be run");
    let mut line = String::new();
    let output = child.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut line).expect("a pipe");
    assert_eq!(line.trim(), USER_ID, "the program has no result");
    let status = |field| status_kib(child.id(), field).unwrap_or(0);
    let memory = Memory {
        peak: status("VmHWM"),
        resident: status("VmRSS"),
    };
    drop(child.stdin.take());
    assert!(child.wait().is_ok_and(|status| status.success()));
    memory
}

/// Measures the bytes that each connection keeps, in two ways. The larger number is
/// the one that has a bound.
fn connections(login: &Canned, bounds: &mut Bounds) {
    // Slow, so that each call needs a connection of its own.
    let server = Canned::start_at(Ipv4Addr::LOCALHOST.into(), Duration::from_millis(200));
    let servers = Servers {
        api: server.url(),
        login: login.url(),
        ca_pem: format!("{}{}", server.ca_pem(), login.ca_pem()),
    };
    println!("## Bytes that each of {CONNECTIONS} idle TLS connections keeps\n");
    println!("| | heap | resident memory |");
    println!("| --- | ---: | ---: |");
    for kind in [
        ClientKind::UreqLargePool,
        ClientKind::Autharmor,
        ClientKind::Reqwest,
    ] {
        let opened = server.opened();
        let output = Command::new(env!("CARGO_BIN_EXE_connections"))
            .args([arg(kind), CONNECTIONS.to_string()])
            .envs(servers.to_env())
            .stderr(Stdio::inherit())
            .output()
            .expect("the program was built");
        assert_eq!(server.opened() - opened, CONNECTIONS, "{}", kind.name());
        let text = String::from_utf8(output.stdout).expect("numbers");
        let numbers: Vec<u64> = text
            .split_whitespace()
            .map(|number| number.parse().expect("a number"))
            .collect();
        println!("| {} | {} | {} |", kind.name(), numbers[0], numbers[1]);
        if kind == ClientKind::Autharmor {
            let kept = numbers[0].max(numbers[1]);
            bounds.push((
                kept <= 80 * 1024,
                "at most 80 KiB for each open TLS connection",
                format!("{:.1} KiB", as_f64(kept) / 1024.0),
            ));
        }
    }
    println!();
}
