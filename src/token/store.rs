//! [`TokenStore`]: keeps the access token beyond this process.

// The longer functions are `#[inline]`, here and below, so that a program without
// such a store does not compile them.

mod file;
mod lease_file;
mod private_file;

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Grant;
use crate::http::buffer::WipedBuffer;
use crate::secret::Secret;

pub use self::file::FileTokenStore;

/// The version of the text that [`StoredToken::encode`] writes.
const FORMAT: u8 = 1;
/// Room for most tokens and what is stored with them.
const ROOM: usize = 4096;

/// Keeps an access token for other processes and later runs.
///
/// A tool that runs often saves the token request, and several machines can
/// share one token, for example through Redis: see the example
/// `redis_token_store` in this crate's repository. Whoever can read the store
/// can use the token until it ends. Whoever can *write* it can give the client a
/// token of another project, whose users could then sign in. Treat the store
/// like the client secret.
///
/// The client asks the store before it fetches a token, saves every token that
/// it fetched, and removes one that the API refused. It removes whatever is
/// stored, and fetches the next token from the endpoint, after
/// [`invalidate_token`](crate::Client::invalidate_token) and
/// [`set_credentials`](crate::Client::set_credentials).
///
/// An error is logged as a warning and otherwise counts as an empty store. Its
/// text must not hold the token. The store is called in the calling thread,
/// within no deadline: it must return soon.
pub trait TokenStore: Send + Sync {
    /// Returns the token that was saved last under this key, if any.
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>>;

    /// Saves a token in place of any other. Readers must see the one or the
    /// other, never a part.
    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()>;

    /// Removes the token, if the store still holds this one. If the store can,
    /// in one atomic step: another process may be saving a newer one.
    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()>;

    /// Reserves the next token fetch for one client, so that of all clients that
    /// share the store one fetches.
    ///
    /// In one atomic step: if nobody has a lease on this key, `holder` has one
    /// from now on, and it ends by itself after `length`. Otherwise nothing
    /// changes. `holder` is less than 100 letters, digits and hyphens; no two
    /// clients use the same. `length` is at most 5 seconds. It should be measured
    /// by one clock: that of the store, or of the process that waits for the end.
    /// A lease that ends too early costs a token request, nothing else.
    ///
    /// The client takes a lease before it fetches a token, and
    /// [releases](Self::release) it after it has saved the token. While another
    /// client has the lease, calls use the present token as long as it is valid,
    /// and without one look into the store until their deadline. A fetch from
    /// the endpoint alone, as by
    /// [`check_credentials`](crate::Client::check_credentials), takes no lease.
    ///
    /// By default [`Lease::Unsupported`]: then each client that needs a token
    /// fetches one. So that not all do at a common start, the first call of a client
    /// waits for a random time of up to a second if there is no valid token, and
    /// looks into the store again; a store that only one process uses returns
    /// [`Lease::Granted`] to save that time. After an error the client fetches a
    /// token at once.
    fn lease(&self, key: &TokenKey, holder: &str, length: Duration) -> io::Result<Lease> {
        let _ = (key, holder, length);
        Ok(Lease::Unsupported)
    }

    /// Ends the lease on this key, if `holder` has it. If the store can, in one
    /// atomic step.
    fn release(&self, key: &TokenKey, holder: &str) -> io::Result<()> {
        let _ = (key, holder);
        Ok(())
    }

    /// Passes the lease on this key from `holder`, if it has it, to `next` for
    /// `length` from now on. If the store can, in one atomic step.
    ///
    /// The client calls it after a fetch that failed: the name `next` tells the
    /// others so, and none of them begins a fetch for `length`, a second at most.
    /// The name is less than 100 letters, digits and hyphens as well. After an error
    /// the client calls [`release`](Self::release).
    ///
    /// By default [`release`](Self::release) and then [`lease`](Self::lease): `next`
    /// gets the lease if nobody has it, even if `holder` had none any more. A client
    /// that takes the lease between the two costs a token request, nothing else. In
    /// a store that does not implement `release` nothing is passed on: the lease of
    /// `holder` goes on to its end.
    fn pass_lease(
        &self,
        key: &TokenKey,
        holder: &str,
        next: &str,
        length: Duration,
    ) -> io::Result<()> {
        self.release(key, holder)?;
        self.lease(key, next, length).map(drop)
    }
}

/// The result of [`TokenStore::lease`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lease {
    /// The client that asked has the lease.
    Granted,
    /// This holder has a lease that has not ended.
    Held(String),
    /// The store has no leases.
    Unsupported,
}

/// Identifies a token by token endpoint, client id and scopes. Its `Display` is
/// one line of text that differs for different keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenKey {
    login_url: String,
    client_id: String,
    scopes: String,
}

impl TokenKey {
    pub(super) fn new(grant: &Grant, client_id: &str) -> Self {
        Self {
            login_url: grant.url.to_string(),
            client_id: client_id.to_owned(),
            scopes: grant.scopes.clone(),
        }
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL and an id cannot hold a line end, and Debug escapes the rest.
        write!(
            f,
            "{:?} {:?} {:?}",
            self.login_url, self.client_id, self.scopes
        )
    }
}

/// An access token and when it ends, as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    pub(super) token: Secret,
    pub(super) issued_at: SystemTime,
    pub(super) expires_at: SystemTime,
}

/// The text of a token.
#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "v")]
    format: u8,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    access_token: Secret,
    issued_at: u64,
    expires_at: u64,
}

impl StoredToken {
    /// Returns the token itself, to compare with the argument of
    /// [`TokenStore::remove`].
    #[must_use]
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Returns when it ends, for a store that can forget by itself.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Returns one line of text to store. It holds the token.
    #[must_use]
    #[inline]
    pub fn encode(&self) -> Secret {
        let mut text = WipedBuffer::with_capacity(ROOM);
        match serde_json::to_writer(&mut text, &self.entry()) {
            Ok(()) => String::from_utf8(text.into_vec())
                .unwrap_or_default()
                .into(),
            Err(_) => Secret::default(),
        }
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else.
    #[must_use]
    #[inline]
    pub fn decode(text: &str) -> Option<Self> {
        Self::from_entry(serde_json::from_str(text).ok()?)
    }

    fn entry(&self) -> Entry {
        Entry {
            format: FORMAT,
            access_token: self.token.clone(),
            issued_at: seconds(self.issued_at),
            expires_at: seconds(self.expires_at),
        }
    }

    fn from_entry(entry: Entry) -> Option<Self> {
        let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let (issued_at, expires_at) = (at(entry.issued_at)?, at(entry.expires_at)?);
        (entry.format == FORMAT).then_some(Self {
            token: entry.access_token,
            issued_at,
            expires_at,
        })
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests;
