//! The page, used by keyboard and mouse.

use std::time::{Duration, Instant};

use autharmor::emulator::Emulator;
use autharmor_test_support::browser::{Browser, ENTER, TAB, send, wait_for};
use serde_json::{Value, json};

use crate::backend::Backend;

const APPROVED: (i64, i64) = (4, 8);
const DECLINED: (i64, i64) = (2, 3);

/// An emulator with these users and a browser that shows its page.
fn open(users: &[&str]) -> (Backend, Browser) {
    let browser = Browser::open();
    let backend = Backend::start(users);
    browser.visit(&backend.page());
    browser.wait_for_text("#status", "Connected");
    (backend, browser)
}

pub(crate) fn the_page_lists_the_users() {
    let (_backend, browser) = open(&["ada@example.com", "grace"]);
    assert_eq!(browser.text("title"), "Auth Armor emulator");
    assert_eq!(browser.text("#users h2"), "Users (2)");
    let methods = "AuthArmorAuthenticator, Magiclink_Email";
    for part in ["ada@example.com", "grace", methods] {
        browser.wait_for_text("#users", part);
    }
    assert!(
        browser
            .text("#requests")
            .contains("There are no pending sign-ins")
    );
}

pub(crate) fn a_sign_in_can_be_approved_by_keyboard() {
    let (backend, browser) = open(&["ada", "grace"]);
    let first = backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests", "ada");
    browser.wait_for_text("#status", "New: sign-in");
    let second = backend.start_sign_in(Some("grace"));
    browser.wait_for_text("#requests", "grace");
    assert!(backend.is_waiting(&first));

    browser.tab_to("Approve: ada");
    browser.press(ENTER);
    browser.wait_for_no_text("#requests", "ada");
    browser.wait_for_text("#status", "Approved: ada");
    assert_eq!(backend.state(&first), APPROVED);
    assert!(backend.is_waiting(&second));
    // The button that had the focus was removed: the next one gets it.
    browser.wait_for_focus("Approve: grace");
    browser.press(ENTER);
    browser.wait_for_text("#requests h2", "(0)");
    assert_eq!(backend.state(&second), APPROVED);
    browser.wait_for_focus("Pending sign-ins (0)");
}

pub(crate) fn every_control_is_reached_by_tab_and_shows_its_focus() {
    let (backend, browser) = open(&["ada"]);
    backend.start_sign_in(Some("ada"));
    backend.emulator.clear_requests();
    browser.wait_for_text("#requests h2", "(1)");
    browser.wait_for_text("#calls h2", "(0)");
    for label in [
        "Skip to the pending sign-ins",
        "Refresh now",
        "Pause refreshing",
        "Reset everything",
        "Copy",
        "Environment variables",
        "Approve: ada",
        "Decline: ada",
        "Link of the QR code: ada",
        "Only refused",
        "Text of the QR code (qr_code_data)",
        "Username (for a sign-in without a user)",
        "Scan",
        "Decision",
        "Seconds after the start",
        "Set the decision",
        "+1 minute",
        "+5 minutes",
        "+1 hour",
        "+1 day",
        "Expire all access tokens",
        "Kind",
        "Status",
        "Endpoint",
        "Calls (empty: all)",
        "Add the fault",
        "Calls",
        "Seconds",
        "Endpoint",
        "Set the limit",
        "Username or e-mail address",
        "Add",
    ] {
        browser.press(TAB);
        browser.wait_for_focus(label);
        browser.wait_for_value(
            "return getComputedStyle(document.activeElement).outlineStyle",
            "solid",
        );
    }
    browser.press(TAB);
    browser.press(ENTER);
    browser.wait_for_text("#route-list", "/_emulator/approve");
    browser.wait_for_value("return document.querySelector('details').open", true);
}

