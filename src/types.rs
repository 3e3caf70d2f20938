//! Types shared by several endpoints: open enums, dates, and readers for fields
//! whose JSON type varies.
//!
//! A field that the service spells in several ways is read into a private struct
//! with one field for each spelling, and merged with `or` (`serde(from = ..)`).
//! With serde's `alias`, a body with two spellings would be refused as having a
//! duplicate field.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::mem;

use serde::de::value::{MapAccessDeserializer, StrDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::secret::{Private, wipe};

/// The message of an error about a number.
pub(crate) const NO_NUMBER: &str = "expected a whole number";

/// Declares an enum that is text in JSON and keeps unknown values.
macro_rules! open_text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        ///
        /// Its `Display` is the text that is sent. A value that this version of
        /// the crate does not know is kept in `Other` and serialised unchanged.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A value that this version of the crate does not know.
            Other(String),
        }

        impl $name {
            /// Returns the text that is sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::from(text.as_str())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Ok(Self::from(text.as_ref()))
            }
        }
    };
}
pub(crate) use open_text_enum;

/// Declares an enum that is a number in JSON and keeps unknown values.
macro_rules! open_number_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        ///
        /// It is read from a number or from text that holds one, and its
        /// `Display` is the number. A value that this version of the crate does
        /// not know is kept in `Other` and serialised unchanged.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A value that this version of the crate does not know.
            Other(i64),
        }

        impl $name {
            /// Returns the number that is sent.
            #[must_use]
            pub fn number(self) -> i64 {
                match self {
                    $(Self::$variant => $number,)+
                    Self::Other(number) => number,
                }
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                match number {
                    $($number => Self::$variant,)+
                    other => Self::Other(other),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.number(), f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.number())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::types::lenient_number(deserializer).map(Self::from)
            }
        }
    };
}
pub(crate) use open_number_enum;

/// Declares setters of optional fields: `name: argument type`. The argument is
/// converted into the field's type by `into()`.
macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $argument:ty,)+) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $field(mut self, $field: $argument) -> Self {
                self.$field = Some($field.into());
                self
            }
        )+
    };
}
pub(crate) use setters;

/// A date as text, as the service sent it, such as
/// `2020-07-11T17:09:44.7860965Z`.
///
/// Its format is not guaranteed: it can have up to seven fraction digits, and
/// may have no time zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(String);

impl Timestamp {
    /// Returns the service's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the text. `None` if it is not a date. A date without a time zone is
    /// read as UTC; whether the service sends such dates is unverified.
    #[cfg(feature = "jiff")]
    #[cfg_attr(docsrs, doc(cfg(feature = "jiff")))]
    #[must_use]
    pub fn to_jiff(&self) -> Option<jiff::Timestamp> {
        let text = self.0.trim();
        text.parse().ok().or_else(|| {
            let date: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::TimeZone::UTC.to_timestamp(date).ok()
        })
    }
}

impl From<&str> for Timestamp {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Timestamp {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl AsRef<str> for Timestamp {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Your own key-value pairs. They are sent with a magic link and returned when
/// it is validated. `None` is a value that the service did not return.
pub type ContextData = BTreeMap<String, Option<String>>;

/// A JSON value, reduced to what the lenient readers need: all of them read this
/// type, so that reading any value is compiled once.
enum Scalar<'de> {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(Cow<'de, str>),
    /// An array or an object.
    Other,
}

impl<'de> Scalar<'de> {
    /// Text, a number or a bool as text.
    fn into_text(mut self) -> Option<Cow<'de, str>> {
        Some(match &mut self {
            Self::Bool(true) => "true".into(),
            Self::Bool(false) => "false".into(),
            Self::Signed(number) => number.to_string().into(),
            Self::Unsigned(number) => number.to_string().into(),
            Self::Float(number) => number.to_string().into(),
            Self::Text(text) => mem::take(text),
            Self::Null | Self::Other => return None,
        })
    }

