//! [`Expectation`]: what a proof has to show.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{Check, ProofError};
use super::format::{Bytes, Format};
use super::key::PinnedKey;
use crate::secret::Secret;

/// The keys and values that a valid proof must have.
///
/// Take each value from your own records, never from the message. The keys, the
/// request and the user are required. For a passkey so are origin, relying party
/// and challenge; the challenge can be left out if the signed one is the hash of
/// the signed data. Without them [`verify`](super::Proof::verify) fails with
/// [`Unspecified`](ProofError::Unspecified). Other values are checked if they
/// are given.
///
/// A flow knows request, user, nonce and challenge:
/// [`SignedInUser::expectation`](crate::flow::SignedInUser::expectation) adds
/// them.
///
/// It serialises with serde, so that it can be kept with the proof. It holds the
/// nonce, which is a secret until the sign-in has ended. One of another format,
/// or with a member that this version does not know, does not deserialise.
///
/// ```
/// use autharmor::proof::Expectation;
/// # let (request, user) = (uuid::Uuid::from_u128(7), uuid::Uuid::from_u128(8));
/// # let keys_of_the_user = Vec::new();
///
/// let expectation = Expectation::pinned(keys_of_the_user)
///     .auth_request_id(request)
///     .user_id(user)
///     .origin("https://app.example")
///     .relying_party("app.example");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Expectation {
    v: Format,
    pub(super) keys: Keys,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) auth_request_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project_id: Option<Uuid>,
    #[serde(
        default,
        serialize_with = "Secret::serialize_exposed_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) nonce: Option<Secret>,
    #[serde(default, skip_serializing_if = "Challenge::is_default")]
    pub(super) challenge: Challenge,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) origins: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) relying_party: Option<String>,
    /// Milliseconds since 1970, both ends included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signed_between: Option<(i64, i64)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) unverified_user: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) any_counter: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) signed_data_required: bool,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Keys {
    Pinned(Vec<PinnedKey>),
    InMessage,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Challenge {
    /// The hash of the signed data.
    #[default]
    Hash,
    Is(Bytes),
    Any,
}

impl Challenge {
    fn is_default(&self) -> bool {
        *self == Self::Hash
    }
}

impl Expectation {
    /// Expects a signature of one of these keys, which are all of the expected
    /// user. See [`PinnedKey`] for what that is worth.
    pub fn pinned(keys: impl IntoIterator<Item = PinnedKey>) -> Self {
        Self::new(Keys::Pinned(keys.into_iter().collect()))
    }

    /// Accepts the key that the message brings along. **Then the proof proves
    /// nothing**: whoever forges a message signs it with a key of their own. It
    /// is for the first sign-in, whose [key](super::VerifiedProof::key) is kept,
    /// and for looking at messages.
    pub fn key_in_message() -> Self {
        Self::new(Keys::InMessage)
    }

    fn new(keys: Keys) -> Self {
        Self {
            v: Format,
            keys,
            auth_request_id: None,
            user_id: None,
            project_id: None,
            nonce: None,
            challenge: Challenge::Hash,
            origins: Vec::new(),
            relying_party: None,
            signed_between: None,
            unverified_user: false,
            any_counter: false,
            signed_data_required: false,
        }
    }

    /// Expects this auth request.
    pub fn auth_request_id(mut self, id: Uuid) -> Self {
        self.auth_request_id = Some(id);
        self
    }

    /// Expects this user.
    pub fn user_id(mut self, id: Uuid) -> Self {
        self.user_id = Some(id);
        self
    }

    /// Expects this project.
    pub fn project_id(mut self, id: Uuid) -> Self {
        self.project_id = Some(id);
        self
    }

    /// Expects the nonce of the start call.
    pub fn nonce(mut self, nonce: impl Into<Secret>) -> Self {
        self.nonce = Some(nonce.into());
        self
    }

    /// Expects this challenge of a passkey: that of the options which the page
    /// was given, decoded from base64url.
    pub fn challenge(mut self, challenge: impl Into<Vec<u8>>) -> Self {
        self.challenge = Challenge::Is(Bytes(challenge.into()));
        self
    }

    /// Accepts any challenge of a passkey. **Then the signature may be that of
    /// another sign-in** of the same user. Only for proofs whose challenge was
    /// not kept.
    pub fn any_challenge(mut self) -> Self {
        self.challenge = Challenge::Any;
        self
    }

    /// Expects that the page with the passkey is of this origin, such as
    /// `https://app.example`: scheme, host, and a port that is not the default.
    /// It is compared letter by letter. Several origins may be given.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Expects this relying party of a passkey, such as `app.example`.
    pub fn relying_party(mut self, id: impl Into<String>) -> Self {
        self.relying_party = Some(id.into());
        self
    }

    /// Expects a date of the signature from `from` to `to`, in milliseconds. The
    /// date is that of the service or of the phone, so allow for clocks that
    /// differ. A date without a time zone is read as UTC.
    pub fn signed_between(mut self, from: SystemTime, to: SystemTime) -> Self {
        self.signed_between = Some((unix_millis(from), unix_millis(to)));
        self
    }

    /// Accepts a passkey that did not verify the user by a PIN or biometrics.
    pub fn without_user_verification(mut self) -> Self {
        self.unverified_user = true;
        self
    }

    /// Does not compare the counter with the last one of the key: for proofs
    /// that are older than the key's last use.
    pub fn any_counter(mut self) -> Self {
        self.any_counter = true;
        self
    }

    /// Expects that the signature [covers](super::Coverage) the signed data.
    /// Whether signatures of passkeys do is unverified; those of phones do.
    pub fn require_signed_data(mut self) -> Self {
        self.signed_data_required = true;
        self
    }

    /// Adds what a flow knows. Fails with the check if another value is expected
    /// already.
    pub(crate) fn complete(
        mut self,
        auth_request_id: Uuid,
        user_id: Uuid,
        nonce: Option<&Secret>,
        challenge: Option<&[u8]>,
    ) -> Result<Self, ProofError> {
        fn add<T: PartialEq>(
            slot: &mut Option<T>,
            value: Option<T>,
            check: Check,
        ) -> Result<(), ProofError> {
            match (&slot, value) {
                (Some(expected), Some(value)) if *expected != value => {
                    Err(ProofError::Failed(check))
                }
                (None, value) => {
                    *slot = value;
                    Ok(())
                }
                _ => Ok(()),
            }
        }
        add(
            &mut self.auth_request_id,
            Some(auth_request_id),
            Check::RequestId,
        )?;
        add(&mut self.user_id, Some(user_id), Check::UserId)?;
        add(&mut self.nonce, nonce.cloned(), Check::Nonce)?;
        match (&self.challenge, challenge) {
            (Challenge::Is(Bytes(expected)), Some(ours)) if expected != ours => {
                return Err(ProofError::Failed(Check::Challenge));
            }
            (Challenge::Hash, Some(ours)) => self.challenge = Challenge::Is(Bytes(ours.to_vec())),
            _ => {}
        }
        Ok(self)
    }
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expectation")
            .field("auth_request_id", &self.auth_request_id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// Milliseconds since 1970, rounded towards it.
fn unix_millis(time: SystemTime) -> i64 {
    let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis());
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => millis(after).unwrap_or(i64::MAX),
        Err(before) => millis(before.duration()).map_or(i64::MIN, |millis| -millis),
    }
}
