//! `autharmor credentials disable`.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use autharmor::credentials::CredentialId;
use autharmor::{Client, Error, ErrorKind, UserKey};
use clap::{Args, value_parser};
use serde::{Deserialize, Serialize};

use super::journal::{Journal, State};
use crate::config::{ConfigArgs, Settings, Trust};
use crate::failure::Failure;
use crate::output::{self, Format, FormatArgs, Printer, Row, report};
use crate::signals;
use crate::users::{text, user_key};

/// Disables credentials, so that nobody can sign in with them any more
///
/// Without CREDENTIAL, reads lines from standard input. Each line is the id of a
/// credential; without USER as well, a user and an id with a blank or a comma
/// between them, or an object as `credentials list --format json` prints it. Empty
/// lines and lines that begin with # are skipped.
///
/// Prints the result of each credential, and a summary on standard error. If the
/// service or the network fails, or on Ctrl-C, no further call is made. With
/// --done-file the same command continues where it ended, even after it was killed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor credentials disable ada@example.com phone-7

  # Each line of the file is a user and an id.
  autharmor credentials disable --yes --done-file done <lost-phones.txt

  # All phones of a user.
  autharmor credentials list ada@example.com --type phone --format json |
    autharmor credentials disable --yes")]
pub(crate) struct Options {
    /// Username or id of the user whose credentials they are
    #[arg(value_name = "USER")]
    user: Option<String>,

    /// Id of a credential
    #[arg(value_name = "CREDENTIAL")]
    credentials: Vec<String>,

    /// Does not ask
    #[arg(long, short)]
    yes: bool,

    /// Number of calls at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = value_parser!(u8).range(1..=32))]
    parallel: u8,

    /// File that notes what is done, to continue after an interruption
    ///
    /// It is created if it does not exist. Credentials that it names as disabled are
    /// skipped. It holds the users and ids that were given.
    #[arg(long, value_name = "FILE")]
    done_file: Option<PathBuf>,

    #[command(flatten)]
    form: FormatArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

/// A credential to disable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    user: String,
    credential: String,
}

impl Target {
    /// Returns `None` for what can be neither user nor id.
    pub(super) fn new(user: &str, credential: &str) -> Option<Self> {
        let is_text = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_control());
        (is_text(user) && is_text(credential)).then(|| Self {
            user: user.to_owned(),
            credential: credential.to_owned(),
        })
    }

    /// Reads a line of the input.
    fn parse(line: &str, user: Option<&str>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Listed {
            user_id: String,
            credential_id: String,
        }
        if line.starts_with('{') {
            let listed: Listed = serde_json::from_str(line).ok()?;
            // A list of another user's credentials must not pass for this user's.
            let is_for = user.is_none_or(|user| user.eq_ignore_ascii_case(&listed.user_id));
            return Self::new(&listed.user_id, &listed.credential_id).filter(|_| is_for);
        }
        if let Some(user) = user {
            return Self::new(user, line);
        }
        let (user, credential) = line.rsplit_once([' ', '\t', ','])?;
        Self::new(user.trim_end_matches([' ', '\t', ',']), credential)
    }

    /// Returns the target as one line: neither part has a tab.
    pub(super) fn key(&self) -> String {
        format!("{}\t{}", self.user, self.credential)
    }

    fn user_key(&self) -> UserKey {
        match user_key(&self.user) {
            Ok(key) => key,
        }
    }

    fn credential_id(&self) -> CredentialId {
        CredentialId::from(&self.credential)
    }
}

/// What became of a credential.
#[derive(Serialize)]
struct Outcome {
    user: String,
    credential_id: String,
    result: &'static str,
    error: Option<String>,
}

impl Row for Outcome {
    const COLUMNS: &'static [&'static str] = &["user", "credential_id", "result", "error"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.user.clone(),
            self.credential_id.clone(),
            self.result.to_owned(),
            text(self.error.as_ref()),
        ]
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let client = Settings::load(&options.config, Trust::Caller)?.client()?;
    let targets = targets(options, &client)?;
    let journal = options
        .done_file
        .as_deref()
        .map(Journal::open)
        .transpose()?;
    let (done, targets): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| {
        let state = journal.as_ref().and_then(|journal| journal.state(target));
        state == Some(State::Disabled)
    });
    if !options.yes && !targets.is_empty() {
        ask(options, &targets)?;
    }
    let run = Run {
        client,
        journal,
        targets: Mutex::new(targets.into_iter()),
        stopped: AtomicBool::new(false),
        interrupted: signals::interrupted()?,
    };
    run.all(options, done.len())
}

