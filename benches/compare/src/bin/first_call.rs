//! Gets a user by name as a tool does that starts, makes one call and ends:
//! `first_call ureq`, `first_call autharmor`, `first_call autharmor TOKEN_FILE`.
//!
//! Its whole run is measured, so it does not use an argument parser.

use std::env;
use std::error::Error;

use autharmor::{Client, FileTokenStore};
use autharmor_compare::Servers;
use autharmor_compare::canned::{NIL, USERNAME};
use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let servers = Servers::from_env();
    let mut args = env::args().skip(1);
    let found = match args.next().as_deref() {
        Some("ureq") => with_ureq(&servers)?,
        Some("autharmor") => with_autharmor(&servers, args.next())?,
        _ => return Err("usage: first_call ureq | autharmor [TOKEN_FILE]".into()),
    };
    println!("{found}");
    Ok(())
}

/// Fetches a token, then makes the call.
fn with_ureq(servers: &Servers) -> Result<String, Box<dyn Error>> {
    let roots: Vec<Certificate<'static>> = ureq::tls::parse_pem(servers.ca_pem.as_bytes())
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(root)) => Some(root),
            _ => None,
        })
        .collect();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots));
    let agent = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .build()
        .new_agent();
    let decode = |mut response: ureq::http::Response<ureq::Body>| -> Result<Value, Box<dyn Error>> {
        let body = response.body_mut().read_to_vec()?;
        Ok(serde_json::from_slice(&body)?)
    };
    let login = format!("{}/connect/token", servers.login);
    let token = decode(agent.post(login).send_form([
        ("grant_type", "client_credentials"),
        ("client_id", "id"),
        ("client_secret", "secret"),
    ])?)?;
    let token = token["access_token"].as_str().ok_or("no token")?;
    let user = agent.get(format!("{}/v3/users/{NIL}", servers.api));
    let user = user
        .header("Authorization", format!("Bearer {token}"))
        .header("X-AuthArmor-UsernameValue", USERNAME);
    Ok(decode(user.call()?)?["user_id"].to_string())
}

fn with_autharmor(servers: &Servers, token_file: Option<String>) -> Result<String, Box<dyn Error>> {
    let mut builder = Client::builder("id", "secret")
        .api_url(&servers.api)
        .login_url(&servers.login)
        .only_root_certificates(&servers.ca_pem);
    if let Some(path) = token_file {
        builder = builder.token_store(FileTokenStore::new(path));
    }
    Ok(builder.build()?.get_user(USERNAME)?.user_id.to_string())
}
