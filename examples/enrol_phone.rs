//! Registers a new user with a phone: draws the QR code that the phone scans,
//! waits for the phone, and prints the user.
//!
//!     cargo run --example enrol_phone
//!
//! uses the embedded emulator, whose phone scans the code at once. With
//! `AUTHARMOR_CLIENT_ID` and `AUTHARMOR_CLIENT_SECRET` set it uses the real
//! service:
//!
//!     cargo run --example enrol_phone -- ada@example.com

use std::env;
use std::error::Error;

use autharmor::emulator::Emulator;
use autharmor::flow::{Registration, WaitPolicy};
use autharmor::registrations::StartAuthenticatorRegistration;
use autharmor::{ApiVersion, Client, ClientBuilder};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

fn main() -> Result<(), Box<dyn Error>> {
    // v4 validates the registration of a phone; v3 does not.
    let version = ApiVersion::V4;
    if env::var("AUTHARMOR_CLIENT_ID").is_ok_and(|id| !id.is_empty()) {
        let username = env::args().nth(1).ok_or("usage: enrol_phone USERNAME")?;
        let client = ClientBuilder::from_env()?.api_version(version).build()?;
        return enrol(&client, &username, |_| Ok(()));
    }

    let emulator = Emulator::start()?;
    let client = emulator.client_builder().api_version(version).build()?;
    println!("no AUTHARMOR_CLIENT_ID: using the emulator and its phone");
    enrol(&client, "ada@example.com", |qr_code_data| {
        emulator.scan_qr(qr_code_data, None)?;
        Ok(())
    })
}

/// Registers the user. `scan` gets the data of the QR code once it is shown.
fn enrol(
    client: &Client,
    username: &str,
    scan: impl FnOnce(&str) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let request = StartAuthenticatorRegistration::new(username).timeout_in_seconds(120);
    let started = client.begin_authenticator_registration(&request)?;
    let data = started.qr_code_data.ok_or("there is no QR code")?;
    let code = QrCode::new(data.expose())?;
    println!("scan this with the phone that you will sign in with:");
    for line in code.render::<Dense1x2>().build().lines() {
        // Black on white, whatever the terminal's colours are.
        println!("\x1b[30;107m{line}\x1b[0m");
    }

    scan(data.expose())?;
    match started.pending.wait(client, &WaitPolicy::new())? {
        Registration::Registered(user) => {
            // A name may hold terminal control sequences.
            let name = user.username().unwrap_or("?").escape_debug();
            println!("registered: {name}");
            println!("  user id     {}", user.user_id());
            if let Some(id) = user.credential_id() {
                println!("  credential  {id}");
            }
            println!("  validated   {}", user.is_validated());
            Ok(())
        }
        Registration::StillPending => Err("not registered: nobody scanned the code".into()),
        Registration::ServiceUnavailable(outage) => {
            Err(format!("not registered: {}", outage.last_error).into())
        }
        other => Err(format!("not registered: {other:?}").into()),
    }
}