/// Returns the credentials to disable, each once.
fn targets(options: &Options, client: &Client) -> Result<Vec<Target>, Failure> {
    let user = match options.user.as_deref() {
        // Once, and not for every call.
        Some(name) => match user_key(name) {
            Ok(UserKey::Id(id)) => Some(id.to_string()),
            Ok(key) => Some(client.get_user(key)?.user_id.to_string()),
        },
        None => None,
    };
    let user = user.as_deref();
    let mut targets = Vec::new();
    let mut known = HashSet::new();
    let mut add = |line: &str, place: &dyn Fn() -> String| -> Result<(), Failure> {
        let target = Target::parse(line, user)
            .ok_or_else(|| Failure::Usage(format!("{}: not a credential", place())))?;
        if known.insert(target.clone()) {
            targets.push(target);
        }
        Ok(())
    };
    for (n, credential) in options.credentials.iter().enumerate() {
        add(credential, &|| format!("CREDENTIAL {}", n + 1))?;
    }
    if options.credentials.is_empty() {
        if io::stdin().is_terminal() {
            report("reading credentials from the terminal, until Ctrl-D");
        }
        for (n, line) in io::stdin().lock().lines().enumerate() {
            let line = line
                .map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                add(line, &|| format!("standard input, line {}", n + 1))?;
            }
        }
    }
    Ok(targets)
}

/// Asks whether to go on. If the credentials came from standard input, the
/// response comes from the terminal.
fn ask(options: &Options, targets: &[Target]) -> Result<(), Failure> {
    let users: HashSet<_> = targets.iter().map(|target| &target.user).collect();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut input: Box<dyn BufRead> = if options.credentials.is_empty() {
        let terminal = std::fs::File::open("/dev/tty")
            .map_err(|_| Failure::Usage("there is no terminal to ask on: add --yes".to_owned()))?;
        Box::new(BufReader::new(terminal))
    } else {
        Box::new(io::stdin().lock())
    };
    let mut error = io::stderr();
    let _ = write!(
        error,
        "Disable {} of {}? They cannot be enabled again here. [y/N] ",
        count(targets.len(), "credential"),
        count(users.len(), "user"),
    );
    let _ = error.flush();
    let mut line = String::new();
    let read = input.read_line(&mut line);
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" if read.is_ok() => Ok(()),
        _ => Err(Failure::Failed("nothing was disabled".to_owned())),
    }
}

/// The credentials, and what the threads share.
struct Run {
    client: Client,
    journal: Option<Journal>,
    targets: Mutex<std::vec::IntoIter<Target>>,
    /// Whether a failure ends the run.
    stopped: AtomicBool,
    interrupted: Arc<AtomicBool>,
}

