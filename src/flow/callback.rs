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
        let before_fragment = url_or_query.split('#').next().unwrap_or_default();
        let query = before_fragment
            .split_once('?')
            .map_or(before_fragment, |(_, query)| query);
        let mut callback = Self::default();
        for pair in query.split('&') {
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

    const ID: &str = "11111111-2222-4333-8444-555555555555";

    #[test]
    fn a_url_a_path_and_a_query_are_read_alike() {
        for prefix in ["https://app.example/in?x=1&", "/in?", "?", ""] {
            let url = format!("{prefix}auth_validation_token=a%2Bb%3d&auth_request_id={ID}#part");
            let callback = Callback::parse(&url).unwrap();
            assert_eq!(callback.auth_request_id, Some(ID.parse().unwrap()));
            assert_eq!(callback.auth_validation_token.unwrap().expose(), "a+b=");
            assert!(callback.registration_id.is_none());
        }
    }

    #[test]
    fn what_is_not_clear_is_refused_without_being_repeated() {
        let twice = "auth_validation_token=s3cr3t&auth%5Fvalidation_token=s3cr3t";
        let long = "x".repeat(MAX_LEN + 1);
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
    fn other_parameters_do_not_matter() {
        let callback =
            Callback::parse("?registration_validation_token=t&registration_validation_token2=u&&=")
                .unwrap();
        assert_eq!(
            callback.registration_validation_token.unwrap().expose(),
            "t"
        );
    }
}
