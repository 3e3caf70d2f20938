//! What the pages look like, by eye, keyboard and screen reader.

use std::fs;
use std::path::PathBuf;

use autharmor::ApiVersion::V4;
use autharmor_test_support::browser::TAB;
use autharmor_test_support::cargo::target;
use serde_json::{Value, json};

use crate::site::{ADA, Site, Visitor};

/// Shows each page, in each of its states, and calls `look` with its name.
fn tour(site: &Site, visitor: &Visitor, look: impl Fn(&str)) {
    visitor.visit(site, "/");
    visitor.sees("Use a passkey");
    look("sign-in");
    visitor.0.fill("#name", "not an address");
    visitor.press("Ask my phone");
    visitor.ask_phone(ADA);
    look("phone");
    site.respond_on_phone(false);
    visitor.is_told("declined");
    look("declined");
    visitor.visit(site, "/link?from=elsewhere");
    visitor.press("Continue");
    visitor.is_told("asked for in another browser");
    look("elsewhere");
    visitor.visit(site, "/register");
    visitor.sees("Mail me a link");
    look("register");
    visitor.visit(site, "/");
    visitor.ask_for_link(ADA);
    look("mailed");
    visitor.visit_url(&site.opened_link());
    visitor.sees("Press the button");
    look("link");
    visitor.press("Continue");
    visitor.sees_account_of(ADA);
    visitor.add_passkey();
    look("account");
    visitor.press("Add a phone");
    visitor.is_told("Waiting for your phone");
    look("add-phone");
    site.enrol_phone();
    visitor.is_told("It is added to your account.");
    visitor.press("Disable Mail ada@example.com");
    visitor.sees("Choose this number there");
    look("disable");
    site.respond_on_phone(false);
    visitor.is_told("declined");
    visitor.log_out();
}

pub(crate) fn every_page_fits_every_screen() {
    let site = Site::start(V4);
    let visitor = site.open("/");
    tour(&site, &visitor, |page| {
        for (screen, width, height) in [("narrow", 320, 640), ("wide", 1024, 768)] {
            visitor.0.resize(width, height);
            let fits = format!("return document.documentElement.scrollWidth <= {width}");
            visitor.0.wait_for_value(&fits, true);
            for (scheme, paper) in [("light", "rgb(246, 247, 249)"), ("dark", "rgb(20, 23, 28)")] {
                visitor.0.color_scheme(scheme);
                let shown = "return getComputedStyle(document.body).backgroundColor";
                visitor.0.wait_for_value(shown, paper);
                let name = format!("portal-{page}-{scheme}-{screen}.png");
                visitor.0.screenshot(&name);
            }
        }
    });
}

/// Presses Tab through the page and returns the names of what gets the focus.
fn tab_stops(visitor: &Visitor) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        visitor.0.press(TAB);
        let style = "const style = getComputedStyle(document.activeElement);
            return document.activeElement === document.body ? null
                : style.outlineStyle + ' ' + style.outlineWidth";
        let style = visitor.0.run(style, &[]);
        if style.is_null() || names.len() > 20 {
            return names;
        }
        let name = visitor.0.focused();
        assert_eq!(style, "solid 3px", "{name}");
        names.push(name);
    }
}

pub(crate) fn every_control_is_reached_by_tab_and_shows_its_focus() {
    let site = Site::start(V4);
    let ada = site.open("/");
    let methods = ["Use a passkey", "Ask my phone", "Mail me a link"];
    let stops = tab_stops(&ada);
    assert_eq!(stops[..2], ["Example", "Mail address"]);
    assert_eq!(stops[2..], [&methods[..], &["Register"]].concat());
    ada.visit(&site, "/register");
    let stops = tab_stops(&ada);
    assert_eq!(
        stops,
        ["Example", "Mail address", "Mail me a link", "Sign in"]
    );
    ada.visit(&site, "/link");
    assert_eq!(tab_stops(&ada), ["Example", "Continue", "Begin again"]);

    let ada = site.open_as_ada();
    ada.visit(&site, "/account");
    ada.sees("Disable");
    let stops = tab_stops(&ada);
    assert_eq!(stops[..2], ["Example", "Log out"]);
    assert_eq!(stops[stops.len() - 2..], ["Add a passkey", "Add a phone"]);
    assert!(
        stops.contains(&"Disable Mail ada@example.com".to_owned()),
        "{stops:?}"
    );
}

pub(crate) fn the_live_text_is_announced() {
    let site = Site::start(V4);
    let ada = site.open("/");
    let roles = "return ['role', 'aria-live'].map((name) => document.querySelector('#status').getAttribute(name))";
    assert_eq!(ada.0.run(roles, &[]), json!(["status", null]));
    // A keyboard alone: the first button is the passkey, the second the phone.
    ada.0.tab_to("Mail address");
    ada.0.type_text(ADA);
    ada.0.tab_to("Ask my phone");
    ada.0.press(autharmor_test_support::browser::ENTER);
    ada.is_told("Waiting for your phone");
    // The same text is not announced again and again.
    let counts = "window.changes = 0; new MutationObserver((all) => { window.changes += all.length; })
        .observe(document.querySelector('#status'), { childList: true, characterData: true, subtree: true })";
    ada.0.run(counts, &[]);
    let polls = site.emulator.request_count();
    autharmor_test_support::browser::wait_for("two polls", || {
        (site.emulator.request_count() >= polls + 2).then_some(())
    });
    assert_eq!(ada.0.run("return window.changes", &[]), 0);
    let label = "return document.querySelector('#qr').alt";
    assert_eq!(ada.0.run(label, &[]), "QR code for the Auth Armor app");
    assert_eq!(ada.0.run("return document.title", &[]), "Sign in · Example");
}

fn axe() -> PathBuf {
    target().join("npm/node_modules/axe-core/axe.min.js")
}

/// Returns why a test cannot run.
pub(crate) fn lacks(test: &str) -> Option<String> {
    let lacks = test.contains("axe") && !axe().is_file();
    lacks.then(|| "the npm package axe-core is missing".to_owned())
}

pub(crate) fn axe_finds_no_serious_problem() {
    let axe = fs::read_to_string(axe()).unwrap();
    let site = Site::start(V4);
    let visitor = site.open("/");
    tour(&site, &visitor, |page| {
        visitor.0.run(&axe, &[]);
        for scheme in ["light", "dark"] {
            visitor.0.color_scheme(scheme);
            let script = "const done = arguments[0];
                axe.run().then(({ violations }) => done(violations), (error) => done(String(error)))";
            let found = visitor.0.run_async(script, &[]);
            let found = found.as_array().unwrap_or_else(|| panic!("{found}"));
            let is_serious = |one: &&Value| one["impact"] != "minor" && one["impact"] != "moderate";
            let serious: Vec<_> = found.iter().filter(is_serious).collect();
            assert!(serious.is_empty(), "{page} {scheme}: {serious:#?}");
        }
    });
}
