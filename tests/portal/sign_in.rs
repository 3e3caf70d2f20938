//! Registration and sign-in by each method, and how they can end.

use std::time::{Duration, Instant};

use autharmor::ApiVersion::{V3, V4};
use serde_json::json;

use crate::site::{ADA, BOTH, EVE, Site, Visitor};

pub(crate) const NEW: &str = "grace@example.com";
const DECLINED: &str = "The request was declined on the phone.";
const LATE: &str = "Nobody responded in time.";
const GONE: &str = "This has ended, or it began in another browser.";
const USED: &str = "This link was used, or asked for in another browser.";
const OLD_LINK: &str = "This link is too old or was replaced.";

/// Registers a new user, who is then signed in.
pub(crate) fn register(site: &Site) -> Visitor {
    let grace = site.open("/");
    grace.ask_to_register(site, NEW);
    grace.use_link(site);
    grace.sees_account_of(NEW);
    grace
}

pub(crate) fn a_new_user_registers_by_mail() {
    for version in BOTH {
        let site = Site::start(version);
        let grace = register(&site);
        grace.sees("Mail");
        grace.log_out();
        grace.ask_for_link(NEW);
        grace.use_link(&site);
        grace.sees_account_of(NEW);
        grace.sees("approved");
    }
}

pub(crate) fn an_address_that_has_an_account_is_not_registered_again() {
    let site = Site::start(V4);
    let ada = site.open("/");
    ada.ask_to_register(&site, ADA);
    assert!(site.emulator.outbox().is_empty());
}

pub(crate) fn a_link_signs_in() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open_as_ada();
        ada.visit(&site, "/account");
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn a_session_that_goes_on_does_not_end() {
    let site = Site::start(V4);
    let ada = site.open("/");
    ada.ask_for_link(ADA);
    site.age_sessions(Duration::from_secs(25 * 60));
    ada.ask_for_link(ADA);
    site.age_sessions(Duration::from_secs(25 * 60));
    ada.use_link(&site);
    ada.sees_account_of(ADA);
    // Until half an hour after the last request of somebody who is not signed in.
    ada.log_out();
    ada.ask_for_link(ADA);
    site.age_sessions(Duration::from_secs(31 * 60));
    ada.use_link(&site);
    ada.is_told(USED);
}

pub(crate) fn a_session_ends_after_eight_hours() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    site.age_sessions(Duration::from_secs(7 * 3600));
    ada.visit(&site, "/account");
    ada.sees_account_of(ADA);
    site.age_sessions(Duration::from_secs(3600));
    ada.visit(&site, "/account");
    ada.sees("No account yet?");
    ada.visit(&site, "/account");
    ada.sees("No account yet?");
}

pub(crate) fn a_phone_is_added_and_signs_in() {
    for version in BOTH {
        let site = Site::start(version);
        let grace = register(&site);
        grace.press("Add a phone");
        grace.sees("Scan this code");
        grace.is_told("Waiting for your phone");
        site.enrol_phone();
        grace.is_told("It is added to your account.");
        grace.sees("Phone");
        grace.log_out();

        let shown = grace.ask_phone(NEW);
        let request = site.emulator.pending_requests().pop().unwrap();
        assert_eq!(request.visual_verify_value.as_deref(), Some(&*shown));
        site.respond_on_phone(true);
        grace.sees_account_of(NEW);
    }
}

pub(crate) fn a_passkey_is_added_and_signs_in() {
    for version in BOTH {
        let site = Site::start(version);
        let grace = register(&site);
        grace.add_passkey();
        // Without a name, and with it.
        for name in ["", NEW] {
            grace.log_out();
            grace.0.fill("#name", name);
            grace.press("Use a passkey");
            grace.sees_account_of(NEW);
        }
    }
}

/// Lets the time of everything pass that waits for a user.
fn silence(site: &Site) {
    site.emulator.advance(Duration::from_secs(100_000));
}

