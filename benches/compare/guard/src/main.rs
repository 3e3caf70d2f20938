//! Counts the instructions and the heap allocations of warm calls, of this crate
//! and of bare ureq, and fails if the ratios are above their bounds or are not
//! those of the README:
//!
//!     cargo run --release --manifest-path benches/compare/Cargo.toml -p autharmor-guard
//!
//! Valgrind's callgrind counts, so the result does not depend on how fast or busy
//! the machine is. Only the client is counted, outside the kernel: the server is
//! another process.
//!
//! With `--only-count` it prints the table and checks nothing. With the name of a
//! new folder as its argument, it leaves callgrind's files there:
//! `callgrind_annotate FOLDER/callgrind.4` shows the functions of the first call
//! made with this crate, `callgrind.2` those of the same call with bare ureq.

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{self, Command, ExitCode};
use std::{env, fs};

use autharmor::Client;
use autharmor_guard::{Call, bearer, ureq_config, with_autharmor, with_ureq};
use autharmor_test_support::canned::Canned;

/// The calls, and the largest ratios of instructions and of allocations: what was
/// measured and a little more, for other processors and compilers.
const BOUNDS: [(Call, f64, f64); 4] = [
    (Call::ByName, 0.90, 0.85),
    (Call::Start, 0.87, 0.85),
    (Call::Validate, 0.90, 0.85),
    (Call::List, 1.00, 1.00),
];
const WARM_UP: usize = 20;
const CALLS: usize = 100;
/// How far a ratio of the README may be from the measured one.
const README_TOLERANCE: f64 = 0.05;

/// The README's chapter with the ratios.
const CHAPTER: &str = "\n## Fast and small\n";

const ONLY_COUNT: &str = "--only-count";
const API: &str = "GUARD_API";
const CA: &str = "GUARD_CA";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Ok(api) = env::var(API) {
        make_calls(&api, &env::var(CA)?);
        return Ok(ExitCode::SUCCESS);
    }
    let only_count = argument().is_some_and(|name| name == ONLY_COUNT);
    let counts = count()?;
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../README.md"))?;
    let mut failures = Vec::new();
    println!("| | bare ureq | autharmor | ratio | at most |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for ((call, most, most_allocations), [bare, ours]) in BOUNDS.into_iter().zip(counts) {
        let name = call.name();
        let mut row = |what, bare: f64, ours: f64, most: f64| {
            let ratio = ours / bare;
            println!("| {name}, {what} | {bare:.0} | {ours:.0} | {ratio:.3} | {most:.2} |");
            if ratio > most {
                failures.push(format!("{name}, {what}: {ratio:.3} is more than {most:.2}"));
            }
            ratio
        };
        let instructions = row("instructions", bare.instructions, ours.instructions, most);
        let (of_bare, of_ours) = (bare.allocations, ours.allocations);
        let allocations = row("allocations", of_bare, of_ours, most_allocations);
        failures.extend(check_readme(&readme, call, [instructions, allocations]));
    }
    if only_count {
        return Ok(ExitCode::SUCCESS);
    }
    for failure in &failures {
        println!("FAIL: {failure}");
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Checks the row of this call in the README's chapter. Its last two cells are the
/// ratios of instructions and of allocations.
fn check_readme(readme: &str, call: Call, measured: [f64; 2]) -> Option<String> {
    let start = format!("| {} |", call.name());
    let chapter = readme.split_once(CHAPTER).map_or("", |(_, rest)| rest);
    let Some(row) = chapter.lines().find(|line| line.starts_with(&start)) else {
        let is_optional = call == Call::Validate;
        return (!is_optional).then(|| format!("README.md has no row {start}"));
    };
    let cells = row.split('|').map(str::trim);
    let stated: Vec<f64> = cells.filter_map(|cell| cell.parse().ok()).collect();
    let is_right = stated.len() == 2
        && stated
            .iter()
            .zip(measured)
            .all(|(stated, measured)| (stated / measured - 1.0).abs() <= README_TOLERANCE);
    let [instructions, allocations] = measured;
    (!is_right).then(|| {
        format!("README.md says {row}, measured are {instructions:.2} and {allocations:.2}")
    })
}

fn argument() -> Option<String> {
    env::args().nth(1)
}

struct Count {
    instructions: f64,
    allocations: f64,
}

/// Returns the counts of one call each, of bare ureq and of this crate.
fn count() -> Result<Vec<[Count; 2]>, Box<dyn Error>> {
    let server = Canned::start();
    let kept = argument()
        .filter(|name| name != ONLY_COUNT)
        .map(PathBuf::from);
    let temporary = || env::temp_dir().join(format!("autharmor-guard-{}", process::id()));
    let folder = kept.clone().unwrap_or_else(temporary);
    fs::create_dir(&folder)?;
    let output = folder.join("callgrind");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-before=*write_counts*"])
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(env::current_exe()?)
        .env(API, server.url())
        .env(CA, server.ca_pem())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into());
    }
    let mut counts = Vec::new();
    for call in 0..BOUNDS.len() {
        // Files are numbered from 1, and every other one is of a warm-up.
        let read = |client: usize| -> Result<Count, Box<dyn Error>> {
            let number = 2 * (2 * call + client + 1);
            let dump = output.with_extension(number.to_string());
            parse_dump(&fs::read_to_string(dump)?)
        };
        counts.push([read(0)?, read(1)?]);
    }
    if kept.is_none() {
        fs::remove_dir_all(folder)?;
    }
    Ok(counts)
}

