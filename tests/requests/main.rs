//! The exact request of every endpoint: by id and by name, under v3 and v4,
//! with every option set and with none.

mod auth;
mod credentials;
mod registrations;
mod users;

use autharmor::{ApiVersion, Error, ErrorKind, Request, Target};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
const OTHER_ID: Uuid = Uuid::from_u128(0x9999_9999_2222_4333_8444_5555_5555_5555);

fn target(version: ApiVersion) -> Target {
    Target::new("https://api.example").unwrap().version(version)
}

/// The request as text: method and target, sorted headers, body.
fn show<T>(request: &Request<T>, target: &Target) -> Result<String, Error> {
    let http = request.to_http(target)?;
    assert_eq!(http.uri().authority().unwrap(), "api.example");
    let mut text = format!(
        "{} {}\n",
        http.method(),
        http.uri().path_and_query().unwrap()
    );
    let mut headers: Vec<_> = http
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    text.extend(headers);
    if let Some(body) = http.body() {
        text += std::str::from_utf8(body).unwrap();
    }
    Ok(text)
}

fn v3<T>(request: &Request<T>) -> String {
    show(request, &target(ApiVersion::V3)).unwrap()
}

fn v4<T>(request: &Request<T>) -> String {
    show(request, &target(ApiVersion::V4)).unwrap()
}

/// Under v4 when the name is allowed in the query.
fn v4_query<T>(request: &Request<T>) -> String {
    show(request, &target(ApiVersion::V4).username_in_query(true)).unwrap()
}

/// The reason of the error, which is about input.
#[track_caller]
fn refusal<T>(request: &Request<T>, version: ApiVersion) -> String {
    let error = show(request, &target(version)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!error.may_have_been_sent());
    let prefix = format!("{}: invalid input: ", request.endpoint().name());
    error.to_string().strip_prefix(&prefix).unwrap().to_owned()
}