pub(crate) fn a_sign_in_can_be_declined_by_mouse() {
    let (backend, browser) = open(&["ada"]);
    let id = backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests", "ada");
    browser.click("#requests", "Decline: ada");
    browser.wait_for_text("#status", "Declined: ada");
    assert_eq!(backend.state(&id), DECLINED);
}

pub(crate) fn a_request_without_a_user_asks_for_a_username() {
    let (backend, browser) = open(&["ada", "grace"]);
    let id = backend.start_sign_in(None);
    browser.wait_for_text("#requests", "any user");
    browser.tab_to("Approve: any user");
    browser.press(ENTER);
    // Nothing is sent without a name: the empty field gets the focus.
    browser.wait_for_focus("Username");
    browser.type_text("nobody");
    browser.press(TAB);
    browser.press(ENTER);
    browser.wait_for_text("#status", "Approve failed");
    assert!(backend.is_waiting(&id));

    browser.fill("#requests li input", "grace");
    browser.click("#requests", "Approve: any user");
    browser.wait_for_text("#status", "Approved");
    assert_eq!(backend.state(&id), APPROVED);
}

pub(crate) fn a_magic_link_signs_in_and_is_marked_as_used() {
    let (backend, browser) = open(&["ada@example.com"]);
    let request = json!({
        "username": "ada@example.com",
        "action_name": "Login",
        "short_msg": "Is this you?",
        "auth_redirect_url": "https://app.example.com/landing",
    });
    let started = backend.post("/v4/auth/magiclink_email/start", &request);
    let id = started["auth_request_id"].as_str().unwrap();
    browser.wait_for_text("#requests", "Open the magic link in the outbox.");
    assert!(!browser.text("#requests").contains("Approve"));
    browser.wait_for_text("#outbox", "ada@example.com");

    let button = "Open the magic link: Login at Emulated Project";
    browser.click("#outbox", button);
    let redirect = "Redirected to https://app.example.com/landing?auth_validation_token=";
    browser.wait_for_text("#outbox", redirect);
    assert_eq!(backend.state(id), APPROVED);
    let note = browser.text("#outbox .note");
    let (_, token) = note.split_once("auth_validation_token=").unwrap();
    let (token, _) = token.split_once('&').unwrap();
    let validated = backend.post(
        "/v4/auth/magiclink_email/validate",
        &json!({"auth_request_id": id, "auth_validation_token": token}),
    );
    let details = &validated["validate_auth_response_details"];
    assert_eq!(details["authorized"], true);

    browser.wait_for_text("#outbox .badge", "link used");
    let offered = "return [...document.querySelectorAll('#outbox li button, #outbox li a')]
        .filter((control) => control.checkVisibility()).length";
    browser.wait_for_value(offered, 0);

    // Its sign-in has timed out.
    backend.post("/v4/auth/magiclink_email/start", &request);
    browser.wait_for_text("#outbox h2", "(2)");
    backend.emulator.advance(Duration::from_secs(100_000));
    browser.wait_for_text("#outbox .badge", "link no longer valid");
}

pub(crate) fn a_registration_is_accepted_scanned_or_declined() {
    let (backend, browser) = open(&[]);
    let invite = |name: &str| {
        let path = "/v4/users/registrations/authenticator/start";
        backend.post(path, &json!({ "username": name }))
    };
    let status = |started: &Value| {
        let id = started["registration_id"].as_str().unwrap();
        let path = format!("/v4/users/registrations/{id}");
        let response = backend.exchange("GET", &path, &backend.bearer, "");
        response["registration_status_code"].as_i64().unwrap()
    };
    let (ada, grace) = (invite("ada"), invite("grace"));
    browser.wait_for_text("#registrations", "grace");
    browser.click("#registrations", "Accept only: ada");
    browser.wait_for_text("#status", "Accepted: ada");
    assert_eq!(status(&ada), 6);
    browser.click("#registrations", "Scan and enrol: ada");
    browser.wait_for_text("#status", "Enrolled: ada");
    assert_eq!(status(&ada), 8);
    browser.click("#registrations", "Decline: grace");
    browser.wait_for_text("#status", "Declined: grace");
    assert_eq!(status(&grace), 3);

    let joan = invite("joan");
    let code = joan["qr_code_data"].as_str().unwrap();
    browser.wait_for_text("#registrations", "joan");
    browser.fill("#scan [name=code]", code);
    browser.press(ENTER);
    browser.wait_for_text("#status", "Scanned: the phone has enrolled.");
    assert_eq!(status(&joan), 8);
}

