//! [`Request`], one call of an endpoint, and [`Target`], the service to call.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use uuid::Uuid;

use super::buffer::WipedBuffer;
use super::endpoint::{ApiVersion, Endpoint};
use super::message::HttpRequest;
use super::url::{self, BaseUrl};
use crate::error::{Error, ErrorKind};
use crate::secret::Private;
use crate::user_key::{UserKey, check_name};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USERNAME: HeaderName = HeaderName::from_static("x-autharmor-usernamevalue");
const USER_FILTER: HeaderName = HeaderName::from_static("x-autharmor-userfilterstring");
/// Enough with the headers that client and transport add.
const HEADERS: usize = 6;
/// Enough for most bodies.
const BODY: usize = 512;
const NIL_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// The body of a request.
pub(crate) trait Payload: Serialize {
    /// Checks the lengths and ranges of the values.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Returns the name of a field that is set and that only v3 has.
    fn v3_only(&self) -> Option<&'static str> {
        None
    }

    /// Returns the name of a field that is set and that only v4 has.
    fn v4_only(&self) -> Option<&'static str> {
        None
    }
}

#[derive(Clone)]
struct Body {
    json: WipedBuffer,
    v3_only: Option<&'static str>,
    v4_only: Option<&'static str>,
}

/// One call of an endpoint, whose response is a `T`.
///
/// The builder functions (such as [`users::get_user`](crate::users::get_user))
/// create one. [`Client::send`](crate::Client::send) sends it, and
/// [`to_http`](Self::to_http) converts it into an HTTP request for any other
/// use. Building a request never fails; these two methods report invalid input.
///
/// ```
/// use autharmor::{Request, Target, users};
///
/// let request = users::get_user("ada@example.com");
/// let http = request.to_http(&Target::new("https://api.autharmor.com")?)?;
/// assert_eq!(http.uri().path(), "/v3/users/00000000-0000-0000-0000-000000000000");
/// assert_eq!(http.headers()["X-AuthArmor-UsernameValue"], "ada@example.com");
/// # Ok::<(), autharmor::Error>(())
/// ```
#[must_use = "a request does nothing until it is sent"]
pub struct Request<T> {
    parts: RequestParts,
    response: PhantomData<fn() -> T>,
}

/// A request without the type of its response: what all requests have in common is
/// compiled once.
#[derive(Clone)]
pub(crate) struct RequestParts {
    endpoint: Endpoint,
    user: Option<UserKey>,
    filter: Option<Private>,
    id: Option<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Body>,
    error: Option<Error>,
    timeout: Option<Duration>,
    no_retries: bool,
}

impl<T> Request<T> {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            parts: RequestParts::new(endpoint),
            response: PhantomData,
        }
    }

    pub(crate) fn user(mut self, user: impl Into<UserKey>) -> Self {
        self.parts.user = Some(user.into());
        self
    }

    pub(crate) fn filter(mut self, filter: Option<Private>) -> Self {
        self.parts.filter = filter;
        self
    }

    /// Sets the id in the path that is not the user's.
    pub(crate) fn id(mut self, id: impl Into<String>) -> Self {
        self.parts.id = Some(id.into());
        self
    }

    pub(crate) fn query(mut self, pairs: Result<Vec<(&'static str, String)>, Error>) -> Self {
        match pairs {
            Ok(pairs) => self.parts.query = pairs,
            Err(error) => self.parts.error = Some(error),
        }
        self
    }

    pub(crate) fn body(mut self, payload: &impl Payload) -> Self {
        match Body::new(payload) {
            Ok(body) => self.parts.body = Some(body),
            Err(error) => self.parts.error = Some(error),
        }
        self
    }

    /// Sets how long the whole call may take, in place of the client's
    /// [`timeout`](crate::ClientBuilder::timeout). Zero is refused when the call
    /// is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.parts.timeout = Some(timeout);
        self
    }

    /// Disables retries, for callers that poll.
    pub(crate) fn without_retries(mut self) -> Self {
        self.parts.no_retries = true;
        self
    }

    pub(crate) fn parts(&self) -> &RequestParts {
        &self.parts
    }

    /// Returns the endpoint that is called.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.parts.endpoint
    }

    /// Returns the user in the path, if the endpoint takes one.
    #[must_use]
    pub fn user_key(&self) -> Option<&UserKey> {
        self.parts.user.as_ref()
    }

    /// Converts it into an HTTP request. The headers `Authorization` and
    /// `User-Agent` are missing: the client adds them.
    ///
    /// Fails with [`ErrorKind::InvalidInput`] if a value cannot be sent, and
    /// with [`ErrorKind::UsernameInUrl`] if the username would be part of the URL
    /// and the target does not allow that.
    pub fn to_http(&self, target: &Target) -> Result<HttpRequest, Error> {
        self.parts.to_http(target)
    }
}

