//! [`UserKey`]: how a call names a user.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::secret::Private;

/// The longest username that is sent, in bytes.
const MAX_NAME_LEN: usize = 1024;

/// How a call names a user: by id or by username.
///
/// An id goes into the route. A username goes into a header, with the all-zero
/// UUID in the route, because URLs get logged; see the crate's chapter on
/// [users by name](crate#users-by-name).
///
/// Text is always a name and never parsed: `"4cd6…".into()` is a user whose
/// *name* looks like a UUID.
///
/// ```
/// use autharmor::UserKey;
/// use uuid::Uuid;
///
/// let by_name: UserKey = "ada@example.com".into();
/// let by_id: UserKey = Uuid::from_u128(7).into();
/// assert_eq!(format!("{by_name:?}"), "Username(Private(..))");
/// assert!(matches!(by_id, UserKey::Id(_)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UserKey {
    /// The user's id. The nil UUID is refused when the call is sent.
    #[serde(rename = "user_id")]
    Id(Uuid),
    /// The user's name. Refused when the call is sent: a name that is empty,
    /// longer than 1,024 bytes, holds a control character, or begins or ends
    /// with white space.
    #[serde(rename = "username")]
    Username(Private),
}

impl UserKey {
    /// Refuses what no user can be called, in words that do not repeat it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Id(id) if id.is_nil() => Err(Error::invalid("the nil UUID is no user's id")),
            Self::Id(_) => Ok(()),
            Self::Username(name) => check_name(name, "the username"),
        }
    }
}

/// The rules for a name; `what` says which one in the error.
pub(crate) fn check_name(name: &str, what: &'static str) -> Result<(), Error> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME_LEN {
        "is longer than 1,024 bytes"
    } else if name.chars().any(char::is_control) {
        "holds a control character"
    } else if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
        "begins or ends with white space"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("{what} {fault}")))
}

impl From<Uuid> for UserKey {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for UserKey {
    fn from(name: &str) -> Self {
        Self::Username(name.into())
    }
}

impl From<String> for UserKey {
    fn from(name: String) -> Self {
        Self::Username(name.into())
    }
}

impl From<Private> for UserKey {
    fn from(name: Private) -> Self {
        Self::Username(name)
    }
}

impl From<&Self> for UserKey {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn text_is_a_name_even_if_it_looks_like_an_id() {
        let text = "5b1d7d5e-0000-4000-8000-000000000001";
        assert_eq!(UserKey::from(text), UserKey::Username(text.into()));
    }

    #[test]
    fn bad_names_are_refused_without_being_repeated() {
        let long = "x".repeat(1025);
        for name in [
            "",
            " ada",
            "ada\u{a0}",
            "ada\t",
            "a\rda",
            "a\u{0}da",
            "a\u{85}da",
            &long,
        ] {
            let error = UserKey::from(name).check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
            assert!(!error.may_have_been_sent());
            assert!(!error.to_string().contains("da"), "{error}");
        }
        UserKey::from("Ada Lovelace").check().unwrap();
        UserKey::from("x".repeat(1024)).check().unwrap();
    }

    #[test]
    fn the_nil_uuid_is_nobody() {
        assert!(UserKey::from(Uuid::nil()).check().is_err());
        assert!(UserKey::from(Uuid::from_u128(1)).check().is_ok());
    }
}
