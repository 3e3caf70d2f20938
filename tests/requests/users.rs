use autharmor::users::{
    UpdateUser, UserQuery, get_user, get_user_auth_history, list_users, update_user,
};
use autharmor::{PageQuery, SortDirection, UserKey};

use super::*;

const NAME: &str = "ada@example.com";

fn every_option() -> PageQuery {
    PageQuery::new()
        .page_number(2)
        .page_size(50)
        .sort_column("date_created")
        .sort_direction(SortDirection::Desc)
}

fn refused<T>(request: &Request<T>, target: &Target) -> ErrorKind {
    let error = show(request, target).unwrap_err();
    assert!(!error.may_have_been_sent());
    assert!(!format!("{error:#} {error:?}").contains("ada"), "{error:?}");
    error.kind()
}

#[test]
fn list_users_exactly() {
    let plain = list_users(PageQuery::new());
    assert_eq!(v3(&plain), "GET /v3/users\naccept: application/json\n");
    assert_eq!(v4(&plain), "GET /v4/users\naccept: application/json\n");

    let query = "?page_number=2&page_size=50&sort_column=date_created&sort_direction=desc";
    let paged = list_users(every_option());
    assert_eq!(
        v3(&paged),
        format!("GET /v3/users{query}\naccept: application/json\n")
    );
    assert_eq!(
        v4(&paged),
        format!("GET /v4/users{query}\naccept: application/json\n")
    );

    let all = list_users(UserQuery::new().username(NAME).page(every_option()));
    assert_eq!(
        v3(&all),
        "GET /v3/users?page_number=2&page_size=50&sort_column=date_created&sort_direction=desc\n\
         accept: application/json\n\
         x-autharmor-userfilterstring: ada@example.com\n"
    );
    assert_eq!(
        v4_query(&all),
        "GET /v4/users?username=ada%40example.com&page_number=2&page_size=50\
         &sort_column=date_created&sort_direction=desc\n\
         accept: application/json\n"
    );
    assert_eq!(
        refused(&all, &target(ApiVersion::V4)),
        ErrorKind::UsernameInUrl
    );
}

#[test]
fn get_user_exactly() {
    let by_id = get_user(ID);
    assert_eq!(
        v3(&by_id),
        "GET /v3/users/11111111-2222-4333-8444-555555555555\naccept: application/json\n"
    );
    assert_eq!(
        v4(&by_id),
        "GET /v4/users/11111111-2222-4333-8444-555555555555\naccept: application/json\n"
    );

    let by_name = get_user(NAME);
    assert_eq!(
        v3(&by_name),
        "GET /v3/users/00000000-0000-0000-0000-000000000000\n\
         accept: application/json\n\
         x-autharmor-usernamevalue: ada@example.com\n"
    );
    assert_eq!(
        v4_query(&by_name),
        "GET /v4/users/00000000-0000-0000-0000-000000000000?username=ada%40example.com\n\
         accept: application/json\n"
    );
    assert_eq!(
        refused(&by_name, &target(ApiVersion::V4)),
        ErrorKind::UsernameInUrl
    );
}

#[test]
fn update_user_exactly() {
    let update = UpdateUser::new("Zoë \"Z\" Doe");
    let rest = "accept: application/json\n\
                content-type: application/json\n";
    let body = r#"{"new_username":"Zoë \"Z\" Doe"}"#;

    let by_id = update_user(ID, &update);
    assert_eq!(
        v3(&by_id),
        format!("PUT /v3/users/11111111-2222-4333-8444-555555555555\n{rest}{body}")
    );
    assert_eq!(
        v4(&by_id),
        format!("PUT /v4/users/11111111-2222-4333-8444-555555555555\n{rest}{body}")
    );

    let by_name = update_user(NAME, &update);
    assert_eq!(
        v3(&by_name),
        format!(
            "PUT /v3/users/00000000-0000-0000-0000-000000000000\n{rest}\
             x-autharmor-usernamevalue: ada@example.com\n{body}"
        )
    );
    assert_eq!(
        v4_query(&by_name),
        format!(
            "PUT /v4/users/00000000-0000-0000-0000-000000000000?username=ada%40example.com\n\
             {rest}{body}"
        )
    );
    assert_eq!(
        refused(&by_name, &target(ApiVersion::V4)),
        ErrorKind::UsernameInUrl
    );
}

#[test]
fn get_user_auth_history_exactly() {
    let by_id = get_user_auth_history(ID, PageQuery::new());
    let route = "users/11111111-2222-4333-8444-555555555555/auth_history";
    assert_eq!(
        v3(&by_id),
        format!("GET /v3/{route}\naccept: application/json\n")
    );
    assert_eq!(
        v4(&by_id),
        format!("GET /v4/{route}\naccept: application/json\n")
    );

    let by_name = get_user_auth_history(NAME, every_option());
    assert_eq!(
        v3(&by_name),
        "GET /v3/users/00000000-0000-0000-0000-000000000000/auth_history\
         ?page_number=2&page_size=50&sort_column=date_created&sort_direction=desc\n\
         accept: application/json\n\
         x-autharmor-usernamevalue: ada@example.com\n"
    );
    assert_eq!(
        v4_query(&by_name),
        "GET /v4/users/00000000-0000-0000-0000-000000000000/auth_history\
         ?username=ada%40example.com\
         &page_number=2&page_size=50&sort_column=date_created&sort_direction=desc\n\
         accept: application/json\n"
    );
    assert_eq!(
        refused(&by_name, &target(ApiVersion::V4)),
        ErrorKind::UsernameInUrl
    );
}

