//! The emulator in a real browser: its control page, websites that attack it,
//! passkeys, and proofs of sign-ins, also in another implementation.
//!
//! Needs `chromium` and `chromedriver` in PATH, and for some tests `python3` with
//! the package `webauthn`. Without them the tests are ignored, with the reason. The
//! tests leave screenshots in
//! the target folder's `screenshots`.
#![cfg(feature = "emulator")]

mod attacks;
mod backend;
mod page;
mod passkeys;
mod proofs;
mod replaced;

use std::process::{Command, ExitCode};

use autharmor_test_support::browser::run_tests;
use autharmor_test_support::browser_tests;

/// Returns why a test cannot run that asks another implementation.
fn lacks(name: &str) -> Option<String> {
    if !name.ends_with("in_another_implementation") {
        return None;
    }
    let import = Command::new("python3")
        .args(["-c", "import webauthn"])
        .output();
    let has_package = import.is_ok_and(|output| output.status.success());
    (!has_package).then(|| "python3 with the package webauthn is missing".to_owned())
}

fn main() -> ExitCode {
    let tests = browser_tests! {
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
            the_browsers_proofs_verify
            the_browsers_proofs_verify_in_another_implementation
            the_emulators_passkeys_verify_in_another_implementation
            the_emulators_phone_verifies_in_another_implementation;
        replaced:
            commands_wait_for_a_page_that_is_replaced;
    };
    run_tests(tests, lacks)
}
