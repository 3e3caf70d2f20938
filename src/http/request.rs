//! [`Request`]: one call of one endpoint, as a value.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use uuid::Uuid;
use zeroize::Zeroizing;

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
/// Enough for most bodies.
const BODY: usize = 512;
const NIL_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// A body, and what a version of the API cannot carry of it.
pub(crate) trait Payload: Serialize {
    /// Checks lengths and ranges.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The name of a field that is set and that only v3 knows.
    fn v3_only(&self) -> Option<&'static str> {
        None
    }

    /// The name of a field that is set and that only v4 knows.
    fn v4_only(&self) -> Option<&'static str> {
        None
    }
}

#[derive(Clone)]
struct Body {
    json: Zeroizing<Vec<u8>>,
    v3_only: Option<&'static str>,
    v4_only: Option<&'static str>,
}

/// One call of one endpoint, whose answer is a `T`.
///
/// The builder functions (such as [`users::get_user`](crate::users::get_user))
/// make one; [`Client::send`](crate::Client::send) sends it, and
/// [`to_http`](Self::to_http) turns it into an HTTP request for any other use.
/// Building one never fails: what is wrong with its input comes out of those
/// two.
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
    endpoint: Endpoint,
    user: Option<UserKey>,
    filter: Option<Private>,
    id: Option<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Body>,
    fault: Option<Error>,
    timeout: Option<Duration>,
    no_retries: bool,
    answer: PhantomData<fn() -> T>,
}

impl<T> Request<T> {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            user: None,
            filter: None,
            id: None,
            query: Vec::new(),
            body: None,
            fault: None,
            timeout: None,
            no_retries: false,
            answer: PhantomData,
        }
    }

    pub(crate) fn user(mut self, user: impl Into<UserKey>) -> Self {
        self.user = Some(user.into());
        self
    }

    pub(crate) fn filter(mut self, filter: Option<Private>) -> Self {
        self.filter = filter;
        self
    }

    /// The id in the route that is not the user's.
    pub(crate) fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    pub(crate) fn query(mut self, pairs: Result<Vec<(&'static str, String)>, Error>) -> Self {
        match pairs {
            Ok(pairs) => self.query = pairs,
            Err(error) => self.fault = Some(error),
        }
        self
    }

    pub(crate) fn body(mut self, payload: &impl Payload) -> Self {
        let mut json = WipedBuffer::with_capacity(BODY);
        let written = serde_json::to_writer(&mut json, payload)
            .map_err(|_| Error::invalid("the body cannot be written as JSON"));
        match payload.check().and(written) {
            Ok(()) => {
                self.body = Some(Body {
                    json: json.into_inner(),
                    v3_only: payload.v3_only(),
                    v4_only: payload.v4_only(),
                });
            }
            Err(error) => self.fault = Some(error),
        }
        self
    }

    /// How long this call may take, everything included, instead of the
    /// client's [`timeout`](crate::ClientBuilder::timeout). Zero is refused
    /// when the call is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// For a caller who has a rhythm of its own.
    pub(crate) fn without_retries(mut self) -> Self {
        self.no_retries = true;
        self
    }

    pub(crate) fn may_retry(&self) -> bool {
        !self.no_retries
    }

    /// The endpoint that it calls.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The user in the route, if the endpoint takes one.
    #[must_use]
    pub fn user_key(&self) -> Option<&UserKey> {
        self.user.as_ref()
    }

    pub(crate) fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The name that a look-up must replace by an id before this can go out.
    pub(crate) fn name_to_look_up(&self, target: &Target) -> Option<&Private> {
        let crosses = target.version == ApiVersion::V3
            && self.endpoint.version(ApiVersion::V3) == ApiVersion::V4;
        match &self.user {
            Some(UserKey::Username(name)) if crosses => Some(name),
            _ => None,
        }
    }

    /// The same call about another user key.
    pub(crate) fn with_user(&self, user: Uuid) -> Self {
        self.clone().user(user)
    }

    /// The HTTP request, without `Authorization` and `User-Agent`, which are
    /// the client's to add.
    ///
    /// Fails with [`ErrorKind::InvalidInput`] if a value is not one that can
    /// be sent, and with [`ErrorKind::UsernameInUrl`] if the version would put
    /// a username into the URL and the target was not told that it may.
    pub fn to_http(&self, target: &Target) -> Result<HttpRequest, Error> {
        self.encode(target)
            .map_err(|error| error.in_area(self.endpoint.name()))
    }

    fn encode(&self, target: &Target) -> Result<HttpRequest, Error> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
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
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(ACCEPT, JSON);

        let names = Names {
            version,
            target,
            headers: &mut headers,
            in_query: None,
        };
        let (route_user, name_in_query) = names.place(self.user.as_ref(), self.filter.as_ref())?;
        let mut path = self.path(version, route_user.as_deref())?;
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
            uri: target.base.join(&path)?,
            headers,
            body,
        })
    }

    fn query_pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Fills the placeholders of the route.
    fn path(&self, version: ApiVersion, user: Option<&str>) -> Result<String, Error> {
        let mut path = String::with_capacity(128);
        path.push('/');
        path.push_str(version.as_str());
        let route = self.endpoint.route(version);
        let mut id_is_placed = self.id.is_none();
        for segment in route.split('/').skip(1) {
            path.push('/');
            match segment {
                "{user_id}" => path.push_str(user.unwrap_or(NIL_UUID)),
                _ if segment.starts_with('{') => {
                    let id = self.id.as_deref().ok_or_else(|| {
                        Error::invalid(format!(
                            "{version} needs the registration_id",
                            version = version.as_str()
                        ))
                    })?;
                    url::check_segment(id)?;
                    url::push_segment(&mut path, id);
                    id_is_placed = true;
                }
                literal => path.push_str(literal),
            }
        }
        if id_is_placed || self.endpoint.carries_registration_id_in_body(version) {
            Ok(path)
        } else {
            Err(unknown_to(version, "registration_id"))
        }
    }

    fn encode_body(&self, version: ApiVersion) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
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
                Ok(Some(json.into_inner()))
            }
            _ => Ok(Some(body.json.clone())),
        }
    }
}

