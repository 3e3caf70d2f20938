//! Gets a user by name and signs the user in with a push notification.
//!
//! Without any settings it uses the embedded emulator, whose user approves at
//! once. With `AUTHARMOR_CLIENT_ID`, `AUTHARMOR_CLIENT_SECRET` and
//! `AUTHARMOR_QUICKSTART_USER` set it uses the real service.

use std::env;
use std::error::Error;

use autharmor::Client;
use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::{Decision, Emulator};
use autharmor::flow::{SignIn, WaitPolicy};

fn main() -> Result<(), Box<dyn Error>> {
    if env::var("AUTHARMOR_CLIENT_ID").is_ok_and(|id| !id.is_empty()) {
        let user = env::var("AUTHARMOR_QUICKSTART_USER")
            .map_err(|_| "AUTHARMOR_QUICKSTART_USER is not set")?;
        return sign_in(&Client::from_env()?, &user, |qr_code_data| {
            println!(
                "respond to the push notification on your phone, or scan: {}",
                qr_code_data.escape_debug()
            );
        });
    }

    let emulator = Emulator::builder().user("ada@example.com").start()?;
    println!(
        "no AUTHARMOR_CLIENT_ID: using the emulator at {}",
        emulator.base_url()
    );
    emulator.on_sign_in(|_| Decision::Approve);
    let client = emulator.client_builder().build()?;
    sign_in(&client, "ada@example.com", |_| {
        println!("the emulated phone approves");
    })?;

    println!("\nthe requests that the server received, without a name in any URL:");
    for request in emulator.requests() {
        println!("  {}", request.request_line());
    }
    Ok(())
}

/// Signs the user in. `show` gets the data of the QR code.
fn sign_in(client: &Client, username: &str, show: impl FnOnce(&str)) -> Result<(), Box<dyn Error>> {
    let user = client.get_user(username)?;
    println!("found user {}", user.user_id);

    let request = StartAuthenticatorAuth::new()
        .user(username)
        .action_name("Quickstart")
        .short_msg("The quickstart of autharmor signs you in");
    let started = client.begin_authenticator_sign_in(&request)?;
    show(
        started
            .qr_code_data
            .as_ref()
            .map_or("", |data| data.expose()),
    );

    match started.pending.wait(client, &WaitPolicy::new())? {
        SignIn::SignedIn(user) => {
            println!(
                "signed in: {} ({})",
                user.username().unwrap_or("?"),
                user.user_id()
            );
            Ok(())
        }
        other => Err(format!("not signed in: {other:?}").into()),
    }
}