impl Body {
    fn new(payload: &impl Payload) -> Result<Self, Error> {
        let mut json = WipedBuffer::with_capacity(BODY);
        let written = serde_json::to_writer(&mut json, payload);
        payload.check()?;
        written.map_err(|_| Error::invalid("the body cannot be written as JSON"))?;
        Ok(Self {
            json,
            v3_only: payload.v3_only(),
            v4_only: payload.v4_only(),
        })
    }
}

impl RequestParts {
    fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            user: None,
            filter: None,
            id: None,
            query: Vec::new(),
            body: None,
            error: None,
            timeout: None,
            no_retries: false,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    pub(crate) fn may_retry(&self) -> bool {
        !self.no_retries
    }

    pub(crate) fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Returns the username that has to be replaced by the user's id before this
    /// can be sent: v3 does not have the endpoint, and v4 would put the name into
    /// the URL.
    pub(crate) fn name_to_look_up(&self, target: &Target) -> Option<&Private> {
        let needs_id = target.version == ApiVersion::V3
            && self.endpoint.version(ApiVersion::V3) == ApiVersion::V4;
        match &self.user {
            Some(UserKey::Username(name)) if needs_id => Some(name),
            _ => None,
        }
    }

    /// Returns the same call for the user of this id.
    pub(crate) fn with_user(&self, user: Uuid) -> Self {
        Self {
            user: Some(user.into()),
            ..self.clone()
        }
    }

    pub(crate) fn to_http(&self, target: &Target) -> Result<HttpRequest, Error> {
        self.encode(target)
            .map_err(|error| error.in_area(self.endpoint.name()))
    }

    fn encode(&self, target: &Target) -> Result<HttpRequest, Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.name_to_look_up(target).is_some() {
            return Err(Error::invalid(
                "v3 does not have this endpoint: name the user by id, or send it with a `Client`, \
                 which looks the id up",
            ));
        }
        if self.id.as_deref() == Some(NIL_UUID) {
            return Err(Error::invalid("an id is the nil UUID"));
        }
        let version = self.endpoint.version(target.version);
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(ACCEPT, JSON);

        let mut user_id = None;
        let mut name_in_query = None;
        if let Some(user) = &self.user {
            user.check()?;
            match user {
                UserKey::Id(id) => user_id = Some(id.to_string()),
                UserKey::Username(name) => {
                    name_in_query = carry_name(name, USERNAME, version, target, &mut headers)?;
                }
            }
        }
        if let Some(filter) = &self.filter {
            check_name(filter, "the user filter")?;
            name_in_query = carry_name(filter, USER_FILTER, version, target, &mut headers)?;
        }
        let mut path = target.base.start_path();
        self.push_path(&mut path, version, user_id.as_deref())?;
        let mut separator = '?';
        let name_in_query = name_in_query.map(|name| ("username", name));
        for (name, value) in name_in_query.into_iter().chain(self.query_pairs()) {
            url::push_pair(&mut path, separator, name, value);
            separator = '&';
        }

        let body = self.encode_body(version)?;
        if body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        Ok(HttpRequest {
            method: self.endpoint.method(),
            uri: target.base.complete(path)?,
            headers,
            body,
        })
    }

    fn query_pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Appends version and route, with the placeholders filled.
    fn push_path(
        &self,
        path: &mut String,
        version: ApiVersion,
        user: Option<&str>,
    ) -> Result<(), Error> {
        path.push('/');
        path.push_str(version.as_str());
        let mut route = self.endpoint.route(version);
        let mut id_is_sent = self.id.is_none();
        while let Some((literal, rest)) = route.split_once('{') {
            path.push_str(literal);
            let (name, rest) = rest.split_once('}').unwrap_or((rest, ""));
            route = rest;
            if name == "user_id" {
                path.push_str(user.unwrap_or(NIL_UUID));
            } else {
                let id = self.id.as_deref().ok_or_else(|| {
                    Error::invalid(format!("{version} needs the registration_id"))
                })?;
                url::check_segment(id)?;
                url::push_segment(path, id);
                id_is_sent = true;
            }
        }
        path.push_str(route);
        if id_is_sent || self.endpoint.carries_registration_id_in_body(version) {
            Ok(())
        } else {
            Err(unknown_to(version, "registration_id"))
        }
    }

    fn encode_body(&self, version: ApiVersion) -> Result<Option<WipedBuffer>, Error> {
        let Some(body) = &self.body else {
            return Ok(None);
        };
        let unknown = match version {
            ApiVersion::V3 => body.v4_only,
            ApiVersion::V4 => body.v3_only,
        };
        if let Some(field) = unknown {
            return Err(unknown_to(version, field));
        }
        let id = self.id.as_ref();
        let in_body = id.filter(|_| self.endpoint.carries_registration_id_in_body(version));
        match (in_body, body.json.split_first()) {
            (Some(id), Some((brace, rest))) => {
                // The id is a UUID, which needs no escaping, and the object is
                // not empty.
                let id = format!("\"registration_id\":\"{id}\",");
                let mut json = WipedBuffer::with_capacity(body.json.len() + id.len());
                json.extend(&[*brace]);
                json.extend(id.as_bytes());
                json.extend(rest);
                Ok(Some(json))
            }
            _ => Ok(Some(body.json.clone())),
        }
    }
}

