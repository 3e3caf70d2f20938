//! Makes the call of `small-autharmor` with bare ureq.

use std::error::Error;
use std::{env, fs, io};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded because small-autharmor does")]
struct User {
    user_id: String,
    username: Option<String>,
    email_address: Option<String>,
    date_created: Option<String>,
    #[serde(default)]
    enrolled_auth_methods: Vec<Method>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoded because small-autharmor does")]
struct Method {
    auth_method_id: Option<i64>,
    auth_method_name: Option<String>,
    auth_method_masked_info: Option<String>,
}

fn decode<T: DeserializeOwned>(mut response: Response<Body>) -> Result<T, Box<dyn Error>> {
    Ok(serde_json::from_slice(&response.body_mut().read_to_vec()?)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let id = env::var("AUTHARMOR_CLIENT_ID")?;
    let secret = env::var("AUTHARMOR_CLIENT_SECRET")?;
    let api = env::var("AUTHARMOR_API_URL").unwrap_or("https://api.autharmor.com".to_owned());
    let login = env::var("AUTHARMOR_LOGIN_URL").unwrap_or("https://login.autharmor.com".to_owned());
    let mut config = Agent::config_builder();
    if let Ok(file) = env::var("SMALL_CA") {
        let root = Certificate::from_pem(&fs::read(file)?)?;
        let roots = RootCerts::new_with_certs(&[root]);
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    let agent = config.build().new_agent();
    let name = env::args().nth(1).ok_or("no username")?;
    let token: Token = decode(agent.post(format!("{login}/connect/token")).send_form([
        ("grant_type", "client_credentials"),
        ("client_id", &id),
        ("client_secret", &secret),
    ])?)?;
    let user: User = decode(
        agent
            .get(format!(
                "{api}/v3/users/00000000-0000-0000-0000-000000000000"
            ))
            .header("Accept", "application/json")
            .header("Authorization", format!("Bearer {}", token.access_token))
            .header("X-AuthArmor-UsernameValue", name)
            .call()?,
    )?;
    println!("{}", user.user_id);
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
