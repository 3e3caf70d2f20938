//! [`Proof::verify`] and its result.

use std::time::SystemTime;

use base64::Engine as _;

use super::Proof;
use super::error::{Check, ProofError};
use super::expectation::{Challenge, Expectation, Keys};
use super::format::Bytes;
use super::key::PinnedKey;
use super::message::{Assertion, Form, Message, PhoneSignature, Signed, is_hex_of, system_time};
use crate::types::Object;
use crate::webauthn::{
    AuthenticatorData, BASE64URL, ClientData, GET, USER_PRESENT, USER_VERIFIED, sha256,
    signed_bytes,
};

/// Where the key of a valid proof is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trust {
    /// The program gave it: see [`PinnedKey`].
    Pinned,
    /// The message brought it along, which proves nothing.
    InMessage,
}

/// The part of the message that a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coverage {
    /// The hash of the signed data. So request, user, project, nonce and date
    /// are what the device signed.
    SignedData,
    /// The data of a passkey alone: challenge, origin, relying party, flags and
    /// counter. Request, user, project, nonce and date are the service's word.
    PasskeyData,
}

/// A valid proof: what was checked, and with which key.
///
/// It does not mean that a user signed in: only a
/// [`SignedInUser`](crate::flow::SignedInUser) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedProof {
    key: PinnedKey,
    trust: Trust,
    coverage: Coverage,
    checks: Vec<Check>,
    signed_at: Option<SystemTime>,
}

impl VerifiedProof {
    /// Returns the key of the signature, with the counter of this proof. Store
    /// it in place of the old one, and only if the stored counter is still the
    /// one that was expected: two sign-ins can end at the same time.
    #[must_use]
    pub fn key(&self) -> &PinnedKey {
        &self.key
    }

    /// Returns where the key is from.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Returns what the signature covers.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.coverage
    }

    /// Returns the checks that were made, in the order of [`Check::ALL`]. A check
    /// that does not apply, or for which nothing was expected, is not among them.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Returns the date in the signed data, in whole milliseconds.
    #[must_use]
    pub fn signed_at(&self) -> Option<SystemTime> {
        self.signed_at
    }
}

impl Proof {
    /// Verifies the signature and what was signed. Makes no call and reads no
    /// clock. Time and memory are linear in the length of the message, whose
    /// parts are limited to 64 KiB each.
    ///
    /// The error says which check failed. If several would, it is the first one
    /// in the order of [`Check::ALL`].
    pub fn verify(&self, expectation: &Expectation) -> Result<VerifiedProof, ProofError> {
        self.verify_with(expectation, Checks::default())
    }

    fn verify_with(
        &self,
        expectation: &Expectation,
        mut checks: Checks,
    ) -> Result<VerifiedProof, ProofError> {
        let message = Message::read(self)?;
        checks.check(Check::Hash, message.hash_agrees)?;
        let (key, trust) = message.key(&expectation.keys)?;
        let (counter, coverage) = match &message.form {
            Form::Passkey(assertion) => checks.passkey(&key, assertion, &message, expectation)?,
            Form::Phone(signature) => checks.phone(&key, signature, &message)?,
        };
        if expectation.signed_data_required && coverage != Coverage::SignedData {
            return Err(ProofError::NotCovered);
        }
        if let Some(last) = key.last_counter().filter(|_| !expectation.any_counter) {
            // Authenticators without a counter always send zero.
            checks.check(Check::Counter, counter > last || (counter, last) == (0, 0))?;
        }
        let signed = message.signed()?;
        checks.signed(&signed, expectation)?;
        let last = key.last_counter().unwrap_or(0);
        Ok(VerifiedProof {
            key: key.with_last_counter(counter.max(last)),
            trust,
            coverage,
            checks: checks.passed,
            signed_at: signed.signing.date().and_then(system_time),
        })
    }
}

#[cfg(test)]
impl Proof {
    pub(super) fn verify_without(
        &self,
        check: Check,
        expectation: &Expectation,
    ) -> Result<VerifiedProof, ProofError> {
        let checks = Checks {
            skipped: Some(check),
            ..Checks::default()
        };
        self.verify_with(expectation, checks)
    }
}

impl Message<'_> {
    /// Returns the key with which the signature is checked.
    fn key(&self, keys: &Keys) -> Result<(PinnedKey, Trust), ProofError> {
        let in_message = || match &self.form {
            Form::Passkey(assertion) => {
                PinnedKey::passkey(assertion.credential_id.clone(), self.public_key()?)
            }
            Form::Phone(_) => PinnedKey::phone(self.public_key()?),
        };
        let Keys::Pinned(keys) = keys else {
            return Ok((in_message()?, Trust::InMessage));
        };
        let found = match &self.form {
            Form::Passkey(assertion) => {
                let id = Some(assertion.credential_id.as_slice());
                keys.iter().find(|key| key.credential_id() == id)
            }
            // The signature of a phone names no key, so that the one of the
            // message tells which of the pinned ones it is.
            Form::Phone(_) => {
                let claimed = in_message()?;
                keys.iter().find(|key| key.is_same_key(&claimed))
            }
        };
        let key = found.ok_or(ProofError::UnknownKey)?;
        Ok((key.clone(), Trust::Pinned))
    }
}