pub(crate) fn each_end_of_a_push_says_so() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        ada.ask_phone(ADA);
        site.respond_on_phone(false);
        ada.is_told(DECLINED);
        ada.ask_phone(ADA);
        silence(&site);
        ada.is_told(LATE);
        // And the next attempt works.
        ada.ask_phone(ADA);
        site.respond_on_phone(true);
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn an_approval_that_is_seen_too_late_says_so() {
    for version in BOTH {
        // The time for the validation passes in the same moment.
        let approval = Duration::from_secs(50);
        let site = Site::with(version, |builder| builder.approve_after(approval), |_| ());
        let ada = site.open("/");
        ada.ask_phone(ADA);
        site.emulator.advance(Duration::from_secs(200));
        ada.is_told(LATE);
    }
}

pub(crate) fn each_end_of_a_phones_registration_says_so() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    ada.press("Add a phone");
    ada.is_told("Waiting for your phone");
    let waiting = site.emulator.pending_registrations().pop().unwrap();
    let id = waiting.registration_id;
    site.emulator.decline_registration(id).unwrap();
    ada.is_told(DECLINED);
    ada.press("Add a phone");
    ada.is_told("Waiting for your phone");
    silence(&site);
    ada.is_told(LATE);
    ada.press("Add a phone");
    ada.is_told("Waiting for your phone");
    site.enrol_phone();
    ada.is_told("It is added to your account.");
    // The service of v3 tells success alone.
    let site = Site::with(
        V3,
        |builder| builder,
        |portal| portal.patience = Duration::ZERO,
    );
    let ada = site.open_as_ada();
    ada.press("Add a phone");
    ada.is_told(LATE);
}

pub(crate) fn a_link_ends_with_its_time() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        ada.ask_for_link(ADA);
        let landing = site.opened_link();
        silence(&site);
        ada.visit_url(&landing);
        ada.press("Continue");
        ada.is_told(OLD_LINK);

        ada.ask_to_register(&site, NEW);
        let landing = site.opened_link();
        silence(&site);
        ada.visit_url(&landing);
        ada.press("Continue");
        ada.is_told(OLD_LINK);
        assert_eq!(site.emulator.users().len(), 1);
    }
}

pub(crate) fn a_passkey_that_is_used_too_late_says_so() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open_as_ada();
        ada.add_passkey();
        ada.log_out();
        let hesitates = "const get = navigator.credentials.get.bind(navigator.credentials);
            navigator.credentials.get = async (options) => {
                await new Promise((done) => { window.decide = done; });
                return get(options);
            }";
        ada.0.run(hesitates, &[]);
        ada.press("Use a passkey");
        ada.0
            .wait_for_value("return typeof window.decide", "function");
        silence(&site);
        ada.0.run("window.decide()", &[]);
        ada.is_told("That did not work.");
    }
}

pub(crate) fn the_second_use_of_a_link_says_so() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        ada.ask_for_link(ADA);
        let landing = site.opened_link();
        ada.visit_url(&landing);
        // A mail program that opens the page before the user does changes nothing.
        let scanner = site.open("/");
        scanner.visit_url(&landing);
        ada.press("Continue");
        ada.sees_account_of(ADA);
        ada.visit_url(&landing);
        ada.press("Continue");
        ada.is_told(USED);
        ada.visit(&site, "/account");
        ada.log_out();
        ada.visit_url(&landing);
        ada.press("Continue");
        ada.is_told(USED);
    }
}

/// The mail's own link leads to the page once.
pub(crate) fn the_second_click_in_a_mail_says_so() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        ada.ask_for_link(ADA);
        let mail = site.emulator.outbox().pop().unwrap();
        ada.visit_url(&mail.link);
        ada.press("Continue");
        ada.sees_account_of(ADA);
        ada.visit_url(&mail.link);
        // The service says so, not the portal.
        ada.sees("no such magic link, or it was used");
        ada.visit(&site, "/account");
        ada.sees_account_of(ADA);
    }
}

/// What an attacker does to a registration that has begun.
pub(crate) fn a_wrong_link_does_not_use_up_the_right_one() {
    for version in BOTH {
        let site = Site::start(version);
        let eve = site.open("/");
        eve.ask_to_register(&site, EVE);
        let others = site.opened_link();
        let grace = site.open("/");
        grace.ask_to_register(&site, NEW);
        let own = site.opened_link();
        let made_up = format!("{}/link{}", site.origin, WRONG_LINKS[2]);
        for wrong in [&others, &made_up] {
            grace.visit_url(wrong);
            grace.press("Continue");
            grace.is_told(OLD_LINK);
        }
        grace.visit_url(&own);
        grace.press("Continue");
        grace.sees_account_of(NEW);
    }
}

