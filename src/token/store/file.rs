//! [`FileTokenStore`]: keeps the access token in a file.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lease_file::{LeaseFile, Watched};
use super::private_file::{beside, open, read, remove_if, rename, write_new};
use super::{Entry, Lease, ROOM, StoredToken, TokenKey, TokenStore};
use crate::http::buffer::WipedBuffer;
use crate::secret::Secret;

/// Keeps one token in a file.
///
/// The file is written aside with mode 0600 and then renamed, so that other
/// processes never see a part of it. A file that is torn, or for another key,
/// counts as none and is replaced.
///
/// A file that cannot be trusted is never used: on Unix one that others can
/// read or write, that belongs to another user or cannot be opened, and
/// anywhere what is not a regular file. The client then logs a warning that
/// names the file, fetches a token, and replaces the file if the folder
/// permits it. Nothing that stands in the place of the file blocks. On systems
/// other than Unix the access rights of the folder are all that protects the
/// file. Keep it in a folder that only you can write to.
///
/// Of all processes that share the file one fetches a token at a time. It says
/// so in a [lease](TokenStore::lease) file beside it, whose name ends in
/// `.lease`. The file of a process that was killed is removed by the next one: a
/// lease has ended when the file is older than its length by the clock of this
/// machine, or when this process has seen it unchanged for that long. So a clock
/// that is wrong, here or on a file server, may cost a token request, and no call
/// waits longer for it.
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
    watched: Arc<Mutex<Watched>>,
}

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct Content {
    key: TokenKey,
    token: Entry,
}

impl FileTokenStore {
    /// Creates a store in this file, which need not exist; its folder must.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            watched: Arc::default(),
        }
    }

    /// Checks whether the file can be trusted; no file is fine. The error
    /// names the file, what is wrong and what is wanted.
    ///
    /// ```no_run
    /// autharmor::FileTokenStore::new("/run/user/1000/door-daemon.token").check()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn check(&self) -> io::Result<()> {
        open(&self.path).map(drop)
    }

    fn lease_file(&self) -> LeaseFile<'_> {
        LeaseFile::beside(&self.path, &self.watched)
    }
}

impl TokenStore for FileTokenStore {
    #[inline]
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        let text = open(&self.path)?.map(read).transpose()?;
        Ok(text.and_then(|text| parse(&text, key)))
    }

    #[inline]
    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()> {
        let content = Content {
            key: key.clone(),
            token: token.entry(),
        };
        let mut text = WipedBuffer::with_capacity(ROOM);
        serde_json::to_writer(&mut text, &content)?;
        let beside = beside(&self.path);
        let written = write_new(&beside, &text).and_then(|()| rename(&beside, &self.path));
        if written.is_err() {
            // It may not even exist.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    #[inline]
    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()> {
        let is_it = |stored: StoredToken| stored.token == *token;
        if self.load(key)?.is_some_and(is_it) {
            remove_if(&self.path, |text| parse(text, key).is_some_and(is_it))?;
        }
        Ok(())
    }

    #[inline]
    fn lease(&self, _: &TokenKey, holder: &str, length: Duration) -> io::Result<Lease> {
        self.lease_file().take(holder, length)
    }

    #[inline]
    fn release(&self, _: &TokenKey, holder: &str) -> io::Result<()> {
        self.lease_file().release(holder)
    }
}

#[inline]
fn parse(text: &[u8], key: &TokenKey) -> Option<StoredToken> {
    let content: Content = serde_json::from_slice(text).ok()?;
    (content.key == *key)
        .then(|| StoredToken::from_entry(content.token))
        .flatten()
}
