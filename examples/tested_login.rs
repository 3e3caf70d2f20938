//! A login function and its tests, to copy.
//!
//! ```sh
//! cargo test --example tested_login
//! ```

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::flow::{SignedInUser, WaitPolicy};
use autharmor::{Client, Error};
use uuid::Uuid;

/// Returns the id of the user who signed in. `show` gets the QR code.
fn log_in(client: &Client, username: &str, show: impl FnOnce(&str)) -> Result<Option<Uuid>, Error> {
    let request = StartAuthenticatorAuth::new()
        .user(username)
        .action_name("Sign in")
        .short_msg("Somebody signs in to Example as you");
    let started = client.begin_authenticator_sign_in(&request)?;
    show(
        started
            .qr_code_data
            .as_ref()
            .map_or("", |data| data.expose()),
    );
    let end = started.pending.wait(client, &WaitPolicy::new())?;
    Ok(end.user().map(SignedInUser::user_id))
}

fn main() -> Result<(), Error> {
    let client = Client::from_env()?;
    match log_in(&client, "ada@example.com", |url| println!("{url}"))? {
        Some(user) => println!("hello {user}"),
        None => println!("not signed in"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use autharmor::ErrorKind;
    use autharmor::emulator::{Decision, Emulator, Fault};

    use super::log_in;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn an_approved_user_is_signed_in() -> TestResult {
        let emulator = Emulator::start()?;
        let ada = emulator.add_user("ada@example.com")?;
        emulator.on_sign_in(|_| Decision::Approve);
        let client = emulator.client_builder().build()?;

        let user = log_in(&client, "ada@example.com", |_| {})?;

        assert_eq!(user, Some(ada));
        for request in emulator.requests() {
            assert!(!request.request_line().contains("ada"), "a name in a URL");
        }
        Ok(())
    }

    #[test]
    fn a_declined_user_is_not_signed_in() -> TestResult {
        let emulator = Emulator::builder().user("ada@example.com").start()?;
        emulator.on_sign_in(|_| Decision::Decline);
        let client = emulator.client_builder().build()?;
        let user = log_in(&client, "ada@example.com", |_| {})?;
        assert_eq!(user, None);
        Ok(())
    }

    #[test]
    fn nobody_is_signed_in_while_the_service_is_down() -> TestResult {
        let emulator = Emulator::builder().user("ada@example.com").start()?;
        emulator.on_sign_in(|_| Decision::Approve);
        emulator.fault(Fault::status(503).on("validate_authenticator_auth"));
        let client = emulator.client_builder().build()?;
        let end = log_in(&client, "ada@example.com", |_| {});
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Unavailable);
        Ok(())
    }
}
