//! A website with a login by passkey, phone and magic link. The manual's chapter
//! on web programs explains it.
//!
//!     cargo run --example portal
//!
//! uses the embedded emulator, whose page is the phone and the mailbox. With
//! `AUTHARMOR_CLIENT_ID` and `AUTHARMOR_CLIENT_SECRET` set it uses the real service.

mod portal;
mod web;

use autharmor::emulator::Emulator;
use autharmor::{ApiVersion, ClientBuilder};
use tiny_http::Server;

use crate::portal::Portal;

/// The address in browsers: that of a proxy with TLS in front of this program.
const ORIGIN: &str = "http://localhost:8080";

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let server = Server::http("127.0.0.1:8080")?;
    println!("the portal    {ORIGIN}/");
    // v4 validates the registration of phones and passkeys; v3 does not.
    if std::env::var_os("AUTHARMOR_CLIENT_ID").is_some() {
        let client = ClientBuilder::from_env()?.api_version(ApiVersion::V4);
        Portal::new(client.build()?, ORIGIN).serve(&server);
    }
    let emulator = Emulator::builder().plain_http().random_ids();
    let emulator = emulator.project_name("Example").user("ada@example.com");
    let emulator = emulator.website(ORIGIN, "localhost").start()?;
    println!("the emulator  {}/_emulator/", emulator.base_url());
    println!("Sign in as ada@example.com, or register. The emulator has the phone and the mails.");
    let client = emulator.client_builder().api_version(ApiVersion::V4);
    Portal::new(client.build()?, ORIGIN).serve(&server);
    Ok(())
}
