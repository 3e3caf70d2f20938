//! [`UserKey`]: a user's id or name.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Error;
use crate::secret::Private;

/// The length limit of a username, in bytes.
const MAX_NAME_LEN: usize = 1024;

/// A user's id or username.
///
/// An id is sent in the path of the URL. A username is sent in a header, with
/// the all-zero UUID in the path, because URLs get logged; see the chapter
/// [users by name](crate::guide::users_by_name).
///
/// Text is always a name and is never parsed: `"4cd6…".into()` is a user whose
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
    /// The user's name. A name is refused when the call is sent if it is empty,
    /// is longer than 1,024 bytes, holds a control character, or begins or ends
    /// with white space.
    #[serde(rename = "username")]
    Username(Private),
}

impl UserKey {
    /// Checks the id or the name. The error does not repeat it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Id(id) if id.is_nil() => Err(Error::invalid("the nil UUID is no user's id")),
            Self::Id(_) => Ok(()),
            Self::Username(name) => check_name(name, "the username"),
        }
    }
}

/// Checks a name. `what` names it in the error.
pub(crate) fn check_name(name: &str, what: &'static str) -> Result<(), Error> {
    let problem = if name.is_empty() {
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
    Err(Error::invalid(format!("{what} {problem}")))
}

impl From<Uuid> for UserKey {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl From<&Uuid> for UserKey {
    fn from(id: &Uuid) -> Self {
        Self::Id(*id)
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

impl From<&String> for UserKey {
    fn from(name: &String) -> Self {
        Self::Username(name.into())
    }
}

impl From<Private> for UserKey {
    fn from(name: Private) -> Self {
        Self::Username(name)
    }
}

impl From<&Private> for UserKey {
    fn from(name: &Private) -> Self {
        Self::Username(name.clone())
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
    fn the_nil_uuid_is_refused() {
        assert!(UserKey::from(Uuid::nil()).check().is_err());
        assert!(UserKey::from(Uuid::from_u128(1)).check().is_ok());
    }
}