fn unknown_to(version: ApiVersion, field: &str) -> Error {
    Error::invalid(format!("{} cannot carry {field}", version.as_str()))
}

/// Decides where names go: the one place that keeps them out of URLs.
struct Names<'a> {
    version: ApiVersion,
    target: &'a Target,
    headers: &'a mut HeaderMap,
    in_query: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// Returns the user's id for the route, and the name for the query.
    fn place(
        mut self,
        user: Option<&'a UserKey>,
        filter: Option<&'a Private>,
    ) -> Result<(Option<String>, Option<&'a str>), Error> {
        let mut route = None;
        if let Some(key) = user {
            key.check()?;
            match key {
                UserKey::Id(id) => route = Some(id.to_string()),
                UserKey::Username(name) => self.name(name, USERNAME)?,
            }
        }
        if let Some(filter) = filter {
            check_name(filter, "the user filter")?;
            self.name(filter, USER_FILTER)?;
        }
        Ok((route, self.in_query))
    }

    fn name(&mut self, name: &'a str, header: HeaderName) -> Result<(), Error> {
        match self.version {
            ApiVersion::V3 => {
                if !name.is_ascii() && !self.target.non_ascii_usernames {
                    return Err(Error::invalid(
                        "a username that is not ASCII may not survive its header: name the user \
                         by id, or allow it with non_ascii_usernames(true)",
                    ));
                }
                let mut value = HeaderValue::from_bytes(name.as_bytes())
                    .map_err(|_| Error::invalid("the username does not fit a header"))?;
                value.set_sensitive(true);
                self.headers.insert(header, value);
            }
            ApiVersion::V4 if self.target.username_in_query => self.in_query = Some(name),
            ApiVersion::V4 => {
                return Err(Error::new(
                    ErrorKind::UsernameInUrl,
                    "name the user by id, use v3, or allow it with username_in_query(true)",
                ));
            }
        }
        Ok(())
    }
}

impl<T> Clone for Request<T> {
    fn clone(&self) -> Self {
        Self {
            endpoint: self.endpoint,
            user: self.user.clone(),
            filter: self.filter.clone(),
            id: self.id.clone(),
            query: self.query.clone(),
            body: self.body.clone(),
            fault: self.fault.clone(),
            timeout: self.timeout,
            no_retries: self.no_retries,
            answer: PhantomData,
        }
    }
}

/// Shows the endpoint and whom it is about, never a name, a query or a body.
impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("endpoint", &self.endpoint)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Where requests go: what [`Request::to_http`] needs to know.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) base: BaseUrl,
    pub(crate) version: ApiVersion,
    pub(crate) username_in_query: bool,
    pub(crate) non_ascii_usernames: bool,
}

impl Target {
    /// An API base URL such as `https://api.autharmor.com`, without a version.
    /// Fails with [`ErrorKind::Config`] as
    /// [`ClientBuilder::api_url`](crate::ClientBuilder::api_url) does.
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

    /// The version to speak. Default: [`ApiVersion::V3`].
    #[must_use]
    pub fn version(mut self, version: ApiVersion) -> Self {
        self.version = version;
        self
    }

    /// As [`ClientBuilder::username_in_query`](crate::ClientBuilder::username_in_query).
    /// Default: `false`.
    #[must_use]
    pub fn username_in_query(mut self, allow: bool) -> Self {
        self.username_in_query = allow;
        self
    }

    /// As [`ClientBuilder::non_ascii_usernames`](crate::ClientBuilder::non_ascii_usernames).
    /// Default: `false`.
    #[must_use]
    pub fn non_ascii_usernames(mut self, allow: bool) -> Self {
        self.non_ascii_usernames = allow;
        self
    }
}
