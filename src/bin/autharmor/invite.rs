//! `autharmor invite`: registers an email address by magic link.

use std::io::{self, BufRead as _};

use autharmor::UserKey;
use autharmor::registrations::StartMagiclinkEmailRegistration;
use clap::{Args, value_parser};

use crate::config::{ConfigArgs, Settings, Trust};
use crate::enrol::registered;
use crate::failure::Failure;
use crate::output::report;
use crate::users::user_key;

/// Sends a mail with a magic link that registers its reader
///
/// Without USER the reader becomes a new user with the address as name. The link
/// leads to a page of yours, which completes the registration with the values in its
/// URL. If you have no such page, use --complete and paste that URL.
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor invite --email ada@example.com --redirect-url https://example.com
  autharmor invite grace --email grace@example.com --complete")]
pub(crate) struct Options {
    /// Username or id of a user who exists and gets the address
    #[arg(value_parser = user_key)]
    user: Option<UserKey>,

    /// Recipient of the mail
    #[arg(long, value_name = "ADDRESS")]
    email: String,

    /// Page that the link leads to; it has to be on the project's list
    ///
    /// Defaults to registration_redirect_url of the configuration file.
    #[arg(long, value_name = "URL")]
    redirect_url: Option<String>,

    /// Text for the mail's subject
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,

    /// Line of explanation in the mail
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,

    /// Seconds for which the link is valid [default: the service's, 300]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..=86_400))]
    wait: Option<u32>,

    /// Reads the URL of the page from standard input and completes the registration
    #[arg(long)]
    complete: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let settings = Settings::load(&options.config, Trust::Caller)?;
    let configured = settings.registration_redirect_url.as_ref();
    let page = options
        .redirect_url
        .as_ref()
        .or(configured.map(|setting| &setting.value))
        .ok_or_else(|| {
            let text = "registration_redirect_url is not set: use --redirect-url, \
                        or registration_redirect_url in a configuration file";
            Failure::Config(text.to_owned())
        })?;
    let mut request = StartMagiclinkEmailRegistration::new(&options.email, page);
    if let Some(action) = &options.action {
        request = request.action_name(action);
    }
    if let Some(message) = &options.message {
        request = request.short_msg(message);
    }
    if let Some(seconds) = options.wait {
        request = request.timeout_in_seconds(seconds);
    }
    let client = settings.client()?;
    let pending = match &options.user {
        Some(user) => client.begin_magiclink_registration_for_user(user, &request)?,
        None => client.begin_magiclink_registration(&request)?,
    };
    report("The mail is on its way.");
    if !options.complete {
        return Ok(());
    }
    report("Open its link, and paste the URL of the page that it leads to:");
    let mut url = String::new();
    io::stdin()
        .lock()
        .read_line(&mut url)
        .map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
    registered(&pending.complete(&client, url.trim())?)
}
