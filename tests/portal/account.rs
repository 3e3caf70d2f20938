//! The account page, and the step-up before something is disabled.

use std::time::Duration;

use autharmor::ApiVersion::V4;
use autharmor_test_support::browser::wait_for;
use serde_json::json;

use crate::sign_in::register;
use crate::site::{ADA, BOTH, Site, Visitor};

const DISABLE: &str = "Choose this number there";

/// The name of the button that disables the passkey.
pub(crate) fn passkey_button(visitor: &Visitor) -> String {
    let script = "return [...document.querySelectorAll('button')].map((button) => button.ariaLabel)
        .find((label) => label?.startsWith('Disable Passkey'))";
    wait_for("a button", || {
        visitor.0.run(script, &[]).as_str().map(str::to_owned)
    })
}

pub(crate) fn a_phone_disables_a_passkey() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open_as_ada();
        ada.add_passkey();
        let button = passkey_button(&ada);
        ada.press(&button);
        ada.sees(DISABLE);
        // The phone shows what is approved.
        let request = site.emulator.pending_requests().pop().unwrap();
        assert_eq!(request.username.as_deref(), Some(ADA));
        assert_eq!(request.action_name.as_deref(), Some("Disable"));
        site.respond_on_phone(true);
        ada.is_told("It is disabled.");
        ada.sees("(disabled)");
        ada.sees_account_of(ADA);
        ada.log_out();
        ada.press("Use a passkey");
        ada.is_told("That did not work.");
    }
}

pub(crate) fn a_phone_that_declines_or_is_silent_disables_nothing() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open_as_ada();
        ada.add_passkey();
        ada.press(&passkey_button(&ada));
        ada.sees(DISABLE);
        site.respond_on_phone(false);
        ada.is_told("The request was declined on the phone.");
        ada.press(&passkey_button(&ada));
        ada.sees(DISABLE);
        site.emulator.advance(Duration::from_secs(61));
        ada.is_told("Nobody responded in time.");
        ada.log_out();
        ada.press("Use a passkey");
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn without_a_phone_nothing_is_disabled() {
    let site = Site::start(V4);
    let grace = register(&site);
    grace.add_passkey();
    grace.press(&passkey_button(&grace));
    grace.is_told("Add a phone first: it has to approve this.");
}

pub(crate) fn the_account_needs_a_sign_in() {
    let site = Site::start(V4);
    let eve = site.open("/account");
    eve.sees("No account yet?");
    for path in [
        "/account",
        "/account/phone",
        "/account/passkey",
        "/account/disable",
    ] {
        let (status, text) = eve.posts(path, &json!({"credential": "x"}));
        assert_eq!((status, &*text), (401, "Please sign in."), "{path}");
    }
    // Nobody disables what is not theirs.
    let ada = site.open_as_ada();
    let id = "5b1d7d5e-0000-4000-8000-000000000001";
    let (status, _) = ada.posts("/account/disable", &json!({ "credential": id }));
    assert_eq!(status, 403);
    assert!(site.emulator.pending_requests().is_empty());
}

/// Someone who finds an open account gets no way to sign in to it.
pub(crate) fn only_after_a_recent_sign_in_is_something_added() {
    let site = Site::with(
        V4,
        |builder| builder,
        |portal| portal.recent = Duration::ZERO,
    );
    let ada = site.open_as_ada();
    for button in ["Add a phone", "Add a passkey"] {
        ada.press(button);
        ada.is_told("Please log out and sign in again before this.");
    }
    assert!(site.emulator.pending_registrations().is_empty());
}

/// Each asks the phone.
pub(crate) fn a_phone_is_not_asked_without_end() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    let script = "const done = arguments[0];
        fetch('/account', { method: 'POST', body: '{}' })
            .then(async (response) => done((await response.json()).credentials[0].credential_id));";
    let body = json!({ "credential": ada.0.run_async(script, &[]) });
    for _ in 0..5 {
        assert_eq!(ada.posts("/account/disable", &body).0, 200);
    }
    assert_eq!(ada.posts("/account/disable", &body).0, 429);
    assert_eq!(site.emulator.pending_requests().len(), 5);
}