impl Run {
    /// Disables all targets. `done` is how many were disabled before.
    fn all(&self, options: &Options, done: usize) -> Result<(), Failure> {
        let (sender, results) = mpsc::channel();
        let mut tally = Tally {
            done,
            ..Tally::default()
        };
        thread::scope(|scope| {
            for n in 0..options.parallel {
                let sender = sender.clone();
                let worker = move || self.work(&sender);
                if let Err(error) = thread::Builder::new().spawn_scoped(scope, worker) {
                    // Fewer threads do the same.
                    if n == 0 {
                        tally.end = Some(Failure::Failed(format!("cannot start: {error}")));
                    }
                    break;
                }
            }
            drop(sender);
            self.print(&results, options.form.format, &mut tally);
        });
        tally.left = self.remaining().len();
        report(&tally.summary());
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Failed("interrupted".to_owned()));
        }
        match tally.end {
            Some(failure) => Err(failure),
            None if tally.failed > 0 => Err(Failure::Failed(
                "some credentials were not disabled".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Prints results as they come, and counts them.
    fn print(
        &self,
        results: &Receiver<(Target, Result<(), Failed>)>,
        format: Format,
        tally: &mut Tally,
    ) {
        let progress = output::progress("credentials disabled");
        progress.set_length(self.remaining().len() as u64);
        let mut printer = Printer::stdout(format);
        // Who closes the pipe does not stop the calls.
        let mut is_open = true;
        for (target, result) in results {
            progress.inc(1);
            let (result, error) = match result {
                Ok(()) => {
                    tally.disabled += 1;
                    ("disabled", None)
                }
                Err(failed) => {
                    tally.failed += 1;
                    if failed.ends_run {
                        tally.end.get_or_insert(failed.failure);
                    }
                    ("failed", Some(failed.text))
                }
            };
            let outcome = Outcome {
                user: target.user,
                credential_id: target.credential,
                result,
                error,
            };
            is_open = is_open && printer.print(&outcome).is_ok();
        }
        progress.finish_and_clear();
        if is_open {
            let _ = printer.finish::<Outcome>();
        }
    }

    /// Takes targets and disables them, until none is left or the run ends.
    fn work(&self, results: &Sender<(Target, Result<(), Failed>)>) {
        loop {
            let is_over =
                self.stopped.load(Ordering::Relaxed) || self.interrupted.load(Ordering::Relaxed);
            if is_over {
                return;
            }
            let Some(target) = self.remaining().next() else {
                return;
            };
            let result = self.disable(&target);
            if result.as_ref().is_err_and(|failed| failed.ends_run) {
                self.stopped.store(true, Ordering::Relaxed);
            }
            if results.send((target, result)).is_err() {
                return;
            }
        }
    }

    fn disable(&self, target: &Target) -> Result<(), Failed> {
        let (user, credential) = (target.user_key(), target.credential_id());
        if let Some(journal) = &self.journal {
            // The call of an earlier run may have succeeded.
            if journal.state(target) == Some(State::Started) {
                let found = self.client.get_user_credential(&user, &credential)?;
                if found.enabled == Some(false) {
                    return Ok(journal.note(target, State::Disabled)?);
                }
            } else {
                journal.note(target, State::Started)?;
            }
        }
        let response = self.client.disable_user_credential(&user, &credential)?;
        if response.enabled == Some(true) {
            let text = "the service says that it is still enabled";
            return Err(Failed {
                text: text.to_owned(),
                failure: Failure::Failed(text.to_owned()),
                ends_run: false,
            });
        }
        if let Some(journal) = &self.journal {
            journal.note(target, State::Disabled)?;
        }
        Ok(())
    }

    fn remaining(&self) -> std::sync::MutexGuard<'_, std::vec::IntoIter<Target>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a credential was not disabled.
struct Failed {
    /// On one line.
    text: String,
    failure: Failure,
    /// Whether the calls for other credentials would fail in the same way.
    ends_run: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let ends_run = match error.kind() {
            ErrorKind::NotFound
            | ErrorKind::InvalidInput
            | ErrorKind::UsernameInUrl
            | ErrorKind::Api
            | ErrorKind::Decode
            | ErrorKind::Mismatch => error.is_transient(),
            _ => true,
        };
        Self {
            text: format!("{error:#}").replace('\n', "; "),
            failure: error.into(),
            ends_run,
        }
    }
}

impl From<Failure> for Failed {
    /// What is done could not be noted.
    fn from(failure: Failure) -> Self {
        Self {
            text: failure.to_string(),
            failure,
            ends_run: true,
        }
    }
}

/// The summary of a run.
#[derive(Default)]
struct Tally {
    /// Disabled by earlier runs.
    done: usize,
    disabled: usize,
    failed: usize,
    left: usize,
    /// The failure that ended the run.
    end: Option<Failure>,
}

impl Tally {
    fn summary(&self) -> String {
        let mut parts = vec![format!("{} disabled", self.disabled)];
        for (count, what) in [
            (self.done, "disabled before"),
            (self.failed, "failed"),
            (self.left, "not tried"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_every_form() {
        let id = "7f3c1f0e-2f5e-4c39-8a0e-0d5f5a7e9b11";
        let json = format!(r#"{{"user_id":"{id}","credential_id":"c","enabled":true}}"#);
        for (line, user, expected) in [
            ("c", Some("ada"), Some(("ada", "c"))),
            ("ada c", None, Some(("ada", "c"))),
            ("ada,c", None, Some(("ada", "c"))),
            ("ada, c", None, Some(("ada", "c"))),
            ("ada\tc", None, Some(("ada", "c"))),
            ("ada lovelace  c", None, Some(("ada lovelace", "c"))),
            (&json, None, Some((id, "c"))),
            (&json, Some(id), Some((id, "c"))),
            (&json, Some("ada"), None),
            ("c", None, None),
            (" c", None, None),
            ("{}", None, None),
            ("a\u{1b}b", Some("ada"), None),
        ] {
            let expected = expected.and_then(|(user, id)| Target::new(user, id));
            assert_eq!(Target::parse(line, user), expected, "{line}");
        }
    }

    #[test]
    fn the_summary_leaves_out_zeros() {
        let mut tally = Tally {
            disabled: 2,
            ..Tally::default()
        };
        assert_eq!(tally.summary(), "2 disabled");
        tally.done = 1;
        tally.left = 3;
        assert_eq!(
            tally.summary(),
            "2 disabled, 1 disabled before, 3 not tried"
        );
    }
}
