//! Decides who signed in. Only this module can make a [`SignedInUser`].

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use uuid::Uuid;

use crate::auth::{
    AuthMethod, AuthMethodUseType, AuthProfileDetails, AuthRequestStatus, AuthResponseDetails,
    ResultCode, ValidateAuthResponse,
};
use crate::error::{Error, ErrorKind};
use crate::flow::proof::{Evidence, Requirement};
use crate::flow::wait::Outage;
#[cfg(feature = "proof")]
use crate::proof::{Expectation, Proof, ProofError, VerifiedProof};
use crate::secret::{Private, Secret};
use crate::types::{ContextData, Timestamp};
use crate::user_key::UserKey;

/// The outcome of a sign-in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SignIn {
    /// The user signed in: the response of a validate call says so, and every
    /// check passed.
    SignedIn(Box<SignedInUser>),
    /// The user declined.
    Declined,
    /// The user did not respond in time.
    TimedOut,
    /// The user approved, but the validation came too late.
    ValidatedTooLate,
    /// The service refused for security reasons, such as another IP address or
    /// user agent than at the start.
    RefusedForSecurity,
    /// The signature of the user's device is wrong.
    FailedSignature,
    /// The user has not responded yet.
    StillPending,
    /// The time of a wait is over, and the last poll failed: whether the user
    /// has responded is unknown. The same state can be waited for again.
    ServiceUnavailable(Outage),
    /// The progress callback or the cancel flag of a wait ended it.
    Cancelled,
    /// The service does not authorise the sign-in and gives no reason that
    /// this crate knows.
    NotAuthorized,
}

impl SignIn {
    /// Returns the user, if one signed in.
    #[must_use]
    pub fn user(&self) -> Option<&SignedInUser> {
        match self {
            Self::SignedIn(user) => Some(user),
            _ => None,
        }
    }
}

/// A user who has signed in.
///
/// No other type of this crate means that a user signed in. Only a flow makes
/// one, and only if the validate response said `authorized: true` and passed
/// every check. It is as good as the client that made it: if a process has
/// clients of several projects, or one of an emulator, a user of one of them is
/// no user of the others. It cannot be constructed, changed or deserialised:
///
/// ```compile_fail
/// use autharmor::flow::SignedInUser;
///
/// fn somebody_else(user: SignedInUser) -> SignedInUser {
///     SignedInUser { user_id: uuid::Uuid::nil(), ..user }
/// }
/// ```
///
/// ```compile_fail
/// let user: autharmor::flow::SignedInUser = serde_json::from_str("{}").unwrap();
/// ```
///
/// ```compile_fail
/// let user = autharmor::flow::SignedInUser::default();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedInUser {
    user_id: Uuid,
    username: Option<Private>,
    method: Option<AuthMethod>,
    use_type: Option<AuthMethodUseType>,
    auth_request_id: Uuid,
    context_data: ContextData,
    signed_in_at: Option<Timestamp>,
    /// Of the sign-in, if the crate is built with proofs.
    evidence: Evidence,
}

impl SignedInUser {
    /// Returns the user's id.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        self.user_id
    }

    /// Returns the user's name, if the response has it.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Returns the method by which the user signed in.
    #[must_use]
    pub fn method(&self) -> Option<&AuthMethod> {
        self.method.as_ref()
    }

    /// Returns what the user did to approve.
    #[must_use]
    pub fn use_type(&self) -> Option<&AuthMethodUseType> {
        self.use_type.as_ref()
    }

    /// Returns the id of the request that was approved.
    #[must_use]
    pub fn auth_request_id(&self) -> Uuid {
        self.auth_request_id
    }

    /// Returns the context data of the start call; magic links only.
    #[must_use]
    pub fn context_data(&self) -> &ContextData {
        &self.context_data
    }

    /// Returns the time at which the user approved, by the service's clock.
    #[must_use]
    pub fn signed_in_at(&self) -> Option<&Timestamp> {
        self.signed_in_at.as_ref()
    }
}

