//! [`TokenStore`]: keeping the access token beyond this process.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Grant;
use crate::secret::Secret;

/// A longer file is not one of ours.
const MAX_FILE_LEN: u64 = 64 * 1024;
/// The form of the text that [`StoredToken::encode`] writes.
const FORMAT: u8 = 1;

/// Where an access token is kept for other processes and later runs.
///
/// A tool that runs often saves the token request, and a fleet can share one
/// token through a store that it already has: the example `redis_token_store`
/// in this crate's repository is one on Redis. Whoever can read the store can
/// act with the token until it ends; whoever can *write* it can make the
/// client speak for another project, whose users would then be let in. Treat
/// it like the client secret.
///
/// The client asks the store before it fetches a token, writes every token
/// that it fetched, and removes one that the API refused. An error is logged
/// and otherwise as good as an empty store, but for
/// [`io::ErrorKind::PermissionDenied`] from [`load`](Self::load), which means
/// that the store is not safe and fails the call with
/// [`ErrorKind::Config`](crate::ErrorKind::Config). The store is called in the
/// calling thread, within no deadline: it must return soon. Its errors must
/// not hold the token.
pub trait TokenStore: Send + Sync {
    /// The token that was saved last under this key, if any.
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>>;

    /// Saves a token in place of any other. Readers must see the one or the
    /// other, never a part.
    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()>;

    /// Removes the token, if the store still holds this one.
    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()>;
}

/// What a token is for: token endpoint, client id and scopes. Its `Display` is
/// one line of text that differs for different keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenKey {
    login_url: String,
    client_id: String,
    scopes: String,
}

impl TokenKey {
    pub(super) fn new(grant: &Grant, client_id: &str) -> Self {
        Self {
            login_url: grant.url.to_string(),
            client_id: client_id.to_owned(),
            scopes: grant.scopes.clone(),
        }
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL and an id cannot hold a line end, and Debug escapes the rest.
        write!(
            f,
            "{:?} {:?} {:?}",
            self.login_url, self.client_id, self.scopes
        )
    }
}

/// A token as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    pub(super) token: Secret,
    pub(super) issued_at: SystemTime,
    pub(super) expires_at: SystemTime,
}

/// The text of a token.
#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "v")]
    format: u8,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    access_token: Secret,
    issued_at: u64,
    expires_at: u64,
}

impl StoredToken {
    /// The token itself, to compare with what [`TokenStore::remove`] names.
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// When it ends, for a store that can forget by itself.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// One line of text to store. It holds the token.
    #[must_use]
    pub fn encode(&self) -> Secret {
        serde_json::to_string(&self.entry())
            .unwrap_or_default()
            .into()
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        Self::from_entry(serde_json::from_str(text).ok()?)
    }

    fn entry(&self) -> Entry {
        Entry {
            format: FORMAT,
            access_token: self.token.clone(),
            issued_at: seconds(self.issued_at),
            expires_at: seconds(self.expires_at),
        }
    }

    fn from_entry(entry: Entry) -> Option<Self> {
        let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let (issued_at, expires_at) = (at(entry.issued_at)?, at(entry.expires_at)?);
        (entry.format == FORMAT).then_some(Self {
            token: entry.access_token,
            issued_at,
            expires_at,
        })
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

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
    path: PathBuf,
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

#[cfg(test)]
mod tests;
