//! [`FileTokenStore`]: keeps the access token in a file.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::lease_file::{LeaseFile, Watched};
use super::{Entry, Lease, StoredToken, TokenKey, TokenStore};
use crate::secret::Secret;

/// A longer file is not one of ours.
const MAX_FILE_LEN: u64 = 64 * 1024;
/// Room for what is read and written, so that growing leaves no copies behind.
const ROOM: usize = 64 * 1024;

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
    /// A store in this file, which need not exist; its folder must.
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
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        let text = open(&self.path)?.map(read).transpose()?;
        Ok(text.and_then(|text| parse(&text, key)))
    }

    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()> {
        let content = Content {
            key: key.clone(),
            token: token.entry(),
        };
        let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer(&mut *text, &content)?;
        let beside = beside(&self.path);
        let written = write_new(&beside, &text).and_then(|()| fs::rename(&beside, &self.path));
        if written.is_err() {
            // It may not even exist.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()> {
        let is_it = |stored: StoredToken| stored.token == *token;
        if self.load(key)?.is_some_and(is_it) {
            remove_if(&self.path, |text| parse(text, key).is_some_and(is_it))?;
        }
        Ok(())
    }

    fn lease(&self, _: &TokenKey, holder: &str, length: Duration) -> io::Result<Lease> {
        self.lease_file().take(holder, length)
    }

    fn release(&self, _: &TokenKey, holder: &str) -> io::Result<()> {
        self.lease_file().release(holder)
    }
}

fn parse(text: &[u8], key: &TokenKey) -> Option<StoredToken> {
    let content: Content = serde_json::from_slice(text).ok()?;
    (content.key == *key)
        .then(|| StoredToken::from_entry(content.token))
        .flatten()
}

/// Opens a file, if there is one, and checks what was opened.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true);
    // A FIFO would block until somebody writes to it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NONBLOCK | libc::O_NOCTTY,
    );
    let refuse = |kind, why: &str| {
        let path = path.display();
        let wanted = "it must be a regular file of this user with mode 0600";
        io::Error::new(kind, format!("the token file {path} {why}: {wanted}"))
    };
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error.kind(), &format!("cannot be opened ({error})"))),
    };
    match distrust(&file)? {
        Some(why) => Err(refuse(io::ErrorKind::PermissionDenied, &why)),
        None => Ok(Some(file)),
    }
}

pub(super) fn read(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
    file.take(MAX_FILE_LEN).read_to_end(&mut text)?;
    Ok(text)
}

/// Removes the file if this is its content, and says whether it did. The file is
/// renamed before it is read, so that none that has just taken its place is
/// removed: that one is put back.
pub(super) fn remove_if(path: &Path, is_it: impl Fn(&[u8]) -> bool) -> io::Result<bool> {
    let aside = beside(path);
    match fs::rename(path, &aside) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        renamed => renamed?,
    }
    let content = open(&aside).and_then(|file| file.map(read).transpose());
    if content.is_ok_and(|text| text.is_some_and(|text| is_it(&text))) {
        return fs::remove_file(&aside).map(|()| true);
    }
    match fs::hard_link(&aside, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // The file system has no links.
            fs::rename(&aside, path)?;
        }
        // Back, or there is a newer one by now.
        _ => fs::remove_file(&aside)?,
    }
    Ok(false)
}

/// Returns an unused name in the same folder.
fn beside(path: &Path) -> PathBuf {
    let random = RandomState::new().build_hasher().finish();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:x}.{random:016x}", std::process::id()));
    path.with_file_name(name)
}

/// Creates a file that only this user can use. Fails if it exists.
pub(super) fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text)
}

/// Says why an open file cannot be trusted, if so.
#[cfg(unix)]
fn distrust(file: &File) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;

    let file = file.metadata()?;
    let mode = file.mode() & 0o777;
    Ok(if !file.is_file() {
        Some("is not a regular file".to_owned())
    } else if file.uid() != own_uid()? {
        // Its token may be one of another project.
        Some("belongs to another user".to_owned())
    } else if mode & 0o077 != 0 {
        Some(format!("can be used by others (mode {mode:04o})"))
    } else {
        None
    })
}

/// The effective user, as the owner of a new socket. `/proc/self` would belong
/// to root in a process that must not be dumped, and asking the system takes
/// `unsafe`.
#[cfg(unix)]
fn own_uid() -> io::Result<u32> {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixDatagram;

    let mine = match UnixDatagram::unbound() {
        Ok(socket) => File::from(OwnedFd::from(socket)).metadata(),
        // Some sandboxes permit no such socket.
        Err(error) => fs::metadata("/proc/self").map_err(|_| error),
    };
    Ok(mine?.uid())
}

#[cfg(not(unix))]
fn distrust(file: &File) -> io::Result<Option<String>> {
    let is_file = file.metadata()?.is_file();
    Ok((!is_file).then(|| "is not a regular file".to_owned()))
}
