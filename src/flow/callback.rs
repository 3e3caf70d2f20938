//! Parses the URL with which a user's browser arrives from a magic link.

use percent_encoding::percent_decode_str;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret::Secret;

/// Longest URL that is parsed, in bytes.
const MAX_LEN: usize = 16 * 1024;

/// The parameters of a magic link. Unknown parameters are ignored: they are the
/// program's own.
#[derive(Debug, Default)]
pub(super) struct Callback {
    pub(super) auth_request_id: Option<Uuid>,
    pub(super) auth_validation_token: Option<Secret>,
    pub(super) registration_id: Option<Uuid>,
    pub(super) registration_validation_token: Option<Secret>,
}

impl Callback {
    /// Parses a URL, a path with a query, or a query with or without its
    /// question mark. Refuses a parameter that occurs twice and an id that is
    /// not a UUID.
    pub(super) fn parse(url_or_query: &str) -> Result<Self, Error> {
        if url_or_query.len() > MAX_LEN {
            return Err(Error::invalid("the callback URL is longer than 16 KiB"));
        }
        let mut callback = Self::default();
        for pair in query_of(url_or_query).split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match decode(name)?.as_str() {
                "auth_request_id" => set_id(&mut callback.auth_request_id, value)?,
                "auth_validation_token" => set_token(&mut callback.auth_validation_token, value)?,
                "registration_id" => set_id(&mut callback.registration_id, value)?,
                "registration_validation_token" => {
                    set_token(&mut callback.registration_validation_token, value)?;
                }
                _ => {}
            }
        }
        Ok(callback)
    }
}

/// Returns the query of a URL, of a path, or the text itself if it is a query.
///
/// A query may hold further question marks, and a path `=` and `&`.
fn query_of(text: &str) -> &str {
    let text = text.split('#').next().unwrap_or_default();
    let (before, after) = match text.split_once('?') {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    };
    let start = before.split(['=', '&']).next().unwrap_or_default();
    let is_url = start.starts_with('/') || start.contains("://");
    match after {
        Some(query) if is_url || start == before => query,
        None if is_url => "",
        _ => text,
    }
}

/// Returns a parameter that the link must have.
pub(super) fn required<T>(parameter: Option<T>, name: &str) -> Result<T, Error> {
    parameter.ok_or_else(|| Error::invalid(format!("the callback URL lacks {name}")))
}

fn set_id(slot: &mut Option<Uuid>, value: &str) -> Result<(), Error> {
    let id = Uuid::try_parse(&decode(value)?)
        .map_err(|_| Error::invalid("an id in the callback URL is not a UUID"))?;
    set(slot, id)
}

fn set_token(slot: &mut Option<Secret>, value: &str) -> Result<(), Error> {
    set(slot, Secret::from(decode(value)?.as_str()))
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::invalid(
            "a parameter of the callback URL occurs twice",
        )),
    }
}