    /// A whole number, also from text or with a fraction of zero. One that is no
    /// `i64` becomes the largest or smallest.
    fn number<E: Error>(&self) -> Result<i64, E> {
        let float = match self {
            Self::Signed(number) => return Ok(*number),
            Self::Unsigned(number) => return Ok(i64::try_from(*number).unwrap_or(i64::MAX)),
            Self::Float(number) => Some(*number),
            Self::Text(text) => match text.trim().parse() {
                Ok(number) => return Ok(number),
                Err(_) => text.trim().parse().ok(),
            },
            Self::Null | Self::Bool(_) | Self::Other => None,
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates, as intended"
        )]
        match float {
            Some(float) if float.fract() == 0.0 => Ok(float as i64),
            _ => Err(E::custom(NO_NUMBER)),
        }
    }

    /// Reads any value. With `refuse_others` an array or object is an error, which is
    /// returned before it is read: then its position in the text is that of the value.
    fn read<D: Deserializer<'de>>(deserializer: D, refuse_others: bool) -> Result<Self, D::Error> {
        struct AnyValue {
            refuse_others: bool,
        }

        impl AnyValue {
            fn check_other<E: Error>(&self) -> Result<(), E> {
                if self.refuse_others {
                    return Err(E::custom(NO_NUMBER));
                }
                Ok(())
            }
        }

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Bool(value))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Signed(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Unsigned(number))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Float(number))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(text.to_owned().into()))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }

            fn visit_none<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
                value.deserialize_any(self)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                self.check_other()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                self.check_other()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }

        deserializer.deserialize_any(AnyValue { refuse_others })
    }
}

/// It may be a secret.
impl Drop for Scalar<'_> {
    fn drop(&mut self) {
        if let Self::Text(Cow::Owned(text)) = self {
            wipe(mem::take(text).into_bytes());
        }
    }
}

/// Reads a whole number, also from text or with a fraction of zero.
pub(crate) fn lenient_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Scalar::read(deserializer, true)?.number()
}

/// Reads a number as [`lenient_number`] does, or null.
pub(crate) fn optional_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    match Scalar::read(deserializer, true)? {
        Scalar::Null => Ok(None),
        value => value.number().map(Some),
    }
}

/// Reads a bool. Any other JSON value, such as `"true"` or `1`, is `None`: only
/// the JSON `true` may authorise.
pub(crate) fn strict_bool<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    Ok(match Scalar::read(deserializer, false)? {
        Scalar::Bool(value) => Some(value),
        _ => None,
    })
}

/// Reads text, a number or a bool as text, for codes and ids. Any other JSON
/// value is `None`.
pub(crate) fn lenient_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = Scalar::read(deserializer, false)?.into_text();
    Ok(text.map(Cow::into_owned))
}

/// Text as [`lenient_text`] reads it.
#[derive(Deserialize)]
pub(crate) struct LenientText(
    #[serde(deserialize_with = "lenient_text")] pub(crate) Option<String>,
);

/// Reads context data. The OpenAPI description says that its values are text;
/// one of the vendor's SDKs allows any scalar.
pub(crate) fn lenient_context<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ContextData, D::Error> {
    let data = Option::<BTreeMap<String, LenientText>>::deserialize(deserializer)?;
    Ok(data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, LenientText(value))| (key, value))
        .collect())
}

/// JSON as text, whether it came as text or as the object itself; it may name a
/// user.
pub(crate) fn private_json<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Private>, D::Error> {
    let json = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(json.map(|json| match json {
        serde_json::Value::String(text) => Private::from(text),
        value => Private::from(value.to_string()),
    }))
}

/// Text that identifies or describes something, from a response whose call has
/// already taken effect: null, empty text and what is not a `T` are `None`, so
/// that the caller gets the rest of the response.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let text = Scalar::read(deserializer, false)?.into_text();
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let value = T::deserialize(StrDeserializer::<D::Error>::new(&text)).ok();
    // Wiped again.
    drop(Scalar::Text(text));
    Ok(value)
}

/// An id or a name, where empty text means the same as null: unknown. Anything
/// else that is not a `T` is an error.
pub(crate) fn empty_as_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<String>::deserialize(deserializer)?
        .filter(|text| !text.is_empty())
        .map(|text| T::deserialize(StringDeserializer::new(text)))
        .transpose()
}

/// A `T` that is read from a JSON object only. By itself serde reads a struct
/// from an array as well, in the order in which we happen to declare its
/// fields. Every struct within a response is decoded through this type.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapOnly<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapOnly<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(MapOnly(PhantomData)).map(Self)
    }
}

/// An object or null.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.map(|Object(value)| value))
}

/// An object; null is the default.
pub(crate) fn object_or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(object(deserializer)?.unwrap_or_default())
}

