//! Sign-ins at times that 32 bits of seconds cannot hold.

use std::time::{Duration, UNIX_EPOCH};

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::Emulator;
use autharmor::proof::Expectation;

const ADA: &str = "ada@example.com";
/// The last seconds of signed and unsigned 32 bits, and a year of four digits.
const ENDS: [u64; 3] = [1 << 31, 1 << 32, 253_402_000_000];

#[test]
fn a_sign_in_across_the_end_of_32_bits_is_verified() {
    for end in ENDS {
        let emulator = Emulator::builder().user(ADA).clock_at(end - 10);
        let emulator = emulator.start().unwrap();
        let client = emulator.client_builder().build().unwrap();
        let request = StartAuthenticatorAuth::new().user(ADA);
        let pending = client.begin_authenticator_sign_in(&request).unwrap();
        let pending = pending.pending;
        emulator.advance(Duration::from_secs(20));
        emulator.approve(pending.auth_request_id()).unwrap();
        emulator.advance(Duration::from_secs(20));

        let end_of_flow = pending.complete(&client).unwrap();
        let user = end_of_flow.user().unwrap();
        assert_eq!(user.user_id(), emulator.users()[0].0);
        assert!(user.signed_in_at().is_some());
        let expectation = user.expectation(Expectation::key_in_message()).unwrap();
        let verified = user.proof().unwrap().verify(&expectation).unwrap();
        let signed_at = UNIX_EPOCH + Duration::from_secs(end + 10);
        assert_eq!(verified.signed_at(), Some(signed_at));
        let other_day = expectation.signed_between(UNIX_EPOCH, signed_at - Duration::from_secs(1));
        user.proof().unwrap().verify(&other_day).unwrap_err();
    }
}
