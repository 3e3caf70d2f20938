//! Tests what other crates rely on: which foreign types the public API names,
//! which conversions exist, and which types are `Send` and `Sync`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use autharmor::auth::{self, AuthRequestStatus, ResultCode};
use autharmor::credentials::{self, CredentialId, CredentialType};
use autharmor::registrations::{
    self, Fido2RegistrationData, FinishWebauthnRegistration, ValidateMagiclinkEmailRegistration,
    ValidateRegistration,
};
use autharmor::users::{self, UserQuery};
use autharmor::{
    ApiVersion, Attempt, Client, ClientBuilder, Endpoint, Error, ErrorKind, HttpRequest,
    HttpResponse, Limits, PageQuery, Private, Request, RetryPolicy, Secret, SortDirection, Target,
    Timestamp, Transport, TransportError, TransportErrorKind, UserKey,
};
use autharmor_test_support::rustdoc::rustdoc_json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

/// A type of any other crate in a signature would make that crate's next major
/// version a breaking change of this one.
const ALLOWED: [&str; 8] = [
    "alloc",
    "core",
    "std",
    "http",
    "jiff",
    "serde",
    "serde_core",
    "uuid",
];

#[test]
fn the_public_api_names_no_foreign_types() {
    let docs = rustdoc_json(env!("CARGO_TARGET_TMPDIR"));
    let mut named = BTreeMap::new();
    for item in docs["index"].as_object().unwrap().values() {
        if item["crate_id"] == 0 && !is_blanket_or_auto(item) {
            collect(item, item, &docs, &mut named);
        }
    }
    let crates: BTreeSet<_> = named.values().map(|(krate, _)| krate.as_str()).collect();
    // Otherwise nothing was found and the test proves nothing.
    for expected in ["core", "std", "http", "uuid", "jiff"] {
        assert!(crates.contains(expected), "{expected} is not in {crates:?}");
    }
    named.retain(|_, (krate, _)| !ALLOWED.contains(&krate.as_str()));
    assert!(named.is_empty(), "foreign types, and where: {named:#?}");
}

/// Whether an implementation is a blanket or auto one, such as `Into` or `Send`.
fn is_blanket_or_auto(item: &Value) -> bool {
    let implementation = &item["inner"]["impl"];
    !implementation["blanket_impl"].is_null() || implementation["is_synthetic"] == true
}

/// Adds every path below `value` to `named`, with its crate and the item of this
/// crate that names it.
fn collect(
    value: &Value,
    item: &Value,
    docs: &Value,
    named: &mut BTreeMap<String, (String, String)>,
) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                // Links of the documentation and attributes of macros are not
                // part of a signature.
                if name != "links" && name != "attrs" && name != "docs" {
                    collect(field, item, docs, named);
                }
            }
            let id = fields.get("id").and_then(Value::as_u64);
            let path = id.map(|id| &docs["paths"][id.to_string()]);
            if let Some(segments) = path.and_then(|path| path["path"].as_array()) {
                let segments: Vec<_> = segments.iter().filter_map(Value::as_str).collect();
                if path.unwrap()["crate_id"] != 0 {
                    named.insert(
                        segments.join("::"),
                        (segments[0].to_owned(), describe(item)),
                    );
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                collect(value, item, docs, named);
            }
        }
        _ => {}
    }
}

/// Returns an item's name, or the type of an implementation, and the file.
fn describe(item: &Value) -> String {
    let name = item["name"]
        .as_str()
        .or_else(|| item["inner"]["impl"]["for"]["resolved_path"]["path"].as_str())
        .unwrap_or("an item");
    let file = item["span"]["filename"].as_str().unwrap_or_default();
    format!("{name} in {file}")
}

#[test]
fn types_are_send_and_sync() {
    fn check<T: Send + Sync + ?Sized>() {}
    check::<Client>();
    check::<ClientBuilder>();
    check::<Attempt>();
    check::<Error>();
    check::<Request<users::User>>();
    check::<HttpRequest>();
    check::<HttpResponse>();
    check::<Secret>();
    check::<Target>();
    check::<TransportError>();
    check::<UserKey>();
    check::<dyn Transport>();
}

