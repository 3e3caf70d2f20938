//! Who signed in: the one place that decides, and the only one that can make a
//! [`SignedInUser`].

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
use crate::secret::{Private, Secret};
use crate::types::{ContextData, Timestamp};
use crate::user_key::UserKey;

/// How a sign-in ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SignIn {
    /// The user signed in: the service says so in the answer to a validate
    /// call, and every check passed.
    SignedIn(Box<SignedInUser>),
    /// The user declined.
    Declined,
    /// The user did not answer in time.
    TimedOut,
    /// The user approved, but the validation came too late.
    ValidatedTooLate,
    /// The service refused for security reasons, such as an IP address or a
    /// user agent other than at the start.
    RefusedForSecurity,
    /// The signature of the user's device is wrong.
    FailedSignature,
    /// The user has not answered yet.
    StillPending,
    /// The service does not authorise the sign-in and gives no reason that
    /// this crate knows.
    NotAuthorized,
}

impl SignIn {
    /// The user, if one signed in.
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
/// Nothing else in this crate stands for a sign-in, and there is no other way
/// to one of these than a flow whose validate answer said `authorized: true`
/// and passed every check:
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
}

impl SignedInUser {
    /// The user's id.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        self.user_id
    }

    /// The user's name, if the service gave it.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// How the user signed in.
    #[must_use]
    pub fn method(&self) -> Option<&AuthMethod> {
        self.method.as_ref()
    }

    /// What the user did to approve.
    #[must_use]
    pub fn use_type(&self) -> Option<&AuthMethodUseType> {
        self.use_type.as_ref()
    }

    /// The request that was approved.
    #[must_use]
    pub fn auth_request_id(&self) -> Uuid {
        self.auth_request_id
    }

    /// The context data that was given at the start; magic links only.
    #[must_use]
    pub fn context_data(&self) -> &ContextData {
        &self.context_data
    }

    /// When the user approved, by the service's clock.
    #[must_use]
    pub fn signed_in_at(&self) -> Option<&Timestamp> {
        self.signed_in_at.as_ref()
    }
}

/// Whom a sign-in must be by.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// Whom the program asked for; `None` is anybody.
    pub(super) user: Option<UserKey>,
    /// Who that is by the word of the start answer.
    pub(super) started_for: Option<Uuid>,
    /// Who that was by the word of the finish answer.
    pub(super) finished_by: Option<Uuid>,
    /// Whether names may differ in ASCII case.
    pub(super) ignore_case: bool,
    pub(super) auth_request_id: Uuid,
    /// What went with the request, if anything did.
    pub(super) nonce: Option<Secret>,
}

/// Judges the answer to a validate call. Fails closed, with
/// [`ErrorKind::Mismatch`], where the answer contradicts itself or is about
/// somebody or something else.
pub(super) fn judge(answer: ValidateAuthResponse, expected: &Expected) -> Result<SignIn, Error> {
    let status = answer.auth_request_status_id;
    let details = answer.validate_auth_response_details;
    let code = details.as_ref().and_then(|details| details.result_code);
    let Some(details) = details.filter(|details| details.authorized == Some(true)) else {
        return Ok(refused(status, code));
    };
    if let Some(code) = code.filter(|code| contradicts(*code)) {
        return mismatch(format!(
            "authorized, but with result code {}",
            code.number()
        ));
    }
    let Some(auth_details) = details.auth_details else {
        return mismatch("it does not say who signed in");
    };
    let Some(response) = auth_details.response_details else {
        return mismatch("it does not say who signed in");
    };
    let who = response.auth_profile_details.as_ref();
    let user_id = who.and_then(known_id);
    let (Some(who), Some(user_id)) = (who, user_id) else {
        return mismatch("it does not say who signed in");
    };
    let request = auth_details
        .request_details
        .and_then(|request| request.auth_profile_details);
    if request.is_some_and(|request| disagree(&request, who, expected.ignore_case)) {
        return mismatch("its request is about another user than its response");
    }
    check_user(user_id, who.username.as_ref(), expected)?;
    check_signed_message(&response, expected)?;
    let (method, use_type) = response
        .auth_method
        .map_or((None, None), |method| (method.name, method.usetype));
    Ok(SignIn::SignedIn(Box::new(SignedInUser {
        user_id,
        username: who.username.clone(),
        method,
        use_type,
        auth_request_id: expected.auth_request_id,
        context_data: details.context_data,
        signed_in_at: response.date,
    })))
}

pub(super) fn mismatch<T>(why: impl Into<std::borrow::Cow<'static, str>>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Mismatch, why)
        .in_area("flow")
        .with_sent(true))
}

/// What a code means that comes without an authorisation.
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

/// Codes that cannot come with `authorized: true`.
fn contradicts(code: ResultCode) -> bool {
    match code {
        ResultCode::Success | ResultCode::PendingValidation | ResultCode::Other(_) => false,
        ResultCode::Unknown
        | ResultCode::PendingApproval
        | ResultCode::Declined
        | ResultCode::InvalidSignature
        | ResultCode::Timeout
        | ResultCode::ValidationTimeout
        | ResultCode::SecurityException => true,
    }
}

/// An id that says something: the nil UUID stands for nobody.
fn known_id(profile: &AuthProfileDetails) -> Option<Uuid> {
    profile.user_id.filter(|id| !id.is_nil())
}

fn same_name(a: &str, b: &str, ignore_case: bool) -> bool {
    a == b || ignore_case && a.eq_ignore_ascii_case(b)
}

/// Whether two profiles cannot be the same user's.
fn disagree(a: &AuthProfileDetails, b: &AuthProfileDetails, ignore_case: bool) -> bool {
    let by_id = known_id(a).zip(known_id(b)).is_some_and(|(a, b)| a != b);
    let by_name = a
        .username
        .as_ref()
        .zip(b.username.as_ref())
        .is_some_and(|(a, b)| !same_name(a, b, ignore_case));
    by_id || by_name
}

/// Whether this is the user who was asked for: by id where one was given, by
/// name only where none is known.
pub(super) fn check_user(
    user_id: Uuid,
    username: Option<&Private>,
    expected: &Expected,
) -> Result<(), Error> {
    let known = |id: Option<Uuid>| id.filter(|id| !id.is_nil());
    let by_id = match expected.user {
        Some(UserKey::Id(id)) => Some(id),
        _ => known(expected.started_for),
    };
    let ids = [
        by_id,
        known(expected.started_for),
        known(expected.finished_by),
    ];
    if ids.iter().flatten().any(|id| *id != user_id) {
        return mismatch("it is about another user");
    }
    // The finish answer says who was there, not whose name was asked for, so
    // its id does not stand for the name.
    match &expected.user {
        Some(UserKey::Username(name)) if by_id.is_none() => {
            if username.is_some_and(|found| same_name(found, name, expected.ignore_case)) {
                Ok(())
            } else {
                mismatch("it is about a user of another name")
            }
        }
        _ => Ok(()),
    }
}

/// Compares what the user's device signed with what was asked, where it can be
/// read. The signature itself is the service's to check.
fn check_signed_message(response: &AuthResponseDetails, expected: &Expected) -> Result<(), Error> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let signed = response.secure_signed_message.as_ref().and_then(|message| {
        let json = LENIENT
            .decode(message.signed_data.as_deref()?.trim())
            .ok()?;
        serde_json::from_slice::<Value>(&json).ok()
    });
    let Some(signed) = signed else { return Ok(()) };
    let (message, signing) = (signed.get("message_data"), signed.get("signing_data"));
    if message.or(signing).is_none() {
        // Of an older form, which holds neither.
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
