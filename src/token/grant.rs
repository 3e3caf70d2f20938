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
use crate::types::{lenient_text, optional_number};

/// The life of a token whose response does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(5 * 60);
/// A longer life is not believed.
pub(super) const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest token in bytes; a header must fit into the transport's buffers.
const MAX_TOKEN_LEN: usize = 7 * 1024;

/// How the client id and secret travel to the token endpoint, in OAuth2's
/// terms.
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
    /// A line end after the secret, as a file or a variable leaves it, is
    /// trimmed.
    pub(crate) fn new(id: &str, secret: &str) -> Result<Self, Error> {
        let id = id.trim_end_matches(['\r', '\n']);
        let secret = secret.trim_end_matches(['\r', '\n']);
        for (text, what) in [(id, "client id"), (secret, "client secret")] {
            if text.is_empty() {
                return Err(Error::config(format!("the {what} is empty")));
            }
            if text.chars().any(char::is_control) {
                return Err(Error::config(format!(
                    "the {what} holds a control character"
                )));
            }
        }
        Ok(Self {
            id: id.to_owned(),
            secret: secret.into(),
        })
    }
}

/// What a token request is made of, besides the credentials.
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
                let mut pair = Zeroizing::new(String::with_capacity(room));
                push_form(&mut pair, &credentials.id);
                pair.push(':');
                push_form(&mut pair, credentials.secret.expose());
                let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
                headers.insert(AUTHORIZATION, sensitive("Basic ", &encoded)?);
            }
        }
        if !scopes.is_empty() {
            push_pair(&mut form, '&', "scope", scopes);
        }
        Ok(HttpRequest {
            method: Method::POST,
            uri: url.clone(),
            headers,
            body: Some(Zeroizing::new(std::mem::take(&mut *form).into_bytes())),
        })
    }
}

/// A success of the token endpoint (RFC 6749, 5.1).
#[derive(Deserialize)]
pub(super) struct TokenResponse {
    pub(super) access_token: Secret,
    #[serde(default, deserialize_with = "optional_number")]
    expires_in: Option<i64>,
    #[serde(default, deserialize_with = "lenient_text")]
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

    /// The token as a header, if it is one that can be borne.
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

/// A token as a header.
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

/// A header value that is marked as sensitive and wiped with its last clone.
fn sensitive(scheme: &str, credentials: &str) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new([scheme.as_bytes(), credentials.as_bytes()].concat());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .map_err(|_| token_error(ErrorKind::Config, "the credentials do not fit a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
