//! The rights of the process, compared with those of its caller.

use std::env;
use std::ffi::OsStr;

use nix::unistd::{User, getegid, geteuid, getgid, getuid, setgid, setuid};

use crate::failure::Failure;

/// Returns whether the program is setuid or setgid, so that it has rights that
/// its caller does not have.
pub(crate) fn has_more_than_caller() -> bool {
    geteuid() != getuid() || getegid() != getgid()
}

/// Fails if the caller gave arguments with which it could use rights that it
/// does not have: to read a file, or to send the secret to another host.
pub(super) fn check_arguments() -> Result<(), Failure> {
    let is_allowed = |argument: &OsStr| argument == "--exec" || argument == "--check";
    if !has_more_than_caller() || env::args_os().skip(2).all(|it| is_allowed(&it)) {
        return Ok(());
    }
    let why = "with more rights than its caller it takes --exec and --check only \
               (pam_exec: add seteuid)";
    Err(Failure::Usage(why.to_owned()))
}

/// Gives up the rights that the caller does not have. They cannot be regained
/// after the next `exec`, which sets the saved ids.
pub(super) fn drop_to_caller() -> Result<(), Failure> {
    let fail = |error| Failure::Failed(format!("cannot give up its rights: {error}"));
    setgid(getgid()).map_err(fail)?;
    setuid(getuid()).map_err(fail)?;
    if has_more_than_caller() {
        return Err(Failure::Failed("cannot give up its rights".to_owned()));
    }
    Ok(())
}

/// Returns the account of the caller.
pub(super) fn caller() -> Result<User, Failure> {
    let fail = || Failure::Failed(format!("uid {} has no account", getuid()));
    User::from_uid(getuid()).ok().flatten().ok_or_else(fail)
}
