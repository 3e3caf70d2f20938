//! [`Call`]: one call of one endpoint.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    decisions::{ID_AND_NAME, LONGEST_TEXT, MALFORMED_ID, is_given, may_be_name, name_is_in_query},
    refusal::{Refusal, Result},
    routes::Ids,
};
use crate::{
    ApiVersion, Endpoint,
    emulator::{
        message::Request,
        model::{Model, state::State, user::User},
    },
};

/// A call that passed all checks that do not depend on the state.
pub(super) struct Call<'a> {
    pub(super) model: &'a Model,
    pub(super) request: &'a Request,
    pub(super) version: ApiVersion,
    pub(super) endpoint: Endpoint,
    pub(super) ids: &'a Ids,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Map<String, Value>,
}

impl Call<'_> {
    /// A text of the body, or `None` for null.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A text of the body that is not empty.
    pub(super) fn non_empty(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| is_given(text))
    }

    pub(super) fn required(&self, name: &str) -> Result<&str> {
        self.non_empty(name)
            .ok_or_else(|| Refusal::bad(format!("{name} is required")))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.body.get(name).and_then(Value::as_bool) == Some(true)
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn v3(&self) -> bool {
        self.version == ApiVersion::V3
    }

    /// `timeout_in_seconds` of the body.
    pub(super) fn timeout(&self, default: u32) -> u32 {
        self.body
            .get("timeout_in_seconds")
            .and_then(Value::as_u64)
            .and_then(|seconds| u32::try_from(seconds).ok())
            .unwrap_or(default)
    }

    /// A header whose value is a name.
    pub(super) fn name_header(&self, name: &str) -> Result<Option<String>> {
        let mut all = self.request.all(name);
        let Some(value) = all.next() else {
            return Ok(None);
        };
        if all.next().is_some() {
            return Err(Refusal::bad(format!("{name} is given twice")));
        }
        match std::str::from_utf8(value) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Refusal::bad(format!("{name} is not UTF-8"))),
        }
    }

    /// The user named by the route, a header or the query.
    pub(super) fn user<'s>(&self, state: &'s State) -> Result<&'s User> {
        let id = uuid_of(self.ids.user.as_deref().unwrap_or_default(), "user_id")?;
        let name = if name_is_in_query(self.version) {
            self.parameter("username").map(str::to_owned)
        } else {
            self.name_header("x-autharmor-usernamevalue")?
        };
        let user = match name {
            None if id.is_nil() => return Err(Refusal::bad("no user is named")),
            None => state.user(&id),
            Some(_) if !id.is_nil() => {
                let message = "both an id and a username are given";
                return Err(Refusal::new(ID_AND_NAME, message));
            }
            Some(name) => {
                check_name("username", &name)?;
                state.user_by_name(&name)
            }
        };
        user.ok_or_else(|| Refusal::not_found("user"))
    }

    /// The user named by the body, if there is one.
    pub(super) fn body_user<'s>(&self, state: &'s State) -> Result<Option<&'s User>> {
        let user = match (self.non_empty("user_id"), self.non_empty("username")) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let message = "both user_id and username are given";
                return Err(Refusal::new(ID_AND_NAME, message));
            }
            (Some(id), None) => state.user(&uuid_of(id, "user_id")?),
            (None, Some(name)) => state.user_by_name(name),
        };
        user.map(Some).ok_or_else(|| Refusal::not_found("user"))
    }
}

pub(super) fn uuid_of(text: &str, name: &str) -> Result<Uuid> {
    // The parser also accepts other forms: braces, no dashes.
    if text.len() != 36 {
        return Err(Refusal::new(MALFORMED_ID, format!("{name} is not a UUID")));
    }
    Uuid::try_parse(text).map_err(|_| Refusal::new(MALFORMED_ID, format!("{name} is not a UUID")))
}

/// Checks the length and the characters of a name.
pub(super) fn check_name(field: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.chars().count() > LONGEST_TEXT {
        return Err(Refusal::bad(format!(
            "{field} must have 1 to {LONGEST_TEXT} characters"
        )));
    }
    if !may_be_name(name) {
        return Err(Refusal::bad(format!(
            "{field} must not hold control characters or begin or end with white space"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dashed_form_is_an_id() {
        assert!(uuid_of("11111111-2222-4333-8444-555555555555", "x").is_ok());
        for text in [
            "",
            "11111111222243338444555555555555",
            "{11111111-2222-4333-8444-555555555555}",
            "11111111-2222-4333-8444-55555555555g",
        ] {
            assert!(uuid_of(text, "x").is_err(), "{text}");
        }
    }
}
