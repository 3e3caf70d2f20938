//! `autharmor probe`: asks the real service the manual's open questions.

mod enums;
mod lists;
mod points;
mod session;
mod shape;
mod signature;
mod signing_in;

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use self::points::{POINTS, Point, Reading};
use self::session::{Exchange, Session};
use crate::config::{ConfigArgs, Settings, Trust};
use crate::failure::Failure;

/// The time for everything.
const TOTAL: Duration = Duration::from_secs(600);

/// Finds out what is unverified about the service
///
/// For those who have an account. The crate was never tested against the real
/// service, and the manual lists what is unverified about it. This command goes
/// down that list: it makes harmless reads and calls that the service refuses,
/// and prints which reading of the documentation holds.
///
/// Nothing is changed and nobody is notified, unless you consent with --sign-in
/// or --register.
///
/// The report holds no value of a response: no name, no id, no token and no
/// text, only statuses, names of headers and the shape of JSON. Read it, and
/// attach it to an issue of the crate's repository.
#[derive(Args)]
#[command(after_long_help = "\
Exit status:
  0  the report is complete, even if questions are still open
  2  the command line is wrong
  3  a setting is wrong, or the credentials are refused
  4  the service cannot be reached

Examples:
  autharmor probe > report.txt
      Makes only reads and refused calls.
  autharmor probe --sign-in ada@example.com > report.txt
      Also sends one push to this user's phone; approve it.
  autharmor probe --json | jq -r 'select(.settled) | .reading'
      Prints the questions that are settled.")]
pub(crate) struct Options {
    /// Sends one push notification to this user, and validates the sign-in
    ///
    /// Ask the user before. It also disables a credential of the user again that
    /// is disabled already, if there is one.
    #[arg(long, value_name = "USER")]
    sign_in: Option<String>,

    /// Starts two registrations for this user, which nobody completes
    ///
    /// One of a phone and one of a passkey. Nobody is notified, and both expire.
    #[arg(long, value_name = "USER")]
    register: Option<String>,

    /// Prints one JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

/// An open point, and what was found.
#[derive(Serialize)]
struct Entry {
    point: &'static str,
    question: &'static str,
    settled: bool,
    reading: String,
    calls: Vec<Exchange>,
}

/// Makes all calls and prints the report.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let settings = Settings::load(&options.config, Trust::Caller)?;
    let users = (options.sign_in.as_deref(), options.register.as_deref());
    let mut session = Session::new(&settings, users, Instant::now() + TOTAL)?;
    session.log_in()?;
    // Their names must not be in the report.
    session.users();
    session.take_calls();
    let mut entries: Vec<Option<Entry>> = POINTS.iter().map(|_| None).collect();
    // Some readings look at all other responses.
    for is_last in [false, true] {
        for (point, place) in POINTS.iter().zip(&mut entries) {
            if point.looks_back == is_last {
                *place = Some(ask(point, &mut session));
            }
        }
    }
    for mut entry in entries.into_iter().flatten() {
        session.guard(&mut entry);
        print(&entry, options.json);
    }
    Ok(())
}

fn ask(point: &Point, session: &mut Session) -> Entry {
    let (settled, reading) = match (point.ask)(session) {
        Reading::Settled(text) => (true, text),
        Reading::Open(text) => (false, text),
    };
    Entry {
        point: point.id,
        question: point.question,
        settled,
        reading,
        calls: session.take_calls(),
    }
}

fn print(entry: &Entry, json: bool) {
    let mut lines = Vec::new();
    if json {
        lines.push(serde_json::to_string(entry).unwrap_or_default());
    } else {
        lines.push(format!("{}: {}", entry.point, entry.question));
        let verdict = if entry.settled { "settled" } else { "open" };
        lines.push(format!("  {verdict}: {}", entry.reading));
        for call in &entry.calls {
            let status = call
                .status
                .map_or(String::new(), |status| format!(" {status}"));
            lines.push(format!("  {}:{status} {}", call.call, call.body));
            if !call.headers.is_empty() {
                lines.push(format!("    headers: {}", call.headers.join(", ")));
            }
        }
    }
    for line in lines {
        // Whoever reads may have seen enough.
        let _ = writeln!(io::stdout(), "{line}");
    }
}