#[test]
fn a_single_option_is_sent_alone() {
    for (page, query) in [
        (PageQuery::new().page_number(0), "page_number=0"),
        (PageQuery::new().page_size(0), "page_size=0"),
        (
            PageQuery::new().sort_column("a b&c=d#é"),
            "sort_column=a+b%26c%3Dd%23%C3%A9",
        ),
        (
            PageQuery::new().sort_direction(SortDirection::Asc),
            "sort_direction=asc",
        ),
    ] {
        assert_eq!(
            v3(&list_users(page)),
            format!("GET /v3/users?{query}\naccept: application/json\n")
        );
    }
}

#[test]
fn numbers_beyond_int32_are_refused() {
    for page in [
        PageQuery::new().page_number(1 << 31),
        PageQuery::new().page_size(u32::MAX),
    ] {
        for version in [ApiVersion::V3, ApiVersion::V4] {
            let target = target(version);
            let kinds = [
                refused(&list_users(&page), &target),
                refused(&get_user_auth_history(ID, &page), &target),
            ];
            assert_eq!(kinds, [ErrorKind::InvalidInput; 2]);
        }
    }
}

#[test]
fn special_characters_in_names() {
    for (name, in_query) in [
        ("Ada Lovelace", "Ada+Lovelace"),
        ("a/b", "a%2Fb"),
        ("..", ".."),
        ("%2e%2e", "%252e%252e"),
        ("a&page_size=9", "a%26page_size%3D9"),
        ("a+b", "a%2Bb"),
        ("a#b?c", "a%23b%3Fc"),
    ] {
        assert_eq!(
            v3(&get_user(name)),
            format!(
                "GET /v3/users/00000000-0000-0000-0000-000000000000\n\
                 accept: application/json\n\
                 x-autharmor-usernamevalue: {name}\n"
            )
        );
        assert_eq!(
            v4_query(&get_user(name)),
            format!(
                "GET /v4/users/00000000-0000-0000-0000-000000000000?username={in_query}\n\
                 accept: application/json\n"
            )
        );
        assert_eq!(
            v3(&list_users(UserQuery::new().username(name))),
            format!(
                "GET /v3/users\naccept: application/json\nx-autharmor-userfilterstring: {name}\n"
            )
        );
        assert_eq!(
            v4_query(&list_users(UserQuery::new().username(name))),
            format!("GET /v4/users?username={in_query}\naccept: application/json\n")
        );
    }
}

#[test]
fn names_that_are_not_ascii_must_be_allowed_under_v3() {
    let user = get_user("é");
    let list = list_users(UserQuery::new().username("é"));
    let closed = target(ApiVersion::V3);
    assert_eq!(refused(&user, &closed), ErrorKind::InvalidInput);
    assert_eq!(refused(&list, &closed), ErrorKind::InvalidInput);

    let open = closed.non_ascii_usernames(true);
    assert_eq!(
        show(&user, &open).unwrap(),
        "GET /v3/users/00000000-0000-0000-0000-000000000000\n\
         accept: application/json\n\
         x-autharmor-usernamevalue: é\n"
    );
    assert_eq!(
        show(&list, &open).unwrap(),
        "GET /v3/users\naccept: application/json\nx-autharmor-userfilterstring: é\n"
    );
    assert_eq!(
        v4_query(&user),
        "GET /v4/users/00000000-0000-0000-0000-000000000000?username=%C3%A9\n\
         accept: application/json\n"
    );
}

#[test]
fn invalid_names_are_refused_in_every_request() {
    let long = "x".repeat(1025);
    for name in ["", " ada", "ada\u{3000}", "a\nda", "a\u{0}da", &long] {
        for target in [
            target(ApiVersion::V3),
            target(ApiVersion::V3).non_ascii_usernames(true),
            target(ApiVersion::V4).username_in_query(true),
        ] {
            let kinds = [
                refused(&get_user(name), &target),
                refused(&list_users(UserQuery::new().username(name)), &target),
                refused(&update_user(ID, &UpdateUser::new(name)), &target),
                refused(&get_user_auth_history(name, PageQuery::new()), &target),
            ];
            assert_eq!(kinds, [ErrorKind::InvalidInput; 4], "{name:?}");
        }
    }
    let nobody = UserKey::from(Uuid::nil());
    assert_eq!(
        refused(&get_user(nobody), &target(ApiVersion::V3)),
        ErrorKind::InvalidInput
    );
}

#[test]
fn names_are_not_printed() {
    let query = UserQuery::new().username("ada");
    let update = UpdateUser::new("ada");
    let printed = format!(
        "{query:?} {update:?} {:?} {:?} {:?}",
        list_users(&query),
        get_user("ada"),
        update_user("ada", &update),
    );
    assert!(!printed.contains("ada"), "{printed}");
}
