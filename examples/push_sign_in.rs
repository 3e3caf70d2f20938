//! Signs a user in with a push notification, in a terminal: draws the QR code
//! as a fallback, shows a spinner while it waits, and stops on Ctrl-C. All of it
//! takes at most a minute.
//!
//!     cargo run --example push_sign_in
//!
//! uses the embedded emulator, whose phone approves after a second. With
//! `AUTHARMOR_CLIENT_ID` and `AUTHARMOR_CLIENT_SECRET` set it uses the real
//! service:
//!
//!     cargo run --example push_sign_in -- ada@example.com

use std::env;
use std::error::Error;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use autharmor::Client;
use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::Emulator;
use autharmor::flow::{SignIn, WaitPolicy, WaitProgress};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

fn main() -> Result<(), Box<dyn Error>> {
    if env::var("AUTHARMOR_CLIENT_ID").is_ok_and(|id| !id.is_empty()) {
        let user = env::args().nth(1).ok_or("usage: push_sign_in USERNAME")?;
        return sign_in(&Client::from_env()?, &user);
    }

    let emulator = Emulator::builder()
        .user("ada@example.com")
        .approve_after(Duration::from_secs(1))
        .start()?;
    let client = emulator.client_builder().build()?;
    println!("no AUTHARMOR_CLIENT_ID: using the emulator and its phone");
    sign_in(&client, "ada@example.com")
}

/// Signs the user in.
fn sign_in(client: &Client, username: &str) -> Result<(), Box<dyn Error>> {
    let cancelled = Arc::new(AtomicBool::new(false));
    ctrlc::set_handler({
        let cancelled = Arc::clone(&cancelled);
        move || cancelled.store(true, Ordering::Relaxed)
    })?;

    let client = &client.with_deadline(Instant::now() + Duration::from_secs(60));
    let request = StartAuthenticatorAuth::new()
        .user(username)
        .action_name("Sign in")
        .short_msg("The example of autharmor signs you in")
        .use_visual_verify(true)
        .timeout_in_seconds(60);
    let started = client.begin_authenticator_sign_in(&request)?;
    if started.push_message_sent {
        println!("respond to the push notification on your phone, or scan this:");
    } else {
        println!("scan this with your phone:");
    }
    if let Some(data) = &started.qr_code_data {
        let code = QrCode::new(data.expose())?;
        for line in code.render::<Dense1x2>().build().lines() {
            // Black on white, whatever the terminal's colours are.
            println!("\x1b[30;107m{line}\x1b[0m");
        }
    }
    if let Some(value) = &started.visual_verify_value {
        println!("your phone asks for: {}", value.escape_debug());
    }

    let policy = WaitPolicy::new()
        .cancel_flag(&cancelled)
        .on_progress(|progress| {
            show(progress);
            ControlFlow::Continue(())
        });
    let end = started.pending.wait(client, &policy)?;
    println!();
    match end {
        SignIn::SignedIn(user) => {
            // A name may hold terminal control sequences.
            let name = user.username().unwrap_or("?").escape_debug();
            println!("signed in: {name} ({})", user.user_id());
            Ok(())
        }
        SignIn::StillPending => Err("not signed in: nobody responded".into()),
        SignIn::ServiceUnavailable(outage) => {
            Err(format!("not signed in: {}", outage.last_error).into())
        }
        other => Err(format!("not signed in: {other:?}").into()),
    }
}

fn show(progress: &WaitProgress) {
    let frames = ['|', '/', '-', '\\'];
    let number = progress.elapsed.as_millis() / 100 % 4;
    let frame = frames.into_iter().nth(number as usize).unwrap_or(' ');
    print!("\r{frame} {:3} s left ", progress.remaining.as_secs());
    if let Some(error) = &progress.last_error {
        print!("({error}) ");
    }
    // The sign-in goes on if the terminal cannot show the spinner.
    let _ = io::stdout().flush();
}
