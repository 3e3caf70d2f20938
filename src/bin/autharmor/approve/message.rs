//! The texts that the phone shows.

use nix::unistd::gethostname;

use super::origin::Origin;
use super::settings::ApproveFile;
use super::text::{MAX_NAME, fill_in, printable};
use crate::failure::Failure;

/// What the phone shows about a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) action: String,
    pub(crate) text: String,
}

/// Fills in the templates of the configuration.
pub(crate) fn message(origin: &Origin, file: &ApproveFile) -> Result<Message, Failure> {
    let host = gethostname().map(|name| name.to_string_lossy().into_owned());
    message_on(origin, file, &host.unwrap_or_default())
}

fn message_on(origin: &Origin, file: &ApproveFile, host: &str) -> Result<Message, Failure> {
    const UNKNOWN: &str = "unknown";
    let service = match origin.service.as_deref() {
        Some("sshd") => "SSH".to_owned(),
        Some(service) => printable(service, MAX_NAME),
        None => "autharmor".to_owned(),
    };
    let plain = |value: Option<&str>| printable(value.unwrap_or(UNKNOWN), MAX_NAME);
    let (login, host) = (plain(Some(&origin.login)), plain(Some(host)));
    let remote_host = plain(origin.remote_host.as_deref());
    let tty = plain(origin.tty.as_deref());
    let values = [
        ("user", login.as_str()),
        ("service", &service),
        ("host", &host),
        ("remote_host", &remote_host),
        ("tty", &tty),
    ];
    let template = match (&file.message, &origin.remote_host) {
        (Some(template), _) => template,
        (None, Some(_)) => "{service} login to {host} from {remote_host}",
        (None, None) => "{service} login to {host}",
    };
    let action = file.action.as_deref().unwrap_or("{service} login");
    Ok(Message {
        action: fill_in(action, &values)?,
        text: fill_in(template, &values)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_and_from_where() {
        let mut origin = Origin {
            login: "ada".to_owned(),
            service: Some("sshd".to_owned()),
            remote_host: Some("203.0.113.7".to_owned()),
            tty: None,
        };
        let mut file = ApproveFile::default();
        let text = |origin: &Origin, file: &ApproveFile| {
            message_on(origin, file, "web1").map(|message| message.text)
        };
        let found = text(&origin, &file).unwrap();
        assert_eq!(found, "SSH login to web1 from 203.0.113.7");
        file.message = Some("{user} {service} {host} {remote_host} {tty}".to_owned());
        let found = text(&origin, &file).unwrap();
        assert_eq!(found, "ada SSH web1 203.0.113.7 unknown");
        origin.remote_host = Some("evil\n\u{1b}[2J".to_owned());
        let found = text(&origin, &file).unwrap();
        assert_eq!(found, "ada SSH web1 evil\\u{a}\\u{1b}[2J unknown");
        file.message = Some("{rhost}".to_owned());
        assert!(text(&origin, &file).is_err());
    }

    #[test]
    fn without_a_remote_host_none_is_named() {
        let origin = Origin {
            login: "ada".to_owned(),
            service: Some("sudo".to_owned()),
            ..Origin::default()
        };
        let found = message_on(&origin, &ApproveFile::default(), "web1").unwrap();
        assert_eq!(found.text, "sudo login to web1");
        assert_eq!(found.action, "sudo login");
    }
}
