use autharmor::auth::AuthInfo;
use autharmor::users::{
    AuthMethodId, UpdateUser, UpdateUserResponse, User, UserDetails, UserQuery, get_user,
    get_user_auth_history, list_users, update_user,
};
use autharmor::{Page, PageInfo, PageQuery};
use serde_json::{Value, json, to_value};

use super::decode;
use super::fixtures::{assert_objects_only, assert_three_fixtures};

const ID: &str = "11111111-2222-4333-8444-555555555555";

#[test]
fn user_with_all_fields() {
    let json = json!({
        "user_id": ID,
        "username": "ada",
        "email_address": "ada@example.com",
        "date_created": "2020-07-11T17:09:44.7860965Z",
    });
    let user: User = decode(json.clone());
    assert_eq!(user.user_id.to_string(), ID);
    assert_eq!(user.username.as_deref(), Some("ada"));
    assert_eq!(user.email_address.as_deref(), Some("ada@example.com"));
    assert_eq!(
        user.date_created.as_ref().map(autharmor::Timestamp::as_str),
        Some("2020-07-11T17:09:44.7860965Z")
    );
    assert!(!format!("{user:?}").contains("ada"));
    assert_eq!(to_value(user).unwrap(), json);
}

#[test]
fn user_without_what_may_be_missing() {
    let nulls = json!({
        "user_id": ID, "username": null, "email_address": null, "date_created": null,
    });
    let user: User = decode(nulls);
    assert_eq!(user, decode(json!({ "user_id": ID })));
    assert!(user.username.is_none() && user.email_address.is_none());
    assert!(user.date_created.is_none());
}

#[test]
fn user_with_more_than_is_known() {
    let user: User = decode(json!({ "user_id": ID, "date_created": "soon", "x": [{ "y": 1 }] }));
    assert_eq!(to_value(user).unwrap()["date_created"], "soon");
}

#[test]
fn a_user_without_an_id_is_an_error() {
    for json in [
        json!({}),
        json!({ "user_id": null }),
        json!({ "user_id": "ada" }),
        json!({ "user_id": 7 }),
    ] {
        assert!(serde_json::from_value::<User>(json.clone()).is_err());
        assert!(serde_json::from_value::<UserDetails>(json).is_err());
    }
}

#[test]
fn user_details_with_all_fields() {
    let json = json!({
        "user_id": ID,
        "username": "ada",
        "email_address": "ada@example.com",
        "date_created": "2020-07-11T17:09:44Z",
        "enrolled_auth_methods": [
            {
                "auth_method_id": 4,
                "auth_method_name": "AuthArmorAuthenticator",
                "auth_method_masked_info": "ada's phone",
            },
            {
                "auth_method_id": 20,
                "auth_method_name": "Magiclink_Email",
                "auth_method_masked_info": "a**@example.com",
            },
            {
                "auth_method_id": 30,
                "auth_method_name": "WebAuthN",
                "auth_method_masked_info": null,
            },
        ],
    });
    let user: UserDetails = decode(json.clone());
    assert_eq!(user.user_id.to_string(), ID);
    assert_eq!(user.username.as_deref(), Some("ada"));
    assert_eq!(user.email_address.as_deref(), Some("ada@example.com"));
    assert!(user.date_created.is_some());
    let ids: Vec<_> = user
        .enrolled_auth_methods
        .iter()
        .map(|method| method.auth_method_id)
        .collect();
    assert_eq!(
        ids,
        [
            Some(AuthMethodId::Authenticator),
            Some(AuthMethodId::MagiclinkEmail),
            Some(AuthMethodId::Webauthn),
        ]
    );
    let printed = format!("{user:?}");
    assert!(!printed.contains("ada") && !printed.contains("a**"));
    assert_eq!(to_value(user).unwrap(), json);
    assert_objects_only(&get_user("ada"), &json);
}

#[test]
fn user_details_without_what_may_be_missing() {
    let user: UserDetails = decode(json!({
        "user_id": ID,
        "username": null,
        "email_address": null,
        "date_created": null,
        "enrolled_auth_methods": null,
    }));
    assert!(user.enrolled_auth_methods.is_empty());
    assert_eq!(user, decode(json!({ "user_id": ID })));

    let nulls = json!({
        "auth_method_id": null, "auth_method_name": null, "auth_method_masked_info": null,
    });
    let user: UserDetails = decode(json!({
        "user_id": ID, "enrolled_auth_methods": [nulls, {}],
    }));
    let [null, missing] = user.enrolled_auth_methods.as_slice() else {
        panic!("two methods")
    };
    assert_eq!(null, missing);
    assert_eq!(null.auth_method_id, None);
}

