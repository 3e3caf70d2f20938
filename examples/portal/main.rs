//! A website with a login by passkey, phone and magic link. The manual's chapter
//! on web programs explains it.
//!
//!     cargo run --example portal
//!
//! uses the embedded emulator, whose page shows the phone and the mailbox. With
//! `AUTHARMOR_CLIENT_ID` and `AUTHARMOR_CLIENT_SECRET` set it uses the real service;
//! then set `WEBAUTHN_CLIENT_ID` to the id of the website in the dashboard, and
//! `ORIGIN` to the address in browsers: that of a proxy with TLS. If the proxy puts the
//! sender's address into a header, name it in `PROXY_HEADER`. `PORT` is another port
//! than 8080.

mod portal;
mod web;

use std::env;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use autharmor::emulator::Emulator;
use autharmor::{ApiVersion, ClientBuilder};

use crate::portal::Portal;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let port = env::var("PORT").unwrap_or("8080".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    let origin = env::var("ORIGIN").unwrap_or(format!("http://localhost:{port}"));
    let passkeys = env::var("WEBAUTHN_CLIENT_ID").unwrap_or("example".to_owned());
    println!("the portal    {origin}/");
    let emulator;
    let client = if env::var_os("AUTHARMOR_CLIENT_ID").is_some() {
        ClientBuilder::from_env()?
    } else {
        let builder = Emulator::builder().plain_http().random_ids();
        let builder = builder.project_name("Example").user("ada@example.com");
        emulator = builder.website(&origin, "localhost").start()?;
        println!("the emulator  {}/_emulator/", emulator.base_url());
        println!("Sign in as ada@example.com, or register. The emulator has phone and mails.");
        emulator.client_builder()
    };
    // v4 validates the registration of phones and passkeys; v3 does not.
    let client = client
        .api_version(ApiVersion::V4)
        .timeout(Duration::from_secs(10));
    let mut portal = Portal::new(client.build()?, &origin, &passkeys);
    portal.proxy_header = env::var("PROXY_HEADER").ok();
    Arc::new(portal).serve(&listener);
    Ok(())
}
