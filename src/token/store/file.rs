//! [`FileTokenStore`]: keeps the access token in a file.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Entry, ROOM, StoredToken, TokenKey, TokenStore};
use crate::http::buffer::WipedBuffer;
use crate::secret::Secret;

/// A longer file is not one of ours.
const MAX_FILE_LEN: usize = 64 * 1024;

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
        Self { path: path.into() }
    }

    /// Checks whether the file can be trusted; no file is fine. The error
    /// names the file, what is wrong and what is wanted.
    ///
    /// ```no_run
    /// autharmor::FileTokenStore::new("/run/user/1000/door-daemon.token").check()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn check(&self) -> io::Result<()> {
        self.open().map(drop)
    }

    /// Opens the file, if there is one, and checks what was opened.
    fn open(&self) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        // A FIFO would block until somebody writes to it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(
            &mut options,
            libc::O_NONBLOCK | libc::O_NOCTTY,
        );
        let refuse = |kind, why: &str| {
            let path = self.path.display();
            let wanted = "it must be a regular file of this user with mode 0600";
            io::Error::new(kind, format!("the token file {path} {why}: {wanted}"))
        };
        let file = match while_shared(|| options.open(&self.path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(error.kind(), &format!("cannot be opened ({error})"))),
        };
        match distrust(&file)? {
            Some(why) => Err(refuse(io::ErrorKind::PermissionDenied, &why)),
            None => Ok(Some(file)),
        }
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
        let Some(file) = self.open()? else {
            return Ok(None);
        };
        let mut text = WipedBuffer::with_capacity(ROOM);
        text.read_from(file, MAX_FILE_LEN)?;
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
        let mut text = WipedBuffer::with_capacity(ROOM);
        serde_json::to_writer(&mut text, &content)?;
        let beside = self.beside();
        let written = write_new(&beside, &text)
            .and_then(|()| while_shared(|| fs::rename(&beside, &self.path)));
        if written.is_err() {
            // It may not even exist.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()> {
        match self.load(key)? {
            Some(stored) if stored.token == *token => {
                match while_shared(|| fs::remove_file(&self.path)) {
                    // Another process was faster.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    removed => removed,
                }
            }
            _ => Ok(()),
        }
    }
}

/// Repeats an operation that Windows refuses while another process opens or
/// replaces the same file.
fn while_shared<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut left = if cfg!(windows) { 50 } else { 0 };
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && left > 0 => {
                left -= 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            result => return result,
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
