//! The state of an auth request.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::details::AuthDetails;
use crate::client::Client;
use crate::error::Error;
use crate::http::{Endpoint, Request};
use crate::secret::Private;
use crate::types::{Timestamp, lenient, object, open_number_enum, strict_bool};

open_number_enum! {
    /// The state of an auth request. **No status signs a user in.**
    AuthRequestStatus {
        /// The service does not say.
        Unknown = 0,
        /// The request has ended, with success or without. It can no longer be
        /// approved or validated.
        Completed = 2,
        /// Waiting for the user.
        PendingApproval = 3,
        /// The user approved; waiting for the validate call.
        PendingValidation = 4,
    }
}

open_number_enum! {
    /// The result of an auth request. **No code signs a user in**; only
    /// `authorized` of a validate response does.
    ResultCode {
        /// No result yet, like [`PendingApproval`](Self::PendingApproval).
        Unknown = 0,
        /// Waiting for the user.
        PendingApproval = 1,
        /// Approved and validated.
        Success = 2,
        /// The user declined.
        Declined = 3,
        /// The signature of the user's device is wrong.
        InvalidSignature = 4,
        /// The user did not respond in time.
        Timeout = 5,
        /// The user approved; waiting for the validate call.
        PendingValidation = 8,
        /// The user approved; the validate call came too late.
        ValidationTimeout = 9,
        /// A check failed. For example, the IP address of the validate call
        /// is not that of the start call.
        SecurityException = 10,
    }
}

/// The response of [`get_auth_info`], and a record of a user's history: the
/// state of an auth request. **It does not sign a user in.**
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthInfo {
    /// The state.
    pub auth_request_status_id: Option<AuthRequestStatus>,
    /// The name of the state. Names are not stable: use the id.
    #[serde(default, deserialize_with = "lenient")]
    pub auth_request_status_name: Option<String>,
    /// The user's response. Missing while the request is pending.
    #[serde(default, deserialize_with = "object")]
    pub auth_response: Option<AuthResponse>,
}

/// A user's response to an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthResponse {
    /// The id in the user's history. Whether it equals the auth request's id
    /// is unverified.
    #[serde(default, deserialize_with = "lenient")]
    pub auth_history_id: Option<Uuid>,
    /// The result, or what the request waits for.
    pub result_code: Option<ResultCode>,
    /// The result in the service's words, which may contain a username.
    #[serde(default, deserialize_with = "lenient")]
    pub result_message: Option<Private>,
    /// What the service says about an auth request that may not be validated
    /// yet. **Do not sign a user in by it**: only
    /// [`ValidateAuthDetails::authorized`](super::ValidateAuthDetails::authorized)
    /// does that. `None` for anything but a JSON bool.
    #[serde(default, deserialize_with = "strict_bool")]
    pub authorized: Option<bool>,
    /// Details of the request and of the response.
    #[serde(default, deserialize_with = "object")]
    pub auth_details: Option<AuthDetails>,
}

/// The end of an auth request, as a record of it tells:
/// [`AuthInfo::outcome`]. **It does not sign a user in.**
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthOutcome {
    /// The user approved, and a validate call confirmed it.
    Approved,
    /// The user declined.
    Declined,
    /// The user did not respond in time.
    TimedOut,
    /// The user approved; the validate call came too late.
    ValidatedTooLate,
    /// The signature of the user's device is wrong.
    FailedSignature,
    /// A check of the service failed. For example, the IP address of the
    /// validate call is not that of the start call.
    RefusedForSecurity,
    /// The request has ended without approval or the record contradicts
    /// itself: the result is missing or unknown, or it and `authorized` do not
    /// agree.
    Unclear,
}

impl AuthInfo {
    /// Returns how the auth request ended, or `None` if it is pending or the
    /// service does not say that it has ended. For statistics and for showing
    /// a history: **no outcome signs a user in**.
    ///
    /// It is [`Approved`](AuthOutcome::Approved) only if all three agree: the
    /// status is [`Completed`](AuthRequestStatus::Completed), the result code is
    /// [`Success`](ResultCode::Success), and `authorized` is true.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    /// use autharmor::auth::AuthOutcome;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let mut declined = 0;
    /// for record in client.auth_history("ada@example.com", PageQuery::new()) {
    ///     if record?.outcome() == Some(AuthOutcome::Declined) {
    ///         declined += 1;
    ///     }
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[must_use]
    pub fn outcome(&self) -> Option<AuthOutcome> {
        if self.auth_request_status_id != Some(AuthRequestStatus::Completed) {
            return None;
        }
        let response = self.auth_response.as_ref();
        let code = response.and_then(|response| response.result_code);
        let authorized = response.and_then(|response| response.authorized);
        Some(match (code, authorized) {
            (Some(ResultCode::Success), Some(true)) => AuthOutcome::Approved,
            (_, Some(true)) => AuthOutcome::Unclear,
            (Some(ResultCode::Declined), _) => AuthOutcome::Declined,
            (Some(ResultCode::Timeout), _) => AuthOutcome::TimedOut,
            (Some(ResultCode::ValidationTimeout), _) => AuthOutcome::ValidatedTooLate,
            (Some(ResultCode::InvalidSignature), _) => AuthOutcome::FailedSignature,
            (Some(ResultCode::SecurityException), _) => AuthOutcome::RefusedForSecurity,
            _ => AuthOutcome::Unclear,
        })
    }