fn decode(text: &str) -> Result<Zeroizing<String>, Error> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    let decoded = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| Error::invalid("the callback URL is not UTF-8"))?;
    Ok(Zeroizing::new(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const ID: &str = "11111111-2222-4333-8444-555555555555";

    #[test]
    fn a_url_a_path_and_a_query_are_read_alike() {
        for prefix in [
            "https://app.example/in?x=1&",
            "https://app.example?",
            "https://app.example/in=1&x;y=2?",
            "//app.example/in?",
            "app.example/in?",
            "/in?",
            "/in=1&x?",
            "/?",
            "?",
            "?x=1&",
            "",
            "x=1&",
            "&&",
        ] {
            // More question marks belong to a value or to a name.
            for more in [
                "",
                "&next=/a?b",
                "&next=https://a.example/?x=1",
                "&a?b=c?",
                "&?",
            ] {
                let url = format!(
                    "{prefix}auth_validation_token=a%2Bb%3d&auth_request_id={ID}{more}#part?x=y"
                );
                let callback = Callback::parse(&url).unwrap();
                assert_eq!(callback.auth_request_id, Some(ID.parse().unwrap()), "{url}");
                let token = callback.auth_validation_token.unwrap();
                assert_eq!(token.expose(), "a+b=", "{url}");
                assert!(callback.registration_id.is_none());
                assert!(callback.registration_validation_token.is_none());
            }
        }
    }

    #[test]
    fn a_question_mark_in_a_value_does_not_cut_a_bare_query() {
        for query in [
            format!("next=/a?b&auth_request_id={ID}"),
            format!("next=/a?auth_validation_token=x&auth_request_id={ID}"),
            format!("next=https://a.example/?auth_validation_token=x&auth_request_id={ID}"),
            format!("flag&auth?x=1&auth_request_id={ID}"),
            format!("?a?b=1&auth_request_id={ID}"),
            format!("??auth_validation_token=x&auth_request_id={ID}"),
        ] {
            let callback = Callback::parse(&query).unwrap();
            assert_eq!(
                callback.auth_request_id,
                Some(ID.parse().unwrap()),
                "{query}"
            );
            assert!(callback.auth_validation_token.is_none(), "{query}");
        }
        let callback = Callback::parse("auth_validation_token=a?b=c?").unwrap();
        assert_eq!(callback.auth_validation_token.unwrap().expose(), "a?b=c?");
    }

    #[test]
    fn only_the_query_has_parameters() {
        for url in [
            "",
            "?",
            "#auth_validation_token=x",
            "?#auth_validation_token=x",
            "https://app.example/#?auth_validation_token=x",
            "https://app.example/auth_validation_token=x",
            "https://app.example/in&auth_validation_token=x",
            "/in&auth_validation_token=x",
            "https://auth_validation_token=x@app.example/?y",
        ] {
            let callback = Callback::parse(url).unwrap();
            assert!(callback.auth_validation_token.is_none(), "{url}");
        }
    }

    #[test]
    fn names_and_values_are_decoded_as_a_form() {
        for (written, read) in [
            ("a+b", "a b"),
            ("a%20b", "a b"),
            ("a%2bb", "a+b"),
            ("a%2Bb", "a+b"),
            ("a%26b%3Dc%23", "a&b=c#"),
            ("zo%C3%AB", "zo\u{eb}"),
            ("zo\u{eb}", "zo\u{eb}"),
            ("a=b==", "a=b=="),
            // As browsers do.
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%2541", "%41"),
        ] {
            let query = format!("auth%5Fvalidation%5ftoken={written}");
            let callback = Callback::parse(&query).unwrap();
            let token = callback.auth_validation_token.unwrap();
            assert_eq!(token.expose(), read, "{written}");
        }
    }

    #[test]
    fn the_longest_url_is_16_kib() {
        let query = "auth_validation_token=";
        let text = format!("{query}{}", "x".repeat(16 * 1024 - query.len()));
        assert!(Callback::parse(&text).is_ok());
        assert!(Callback::parse(&format!("{text}x")).is_err());
    }

    #[test]
    fn each_parameter_may_occur_once() {
        let values = [
            ("auth_request_id", ID),
            ("auth_validation_token", "t"),
            ("registration_id", ID),
            ("registration_validation_token", "t"),
        ];
        for (name, value) in values {
            let once = format!("{name}={value}");
            assert!(Callback::parse(&once).is_ok());
            for twice in [
                format!("{once}&{once}"),
                format!("{once}&x=1&{}={value}", name.replace('_', "%5F")),
                format!("{once}&{name}"),
                format!("{name}&{once}"),
                format!("https://app.example/in?{once}&next=/?x=1&{once}"),
            ] {
                let error = Callback::parse(&twice).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{twice}");
            }
        }
    }

    #[test]
    fn a_url_that_is_not_clear_is_refused_without_being_repeated() {
        let twice = "auth_validation_token=s3cr3t&auth%5Fvalidation_token=s3cr3t";
        let long = "x".repeat(16 * 1024 + 1);
        for query in [
            twice,
            "auth_request_id=s3cr3t",
            "auth_request_id=",
            "auth_validation_token=%ff",
            &long,
        ] {
            let error = Callback::parse(query).unwrap_err();
            assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
        }
    }

    #[test]
    fn other_parameters_are_ignored() {
        let callback =
            Callback::parse("?registration_validation_token=t&registration_validation_token2=u&&=")
                .unwrap();
        assert_eq!(
            callback.registration_validation_token.unwrap().expose(),
            "t"
        );
    }
}
