//! [`LeaseFile`]: a lease as a file that one process creates.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::Lease;
use super::private_file::{
    SHORT, open, read, remove, rename, while_shared, with_suffix, write_new,
};

/// The longest length that is taken from a file.
const LONGEST: Duration = Duration::from_secs(10);
/// The length of a lease whose file cannot be read.
const UNREADABLE: Duration = Duration::from_secs(5);
/// A claim that is older is of a process that was killed: to remove a version takes
/// no time.
const CLAIM: Duration = Duration::from_secs(2);

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Content {
    holder: String,
    milliseconds: u64,
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    content: Vec<u8>,
    changed: SystemTime,
}

impl Version {
    /// Reads the file, if there is one.
    #[inline]
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = open(path)? else {
            return Ok(None);
        };
        let changed = file.metadata()?.modified()?;
        let content = read(file)?.into_vec();
        Ok(Some(Self { content, changed }))
    }

    /// Removes the file if it still is this version, and says whether it did.
    ///
    /// Whoever removes a version first creates its claim, a file named after this
    /// version's time of change, and then reads the file again. The file itself is
    /// only ever created, never replaced. So no file that took the place of this
    /// version is removed, unless a process stands still for [`CLAIM`] between
    /// the last two steps. That costs a token request.
    #[inline]
    pub(super) fn remove(&self, path: &Path) -> io::Result<bool> {
        let claim = self.claim(path);
        match while_shared(SHORT, || write_new(&claim, b"")) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if let Some(claimed) = Self::read(&claim)?.filter(|it| it.is_older_than(CLAIM)) {
                    // Of a process that was killed while it removed this version.
                    claimed.remove(&claim)?;
                }
                return Ok(false);
            }
            created => created?,
        }
        let removed = match Self::read(path) {
            // On Windows a file that is removed keeps its name until all have
            // closed it. A renamed one does not.
            Ok(Some(now)) if now == *self => match rename(path, &claim) {
                // Somebody has removed it after it was read: the holder of a lease,
                // or the owner of a claim.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                renamed => renamed.map(|()| true),
            },
            other => other.map(|_| false),
        };
        // One that is left is removed later, as above or at a takeover.
        let _ = remove(&claim);
        removed
    }

    pub(super) fn claim(&self, path: &Path) -> PathBuf {
        let since_epoch = self.changed.duration_since(SystemTime::UNIX_EPOCH);
        let time = since_epoch.unwrap_or_default().as_nanos();
        with_suffix(path, &format!(".{time:x}"))
    }

    /// One from the future counts as well.
    fn is_older_than(&self, age: Duration) -> bool {
        is_far_from_now(self.changed, age)
    }
}

fn is_far_from_now(time: SystemTime, distance: Duration) -> bool {
    let age = SystemTime::now().duration_since(time);
    age.unwrap_or_else(|ahead| ahead.duration()) >= distance
}

/// The last version that was seen, and since when.
#[derive(Debug, Default)]
pub(super) struct Watched(Option<(Version, Instant)>);

impl Watched {
    /// Returns how long this version has been seen.
    fn age(&mut self, version: &Version) -> Duration {
        match &self.0 {
            Some((seen, since)) if seen == version => since.elapsed(),
            _ => {
                self.0 = Some((version.clone(), Instant::now()));
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
        Self {
            path: with_suffix(token, ".lease"),
            watched,
        }
    }

    #[inline]
    pub(super) fn take(&self, holder: &str, length: Duration) -> io::Result<Lease> {
        if self.create(holder, length)? {
            return Ok(Lease::Granted);
        }
        let Some(version) = Version::read(&self.path)? else {
            // Its holder has just removed it.
            return Ok(if self.create(holder, length)? {
                Lease::Granted
            } else {
                Lease::Held(String::new())
            });
        };
        let found: Option<Content> = serde_json::from_slice(&version.content).ok();
        let length_of = |found: &Content| Duration::from_millis(found.milliseconds).min(LONGEST);
        let lasts = found.as_ref().map_or(UNREADABLE, length_of);
        let age = SystemTime::now().duration_since(version.changed);
        let seen = self.lock().age(&version);
        if age.unwrap_or_default().max(seen) < lasts {
            return Ok(Lease::Held(found.map_or_else(String::new, |it| it.holder)));
        }
        if version.remove(&self.path)? {
            self.remove_claims();
            if self.create(holder, length)? {
                return Ok(Lease::Granted);
            }
        }
        // Another process takes it over. The former holder says nothing any more.
        Ok(Lease::Held(String::new()))
    }

    /// Removes the claims that killed processes have left. The next takeover finds
    /// those that cannot be removed.
    #[inline]
    fn remove_claims(&self) {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return;
        };
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let prefix = format!("{}.", name.to_string_lossy());
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_claim = entry.file_name().to_string_lossy().starts_with(&prefix);
            let changed = entry.metadata().and_then(|it| it.modified());
            if is_claim && changed.is_ok_and(|changed| is_far_from_now(changed, LONGEST)) {
                let _ = remove(&entry.path());
            }
        }
    }

    #[inline]
    pub(super) fn release(&self, holder: &str) -> io::Result<()> {
        let is_own = |version: &Version| {
            serde_json::from_slice(&version.content)
                .is_ok_and(|found: Content| found.holder == holder)
        };
        if let Some(version) = Version::read(&self.path)?.filter(is_own) {
            version.remove(&self.path)?;
        }
        Ok(())
    }

    /// Creates the file. Returns whether there was none.
    #[inline]
    fn create(&self, holder: &str, length: Duration) -> io::Result<bool> {
        let content = serde_json::to_vec(&Content {
            holder: holder.to_owned(),
            milliseconds: u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
        })?;
        match while_shared(SHORT, || write_new(&self.path, &content)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            written => written.map(|()| true),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
