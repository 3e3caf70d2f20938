//! Sign-ins that the vendor's own page SDK began: the page calls the service
//! and hands over request id and token.

use autharmor::auth::{
    FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
};
use autharmor::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
use autharmor::{Error, ErrorKind};
use uuid::Uuid;

use crate::stage::{ADA, AGENT, IP, NAMED, OTHER_IP, REDIRECT, Scenes, Stage, kind};

/// Every method, and what it begins with.
const METHODS: [(Method, &str); 3] = [
    (Method::Authenticator, "start_authenticator_auth"),
    (Method::Webauthn, "start_webauthn_auth"),
    (Method::MagiclinkEmail, "start_magiclink_email_auth"),
];

/// What the page hands over.
struct FromPage {
    method: Method,
    id: Uuid,
    token: String,
}

impl FromPage {
    fn for_user(&self, user: ExpectedUser) -> BrowserSignIn {
        BrowserSignIn::new(self.method, self.id, self.token.as_str(), user)
            .ip_address(IP)
            .user_agent(AGENT)
    }
}

fn start_on_phone(stage: &Stage) -> FromPage {
    let request = StartAuthenticatorAuth::new()
        .user(stage.ada().unwrap())
        .ip_address(IP)
        .user_agent(AGENT);
    let started = stage.client.start_authenticator_auth(&request).unwrap();
    FromPage {
        method: Method::Authenticator,
        id: started.auth_request_id,
        token: started.auth_validation_token.unwrap().expose().to_owned(),
    }
}

/// The start of a passkey's sign-in has no room for an ip address in v3.
fn compares_browsers(stage: &Stage, method: Method) -> bool {
    stage.is_v4() || method != Method::Webauthn
}

/// Ada signs in, up to where the page calls the backend.
fn signed_in_on_page(stage: &Stage, method: Method) -> FromPage {
    match method {
        Method::Authenticator => {
            let from_page = start_on_phone(stage);
            stage.emulator.approve(from_page.id).unwrap();
            from_page
        }
        Method::Webauthn => {
            stage.add_passkey(stage.ada);
            let mut request = StartWebauthnAuth::new().user(stage.ada().unwrap());
            if compares_browsers(stage, method) {
                request = request.ip_address(IP).user_agent(AGENT);
            }
            let started = stage.client.start_webauthn_auth(&request).unwrap();
            let options = started.fido2_json_options.unwrap();
            let assertion = stage
                .emulator
                .use_passkey(&options, stage.emulator.origin())
                .unwrap();
            let sig = started.aa_guid.unwrap();
            let finish = FinishWebauthnAuth::new(started.auth_request_id, sig, assertion);
            let finished = stage.client.finish_webauthn_auth(&finish).unwrap();
            FromPage {
                method,
                id: started.auth_request_id,
                token: finished.auth_validation_token.unwrap().expose().to_owned(),
            }
        }
        _ => {
            let request = StartMagiclinkEmailAuth::new(stage.ada().unwrap(), REDIRECT)
                .ip_address(IP)
                .user_agent(AGENT);
            let started = stage.client.start_magiclink_email_auth(&request).unwrap();
            let url = stage.emulator.click(&stage.mail_to(ADA).link).unwrap();
            let (_, rest) = url.split_once("auth_validation_token=").unwrap();
            FromPage {
                method,
                id: started.auth_request_id,
                token: rest.split('&').next().unwrap().to_owned(),
            }
        }
    }
}

fn play(scene: impl Fn(&Stage, Method) + Sync) {
    for (method, start) in METHODS {
        Scenes::of(start, NAMED).play(|stage| scene(stage, method));
    }
}

fn play_on_phone(scene: impl Fn(&Stage, &FromPage) + Sync) {
    let (_, start) = METHODS[0];
    Scenes::of(start, NAMED).play(|stage| scene(stage, &start_on_phone(stage)));
}

