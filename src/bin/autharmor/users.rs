//! `autharmor users`: lists, shows and renames users.

use std::convert::Infallible;

use autharmor::auth::{AuthInfo, AuthOutcome, AuthRequestStatus};
use autharmor::users::{
    AuthMethodId, UpdateUser, UpdateUserResponse, User, UserDetails, UserQuery,
};
use autharmor::{Client, Timestamp, UserKey};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use uuid::Uuid;

use crate::config::{ConfigArgs, Settings, Trust};
use crate::failure::Failure;
use crate::output::{FormatArgs, ListArgs, Row, print_one};

/// Lists, shows and renames users
#[derive(Subcommand)]
pub(crate) enum Users {
    List(ListUsers),
    Show(ShowUser),
    Rename(RenameUser),
    History(History),
}

/// Lists the users of the project
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor users list
  autharmor users list --name ada --sort date_created --descending
  autharmor users list --since 2026-01-01 --format csv >users.csv
  autharmor users list --format json | jq -r .user_id")]
pub(crate) struct ListUsers {
    /// Lists only users with this text in their names
    ///
    /// The service compares. Whether a part of a name is enough is not documented.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,

    #[command(flatten)]
    dates: Dates,

    #[command(flatten)]
    list: ListArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Shows a user and the user's ways to sign in
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor users show ada@example.com
  autharmor users show 7f3c1f0e-2f5e-4c39-8a0e-0d5f5a7e9b11")]
pub(crate) struct ShowUser {
    /// Username or id
    #[arg(value_name = "USER", value_parser = user_key)]
    user: UserKey,

    #[command(flatten)]
    form: FormatArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Gives a user another name
///
/// The id stays. The email address of magic links does not change.
#[derive(Args)]
#[command(after_help = "\
Example:
  autharmor users rename ada@example.com ada@example.org")]
pub(crate) struct RenameUser {
    /// Username or id
    #[arg(value_name = "USER", value_parser = user_key)]
    user: UserKey,

    /// New username
    new_name: String,

    #[command(flatten)]
    form: FormatArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Lists the sign-ins of a user, with their outcome
///
/// Shows approved, declined, missed and pending requests. The list tells what
/// happened; it does not sign anybody in.
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor users history ada@example.com --limit 20
  autharmor users history ada@example.com --outcome declined
  autharmor users history ada@example.com --format json | jq -r .device")]
pub(crate) struct History {
    /// Username or id
    #[arg(value_name = "USER", value_parser = user_key)]
    user: UserKey,

    /// Lists only sign-ins that ended like this; may be repeated
    #[arg(long, value_enum)]
    outcome: Vec<Outcome>,

    #[command(flatten)]
    dates: Dates,

    #[command(flatten)]
    list: ListArgs,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Limits a list to a time.
#[derive(Args)]
struct Dates {
    /// Lists only what is not older than this date, such as 2026-01-31 or
    /// 2026-01-31T12:00:00 (UTC)
    #[arg(long, value_name = "DATE", value_parser = date)]
    since: Option<String>,