pub(crate) fn markup_in_names_is_shown_as_text() {
    let name =
        "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    let (backend, browser) = open(&["ada", name]);
    backend.start_sign_in(Some(name));
    browser.wait_for_text("#requests", name);
    browser.wait_for_text("#requests", "Is <b>this</b> you?");
    browser.wait_for_text("#users", name);
    let foreign = "return document.querySelectorAll('img, main b, main script').length";
    assert_eq!(browser.run(foreign, &[]), 0);
    browser.tab_to(&format!("Approve: {name}"));
    browser.press(ENTER);
    browser.wait_for_text("#status", &format!("Approved: {name}"));
    assert_eq!(browser.text("title"), "Auth Armor emulator");
}

pub(crate) fn refreshing_keeps_focus_and_forms() {
    let (backend, browser) = open(&["ada", "grace"]);
    backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests", "ada");
    browser.tab_to("Decline: ada");
    let before = browser.get("element/active");
    backend.start_sign_in(Some("grace"));
    browser.wait_for_text("#requests", "grace");
    backend.emulator.add_user("joan").unwrap();
    browser.wait_for_text("#users", "joan");
    assert_eq!(browser.get("element/active"), before);

    browser.fill("#add [name=username]", "mary");
    backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests h2", "(3)");
    browser.press(ENTER);
    browser.wait_for_text("#users", "mary");
}

pub(crate) fn pausing_stops_the_refreshing() {
    let (backend, browser) = open(&["ada"]);
    browser.tab_to("Pause refreshing");
    browser.press(ENTER);
    browser.wait_for_text("#status", "paused");
    // A refresh may still run; this one comes after it.
    browser.click_on("#refresh");
    browser.wait_for_text("#status", "Refreshed");
    backend.start_sign_in(Some("ada"));
    let polls = "return performance.getEntriesByType('resource').length";
    let before = browser.run(polls, &[]);
    // Only time can show that nothing happens.
    let two_rounds = Instant::now() + Duration::from_secs(3);
    wait_for("two rounds", || (Instant::now() > two_rounds).then_some(()));
    assert_eq!(browser.run(polls, &[]), before);
    assert_eq!(browser.text("#requests h2"), "Pending sign-ins (0)");

    browser.click_on("#pause");
    browser.wait_for_text("#requests", "ada");
}

pub(crate) fn resetting_asks_first() {
    let (backend, browser) = open(&["ada"]);
    backend.emulator.add_user("grace").unwrap();
    browser.wait_for_text("#users", "grace");
    browser.tab_to("Reset everything");
    browser.press(ENTER);
    browser.post("alert/dismiss", &json!({}));
    assert_eq!(backend.emulator.users().len(), 2);
    browser.press(ENTER);
    browser.post("alert/accept", &json!({}));
    browser.wait_for_no_text("#users", "grace");
    assert_eq!(backend.emulator.users().len(), 1);
}

pub(crate) fn a_stopped_emulator_is_reported() {
    let (backend, browser) = open(&["ada"]);
    drop(backend);
    browser.wait_for_text("#status", "does not respond");
    assert!(browser.text("#users").contains("ada"));
}

