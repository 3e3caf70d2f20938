use autharmor::credentials::{
    Credential, CredentialId, disable_user_credential, get_user_credential,
    list_user_authenticator_credentials, list_user_credentials,
    list_user_magiclink_email_credentials, list_user_webauthn_credentials,
};
use autharmor::{Page, PageQuery, SortDirection, UserKey};

use super::*;

const NAME: &str = "ada@example.com";
const ID_ROUTE: &str = "/v4/users/11111111-2222-4333-8444-555555555555/credentials";
const NAME_ROUTE: &str = "/v4/users/00000000-0000-0000-0000-000000000000/credentials";
const CREDENTIAL: &str = "99999999-2222-4333-8444-555555555555";

/// Neither version sends a name unless it is allowed.
fn assert_name_stays<T>(request: &Request<T>) {
    // Under v3 a `Client` looks the id up; a pure request cannot.
    for (version, kind) in [
        (ApiVersion::V3, ErrorKind::InvalidInput),
        (ApiVersion::V4, ErrorKind::UsernameInUrl),
    ] {
        let error = show(request, &target(version)).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(!error.may_have_been_sent());
    }
    let generous = target(ApiVersion::V3)
        .username_in_query(true)
        .non_ascii_usernames(true);
    assert!(show(request, &generous).is_err());
}

fn assert_list(list: impl Fn(UserKey, &PageQuery) -> Request<Page<Credential>>, tail: &str) {
    let none = PageQuery::new();
    let every_option = PageQuery::new()
        .page_number(2)
        .page_size(50)
        .sort_column("date_created")
        .sort_direction(SortDirection::Desc);
    let query = "page_number=2&page_size=50&sort_column=date_created&sort_direction=desc";

    let by_id = list(ID.into(), &none);
    let expected = format!("GET {ID_ROUTE}{tail}\naccept: application/json\n");
    assert_eq!(v3(&by_id), expected);
    assert_eq!(v4(&by_id), expected);

    let by_id = list(ID.into(), &every_option);
    let expected = format!("GET {ID_ROUTE}{tail}?{query}\naccept: application/json\n");
    assert_eq!(v3(&by_id), expected);
    assert_eq!(v4(&by_id), expected);

    let by_name = list(NAME.into(), &none);
    assert_eq!(
        v4_query(&by_name),
        format!("GET {NAME_ROUTE}{tail}?username=ada%40example.com\naccept: application/json\n")
    );
    assert_name_stays(&by_name);

    let by_name = list(NAME.into(), &every_option);
    assert_eq!(
        v4_query(&by_name),
        format!(
            "GET {NAME_ROUTE}{tail}?username=ada%40example.com&{query}\naccept: application/json\n"
        )
    );
    assert_name_stays(&by_name);

    let too_large = list(ID.into(), &PageQuery::new().page_size(1 << 31));
    let error = show(&too_large, &target(ApiVersion::V4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn list_user_credentials_exactly() {
    assert_list(|user, page| list_user_credentials(user, page), "");
}

#[test]
fn list_user_authenticator_credentials_exactly() {
    assert_list(
        |user, page| list_user_authenticator_credentials(user, page),
        "/authenticator",
    );
}

#[test]
fn list_user_webauthn_credentials_exactly() {
    assert_list(
        |user, page| list_user_webauthn_credentials(user, page),
        "/webauthn",
    );
}

#[test]
fn list_user_magiclink_email_credentials_exactly() {
    assert_list(
        |user, page| list_user_magiclink_email_credentials(user, page),
        "/magiclink_email",
    );
}

#[test]
fn get_user_credential_exactly() {
    let by_id = get_user_credential(ID, OTHER_ID);
    let expected = format!("GET {ID_ROUTE}/{CREDENTIAL}\naccept: application/json\n");
    assert_eq!(v3(&by_id), expected);
    assert_eq!(v4(&by_id), expected);

    let by_name = get_user_credential(NAME, OTHER_ID);
    assert_eq!(
        v4_query(&by_name),
        format!(
            "GET {NAME_ROUTE}/{CREDENTIAL}?username=ada%40example.com\naccept: application/json\n"
        )
    );
    assert_name_stays(&by_name);
}

#[test]
fn disable_user_credential_exactly() {
    // A POST without a body, and so without a content type.
    let by_id = disable_user_credential(ID, OTHER_ID);
    let expected = format!("POST {ID_ROUTE}/{CREDENTIAL}/disable\naccept: application/json\n");
    assert_eq!(v3(&by_id), expected);
    assert_eq!(v4(&by_id), expected);
    assert!(
        by_id
            .to_http(&target(ApiVersion::V4))
            .unwrap()
            .body()
            .is_none()
    );

    let by_name = disable_user_credential(NAME, OTHER_ID);
    assert_eq!(
        v4_query(&by_name),
        format!(
            "POST {NAME_ROUTE}/{CREDENTIAL}/disable?username=ada%40example.com\n\
             accept: application/json\n"
        )
    );
    assert_name_stays(&by_name);
}

#[test]
fn a_credential_id_is_one_segment() {
    for (id, segment) in [
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("é", "%C3%A9"),
        ("a b", "a%20b"),
        ("a&b=c", "a%26b%3Dc"),
        ("a+b", "a%2Bb"),
        ("a#b?c", "a%23b%3Fc"),
        ("100%", "100%25"),
        ("...", "..."),
        (CREDENTIAL, CREDENTIAL),
    ] {
        assert_eq!(
            v4(&get_user_credential(ID, id)),
            format!("GET {ID_ROUTE}/{segment}\naccept: application/json\n")
        );
        assert_eq!(
            v4(&disable_user_credential(ID, CredentialId::from(id))),
            format!("POST {ID_ROUTE}/{segment}/disable\naccept: application/json\n")
        );
    }
}

#[test]
fn a_credential_id_with_dot_segments_or_control_characters_is_refused() {
    for id in [
        "",
        ".",
        "..",
        "%2e",
        "%2e%2e",
        "%2E.",
        "%252e%252e",
        "../webauthn",
        "a/../../b",
        "..%2fb",
        "a\nb",
        "00000000-0000-0000-0000-000000000000",
    ] {
        for error in [
            show(&get_user_credential(ID, id), &target(ApiVersion::V3)).unwrap_err(),
            show(&disable_user_credential(ID, id), &target(ApiVersion::V4)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
        }
    }
}

#[test]
fn a_credential_id_reads_the_same_from_a_uuid_and_from_text() {
    assert_eq!(CredentialId::from(OTHER_ID), CredentialId::from(CREDENTIAL));
    assert_eq!(CredentialId::from(OTHER_ID).to_string(), CREDENTIAL);
    assert_eq!(
        CredentialId::from(&CREDENTIAL.to_owned()),
        CREDENTIAL.into()
    );
    assert_eq!(CredentialId::from(OTHER_ID).as_ref(), CREDENTIAL);
}
