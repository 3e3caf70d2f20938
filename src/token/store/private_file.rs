//! Files that only this user can use: opened, read, created and removed with
//! care.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ROOM;
use crate::http::buffer::WipedBuffer;

/// A longer file is not one of ours.
const MAX_FILE_LEN: usize = 64 * 1024;
/// Time in which others close a file that they read.
pub(super) const SHORT: Duration = Duration::from_millis(200);

/// Opens a file, if there is one, and checks what was opened.
#[inline]
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
    let file = match while_shared(SHORT, || options.open(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error.kind(), &format!("cannot be opened ({error})"))),
    };
    match distrust(&file)? {
        Some(why) => Err(refuse(io::ErrorKind::PermissionDenied, &why)),
        None => Ok(Some(file)),
    }
}

#[inline]
pub(super) fn read(mut file: File) -> io::Result<WipedBuffer> {
    let mut text = WipedBuffer::with_capacity(ROOM);
    text.read_from(&mut file, MAX_FILE_LEN)?;
    Ok(text)
}

/// Removes the file if this is its content, and says whether it did. The file is
/// renamed before it is read, so that none that has just taken its place is
/// removed: that one is put back.
pub(super) fn remove_if(path: &Path, is_it: impl Fn(&[u8]) -> bool) -> io::Result<bool> {
    let aside = beside(path);
    let mut left = 10;
    while let Err(error) = rename(path, &aside) {
        match error.kind() {
            // Another process was faster.
            io::ErrorKind::NotFound if !path.exists() => return Ok(false),
            // There is a new one by now, or none can be created beside it.
            io::ErrorKind::NotFound if left > 0 => left -= 1,
            _ => return Err(error),
        }
    }
    let content = open(&aside).and_then(|file| file.map(read).transpose());
    if content.is_ok_and(|text| text.is_some_and(|text| is_it(&text))) {
        return remove(&aside).map(|()| true);
    }
    match while_shared(SHORT, || fs::hard_link(&aside, path)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            // The file system has no links.
            rename(&aside, path)?;
        }
        // Back, or there is a newer one by now.
        _ => remove(&aside)?,
    }
    Ok(false)
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    while_shared(SHORT, || fs::remove_file(path))
}

/// Renames a file, and replaces another.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    // Where many read it, moments in which nobody has it open are rare.
    while_shared(Duration::from_secs(1), || fs::rename(from, to))
}

/// Repeats an operation that Windows refuses while somebody has the file open:
/// there an open file often cannot be replaced, and a removed one keeps its name
/// until all have closed it. A refusal for good looks the same, and costs pauses of
/// `limit` in sum each time.
pub(super) fn while_shared<T>(
    limit: Duration,
    mut operation: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    // Access denied, or a sharing violation.
    let is_refused = |error: &io::Error| matches!(error.raw_os_error(), Some(5 | 32));
    // Counts the pauses alone: on a busy machine few attempts fit into a second.
    let mut left = limit;
    loop {
        let result = operation();
        if !cfg!(windows) || !result.as_ref().is_err_and(is_refused) || left.is_zero() {
            return result;
        }
        // With equal pauses processes would retry at the same moments.
        let pause = Duration::from_micros(random() % 10_000);
        std::thread::sleep(pause);
        left = left.saturating_sub(pause);
    }
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Returns an unused name in the same folder.
pub(super) fn beside(path: &Path) -> PathBuf {
    with_suffix(
        path,
        &format!(".{:x}.{:016x}", std::process::id(), random()),
    )
}

/// Returns the path with a longer name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Creates a file that only this user can use. Fails if it exists. One that
/// cannot be written is removed.
#[inline]
pub(super) fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text).inspect_err(|_| {
        let _ = remove(path);
    })
}

/// Says why an open file cannot be trusted, if so.
#[inline]
fn distrust(file: &File) -> io::Result<Option<String>> {
    let file = file.metadata()?;
    if !file.is_file() {
        return Ok(Some("is not a regular file".to_owned()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        if file.uid() != own_uid()? {
            // Its token may be one of another project.
            return Ok(Some("belongs to another user".to_owned()));
        }
        let mode = file.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Ok(Some(format!("can be used by others (mode {mode:04o})")));
        }
    }
    Ok(None)
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
