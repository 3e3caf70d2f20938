//! [`FileTokenStore`]: keeps the access token in a file.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Entry, StoredToken, TokenKey, TokenStore};
use crate::secret::Secret;

/// A longer file is not one of ours.
const MAX_FILE_LEN: u64 = 64 * 1024;

/// Keeps one token in a file.
///
/// The file is written aside with mode 0600 and put in place at once, so that
/// processes that run at the same time never see a part of it. A file that is
/// torn, or for another key, counts as none and is replaced. On Unix a file
/// that others can read or write is refused with an error that says so, on
/// Linux one of another owner as well; on other systems the access rights of
/// its folder are all that protects it. Keep it in a folder that only you can
/// write to.
///
/// ```no_run
/// use autharmor::{Client, FileTokenStore};
///
/// let client = Client::builder("id", "secret")
///     .token_store(FileTokenStore::new("/run/user/1000/door-daemon.token"))
///     .build()?;
/// # Ok::<(), autharmor::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileTokenStore {
    pub(super) path: PathBuf,
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Content {
    key: TokenKey,
    token: Entry,
}

impl FileTokenStore {
    /// A store in this file, which need not exist; its folder must.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn beside(&self) -> PathBuf {
        let random = RandomState::new().build_hasher().finish();
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:x}.{random:016x}", std::process::id()));
        self.path.with_file_name(name)
    }
}

impl TokenStore for FileTokenStore {
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        check_access(&file)?;
        let mut text = Zeroizing::new(Vec::with_capacity(4096));
        file.take(MAX_FILE_LEN).read_to_end(&mut text)?;
        let content: Option<Content> = serde_json::from_slice(&text).ok();
        Ok(content
            .filter(|content| content.key == *key)
            .and_then(|content| StoredToken::from_entry(content.token)))
    }

    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()> {
        let content = Content {
            key: key.clone(),
            token: token.entry(),
        };
        let text = Zeroizing::new(serde_json::to_vec(&content)?);
        let beside = self.beside();
        let written = write_new(&beside, &text).and_then(|()| fs::rename(&beside, &self.path));
        if written.is_err() {
            // It may not even exist.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()> {
        match self.load(key)? {
            Some(stored) if stored.token == *token => match fs::remove_file(&self.path) {
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            },
            _ => Ok(()),
        }
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text)
}

#[cfg(unix)]
fn check_access(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    let file = file.metadata()?;
    if !file.is_file() {
        return refuse("the token file is not a regular file".to_owned());
    }
    let mode = file.mode() & 0o777;
    if mode & 0o077 != 0 {
        return refuse(format!(
            "the token file can be used by others (mode {mode:04o}): set it to 0600"
        ));
    }
    // The owner of /proc/self is the effective user. A file planted by
    // somebody else would make us speak for somebody else's project.
    match fs::metadata("/proc/self") {
        Ok(me) if cfg!(target_os = "linux") && me.uid() != file.uid() => {
            refuse("the token file belongs to another user".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_access(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the token file is not a regular file",
        ))
    }
}
