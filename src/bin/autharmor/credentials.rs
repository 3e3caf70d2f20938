//! `autharmor credentials`: lists and disables credentials.

mod disable;
mod journal;

use autharmor::UserKey;
use autharmor::credentials::{Credential, CredentialType};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use crate::config::{ConfigArgs, Settings, Trust};
use crate::failure::Failure;
use crate::output::{ListArgs, Row};
use crate::users::{date_text, text, user_key};

/// Lists and disables the phones, passkeys and addresses of users
#[derive(Subcommand)]
pub(crate) enum Credentials {
    List(ListCredentials),
    Disable(disable::Options),
}

/// Lists the phones, passkeys and addresses that a user can sign in with
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor credentials list ada@example.com
  autharmor credentials list ada@example.com --type passkey --enabled
  autharmor credentials list ada@example.com --format json | jq -r .name")]
pub(crate) struct ListCredentials {
    /// Username or id
    #[arg(value_name = "USER", value_parser = user_key)]
    user: UserKey,

    /// Lists only credentials of this kind; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    types: Vec<Type>,

    /// Lists only credentials that are enabled
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,

    /// Lists only credentials that are disabled
    #[arg(long)]
    disabled: bool,

    #[command(flatten)]
    list: ListArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

/// The kind of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Type {
    Phone,
    Passkey,
    /// An email address for magic links
    Email,
}

impl Type {
    fn is(self, kind: &CredentialType) -> bool {
        *kind
            == match self {
                Self::Phone => CredentialType::AutharmorAuthenticator,
                Self::Passkey => CredentialType::Webauthn,
                Self::Email => CredentialType::MagiclinkEmail,
            }
    }
}

impl ListCredentials {
    fn selects(&self, credential: &Credential) -> bool {
        let kind = credential.device_type.as_ref();
        let is_of_type = |kind| self.types.iter().any(|wanted| wanted.is(kind));
        (self.types.is_empty() || kind.is_some_and(is_of_type))
            && (!self.enabled || credential.enabled == Some(true))
            && (!self.disabled || credential.enabled == Some(false))
    }
}

pub(crate) fn run(command: &Credentials) -> Result<(), Failure> {
    match command {
        Credentials::List(options) => {
            let client = Settings::load(&options.config, Trust::Caller)?.client()?;
            // Otherwise the name would be looked up for every page.
            let user_id = match &options.user {
                UserKey::Id(id) => *id,
                name @ UserKey::Username(_) => client.get_user(name)?.user_id,
            };
            let records = client.credentials(user_id, options.list.query());
            options.list.print("credentials", records, |credential| {
                options.selects(&credential).then_some(CredentialRow {
                    user_id,
                    credential,
                })
            })
        }
        Credentials::Disable(options) => disable::run(options),
    }
}

/// A credential and its user.
#[derive(Serialize)]
struct CredentialRow {
    user_id: Uuid,
    #[serde(flatten)]
    credential: Credential,
}

impl Row for CredentialRow {
    const COLUMNS: &'static [&'static str] = &[
        "user_id",
        "credential_id",
        "device_type",
        "name",
        "enabled",
        "date_created",
    ];

    fn cells(&self) -> Vec<String> {
        let credential = &self.credential;
        vec![
            self.user_id.to_string(),
            credential.credential_id.to_string(),
            text(credential.device_type.as_ref().map(CredentialType::as_str)),
            text(credential.name.as_ref()),
            text(credential.enabled.map(|enabled| enabled.to_string())),
            date_text(credential.date_created.as_ref()),
        ]
    }
}
