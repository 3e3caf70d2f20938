//! Lists all users in a table, page by page.
//!
//! Without any settings it lists the users of the embedded emulator. With
//! `AUTHARMOR_CLIENT_ID` and `AUTHARMOR_CLIENT_SECRET` set it lists the users of
//! the real service.

use std::env;
use std::error::Error;

use autharmor::emulator::Emulator;
use autharmor::{Client, PageQuery};

fn main() -> Result<(), Box<dyn Error>> {
    if env::var("AUTHARMOR_CLIENT_ID").is_ok_and(|id| !id.is_empty()) {
        return print_users(&Client::from_env()?);
    }
    let emulator = Emulator::start()?;
    for number in 1..=25 {
        emulator.add_user(format!("user{number:02}@example.com").as_str())?;
    }
    print_users(&emulator.client_builder().build()?)
}

fn print_users(client: &Client) -> Result<(), Box<dyn Error>> {
    println!("{:36}  {:28}  username", "user id", "created");
    for user in client.users(PageQuery::new().page_size(10)) {
        let user = user?;
        let created = user.date_created.as_ref().map_or("", |date| date.as_str());
        // A name may hold terminal control sequences.
        let name = user.username.as_deref().unwrap_or("").escape_debug();
        println!("{:36}  {created:28}  {name}", user.user_id);
    }
    Ok(())
}