/// An array of objects; null is empty.
pub(crate) fn objects<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let objects = Option::<Vec<Object<T>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, reason = "the macros declare public enums")]

    use super::*;

    open_text_enum! {
        /// Test.
        Colour { /// Red.
            Red = "red", }
    }
    open_number_enum! {
        /// Test.
        Code { /// Two.
            Two = 2, }
    }

    #[derive(Debug, Deserialize)]
    struct Lasts {
        #[serde(deserialize_with = "optional_number")]
        seconds: Option<i64>,
    }

    #[test]
    fn unknown_values_survive_a_round_trip() {
        for json in [r#"["red","Red","mauve",""]"#, "[]"] {
            let colours: Vec<Colour> = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&colours).unwrap(), json);
        }
        let codes: Vec<Code> = serde_json::from_str("[2,7,-1]").unwrap();
        assert_eq!(codes, [Code::Two, Code::Other(7), Code::Other(-1)]);
        assert_eq!(serde_json::to_string(&codes).unwrap(), "[2,7,-1]");
    }

    #[test]
    fn a_timestamp_is_shown_as_it_was_sent() {
        let text = "2026-01-31T12:00:00Z";
        let timestamp = Timestamp::from(text);
        assert_eq!(timestamp.as_ref(), text);
        assert_eq!(timestamp.to_string(), text);
        assert_eq!(format!("{timestamp:>22}"), format!("  {text}"));
    }

    #[test]
    fn numbers_may_be_negative() {
        for json in ["-7", "-7.0", "\" -7 \""] {
            let code: Code = serde_json::from_str(json).unwrap();
            assert_eq!(code.number(), -7, "{json}");
        }
    }

    #[test]
    fn numbers_may_come_as_text() {
        let codes: Vec<Code> = serde_json::from_str(r#"["2", 2.0, "2.0", 1e300]"#).unwrap();
        assert_eq!(
            codes,
            [Code::Two, Code::Two, Code::Two, Code::Other(i64::MAX)]
        );
        let codes: Vec<Code> = serde_json::from_str("[18446744073709551615, -1e300]").unwrap();
        assert_eq!(codes, [Code::Other(i64::MAX), Code::Other(i64::MIN)]);
        for json in [
            "2.5",
            "\"2.5\"",
            "\"two\"",
            "\"\"",
            "\"NaN\"",
            "\"inf\"",
            "true",
            "[]",
            "[2]",
            "{}",
            r#"{"a":2}"#,
        ] {
            assert!(serde_json::from_str::<Code>(json).is_err(), "{json}");
            assert!(serde_json::from_str::<Lasts>(&format!(r#"{{"seconds":{json}}}"#)).is_err());
        }
        assert!(serde_json::from_str::<Code>("null").is_err());
        for (json, seconds) in [
            (r#"{"seconds":"7"}"#, Some(7)),
            (r#"{"seconds":null}"#, None),
        ] {
            assert_eq!(
                serde_json::from_str::<Lasts>(json).unwrap().seconds,
                seconds
            );
        }
    }

    #[test]
    fn only_the_json_true_is_true() {
        #[derive(Deserialize)]
        struct Response {
            #[serde(default, deserialize_with = "strict_bool")]
            authorized: Option<bool>,
        }
        for (json, expected) in [
            (r#"{"authorized":true}"#, Some(true)),
            (r#"{"authorized":false}"#, Some(false)),
            (r#"{"authorized":"true"}"#, None),
            (r#"{"authorized":1}"#, None),
            (r#"{"authorized":null}"#, None),
            (r#"{"authorized":[true]}"#, None),
            (r#"{"authorized":{"a":{"b":true}}}"#, None),
            ("{}", None),
        ] {
            let response: Response = serde_json::from_str(json).unwrap();
            assert_eq!(response.authorized, expected, "{json}");
        }
    }

    #[test]
    fn context_data_reads_any_scalar() {
        #[derive(Deserialize)]
        struct Response {
            #[serde(default, deserialize_with = "lenient_context")]
            context_data: ContextData,
        }
        let json = r#"{"context_data":{"a":"x","b":7,"c":true,"d":null,"e":[1]}}"#;
        let Response { context_data } = serde_json::from_str(json).unwrap();
        let texts: Vec<_> = context_data.values().map(Option::as_deref).collect();
        assert_eq!(texts, [Some("x"), Some("7"), Some("true"), None, None]);
        for json in ["{}", r#"{"context_data":null}"#] {
            assert!(
                serde_json::from_str::<Response>(json)
                    .unwrap()
                    .context_data
                    .is_empty()
            );
        }
    }

    #[cfg(feature = "jiff")]
    #[test]
    fn dates_parse_with_and_without_a_zone() {
        let seconds = |text| {
            Timestamp::from(text)
                .to_jiff()
                .map(jiff::Timestamp::as_second)
        };
        assert_eq!(seconds("2020-07-11T17:09:44.7860965Z"), Some(1_594_487_384));
        assert_eq!(seconds("2020-07-11T17:09:44"), Some(1_594_487_384));
        assert_eq!(seconds("soon"), None);
    }
}
