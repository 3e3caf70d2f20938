//! Users: list them, find one, rename one, read a user's sign-in history.

use std::hash::Hash;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::endpoints::auth::{AuthInfo, AuthMethod};
use crate::error::Error;
use crate::http::{Endpoint, Payload, Request};
use crate::page::{Page, PageQuery, Record, Records};
use crate::secret::Private;
use crate::types::{Timestamp, empty_as_none, lenient, objects, open_number_enum};
use crate::user_key::{UserKey, check_name};

/// Selects the users to list: all or those of a name, and which page of them.
///
/// Serialises with the name in plain text, without values that are not set.
///
/// ```
/// use autharmor::PageQuery;
/// use autharmor::users::UserQuery;
///
/// let query = UserQuery::new().username("ada").page(PageQuery::new().page_size(50));
/// assert_eq!(format!("{:?}", query.username), "Some(Private(..))");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UserQuery {
    /// See [`username`](Self::username).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<Private>,
    /// See [`page`](Self::page).
    pub page: PageQuery,
}

impl UserQuery {
    /// Selects all users.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects only users of this name. Whether the service compares the whole
    /// name or a part of it is unverified. The rules for the text are those of
    /// [`UserKey::Username`], and it is sent like one: in a header under v3,
    /// and under v4 in the query, which the client must allow.
    #[must_use]
    pub fn username(mut self, name: impl Into<Private>) -> Self {
        self.username = Some(name.into());
        self
    }

    /// Selects the page and the order.
    #[must_use]
    pub fn page(mut self, page: impl Into<PageQuery>) -> Self {
        self.page = page.into();
        self
    }
}

impl From<PageQuery> for UserQuery {
    fn from(page: PageQuery) -> Self {
        Self::new().page(page)
    }
}

impl From<&PageQuery> for UserQuery {
    fn from(page: &PageQuery) -> Self {
        Self::new().page(page)
    }
}

impl From<&Self> for UserQuery {
    fn from(query: &Self) -> Self {
        query.clone()
    }
}

/// The body of [`update_user`]: a new name. Nothing else can be changed this
/// way. To change the address, call
/// [`start_change_magiclink_email`](crate::Client::start_change_magiclink_email).
///
/// ```
/// use autharmor::users::UpdateUser;
///
/// let update = UpdateUser::new("ada@example.org");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpdateUser {
    pub(crate) new_username: Private,
}

impl UpdateUser {
    /// Gives the user a new name. The rules for it are those of
    /// [`UserKey::Username`]. It is sent in the body, so it need not be ASCII.
    #[must_use]
    pub fn new(new_username: impl Into<Private>) -> Self {
        Self {
            new_username: new_username.into(),
        }
    }
}

impl Payload for UpdateUser {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.new_username, "new_username")
    }
}

/// A user, as listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// The user's id, which stays when the name changes.
    pub user_id: Uuid,
    /// The user's name.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub username: Option<Private>,
    /// The user's email address.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub email_address: Option<Private>,
    /// When the user was created.
    #[serde(default)]
    pub date_created: Option<Timestamp>,
}

impl Record for User {
    const FIELD: &'static str = "user_records";

    fn identity(&self) -> Option<impl Hash> {
        Some(self.user_id)
    }
}

impl Record for AuthInfo {
    const FIELD: &'static str = "auth_history_records";

    fn identity(&self) -> Option<impl Hash> {
        self.auth_response
            .as_ref()
            .and_then(|response| response.auth_history_id)
            .filter(|id| !id.is_nil())
    }
}

/// The response of [`update_user`]: the user with the new name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpdateUserResponse {
    /// The user's id, which stays when the name changes.
    #[serde(default, deserialize_with = "lenient")]
    pub user_id: Option<Uuid>,
    /// The user's name.
    #[serde(default, deserialize_with = "lenient")]
    pub username: Option<Private>,
    /// The user's email address.
    #[serde(default, deserialize_with = "lenient")]
    pub email_address: Option<Private>,
    /// When the user was created.
    #[serde(default, deserialize_with = "lenient")]
    pub date_created: Option<Timestamp>,
}

/// A user and the user's methods of signing in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UserDetails {
    /// The user's id, which stays when the name changes.
    pub user_id: Uuid,
    /// The user's name.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub username: Option<Private>,
    /// The user's email address.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub email_address: Option<Private>,
    /// When the user was created.
    #[serde(default)]
    pub date_created: Option<Timestamp>,
    /// The enrolled methods; empty if there are none or the service sent none.
    #[serde(default, deserialize_with = "objects")]
    pub enrolled_auth_methods: Vec<EnrolledAuthMethod>,
}

impl UserDetails {
    /// Returns whether the user has enrolled this method, as the service lists
    /// it, so that a program can offer it.
    ///
    /// ```no_run
    /// use autharmor::users::AuthMethodId;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let user = client.get_user("ada@example.com")?;
    /// if user.is_enrolled(AuthMethodId::Webauthn) {
    ///     println!("sign in with a passkey");
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[must_use]
    pub fn is_enrolled(&self, method: AuthMethodId) -> bool {
        self.enrolled_auth_methods
            .iter()
            .any(|enrolled| enrolled.method() == Some(method))
    }
}