#[test]
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "that references are taken is what is tested"
)]
fn users_are_named_by_values_and_references() {
    let (text, id) = ("ada".to_owned(), Uuid::from_u128(7));
    let (private, key) = (Private::from(&text), UserKey::from(&id));
    for request in [
        users::get_user("ada"),
        users::get_user(&text),
        users::get_user(&private),
        users::get_user(text.clone()),
        users::get_user(private.clone()),
    ] {
        assert_eq!(request.user_key(), Some(&UserKey::from("ada")));
    }
    for request in [
        users::get_user(&id),
        users::get_user(&key),
        users::get_user(id),
        users::get_user(key.clone()),
    ] {
        assert_eq!(request.user_key(), Some(&UserKey::Id(id)));
    }
}

#[test]
fn texts_convert_from_values_and_references() {
    let text = "ada".to_owned();
    assert_eq!(Secret::from(&text), Secret::from("ada"));
    assert_eq!(Secret::from(text.clone()), Secret::from("ada"));
    assert_eq!(Private::from(&text), Private::from("ada"));
    assert_eq!(Private::from(text.clone()), Private::from("ada"));
    assert_eq!(Timestamp::from(text.clone()), Timestamp::from("ada"));
    let kind = CredentialType::from("webauthn".to_owned());
    assert_eq!(kind, CredentialType::Webauthn);
    let (private, date) = (Private::from("ada"), Timestamp::from("soon"));
    assert_eq!(AsRef::<str>::as_ref(&private), "ada");
    assert_eq!(AsRef::<str>::as_ref(&date), "soon");
    let credential: &CredentialId = &"a credential".into();
    assert_eq!(AsRef::<str>::as_ref(credential), "a credential");
}

#[test]
fn names_are_displayed_and_parsed() {
    assert_eq!(Endpoint::GetUser.to_string(), "get_user");
    assert_eq!("get_user".parse::<Endpoint>().unwrap(), Endpoint::GetUser);
    assert_eq!(ApiVersion::V4.to_string(), "v4");
    assert_eq!("v4".parse::<ApiVersion>().unwrap(), ApiVersion::V4);
    assert_eq!(ErrorKind::NotFound.to_string(), "not found");
    assert_eq!(CredentialType::Webauthn.to_string(), "webauthn");
    assert_eq!(ResultCode::Success.to_string(), "2");
    assert_eq!(AuthRequestStatus::Other(77).to_string(), "77");
}

#[test]
fn registration_ids_are_passed_as_an_argument_before_the_request() {
    let (id, token) = (Uuid::from_u128(7), ValidateRegistration::new("t0ken"));
    let data = Fido2RegistrationData::new("id", "attestation", "client");
    let finish = FinishWebauthnRegistration::new("aa_sig", data);
    let mail = ValidateMagiclinkEmailRegistration::new("t0ken");
    drop(registrations::validate_authenticator_registration(
        id, &token,
    ));
    drop(registrations::validate_webauthn_registration(id, &token));
    drop(registrations::finish_webauthn_registration(id, &finish));
    drop(registrations::finish_webauthn_registration_for_user(
        "ada", id, &finish,
    ));
    drop(registrations::validate_magiclink_email_registration(
        id, &mail,
    ));
    // v3 has none here.
    drop(registrations::validate_magiclink_email_registration(
        None, &mail,
    ));
    drop(registrations::get_registration_info(id));
}

#[test]
fn like_types_implement_the_same_traits() {
    fn request<T: Clone + Debug + Eq + Serialize>() {}
    fn response<T: Clone + Debug + Eq + Serialize + DeserializeOwned>() {}
    request::<auth::StartAuthenticatorAuth>();
    request::<auth::StartWebauthnAuth>();
    request::<auth::FinishWebauthnAuth>();
    request::<auth::StartMagiclinkEmailAuth>();
    request::<auth::ValidateAuth>();
    request::<registrations::StartAuthenticatorRegistration>();
    request::<registrations::StartWebauthnRegistration>();
    request::<registrations::StartWebauthnRegistrationForUser>();
    request::<FinishWebauthnRegistration>();
    request::<registrations::StartMagiclinkEmailRegistration>();
    request::<registrations::StartChangeMagiclinkEmail>();
    request::<ValidateMagiclinkEmailRegistration>();
    request::<ValidateRegistration>();
    request::<users::UpdateUser>();
    response::<auth::StartAuthenticatorAuthResponse>();
    response::<auth::StartWebauthnAuthResponse>();
    response::<auth::FinishWebauthnAuthResponse>();
    response::<auth::StartMagiclinkEmailAuthResponse>();
    response::<auth::ValidateAuthResponse>();
    response::<auth::AuthInfo>();
    response::<registrations::StartAuthenticatorRegistrationResponse>();
    response::<registrations::StartWebauthnRegistrationResponse>();
    response::<registrations::FinishWebauthnRegistrationResponse>();
    response::<registrations::StartMagiclinkEmailRegistrationResponse>();
    response::<registrations::ValidateMagiclinkEmailRegistrationResponse>();
    response::<registrations::ValidateRegistrationResponse>();
    response::<registrations::RegistrationInfo>();
    response::<users::User>();
    response::<users::UserDetails>();
    response::<users::UpdateUserResponse>();
    response::<credentials::Credential>();
    response::<credentials::DisableUserCredentialResponse>();
}

