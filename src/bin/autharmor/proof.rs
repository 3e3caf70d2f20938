//! `autharmor proof`: verifies proofs of sign-ins, without the service.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use autharmor::proof::VerifiedProof;
use autharmor::proof::{Check, Coverage, Expectation, PinnedKey, Proof, ProofError, Trust};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::failure::Failure;
use crate::files::{Readers, read_trusted};
use crate::output::print_line;

/// The size limit of a proof, in bytes.
const MAX_LEN: u64 = 1 << 20;

/// Verifies proofs of sign-ins, without the service
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Verify(Verify),
}

/// Verifies the signed message of a sign-in
///
/// Ends with status 0 if the proof is valid, with 1 if it is not. A valid proof is
/// worth as much as the key: one that comes with the message proves nothing. Files
/// with keys or an expectation must be writable for their owner alone.
#[derive(Args)]
#[command(
    override_usage = "\
autharmor proof verify [OPTIONS] --expectation <FILE> <FILE>
       autharmor proof verify [OPTIONS] --key <FILE> <FILE>
       autharmor proof verify [OPTIONS] --key-in-message <FILE>",
    after_help = "\
Examples:
  autharmor proof verify proof.json --expectation expectation.json
  autharmor proof verify proof.json --key key.json --require-signed-data \\
    --auth-request-id 7f3c1f0e-2f5e-4c39-8a0e-0d5f5a7e9b11 --user-id ... \\
    --project-id ..."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Verify {
    /// File with the proof as JSON; - is the standard input
    file: PathBuf,

    #[command(flatten)]
    keys: Keys,

    /// Id of the auth request
    #[arg(long, value_name = "UUID")]
    auth_request_id: Option<Uuid>,

    /// Id of the user
    #[arg(long, value_name = "UUID")]
    user_id: Option<Uuid>,

    /// Id of the project
    #[arg(long, value_name = "UUID")]
    project_id: Option<Uuid>,

    /// Nonce of the start call
    #[arg(long, value_name = "TEXT")]
    nonce: Option<String>,

    /// Origin of the page that used a passkey; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,

    /// Relying party of a passkey
    #[arg(long, value_name = "ID")]
    relying_party: Option<String>,

    /// Challenge that the page was given for a passkey
    #[arg(long, value_name = "BASE64URL", value_parser = bytes)]
    challenge: Option<Bytes>,

    /// Accepts any challenge: the signature may be of another sign-in
    #[arg(long, conflicts_with = "challenge")]
    any_challenge: bool,

    /// Earliest date of the signature, such as 2026-01-02T03:04:05Z
    #[arg(long, value_name = "DATE", requires = "signed_to", value_parser = date)]
    signed_from: Option<SystemTime>,

    /// Latest date of the signature
    #[arg(long, value_name = "DATE", requires = "signed_from", value_parser = date)]
    signed_to: Option<SystemTime>,

    /// Accepts a passkey that did not verify its user
    #[arg(long)]
    without_user_verification: bool,

    /// Accepts a counter that is not greater than the key's last one
    #[arg(long)]
    any_counter: bool,

    /// Requires that the signature covers the signed data
    #[arg(long)]
    require_signed_data: bool,

    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Keys {
    /// File with a pinned key of the user as JSON; may be repeated
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,

    /// Uses the key in the message, which proves nothing
    #[arg(long)]
    key_in_message: bool,

    /// File with the expectation as JSON, which other options add to
    #[arg(long, value_name = "FILE")]
    expectation: Option<PathBuf>,
}

type Bytes = Box<[u8]>;

fn bytes(text: &str) -> Result<Bytes, String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    bytes
        .map(Vec::into_boxed_slice)
        .map_err(|error| error.to_string())
}