/// A method by which a user can sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EnrolledAuthMethod {
    /// The method.
    #[serde(default)]
    pub auth_method_id: Option<AuthMethodId>,
    /// The service's name for it, such as `AuthArmorAuthenticator`.
    #[serde(default)]
    pub auth_method_name: Option<String>,
    /// A part of what was enrolled, such as of an email address, to be shown to
    /// its owner.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub auth_method_masked_info: Option<Private>,
}

impl EnrolledAuthMethod {
    /// Returns the method: its number or, if there is none, the one of its
    /// name. `None` if the service sends neither or an unknown name alone.
    ///
    /// ```no_run
    /// let client = autharmor::Client::from_env()?;
    /// for enrolled in client.get_user("ada@example.com")?.enrolled_auth_methods {
    ///     println!("{:?}", enrolled.method());
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[must_use]
    pub fn method(&self) -> Option<AuthMethodId> {
        self.auth_method_id
            .or_else(|| match self.auth_method_name.as_deref()?.into() {
                AuthMethod::AuthArmorAuthenticator => Some(AuthMethodId::Authenticator),
                AuthMethod::MagiclinkEmail => Some(AuthMethodId::MagiclinkEmail),
                AuthMethod::WebAuthn => Some(AuthMethodId::Webauthn),
                _ => None,
            })
    }
}

open_number_enum! {
    /// The number of a method of signing in.
    AuthMethodId {
        /// The Auth Armor app on a phone, `AuthArmorAuthenticator`.
        Authenticator = 4,
        /// A magic link sent by email, `Magiclink_Email`.
        MagiclinkEmail = 20,
        /// A passkey or security key, `WebAuthN`.
        Webauthn = 30,
    }
}

/// Builds the request of [`Client::list_users`].
pub fn list_users(query: impl Into<UserQuery>) -> Request<Page<User>> {
    let UserQuery { username, page } = query.into();
    Request::new(Endpoint::ListUsers)
        .filter(username)
        .query(page.pairs())
}

/// Builds the request of [`Client::get_user`].
pub fn get_user(user: impl Into<UserKey>) -> Request<UserDetails> {
    Request::new(Endpoint::GetUser).user(user)
}

/// Builds the request of [`Client::update_user`].
pub fn update_user(user: impl Into<UserKey>, update: &UpdateUser) -> Request<UpdateUserResponse> {
    Request::new(Endpoint::UpdateUser).user(user).body(update)
}

/// Builds the request of [`Client::get_user_auth_history`].
pub fn get_user_auth_history(
    user: impl Into<UserKey>,
    page: impl Into<PageQuery>,
) -> Request<Page<AuthInfo>> {
    Request::new(Endpoint::GetUserAuthHistory)
        .user(user)
        .query(page.into().pairs())
}

