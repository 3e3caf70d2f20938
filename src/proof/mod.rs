//! Verifies the signed message of a sign-in, offline.
//!
//! # What is unverified
//!
//! No public source describes the message in full, and it was not tried against
//! the live service. This module accepts what the sources say, refuses what it
//! does not know as [`Unsupported`](ProofError::Unsupported), and takes nothing
//! for valid that it could not check. The emulator makes messages of this form.
//! Not known are:
//!
//! | question | what this module does |
//! | --- | --- |
//! | How does the challenge of a passkey relate to the signed data? | If it is the hash of the signed data, the signature covers that, too. If not, it covers the passkey's own data alone, and the challenge has to be the one that the page was given. [`VerifiedProof::coverage`] says which. |
//! | Which form does the public key of a passkey have? | It is read as a COSE key. Any other is refused. |
//! | Which bytes does a phone sign? | The challenge, which is the hash of the signed data. It is read as text, as bytes, and as the digest of the signature. Each reading commits to the signed data. |
//! | Does a phone also sign when the user *declines*? | The signed data does not say what the user decided, so a proof does not show that the user approved. |
//! | What do messages of security keys (U2F) look like? | They are `Unsupported`. |
//!
//! # What a proof is worth
//!
//! The service sends a signed message with each sign-in by passkey or phone. A
//! [`Proof`] holds it. [`Proof::verify`] compares it with an [`Expectation`],
//! whose values are from your own records, and says which [checks](Check) it
//! made. It guards against a service that is broken into, or a mistake of it, as
//! far as the key can be trusted: **a key that comes with the message proves
//! nothing**. See [`PinnedKey`] for what each source of keys is worth.
//!
//! | method | covered by the signature, with a key of the registration |
//! | --- | --- |
//! | passkey | this user's passkey was used, on a page of your origin, for the challenge that your page was given |
//! | phone | this user's phone signed for this request, user, project, nonce and date |
//! | magic link | nothing is signed, and there is no proof |
//!
//! For a passkey whose challenge is not the hash of the signed data, request,
//! user, project, nonce and date are the service's word. The user is the one of
//! the pinned key. A service that is broken into chooses the challenge: it can
//! give one challenge to two sign-ins of the same user. The counter tells these
//! apart, but many passkeys always have the counter zero. To be sure, store the
//! challenges of accepted proofs, and refuse one that comes again. Compare no
//! signatures for that: an ECDSA signature has a second valid form, and base64
//! has several.
//!
//! # Together with a sign-in
//!
//! **A proof does not sign a user in.** Only a flow does, and nothing in this
//! module can make a [`SignedInUser`](crate::flow::SignedInUser). Nor does a
//! proof that fails unmake one: decide what your program does then. There are two
//! ways to combine them.
//!
//! *The flow requires a proof.* The sign-in succeeds only with a valid one.
//! Otherwise it fails with [`Mismatch`](crate::ErrorKind::Mismatch), whose
//! source is the [`ProofError`]:
//!
//! ```no_run
//! use autharmor::flow::{PendingWebauthn, SignIn};
//! use autharmor::proof::{Expectation, PinnedKey};
//! use autharmor::{Client, Error};
//!
//! fn complete(
//!     client: &Client,
//!     pending: PendingWebauthn,
//!     page_json: &str,
//!     keys_of_the_user: Vec<PinnedKey>,
//! ) -> Result<SignIn, Error> {
//!     let expectation = Expectation::pinned(keys_of_the_user)
//!         .origin("https://app.example")
//!         .relying_party("app.example");
//!     let end = pending.require_proof(expectation).complete(client, page_json)?;
//!     if let Some(verified) = end.user().and_then(|user| user.verified_proof()) {
//!         // Store `verified.key()` in place of the old one: it has the counter.
//!         println!("checked: {:?}", verified.checks());
//!     }
//!     Ok(end)
//! }
//! ```
//!
//! *The program verifies it afterwards*, when it knows who signed in and can look
//! up that user's keys. [`expectation`](crate::flow::SignedInUser::expectation)
//! adds request, user, nonce and challenge of the flow:
//!
//! ```no_run
//! use autharmor::flow::SignedInUser;
//! use autharmor::proof::{Expectation, PinnedKey, ProofError, VerifiedProof};
//!
//! fn verify(user: &SignedInUser, keys: Vec<PinnedKey>) -> Result<VerifiedProof, ProofError> {
//!     let expectation = Expectation::pinned(keys)
//!         .origin("https://app.example")
//!         .relying_party("app.example");
//!     let expectation = user.expectation(expectation)?;
//!     user.proof().ok_or(ProofError::Missing)?.verify(&expectation)
//! }
//! ```
//!
//! # Audit log
//!
//! [`Proof`] and [`Expectation`] serialise with serde. Write both into the log,
//! and keep the log where an attacker cannot change it: the expectation is what
//! makes the proof worth something later. `autharmor proof verify` reads both.
//! They name the user, so treat the log as personal data.

mod error;
mod expectation;
mod format;
mod key;
mod message;
mod verify;

use std::fmt;

use serde::{Deserialize, Serialize};

use self::format::Format;
use crate::auth::SecureSignedMessage;
use crate::types::Object;

pub use self::error::{Check, ProofError};
pub use self::expectation::Expectation;
pub use self::key::PinnedKey;
pub use self::verify::{Coverage, Trust, VerifiedProof};

/// The most bytes of one part of a message.
const MAX_LEN: usize = 64 * 1024;

/// The signed message of a sign-in. See the [module](self) for what it is worth.
///
/// It serialises with serde, with everything that
/// [`verify`](Self::verify) needs but the [`Expectation`]. One of another format
/// does not deserialise. It names the user; `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    v: Format,
    #[serde(deserialize_with = "message")]
    message: SecureSignedMessage,
}

impl Proof {
    /// Takes the signed message of a response, for example of a record of
    /// [`auth_history`](crate::Client::auth_history). Returns `None` if nothing
    /// was signed, as for magic links.
    #[must_use]
    pub fn from_message(message: SecureSignedMessage) -> Option<Self> {
        let signature = message.signature_data.as_ref();
        let is_signed = message.signed_data.is_some()
            && signature.is_some_and(|signature| signature.signature_data.is_some());
        is_signed.then_some(Self { v: Format, message })
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").finish_non_exhaustive()
    }
}

fn message<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<SecureSignedMessage, D::Error> {
    Object::deserialize(deserializer).map(|Object(message)| message)
}

#[cfg(test)]
mod tests;
