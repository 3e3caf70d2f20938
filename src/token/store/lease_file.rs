//! [`LeaseFile`]: a lease as a file that one process creates.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::Lease;
use super::private_file::{open, read, remove_if, write_new};

/// The longest length that is taken from a file, and that of one that cannot be
/// read.
const LONGEST: Duration = Duration::from_secs(10);

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Content {
    holder: String,
    milliseconds: u64,
}

/// The last content that was seen, and since when.
#[derive(Debug, Default)]
pub(super) struct Watched(Option<(Vec<u8>, Instant)>);

impl Watched {
    /// Returns how long this content has been seen.
    fn age(&mut self, content: &[u8]) -> Duration {
        match &self.0 {
            Some((seen, since)) if seen == content => since.elapsed(),
            _ => {
                self.0 = Some((content.to_owned(), Instant::now()));
                Duration::ZERO
            }
        }
    }
}

pub(super) struct LeaseFile<'a> {
    path: PathBuf,
    watched: &'a Mutex<Watched>,
}

impl<'a> LeaseFile<'a> {
    pub(super) fn beside(token: &Path, watched: &'a Mutex<Watched>) -> Self {
        let mut name = token.file_name().unwrap_or_default().to_owned();
        name.push(".lease");
        Self {
            path: token.with_file_name(name),
            watched,
        }
    }

    pub(super) fn take(&self, holder: &str, length: Duration) -> io::Result<Lease> {
        if self.create(holder, length)? {
            return Ok(Lease::Granted);
        }
        let Some(file) = open(&self.path)? else {
            // Its holder has just removed it.
            return Ok(if self.create(holder, length)? {
                Lease::Granted
            } else {
                Lease::Held(String::new())
            });
        };
        let changed = file.metadata()?.modified()?;
        let content = read(file)?;
        let found: Option<Content> = serde_json::from_slice(&content).ok();
        let length_of = |found: &Content| Duration::from_millis(found.milliseconds).min(LONGEST);
        let lasts = found.as_ref().map_or(LONGEST, length_of);
        let age = SystemTime::now().duration_since(changed);
        let seen = self.lock().age(&content);
        // Only the one who removes what has ended may be the next, and at times
        // one who comes while another puts back what it took away too late.
        if age.unwrap_or_default().max(seen) >= lasts
            && remove_if(&self.path, |now| now == content.as_slice())?
            && self.create(holder, length)?
        {
            return Ok(Lease::Granted);
        }
        Ok(Lease::Held(found.map_or_else(String::new, |it| it.holder)))
    }

    pub(super) fn release(&self, holder: &str) -> io::Result<()> {
        let is_own = |content: &[u8]| {
            serde_json::from_slice(content).is_ok_and(|found: Content| found.holder == holder)
        };
        let content = open(&self.path)?.map(read).transpose()?;
        if content.is_some_and(|content| is_own(&content)) {
            remove_if(&self.path, is_own)?;
        }
        Ok(())
    }

    /// Creates the file. Returns whether there was none.
    fn create(&self, holder: &str, length: Duration) -> io::Result<bool> {
        let content = serde_json::to_vec(&Content {
            holder: holder.to_owned(),
            milliseconds: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        })?;
        match write_new(&self.path, &content) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            written => written.map(|()| true),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