/// Users, see [`users`](crate::users).
impl Client {
    /// Lists one page of the users: `GET /v3/users`, `GET /v4/users`.
    ///
    /// A [`UserQuery`] may filter by name; a [`PageQuery`] alone lists all.
    /// [`users`](Self::users) iterates over all pages.
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if a number
    /// is too large or the filter breaks the rules for a name, and with
    /// [`UsernameInUrl`](crate::ErrorKind::UsernameInUrl) for a filter under
    /// v4 without [`username_in_query`](crate::ClientBuilder::username_in_query);
    /// otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let page = client.list_users(PageQuery::new().page_size(20))?;
    /// println!("{} of {:?}", page.records.len(), page.page_info.total_record_count);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn list_users(&self, query: impl Into<UserQuery>) -> Result<Page<User>, Error> {
        self.send(&list_users(query))
    }

    /// Iterates over all users. Fetches page after page with
    /// [`list_users`](Self::list_users), as needed.
    ///
    /// ```no_run
    /// use autharmor::users::UserQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// for user in client.users(UserQuery::new()) {
    ///     println!("{}", user?.user_id);
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn users(&self, query: impl Into<UserQuery>) -> Records<'_, User> {
        let mut query = query.into();
        Records::new(query.page.page_number, move |number| {
            query.page.page_number = number;
            self.list_users(&query)
        })
    }

    /// Returns a user, with the user's methods of signing in:
    /// `GET /v3/users/{user_id}`, `GET /v4/users/{user_id}`.
    ///
    /// Fails with [`NotFound`](crate::ErrorKind::NotFound) if there is no such
    /// user, with [`InvalidInput`](crate::ErrorKind::InvalidInput) for a key
    /// that cannot be one (see [`UserKey`]), and with
    /// [`UsernameInUrl`](crate::ErrorKind::UsernameInUrl) for a name under v4
    /// without [`username_in_query`](crate::ClientBuilder::username_in_query);
    /// otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// let client = autharmor::Client::from_env()?;
    /// let user = client.get_user("ada@example.com")?;
    /// println!("{} with {} methods", user.user_id, user.enrolled_auth_methods.len());
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn get_user(&self, user: impl Into<UserKey>) -> Result<UserDetails, Error> {
        self.send(&get_user(user))
    }

    /// Renames a user: `PUT /v3/users/{user_id}`, `PUT /v4/users/{user_id}`.
    ///
    /// Fails as [`get_user`](Self::get_user) does, and with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the new name breaks
    /// the rules for one. If [`Error::may_have_been_sent`] is true, the name may
    /// have changed. A second try by the old name would not find the user, so
    /// prefer the id.
    ///
    /// ```no_run
    /// use autharmor::users::UpdateUser;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let user = client.update_user("ada@example.com", &UpdateUser::new("ada@example.org"))?;
    /// println!("{:?}", user.user_id);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn update_user(
        &self,
        user: impl Into<UserKey>,
        update: &UpdateUser,
    ) -> Result<UpdateUserResponse, Error> {
        self.send(&update_user(user, update))
    }

    /// Lists one page of a user's authentication requests, past and pending:
    /// `GET /v3/users/{user_id}/auth_history`, the same under `/v4`.
    ///
    /// A record holds the result of a request. **It does not sign a user in**:
    /// only a `validate_*` response does.
    /// [`auth_history`](Self::auth_history) iterates over all pages.
    ///
    /// Fails as [`get_user`](Self::get_user) does, and with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if a number of the
    /// page query is too large.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let page = client.get_user_auth_history("ada@example.com", PageQuery::new())?;
    /// println!("{} requests", page.records.len());
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn get_user_auth_history(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Result<Page<AuthInfo>, Error> {
        self.send(&get_user_auth_history(user, page))
    }

    /// Iterates over all of a user's authentication requests. Fetches page after
    /// page with [`get_user_auth_history`](Self::get_user_auth_history), as
    /// needed.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let newest = PageQuery::new().page_size(100);
    /// for request in client.auth_history("ada@example.com", newest).take(500) {
    ///     let request = request?;
    ///     println!("{:?} at {:?}", request.outcome(), request.ended_at());
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn auth_history(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Records<'_, AuthInfo> {
        let (user, mut page) = (user.into(), page.into());
        Records::new(page.page_number, move |number| {
            page.page_number = number;
            self.get_user_auth_history(&user, &page)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enrolled_methods_are_told_by_number_or_else_by_name() {
        use AuthMethodId::{Authenticator, MagiclinkEmail, Other, Webauthn};
        for (method, expected) in [
            (r#"{"auth_method_id":4}"#, Some(Authenticator)),
            (r#"{"auth_method_id":"30"}"#, Some(Webauthn)),
            (
                r#"{"auth_method_name":"AuthArmorAuthenticator"}"#,
                Some(Authenticator),
            ),
            (
                r#"{"auth_method_name":"Magiclink_Email"}"#,
                Some(MagiclinkEmail),
            ),
            (r#"{"auth_method_name":"WebAuthN"}"#, Some(Webauthn)),
            (
                r#"{"auth_method_id":20,"auth_method_name":"WebAuthN"}"#,
                Some(MagiclinkEmail),
            ),
            (
                r#"{"auth_method_id":77,"auth_method_name":"WebAuthN"}"#,
                Some(Other(77)),
            ),
            (r#"{"auth_method_name":"Fax"}"#, None),
            ("{}", None),
        ] {
            let json = format!(
                r#"{{"user_id":"{}","enrolled_auth_methods":[{method}]}}"#,
                Uuid::from_u128(7)
            );
            let user: UserDetails = serde_json::from_str(&json).unwrap();
            assert_eq!(user.enrolled_auth_methods[0].method(), expected, "{method}");
            for asked in [Authenticator, MagiclinkEmail, Webauthn] {
                let is_it = expected == Some(asked);
                assert_eq!(user.is_enrolled(asked), is_it, "{asked:?} of {method}");
            }
        }
        let json = format!(r#"{{"user_id":"{}"}}"#, Uuid::from_u128(7));
        let user: UserDetails = serde_json::from_str(&json).unwrap();
        assert!(!user.is_enrolled(Authenticator));
    }

    #[test]
    fn only_an_entry_with_an_id_is_told_from_others_by_it() {
        let entry = |id: u128| -> AuthInfo {
            let response = format!(r#"{{"auth_history_id":"{}"}}"#, Uuid::from_u128(id));
            serde_json::from_str(&format!(r#"{{"auth_response":{response}}}"#)).unwrap()
        };
        assert!(entry(7).identity().is_some());
        // A sign-in that is still pending.
        assert!(entry(0).identity().is_none());
        assert!(AuthInfo::default().identity().is_none());
    }

    #[test]
    fn update_serialises_as_its_body() {
        let json = serde_json::to_string(&UpdateUser::new("ada")).unwrap();
        assert_eq!(json, r#"{"new_username":"ada"}"#);
    }
}
