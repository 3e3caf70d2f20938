//! Makes one call with this crate: prints the id of the user whose name is the
//! argument, then waits for a line of input, so that its memory can be measured.
//!
//! Reads the variables of `Client::from_env`, and from `SMALL_CA` the name of a
//! file with a root certificate.

use std::error::Error;
use std::{env, fs, io};

use autharmor::ClientBuilder;

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = ClientBuilder::from_env()?;
    if let Ok(file) = env::var("SMALL_CA") {
        builder = builder.only_root_certificates(fs::read(file)?);
    }
    let client = builder.build()?;
    let name = env::args().nth(1).ok_or("no username")?;
    let user = client.get_user(name)?;
    println!("{}", user.user_id);
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
