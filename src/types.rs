//! Types shared by several endpoints: open enums, dates, and readers for fields
//! whose JSON type varies.
//!
//! A field that the service spells in several ways is read into a private struct
//! with one field for each spelling, and merged with `or` (`serde(from = ..)`).
//! With serde's `alias`, a body with two spellings would be refused as having a
//! duplicate field.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StrDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::secret::Private;

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

/// Reads a whole number, also from text or with a fraction of zero.
pub(crate) fn lenient_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    struct Number;

    impl Visitor<'_> for Number {
        type Value = i64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<i64, E> {
            Ok(number)
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<i64, E> {
            Ok(i64::try_from(number).unwrap_or(i64::MAX))
        }

        fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<i64, E> {
            if number.fract() != 0.0 {
                return Err(E::invalid_type(Unexpected::Float(number), &self));
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the cast saturates, as intended"
            )]
            Ok(number as i64)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i64, E> {
            if let Ok(number) = text.trim().parse::<i64>() {
                return Ok(number);
            }
            match text.trim().parse::<f64>() {
                Ok(number) => self.visit_f64(number),
                Err(_) => Err(E::invalid_type(Unexpected::Str(text), &self)),
            }
        }
    }

    deserializer.deserialize_any(Number)
}

/// Reads a number as [`lenient_number`] does, or null.
pub(crate) fn optional_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "lenient_number")] i64);

    Ok(Option::<Number>::deserialize(deserializer)?.map(|Number(number)| number))
}

/// A JSON value, reduced to what the lenient readers need. A number is text.
#[derive(Debug)]
enum Scalar<'a> {
    Bool(bool),
    Text(&'a str),
    /// Null, an array or an object.
    Other,
}

impl<'a> Scalar<'a> {
    fn text(self) -> Option<&'a str> {
        match self {
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Text(text) => Some(text),
            Self::Other => None,
        }
    }
}

/// Reads any JSON value and returns what `read` makes of it.
fn scalar<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(Scalar<'_>) -> T,
) -> Result<T, D::Error> {
    struct AnyValue<F>(F);

    impl<'de, T, F: FnOnce(Scalar<'_>) -> T> Visitor<'de> for AnyValue<F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_bool<E>(self, value: bool) -> Result<T, E> {
            Ok((self.0)(Scalar::Bool(value)))
        }

        fn visit_i64<E>(self, number: i64) -> Result<T, E> {
            Ok((self.0)(Scalar::Text(&number.to_string())))
        }

        fn visit_u64<E>(self, number: u64) -> Result<T, E> {
            Ok((self.0)(Scalar::Text(&number.to_string())))
        }

        fn visit_f64<E>(self, number: f64) -> Result<T, E> {
            Ok((self.0)(Scalar::Text(&number.to_string())))
        }

        fn visit_str<E>(self, text: &str) -> Result<T, E> {
            Ok((self.0)(Scalar::Text(text)))
        }

        fn visit_unit<E>(self) -> Result<T, E> {
            Ok((self.0)(Scalar::Other))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok((self.0)(Scalar::Other))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok((self.0)(Scalar::Other))
        }
    }

    deserializer.deserialize_any(AnyValue(read))
}

/// Reads a bool. Any other JSON value, such as `"true"` or `1`, is `None`: only
/// the JSON `true` may authorise.
pub(crate) fn strict_bool<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    scalar(deserializer, |value| match value {
        Scalar::Bool(value) => Some(value),
        _ => None,
    })
}

/// Reads text, a number or a bool as text, for codes and ids. Any other JSON
/// value is `None`.
pub(crate) fn lenient_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    scalar(deserializer, |value| value.text().map(str::to_owned))
}

/// Reads context data. The OpenAPI description says that its values are text;
/// one of the vendor's SDKs allows any scalar.
pub(crate) fn lenient_context<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ContextData, D::Error> {
    #[derive(Deserialize)]
    struct Text(#[serde(deserialize_with = "lenient_text")] Option<String>);

    let data = Option::<BTreeMap<String, Text>>::deserialize(deserializer)?;
    Ok(data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, Text(value))| (key, value))
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
    scalar(deserializer, |value| {
        let text = value.text().filter(|text| !text.is_empty())?;
        T::deserialize(StrDeserializer::<D::Error>::new(text)).ok()
    })
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
        for json in ["2.5", "\"two\"", "true", "[]", "null"] {
            assert!(serde_json::from_str::<Code>(json).is_err(), "{json}");
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
