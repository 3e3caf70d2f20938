//! [`Origin`]: what PAM or sshd says about a login.

use std::env;
use std::ffi::{OsStr, OsString};

use crate::failure::Failure;

/// A login that waits for an approval.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The login name of the person who is asked.
    pub(crate) login: String,
    /// The PAM service, such as `sshd` or `sudo`.
    pub(crate) service: Option<String>,
    /// The address or the name of the machine that the person sits at.
    pub(crate) remote_host: Option<String>,
    pub(crate) tty: Option<String>,
}

/// The length limit of a login name, in bytes.
const MAX_LOGIN: usize = 256;

impl Origin {
    /// Reads what `pam_exec` sets. `given` is the login name if PAM says none.
    pub(crate) fn of_pam(given: Option<&str>) -> Result<Self, Failure> {
        let variables = Variables::of_process();
        let service = variables.text("PAM_SERVICE")?;
        let kind = variables.text("PAM_TYPE")?;
        if !matches!(kind.as_deref(), None | Some("auth" | "account")) {
            let why = "as a PAM module this is for auth or account only";
            return Err(Failure::Config(why.to_owned()));
        }
        // The target of `su` is another user than the person who types.
        let is_su = matches!(service.as_deref(), Some("su" | "su-l"));
        let login = match variables.text("PAM_RUSER")? {
            Some(caller) if is_su => Some(caller),
            _ => variables.text("PAM_USER")?,
        };
        let login = login.or_else(|| given.map(str::to_owned)).ok_or_else(|| {
            Failure::Config("PAM_USER is not set: --pam is for pam_exec".to_owned())
        })?;
        Ok(Self {
            login: checked(login)?,
            remote_host: variables.text("PAM_RHOST")?,
            tty: variables.text("PAM_TTY")?,
            service,
        })
    }

    /// Reads what sshd sets for a session.
    pub(crate) fn of_ssh(login: String) -> Result<Self, Failure> {
        let variables = Variables::of_process();
        let connection = variables.text("SSH_CONNECTION")?;
        let client = connection.as_deref().and_then(|it| it.split(' ').next());
        Ok(Self {
            login: checked(login)?,
            service: Some("sshd".to_owned()),
            remote_host: client.filter(|it| !it.is_empty()).map(str::to_owned),
            tty: variables.text("SSH_TTY")?,
        })
    }

    /// A login without PAM and sshd.
    pub(crate) fn by_hand(login: String) -> Result<Self, Failure> {
        Ok(Self {
            login: checked(login)?,
            ..Self::default()
        })
    }
}

/// Returns what the ssh client asked for; `None` means a shell.
pub(crate) fn ssh_command() -> Result<Option<OsString>, Failure> {
    Variables::of_process().bytes("SSH_ORIGINAL_COMMAND")
}

fn checked(login: String) -> Result<String, Failure> {
    if login.is_empty() || login.len() > MAX_LOGIN || login.chars().any(char::is_control) {
        return Err(Failure::Failed("this cannot be a login name".to_owned()));
    }
    Ok(login)
}

/// The environment.
struct Variables(Vec<(OsString, OsString)>);

impl Variables {
    fn of_process() -> Self {
        Self(env::vars_os().collect())
    }

    /// Returns the value of a variable. An empty one counts as unset.
    ///
    /// Fails if there are two: `pam_exec` appends its own variables to those of
    /// modules such as `pam_env`, and somebody else may have set the first.
    fn bytes(&self, name: &str) -> Result<Option<OsString>, Failure> {
        let is_named = |(found, _): &&(OsString, OsString)| found == OsStr::new(name);
        let mut found = self.0.iter().filter(is_named).map(|(_, value)| value);
        let value = found.next();
        if found.next().is_some() {
            return Err(Failure::Failed(format!("{name} is set twice")));
        }
        Ok(value.filter(|value| !value.is_empty()).cloned())
    }

    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let text = self.bytes(name)?.map(OsString::into_string).transpose();
        text.map_err(|_| Failure::Failed(format!("{name} is not UTF-8")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&str, &str)]) -> Variables {
        let pairs = all.iter().map(|(name, value)| (name.into(), value.into()));
        Variables(pairs.collect())
    }

    #[test]
    fn a_variable_that_is_set_twice_is_refused() {
        let twice = variables(&[("PAM_USER", "mallory"), ("TZ", ""), ("PAM_USER", "ada")]);
        assert!(twice.text("PAM_USER").is_err());
        let once = variables(&[("PAM_USER", "ada"), ("PAM_USERS", "x"), ("PAM_TTY", "")]);
        assert_eq!(once.text("PAM_USER").unwrap().as_deref(), Some("ada"));
        assert_eq!(once.text("PAM_TTY").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_a_login_name_is_refused() {
        for name in ["", "a\nb", "a\0", "\u{1b}[2J", &"x".repeat(257)] {
            assert!(checked(name.to_owned()).is_err(), "{name:?}");
        }
        for name in ["ada", "EXAMPLE\\ada", "ada@example.com", &"x".repeat(256)] {
            assert!(checked(name.to_owned()).is_ok(), "{name:?}");
        }
    }
}