fn date(text: &str) -> Result<SystemTime, String> {
    let date = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| error.to_string())?;
    let since = std::time::Duration::try_from(date - OffsetDateTime::UNIX_EPOCH);
    since
        .ok()
        .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
        .ok_or_else(|| "the date is before 1970".to_owned())
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let Command::Verify(options) = &options.command;
    let expectation = options.expectation()?;
    let name = options.file.display();
    let proof: Proof = serde_json::from_str(&read(&options.file)?)
        .map_err(|error| Failure::Failed(format!("{name}: not a proof: {error}")))?;
    match proof.verify(&expectation) {
        Ok(verified) if options.json => print_line(&format!("{:#}", to_json(&verified))),
        Ok(verified) => print_line(&to_text(&verified)),
        Err(error @ ProofError::Unspecified(_)) => Err(Failure::Usage(error.to_string())),
        Err(error) => {
            if options.json {
                let result = json!({"valid": false, "error": error.to_string()});
                // It is not valid, even if nobody reads that.
                let _ = print_line(&format!("{result:#}"));
            }
            Err(Failure::Failed(format!("{name}: not valid: {error}")))
        }
    }
}

impl Verify {
    fn expectation(&self) -> Result<Expectation, Failure> {
        let mut expectation = match &self.keys {
            Keys {
                expectation: Some(file),
                ..
            } => parse::<Expectation>(file)?,
            Keys {
                key_in_message: true,
                ..
            } => Expectation::key_in_message(),
            Keys { key, .. } => {
                let keys: Result<Vec<PinnedKey>, _> = key.iter().map(|file| parse(file)).collect();
                Expectation::pinned(keys?)
            }
        };
        if let Some(id) = self.auth_request_id {
            expectation = expectation.auth_request_id(id);
        }
        if let Some(id) = self.user_id {
            expectation = expectation.user_id(id);
        }
        if let Some(id) = self.project_id {
            expectation = expectation.project_id(id);
        }
        if let Some(nonce) = &self.nonce {
            expectation = expectation.nonce(nonce);
        }
        for origin in &self.origin {
            expectation = expectation.origin(origin);
        }
        if let Some(id) = &self.relying_party {
            expectation = expectation.relying_party(id);
        }
        if let Some(challenge) = &self.challenge {
            expectation = expectation.challenge(challenge.clone());
        }
        if let Some((from, to)) = self.signed_from.zip(self.signed_to) {
            expectation = expectation.signed_between(from, to);
        }
        if self.any_challenge {
            expectation = expectation.any_challenge();
        }
        if self.without_user_verification {
            expectation = expectation.without_user_verification();
        }
        if self.any_counter {
            expectation = expectation.any_counter();
        }
        if self.require_signed_data {
            expectation = expectation.require_signed_data();
        }
        Ok(expectation)
    }
}

/// Reads the proof, which may come from anywhere: the expectation decides.
fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let result = if path == Path::new("-") {
        io::stdin().take(MAX_LEN).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_LEN).read_to_string(&mut text))
    };
    result
        .map(|_| text)
        .map_err(|error| Failure::Config(format!("{}: {error}", path.display())))
}

/// Reads a file that decides what is valid.
fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = read_trusted(path, Readers::Everyone)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Config(format!("{}: {error}", path.display())))
}

fn unchecked(verified: &VerifiedProof) -> Vec<String> {
    let checked = verified.checks();
    let others = Check::ALL.iter().filter(|check| !checked.contains(check));
    others.map(ToString::to_string).collect()
}

fn signed_at(verified: &VerifiedProof) -> Option<String> {
    let date = OffsetDateTime::from(verified.signed_at()?);
    date.format(&Rfc3339).ok()
}

fn to_text(verified: &VerifiedProof) -> String {
    let key = match verified.trust() {
        Trust::Pinned => "pinned",
        _ => "from the message, which proves nothing",
    };
    let covers = match verified.coverage() {
        Coverage::SignedData => "the signed data",
        _ => "the passkey's data; request, user, project, nonce and date are the service's word",
    };
    let checks: Vec<_> = verified.checks().iter().map(ToString::to_string).collect();
    format!(
        "valid\nkey: {key}\nthe signature covers: {covers}\nsigned at: {}\nchecked: {}\n\
         not checked: {}",
        signed_at(verified).as_deref().unwrap_or("unknown"),
        checks.join(", "),
        unchecked(verified).join(", "),
    )
}

fn to_json(verified: &VerifiedProof) -> serde_json::Value {
    let checks: Vec<_> = verified.checks().iter().map(ToString::to_string).collect();
    json!({
        "valid": true,
        "key_is_pinned": verified.trust() == Trust::Pinned,
        "covers_signed_data": verified.coverage() == Coverage::SignedData,
        "signed_at": signed_at(verified),
        "checked": checks,
        "not_checked": unchecked(verified),
    })
}