    /// Lists only what is older than this date
    #[arg(long, value_name = "DATE", value_parser = date)]
    before: Option<String>,
}

impl Dates {
    /// Returns whether a date is within the limits. A missing one is not.
    fn include(&self, date: Option<&Timestamp>) -> bool {
        if self.since.is_none() && self.before.is_none() {
            return true;
        }
        // In the service's format, texts are in the order of their dates.
        date.is_some_and(|date| {
            let date = date.as_str();
            self.since.as_deref().is_none_or(|since| date >= since)
                && self.before.as_deref().is_none_or(|before| date < before)
        })
    }
}

/// How a sign-in ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Approved,
    Declined,
    TimedOut,
    ValidatedTooLate,
    FailedSignature,
    RefusedForSecurity,
    Pending,
    /// The service does not say, or contradicts itself
    Unclear,
}

impl Outcome {
    fn of(info: &AuthInfo) -> Self {
        match info.outcome() {
            Some(AuthOutcome::Approved) => Self::Approved,
            Some(AuthOutcome::Declined) => Self::Declined,
            Some(AuthOutcome::TimedOut) => Self::TimedOut,
            Some(AuthOutcome::ValidatedTooLate) => Self::ValidatedTooLate,
            Some(AuthOutcome::FailedSignature) => Self::FailedSignature,
            Some(AuthOutcome::RefusedForSecurity) => Self::RefusedForSecurity,
            None if is_pending(info) => Self::Pending,
            _ => Self::Unclear,
        }
    }
}

fn is_pending(info: &AuthInfo) -> bool {
    matches!(
        info.auth_request_status_id,
        Some(AuthRequestStatus::PendingApproval | AuthRequestStatus::PendingValidation)
    )
}

pub(crate) fn run(command: &Users) -> Result<(), Failure> {
    match command {
        Users::List(options) => {
            let mut query = UserQuery::new().page(options.list.query());
            if let Some(name) = &options.name {
                query = query.username(name);
            }
            let client = client(&options.config)?;
            options
                .list
                .print("users", client.users(query), |user: User| {
                    options
                        .dates
                        .include(user.date_created.as_ref())
                        .then_some(user)
                })
        }
        Users::Show(options) => {
            let user = client(&options.config)?.get_user(&options.user)?;
            print_one(options.form.format, &user)
        }
        Users::Rename(options) => {
            let update = UpdateUser::new(&options.new_name);
            let user = client(&options.config)?.update_user(&options.user, &update)?;
            print_one(options.form.format, &user)
        }
        Users::History(options) => {
            let client = client(&options.config)?;
            let records = client.auth_history(&options.user, options.list.query());
            options.list.print("sign-ins", records, |info: AuthInfo| {
                let row = SignInRow::of(&info);
                // Under v3 a pending sign-in has no date, and it is the newest.
                let is_newest = row.outcome == Outcome::Pending && row.date.is_none();
                let is_in_time = if is_newest {
                    options.dates.before.is_none()
                } else {
                    options.dates.include(row.date.as_ref())
                };
                let is_listed = is_in_time
                    && (options.outcome.is_empty() || options.outcome.contains(&row.outcome));
                is_listed.then_some(row)
            })
        }
    }
}

fn client(config: &ConfigArgs) -> Result<Client, Failure> {
    Settings::load(config, Trust::Caller)?.client()
}

/// Reads a user on the command line: a UUID is an id, all else is a name.
#[expect(clippy::unnecessary_wraps, reason = "the signature that clap calls")]
pub(crate) fn user_key(text: &str) -> Result<UserKey, Infallible> {
    Ok(Uuid::parse_str(text).map_or_else(|_| UserKey::from(text), UserKey::Id))
}

/// Checks a date: `2026-01-31`, and perhaps a time.
fn date(text: &str) -> Result<String, String> {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    match shape.strip_prefix("0000-00-00") {
        Some("" | "T00:00" | "T00:00:00" | "T00:00:00Z") => {
            Ok(text.trim_end_matches('Z').to_owned())
        }
        _ => Err("not a date such as 2026-01-31 or 2026-01-31T12:00:00".to_owned()),
    }
}

pub(crate) fn text(value: Option<impl AsRef<str>>) -> String {
    value.map_or_else(String::new, |value| value.as_ref().to_owned())
}

pub(crate) fn date_text(date: Option<&Timestamp>) -> String {
    text(date.map(Timestamp::as_str))
}

impl Row for User {
    const COLUMNS: &'static [&'static str] =
        &["user_id", "username", "email_address", "date_created"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.user_id.to_string(),
            text(self.username.as_ref()),
            text(self.email_address.as_ref()),
            date_text(self.date_created.as_ref()),
        ]
    }
}

impl Row for UserDetails {
    const COLUMNS: &'static [&'static str] = &[
        "user_id",
        "username",
        "email_address",
        "date_created",
        "methods",
    ];

    fn cells(&self) -> Vec<String> {
        let methods = self
            .enrolled_auth_methods
            .iter()
            .map(|enrolled| match enrolled.method() {
                Some(AuthMethodId::Authenticator) => "phone".to_owned(),
                Some(AuthMethodId::MagiclinkEmail) => "magic link".to_owned(),
                Some(AuthMethodId::Webauthn) => "passkey".to_owned(),
                _ => text(enrolled.auth_method_name.as_ref()),
            });
        let mut methods: Vec<String> = methods.collect();
        // A user can have many passkeys.
        methods.sort();
        methods.dedup();
        vec![
            self.user_id.to_string(),
            text(self.username.as_ref()),
            text(self.email_address.as_ref()),
            date_text(self.date_created.as_ref()),
            methods.join(", "),
        ]
    }
}

