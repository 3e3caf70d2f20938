//! The service fails at each step. The user is told so, and can try again.

use std::time::Duration;

use autharmor::ApiVersion::V4;
use autharmor::emulator::Fault;

use crate::account::passkey_button;
use crate::sign_in::{NEW, register};
use crate::site::{ADA, BOTH, Site};

const OUTAGE: &str = "The service does not respond. Please try again.";

impl Site {
    fn fails_once(&self, endpoint: &str) {
        self.emulator
            .fault(Fault::status(503).on(endpoint).times(1));
    }

    /// Fails until the faults are cleared.
    fn fails(&self, endpoint: &str) {
        self.emulator.fault(Fault::status(503).on(endpoint));
    }
}

pub(crate) fn of_each_beginning() {
    for version in BOTH {
        let site = Site::start(version);
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
        ada.ask_for_link(ADA);

        site.fails_once("start_magiclink_email_registration");
        ada.visit(&site, "/register");
        ada.0.fill("#address", NEW);
        ada.press("Mail me a link");
        ada.is_told(OUTAGE);
        ada.ask_to_register(&site, NEW);
    }
}

pub(crate) fn while_a_phone_is_asked() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        ada.ask_phone(ADA);
        site.fails("get_auth_info");
        ada.is_told(OUTAGE);
        // The page keeps asking.
        site.emulator.clear_faults();
        ada.is_told("Waiting for your phone");
        site.fails("validate_authenticator_auth");
        site.respond_on_phone(true);
        ada.is_told(OUTAGE);
        site.emulator.clear_faults();
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn when_a_passkey_is_checked() {
    for version in BOTH {
        let site = Site::start(version);
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
}

pub(crate) fn when_a_link_is_checked() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        ada.ask_for_link(ADA);
        site.fails_once("validate_magiclink_email_auth");
        ada.use_link(&site);
        ada.is_told(OUTAGE);
        // The same link works when the service does.
        ada.press("Continue");
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn when_a_new_users_link_is_checked() {
    for version in BOTH {
        let site = Site::start(version);
        let grace = site.open("/");
        grace.ask_to_register(&site, NEW);
        // The page itself opens without the service.
        site.emulator.fault(Fault::status(503));
        grace.use_link(&site);
        grace.is_told(OUTAGE);
        site.emulator.clear_faults();
        site.fails_once("validate_magiclink_email_registration");
        grace.press("Continue");
        grace.is_told(OUTAGE);
        grace.press("Continue");
        grace.sees_account_of(NEW);
    }
}

/// The service has done what was asked, but its response is lost.
pub(crate) fn when_a_response_is_lost() {
    for version in BOTH {
        let site = Site::start(version);
        let lost = |endpoint: &str| {
            let fault = Fault::drop_before_response().on(endpoint).times(1);
            site.emulator.fault(fault.processed(true));
        };
        let ada = site.open("/");
        ada.ask_phone(ADA);
        lost("validate_authenticator_auth");
        site.respond_on_phone(true);
        ada.is_told("That did not work. Please try again.");
        ada.ask_phone(ADA);
        site.respond_on_phone(true);
        ada.sees_account_of(ADA);
        ada.log_out();

        ada.ask_for_link(ADA);
        lost("validate_magiclink_email_auth");
        ada.use_link(&site);
        ada.is_told(OUTAGE);
        ada.press("Continue");
        ada.is_told("This link is too old or was replaced. Begin again.");

        lost("start_magiclink_email_registration");
        ada.visit(&site, "/register");
        ada.0.fill("#address", NEW);
        ada.press("Mail me a link");
        ada.is_told(OUTAGE);
        ada.ask_to_register(&site, NEW);
        lost("validate_magiclink_email_registration");
        ada.use_link(&site);
        ada.is_told(OUTAGE);
        // The account is there: the user signs in.
        ada.visit(&site, "/");
        ada.ask_for_link(NEW);
        ada.use_link(&site);
        ada.sees_account_of(NEW);
    }
}

/// Slow is not down.
pub(crate) fn a_slow_service_is_waited_for() {
    let site = Site::start(V4);
    let slow = Fault::latency(Duration::from_secs(1));
    site.emulator.fault(slow);
    let ada = site.open_as_ada();
    ada.add_passkey();
    ada.log_out();
    ada.press("Use a passkey");
    ada.sees_account_of(ADA);
}

pub(crate) fn of_the_account_page() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open_as_ada();
        for endpoint in ["list_user_credentials", "get_user_auth_history"] {
            site.fails_once(endpoint);
            ada.visit(&site, "/account");
            ada.is_told(OUTAGE);
        }
        ada.visit(&site, "/account");
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn when_something_is_added() {
    for version in BOTH {
        let site = Site::start(version);
        // A user without a phone: v3 does not tell that there is a second one.
        let grace = register(&site);
        for (button, endpoint) in [
            ("Add a passkey", "start_webauthn_registration_for_user"),
            ("Add a passkey", "finish_webauthn_registration_for_user"),
            ("Add a phone", "start_authenticator_registration_for_user"),
        ] {
            grace.visit(&site, "/account");
            grace.sees_account_of(NEW);
            site.fails_once(endpoint);
            grace.press(button);
            grace.is_told(OUTAGE);
        }
        grace.press("Add a phone");
        grace.is_told("Waiting for your phone");
        site.fails(if version == V4 {
            "get_registration_info"
        } else {
            "get_user"
        });
        grace.is_told(OUTAGE);
        site.emulator.clear_faults();
        grace.is_told("Waiting for your phone");
        if version == V4 {
            site.fails("validate_authenticator_registration");
            site.enrol_phone();
            grace.is_told(OUTAGE);
            site.emulator.clear_faults();
        } else {
            site.enrol_phone();
        }
        grace.is_told("It is added to your account.");

        // v3 has no such call.
        if version == V4 {
            site.fails_once("validate_webauthn_registration");
            grace.press("Add a passkey");
            grace.is_told(OUTAGE);
        }
    }
}

pub(crate) fn when_something_is_disabled() {
    const MAIL: &str = "Disable Mail ada@example.com";
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open_as_ada();
        ada.add_passkey();
        for endpoint in ["get_user_credential", "start_authenticator_auth"] {
            site.fails_once(endpoint);
            ada.press(MAIL);
            ada.is_told(OUTAGE);
        }
        // The approval counts when the service is back, without another one.
        for (button, endpoint) in [
            (MAIL.to_owned(), "validate_authenticator_auth"),
            (passkey_button(&ada), "disable_user_credential"),
        ] {
            ada.press(&button);
            ada.is_told("Waiting for your phone");
            site.fails(endpoint);
            site.respond_on_phone(true);
            ada.is_told(OUTAGE);
            site.emulator.clear_faults();
            ada.is_told("It is disabled.");
        }
    }
}

pub(crate) fn of_the_portal_itself() {
    const NO_PORTAL: &str = "This website does not respond. Please try again.";
    let site = Site::start(V4);
    let ada = site.open("/");
    // As in a train's tunnel.
    let offline = "window.online = window.fetch;
        window.fetch = async () => { throw new TypeError('Failed to fetch'); }";
    ada.0.run(offline, &[]);
    ada.0.fill("#name", ADA);
    ada.press("Ask my phone");
    ada.is_told(NO_PORTAL);
    ada.0.run("window.fetch = window.online", &[]);
    // While the phone is asked, the page goes on by itself.
    ada.ask_phone(ADA);
    ada.0.run(offline, &[]);
    ada.is_told(NO_PORTAL);
    ada.0.run("window.fetch = window.online", &[]);
    ada.is_told("Waiting for your phone");
    site.respond_on_phone(true);
    ada.sees_account_of(ADA);
}
