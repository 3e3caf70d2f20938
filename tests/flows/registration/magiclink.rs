//! Registration by mail: a new user, the address of an existing one, and a
//! change of address.

use autharmor::emulator::{EmulatorError, MailKind};
use autharmor::flow::{PendingMagiclinkRegistration, Registration};
use autharmor::registrations::{StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration};
use autharmor::{Error, ErrorKind, Private, UserKey};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{NEWCOMER, add_newcomer, user_called};
use crate::scenario::{
    ADA, AGENT, By, COUNTESS, EVE, GRACE, IP, NAMED, OTHER_IP, REDIRECT, Scenario, Scenarios,
    about, kind, registered, with,
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

    /// The address of the mail.
    fn address(self) -> &'static str {
        match self {
            Self::Change => COUNTESS,
            _ => GRACE,
        }
    }

    /// The username afterwards, which does not change with the address.
    fn name(self) -> &'static str {
        match self {
            Self::NewUser => GRACE,
            Self::ForUser => NEWCOMER,
            Self::Change => ADA,
        }
    }
}

fn run(what: What, test: impl Fn(&Scenario, &PendingMagiclinkRegistration) + Sync) {
    let by = if what == What::NewUser {
        &[By::Name]
    } else {
        NAMED
    };
    Scenarios::of(what.start(), by)
        .names_in_query_of_v4()
        .run(|scenario| {
            let pending = match what {
                What::NewUser => {
                    let request = registration(GRACE);
                    scenario.client.begin_magiclink_registration(&request)
                }
                What::ForUser => {
                    let (_, user) = add_newcomer(scenario);
                    begin_for_user(scenario, user, GRACE)
                }
                What::Change => begin_change(scenario, scenario.ada().unwrap(), COUNTESS),
            };
            test(scenario, &pending.unwrap());
        });
}

fn registration(address: &str) -> StartMagiclinkEmailRegistration {
    StartMagiclinkEmailRegistration::new(address, REDIRECT)
        .context_data("campaign", "spring")
        .ip_address(IP)
        .user_agent(AGENT)
}

fn begin_for_user(
    scenario: &Scenario,
    user: UserKey,
    address: &str,
) -> Result<PendingMagiclinkRegistration, Error> {
    let request = registration(address);
    scenario
        .client
        .begin_magiclink_registration_for_user(user, &request)
}

fn begin_change(
    scenario: &Scenario,
    user: UserKey,
    address: &str,
) -> Result<PendingMagiclinkRegistration, Error> {
    let request =
        StartChangeMagiclinkEmail::new(address, REDIRECT).context_data("campaign", "spring");
    scenario.client.begin_magiclink_change(user, &request)
}

fn click(scenario: &Scenario, address: &str) -> String {
    scenario
        .emulator
        .click(&scenario.mail_to(address).link)
        .unwrap()
}

fn address_of(scenario: &Scenario, user: Uuid) -> Option<String> {
    let client = scenario.emulator.client_builder().build().unwrap();
    let user = client.get_user(user).unwrap();
    user.email_address.map(Private::into_string)
}

#[test]
fn clicked() {
    for what in ALL {
        run(what, |scenario, pending| {
            let mail = scenario.mail_to(what.address());
            let kind = match what {
                What::NewUser => MailKind::NewUser,
                What::ForUser => MailKind::NewEnrollment,
                What::Change => MailKind::ChangeEmail,
            };
            assert_eq!(mail.kind, kind);
            let url = scenario.emulator.click(&mail.link).unwrap();
            assert!(url.starts_with(REDIRECT), "{url}");
            let end = pending.complete(&scenario.client, &url).unwrap();
            let user = end.user().unwrap();
            assert_eq!(Some(user.user_id()), user_called(scenario, what.name()));
            assert_eq!(user.username(), Some(what.name()));
            assert_eq!(user.email_address(), Some(what.address()));
            assert_eq!(user.context_data()["campaign"].as_deref(), Some("spring"));
            assert!(user.is_validated());
            assert_eq!(
                address_of(scenario, user.user_id()).as_deref(),
                Some(what.address())
            );
        });
    }
}

