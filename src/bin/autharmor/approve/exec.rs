//! Runs what the ssh client asked for, as sshd would have run it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::origin::ssh_command;
use super::rights;
use crate::failure::Failure;

/// The name that sshd has for its built-in file server. No program has it.
const INTERNAL_SFTP: &[u8] = b"internal-sftp";

/// The places of the file server.
const SFTP_SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
];

/// Becomes the login shell of the caller, or the command of the ssh client.
/// Returns only if that fails.
pub(crate) fn run(sftp_server: Option<&Path>) -> Failure {
    match command(sftp_server) {
        Ok(mut command) => {
            let error = command.exec();
            let program = Path::new(command.get_program());
            Failure::Failed(format!("cannot run {}: {error}", program.display()))
        }
        Err(failure) => failure,
    }
}

fn command(sftp_server: Option<&Path>) -> Result<Command, Failure> {
    let ssh_command = ssh_command()?;
    let mut shell = rights::caller()?.shell;
    rights::drop_to_caller()?;
    if shell.as_os_str().is_empty() {
        shell = PathBuf::from("/bin/sh");
    }
    let server = || {
        let known = SFTP_SERVERS.iter().map(Path::new);
        sftp_server.or_else(|| known.into_iter().find(|path| path.exists()))
    };
    Ok(shell_command(
        &shell,
        ssh_command.map(|command| with_file_server(command, server)),
    ))
}

/// Returns the shell with `-c`, or as a login shell, which is told by the dash
/// before its name.
fn shell_command(shell: &Path, ssh_command: Option<OsString>) -> Command {
    let name = shell.file_name().unwrap_or(shell.as_os_str());
    let mut command = Command::new(shell);
    if let Some(ssh_command) = ssh_command {
        command.arg0(name).arg("-c").arg(ssh_command);
    } else {
        let mut login_name = OsString::from("-");
        login_name.push(name);
        command.arg0(login_name);
    }
    command
}

/// Replaces `internal-sftp` by a program that exists.
fn with_file_server<'a>(command: OsString, server: impl FnOnce() -> Option<&'a Path>) -> OsString {
    let arguments = command.as_bytes().strip_prefix(INTERNAL_SFTP);
    match arguments {
        Some(arguments @ ([] | [b' ', ..])) => {
            let Some(server) = server() else {
                return command;
            };
            let mut replaced = OsString::from("exec ");
            replaced.push(server);
            replaced.push(OsStr::from_bytes(arguments));
            replaced
        }
        _ => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(command: &str) -> String {
        let server = || Some(Path::new("/usr/lib/sftp-server"));
        let replaced = with_file_server(command.into(), server);
        replaced.into_string().unwrap()
    }

    #[test]
    fn the_built_in_file_server_is_replaced() {
        assert_eq!(replaced("internal-sftp"), "exec /usr/lib/sftp-server");
        assert_eq!(
            replaced("internal-sftp -l INFO"),
            "exec /usr/lib/sftp-server -l INFO"
        );
        for other in ["internal-sftpd", "ls internal-sftp", "scp -t /tmp", ""] {
            assert_eq!(replaced(other), other);
        }
    }

    #[test]
    fn a_command_is_passed_as_it_is() {
        let odd = OsString::from(OsStr::from_bytes(b"printf '\xff;\n'"));
        let command = shell_command(Path::new("/bin/dash"), Some(odd.clone()));
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, [OsStr::new("-c"), &odd]);
    }
}
