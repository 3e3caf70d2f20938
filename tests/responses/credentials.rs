use autharmor::credentials::{
    Credential, CredentialId, CredentialType, DisableUserCredentialResponse,
    disable_user_credential, get_user_credential, list_user_credentials,
};
use autharmor::{Page, PageInfo, PageQuery};
use serde_json::{json, to_value};

use super::decode;
use super::fixtures::{assert_objects_only, assert_three_fixtures};

const ID: &str = "99999999-2222-4333-8444-555555555555";

#[test]
fn credential_with_all_fields() {
    for (text, kind) in [
        (
            "autharmor_authenticator",
            CredentialType::AutharmorAuthenticator,
        ),
        ("webauthn", CredentialType::Webauthn),
        ("magiclink_email", CredentialType::MagiclinkEmail),
    ] {
        let json = json!({
            "credential_id": ID,
            "name": "Ada's phone",
            "device_type": text,
            "date_created": "2020-07-11T17:09:44.7860965Z",
            "enabled": false,
        });
        let credential: Credential = decode(json.clone());
        assert_eq!(credential.credential_id.as_str(), ID);
        assert_eq!(credential.name.as_deref(), Some("Ada's phone"));
        assert_eq!(credential.device_type, Some(kind));
        assert!(credential.date_created.is_some());
        assert_eq!(credential.enabled, Some(false));
        assert!(!format!("{credential:?}").contains("Ada"));
        assert_eq!(to_value(credential).unwrap(), json);
        assert_objects_only(&get_user_credential(uuid::Uuid::from_u128(7), ID), &json);
    }
}

#[test]
fn credential_without_what_may_be_missing() {
    let nulls: Credential = decode(json!({
        "credential_id": ID,
        "name": null,
        "device_type": null,
        "date_created": null,
        "enabled": null,
    }));
    assert_eq!(nulls, decode(json!({ "credential_id": ID })));
    assert_eq!(nulls.name, None);
    assert_eq!(nulls.device_type, None);
    assert_eq!(nulls.enabled, None);

    for json in [json!({}), json!({ "credential_id": null })] {
        assert!(serde_json::from_value::<Credential>(json).is_err());
    }
}

#[test]
fn credential_with_more_than_is_known() {
    let credential: Credential = decode(json!({
        "credential_id": "not/a uuid",
        "device_type": "Telepathy",
        "x": { "y": [] },
    }));
    assert_eq!(credential.credential_id, CredentialId::from("not/a uuid"));
    let again = to_value(credential).unwrap();
    assert_eq!(again["credential_id"], "not/a uuid");
    assert_eq!(again["device_type"], "Telepathy");
}

#[test]
fn page_of_credentials_with_all_fields() {
    let json = json!({
        "credential_records": [{
            "credential_id": ID,
            "name": "Ada's phone",
            "device_type": "webauthn",
            "date_created": "2020-07-11T17:09:44Z",
            "enabled": true,
        }],
        "page_info": {
            "currnet_page_number": 1,
            "currnet_page_size": 10,
            "total_page_count": 1,
            "total_record_count": 1,
        },
    });
    let page: Page<Credential> = decode(json.clone());
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.page_info.total_record_count, Some(1));
    assert_eq!(to_value(page).unwrap(), json);
    assert_objects_only(
        &list_user_credentials(uuid::Uuid::from_u128(7), PageQuery::new()),
        &json,
    );
}

#[test]
fn page_of_credentials_without_what_may_be_missing() {
    for json in [
        json!({}),
        json!({ "credential_records": null, "page_info": null }),
        json!({ "credential_records": [], "page_info": {} }),
    ] {
        let page: Page<Credential> = decode(json);
        assert!(page.records.is_empty());
        assert_eq!(page.page_info, PageInfo::default());
    }
}

#[test]
fn page_of_credentials_with_more_than_is_known() {
    let page: Page<Credential> = decode(json!({
        "credential_records": [{ "credential_id": ID, "device_type": "Telepathy" }],
        "page_info": { "x": 1 },
        "x": 1,
    }));
    let again = to_value(page).unwrap();
    assert_eq!(again["credential_records"][0]["device_type"], "Telepathy");
}

#[test]
fn disable_user_credential_response() {
    let response: DisableUserCredentialResponse = assert_three_fixtures(
        &disable_user_credential(uuid::Uuid::from_u128(7), ID),
        &json!({
            "credential_id": ID,
            "name": "h1dden's phone",
            "device_type": "webauthn",
            "date_created": "2020-07-11T17:09:44.7860965Z",
            "enabled": false,
        }),
        &[],
        &[],
        &["/device_type"],
    );
    assert_eq!(response.enabled, Some(false));
    // The credential is disabled, whatever the response says.
    for odd in [json!(""), json!({}), json!([7])] {
        let response: DisableUserCredentialResponse = decode(json!({
            "credential_id": odd, "name": odd, "device_type": odd, "date_created": odd,
            "enabled": odd,
        }));
        assert_eq!(response, DisableUserCredentialResponse::default());
    }
}