    /// Returns when the user responded to an auth request that has ended.
    /// `None` if it is pending, if the user did not respond, or if the service
    /// does not say; a date of the year 1 counts as none.
    ///
    /// ```no_run
    /// # let client = autharmor::Client::from_env()?;
    /// # let auth_request_id = uuid::Uuid::from_u128(7);
    /// let info = client.get_auth_info(auth_request_id)?;
    /// if let (Some(outcome), Some(date)) = (info.outcome(), info.ended_at()) {
    ///     println!("{outcome:?} at {}", date.as_str());
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[must_use]
    pub fn ended_at(&self) -> Option<&Timestamp> {
        self.outcome()?;
        let details = self.auth_response.as_ref()?.auth_details.as_ref()?;
        let date = details.response_details.as_ref()?.date.as_ref()?;
        // The date that .NET has where there is none.
        (!date.as_str().starts_with("0001-")).then_some(date)
    }
}

/// Builds the request of [`Client::get_auth_info`].
#[inline]
pub fn get_auth_info(auth_request_id: Uuid) -> Request<AuthInfo> {
    Request::new(Endpoint::GetAuthInfo).id(auth_request_id)
}

/// The state of a sign-in, see [`auth`](crate::auth).
impl Client {
    /// Returns the state of an auth request: `GET /v3/auth/{auth_request_id}`,
    /// the same under `/v4`.
    ///
    /// The request waits for the user
    /// ([`PendingApproval`](AuthRequestStatus::PendingApproval)), waits for the
    /// validate call
    /// ([`PendingValidation`](AuthRequestStatus::PendingValidation)), or has
    /// ended. **The response does not sign a user in.**
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the id
    /// is nil; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::auth::AuthRequestStatus;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let auth_request_id = uuid::Uuid::from_u128(7);
    /// let info = client.get_auth_info(auth_request_id)?;
    /// if info.auth_request_status_id == Some(AuthRequestStatus::PendingValidation) {
    ///     println!("approved: now validate it");
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn get_auth_info(&self, auth_request_id: Uuid) -> Result<AuthInfo, Error> {
        self.send(&get_auth_info(auth_request_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::checks::assert_refused;

    fn info(json: &serde_json::Value) -> AuthInfo {
        serde_json::from_value(json.clone()).unwrap()
    }

    /// Every status, code and `authorized`, each also missing.
    #[test]
    fn approved_only_if_status_code_and_authorized_agree() {
        use serde_json::{Value, json};
        let statuses = [
            json!(null),
            json!(0),
            json!(2),
            json!(3),
            json!(4),
            json!(77),
        ];
        let codes: Vec<Value> = (0..=11).map(Value::from).chain([json!(null)]).collect();
        let bools = [
            json!(null),
            json!(true),
            json!(false),
            json!("true"),
            json!(1),
        ];
        for status in &statuses {
            for code in &codes {
                for authorized in &bools {
                    let json = json!({
                        "auth_request_status_id": status,
                        "auth_response": {"result_code": code, "authorized": authorized},
                    });
                    let outcome = info(&json).outcome();
                    assert_eq!(outcome.is_some(), *status == 2, "{json}");
                    let agree = *status == 2 && *code == 2 && *authorized == true;
                    let is_approved = outcome == Some(AuthOutcome::Approved);
                    assert_eq!(is_approved, agree, "{json}");
                    if *authorized == true && !agree {
                        assert!(
                            matches!(outcome, None | Some(AuthOutcome::Unclear)),
                            "{json}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_code_has_its_outcome() {
        use serde_json::json;
        for (code, expected) in [
            (json!(3), AuthOutcome::Declined),
            (json!(4), AuthOutcome::FailedSignature),
            (json!(5), AuthOutcome::TimedOut),
            (json!(9), AuthOutcome::ValidatedTooLate),
            (json!(10), AuthOutcome::RefusedForSecurity),
            (json!(1), AuthOutcome::Unclear),
            (json!(2), AuthOutcome::Unclear),
            (json!(8), AuthOutcome::Unclear),
            (json!(77), AuthOutcome::Unclear),
            (json!(null), AuthOutcome::Unclear),
        ] {
            for authorized in [json!(false), json!(null)] {
                let json = json!({
                    "auth_request_status_id": 2,
                    "auth_response": {"result_code": code, "authorized": authorized},
                });
                assert_eq!(info(&json).outcome(), Some(expected), "{json}");
            }
        }
        let bare = info(&json!({"auth_request_status_id": 2}));
        assert_eq!(bare.outcome(), Some(AuthOutcome::Unclear));
        assert_eq!(bare.ended_at(), None);
    }

    #[test]
    fn the_end_is_the_response_s_date_if_there_is_one() {
        let date = "2020-07-11T17:09:44.7860965Z";
        for (status, text, expected) in [
            (2, date, Some(date)),
            (2, "0001-01-01T00:00:00Z", None),
            (3, date, None),
            (4, date, None),
        ] {
            let info = info(&serde_json::json!({
                "auth_request_status_id": status,
                "auth_response": {"auth_details": {
                    "request_details": {"date": "2020-07-11T17:09:00Z"},
                    "response_details": {"date": text},
                }},
            }));
            let found = info.ended_at().map(Timestamp::as_str);
            assert_eq!(found, expected, "{status} {text}");
        }
    }

    #[test]
    fn nil_id_is_refused() {
        assert_refused(&get_auth_info(Uuid::nil()), "an id is the nil UUID");
    }
}