#[cfg(feature = "proof")]
#[cfg_attr(docsrs, doc(cfg(feature = "proof")))]
impl SignedInUser {
    /// Returns the signed message of the sign-in, or `None` if nothing was
    /// signed, as for magic links. It is not verified, unless the flow
    /// [required](super::PendingWebauthn::require_proof) it.
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.evidence.proof.as_ref()
    }

    /// Adds what the flow knows to an expectation: the auth request, this user,
    /// the nonce, and the challenge of a passkey.
    ///
    /// Fails with [`ProofError::Failed`] if it expects another value already.
    /// The result holds the nonce. Keep it with the proof, if somebody is to
    /// verify it later.
    pub fn expectation(&self, expectation: Expectation) -> Result<Expectation, ProofError> {
        let (request, user) = (self.auth_request_id(), self.user_id());
        self.evidence.complete(expectation, request, user)
    }

    /// Returns the verified proof, if the flow required one.
    #[must_use]
    pub fn verified_proof(&self) -> Option<&VerifiedProof> {
        self.evidence.verified.as_ref()
    }
}

/// The user whom a response must be about.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The user whom the program asked for; `None` is anybody.
    pub(super) user: Option<UserKey>,
    /// The user's id in the start response.
    pub(super) started_for: Option<Uuid>,
    /// The user's id in the finish response.
    pub(super) finished_by: Option<Uuid>,
    /// Whether names may differ in ASCII case.
    pub(super) ignore_case: bool,
}

/// The sign-in that a validate response must be about.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) identity: Identity,
    pub(super) auth_request_id: Uuid,
    /// The nonce of the request, if it had one.
    pub(super) nonce: Option<Secret>,
    pub(super) proof: Requirement,
}

/// Decides the outcome from the response of a validate call. Fails with
/// [`ErrorKind::Mismatch`] if the response contradicts itself or is about
/// another user or request.
pub(super) fn judge(response: ValidateAuthResponse, expected: &Expected) -> Result<SignIn, Error> {
    const NOBODY: &str = "the response does not say who signed in";
    let status = response.auth_request_status_id;
    let details = response.validate_auth_response_details;
    let code = details.as_ref().and_then(|details| details.result_code);
    let Some(details) = details.filter(|details| details.authorized == Some(true)) else {
        return Ok(refused(status, code));
    };
    // Only these agree with an authorisation. Every other value says something
    // else, or something that this crate does not know.
    if let Some(status) = status.filter(|status| *status != AuthRequestStatus::Completed) {
        return mismatch(format!("authorized, but with status {}", status.number()));
    }
    if let Some(code) = code.filter(|code| *code != ResultCode::Success) {
        return mismatch(format!(
            "authorized, but with result code {}",
            code.number()
        ));
    }
    let Some(auth_details) = details.auth_details else {
        return mismatch(NOBODY);
    };
    let Some(response) = auth_details.response_details else {
        return mismatch(NOBODY);
    };
    let profile = response.auth_profile_details.as_ref();
    let user_id = profile.and_then(|profile| known(profile.user_id));
    let (Some(profile), Some(user_id)) = (profile, user_id) else {
        return mismatch(NOBODY);
    };
    let requested = auth_details
        .request_details
        .and_then(|request| request.auth_profile_details);
    let ignore_case = expected.identity.ignore_case;
    if requested.is_some_and(|requested| disagree(&requested, profile, ignore_case)) {
        return mismatch("the request part is about another user than the response part");
    }
    let username = known_text(profile.username.as_ref());
    check_user(user_id, username, &expected.identity)?;
    check_signed_message(&response, expected)?;
    let evidence = Evidence::collect(
        response.secure_signed_message,
        &expected.proof,
        expected.auth_request_id,
        user_id,
        expected.nonce.as_ref(),
    )?;
    let (method, use_type) = response
        .auth_method
        .map_or((None, None), |method| (method.name, method.usetype));
    Ok(SignIn::SignedIn(Box::new(SignedInUser {
        user_id,
        username: username.cloned(),
        method,
        use_type,
        auth_request_id: expected.auth_request_id,
        context_data: details.context_data,
        signed_in_at: response.date,
        evidence,
    })))
}

/// Returns the error for a response that does not match the request.
pub(super) fn mismatch<T>(why: impl Into<Cow<'static, str>>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Mismatch, why)
        .in_area("flow")
        .with_sent(true))
}