impl Row for UpdateUserResponse {
    const COLUMNS: &'static [&'static str] = User::COLUMNS;

    fn cells(&self) -> Vec<String> {
        vec![
            text(self.user_id.map(|id| id.to_string())),
            text(self.username.as_ref()),
            text(self.email_address.as_ref()),
            date_text(self.date_created.as_ref()),
        ]
    }
}

/// A record of a user's history.
#[derive(Serialize)]
struct SignInRow {
    auth_history_id: Option<Uuid>,
    outcome: Outcome,
    /// When it was requested.
    date: Option<Timestamp>,
    /// When the user responded.
    ended: Option<Timestamp>,
    method: Option<String>,
    /// Operating system and model of the phone.
    device: Option<String>,
}

impl SignInRow {
    fn of(info: &AuthInfo) -> Self {
        let response = info.auth_response.as_ref();
        let details = response.and_then(|response| response.auth_details.as_ref());
        let request = details.and_then(|details| details.request_details.as_ref());
        let phone = details
            .and_then(|details| details.response_details.as_ref())
            .and_then(|response| response.mobile_device_details.as_ref());
        let device = phone.map(|phone| {
            let parts = [&phone.platform, &phone.model];
            let parts: Vec<&str> = parts
                .into_iter()
                .filter_map(|part| part.as_deref())
                .collect();
            parts.join(" ")
        });
        Self {
            auth_history_id: response.and_then(|response| response.auth_history_id),
            outcome: Outcome::of(info),
            date: request.and_then(|request| request.date.clone()),
            ended: info.ended_at().cloned(),
            method: request
                .and_then(|request| request.auth_method.as_ref())
                .map(ToString::to_string),
            device: device.filter(|device| !device.is_empty()),
        }
    }
}

impl Row for SignInRow {
    const COLUMNS: &'static [&'static str] = &[
        "date",
        "outcome",
        "method",
        "device",
        "ended",
        "auth_history_id",
    ];

    fn cells(&self) -> Vec<String> {
        let outcome = self.outcome.to_possible_value();
        vec![
            date_text(self.date.as_ref()),
            text(outcome.as_ref().map(clap::builder::PossibleValue::get_name)),
            text(self.method.as_ref()),
            text(self.device.as_ref()),
            date_text(self.ended.as_ref()),
            text(self.auth_history_id.map(|id| id.to_string())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_an_id_and_all_else_a_name() {
        let id = "7f3c1f0e-2f5e-4c39-8a0e-0d5f5a7e9b11";
        assert_eq!(user_key(id), Ok(UserKey::Id(id.parse().unwrap())));
        assert_eq!(user_key("ada"), Ok(UserKey::from("ada")));
    }

    #[test]
    fn dates_limit_a_list() {
        for wrong in [
            "",
            "2026",
            "2026-1-31",
            "2026-01-31 12:00",
            "31.01.2026",
            "today",
        ] {
            assert!(date(wrong).is_err(), "{wrong}");
        }
        let dates = |since: &str, before: &str| Dates {
            since: (!since.is_empty()).then(|| date(since).unwrap()),
            before: (!before.is_empty()).then(|| date(before).unwrap()),
        };
        let created = Timestamp::from("2026-01-31T12:30:00.5Z");
        for (since, before, is_included) in [
            ("2026-01-31", "", true),
            ("2026-01-31T12:30:00Z", "", true),
            ("2026-01-31T12:31", "", false),
            ("2026-02-01", "", false),
            ("", "2026-02-01", true),
            ("", "2026-01-31", false),
            ("2026-01-01", "2026-12-31", true),
        ] {
            let dates = dates(since, before);
            assert_eq!(
                dates.include(Some(&created)),
                is_included,
                "{since} {before}"
            );
            assert!(!dates.include(None));
        }
        assert!(dates("", "").include(None));
    }
}