pub(crate) fn only_the_newest_link_signs_in() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        ada.ask_for_link(ADA);
        let older = site.opened_link();
        ada.ask_for_link(ADA);
        let newest = site.opened_link();
        // One that was cut at the end of a line, too.
        for wrong in [&older, newest.split('&').next().unwrap()] {
            ada.visit_url(wrong);
            ada.press("Continue");
            ada.is_told(OLD_LINK);
        }
        ada.visit_url(&newest);
        ada.press("Continue");
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn a_link_in_another_browser_says_so() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        ada.ask_for_link(ADA);
        let landing = site.opened_link();
        let other = site.open("/");
        other.visit_url(&landing);
        other.press("Continue");
        other.is_told(USED);
        // The link is not used up.
        ada.visit_url(&landing);
        ada.press("Continue");
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn the_newest_of_two_tabs_goes_on() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open("/");
        let first = ada.0.get("window");
        ada.ask_phone(ADA);
        ada.opens_new_tab();
        ada.visit(&site, "/");
        let second = ada.0.get("window");
        let shown = ada.ask_phone(ADA);
        ada.goes_to_tab(&first);
        ada.is_told(GONE);
        let requests = site.emulator.pending_requests();
        let newest = requests
            .iter()
            .find(|one| one.visual_verify_value.as_deref() == Some(&shown));
        site.emulator
            .approve(newest.unwrap().auth_request_id)
            .unwrap();
        ada.goes_to_tab(&second);
        ada.sees_account_of(ADA);
        // The first is signed in as well.
        ada.goes_to_tab(&first);
        ada.visit(&site, "/account");
        ada.sees_account_of(ADA);
    }
}

pub(crate) fn the_back_button_shows_no_account_after_logging_out() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open_as_ada();
        // Signing in has replaced its page: there is no way back to the button.
        ada.visit(&site, "/register");
        ada.0.back();
        ada.sees_account_of(ADA);
        ada.visit(&site, "/register");
        ada.visit(&site, "/account");
        ada.sees_account_of(ADA);
        ada.log_out();
        ada.0.back();
        ada.sees("You have an account?");
        // This page was the account page.
        ada.0.back();
        ada.sees("No account yet?");
        assert!(!ada.text().contains(ADA), "{}", ada.text());
        ada.visit(&site, "/account");
        ada.sees("No account yet?");
    }
}

pub(crate) fn a_user_who_cancels_the_passkey_can_try_again() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    ada.add_passkey();
    ada.log_out();
    let cancels = "navigator.credentials.get = async () => {
        delete navigator.credentials.get;
        throw new DOMException('The user cancelled.', 'NotAllowedError'); }";
    ada.0.run(cancels, &[]);
    ada.press("Use a passkey");
    ada.is_told("No passkey was used. You can try again.");
    ada.press("Use a passkey");
    ada.sees_account_of(ADA);
}

/// What a visitor can tell of a beginning.
fn signs(visitor: &Visitor, site: &Site, name: &str, button: &str) -> Vec<String> {
    visitor.visit(site, "/");
    visitor.0.fill("#name", name);
    // The page's answer, without what differs each time.
    visitor.0.run(
        "const fetch = window.fetch; window.replies = [];
        window.fetch = async (...request) => {
            const response = await fetch(...request);
            const reply = await response.clone().json();
            window.replies.push([request[0], response.status, Object.keys(reply).join(),
                reply.text ?? '', (reply.value ?? '').length, /viewBox=.[ 0-9]*/.exec(reply.qr),
                JSON.stringify({ ...reply.get, challenge: null })].join(' '));
            return response;
        };",
        &[],
    );
    visitor.press(button);
    autharmor_test_support::browser::wait_for("a reply", || {
        let replies = visitor.0.run("return window.replies", &[]);
        let enough = button != "Ask my phone" || replies.as_array()?.len() > 1;
        let replies: Vec<String> = serde_json::from_value(replies).ok()?;
        (enough && !replies.is_empty()).then_some(replies[..replies.len().min(2)].to_vec())
    })
}