/// Returns the outcome of a request that is not authorized.
pub(super) fn refused(status: Option<AuthRequestStatus>, code: Option<ResultCode>) -> SignIn {
    let is_pending = matches!(
        status,
        Some(AuthRequestStatus::PendingApproval | AuthRequestStatus::PendingValidation)
    );
    let is_over = status == Some(AuthRequestStatus::Completed);
    match code {
        Some(ResultCode::Declined) => SignIn::Declined,
        Some(ResultCode::Timeout) => SignIn::TimedOut,
        Some(ResultCode::ValidationTimeout) => SignIn::ValidatedTooLate,
        Some(ResultCode::SecurityException) => SignIn::RefusedForSecurity,
        Some(ResultCode::InvalidSignature) => SignIn::FailedSignature,
        Some(ResultCode::Unknown | ResultCode::PendingApproval | ResultCode::PendingValidation)
            if !is_over =>
        {
            SignIn::StillPending
        }
        None | Some(ResultCode::Other(_)) if is_pending => SignIn::StillPending,
        _ => SignIn::NotAuthorized,
    }
}

/// Returns the id, unless it is the nil UUID, which the service sends for
/// "none".
pub(super) fn known(id: Option<Uuid>) -> Option<Uuid> {
    id.filter(|id| !id.is_nil())
}

/// Returns the text, unless it is empty, which means that it is unknown.
pub(super) fn known_text(text: Option<&Private>) -> Option<&Private> {
    text.filter(|text| !text.as_str().is_empty())
}

fn same_name(a: &str, b: &str, ignore_case: bool) -> bool {
    a == b || ignore_case && a.eq_ignore_ascii_case(b)
}

/// Returns whether two profiles cannot be the same user's.
fn disagree(a: &AuthProfileDetails, b: &AuthProfileDetails, ignore_case: bool) -> bool {
    let ids = known(a.user_id).zip(known(b.user_id));
    let names = known_text(a.username.as_ref()).zip(known_text(b.username.as_ref()));
    ids.is_some_and(|(a, b)| a != b) || names.is_some_and(|(a, b)| !same_name(a, b, ignore_case))
}

/// Checks that this is the expected user: by every id that is known, and by
/// name if the program asked for a name and the start response had no id.
pub(super) fn check_user(
    user_id: Uuid,
    username: Option<&Private>,
    expected: &Identity,
) -> Result<(), Error> {
    let asked_for = match expected.user {
        Some(UserKey::Id(id)) => Some(id),
        _ => None,
    };
    let started_for = known(expected.started_for);
    let ids = [asked_for, started_for, known(expected.finished_by)];
    if ids.iter().flatten().any(|id| *id != user_id) {
        return mismatch("the response is about another user");
    }
    // The id of the finish response does not replace the name: it says who used
    // the passkey, not who was asked for.
    match &expected.user {
        Some(UserKey::Username(name)) if started_for.is_none() => {
            if username.is_some_and(|found| same_name(found, name, expected.ignore_case)) {
                Ok(())
            } else {
                mismatch("the response is about a user of another name")
            }
        }
        _ => Ok(()),
    }
}

/// Compares the message that the user's device signed with the request, if the
/// message can be decoded. The service checks the signature itself.
fn check_signed_message(response: &AuthResponseDetails, expected: &Expected) -> Result<(), Error> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let signed = response.secure_signed_message.as_ref().and_then(|message| {
        let json = LENIENT
            .decode(message.signed_data.as_deref()?.trim())
            .ok()?;
        serde_json::from_str::<Value>(std::str::from_utf8(&json).ok()?).ok()
    });
    let Some(signed) = signed else { return Ok(()) };
    let (message, signing) = (signed.get("message_data"), signed.get("signing_data"));
    if message.or(signing).is_none() {
        // Messages of an older form have neither.
        return Ok(());
    }
    let about = message.and_then(|message| message.get("auth_request_id"));
    if about.is_some_and(|id| !id.is_null() && !is_id(id, expected.auth_request_id)) {
        return mismatch("the signed message is about another request");
    }
    let nonce = signing
        .and_then(|signing| signing.get("nonce"))
        .and_then(Value::as_str);
    match &expected.nonce {
        Some(ours) if nonce.map(Secret::from).as_ref() != Some(ours) => {
            mismatch("the signed message has another nonce")
        }
        _ => Ok(()),
    }
}

fn is_id(value: &Value, id: Uuid) -> bool {
    value.as_str().and_then(|text| Uuid::try_parse(text).ok()) == Some(id)
}

#[cfg(test)]
mod tests;
