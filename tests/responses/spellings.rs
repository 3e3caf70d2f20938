//! Fields that the service spells in more than one way. It may mend a spelling by
//! sending both for a time.

use autharmor::auth::{StartWebauthnAuth, start_webauthn_auth};
use autharmor::registrations::{
    StartWebauthnRegistration, StartWebauthnRegistrationForUser, ValidateRegistration,
    start_webauthn_registration, start_webauthn_registration_for_user,
    validate_authenticator_registration, validate_webauthn_registration,
};
use autharmor::users::{UserQuery, get_user, list_users};
use autharmor::{Error, Request};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixtures::{receive, with};

const ID: Uuid = Uuid::from_u128(7);

/// Asserts that the field is read from each spelling alone and from a body that
/// has them all.
fn assert_spellings<T: DeserializeOwned>(
    request: &Request<T>,
    body: &Value,
    spellings: &[&str],
    field: impl Fn(Result<T, Error>) -> Option<String>,
) {
    let mut all = body.clone();
    for spelling in spellings {
        let alone = with(body, spelling, Some(json!("7")));
        assert_eq!(
            field(receive(request, &alone)).as_deref(),
            Some("7"),
            "{alone}"
        );
        all = with(&all, spelling, Some(json!("7")));
    }
    assert_eq!(field(receive(request, &all)).as_deref(), Some("7"), "{all}");
}

#[test]
fn names_of_the_signature() {
    let names = ["/aa_guid", "/aa_sig"];
    assert_spellings(
        &start_webauthn_auth(&StartWebauthnAuth::new()),
        &json!({"auth_request_id": ID}),
        &names,
        |response| Some(response.ok()?.aa_guid?.expose().to_owned()),
    );
    let body = json!({"registration_id": ID});
    assert_spellings(
        &start_webauthn_registration(&StartWebauthnRegistration::new("ada")),
        &body,
        &names,
        |response| Some(response.ok()?.aa_sig?.expose().to_owned()),
    );
    assert_spellings(
        &start_webauthn_registration_for_user(ID, &StartWebauthnRegistrationForUser::new()),
        &body,
        &names,
        |response| Some(response.ok()?.aa_sig?.expose().to_owned()),
    );
}

#[test]
fn names_of_the_credential() {
    for validate in [
        validate_authenticator_registration,
        validate_webauthn_registration,
    ] {
        assert_spellings(
            &validate(ID, &ValidateRegistration::new("t0ken")),
            &json!({}),
            &["/credential_id", "/device_id"],
            |response| Some(response.ok()?.credential_id?.to_string()),
        );
    }
}

#[test]
fn names_of_a_page_s_position() {
    let request = list_users(UserQuery::new());
    let body = json!({"user_records": [], "page_info": {}});
    assert_spellings(
        &request,
        &body,
        &[
            "/page_info/current_page_number",
            "/page_info/currnet_page_number",
        ],
        |page| Some(page.ok()?.page_info.current_page_number?.to_string()),
    );
    assert_spellings(
        &request,
        &body,
        &[
            "/page_info/current_page_size",
            "/page_info/currnet_page_size",
        ],
        |page| Some(page.ok()?.page_info.current_page_size?.to_string()),
    );
}

#[test]
fn names_in_an_error_body() {
    let request = get_user(ID);
    assert_spellings(
        &request,
        &json!({"error_message": "no ada"}),
        &["/error_code", "/errorCode", "/error"],
        |response| response.err()?.code().map(str::to_owned),
    );
    let body = json!({"error_code": 404});
    assert_spellings(
        &request,
        &body,
        &["/error_message", "/errorMessage", "/error_description"],
        |response| response.err()?.server_message().map(str::to_owned),
    );
    assert_spellings(
        &request,
        &body,
        &["/tracking_id", "/trackingId", "/trackingGuid"],
        |response| response.err()?.tracking_id().map(str::to_owned),
    );
}
