//! The service fails at each step. The user is told so, and can try again.

use autharmor::ApiVersion::V4;
use autharmor::emulator::Fault;

use crate::site::{ADA, Site};

const OUTAGE: &str = "The sign-in service does not respond. Please try again.";

impl Site {
    fn fails_once(&self, endpoint: &str) {
        self.emulator
            .fault(Fault::status(503).on(endpoint).times(1));
    }
}

pub(crate) fn of_each_beginning() {
    let site = Site::start(V4);
    let ada = site.open("/");
    for (button, endpoint) in [
        ("Use a passkey", "start_webauthn_auth"),
        ("Ask my phone", "start_authenticator_auth"),
        ("Mail me a link", "start_magiclink_email_auth"),
    ] {
        site.fails_once(endpoint);
        ada.visit(&site, "/");
        ada.0.fill("#name", ADA);
        ada.press(button);
        ada.is_told(OUTAGE);
    }
    // The token endpoint, and a connection that breaks.
    site.emulator.expire_tokens();
    site.emulator.fault(Fault::token_endpoint_down().times(1));
    for button in ["Ask my phone", "Mail me a link"] {
        ada.visit(&site, "/");
        ada.0.fill("#name", ADA);
        ada.press(button);
        ada.is_told(OUTAGE);
        site.emulator.fault(Fault::drop_before_response().times(1));
    }
    site.emulator.clear_faults();
    ada.press("Mail me a link");
    ada.is_told("it is in the mail");

    site.fails_once("start_magiclink_email_registration");
    ada.visit(&site, "/register");
    ada.0.fill("#address", "grace@example.com");
    ada.press("Mail me a link");
    ada.is_told(OUTAGE);
}

pub(crate) fn while_a_phone_is_asked() {
    let site = Site::start(V4);
    let ada = site.open("/");
    ada.ask_phone(ADA);
    site.emulator.fault(Fault::status(503).on("get_auth_info"));
    ada.is_told(OUTAGE);
    // The page keeps asking.
    site.emulator.clear_faults();
    ada.is_told("Waiting for your phone");
    site.emulator
        .fault(Fault::status(503).on("validate_authenticator_auth"));
    site.respond_on_phone(true);
    ada.is_told(OUTAGE);
    site.emulator.clear_faults();
    ada.sees_account_of(ADA);
}

pub(crate) fn when_a_passkey_is_checked() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    ada.add_passkey();
    ada.log_out();
    for endpoint in ["finish_webauthn_auth", "validate_webauthn_auth"] {
        site.fails_once(endpoint);
        ada.press("Use a passkey");
        ada.is_told(OUTAGE);
    }
    ada.press("Use a passkey");
    ada.sees_account_of(ADA);
}

pub(crate) fn when_a_link_is_checked() {
    let site = Site::start(V4);
    let ada = site.open("/");
    ada.ask_for_link(ADA);
    ada.visit_url(&site.opened_link());
    site.fails_once("validate_magiclink_email_auth");
    ada.press("Sign in");
    ada.is_told(OUTAGE);
    // The same link works when the service does.
    ada.press("Sign in");
    ada.sees_account_of(ADA);
}

pub(crate) fn of_the_account_page() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    for endpoint in ["list_user_credentials", "get_user_auth_history"] {
        site.fails_once(endpoint);
        ada.visit(&site, "/account");
        ada.is_told(OUTAGE);
    }
    ada.visit(&site, "/account");
    ada.sees_account_of(ADA);
}

pub(crate) fn when_something_is_added_or_disabled() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    for (button, endpoint) in [
        ("Add a passkey", "start_webauthn_registration_for_user"),
        ("Add a passkey", "finish_webauthn_registration_for_user"),
        ("Add a phone", "start_authenticator_registration_for_user"),
    ] {
        ada.visit(&site, "/account");
        ada.sees_account_of(ADA);
        site.fails_once(endpoint);
        ada.press(button);
        ada.is_told(OUTAGE);
    }
    ada.press("Add a phone");
    ada.is_told("Waiting for your phone");
    site.emulator
        .fault(Fault::status(503).on("get_registration_info"));
    ada.is_told(OUTAGE);
    site.emulator.clear_faults();
    site.enrol_phone();
    ada.is_told("It is added to your account.");

    site.fails_once("get_user_credential");
    ada.press("Disable Mail ada@example.com");
    ada.is_told(OUTAGE);
    ada.press("Disable Mail ada@example.com");
    ada.is_told("Waiting for your phone");
    site.emulator
        .fault(Fault::status(503).on("disable_user_credential"));
    site.respond_on_phone(true);
    ada.is_told(OUTAGE);
}

pub(crate) fn of_the_portal_itself() {
    let site = Site::start(V4);
    let ada = site.open("/");
    // As in a train's tunnel.
    let offline = "window.fetch = async () => { throw new TypeError('Failed to fetch'); }";
    ada.0.run(offline, &[]);
    ada.0.fill("#name", ADA);
    ada.press("Ask my phone");
    ada.is_told("This website does not respond. Please try again.");
}
