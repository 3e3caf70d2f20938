//! Reads files that the program has to trust.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::Path;

use crate::failure::Failure;

/// The size limit of a file, in bytes.
const MAX_LEN: u64 = 1 << 20;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// The file holds a secret.
    Owner,
    Everyone,
}

/// Reads a text file. Fails with [`Failure::Config`] if others can write to it,
/// or, where it holds a secret, read it. Only root and the user of this process
/// may own it.
pub(crate) fn read_trusted(path: &Path, readers: Readers) -> Result<String, Failure> {
    let refuse = |why: String| Failure::Config(format!("{}: {why}", path.display()));
    let file = open(path).map_err(|error| refuse(error.to_string()))?;
    if let Some(why) = distrust(&file, readers).map_err(|error| refuse(error.to_string()))? {
        return Err(refuse(why));
    }
    let mut text = String::with_capacity(4096);
    file.take(MAX_LEN)
        .read_to_string(&mut text)
        .map_err(|error| refuse(error.to_string()))?;
    Ok(text)
}

/// Opens a file. Does not block on a FIFO.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits(),
    );
    options.open(path)
}

/// Returns why the file cannot be trusted.
fn distrust(file: &File, readers: Readers) -> std::io::Result<Option<String>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Some("not a regular file".to_owned()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let owner = metadata.uid();
        if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
            return Ok(Some("belongs to another user".to_owned()));
        }
        let (forbidden, what) = match readers {
            Readers::Owner => (0o077, "read or write"),
            Readers::Everyone => (0o022, "write"),
        };
        if metadata.mode() & forbidden != 0 {
            let mode = metadata.mode() & 0o7777;
            return Ok(Some(format!("others can {what} it (mode {mode:04o})")));
        }
    }
    #[cfg(not(unix))]
    let _ = readers;
    Ok(None)
}
