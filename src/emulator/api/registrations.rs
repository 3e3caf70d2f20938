//! Registrations.
use super::{super::state::State, Call, Refusal, Result};
use serde_json::Value;
pub(super) fn answer(_call: &Call<'_>, _state: &mut State) -> Result<Value> {
    Err(Refusal::not_found("route"))
}
