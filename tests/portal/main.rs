//! The example `portal` in a real browser, with a virtual authenticator for the
//! passkeys and the emulator for everything else.
//!
//! Needs `chromium` and `chromedriver` in PATH, and one test the npm package
//! `axe-core` in the target folder's `npm`. Without them the tests are ignored,
//! with the reason. Screenshots of all pages are left in the target folder's
//! `screenshots`.
#![cfg(feature = "emulator")]

#[path = "../../examples/portal/portal.rs"]
mod portal;
#[path = "../../examples/portal/web.rs"]
mod web;

mod account;
mod attacks;
mod looks;
mod outages;
mod sign_in;
mod site;

use std::process::ExitCode;

use autharmor_test_support::browser::run_tests;
use autharmor_test_support::browser_tests;

fn main() -> ExitCode {
    let tests = browser_tests! {
        sign_in:
            a_new_user_registers_by_mail
            an_address_that_has_an_account_is_not_registered_again
            a_link_signs_in
            a_phone_is_added_and_signs_in
            a_passkey_is_added_and_signs_in
            a_session_that_goes_on_does_not_end
            a_session_ends_after_eight_hours
            each_end_of_a_push_says_so
            an_approval_that_is_seen_too_late_says_so
            each_end_of_a_phones_registration_says_so
            a_link_ends_with_its_time
            a_passkey_that_is_used_too_late_says_so
            the_second_use_of_a_link_says_so
            the_second_click_in_a_mail_says_so
            a_wrong_link_does_not_use_up_the_right_one
            only_the_newest_link_signs_in
            a_link_in_another_browser_says_so
            the_newest_of_two_tabs_goes_on
            the_back_button_shows_no_account_after_logging_out
            a_user_who_cancels_the_passkey_can_try_again
            nobody_learns_who_has_an_account
            what_strangers_try_takes_its_time
            attempts_are_limited;
        account:
            a_phone_disables_a_passkey
            a_phone_that_declines_or_is_silent_disables_nothing
            without_a_phone_nothing_is_disabled
            the_account_needs_a_sign_in
            only_after_a_recent_sign_in_is_something_added
            a_phone_is_not_asked_without_end;
        outages:
            of_each_beginning
            while_a_phone_is_asked
            when_a_passkey_is_checked
            when_a_link_is_checked
            when_a_new_users_link_is_checked
            when_a_response_is_lost
            a_slow_service_is_waited_for
            of_the_account_page
            when_something_is_added
            when_something_is_disabled
            of_the_portal_itself;
        attacks:
            a_link_of_an_attacker_signs_nobody_in
            another_site_posts_no_form_and_reads_nothing
            a_planted_session_is_of_no_use
            a_passkey_cannot_be_replayed
            what_another_browser_began_cannot_be_continued
            a_request_without_a_user_signs_nobody_in
            scripts_cannot_read_the_session
            with_tls_the_session_is_sent_over_tls_alone
            no_script_of_a_page_runs
            an_announced_length_costs_no_memory
            a_flood_of_sessions_logs_nobody_out
            a_refused_attempt_does_not_wait
            two_requests_at_once_complete_one_sign_in
            what_is_left_unread_is_no_request
            a_network_is_limited_and_not_an_address
            behind_a_proxy_its_header_says_who_sends;
        looks:
            every_page_fits_every_screen
            every_control_is_reached_by_tab_and_shows_its_focus
            the_live_text_is_announced
            axe_finds_no_serious_problem;
    };
    run_tests(tests, looks::lacks)
}