#[test]
fn user_details_with_more_than_is_known() {
    let user: UserDetails = decode(json!({
        "user_id": ID,
        "enrolled_auth_methods": [
            { "auth_method_id": 35, "auth_method_name": "Telepathy", "x": {} },
            { "auth_method_id": "20" },
        ],
        "x": "y",
    }));
    let methods = &to_value(user).unwrap()["enrolled_auth_methods"];
    assert_eq!(methods[0]["auth_method_id"], 35);
    assert_eq!(methods[0]["auth_method_name"], "Telepathy");
    assert_eq!(methods[1]["auth_method_id"], 20);
}

fn page_info() -> Value {
    // The service spells it so.
    json!({
        "currnet_page_number": 2,
        "currnet_page_size": 10,
        "total_page_count": 3,
        "total_record_count": 3_000_000_000_u64,
    })
}

#[test]
fn page_of_users_with_all_fields() {
    let json = json!({
        "user_records": [{
            "user_id": ID,
            "username": "ada",
            "email_address": "ada@example.com",
            "date_created": "2020-07-11T17:09:44Z",
        }],
        "page_info": page_info(),
    });
    let page: Page<User> = decode(json.clone());
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.page_info.current_page_number, Some(2));
    assert_eq!(page.page_info.current_page_size, Some(10));
    assert_eq!(page.page_info.total_page_count, Some(3));
    assert_eq!(page.page_info.total_record_count, Some(3_000_000_000));
    assert!(!format!("{page:?}").contains("ada"));
    assert_eq!(to_value(page).unwrap(), json);
    assert_objects_only(&list_users(UserQuery::new()), &json);
}

#[test]
fn page_of_users_without_what_may_be_missing() {
    for json in [
        json!({}),
        json!({ "user_records": null, "page_info": null }),
        json!({ "user_records": [], "page_info": {} }),
        json!({ "page_info": {
            "currnet_page_number": null,
            "currnet_page_size": null,
            "total_page_count": null,
            "total_record_count": null,
        }}),
    ] {
        let page: Page<User> = decode(json);
        assert!(page.records.is_empty());
        assert_eq!(page.page_info, PageInfo::default());
    }
}

#[test]
fn page_of_users_with_more_than_is_known() {
    let page: Page<User> = decode(json!({
        "user_records": [{ "user_id": ID, "x": 1 }],
        "page_info": { "current_page_number": "4", "total_page_count": -1, "x": null },
        "x": [],
    }));
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.page_info.current_page_number, Some(4));
    assert_eq!(page.page_info.total_page_count, None);
    assert_eq!(
        to_value(page).unwrap()["page_info"]["currnet_page_number"],
        4
    );
}

#[test]
fn page_of_history() {
    let json = json!({
        "auth_history_records": [
            {
                "auth_request_status_id": 2,
                "auth_request_status_name": "Completed",
                "auth_response": { "auth_history_id": ID, "result_code": 2, "authorized": true },
            },
            { "auth_request_status_id": 3, "auth_response": null },
            { "auth_request_status_id": 77, "x": 1 },
        ],
        "page_info": page_info(),
        "x": 1,
    });
    assert_objects_only(&get_user_auth_history("ada", PageQuery::new()), &json);
    let page: Page<AuthInfo> = decode(json);
    let pending: Vec<_> = page
        .records
        .iter()
        .map(|record| record.auth_response.is_none())
        .collect();
    assert_eq!(pending, [false, true, true]);
    let again = to_value(&page).unwrap();
    assert_eq!(again["page_info"], page_info());
    assert_eq!(
        again["auth_history_records"][2]["auth_request_status_id"],
        77
    );
    assert_eq!(
        to_value(decode::<Page<AuthInfo>>(again.clone())).unwrap(),
        again
    );

    for json in [json!({}), json!({ "auth_history_records": null })] {
        assert!(decode::<Page<AuthInfo>>(json).records.is_empty());
    }
}

#[test]
fn update_user_response() {
    let response: UpdateUserResponse = assert_three_fixtures(
        &update_user("ada", &UpdateUser::new("eve")),
        &json!({
            "user_id": ID,
            "username": "eve h1dden",
            "email_address": "h1dden@example.com",
            "date_created": "2020-07-11T17:09:44.7860965Z",
        }),
        &[],
        &[],
        &[],
    );
    assert_eq!(response.username.as_deref(), Some("eve h1dden"));
    // The name has changed, whatever the response says.
    for odd in [
        json!("iPhone-7"),
        json!(""),
        json!(7),
        json!({}),
        json!([7]),
    ] {
        let response: UpdateUserResponse = decode(json!({"user_id": odd, "username": "eve"}));
        assert_eq!(response.user_id, None);
        assert_eq!(response.username.as_deref(), Some("eve"));
    }
}

#[test]
fn empty_names_and_addresses_are_unknown() {
    let empty = json!({"user_id": ID, "username": "", "email_address": ""});
    let user: User = decode(empty.clone());
    assert_eq!((user.username, user.email_address), (None, None));
    let user: UserDetails = decode(empty);
    assert_eq!((user.username, user.email_address), (None, None));
}