/// Queries of no link, of a sign-in's and of a registration's.
const WRONG_LINKS: [&str; 3] = [
    "?x=y",
    "?auth_validation_token=x&auth_request_id=5b1d7d5e-0000-4000-8000-000000000001",
    "?registration_validation_token=x&registration_id=5b1d7d5e-0000-4000-8000-000000000001",
];

pub(crate) fn nobody_learns_who_has_an_account() {
    for version in BOTH {
        let site = Site::start(version);
        let ada = site.open_as_ada();
        ada.add_passkey();
        let eve = site.open("/");
        for button in ["Use a passkey", "Ask my phone", "Mail me a link"] {
            let known = signs(&eve, &site, ADA, button);
            let unknown = signs(&eve, &site, EVE, button);
            assert_eq!(known, unknown, "{button}");
        }
        // Nor from the cookie, or from wrong links after it.
        for page in ["/", "/register"] {
            let [known, unknown] = [ADA, EVE].map(|name| {
                let path = if page == "/" { "/link" } else { page };
                let eve = site.open(page);
                let begun = eve.posts(path, &json!({ "name": name }));
                let wrong = WRONG_LINKS.map(|query| {
                    let wrong = json!({ "id": "link", "input": query });
                    eve.posts("/continue", &wrong)
                });
                (begun, eve.session().is_some(), wrong)
            });
            assert_eq!(known, unknown, "{page}");
        }
        // The end of both is the same.
        eve.visit(&site, "/");
        eve.ask_phone(EVE);
        site.emulator.advance(Duration::from_secs(61));
        eve.is_told(LATE);
    }
}

pub(crate) fn what_strangers_try_takes_its_time() {
    const PACE: Duration = Duration::from_secs(2);
    let site = Site::with(V4, |builder| builder, |portal| portal.pace = PACE);
    let eve = site.open("/");
    let takes_a_pace = |path: &str, body| {
        let start = Instant::now();
        let reply = eve.posts(path, &body);
        assert!(start.elapsed() >= PACE, "{path} {:?}", start.elapsed());
        reply
    };
    for path in ["/passkey", "/phone", "/link", "/register"] {
        for name in [ADA, EVE] {
            let (status, _) = takes_a_pace(path, json!({ "name": name }));
            assert_eq!(status, 200, "{path} {name}");
            if ["/link", "/register"].contains(&path) {
                let wrong = json!({ "id": "link", "input": WRONG_LINKS[2] });
                assert_eq!(takes_a_pace("/continue", wrong).0, 400, "{path} {name}");
            }
        }
    }
}

pub(crate) fn attempts_are_limited() {
    const TOO_MANY: &str = "Too many attempts. Please wait ten minutes.";
    let site = Site::start(V4);
    let eve = site.open("/");
    // Whether the name has an account or not, from any browser, for each way.
    for path in ["/phone", "/link", "/register"] {
        for name in [ADA, EVE] {
            for _ in 0..5 {
                assert_eq!(eve.posts(path, &json!({ "name": name })).0, 200);
            }
            let refused = eve.posts(path, &json!({ "name": name }));
            assert_eq!(refused, (429, TOO_MANY.to_owned()), "{path} {name}");
        }
        site.age_attempts(Duration::from_secs(300));
        site.age_attempts(Duration::from_secs(300));
    }
    for name in [ADA, EVE] {
        for _ in 0..5 {
            assert_eq!(eve.posts("/phone", &json!({ "name": name })).0, 200);
        }
        let other = site.open("/");
        other.0.fill("#name", name);
        other.press("Ask my phone");
        other.is_told(TOO_MANY);
        // The limit ends, and not before its time.
        site.age_attempts(Duration::from_secs(300));
        other.press("Ask my phone");
        other.is_told(TOO_MANY);
        site.age_attempts(Duration::from_secs(300));
        other.press("Ask my phone");
        other.is_told("Waiting for your phone");
    }
    // All names together.
    let passkeys = (0..61).map(|_| eve.posts("/passkey", &json!({"name": ""})).0);
    assert_eq!(passkeys.filter(|status| *status == 429).count(), 2);
}
