//! The emulator in a real browser: its control page, websites that attack it,
//! passkeys, and proofs of sign-ins, also in another implementation.
//!
//! Needs `chromium` and `chromedriver` in PATH, and for some tests `python3` with
//! the package `webauthn`. Without them the tests are ignored, with the reason
//! before their names. The tests leave screenshots in
//! the folder for temporary files of the target folder.
#![cfg(feature = "emulator")]

mod attacks;
mod backend;
mod browser;
mod page;
mod passkeys;
mod proofs;

use std::process::{Command, ExitCode};

use autharmor_test_support::programs::in_path;
use libtest_mimic::{Arguments, Trial};

macro_rules! tests {
    ($($module:ident: $($name:ident)*;)*) => {
        [$($((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn())),*),*]
    };
}

/// Returns why tests cannot run that need these programs; empty if they can.
fn reason(programs: &[&str]) -> String {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| in_path(program).is_none())
        .collect();
    if missing.is_empty() {
        String::new()
    } else {
        format!("not in PATH: {}", missing.join(", "))
    }
}

fn reason_without_python() -> String {
    let reason = reason(&["python3"]);
    let has_package = || {
        let import = Command::new("python3")
            .args(["-c", "import webauthn"])
            .output();
        import.is_ok_and(|output| output.status.success())
    };
    if reason.is_empty() && !has_package() {
        return "python3 has no package webauthn".to_owned();
    }
    reason
}

fn trials(tests: &[(&'static str, fn())], reason: &str) -> Vec<Trial> {
    tests
        .iter()
        .map(|&(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
            .with_kind(reason)
            .with_ignored_flag(!reason.is_empty())
        })
        .collect()
}

fn main() -> ExitCode {
    let browser = reason(&["chromium", "chromedriver"]);
    let python = reason_without_python();
    let both = if browser.is_empty() {
        &python
    } else {
        &browser
    };
    let in_browser = tests! {
        page:
            the_connection_data_comes_first
            the_page_lists_the_users
            sixty_users_are_shown_by_tens_and_searched
            a_sign_in_can_be_approved_by_keyboard
            every_control_is_reached_by_tab_and_shows_its_focus
            a_sign_in_can_be_declined_by_mouse
            a_request_without_a_user_asks_for_a_username
            a_magic_link_signs_in_and_is_marked_as_used
            a_registration_is_accepted_scanned_or_declined
            the_link_of_a_qr_code_leads_to_its_scan
            calls_are_listed_and_refusals_explained
            clock_and_tokens_are_moved_by_buttons
            faults_are_added_and_removed
            rate_limits_are_set_and_removed
            what_was_tolerated_is_shown
            sign_ins_are_decided_automatically
            markup_in_names_is_shown_as_text
            refreshing_keeps_focus_and_forms
            pausing_stops_the_refreshing
            resetting_asks_first
            a_stopped_emulator_is_reported
            the_page_fits_small_screens_and_dark_mode;
        attacks:
            a_website_reads_and_changes_nothing
            a_foreign_name_for_this_machine_is_refused
            a_given_host_name_works_and_others_do_not;
        passkeys:
            the_browsers_passkey_registers_and_signs_in
            a_passkey_without_user_verification_registers_and_signs_in;
        proofs:
            the_browsers_proofs_verify;
    };
    let in_both = tests! {
        proofs:
            the_browsers_proofs_verify_in_another_implementation;
    };
    let in_python = tests! {
        proofs:
            the_emulators_passkeys_verify_in_another_implementation
            the_emulators_phone_verifies_in_another_implementation;
    };
    let mut trials = trials(&in_browser, &browser);
    trials.extend(self::trials(&in_both, both));
    trials.extend(self::trials(&in_python, &python));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
