//! [`Journal`]: the file by which `credentials disable` continues after it was
//! killed.
//!
//! A line `started` is written before a call, and a line `disabled` after its
//! success. So of each credential the next run knows that it is disabled, that
//! it was not touched, or that it has to be looked at.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::disable::Target;
use crate::failure::Failure;

/// The first line of each file.
const HEADER: &str = "# autharmor credentials disable";

/// What is known about a credential from earlier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The call may have been sent.
    Started,
    Disabled,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Disabled => "disabled",
        }
    }
}

/// The record of a run, and of those before it.
pub(super) struct Journal {
    file: Mutex<LockedFile>,
    known: HashMap<String, State>,
}

impl Journal {
    /// Opens or creates the file. Fails if another run uses it, or if it is
    /// something else.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let refuse = |why: &str| Failure::Failed(format!("{}: {why}", path.display()));
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(path)
            .map_err(|error| refuse(&error.to_string()))?;
        let mut file = lock(file).map_err(|why| refuse(&why))?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| refuse(&error.to_string()))?;
        if !text.is_empty() && !text.starts_with(HEADER) {
            return Err(refuse("this is not a file of an earlier run"));
        }
        let mut known = HashMap::new();
        // A line without an end was cut off when the program was killed.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines().skip(1) {
            let (state, key) = match line.split_once('\t') {
                Some(("started", key)) => (State::Started, key),
                Some(("disabled", key)) => (State::Disabled, key),
                // A line that was cut off in an earlier run.
                _ => continue,
            };
            known.insert(key.to_owned(), state);
        }
        let start = if text.is_empty() {
            format!("{HEADER}\n")
        } else if text.ends_with('\n') {
            String::new()
        } else {
            "\n".to_owned()
        };
        file.write_all(start.as_bytes())
            .map_err(|error| refuse(&error.to_string()))?;
        Ok(Self {
            file: Mutex::new(file),
            known,
        })
    }

    /// Returns what earlier runs have noted.
    pub(super) fn state(&self, target: &Target) -> Option<State> {
        self.known.get(&target.key()).copied()
    }

    /// Notes a state.
    pub(super) fn note(&self, target: &Target, state: State) -> Result<(), Failure> {
        let line = format!("{}\t{}\n", state.name(), target.key());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // In one piece, whenever the program is killed.
        file.write_all(line.as_bytes())
            .map_err(|error| Failure::Failed(format!("cannot write the done file: {error}")))
    }
}

#[cfg(unix)]
type LockedFile = nix::fcntl::Flock<File>;
#[cfg(not(unix))]
type LockedFile = File;

#[cfg(unix)]
fn lock(file: File) -> Result<LockedFile, String> {
    use nix::errno::Errno;
    use nix::fcntl::{Flock, FlockArg};

    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        Errno::EWOULDBLOCK => "another run uses this file".to_owned(),
        error => error.to_string(),
    })
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the signature under Unix")]
fn lock(file: File) -> Result<LockedFile, String> {
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use autharmor_test_support::Folder;

    use super::*;

    fn target(id: &str) -> Target {
        Target::new("ada", id).unwrap()
    }

    #[test]
    fn states_survive_also_if_the_last_line_is_cut_off() {
        let folder = Folder::new();
        let path = folder.path().join("done");
        let (a, b, c) = (target("a"), target("b"), target("c"));
        {
            let journal = Journal::open(&path).unwrap();
            for target in [&a, &b] {
                journal.note(target, State::Started).unwrap();
            }
            journal.note(&a, State::Disabled).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with("disabled\tada\ta\n"));
        // `disabled` of `c` was not written completely.
        fs::write(&path, format!("{text}started\tada\tc\ndisabled\tada")).unwrap();
        for _ in 0..2 {
            let journal = Journal::open(&path).unwrap();
            assert_eq!(journal.state(&a), Some(State::Disabled));
            assert_eq!(journal.state(&b), Some(State::Started));
            assert_eq!(journal.state(&c), Some(State::Started));
            assert_eq!(journal.state(&target("d")), None);
        }
        {
            let journal = Journal::open(&path).unwrap();
            journal.note(&c, State::Disabled).unwrap();
        }
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.state(&c), Some(State::Disabled));
    }

    #[test]
    fn other_files_and_files_in_use_are_refused() {
        let folder = Folder::new();
        let path = folder.path().join("letter");
        fs::write(&path, "dear ada\n").unwrap();
        let refused = Journal::open(&path).err().unwrap().to_string();
        assert!(refused.ends_with("this is not a file of an earlier run"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "dear ada\n");

        let path = folder.path().join("done");
        let _journal = Journal::open(&path).unwrap();
        if cfg!(unix) {
            let refused = Journal::open(&path).err().unwrap().to_string();
            assert!(refused.ends_with("another run uses this file"));
        }
    }
}
