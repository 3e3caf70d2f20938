//! [`Secret`] and [`Private`]: text that `Debug` does not print.

use std::fmt;
use std::mem;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

/// A secret: a token, a client secret, a nonce, QR data.
///
/// It is wiped from memory when dropped. It implements neither `Display` nor
/// `Serialize`, and its `Debug` prints `Secret(..)`. Only
/// [`expose`](Self::expose) returns the text.
///
/// ```
/// let token = autharmor::Secret::from("s3cr3t");
/// assert_eq!(format!("{token:?}"), "Secret(..)");
/// assert_eq!(token.expose(), "s3cr3t");
/// ```
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Returns the text. Do not print or log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Serialises the text of an optional secret, for request bodies and kept
    /// pending states.
    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(crate) fn serialize_exposed_opt<S: Serializer>(
        secret: &Option<Self>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Self::expose).serialize(serializer)
    }

    /// Serialises the text of a secret, as
    /// [`serialize_exposed_opt`](Self::serialize_exposed_opt) does.
    pub(crate) fn serialize_exposed<S: Serializer>(
        &self,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        self.expose().serialize(serializer)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<&String> for Secret {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(mem::take(&mut self.0).into_bytes());
    }
}

/// Overwrites bytes and frees their memory.
pub(crate) fn wipe(mut bytes: Vec<u8>) {
    // `zeroize` overwrites spare capacity at once, but elements one by one.
    bytes.clear();
    bytes.zeroize();
}

impl PartialEq for Secret {
    /// Compares in constant time for texts of the same length.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Personal data: a username, a mail address.
///
/// It dereferences to `str`. Its `Debug` prints `Private(..)` and it has no
/// `Display`, so that a name does not get into a log by accident.
///
/// ```
/// let name = autharmor::Private::from("ada@example.com");
/// assert_eq!(format!("{name:?}"), "Private(..)");
/// assert_eq!(name.as_str(), "ada@example.com");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private(String);

impl Private {
    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Converts it into the text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for Private {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Private {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Private {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Private {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&String> for Private {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl PartialEq<str> for Private {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Private {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_compare_by_text() {
        assert_eq!(Secret::from("abc"), Secret::from("abc".to_owned()));
        assert_eq!(Secret::from(&"abc".to_owned()).expose(), "abc");
        assert_ne!(Secret::from("abc"), Secret::from("abd"));
        assert_ne!(Secret::from("abc"), Secret::from("abcd"));
        // The differences are equal, so that they would cancel out with `^`.
        assert_ne!(Secret::from("aab"), Secret::from("bbb"));
    }

    #[test]
    fn private_text_reads_like_a_str() {
        let name = Private::from("ada");
        assert_eq!(name.as_str(), "ada");
        assert_eq!(AsRef::<str>::as_ref(&name), "ada");
        assert_eq!(name.len(), 3);
        assert_eq!(name.clone().into_string(), "ada");
        assert_eq!(Private::from(&"ada".to_owned()), name);
        let (same, other) = (Private::from("ada".to_owned()), Private::from("bob"));
        assert!(name == *"ada" && name == "ada" && name == same);
        assert!(name != *"bob" && name != "bob" && name != other);
        assert!(name < other);
    }

    #[test]
    fn debug_prints_neither_secret_nor_name() {
        assert_eq!(format!("{:?}", Secret::from("s3cr3t")), "Secret(..)");
        assert_eq!(format!("{:#?}", Private::from("ada")), "Private(..)");
    }
}
