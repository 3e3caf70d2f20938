//! Sign-ins that the vendor's page SDK began: the page calls the service and
//! sends request id and token to the backend.

use autharmor::auth::{
    FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
};
use autharmor::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
use autharmor::{Error, ErrorKind};
use uuid::Uuid;

use crate::scenario::{ADA, AGENT, IP, NAMED, OTHER_IP, REDIRECT, Scenario, Scenarios, kind};

/// Every method and its start endpoint.
const METHODS: [(Method, &str); 3] = [
    (Method::Authenticator, "start_authenticator_auth"),
    (Method::Webauthn, "start_webauthn_auth"),
    (Method::MagiclinkEmail, "start_magiclink_email_auth"),
];

/// The values that the page sends.
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

fn start_on_phone(scenario: &Scenario) -> FromPage {
    let request = StartAuthenticatorAuth::new()
        .user(scenario.ada().unwrap())
        .ip_address(IP)
        .user_agent(AGENT);
    let started = scenario.client.start_authenticator_auth(&request).unwrap();
    FromPage {
        method: Method::Authenticator,
        id: started.auth_request_id,
        token: started.auth_validation_token.unwrap().expose().to_owned(),
    }
}

/// v3 has no field for the IP address in the start of a passkey's sign-in.
fn compares_browsers(scenario: &Scenario, method: Method) -> bool {
    scenario.is_v4() || method != Method::Webauthn
}

/// Signs ada in, up to the point at which the page calls the backend.
fn signed_in_on_page(scenario: &Scenario, method: Method) -> FromPage {
    match method {
        Method::Authenticator => {
            let from_page = start_on_phone(scenario);
            scenario.emulator.approve(from_page.id).unwrap();
            from_page
        }
        Method::Webauthn => {
            scenario.add_passkey(scenario.ada);
            let mut request = StartWebauthnAuth::new().user(scenario.ada().unwrap());
            if compares_browsers(scenario, method) {
                request = request.ip_address(IP).user_agent(AGENT);
            }
            let started = scenario.client.start_webauthn_auth(&request).unwrap();
            let options = started.fido2_json_options.unwrap();
            let assertion = scenario
                .emulator
                .use_passkey(&options, scenario.emulator.origin())
                .unwrap();
            let sig = started.aa_guid.unwrap();
            let finish = FinishWebauthnAuth::new(started.auth_request_id, sig, assertion);
            let finished = scenario.client.finish_webauthn_auth(&finish).unwrap();
            FromPage {
                method,
                id: started.auth_request_id,
                token: finished.auth_validation_token.unwrap().expose().to_owned(),
            }
        }
        _ => {
            let request = StartMagiclinkEmailAuth::new(scenario.ada().unwrap(), REDIRECT)
                .ip_address(IP)
                .user_agent(AGENT);
            let started = scenario
                .client
                .start_magiclink_email_auth(&request)
                .unwrap();
            let url = scenario
                .emulator
                .click(&scenario.mail_to(ADA).link)
                .unwrap();
            let (_, rest) = url.split_once("auth_validation_token=").unwrap();
            FromPage {
                method,
                id: started.auth_request_id,
                token: rest.split('&').next().unwrap().to_owned(),
            }
        }
    }
}

fn run(test: impl Fn(&Scenario, Method) + Sync) {
    for (method, start) in METHODS {
        Scenarios::of(start, NAMED).run(|scenario| test(scenario, method));
    }
}

fn run_on_phone(test: impl Fn(&Scenario, &FromPage) + Sync) {
    let (_, start) = METHODS[0];
    Scenarios::of(start, NAMED).run(|scenario| test(scenario, &start_on_phone(scenario)));
}

/// The program expects ada.
fn adas(scenario: &Scenario) -> ExpectedUser {
    ExpectedUser::Is(scenario.ada().unwrap())
}

fn complete(scenario: &Scenario, from_page: &FromPage) -> Result<SignIn, Error> {
    scenario
        .client
        .complete_browser_sign_in(&from_page.for_user(adas(scenario)))
}

#[test]
fn approved() {
    run(|scenario, method| {
        let from_page = signed_in_on_page(scenario, method);
        let end = complete(scenario, &from_page);
        scenario.assert_ada(&end, from_page.id);
    });
    run(|scenario, method| {
        let from_page = signed_in_on_page(scenario, method);
        let anyones = from_page.for_user(ExpectedUser::Anyone);
        let end = scenario.client.complete_browser_sign_in(&anyones);
        scenario.assert_ada(&end, from_page.id);
    });
}

#[test]
fn declined() {
    run_on_phone(|scenario, from_page| {
        scenario.emulator.decline(from_page.id).unwrap();
        let end = complete(scenario, from_page);
        assert!(matches!(end, Ok(SignIn::Declined)), "{end:?}");
    });
}

#[test]
fn a_page_that_completes_before_the_approval() {
    run_on_phone(|scenario, from_page| {
        let end = complete(scenario, from_page);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
    });
}

#[test]
fn timed_out() {
    run_on_phone(|scenario, from_page| {
        scenario.later(61);
        let end = complete(scenario, from_page);
        assert!(matches!(end, Ok(SignIn::TimedOut)), "{end:?}");
    });
}

#[test]
fn validated_too_late() {
    run(|scenario, method| {
        let from_page = signed_in_on_page(scenario, method);
        scenario.later(61);
        let end = complete(scenario, &from_page);
        assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
    });
}

#[test]
fn a_token_works_once() {
    run(|scenario, method| {
        let from_page = signed_in_on_page(scenario, method);
        let end = complete(scenario, &from_page);
        scenario.assert_ada(&end, from_page.id);
        assert_eq!(kind(complete(scenario, &from_page)), ErrorKind::Forbidden);
        let anyones = from_page.for_user(ExpectedUser::Anyone);
        let end = scenario.client.complete_browser_sign_in(&anyones);
        assert_eq!(kind(end), ErrorKind::Forbidden);
    });
}

#[test]
fn another_browser() {
    run(|scenario, method| {
        let from_page = signed_in_on_page(scenario, method);
        let other = from_page.for_user(adas(scenario)).ip_address(OTHER_IP);
        let end = scenario.client.complete_browser_sign_in(&other);
        if !compares_browsers(scenario, method) {
            scenario.assert_ada(&end, from_page.id);
            return;
        }
        assert!(matches!(end, Ok(SignIn::RefusedForSecurity)), "{end:?}");
        let end = complete(scenario, &from_page);
        assert!(matches!(end, Ok(SignIn::RefusedForSecurity)), "{end:?}");
    });
}

#[test]
fn another_user_than_the_session_has() {
    run(|scenario, method| {
        let from_page = signed_in_on_page(scenario, method);
        let eves = from_page.for_user(ExpectedUser::Is(scenario.eve().unwrap()));
        let end = scenario.client.complete_browser_sign_in(&eves);
        assert_eq!(kind(end), ErrorKind::Mismatch);
    });
}

#[test]
fn a_wrong_token_or_method_is_refused() {
    run(|scenario, method| {
        let mut from_page = signed_in_on_page(scenario, method);
        let token = std::mem::replace(&mut from_page.token, "another".to_owned());
        assert_eq!(
            kind(complete(scenario, &from_page)),
            ErrorKind::Unauthorized
        );
        from_page.token = token;
        for (other, _) in METHODS {
            if other != method {
                from_page.method = other;
                assert_eq!(kind(complete(scenario, &from_page)), ErrorKind::NotFound);
            }
        }
        from_page.method = method;
        let end = complete(scenario, &from_page);
        scenario.assert_ada(&end, from_page.id);
    });
}
