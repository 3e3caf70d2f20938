//! Shares one access token among several machines through Redis.
//!
//!     REDIS_URL=redis://127.0.0.1/ cargo run --example redis_token_store
//!
//! runs two clients against the embedded emulator and counts their token
//! requests. With `AUTHARMOR_CLIENT_ID` and `AUTHARMOR_CLIENT_SECRET` set it
//! lists users of the real service: run it twice, and the second run makes no
//! token request. Without Redis every process fetches a token of its own.
//!
//! The store is as powerful as the client secret. Whoever can read it can act
//! for your project until the token ends. Whoever can *write* it can put in
//! the token of another project, whose users your program would then let in.
//! So give it a user of its own in Redis with the fewest rights:
//!
//!     ACL SETUSER door on >password ~autharmor:token:* +get +set +del +eval +ping +select
//!
//! (`SELECT` is sent if the URL names a database) and check who else can read and write there, `MONITOR` and backups
//! included. `redis://` is not encrypted: to reach another machine use
//! `rediss://`, with one of the TLS features of the crate `redis`.

mod store;

use std::env;
use std::error::Error;

use autharmor::emulator::Emulator;
use autharmor::{ClientBuilder, PageQuery};

use crate::store::{RedisTokenStore, TIMEOUT};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    if let Err(error) = RedisTokenStore::new(&url, TIMEOUT)?.check() {
        println!("no Redis, so every process fetches a token of its own: {error}");
    }
    if env::var("AUTHARMOR_CLIENT_ID").is_ok_and(|id| !id.is_empty()) {
        return process(ClientBuilder::from_env()?, &url);
    }

    let emulator = Emulator::builder().user("ada@example.com").start()?;
    println!("no AUTHARMOR_CLIENT_ID: using the emulator");
    for name in ["first", "second"] {
        emulator.clear_requests();
        process(emulator.client_builder(), &url)?;
        let requests = emulator.requests();
        let for_tokens = requests.iter().filter(|r| r.endpoint() == Some("token"));
        println!("{name} process: {} token requests", for_tokens.count());
    }
    Ok(())
}

/// Does what one process would do. It shares nothing with the next but Redis.
fn process(builder: ClientBuilder, url: &str) -> Result<(), Box<dyn Error>> {
    let client = builder
        .token_store(RedisTokenStore::new(url, TIMEOUT)?)
        .build()?;
    let users = client.list_users(PageQuery::new())?;
    println!("users on the first page: {}", users.records.len());
    Ok(())
}