#[test]
fn not_clicked() {
    // A user cannot decline a mail, only ignore it.
    for what in ALL {
        run(what, |scenario, pending| {
            for url in [REDIRECT, ""] {
                let end = pending.complete(&scenario.client, url);
                assert_eq!(kind(end), ErrorKind::InvalidInput, "{url}");
            }
            assert_eq!(scenario.count("validate_magiclink_email_registration"), 0);
            assert_eq!(user_called(scenario, GRACE), None);
        });
    }
}

#[test]
fn not_clicked_in_time() {
    for what in ALL {
        run(what, |scenario, _| {
            scenario.later(301);
            let link = scenario.mail_to(what.address()).link;
            assert_eq!(scenario.emulator.click(&link), Err(EmulatorError::Over));
            assert_eq!(user_called(scenario, GRACE), None);
        });
    }
}

#[test]
fn validated_too_late() {
    for what in ALL {
        run(what, |scenario, pending| {
            let url = click(scenario, what.address());
            scenario.later(61);
            let end = pending.complete(&scenario.client, &url);
            assert_eq!(kind(end), ErrorKind::Forbidden);
            assert_eq!(user_called(scenario, GRACE), None);
            assert_eq!(address_of(scenario, scenario.ada).as_deref(), Some(ADA));
        });
    }
}

#[test]
fn a_link_works_once() {
    for what in ALL {
        run(what, |scenario, pending| {
            let url = click(scenario, what.address());
            let end = pending.complete(&scenario.client, &url).unwrap();
            assert_eq!(Some(registered(end).0), user_called(scenario, what.name()));
            let end = pending.complete(&scenario.client, &url);
            assert_eq!(kind(end), ErrorKind::Forbidden);
            let link = scenario.mail_to(what.address()).link;
            assert_eq!(
                scenario.emulator.click(&link),
                Err(EmulatorError::UnknownLink)
            );
        });
    }
}

#[test]
fn another_browser() {
    // A change of address has no room for an ip address.
    for what in [What::NewUser, What::ForUser] {
        for (name, value) in [("ip_address", json!(OTHER_IP)), ("user_agent", Value::Null)] {
            run(what, |scenario, pending| {
                let url = click(scenario, what.address());
                let other = with(pending, name, value.clone());
                for pending in [&other, pending] {
                    let end = pending.complete(&scenario.client, &url);
                    assert_eq!(kind(end), ErrorKind::Forbidden);
                }
                assert_eq!(user_called(scenario, GRACE), None);
            });
        }
    }
}

#[test]
fn the_link_of_another_user() {
    for what in ALL {
        run(what, |scenario, pending| {
            scenario.begins_another();
            let address = "mallory@example.com";
            let eves: Result<_, Error> = match what {
                What::NewUser => {
                    let request = registration(address);
                    scenario.client.begin_magiclink_registration(&request)
                }
                What::ForUser => begin_for_user(scenario, scenario.eve().unwrap(), address),
                What::Change => begin_change(scenario, scenario.eve().unwrap(), address),
            };
            assert!(eves.is_ok(), "{eves:?}");
            let url = click(scenario, address);
            let end: Result<Registration, Error> = pending.complete(&scenario.client, &url);
            assert_eq!(kind(end), ErrorKind::Mismatch);
        });
    }
}

#[test]
fn somebody_elses_registration_is_a_mismatch() {
    for what in ALL {
        run(what, |scenario, pending| {
            let url = click(scenario, what.address());
            let eves = match what {
                What::NewUser => about(pending, &EVE.into(), scenario.eve),
                _ => about(pending, &scenario.eve().unwrap(), scenario.eve),
            };
            let end = eves.complete(&scenario.client, &url);
            assert_eq!(kind(end), ErrorKind::Mismatch);
        });
    }
}

#[test]
fn a_link_for_another_purpose_is_a_mismatch() {
    for what in ALL {
        run(what, |scenario, pending| {
            let url = click(scenario, what.address());
            let purposes = ["new_user", "new_enrollment", "change_email"];
            let other = with(pending, "purpose", json!(purposes[0]));
            let other = match what {
                What::NewUser => with(&other, "purpose", json!(purposes[2])),
                _ => other,
            };
            let end = other.complete(&scenario.client, &url);
            assert_eq!(kind(end), ErrorKind::Mismatch);
        });
    }
}