/// Required texts, numbers and combinations are checked on this machine.
#[test]
fn requests_are_checked_before_they_are_sent() {
    let target = Target::new("https://api.example").unwrap();
    let kind = |result: Result<HttpRequest, Error>| result.unwrap_err().kind();
    let empty = ValidateRegistration::new("");
    let empty = registrations::validate_webauthn_registration(Uuid::from_u128(7), &empty);
    let large = users::list_users(PageQuery::new().page_size(1 << 31));
    let no_user = auth::StartAuthenticatorAuth::new().send_push(true);
    let no_user = auth::start_authenticator_auth(&no_user);
    assert_eq!(kind(empty.to_http(&target)), ErrorKind::InvalidInput);
    assert_eq!(kind(large.to_http(&target)), ErrorKind::InvalidInput);
    assert_eq!(kind(no_user.to_http(&target)), ErrorKind::InvalidInput);
}

#[test]
fn page_queries_are_passed_by_value_and_by_reference_and_are_serde_types() {
    let query = PageQuery::new().sort_direction(SortDirection::Asc);
    assert_eq!(PageQuery::from(&query), query);
    assert_eq!(UserQuery::from(&query), UserQuery::from(query.clone()));
    let json = serde_json::to_value(&query).unwrap();
    assert_eq!(json, json!({"sort_direction": "asc"}));
    assert_eq!(serde_json::from_value::<PageQuery>(json).unwrap(), query);

    let users = UserQuery::from(query).username("ada");
    let json = serde_json::to_value(&users).unwrap();
    let expected = json!({"username": "ada", "page": {"sort_direction": "asc"}});
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<UserQuery>(json).unwrap(), users);
    let all = serde_json::from_value::<UserQuery>(json!({})).unwrap();
    assert_eq!(all, UserQuery::new());
}

/// Compiles lists by value and by reference, iterators of the filtered lists,
/// closures as transports, and the remaining conversions.
#[test]
fn lists_credentials_transports_and_policies_are_even() {
    fn lists(client: &Client, query: &PageQuery) {
        let (id, by_value) = (Uuid::from_u128(7), || query.clone());
        drop(client.list_users(query));
        drop(client.list_users(by_value()));
        drop(client.users(query));
        drop(client.users(by_value()));
        drop(client.get_user_auth_history(id, query));
        drop(client.get_user_auth_history(id, by_value()));
        drop(client.auth_history(id, query));
        drop(client.auth_history(id, by_value()));
        drop(client.list_user_credentials(id, query));
        drop(client.list_user_credentials(id, by_value()));
        drop(client.list_user_authenticator_credentials(id, query));
        drop(client.list_user_authenticator_credentials(id, by_value()));
        drop(client.list_user_webauthn_credentials(id, query));
        drop(client.list_user_webauthn_credentials(id, by_value()));
        drop(client.list_user_magiclink_email_credentials(id, query));
        drop(client.list_user_magiclink_email_credentials(id, by_value()));
        drop(client.credentials(id, query));
        drop(client.credentials(id, by_value()));
        drop(client.authenticator_credentials(id, query));
        drop(client.authenticator_credentials(id, by_value()));
        drop(client.webauthn_credentials(id, query));
        drop(client.webauthn_credentials(id, by_value()));
        drop(client.magiclink_email_credentials(id, query));
        drop(client.magiclink_email_credentials(id, by_value()));
    }
    let _: fn(&Client, &PageQuery) = lists;

    let unplugged = |_: HttpRequest, _: Limits| -> Result<HttpResponse, TransportError> {
        Err(TransportError::new(TransportErrorKind::Connect, false))
    };
    let client = Client::builder("id", "secret")
        .transport(unplugged)
        .retry(RetryPolicy::new())
        .build()
        .unwrap();
    let error = client.get_user("ada").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);

    let (id, secret) = ("id".to_owned(), "secret".to_owned());
    client.set_credentials(id.clone(), &secret).unwrap();
    client.set_credentials("id", secret).unwrap();
    Client::new(id, "secret").unwrap();
}