pub(crate) fn the_page_fits_small_screens_and_dark_mode() {
    let (backend, browser) = open(&["ada@example.com"]);
    backend.emulator.add_user("x".repeat(80)).unwrap();
    backend.start_sign_in(Some("ada@example.com"));
    browser.wait_for_text("#requests", "ada");
    browser.wait_for_text("#users", "xxx");
    browser.resize(320, 640);
    browser.wait_for_value("return document.documentElement.scrollWidth", 320);
    for (scheme, color) in [("light", "rgb(246, 247, 249)"), ("dark", "rgb(20, 24, 29)")] {
        browser.color_scheme(scheme);
        let paper = "return getComputedStyle(document.body).backgroundColor";
        browser.wait_for_value(paper, color);
    }
}

pub(crate) fn the_connection_data_comes_first() {
    let (backend, browser) = open(&["ada"]);
    let first = "return document.querySelector('main > *').id";
    assert_eq!(browser.run(first, &[]), "connection");
    let expected: Vec<String> = backend
        .emulator
        .environment()
        .iter()
        .map(|(name, value)| format!("export {name}={value}"))
        .collect();
    assert_eq!(browser.text("#environment"), expected.join("\n"));
    assert_eq!(browser.text("#mode"), "strict");
    browser.click_on("#copy");
    browser.wait_for_text("#status", "Copied.");
    // The root leads to the page.
    browser.visit(backend.emulator.base_url());
    browser.wait_for_value("return location.href", backend.page());
}

