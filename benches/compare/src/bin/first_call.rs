//! Gets a user by name as a tool does that starts, makes one call and ends:
//! `first_call ureq`, `first_call autharmor`, `first_call autharmor STORE`.

use std::env;
use std::error::Error;

use autharmor::{Client, FileTokenStore};
use autharmor_compare::Place;
use autharmor_compare::canned::{NIL, USERNAME};
use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::from_env();
    let mut args = env::args().skip(1);
    let found = match args.next().as_deref() {
        Some("ureq") => straightforward(&place)?,
        Some("autharmor") => ours(&place, args.next())?,
        _ => return Err("who shall call?".into()),
    };
    println!("{found}");
    Ok(())
}

/// A token, then the call, as one would write it.
fn straightforward(place: &Place) -> Result<String, Box<dyn Error>> {
    let roots: Vec<Certificate<'static>> = ureq::tls::parse_pem(place.ca_pem.as_bytes())
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
    let login = format!("{}/connect/token", place.login);
    let token = decode(agent.post(login).send_form([
        ("grant_type", "client_credentials"),
        ("client_id", "id"),
        ("client_secret", "secret"),
    ])?)?;
    let token = token["access_token"].as_str().ok_or("no token")?;
    let user = agent.get(format!("{}/v3/users/{NIL}", place.api));
    let user = user
        .header("Authorization", format!("Bearer {token}"))
        .header("X-AuthArmor-UsernameValue", USERNAME);
    Ok(decode(user.call()?)?["user_id"].to_string())
}

fn ours(place: &Place, store: Option<String>) -> Result<String, Box<dyn Error>> {
    let mut builder = Client::builder("id", "secret")
        .api_url(&place.api)
        .login_url(&place.login)
        .only_root_certificates(&place.ca_pem);
    if let Some(store) = store {
        builder = builder.token_store(FileTokenStore::new(store));
    }
    Ok(builder.build()?.get_user(USERNAME)?.user_id.to_string())
}
