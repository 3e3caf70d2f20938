//! Credentials: the devices, passkeys and addresses that a user has enrolled.
//!
//! These six endpoints exist in v4 only. A client of v3 calls them there. A
//! username would then be part of the URL, so such a client first looks up the
//! id: one more GET for every call, with
//! [`get_user`](crate::Client::get_user), under the same timeout. Pass the
//! user's id to save it.

use std::fmt;
use std::hash::Hash;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::http::{Endpoint, Request};
use crate::page::{Page, PageQuery, Record, Records};
use crate::secret::Private;
use crate::types::{Timestamp, empty_as_none, lenient, open_text_enum, strict_bool};
use crate::user_key::UserKey;

/// The id of a credential.
///
/// The service's sources call it a UUID in one place and text in others, so it
/// is any text. It goes into the route as one segment, percent-encoded. An id
/// that is empty, longer than 1,024 bytes, a dot segment in any encoding, or
/// holds control characters is refused when the call is sent.
///
/// ```
/// use autharmor::credentials::CredentialId;
/// use uuid::Uuid;
///
/// let id = CredentialId::from(Uuid::from_u128(7));
/// assert_eq!(id.as_str(), "00000000-0000-0000-0000-000000000007");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialId(String);

impl CredentialId {
    /// Returns the id as text.
    ///
    /// ```
    /// let id = autharmor::credentials::CredentialId::from("phone-7");
    /// assert_eq!(id.as_str(), "phone-7");
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for CredentialId {
    fn from(id: Uuid) -> Self {
        Self(id.to_string())
    }
}

impl From<String> for CredentialId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl From<&str> for CredentialId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl From<&String> for CredentialId {
    fn from(id: &String) -> Self {
        Self(id.clone())
    }
}

impl From<&Self> for CredentialId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl AsRef<str> for CredentialId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A credential of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Credential {
    /// Its id.
    pub credential_id: CredentialId,
    /// The name. It may be a person's name or an email address, so it is not
    /// printed.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub name: Option<Private>,
    /// The kind.
    #[serde(default)]
    pub device_type: Option<CredentialType>,
    /// When it was enrolled.
    #[serde(default)]
    pub date_created: Option<Timestamp>,
    /// Whether the user can sign in with it; `None` if the service does not
    /// say.
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// The response of [`disable_user_credential`]: the credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DisableUserCredentialResponse {
    /// Its id.
    #[serde(default, deserialize_with = "lenient")]
    pub credential_id: Option<CredentialId>,
    /// The name, which is not printed.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<Private>,
    /// The kind.
    #[serde(default, deserialize_with = "lenient")]
    pub device_type: Option<CredentialType>,
    /// When it was enrolled.
    #[serde(default, deserialize_with = "lenient")]
    pub date_created: Option<Timestamp>,
    /// Whether the user can sign in with it; `None` if the service does not
    /// say.
    #[serde(default, deserialize_with = "strict_bool")]
    pub enabled: Option<bool>,
}

impl Record for Credential {
    const FIELD: &'static str = "credential_records";

