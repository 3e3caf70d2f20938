//! Sign-in with a magic link.

use autharmor::auth::{AuthMethod, AuthMethodUseType, ResultCode, StartMagiclinkEmailAuth};
use autharmor::emulator::{EmulatorError, MailKind};
use autharmor::flow::{AuthWait, PendingMagiclink, SignIn, WaitPolicy};
use autharmor::{ErrorKind, UserKey};
use serde_json::{Value, json};

use crate::scenario::{
    ADA, AGENT, EVE, IP, NAMED, OTHER_IP, REDIRECT, Scenario, Scenarios, about, kind, with,
};

const START: &str = "start_magiclink_email_auth";

fn run(test: impl Fn(&Scenario) + Sync) {
    Scenarios::of(START, NAMED).run(test);
}

fn begin_for(scenario: &Scenario, user: UserKey) -> PendingMagiclink {
    let request = StartMagiclinkEmailAuth::new(user, REDIRECT)
        .action_name("Sign in")
        .context_data("back_to", "/cart")
        .ip_address(IP)
        .user_agent(AGENT);
    scenario.client.begin_magiclink_sign_in(&request).unwrap()
}

fn begin(scenario: &Scenario) -> PendingMagiclink {
    begin_for(scenario, scenario.ada().unwrap())
}

/// Returns the URL with which this user's browser arrives.
fn click(scenario: &Scenario, person: &str) -> String {
    let mail = scenario.mail_to(person);
    assert_eq!(mail.kind, MailKind::SignIn);
    scenario.emulator.click(&mail.link).unwrap()
}

#[test]
fn clicked() {
    run(|scenario| {
        let pending = begin(scenario);
        let url = click(scenario, ADA);
        assert!(url.starts_with(REDIRECT), "{url}");
        // A server may see the whole URL or what comes after the host.
        let (_, query) = url.split_once('?').unwrap();
        let end = pending.complete(&scenario.client, query);
        scenario.assert_ada(&end, pending.auth_request_id());
        let end = end.unwrap();
        let user = end.user().unwrap();
        assert_eq!(user.method(), Some(&AuthMethod::MagiclinkEmail));
        assert_eq!(user.use_type(), Some(&AuthMethodUseType::MagiclinkEmail));
        assert_eq!(user.context_data()["back_to"].as_deref(), Some("/cart"));
    });
}

#[test]
fn not_clicked() {
    // A user cannot decline a mail, only ignore it.
    run(|scenario| {
        let pending = begin(scenario);
        for url in [REDIRECT, "https://app.example/", ""] {
            let end = pending.complete(&scenario.client, url);
            assert_eq!(kind(end), ErrorKind::InvalidInput, "{url}");
        }
        assert_eq!(scenario.count("validate_magiclink_email_auth"), 0);
    });
}

#[test]
fn not_clicked_in_time() {
    run(|scenario| {
        let pending = begin(scenario);
        scenario.later(301);
        let link = scenario.mail_to(ADA).link;
        assert_eq!(scenario.emulator.click(&link), Err(EmulatorError::Over));
        // A waiting page sees the timeout.
        let wait = scenario
            .client
            .wait_for_auth(pending.auth_request_id(), &WaitPolicy::new());
        let end = wait.unwrap();
        assert!(
            matches!(end, AuthWait::Ended(Some(ResultCode::Timeout))),
            "{end:?}"
        );
    });
}

#[test]
fn validated_too_late() {
    run(|scenario| {
        let pending = begin(scenario);
        let url = click(scenario, ADA);
        scenario.later(61);
        for _ in 0..2 {
            let end = pending.complete(&scenario.client, &url);
            assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
        }
    });
}

#[test]
fn a_link_works_once() {
    run(|scenario| {
        let pending = begin(scenario);
        let url = click(scenario, ADA);
        let end = pending.complete(&scenario.client, &url);
        scenario.assert_ada(&end, pending.auth_request_id());
        let end = pending.complete(&scenario.client, &url);
        assert_eq!(kind(end), ErrorKind::Forbidden);
        let link = scenario.mail_to(ADA).link;
        assert_eq!(
            scenario.emulator.click(&link),
            Err(EmulatorError::UnknownLink)
        );
    });
}

#[test]
fn another_browser() {
    for (name, value) in [("ip_address", json!(OTHER_IP)), ("user_agent", Value::Null)] {
        run(|scenario| {
            let pending = begin(scenario);
            let url = click(scenario, ADA);
            let end = with(&pending, name, value.clone()).complete(&scenario.client, &url);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
            let end = pending.complete(&scenario.client, &url);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
        });
    }
}

#[test]
fn the_link_of_another_user() {
    run(|scenario| {
        let adas = begin(scenario);
        scenario.begins_another();
        let eves = begin_for(scenario, scenario.eve().unwrap());
        let url = click(scenario, EVE);
        // Eve makes ada's browser open her link.
        let end = adas.complete(&scenario.client, &url);
        assert_eq!(kind(end), ErrorKind::Mismatch);
        assert_eq!(scenario.count("validate_magiclink_email_auth"), 0);
        // She replaces the request by the one that ada's browser expects.
        let ids = [&eves, &adas].map(|pending| pending.auth_request_id().to_string());
        let forged = url.replace(&ids[0], &ids[1]);
        assert_ne!(forged, url);
        let end = adas.complete(&scenario.client, &forged);
        assert_eq!(kind(end), ErrorKind::Unauthorized);
        // Her own sign-in still works.
        let end = eves.complete(&scenario.client, &url).unwrap();
        assert_eq!(end.user().unwrap().user_id(), scenario.eve);
    });
}

#[test]
fn somebody_elses_sign_in_is_a_mismatch() {
    run(|scenario| {
        let pending = begin(scenario);
        let url = click(scenario, ADA);
        let eves = about(&pending, &scenario.eve().unwrap(), scenario.eve);
        let end = eves.complete(&scenario.client, &url);
        assert_eq!(kind(end), ErrorKind::Mismatch);
    });
}

#[test]
fn the_browser_that_arrives_is_compared_with_the_one_that_began() {
    run(|scenario| {
        let pending = begin(scenario);
        let elsewhere = pending.ip_address(OTHER_IP);
        let end = elsewhere.complete(&scenario.client, &click(scenario, ADA));
        assert!(matches!(end, Ok(SignIn::RefusedForSecurity)), "{end:?}");

        scenario.begins_another();
        let pending = begin(scenario).ip_address(IP).user_agent(AGENT);
        let end = pending.complete(&scenario.client, &click(scenario, ADA));
        scenario.assert_ada(&end, pending.auth_request_id());
    });
}