pub(crate) fn sixty_users_are_shown_by_tens_and_searched() {
    let names: Vec<String> = (0..60)
        .map(|at| format!("user-{at:02}@example.com"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (backend, browser) = open(&names);
    for name in &names[..8] {
        backend.start_sign_in(Some(name));
        let body = json!({"username": name, "auth_redirect_url": "https://app.example.com/"});
        backend.post("/v4/auth/magiclink_email/start", &body);
    }
    let wrong = json!({"username": names[0], "timeout_in_seconds": "60"});
    backend.refused("/v4/auth/authenticator/start", &wrong);
    browser.wait_for_text("#calls h2", "(18)");
    let shown = "return document.querySelectorAll('#users li').length";
    assert_eq!(browser.text("#users h2"), "Users (60)");
    assert_eq!(
        browser.text("#users li h3"),
        "user-59@example.com",
        "newest first"
    );
    browser.wait_for_value(shown, 10);
    for scheme in ["light", "dark"] {
        browser.color_scheme(scheme);
        browser.resize(360, 2400);
        browser.screenshot(&format!("emulator-page-{scheme}-narrow.png"));
        browser.resize(1440, 1400);
        browser.screenshot(&format!("emulator-page-{scheme}.png"));
    }

    browser.click_on("#users .more");
    browser.wait_for_text("#users .more", "Show more (40)");
    browser.wait_for_value(shown, 20);
    browser.fill("#users [type=search]", "USER-07");
    browser.wait_for_text("#users h2", "(1)");
    browser.wait_for_value(shown, 1);
    browser.wait_for_text("#users li h3", "user-07@example.com");
    browser.fill("#users [type=search]", "nobody");
    browser.wait_for_text("#users .empty", "Nothing matches.");
    browser.fill("#outbox [type=search]", "user-03");
    browser.wait_for_text("#outbox h2", "(1)");
}

pub(crate) fn the_link_of_a_qr_code_leads_to_its_scan() {
    let (backend, browser) = open(&["ada"]);
    let body = json!({"username": "joan"});
    let started = backend.post("/v4/users/registrations/authenticator/start", &body);
    browser.visit(started["qr_code_data"].as_str().unwrap());
    browser.wait_for_text("#status", "The QR code is ready to scan");
    browser.wait_for_value("return location.href", backend.page());
    browser.press(ENTER);
    browser.wait_for_text("#status", "Scanned: the phone has enrolled.");

    // A sign-in without a user, by the link on its card.
    let id = backend.start_sign_in(None);
    browser.wait_for_text("#requests", "any user");
    let link = "return document.querySelector('#requests li a').href";
    let link = browser.run(link, &[]);
    browser.visit(link.as_str().unwrap());
    browser.wait_for_text("#status", "The QR code is ready to scan");
    browser.type_text("ada");
    browser.press(ENTER);
    browser.wait_for_text("#status", "Scanned: the phone shows the sign-in.");
    browser.wait_for_text("#requests h3", "ada");
    browser.click("#requests", "Approve: ada");
    browser.wait_for_text("#status", "Approved: ada");
    assert_eq!(backend.state(&id), APPROVED);
}

pub(crate) fn calls_are_listed_and_refusals_explained() {
    let (backend, browser) = open(&["ada"]);
    let wrong = json!({"username": "ada", "timeout_in_seconds": "60"});
    backend.refused("/v4/auth/authenticator/start", &wrong);
    let port = backend.emulator.address().port();
    let (status, _) = send(port, "GET", "/v4/users", "", "").unwrap();
    assert_eq!(status, 401);
    send(port, "GET", "/v4/users", "Host: twice\r\n", "").unwrap();
    // Newest first.
    browser.wait_for_text("#calls h2", "(4)");
    let list = "return [...document.querySelectorAll('#calls li')].map((row) =>
        ['strong', '.path', '.error'].map((part) => row.querySelector(part).textContent))";
    let start = "POST /v4/auth/authenticator/start";
    let no_token = "the request has no bearer token, or more than one";
    browser.wait_for_value(
        list,
        json!([
            ["400", "not a request", "malformed HTTP"],
            ["401", "GET /v4/users", no_token],
            ["400", start, "timeout_in_seconds has the wrong type"],
            ["200", "POST /connect/token", ""],
        ]),
    );
    browser.click_on("#calls [type=checkbox]");
    browser.wait_for_text("#calls h2", "(3)");
    // The details have no credentials.
    browser.click_on("#calls li:nth-child(3) summary");
    browser.wait_for_text("#calls li:nth-child(3) pre", r#""timeout_in_seconds":"60""#);
    let details = browser.text("#calls pre");
    assert!(!details.contains(backend.bearer["Authorization: Bearer ".len()..].trim_end()));
    browser.screenshot("emulator-page-refusal.png");
    browser.click_on("#calls [type=checkbox]");
    for _ in 0..3 {
        backend.refused("/v4/auth/authenticator/start", &wrong);
    }
    browser.wait_for_text("#calls h2", "(7)");
    browser.fill("#calls [type=search]", "connect/token");
    browser.wait_for_text("#calls h2", "(1)");
}

pub(crate) fn clock_and_tokens_are_moved_by_buttons() {
    let (backend, browser) = open(&["ada"]);
    assert!(backend.emulator.now().starts_with("2020-01-01T00:00"));
    for button in ["60", "300", "3600"] {
        browser.click_on(&format!("#clock [data-seconds='{button}']"));
        browser.wait_for_text("#status", "The clock was moved ahead");
        browser.click_on("#refresh");
        browser.wait_for_text("#status", "Refreshed.");
    }
    assert!(backend.emulator.now().starts_with("2020-01-01T01:06"));
    browser.wait_for_text("#now", "2020-01-01");
    browser.click_on("#clock [data-seconds='86400']");
    browser.wait_for_text("#now", "2020-01-02");

    browser.click_on("#expire");
    browser.wait_for_text("#status", "All access tokens have expired.");
    let port = backend.emulator.address().port();
    let (status, _) = send(port, "GET", "/v4/users", &backend.bearer, "").unwrap();
    assert_eq!(status, 401);
}

pub(crate) fn faults_are_added_and_removed() {
    let (backend, browser) = open(&["ada"]);
    let port = backend.emulator.address().port();
    let list_users = || send(port, "GET", "/v4/users", &backend.bearer, "").map(|got| got.0);
    browser.choose("#fault [name=endpoint]", "list_users");
    browser.fill("#fault [name=value]", "418");
    browser.click_on("#fault .stop");
    browser.wait_for_text("#active-faults", "status on list_users, 1 call");
    assert_eq!(list_users().unwrap(), 418);
    browser.wait_for_text("#calls .error", "fault status");
    browser.wait_for_no_text("#active-faults", "status");
    assert_eq!(list_users().unwrap(), 200);

    browser.choose("#fault [name=kind]", "slow_body");
    browser.fill("#fault [name=value]", "1");
    browser.click_on("#fault .stop");
    browser.wait_for_text("#active-faults", "slow_body on list_users, 1 call");
    assert_eq!(list_users().unwrap(), 200);
    browser.wait_for_text("#calls .error", "fault slow_body");

    browser.choose("#fault [name=kind]", "drop_before_response");
    browser.choose("#fault [name=endpoint]", "*");
    browser.fill("#fault [name=times]", "");
    browser.click_on("#fault .stop");
    browser.wait_for_text("#active-faults", "drop_before_response on all endpoints");
    assert!(list_users().is_ok_and(|status| status == 0) || list_users().is_err());
    browser.click_on("#clear-faults");
    browser.wait_for_text("#status", "All faults were removed.");
    browser.wait_for_no_text("#active-faults", "drop_before_response");
    assert_eq!(list_users().unwrap(), 200);
}

pub(crate) fn rate_limits_are_set_and_removed() {
    let (backend, browser) = open(&["ada"]);
    let port = backend.emulator.address().port();
    let list_users = || {
        let response = send(port, "GET", "/v4/users", &backend.bearer, "");
        response.unwrap().0
    };
    browser.choose("#limit [name=endpoint]", "list_users");
    browser.fill("#limit [name=calls]", "1");
    browser.fill("#limit [name=seconds]", "3600");
    browser.click_on("#limit .stop");
    browser.wait_for_text("#active-limits", "1 call in 3600 s on list_users");
    assert_eq!((list_users(), list_users()), (200, 429));
    browser.wait_for_text("#calls .error", "the rate limit is reached");
    browser.click_on("#clear-limits");
    browser.wait_for_text("#status", "All limits were removed.");
    browser.wait_for_no_text("#active-limits", "list_users");
    assert_eq!(list_users(), 200);
}

pub(crate) fn what_was_tolerated_is_shown() {
    let browser = Browser::open();
    let builder = Emulator::builder().plain_http().tolerant(true).user("ada");
    let backend = Backend::of(builder);
    let body = json!({"username": "ada", "timeout_in_seconds": "60", "colour": null});
    backend.post("/v4/auth/authenticator/start", &body);
    browser.visit(&backend.page());
    browser.wait_for_text("#mode", "tolerant");
    browser.wait_for_text("#calls .warnings", "tolerated: unknown field: colour");
    browser.wait_for_text("#calls li:first-child strong", "200");
    browser.click_on("#calls li:first-child summary");
    browser.screenshot("emulator-page-tolerant.png");
}

pub(crate) fn sign_ins_are_decided_automatically() {
    let (backend, browser) = open(&["ada"]);
    assert_eq!(browser.text("#automatic-now"), "They wait for you.");
    for (decision, shown, state) in [
        ("approve", "Approved 0 s after their start.", APPROVED),
        ("decline", "Declined 0 s after their start.", DECLINED),
    ] {
        browser.choose("#automatic [name=decision]", decision);
        browser.click_on("#automatic button");
        browser.wait_for_text("#automatic-now", shown);
        let id = backend.start_sign_in(Some("ada"));
        assert_eq!(backend.state(&id), state);
    }
    browser.choose("#automatic [name=decision]", "ignore");
    browser.click_on("#automatic button");
    browser.wait_for_text("#automatic-now", "They wait for you.");
    let id = backend.start_sign_in(Some("ada"));
    assert!(backend.is_waiting(&id));
}