#[derive(Default)]
struct Checks {
    passed: Vec<Check>,
    /// A check whose failure counts as passed: shows that it is needed.
    #[cfg(test)]
    skipped: Option<Check>,
}

impl Checks {
    fn check(&mut self, check: Check, passes: bool) -> Result<(), ProofError> {
        #[cfg(test)]
        let passes = passes || self.skipped == Some(check);
        if !passes {
            return Err(ProofError::Failed(check));
        }
        self.passed.push(check);
        Ok(())
    }

    /// Returns the counter, and what the signature covers.
    fn passkey(
        &mut self,
        key: &PinnedKey,
        assertion: &Assertion,
        message: &Message<'_>,
        expectation: &Expectation,
    ) -> Result<(u64, Coverage), ProofError> {
        let signed = signed_bytes(&assertion.authenticator_data, &assertion.client_data);
        let verifies = key.verifies(&signed, &assertion.signature)?;
        self.check(Check::Signature, verifies)?;
        let Object(client): Object<ClientData> =
            serde_json::from_slice(&assertion.client_data).map_err(|_| ProofError::ClientData)?;
        let data = AuthenticatorData::read(&assertion.authenticator_data)
            .ok_or(ProofError::AuthenticatorData)?;

        self.check(Check::Ceremony, client.ceremony == GET)?;
        let challenge = BASE64URL
            .decode(&client.challenge)
            .map_err(|_| ProofError::ClientData)?;
        let is_hash = challenge == message.hash
            || is_hex_of(std::str::from_utf8(&challenge).ok(), &message.hash);
        match &expectation.challenge {
            Challenge::Hash if !is_hash => return Err(ProofError::Unspecified(Check::Challenge)),
            Challenge::Hash => self.check(Check::Challenge, true)?,
            Challenge::Is(Bytes(expected)) => {
                self.check(Check::Challenge, challenge == *expected)?;
            }
            Challenge::Any => {}
        }

        let origins = &expectation.origins;
        if origins.is_empty() {
            return Err(ProofError::Unspecified(Check::Origin));
        }
        let is_expected = origins.contains(&client.origin) && !client.cross_origin;
        self.check(Check::Origin, is_expected)?;
        let relying_party = expectation.relying_party.as_deref();
        let relying_party = relying_party.ok_or(ProofError::Unspecified(Check::RelyingParty))?;
        let is_expected = *data.rp_id_hash == sha256(relying_party.as_bytes());
        self.check(Check::RelyingParty, is_expected)?;
        self.check(Check::UserPresence, data.flags & USER_PRESENT != 0)?;
        if !expectation.unverified_user {
            self.check(Check::UserVerification, data.flags & USER_VERIFIED != 0)?;
        }
        let coverage = if is_hash {
            Coverage::SignedData
        } else {
            Coverage::PasskeyData
        };
        Ok((data.counter.into(), coverage))
    }

    /// Returns the counter, and what the signature covers.
    fn phone(
        &mut self,
        key: &PinnedKey,
        phone: &PhoneSignature,
        message: &Message<'_>,
    ) -> Result<(u64, Coverage), ProofError> {
        // "The challenge is signed": its text, or the bytes that it stands for,
        // or, if it is the digest itself, the text of which it is the hash. Each
        // of them commits to the signed data.
        let readings: [&[u8]; 3] = [
            phone.challenge.as_bytes(),
            &message.hash,
            message.signed_text.as_bytes(),
        ];
        let mut verifies = false;
        for signed in readings {
            verifies = verifies || key.verifies(signed, &phone.signature)?;
        }
        self.check(Check::Signature, verifies)?;
        let is_hash = is_hex_of(Some(&phone.challenge), &message.hash);
        self.check(Check::Challenge, is_hash)?;
        let counter = message.signed()?.signing.counter;
        // The one beside the signature is not signed.
        if phone.counter.is_some() && phone.counter != counter {
            return Err(ProofError::Failed(Check::Counter));
        }
        Ok((counter.unwrap_or(0), Coverage::SignedData))
    }

    fn signed(&mut self, signed: &Signed, expected: &Expectation) -> Result<(), ProofError> {
        let (message, signing) = (&signed.message, &signed.signing);
        let unspecified = ProofError::Unspecified;
        let request = expected.auth_request_id;
        let request = request.ok_or(unspecified(Check::RequestId))?;
        self.check(Check::RequestId, message.request == Some(request))?;
        let user = expected.user_id.ok_or(unspecified(Check::UserId))?;
        self.check(Check::UserId, message.user == Some(user))?;
        if expected.project_id.is_some() {
            self.check(Check::ProjectId, message.project == expected.project_id)?;
        }
        if expected.nonce.is_some() {
            self.check(Check::Nonce, signing.nonce == expected.nonce)?;
        }
        if let Some((from, to)) = expected.signed_between {
            let is_within = signing
                .date()
                .is_some_and(|date| (from..=to).contains(&date));
            self.check(Check::Date, is_within)?;
        }
        Ok(())
    }
}
