//! Blocking client for the Auth Armor API.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod answer;
mod client;
mod clock;
mod config;
mod endpoints;
mod error;
#[cfg(all(test, feature = "emulator"))]
mod faults;
pub mod flow;
mod message;
mod page;
mod request;
mod retry;
mod secret;
#[cfg(test)]
mod testing;
mod token;
mod transport;
mod types;
mod user_key;

#[cfg(feature = "emulator")]
#[cfg_attr(docsrs, doc(cfg(feature = "emulator")))]
pub mod emulator;

pub use crate::client::Client;
pub use crate::config::ClientBuilder;
pub use crate::endpoints::{auth, credentials, registrations, users};
pub use crate::error::{Error, ErrorKind};
pub use crate::message::{HttpRequest, HttpResponse};
pub use crate::page::{Page, PageInfo, PageQuery, Records, SortDirection};
pub use crate::request::{ApiVersion, Endpoint, Request, Target};
pub use crate::retry::RetryPolicy;
pub use crate::secret::{Private, Secret};
pub use crate::token::ClientAuth;
pub use crate::transport::{Limits, Transport, TransportError, TransportErrorKind};
pub use crate::types::{ContextData, Timestamp};
pub use crate::user_key::UserKey;
