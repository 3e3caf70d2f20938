//! The JSON that a page sends after `navigator.credentials.get` or `create`.

use serde_json::Value;

use crate::error::Error;

/// Returns the object in the page's JSON: either the JSON is an object, or it
/// is a string that holds one, which is how one page SDK sends it.
pub(super) fn page_object(page_json: &str) -> Result<Value, Error> {
    let refuse = || Error::invalid("the page's JSON is not an object");
    let value: Value = serde_json::from_str(page_json).map_err(|_| refuse())?;
    let value = match value {
        Value::String(inner) => serde_json::from_str(&inner).map_err(|_| refuse())?,
        other => other,
    };
    if value.is_object() {
        Ok(value)
    } else {
        Err(refuse())
    }
}