    fn identity(&self) -> Option<impl Hash> {
        Some(&self.credential_id)
    }
}

open_text_enum! {
    /// The kind of a credential.
    CredentialType {
        /// The Auth Armor app on a phone.
        AutharmorAuthenticator = "autharmor_authenticator",
        /// A passkey or security key.
        Webauthn = "webauthn",
        /// An email address for magic links.
        MagiclinkEmail = "magiclink_email",
    }
}

/// Builds the request of [`Client::list_user_credentials`].
pub fn list_user_credentials(
    user: impl Into<UserKey>,
    page: impl Into<PageQuery>,
) -> Request<Page<Credential>> {
    Request::new(Endpoint::ListUserCredentials)
        .user(user)
        .query(page.into().pairs())
}

/// Builds the request of [`Client::list_user_authenticator_credentials`].
pub fn list_user_authenticator_credentials(
    user: impl Into<UserKey>,
    page: impl Into<PageQuery>,
) -> Request<Page<Credential>> {
    Request::new(Endpoint::ListUserAuthenticatorCredentials)
        .user(user)
        .query(page.into().pairs())
}

/// Builds the request of [`Client::list_user_webauthn_credentials`].
pub fn list_user_webauthn_credentials(
    user: impl Into<UserKey>,
    page: impl Into<PageQuery>,
) -> Request<Page<Credential>> {
    Request::new(Endpoint::ListUserWebauthnCredentials)
        .user(user)
        .query(page.into().pairs())
}

/// Builds the request of [`Client::list_user_magiclink_email_credentials`].
pub fn list_user_magiclink_email_credentials(
    user: impl Into<UserKey>,
    page: impl Into<PageQuery>,
) -> Request<Page<Credential>> {
    Request::new(Endpoint::ListUserMagiclinkEmailCredentials)
        .user(user)
        .query(page.into().pairs())
}

/// Builds the request of [`Client::get_user_credential`].
pub fn get_user_credential(
    user: impl Into<UserKey>,
    credential: impl Into<CredentialId>,
) -> Request<Credential> {
    Request::new(Endpoint::GetUserCredential)
        .user(user)
        .id(credential.into().0)
}

/// Builds the request of [`Client::disable_user_credential`].
pub fn disable_user_credential(
    user: impl Into<UserKey>,
    credential: impl Into<CredentialId>,
) -> Request<DisableUserCredentialResponse> {
    Request::new(Endpoint::DisableUserCredential)
        .user(user)
        .id(credential.into().0)
}

/// Credentials, see [`credentials`](crate::credentials).
impl Client {
    /// Lists one page of a user's credentials:
    /// `GET /v4/users/{user_id}/credentials`, under v3 too.
    /// [`credentials`](Self::credentials) iterates over all pages.
    ///
    /// **Under v3 a username costs one more GET**: v3 lacks this endpoint and
    /// v4 would put the name into the URL, so the id is looked up first. Fails
    /// with [`Mismatch`](crate::ErrorKind::Mismatch) if that finds another
    /// user.
    ///
    /// Fails with [`NotFound`](crate::ErrorKind::NotFound) if there is no such
    /// user, with [`InvalidInput`](crate::ErrorKind::InvalidInput) for a key
    /// that cannot be one (see [`UserKey`]) or a number of the page query that
    /// is too large, and with
    /// [`UsernameInUrl`](crate::ErrorKind::UsernameInUrl) for a name under v4
    /// without [`username_in_query`](crate::ClientBuilder::username_in_query);
    /// otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let page = client.list_user_credentials("ada@example.com", PageQuery::new())?;
    /// println!("{} credentials", page.records.len());
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn list_user_credentials(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Result<Page<Credential>, Error> {
        self.send(&list_user_credentials(user, page))
    }

    /// Iterates over all of a user's credentials. Fetches page after page
    /// with [`list_user_credentials`](Self::list_user_credentials),
    /// as needed. Under v3 a username is looked up again for every page; pass
    /// the user's id to save that.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let user = client.get_user("ada@example.com")?;
    /// for credential in client.credentials(user.user_id, PageQuery::new()) {
    ///     println!("{}", credential?.credential_id);
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn credentials(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Records<'_, Credential> {
        let user = user.into();
        pages(page.into(), move |page| {
            self.list_user_credentials(&user, page)
        })
    }

    /// Lists one page of a user's authenticator apps:
    /// `GET /v4/users/{user_id}/credentials/authenticator`, under v3 too, where
    /// a username costs one more GET. Fails as
    /// [`list_user_credentials`](Self::list_user_credentials) does.
    /// [`authenticator_credentials`](Self::authenticator_credentials) iterates
    /// over all pages.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let page = client.list_user_authenticator_credentials("ada@example.com", PageQuery::new())?;
    /// println!("{} phones", page.records.len());
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn list_user_authenticator_credentials(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Result<Page<Credential>, Error> {
        self.send(&list_user_authenticator_credentials(user, page))
    }

    /// Iterates over all of a user's authenticator apps. Fetches page after page
    /// with [`list_user_authenticator_credentials`](Self::list_user_authenticator_credentials),
    /// as needed. Under v3 a username is looked up again for every page; pass
    /// the user's id to save that.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let user = client.get_user("ada@example.com")?;
    /// for credential in client.authenticator_credentials(user.user_id, PageQuery::new()) {
    ///     println!("{}", credential?.credential_id);
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn authenticator_credentials(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Records<'_, Credential> {
        let user = user.into();
        pages(page.into(), move |page| {
            self.list_user_authenticator_credentials(&user, page)
        })
    }

    /// Lists one page of a user's passkeys and security keys:
    /// `GET /v4/users/{user_id}/credentials/webauthn`, under v3 too, where a
    /// username costs one more GET. Fails as
    /// [`list_user_credentials`](Self::list_user_credentials) does.
    /// [`webauthn_credentials`](Self::webauthn_credentials) iterates over all
    /// pages.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let page = client.list_user_webauthn_credentials("ada@example.com", PageQuery::new())?;
    /// println!("{} passkeys", page.records.len());
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn list_user_webauthn_credentials(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Result<Page<Credential>, Error> {
        self.send(&list_user_webauthn_credentials(user, page))
    }

    /// Iterates over all of a user's passkeys and security keys. Fetches page after page
    /// with [`list_user_webauthn_credentials`](Self::list_user_webauthn_credentials),
    /// as needed. Under v3 a username is looked up again for every page; pass
    /// the user's id to save that.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let user = client.get_user("ada@example.com")?;
    /// for credential in client.webauthn_credentials(user.user_id, PageQuery::new()) {
    ///     println!("{}", credential?.credential_id);
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn webauthn_credentials(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Records<'_, Credential> {
        let user = user.into();
        pages(page.into(), move |page| {
            self.list_user_webauthn_credentials(&user, page)
        })
    }

    /// Lists one page of a user's addresses for magic links:
    /// `GET /v4/users/{user_id}/credentials/magiclink_email`, under v3 too,
    /// where a username costs one more GET. Fails as
    /// [`list_user_credentials`](Self::list_user_credentials) does.
    /// [`magiclink_email_credentials`](Self::magiclink_email_credentials)
    /// iterates over all pages.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let page = client.list_user_magiclink_email_credentials("ada@example.com", PageQuery::new())?;
    /// println!("{} addresses", page.records.len());
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn list_user_magiclink_email_credentials(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Result<Page<Credential>, Error> {
        self.send(&list_user_magiclink_email_credentials(user, page))
    }

    /// Iterates over all of a user's addresses for magic links. Fetches page after page
    /// with [`list_user_magiclink_email_credentials`](Self::list_user_magiclink_email_credentials),
    /// as needed. Under v3 a username is looked up again for every page; pass
    /// the user's id to save that.
    ///
    /// ```no_run
    /// use autharmor::PageQuery;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let user = client.get_user("ada@example.com")?;
    /// for credential in client.magiclink_email_credentials(user.user_id, PageQuery::new()) {
    ///     println!("{}", credential?.credential_id);
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn magiclink_email_credentials(
        &self,
        user: impl Into<UserKey>,
        page: impl Into<PageQuery>,
    ) -> Records<'_, Credential> {
        let user = user.into();
        pages(page.into(), move |page| {
            self.list_user_magiclink_email_credentials(&user, page)
        })
    }

    /// Returns one credential:
    /// `GET /v4/users/{user_id}/credentials/{credential_id}`, under v3 too,
    /// where a username costs one more GET.
    ///
    /// Fails with [`NotFound`](crate::ErrorKind::NotFound) if there is no such
    /// user or credential, with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a [`CredentialId`]
    /// that cannot be one; otherwise as
    /// [`list_user_credentials`](Self::list_user_credentials) does.
    ///
    /// ```no_run
    /// let client = autharmor::Client::from_env()?;
    /// let id = "5b1d7d5e-0000-4000-8000-000000000001";
    /// let credential = client.get_user_credential("ada@example.com", id)?;
    /// println!("{:?}, enabled: {:?}", credential.device_type, credential.enabled);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn get_user_credential(
        &self,
        user: impl Into<UserKey>,
        credential: impl Into<CredentialId>,
    ) -> Result<Credential, Error> {
        self.send(&get_user_credential(user, credential))
    }

    /// Disables one credential, so that the user can no longer sign in with it:
    /// `POST /v4/users/{user_id}/credentials/{credential_id}/disable`, under v3
    /// too, where a username costs one more GET. Returns the credential. No
    /// endpoint enables it again.
    ///
    /// Disabling a credential twice is harmless, so the call is retried as a
    /// read is. It is unverified whether the service refuses the second time.
    ///
    /// Fails as [`get_user_credential`](Self::get_user_credential) does. If
    /// [`Error::may_have_been_sent`] is true, it may be disabled nevertheless.
    ///
    /// ```no_run
    /// let client = autharmor::Client::from_env()?;
    /// let id = "5b1d7d5e-0000-4000-8000-000000000001";
    /// let credential = client.disable_user_credential("ada@example.com", id)?;
    /// println!("enabled: {:?}", credential.enabled);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn disable_user_credential(
        &self,
        user: impl Into<UserKey>,
        credential: impl Into<CredentialId>,
    ) -> Result<DisableUserCredentialResponse, Error> {
        self.send(&disable_user_credential(user, credential))
    }
}

/// Iterates over all pages of a list.
fn pages<'a>(
    mut page: PageQuery,
    mut list: impl FnMut(&PageQuery) -> Result<Page<Credential>, Error> + Send + 'a,
) -> Records<'a, Credential> {
    Records::new(page.page_number, move |number| {
        page.page_number = number;
        list(&page)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestClient, respond, token};

    /// Serves two pages of one credential each.
    fn two_pages() -> TestClient {
        TestClient::new(
            |number, _, _| token(number, 600),
            |number, _, _| {
                let id = number + 1;
                let body = format!(
                    r#"{{"credential_records":[{{"credential_id":"c{id}"}}],
                        "page_info":{{"currnet_page_number":{id},"total_record_count":2}}}}"#
                );
                respond(200, body)
            },
        )
    }

    #[test]
    fn every_list_has_an_iterator() {
        type Read = fn(&Client, Uuid, &PageQuery) -> Vec<Result<Credential, Error>>;
        // By value and by reference.
        let lists: [(&str, Read); 4] = [
            ("", |client, user, query| {
                client.credentials(user, query).collect()
            }),
            ("/authenticator", |client, user, query| {
                let query = query.clone();
                client.authenticator_credentials(user, query).collect()
            }),
            ("/webauthn", |client, user, query| {
                client.webauthn_credentials(user, query).collect()
            }),
            ("/magiclink_email", |client, user, query| {
                let query = query.clone();
                client.magiclink_email_credentials(user, query).collect()
            }),
        ];
        let user = Uuid::from_u128(7);
        for (tail, read) in lists {
            let test = two_pages();
            let ids: Vec<_> = read(&test.client, user, &PageQuery::new().page_size(1))
                .into_iter()
                .map(|record| record.unwrap().credential_id.to_string())
                .collect();
            assert_eq!(ids, ["c1", "c2"]);
            let route = format!("GET /v4/users/{user}/credentials{tail}");
            let pages = [
                "token".to_owned(),
                format!("{route}?page_size=1"),
                format!("{route}?page_number=2&page_size=1"),
            ];
            assert_eq!(test.seen(), pages);
        }
    }
}
