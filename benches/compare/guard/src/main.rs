//! Counts instructions, heap allocations and system calls of warm calls, of this
//! crate and of bare ureq, and fails if the ratios are above their bounds or are
//! not those that `README.md` and `benches/README.md` state:
//!
//!     cargo run --release --manifest-path benches/compare/Cargo.toml -p autharmor-guard
//!
//! Valgrind's callgrind counts, so the result does not depend on how fast or busy
//! the machine is. Only the client is counted, outside the kernel: the server is
//! another process. Reading a clock is no system call: only valgrind makes it one.
//!
//! With `--only-count` it prints the table and does not fail. With the name of a
//! new folder as its argument, it leaves callgrind's files there:
//! `callgrind_annotate --inclusive=yes FOLDER/callgrind.4` shows the functions of
//! the first call made with this crate, `callgrind.2` those of the same call with
//! bare ureq. Without `--inclusive=yes` it shows nothing of use.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitCode};
use std::{env, fs, io, mem};

use autharmor::Client;
use autharmor_guard::{Call, bearer, ureq_config, with_autharmor, with_ureq};
use autharmor_test_support::canned::Canned;

/// What is counted of a call.
const COUNTED: [&str; 3] = ["instructions", "allocations", "system calls"];
/// The calls, and the largest ratio of each count: what was measured and a little
/// more, for other processors and compilers.
const BOUNDS: [(Call, Counts); 4] = [
    (Call::ByName, [0.88, 0.80, 0.65]),
    (Call::Start, [0.85, 0.80, 0.65]),
    (Call::Validate, [0.88, 0.80, 0.65]),
    (Call::List, [0.95, 0.98, 0.70]),
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
    let (mut measured, mut failures) = (BTreeMap::new(), Vec::new());
    println!("| | bare ureq | autharmor | ratio | at most |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for ((call, bounds), [bare, ours]) in BOUNDS.into_iter().zip(counts) {
        for (at, (what, most)) in COUNTED.into_iter().zip(bounds).enumerate() {
            let row = format!("| {}, {what} |", call.name());
            let (bare, ours) = (bare[at], ours[at]);
            let ratio = ours / bare;
            println!("{row} {bare:.0} | {ours:.0} | {ratio:.3} | {most:.2} |");
            if ratio > most {
                failures.push(format!("{row} {ratio:.3} is more than {most:.2}"));
            }
            measured.insert(row, ratio);
        }
    }
    if !only_count {
        failures.extend(readmes.check(&measured));
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
    /// The rows of the table in `README.md`.
    rows: Vec<String>,
    /// `benches/README.md`.
    report: String,
}

impl Readmes {
    fn read() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let readme = fs::read_to_string(root.join("README.md"))?;
        let chapters = readme.split("\n## ");
        let lines = chapters
            .filter(|chapter| chapter.starts_with("Fast and small\n"))
            .flat_map(str::lines);
        Ok(Self {
            rows: lines
                .filter(|line| line.starts_with("| `"))
                .map(str::to_owned)
                .collect(),
            report: fs::read_to_string(root.join("benches/README.md"))?,
        })
    }

    /// Returns which texts do not state a ratio as it was measured.
    fn check(&self, measured: &BTreeMap<String, f64>) -> Vec<String> {
        let mut stated = Vec::new();
        for row in measured.keys() {
            // Of the cells with a number, the third has the ratio.
            let ratio = numbers(&self.report, row).get(2).copied();
            stated.push(("benches/README.md", row.clone(), ratio));
        }
        // It repeats some of them, each call in one row.
        for row in &self.rows {
            let name = row.split(" |").next().unwrap_or_default();
            for (what, ratio) in COUNTED.iter().zip(numbers(row, "")) {
                stated.push(("README.md", format!("{name}, {what} |"), Some(ratio)));
            }
        }
        let show = |ratio: Option<f64>| ratio.map_or("nothing".to_owned(), |r| format!("{r:.3}"));
        let mut wrong = Vec::new();
        for (file, row, ratio) in stated {
            let found = measured.get(&row).copied();
            let is_right = |(ratio, found): (f64, f64)| (ratio / found - 1.0).abs() <= TOLERANCE;
            if !ratio.zip(found).is_some_and(is_right) {
                let (ratio, found) = (show(ratio), show(found));
                wrong.push(format!("{file}: {row} states {ratio}, measured is {found}"));
            }
        }
        if self.rows.is_empty() {
            wrong.push("README.md: no ratio in the chapter \"Fast and small\"".to_owned());
        }
        wrong
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

/// What [`COUNTED`] names.
type Counts = [f64; COUNTED.len()];

/// Returns the counts of one call each, of bare ureq and of this crate.
fn count() -> Result<Vec<[Counts; 2]>, Box<dyn Error>> {
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
        .arg("--collect-systime=yes")
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
        let read = |client: usize| -> Result<Counts, Box<dyn Error>> {
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

/// Reads from what callgrind writes: the instructions, how often `malloc` and its
/// relatives were called, and the system calls.
fn parse_dump(dump: &str) -> Result<Counts, Box<dyn Error>> {
    const ALLOCATORS: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "memalign"];
    // A function's name is written once, with a number that stands for it later.
    let mut names = HashMap::new();
    let mut counts = [0; COUNTED.len()];
    let [instructions, allocations, system_calls] = &mut counts;
    let (mut function, mut callee, mut is_callee_cost) = ("", "", false);
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix("cfn=").or(line.strip_prefix("fn=")) {
            let (number, name) = name.split_once(' ').unwrap_or((name, ""));
            let known = names.entry(number).or_insert(name);
            if line.starts_with('c') {
                callee = *known;
            } else {
                function = *known;
            }
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let calls: u64 = calls.split(' ').next().unwrap_or_default().parse()?;
            if ALLOCATORS.contains(&callee) {
                *allocations += calls;
            }
            is_callee_cost = true;
        } else if let Some(total) = line.strip_prefix("totals:") {
            let total = total.split_whitespace().next().unwrap_or_default();
            *instructions = total.parse()?;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            // Its position, instructions, and system calls if there were any. What
            // a callee cost is written as the callee's own, too.
            let made = line.split(' ').nth(2).map_or(Ok(0), str::parse::<u64>)?;
            if !mem::take(&mut is_callee_cost) && !function.starts_with("clock_gettime") {
                *system_calls += made;
            }
        }
    }
    if counts.contains(&0) {
        return Err("callgrind counted nothing".into());
    }
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    Ok(counts.map(|total| total as f64 / CALLS as f64))
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
