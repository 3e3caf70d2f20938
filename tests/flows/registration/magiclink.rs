//! Registering by mail: a new user, the address of one that exists, and the
//! change of an address.

use autharmor::emulator::{EmulatorError, MailKind};
use autharmor::flow::{PendingMagiclinkRegistration, Registration};
use autharmor::registrations::{StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration};
use autharmor::{Error, ErrorKind, Private, UserKey};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{NEWCOMER, add_newcomer, user_called};
use crate::stage::{
    ADA, AGENT, By, COUNTESS, EVE, GRACE, IP, NAMED, OTHER_IP, REDIRECT, Scenes, Stage, about,
    kind, registered, with,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    NewUser,
    ForUser,
    Change,
}

const ALL: [What; 3] = [What::NewUser, What::ForUser, What::Change];

impl What {
    fn start(self) -> &'static str {
        match self {
            Self::NewUser => "start_magiclink_email_registration",
            Self::ForUser => "start_magiclink_email_registration_for_user",
            Self::Change => "start_change_magiclink_email",
        }
    }

    /// Where the mail goes.
    fn address(self) -> &'static str {
        match self {
            Self::Change => COUNTESS,
            _ => GRACE,
        }
    }

    /// What the user is called afterwards: the name does not follow the
    /// address.
    fn name(self) -> &'static str {
        match self {
            Self::NewUser => GRACE,
            Self::ForUser => NEWCOMER,
            Self::Change => ADA,
        }
    }
}

fn play(what: What, scene: impl Fn(&Stage, &PendingMagiclinkRegistration) + Sync) {
    let by = if what == What::NewUser {
        &[By::Name]
    } else {
        NAMED
    };
    Scenes::of(what.start(), by)
        .names_in_query_of_v4()
        .play(|stage| {
            let pending = match what {
                What::NewUser => {
                    let request = registration(GRACE);
                    stage.client.begin_magiclink_registration(&request)
                }
                What::ForUser => {
                    let (_, user) = add_newcomer(stage);
                    begin_for_user(stage, user, GRACE)
                }
                What::Change => begin_change(stage, stage.ada().unwrap(), COUNTESS),
            };
            scene(stage, &pending.unwrap());
        });
}

fn registration(address: &str) -> StartMagiclinkEmailRegistration {
    StartMagiclinkEmailRegistration::new(address, REDIRECT)
        .context_data("campaign", "spring")
        .ip_address(IP)
        .user_agent(AGENT)
}

fn begin_for_user(
    stage: &Stage,
    user: UserKey,
    address: &str,
) -> Result<PendingMagiclinkRegistration, Error> {
    let request = registration(address);
    stage
        .client
        .begin_magiclink_registration_for_user(user, &request)
}

fn begin_change(
    stage: &Stage,
    user: UserKey,
    address: &str,
) -> Result<PendingMagiclinkRegistration, Error> {
    let request =
        StartChangeMagiclinkEmail::new(address, REDIRECT).context_data("campaign", "spring");
    stage.client.begin_magiclink_change(user, &request)
}

fn click(stage: &Stage, address: &str) -> String {
    stage.emulator.click(&stage.mail_to(address).link).unwrap()
}

fn address_of(stage: &Stage, user: Uuid) -> Option<String> {
    let client = stage.emulator.client_builder().build().unwrap();
    let user = client.get_user(user).unwrap();
    user.email_address.map(Private::into_string)
}

#[test]
fn clicked() {
    for what in ALL {
        play(what, |stage, pending| {
            let mail = stage.mail_to(what.address());
            let kind = match what {
                What::NewUser => MailKind::NewUser,
                What::ForUser => MailKind::NewEnrollment,
                What::Change => MailKind::ChangeEmail,
            };
            assert_eq!(mail.kind, kind);
            let url = stage.emulator.click(&mail.link).unwrap();
            assert!(url.starts_with(REDIRECT), "{url}");
            let end = pending.complete(&stage.client, &url).unwrap();
            let user = end.user().unwrap();
            assert_eq!(Some(user.user_id()), user_called(stage, what.name()));
            assert_eq!(user.username(), Some(what.name()));
            assert_eq!(user.email_address(), Some(what.address()));
            assert_eq!(user.context_data()["campaign"].as_deref(), Some("spring"));
            assert!(user.is_validated());
            assert_eq!(
                address_of(stage, user.user_id()).as_deref(),
                Some(what.address())
            );
        });
    }
}