/// Reads the total of instructions, and how often `malloc` and its relatives were
/// called, from what callgrind writes.
fn parse_dump(dump: &str) -> Result<Count, Box<dyn Error>> {
    const ALLOCATORS: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "memalign"];
    // A function's name is written once, with a number that stands for it later.
    let mut names = HashMap::new();
    let (mut instructions, mut allocations) = (0, 0);
    let mut callee = "";
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix("cfn=").or(line.strip_prefix("fn=")) {
            let (number, name) = name.split_once(' ').unwrap_or((name, ""));
            let known = names.entry(number).or_insert(name);
            if line.starts_with('c') {
                callee = *known;
            }
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let calls: u64 = calls.split(' ').next().unwrap_or_default().parse()?;
            if ALLOCATORS.contains(&callee) {
                allocations += calls;
            }
        } else if let Some(total) = line.strip_prefix("totals:") {
            instructions = total.trim().parse::<u64>()?;
        }
    }
    if instructions == 0 || allocations == 0 {
        return Err("callgrind counted nothing".into());
    }
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    let per_call = |total: u64| total as f64 / CALLS as f64;
    Ok(Count {
        instructions: per_call(instructions),
        allocations: per_call(allocations),
    })
}

/// Makes the calls, in the order of [`BOUNDS`], with bare ureq and with this
/// crate.
fn make_calls(api: &str, ca_pem: &str) {
    let agent = ureq_config(ca_pem).build().new_agent();
    let client = Client::builder("id", "secret")
        .api_url(api)
        .login_url(api)
        .only_root_certificates(ca_pem)
        .no_proxy()
        .build()
        .expect("valid settings");
    let bearer = bearer();
    for (call, ..) in BOUNDS {
        let url = format!("{api}{}", call.path());
        let mut bare = || with_ureq(&agent, &url, &bearer, call);
        let mut ours = || with_autharmor(&client, call);
        let callers: [&mut dyn FnMut(); 2] = [&mut bare, &mut ours];
        for caller in callers {
            for calls in [WARM_UP, CALLS] {
                for _ in 0..calls {
                    caller();
                }
                write_counts();
            }
        }
    }
}

/// Callgrind writes the counts and begins anew when this function is called.
#[inline(never)]
fn write_counts() {
    black_box(());
}
