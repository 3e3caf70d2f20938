//! Signing in with a link by mail.

use autharmor::auth::{AuthMethod, AuthMethodUseType, ResultCode, StartMagiclinkEmailAuth};
use autharmor::emulator::{EmulatorError, MailKind};
use autharmor::flow::{AuthWait, PendingMagiclink, SignIn, WaitPolicy};
use autharmor::{ErrorKind, UserKey};
use serde_json::{Value, json};

use crate::stage::{
    ADA, AGENT, EVE, IP, NAMED, OTHER_IP, REDIRECT, Scenes, Stage, about, kind, with,
};

const START: &str = "start_magiclink_email_auth";

fn play(scene: impl Fn(&Stage) + Sync) {
    Scenes::of(START, NAMED).play(scene);
}

fn begin_for(stage: &Stage, user: UserKey) -> PendingMagiclink {
    let request = StartMagiclinkEmailAuth::new(user, REDIRECT)
        .action_name("Sign in")
        .context_data("back_to", "/cart")
        .ip_address(IP)
        .user_agent(AGENT);
    stage.client.begin_magiclink_sign_in(&request).unwrap()
}

fn begin(stage: &Stage) -> PendingMagiclink {
    begin_for(stage, stage.ada().unwrap())
}

/// The URL with which the browser of this person arrives.
fn click(stage: &Stage, person: &str) -> String {
    let mail = stage.mail_to(person);
    assert_eq!(mail.kind, MailKind::SignIn);
    stage.emulator.click(&mail.link).unwrap()
}

#[test]
fn clicked() {
    play(|stage| {
        let pending = begin(stage);
        let url = click(stage, ADA);
        assert!(url.starts_with(REDIRECT), "{url}");
        // A server may see the whole URL or what comes after the host.
        let (_, query) = url.split_once('?').unwrap();
        let end = pending.complete(&stage.client, query);
        stage.assert_ada(&end, pending.auth_request_id());
        let end = end.unwrap();
        let user = end.user().unwrap();
        assert_eq!(user.method(), Some(&AuthMethod::MagiclinkEmail));
        assert_eq!(user.use_type(), Some(&AuthMethodUseType::MagiclinkEmail));
        assert_eq!(user.context_data()["back_to"].as_deref(), Some("/cart"));
    });
}

#[test]
fn not_clicked() {
    // A mail cannot be declined, only left alone.
    play(|stage| {
        let pending = begin(stage);
        for url in [REDIRECT, "https://app.example/", ""] {
            let end = pending.complete(&stage.client, url);
            assert_eq!(kind(end), ErrorKind::InvalidInput, "{url}");
        }
        assert_eq!(stage.count("validate_magiclink_email_auth"), 0);
    });
}

#[test]
fn not_clicked_in_time() {
    play(|stage| {
        let pending = begin(stage);
        stage.later(301);
        let link = stage.mail_to(ADA).link;
        assert_eq!(stage.emulator.click(&link), Err(EmulatorError::Over));
        // What the page that waits is told.
        let wait = stage
            .client
            .wait_for_auth(pending.auth_request_id(), &WaitPolicy::new());
        assert_eq!(wait.unwrap(), AuthWait::Ended(Some(ResultCode::Timeout)));
    });
}

#[test]
fn validated_too_late() {
    play(|stage| {
        let pending = begin(stage);
        let url = click(stage, ADA);
        stage.later(61);
        for _ in 0..2 {
            let end = pending.complete(&stage.client, &url);
            assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
        }
    });
}

#[test]
fn a_link_works_once() {
    play(|stage| {
        let pending = begin(stage);
        let url = click(stage, ADA);
        let end = pending.complete(&stage.client, &url);
        stage.assert_ada(&end, pending.auth_request_id());
        let end = pending.complete(&stage.client, &url);
        assert_eq!(kind(end), ErrorKind::Forbidden);
        let link = stage.mail_to(ADA).link;
        assert_eq!(stage.emulator.click(&link), Err(EmulatorError::UnknownLink));
    });
}

#[test]
fn another_browser() {
    for (name, value) in [("ip_address", json!(OTHER_IP)), ("user_agent", Value::Null)] {
        play(|stage| {
            let pending = begin(stage);
            let url = click(stage, ADA);
            let end = with(&pending, name, value.clone()).complete(&stage.client, &url);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
            let end = pending.complete(&stage.client, &url);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
        });
    }
}

#[test]
fn the_link_of_another_user() {
    play(|stage| {
        let adas = begin(stage);
        stage.begins_another();
        let eves = begin_for(stage, stage.eve().unwrap());
        let url = click(stage, EVE);
        // Eve lures ada's browser to her own link.
        let end = adas.complete(&stage.client, &url);
        assert_eq!(kind(end), ErrorKind::Mismatch);
        assert_eq!(stage.count("validate_magiclink_email_auth"), 0);
        // She writes the request into it that ada's browser expects.
        let ids = [&eves, &adas].map(|pending| pending.auth_request_id().to_string());
        let forged = url.replace(&ids[0], &ids[1]);
        assert_ne!(forged, url);
        let end = adas.complete(&stage.client, &forged);
        assert_eq!(kind(end), ErrorKind::Unauthorized);
        // Her own sign-in is hers.
        let end = eves.complete(&stage.client, &url).unwrap();
        assert_eq!(end.user().unwrap().user_id(), stage.eve);
    });
}

#[test]
fn somebody_elses_sign_in_is_a_mismatch() {
    play(|stage| {
        let pending = begin(stage);
        let url = click(stage, ADA);
        let eves = about(&pending, &stage.eve().unwrap(), stage.eve);
        let end = eves.complete(&stage.client, &url);
        assert_eq!(kind(end), ErrorKind::Mismatch);
    });
}