/// Ada is whom the program has in its session.
fn adas(stage: &Stage) -> ExpectedUser {
    ExpectedUser::Is(stage.ada().unwrap())
}

fn complete(stage: &Stage, from_page: &FromPage) -> Result<SignIn, Error> {
    stage
        .client
        .complete_browser_sign_in(&from_page.for_user(adas(stage)))
}

#[test]
fn approved() {
    play(|stage, method| {
        let from_page = signed_in_on_page(stage, method);
        let end = complete(stage, &from_page);
        stage.assert_ada(&end, from_page.id);
    });
    play(|stage, method| {
        let from_page = signed_in_on_page(stage, method);
        let anyones = from_page.for_user(ExpectedUser::Anyone);
        let end = stage.client.complete_browser_sign_in(&anyones);
        stage.assert_ada(&end, from_page.id);
    });
}

#[test]
fn declined() {
    play_on_phone(|stage, from_page| {
        stage.emulator.decline(from_page.id).unwrap();
        let end = complete(stage, from_page);
        assert!(matches!(end, Ok(SignIn::Declined)), "{end:?}");
    });
}

#[test]
fn a_page_that_is_too_quick_or_lies() {
    play_on_phone(|stage, from_page| {
        let end = complete(stage, from_page);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
    });
}

#[test]
fn not_answered_in_time() {
    play_on_phone(|stage, from_page| {
        stage.later(61);
        let end = complete(stage, from_page);
        assert!(matches!(end, Ok(SignIn::TimedOut)), "{end:?}");
    });
}

#[test]
fn validated_too_late() {
    play(|stage, method| {
        let from_page = signed_in_on_page(stage, method);
        stage.later(61);
        let end = complete(stage, &from_page);
        assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
    });
}

#[test]
fn a_token_works_once() {
    play(|stage, method| {
        let from_page = signed_in_on_page(stage, method);
        let end = complete(stage, &from_page);
        stage.assert_ada(&end, from_page.id);
        assert_eq!(kind(complete(stage, &from_page)), ErrorKind::Forbidden);
        let anyones = from_page.for_user(ExpectedUser::Anyone);
        let end = stage.client.complete_browser_sign_in(&anyones);
        assert_eq!(kind(end), ErrorKind::Forbidden);
    });
}

#[test]
fn another_browser() {
    play(|stage, method| {
        let from_page = signed_in_on_page(stage, method);
        let other = from_page.for_user(adas(stage)).ip_address(OTHER_IP);
        let end = stage.client.complete_browser_sign_in(&other);
        if !compares_browsers(stage, method) {
            stage.assert_ada(&end, from_page.id);
            return;
        }
        assert!(matches!(end, Ok(SignIn::RefusedForSecurity)), "{end:?}");
        let end = complete(stage, &from_page);
        assert!(matches!(end, Ok(SignIn::RefusedForSecurity)), "{end:?}");
    });
}

#[test]
fn another_user_than_the_session_has() {
    play(|stage, method| {
        let from_page = signed_in_on_page(stage, method);
        let eves = from_page.for_user(ExpectedUser::Is(stage.eve().unwrap()));
        let end = stage.client.complete_browser_sign_in(&eves);
        assert_eq!(kind(end), ErrorKind::Mismatch);
    });
}

#[test]
fn a_wrong_token_or_method_is_refused() {
    play(|stage, method| {
        let mut from_page = signed_in_on_page(stage, method);
        let token = std::mem::replace(&mut from_page.token, "another".to_owned());
        assert_eq!(kind(complete(stage, &from_page)), ErrorKind::Unauthorized);
        from_page.token = token;
        for (other, _) in METHODS {
            if other != method {
                from_page.method = other;
                assert_eq!(kind(complete(stage, &from_page)), ErrorKind::NotFound);
            }
        }
        from_page.method = method;
        let end = complete(stage, &from_page);
        stage.assert_ada(&end, from_page.id);
    });
}
