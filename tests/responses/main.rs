//! Every response type decodes from three fixtures: all fields; every nullable
//! one null or missing; unknown fields and unknown enum values. None decodes with an
//! array in the place of an object.

mod auth;
mod credentials;
mod fixtures;
mod registrations;
mod spellings;
mod users;

use serde::de::DeserializeOwned;
use serde_json::Value;

#[expect(clippy::needless_pass_by_value, reason = "called with a literal")]
fn decode<T: DeserializeOwned>(json: Value) -> T {
    // From text, as the service sends it.
    serde_json::from_str(&json.to_string()).unwrap()
}
