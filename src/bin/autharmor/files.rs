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
    /// The file holds a secret: only its owner. If that is root, its group as
    /// well, which root has chosen.
    Owner,
    Everyone,
}

/// Reads a text file. Fails with [`Failure::Config`] if others can write to it
/// or, where it holds a secret, read it. Only root and the user of this process
/// may own it. It may have 1 MiB.
pub(crate) fn read_trusted(path: &Path, readers: Readers) -> Result<String, Failure> {
    let refuse = |why: &str| Failure::Config(format!("{}: {why}", path.display()));
    let file = open(path).map_err(|error| refuse(&error.to_string()))?;
    if let Some(why) = distrust(&file, readers).map_err(|error| refuse(&error.to_string()))? {
        return Err(refuse(&why));
    }
    let mut text = String::with_capacity(4096);
    file.take(MAX_LEN + 1)
        .read_to_string(&mut text)
        .map_err(|error| refuse(&error.to_string()))?;
    if text.len() as u64 > MAX_LEN {
        return Err(refuse("larger than 1 MiB"));
    }
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
        let own = nix::unistd::geteuid().as_raw();
        Ok(distrust_mode(metadata.uid(), own, metadata.mode(), readers))
    }
    #[cfg(not(unix))]
    {
        let _ = readers;
        Ok(None)
    }
}

/// Returns why a file with this owner and this mode cannot be trusted by the
/// user `own`.
#[cfg(unix)]
fn distrust_mode(owner: u32, own: u32, mode: u32, readers: Readers) -> Option<String> {
    if owner != 0 && owner != own {
        return Some("belongs to another user".to_owned());
    }
    let (forbidden, what) = match readers {
        // A credential of systemd belongs to root, and an entry of its access
        // control list, which looks like a group, is for the service's user.
        Readers::Owner if owner == 0 => (0o037, "read or write"),
        Readers::Owner => (0o077, "read or write"),
        Readers::Everyone => (0o022, "write"),
    };
    let mode = mode & 0o7777;
    (mode & forbidden != 0).then(|| format!("others can {what} it (mode {mode:04o})"))
}

#[cfg(all(test, not(unix)))]
mod tests {
    autharmor_test_support::ignored_tests! {
        "this platform has neither modes and owners of files nor FIFOs":
        modes_and_owners_decide
        files_that_cannot_be_trusted_are_refused_by_name
        a_fifo_does_not_block
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use autharmor_test_support::Folder;

    use super::*;

    #[test]
    fn modes_and_owners_decide() {
        use Readers::{Everyone, Owner};
        let (root, own, other) = (0, 1000, 1001);
        for (owner, mode, readers, is_trusted) in [
            (own, 0o600, Owner, true),
            (own, 0o400, Owner, true),
            (own, 0o640, Owner, false),
            (own, 0o604, Owner, false),
            (own, 0o620, Owner, false),
            (root, 0o600, Owner, true),
            (root, 0o440, Owner, true),
            (root, 0o444, Owner, false),
            (root, 0o460, Owner, false),
            (other, 0o600, Owner, false),
            (own, 0o644, Everyone, true),
            (root, 0o644, Everyone, true),
            (own, 0o664, Everyone, false),
            (own, 0o646, Everyone, false),
            (root, 0o664, Everyone, false),
            (other, 0o644, Everyone, false),
        ] {
            let why = distrust_mode(owner, own, mode, readers);
            assert_eq!(why.is_none(), is_trusted, "{owner} {mode:o} {readers:?}");
        }
    }

    #[test]
    fn files_that_cannot_be_trusted_are_refused_by_name() {
        let folder = Folder::new();
        let path = folder.path().join("secret");
        let refusal = |readers| match read_trusted(&path, readers) {
            Err(Failure::Config(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(refusal(Readers::Owner).contains("secret: No such file"));
        fs::write(&path, "s3cr3t\n").unwrap();
        let chmod = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chmod(0o600);
        assert_eq!(read_trusted(&path, Readers::Owner).unwrap(), "s3cr3t\n");
        chmod(0o604);
        let text = refusal(Readers::Owner);
        assert!(text.ends_with("others can read or write it (mode 0604)"));
        assert!(!text.contains("s3cr3t"));
        chmod(0o646);
        assert!(refusal(Readers::Everyone).ends_with("others can write it (mode 0646)"));
        chmod(0o600);
        fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
        assert!(refusal(Readers::Owner).ends_with("larger than 1 MiB"));
        fs::write(&path, b"\xff").unwrap();
        assert!(refusal(Readers::Owner).contains("UTF-8"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(refusal(Readers::Everyone).ends_with("not a regular file"));
    }

    #[test]
    fn a_fifo_does_not_block() {
        let folder = Folder::new();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let refused = read_trusted(&path, Readers::Owner).unwrap_err();
        assert!(refused.to_string().ends_with("not a regular file"));
    }
}
