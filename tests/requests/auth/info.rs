use autharmor::auth::get_auth_info;

use super::{OTHER_ID, v3, v4};

#[test]
fn get_auth_info_exactly() {
    let request = get_auth_info(OTHER_ID);
    let expected = |version| {
        format!(
            "GET /{version}/auth/99999999-2222-4333-8444-555555555555\naccept: application/json\n"
        )
    };
    assert_eq!(v3(&request), expected("v3"));
    assert_eq!(v4(&request), expected("v4"));
}
