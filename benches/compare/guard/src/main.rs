//! Counts the instructions and the heap allocations of warm calls, of this crate
//! and of bare ureq, and fails if the ratios are above their bounds or are not
//! those that `README.md` and `benches/README.md` state:
//!
//!     cargo run --release --manifest-path benches/compare/Cargo.toml -p autharmor-guard
//!
//! Valgrind's callgrind counts, so the result does not depend on how fast or busy
//! the machine is. Only the client is counted, outside the kernel: the server is
//! another process.
//!
//! With `--only-count` it prints the table and does not fail. With the name of a
//! new folder as its argument, it leaves callgrind's files there:
//! `callgrind_annotate --inclusive=yes FOLDER/callgrind.4` shows the functions of
//! the first call made with this crate, `callgrind.2` those of the same call with
//! bare ureq. Without `--inclusive=yes` it shows nothing of use.

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode};
use std::{env, fs, io};

use autharmor::Client;
use autharmor_guard::{Call, bearer, ureq_config, with_autharmor, with_ureq};
use autharmor_test_support::canned::Canned;

/// The calls, and the largest ratios of instructions and of allocations: what was
/// measured and a little more, for other processors and compilers.
const BOUNDS: [(Call, f64, f64); 4] = [
    (Call::ByName, 0.88, 0.80),
    (Call::Start, 0.85, 0.80),
    (Call::Validate, 0.88, 0.80),
    (Call::List, 0.95, 0.98),
];
const WARM_UP: usize = 20;
const CALLS: usize = 100;
/// How far a stated ratio may be from the measured one.
const TOLERANCE: f64 = 0.05;

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
    let readmes = Readmes::read()?;
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
        if !only_count {
            failures.extend(readmes.check(call, instructions, allocations));
        }
    }
    for failure in &failures {
        println!("\nFAIL: {failure}");
    }
    Ok(if only_count || failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The texts that state ratios.
struct Readmes {
    /// The chapter of `README.md`.
    chapter: String,
    /// `benches/README.md`.
    report: String,
}

impl Readmes {
    fn read() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let readme = fs::read_to_string(root.join("README.md"))?;
        let chapter = readme.split_once("\n## Fast and small\n");
        Ok(Self {
            chapter: chapter.map_or_else(String::new, |(_, text)| text.to_owned()),
            report: fs::read_to_string(root.join("benches/README.md"))?,
        })
    }

    /// Returns which ratios of this call are not those that were measured.
    fn check(&self, call: Call, instructions: f64, allocations: f64) -> Vec<String> {
        let (name, report) = (call.name(), "benches/README.md");
        // The number of the column counts only cells with a number.
        let mut stated = vec![
            (
                report,
                &self.report,
                format!("| {name}, instructions |"),
                2,
                instructions,
            ),
            (
                report,
                &self.report,
                format!("| {name}, allocations |"),
                2,
                allocations,
            ),
        ];
        if call != Call::Validate {
            let (file, row) = ("README.md", format!("| {name} |"));
            stated.push((file, &self.chapter, row.clone(), 0, instructions));
            stated.push((file, &self.chapter, row, 1, allocations));
        }
        let wrong = stated
            .into_iter()
            .filter_map(|(file, text, row, column, measured)| {
                let ratio = numbers(text, &row).get(column).copied();
                let is_right =
                    ratio.is_some_and(|ratio| (ratio / measured - 1.0).abs() <= TOLERANCE);
                let ratio = ratio.map_or("nothing".to_owned(), |ratio| ratio.to_string());
                (!is_right)
                    .then(|| format!("{file} {row} states {ratio}, measured is {measured:.3}"))
            });
        wrong.collect()
    }
}

/// Returns the numbers in the row of a table that starts like this.
fn numbers(text: &str, start: &str) -> Vec<f64> {
    let row = text.lines().find(|line| line.starts_with(start));
    let cells = row.unwrap_or_default().split('|').map(str::trim);
    cells.filter_map(|cell| cell.parse().ok()).collect()
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
