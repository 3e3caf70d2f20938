//! OAuth2's client credentials grant: the token request and its response.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::token_error;
use crate::error::{Error, ErrorKind};
use crate::http::response;
use crate::http::url::{push_form, push_pair};
use crate::http::{HttpRequest, HttpResponse};
use crate::secret::Secret;
use crate::types::optional_number;

/// The life of a token whose response states none.
const DEFAULT_LIFE: Duration = Duration::from_secs(5 * 60);
/// The longest life that is accepted.
pub(super) const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest token in bytes; a header must fit into the transport's buffers.
const MAX_TOKEN_LEN: usize = 7 * 1024;

/// The way in which the client id and secret are sent to the token endpoint, in
/// OAuth2's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// `client_secret_post`: in the form body.
    #[default]
    SecretPost,
    /// `client_secret_basic`: in an HTTP Basic `Authorization` header.
    SecretBasic,
}

/// A client id and its secret.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(super) id: String,
    secret: Secret,
}

impl Credentials {
    /// Trims a line end, as a file or a variable leaves it. Refuses other
    /// invisible characters: they come with a copy from a document, and
    /// the service would only say that the credentials are wrong.
    pub(crate) fn new(id: &str, secret: &str) -> Result<Self, Error> {
        let id = id.trim_end_matches(['\r', '\n']);
        let secret = secret.trim_end_matches(['\r', '\n']);
        for (text, what) in [(id, "client id"), (secret, "client secret")] {
            let refuse = |why| Err(Error::config(format!("the {what} {why}")));
            if text.is_empty() {
                return refuse("is empty");
            }
            if text.chars().any(char::is_control) {
                return refuse("holds a control character");
            }
            if text.chars().any(is_invisible) {
                return refuse("holds an invisible character");
            }
            if text.trim() != text {
                return refuse("begins or ends with a space");
            }
        }
        Ok(Self {
            id: id.to_owned(),
            secret: secret.into(),
        })
    }

    /// Returns the texts that must not appear in errors, should a response repeat
    /// them.
    pub(super) fn secrets(&self) -> [Zeroizing<String>; 2] {
        let secret = Zeroizing::new(self.secret.expose().to_owned());
        [secret, self.basic()]
    }

    /// `id:secret` in Base64 for HTTP Basic.
    fn basic(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(self.pair().as_bytes()))
    }

    /// `id:secret`, each form-encoded as OAuth2 wants it.
    fn pair(&self) -> Zeroizing<String> {
        // Sized so that it never grows: growing would leave copies behind.
        let room = 1 + 3 * (self.id.len() + self.secret.expose().len());
        let mut pair = Zeroizing::new(String::with_capacity(room));
        push_form(&mut pair, &self.id);
        pair.push(':');
        push_form(&mut pair, self.secret.expose());
        pair
    }

    /// Adds to a refusal what the cause may be.
    pub(super) fn explain(&self, error: Error) -> Error {
        let detail = if is_quoted(&self.id) {
            "the client id is in quotes"
        } else if is_quoted(self.secret.expose()) {
            "the client secret is in quotes"
        } else {
            return error;
        };
        if error.kind() == ErrorKind::Auth {
            error.with_detail(detail)
        } else {
            error
        }
    }
}

/// Whether a character has no width: marks of direction, joiners, byte order
/// marks, tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn is_quoted(text: &str) -> bool {
    let quotes = ['"', '\'', '`', '“', '”', '„', '‘', '’', '«', '»'];
    text.chars().count() > 1 && text.starts_with(quotes) && text.ends_with(quotes)
}

/// The parts of a token request besides the credentials.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) url: Uri,
    pub(crate) scopes: String,
    pub(crate) client_auth: ClientAuth,
    pub(crate) user_agent: HeaderValue,
}

impl Grant {
    pub(super) fn request(&self, credentials: &Credentials) -> Result<HttpRequest, Error> {
        let Self {
            url,
            scopes,
            client_auth,
            user_agent,
        } = self;
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(USER_AGENT, user_agent.clone());
        // Sized so that it never grows: growing would leave copies behind.
        let room =
            128 + scopes.len() + 3 * (credentials.id.len() + credentials.secret.expose().len());
        let mut form = Zeroizing::new(String::with_capacity(room));
        form.push_str("grant_type=client_credentials");
        match client_auth {
            ClientAuth::SecretPost => {
                push_pair(&mut form, '&', "client_id", &credentials.id);
                push_pair(&mut form, '&', "client_secret", credentials.secret.expose());
            }
            ClientAuth::SecretBasic => {
                headers.insert(AUTHORIZATION, sensitive("Basic ", &credentials.basic())?);
            }
        }
        if !scopes.is_empty() {
            push_pair(&mut form, '&', "scope", scopes);
        }
        Ok(HttpRequest {
            method: Method::POST,
            uri: url.clone(),
            headers,
            body: Some(std::mem::take(&mut *form).into_bytes().into()),
        })
    }
}

/// A success of the token endpoint (RFC 6749, 5.1).
#[derive(Deserialize)]
pub(super) struct TokenResponse {
    pub(super) access_token: Secret,
    #[serde(default, deserialize_with = "optional_number")]
    expires_in: Option<i64>,
    token_type: Option<String>,
}

