//! Requests and responses as plain structs, for clients other than this crate.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Serialize)]
pub struct Start<'a> {
    pub username: &'a str,
    pub send_push: bool,
    pub timeout_in_seconds: u32,
    pub action_name: &'a str,
    pub short_msg: &'a str,
}

#[derive(Serialize)]
pub struct Validate<'a> {
    pub auth_request_id: Uuid,
    pub auth_validation_token: &'a str,
}

#[derive(Deserialize)]
pub struct UserDetails {
    pub user_id: Uuid,
    pub username: Option<String>,
    pub email_address: Option<String>,
    pub date_created: Option<String>,
    pub enrolled_auth_methods: Vec<AuthMethod>,
}

#[derive(Deserialize)]
pub struct AuthMethod {
    pub auth_method_id: Option<i64>,
    pub auth_method_name: Option<String>,
    pub auth_method_masked_info: Option<String>,
}

#[derive(Deserialize)]
pub struct Started {
    pub auth_request_id: Uuid,
    pub user_id: Option<Uuid>,
    pub auth_validation_token: Option<String>,
    pub visual_verify_value: Option<String>,
    pub qr_code_data: Option<String>,
    pub push_message_sent: Option<bool>,
    pub response_code: Option<i64>,
    pub response_message: Option<String>,
    pub timeout_in_seconds: Option<i64>,
    pub timeout_utc_datetime: Option<String>,
}

#[derive(Deserialize)]
pub struct Validated {
    pub auth_request_status_id: Option<i64>,
    pub auth_request_status_name: Option<String>,
    pub validate_auth_response_details: Option<ValidateDetails>,
}

#[derive(Deserialize)]
pub struct ValidateDetails {
    pub auth_history_id: Option<Uuid>,
    pub result_code: Option<i64>,
    pub result_message: Option<String>,
    pub authorized: Option<bool>,
    pub auth_details: Option<AuthDetails>,
}

#[derive(Deserialize)]
pub struct AuthDetails {
    pub response_details: Option<ResponseDetails>,
}

#[derive(Deserialize)]
pub struct ResponseDetails {
    pub date: Option<String>,
    pub auth_method: Option<ResponseAuthMethod>,
    pub auth_profile_details: Option<ProfileDetails>,
}

#[derive(Deserialize)]
pub struct ResponseAuthMethod {
    pub name: Option<String>,
    pub usetype: Option<String>,
}

#[derive(Deserialize)]
pub struct ProfileDetails {
    pub user_id: Option<Uuid>,
    pub username: Option<String>,
}

#[derive(Deserialize)]
pub struct Users {
    pub user_records: Vec<User>,
    pub page_info: Option<PageInfo>,
}

#[derive(Deserialize)]
pub struct User {
    pub user_id: Uuid,
    pub username: Option<String>,
    pub email_address: Option<String>,
    pub date_created: Option<String>,
}

#[derive(Deserialize)]
pub struct PageInfo {
    pub currnet_page_number: Option<u64>,
    pub total_page_count: Option<u64>,
    pub total_record_count: Option<u64>,
}
