use autharmor::registrations::get_registration_info;

use super::{OTHER_ID, REGISTRATION, v3, v4};

#[test]
fn get_registration_info_exactly() {
    let request = get_registration_info(OTHER_ID);
    let expected =
        format!("GET /v4/users/registrations/{REGISTRATION}\naccept: application/json\n");
    assert_eq!(v3(&request), expected);
    assert_eq!(v4(&request), expected);
}