impl TokenResponse {
    pub(super) fn read(response: &HttpResponse) -> Result<Self, Error> {
        match response.status().as_u16() {
            200..=299 => response::decode(response),
            400 | 401 | 403 => Err(response::refusal_as(ErrorKind::Auth, response)),
            404 => Err(response::refusal_as(ErrorKind::Api, response)),
            _ => Err(response::refusal(response)),
        }
    }

    /// Returns the token as a header value.
    pub(super) fn header(&self) -> Result<HeaderValue, Error> {
        let kind = self.token_type.as_deref().unwrap_or("bearer");
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(token_error(
                ErrorKind::Decode,
                "the token is of another type than bearer",
            ));
        }
        bearer(&self.access_token)
    }

    pub(super) fn life(&self) -> Duration {
        match self.expires_in {
            None => DEFAULT_LIFE,
            Some(seconds) => Duration::from_secs(seconds.try_into().unwrap_or(0)).min(LONGEST_LIFE),
        }
    }
}

/// Returns a token as a header value.
pub(super) fn bearer(token: &Secret) -> Result<HeaderValue, Error> {
    let token = token.expose();
    let unusable = |why| Err(token_error(ErrorKind::Decode, why));
    if token.is_empty() {
        return unusable("the access token is empty");
    }
    if token.len() > MAX_TOKEN_LEN {
        return unusable("the access token is longer than 7 KiB");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return unusable("the access token holds a character that no header can carry");
    }
    sensitive("Bearer ", token)
}

/// Returns a header value that is marked as sensitive and wiped with its last
/// clone.
fn sensitive(scheme: &str, credentials: &str) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new([scheme.as_bytes(), credentials.as_bytes()].concat());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .map_err(|_| token_error(ErrorKind::Config, "the credentials do not fit a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(client_auth: ClientAuth) -> Grant {
        Grant {
            url: Uri::from_static("https://login.example/connect/token"),
            scopes: "a b".to_owned(),
            client_auth,
            user_agent: HeaderValue::from_static("test"),
        }
    }

    #[test]
    fn invisible_characters_in_credentials_are_refused_by_name() {
        for odd in [
            "\u{feff}x",
            "x\u{feff}",
            "\u{200b}x",
            "x\u{200d}y",
            "x\u{2060}",
            "\u{ad}x",
            "x\u{e0020}",
            "\u{a0}x",
            "x\u{a0}",
            " x",
            "x ",
            "\u{3000}x",
            "x\ty",
            "x\ny",
            "",
            "\n",
        ] {
            for (id, secret, named) in [(odd, "s3cr3t", "client id"), ("id", odd, "client secret")]
            {
                let error = Credentials::new(id, secret).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Config, "{odd:?}");
                assert!(error.to_string().contains(named), "{error}");
                assert!(!error.to_string().contains("s3cr3t"));
            }
        }
        for good in ["x\r\n", "x y", "\"x\"", "é+&=%", "日本"] {
            Credentials::new(good, good).unwrap();
        }
    }

    #[test]
    fn a_token_request_never_outgrows_its_buffer() {
        let odd = "%".repeat(1000);
        let credentials = Credentials::new(&odd, &odd).unwrap();
        let body = grant(ClientAuth::SecretPost)
            .request(&credentials)
            .unwrap()
            .body
            .unwrap();
        assert!(body.len() > 6000);
        assert_eq!(body.capacity(), 128 + 3 + 3 * 2000);
        let pair = credentials.pair();
        assert_eq!((pair.len(), pair.capacity()), (6001, 6001));
    }

    #[test]
    fn only_quotes_on_both_sides_are_named() {
        for (secret, named) in [
            ("\"secret\"", true),
            ("''", true),
            ("\"secret", false),
            ("secret\"", false),
            ("\"", false),
            ("secret", false),
        ] {
            let credentials = Credentials::new("id", secret).unwrap();
            let error = credentials.explain(Error::new(ErrorKind::Auth, "refused"));
            let is_named = error.to_string().contains("in quotes");
            assert_eq!(is_named, named, "{secret}: {error}");
        }
    }

    #[test]
    fn tokens_of_up_to_seven_kibibytes_are_taken() {
        bearer(&"x".repeat(7168).into()).unwrap();
        let error = bearer(&"x".repeat(7169).into()).unwrap_err();
        assert!(error.to_string().contains("longer than 7 KiB"), "{error}");
    }

    #[test]
    fn a_token_endpoint_that_is_not_there_is_no_missing_user() {
        for (status, kind) in [
            (400, ErrorKind::Auth),
            (401, ErrorKind::Auth),
            (403, ErrorKind::Auth),
            (404, ErrorKind::Api),
            (503, ErrorKind::Unavailable),
        ] {
            let mut response = http::Response::new(Vec::new());
            *response.status_mut() = status.try_into().unwrap();
            let error = TokenResponse::read(&response.into()).err().unwrap();
            assert_eq!(error.kind(), kind, "{status}");
        }
    }

    #[test]
    fn headers_with_credentials_are_marked_as_sensitive() {
        let credentials = Credentials::new("id", "secret").unwrap();
        let request = grant(ClientAuth::SecretBasic)
            .request(&credentials)
            .unwrap();
        assert!(request.headers[AUTHORIZATION].is_sensitive());
        assert!(bearer(&"token".into()).unwrap().is_sensitive());
    }
}