fn unknown_to(version: ApiVersion, field: &str) -> Error {
    Error::invalid(format!("{version} cannot carry {field}"))
}

/// Puts a username into a header (v3) or returns it for the query (v4). Only
/// this function puts names into requests, and it puts none into a URL unless
/// the target allows that.
fn carry_name<'a>(
    name: &'a str,
    header: HeaderName,
    version: ApiVersion,
    target: &Target,
    headers: &mut HeaderMap,
) -> Result<Option<&'a str>, Error> {
    match version {
        ApiVersion::V3 => {
            if !name.is_ascii() && !target.non_ascii_usernames {
                return Err(Error::invalid(
                    "a username that is not ASCII may be misread in a header: name the user by \
                     id, or allow it with non_ascii_usernames(true)",
                ));
            }
            let mut value = HeaderValue::from_bytes(name.as_bytes())
                .map_err(|_| Error::invalid("the username does not fit a header"))?;
            value.set_sensitive(true);
            headers.insert(header, value);
            Ok(None)
        }
        ApiVersion::V4 if target.username_in_query => Ok(Some(name)),
        ApiVersion::V4 => Err(Error::new(
            ErrorKind::UsernameInUrl,
            "name the user by id, use v3, or allow it with username_in_query(true)",
        )),
    }
}

impl<T> Clone for Request<T> {
    fn clone(&self) -> Self {
        Self {
            parts: self.parts.clone(),
            response: PhantomData,
        }
    }
}

/// Shows the endpoint and the user's id, but no name, no query and no body.
impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("endpoint", &self.parts.endpoint)
            .field("user", &self.parts.user)
            .finish_non_exhaustive()
    }
}

/// The service to call, and its settings, for [`Request::to_http`].
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) base: BaseUrl,
    pub(crate) version: ApiVersion,
    pub(crate) username_in_query: bool,
    pub(crate) non_ascii_usernames: bool,
}

impl Target {
    /// Creates a target from an API base URL without a version, such as
    /// `https://api.autharmor.com`. Fails with [`ErrorKind::Config`] for the URLs
    /// that [`ClientBuilder::api_url`](crate::ClientBuilder::api_url) refuses,
    /// and for any `http://` URL.
    pub fn new(base_url: &str) -> Result<Self, Error> {
        Ok(Self::at(BaseUrl::parse(base_url, "the base URL", false)?))
    }

    pub(crate) fn at(base: BaseUrl) -> Self {
        Self {
            base,
            version: ApiVersion::default(),
            username_in_query: false,
            non_ascii_usernames: false,
        }
    }

    /// Sets the version of the API. Defaults to [`ApiVersion::V3`].
    #[must_use]
    pub fn version(mut self, version: ApiVersion) -> Self {
        self.version = version;
        self
    }

    /// Allows usernames in the query, as
    /// [`ClientBuilder::username_in_query`](crate::ClientBuilder::username_in_query)
    /// does. Defaults to `false`.
    #[must_use]
    pub fn username_in_query(mut self, allow: bool) -> Self {
        self.username_in_query = allow;
        self
    }

    /// Allows usernames that are not ASCII, as
    /// [`ClientBuilder::non_ascii_usernames`](crate::ClientBuilder::non_ascii_usernames)
    /// does. Defaults to `false`.
    #[must_use]
    pub fn non_ascii_usernames(mut self, allow: bool) -> Self {
        self.non_ascii_usernames = allow;
        self
    }
}