#[test]
fn not_clicked() {
    // A mail cannot be declined, only left alone.
    for what in ALL {
        play(what, |stage, pending| {
            for url in [REDIRECT, ""] {
                let end = pending.complete(&stage.client, url);
                assert_eq!(kind(end), ErrorKind::InvalidInput, "{url}");
            }
            assert_eq!(stage.count("validate_magiclink_email_registration"), 0);
            assert_eq!(user_called(stage, GRACE), None);
        });
    }
}

#[test]
fn not_clicked_in_time() {
    for what in ALL {
        play(what, |stage, _| {
            stage.later(301);
            let link = stage.mail_to(what.address()).link;
            assert_eq!(stage.emulator.click(&link), Err(EmulatorError::Over));
            assert_eq!(user_called(stage, GRACE), None);
        });
    }
}

#[test]
fn validated_too_late() {
    for what in ALL {
        play(what, |stage, pending| {
            let url = click(stage, what.address());
            stage.later(61);
            let end = pending.complete(&stage.client, &url);
            assert_eq!(kind(end), ErrorKind::Forbidden);
            assert_eq!(user_called(stage, GRACE), None);
            assert_eq!(address_of(stage, stage.ada).as_deref(), Some(ADA));
        });
    }
}

#[test]
fn a_link_works_once() {
    for what in ALL {
        play(what, |stage, pending| {
            let url = click(stage, what.address());
            let end = pending.complete(&stage.client, &url).unwrap();
            assert_eq!(Some(registered(end).0), user_called(stage, what.name()));
            let end = pending.complete(&stage.client, &url);
            assert_eq!(kind(end), ErrorKind::Forbidden);
            let link = stage.mail_to(what.address()).link;
            assert_eq!(stage.emulator.click(&link), Err(EmulatorError::UnknownLink));
        });
    }
}

#[test]
fn another_browser() {
    // A change of address has no room for an ip address.
    for what in [What::NewUser, What::ForUser] {
        for (name, value) in [("ip_address", json!(OTHER_IP)), ("user_agent", Value::Null)] {
            play(what, |stage, pending| {
                let url = click(stage, what.address());
                let other = with(pending, name, value.clone());
                for pending in [&other, pending] {
                    let end = pending.complete(&stage.client, &url);
                    assert_eq!(kind(end), ErrorKind::Forbidden);
                }
                assert_eq!(user_called(stage, GRACE), None);
            });
        }
    }
}

#[test]
fn the_link_of_another_user() {
    for what in ALL {
        play(what, |stage, pending| {
            stage.begins_another();
            let address = "mallory@example.com";
            let eves: Result<_, Error> = match what {
                What::NewUser => {
                    let request = registration(address);
                    stage.client.begin_magiclink_registration(&request)
                }
                What::ForUser => begin_for_user(stage, stage.eve().unwrap(), address),
                What::Change => begin_change(stage, stage.eve().unwrap(), address),
            };
            assert!(eves.is_ok(), "{eves:?}");
            let url = click(stage, address);
            let end: Result<Registration, Error> = pending.complete(&stage.client, &url);
            assert_eq!(kind(end), ErrorKind::Mismatch);
        });
    }
}

#[test]
fn somebody_elses_registration_is_a_mismatch() {
    for what in ALL {
        play(what, |stage, pending| {
            let url = click(stage, what.address());
            let eves = match what {
                What::NewUser => about(pending, &EVE.into(), stage.eve),
                _ => about(pending, &stage.eve().unwrap(), stage.eve),
            };
            let end = eves.complete(&stage.client, &url);
            assert_eq!(kind(end), ErrorKind::Mismatch);
        });
    }
}

#[test]
fn a_link_for_another_purpose_is_a_mismatch() {
    for what in ALL {
        play(what, |stage, pending| {
            let url = click(stage, what.address());
            let purposes = ["new_user", "new_enrollment", "change_email"];
            let other = with(pending, "purpose", json!(purposes[0]));
            let other = match what {
                What::NewUser => with(&other, "purpose", json!(purposes[2])),
                _ => other,
            };
            let end = other.complete(&stage.client, &url);
            assert_eq!(kind(end), ErrorKind::Mismatch);
        });
    }
}
