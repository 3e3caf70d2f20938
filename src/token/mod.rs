//! The access token: fetched by one thread at a time, shared by all.
//!
//! `state` decides, `fetch` asks store and token endpoint, `lease` has one
//! process among many fetch, `failures` remembers those of the others, `cache`
//! joins them under one mutex that is never held across I/O.

mod cache;
mod failures;
mod fetch;
mod grant;
mod lease;
pub(crate) mod redact;
mod state;
mod store;

pub use self::grant::ClientAuth;
pub use self::store::{FileTokenStore, Lease, StoredToken, TokenKey, TokenStore};

pub(crate) use self::cache::TokenCache;
pub(crate) use self::fetch::{Token, TokenSettings};
pub(crate) use self::grant::{Credentials, Grant};

use crate::error::{Error, ErrorKind};

fn token_error(kind: ErrorKind, detail: &'static str) -> Error {
    Error::new(kind, detail).in_area("token")
}

#[cfg(test)]
mod tests;
