//! Blocking client for the [Auth Armor](https://www.autharmor.com) API. Auth Armor
//! signs users in without passwords: with push notifications to a phone, with
//! passkeys and security keys, and with magic links.
//!
//! The crate is for programs without an async runtime: tools, daemons, login
//! helpers, small servers. It covers all 31 endpoints of the backend API, in v3
//! and v4. It renews the access token and gives every call a deadline. The
//! sign-in flows in [`flow`] do every security check for you. An emulator of the
//! service is included, so that you can test your login.
//!
//! This page is the manual: [first call](#first-call),
//! [configuration](#configuration), [users by name](#users-by-name),
//! [versions](#versions), [signing in safely](#signing-in-safely),
//! [web programs](#web-programs), [async programs](#async-programs),
//! [errors](#errors), [retries and timeouts](#retries-and-timeouts),
//! [the access token](#the-access-token), [TLS and proxies](#tls-and-proxies),
//! [logging and secrets](#logging-and-secrets),
//! [testing your login](#testing-your-login),
//! [your own transport](#bring-your-own-transport),
//! [threads, async and fork](#threads-async-and-fork),
//! [platforms, compilers, versions](#platforms-compilers-versions),
//! [features](#features), [what is unverified](#what-is-unverified).
//!
#![doc = include_str!("guide/first-call.md")]
#![doc = include_str!("guide/configuration.md")]
#![doc = include_str!("guide/users-by-name.md")]
#![doc = include_str!("guide/versions.md")]
#![doc = include_str!("guide/signing-in.md")]
#![doc = include_str!("guide/web.md")]
#![doc = include_str!("guide/async.md")]
#![doc = include_str!("guide/errors.md")]
#![doc = include_str!("guide/retries-and-timeouts.md")]
#![doc = include_str!("guide/token.md")]
#![doc = include_str!("guide/fleet.md")]
#![doc = include_str!("guide/tls-and-proxies.md")]
#![doc = include_str!("guide/logging.md")]
#![cfg_attr(feature = "emulator", doc = include_str!("guide/testing.md"))]
#![cfg_attr(not(feature = "emulator"), doc = include_str!("guide/testing-off.md"))]
#![doc = include_str!("guide/transport.md")]
#![doc = include_str!("guide/threads.md")]
#![doc = include_str!("guide/platforms.md")]
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `emulator` | the module `emulator`: an emulator of the service, for tests |
//! | `platform-verifier` | `ClientBuilder::platform_verifier`: the operating system checks the server's certificate |
//! | `jiff` | `Timestamp::to_jiff`: parses the dates of responses |
//!
#![doc = include_str!("guide/unverified.md")]
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

mod client;
mod clock;
mod config;
mod endpoints;
mod environment;
mod error;
pub mod flow;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod observer;
mod page;
mod retry;
mod secret;
mod single_flight;
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
pub use crate::clock::{Clock, ManualClock, SystemClock};
pub use crate::config::ClientBuilder;
pub use crate::endpoints::{auth, credentials, registrations, users};
pub use crate::error::{Error, ErrorKind};
pub use crate::http::{ApiVersion, Endpoint, HttpRequest, HttpResponse, Request, Target};
pub use crate::observer::Attempt;
pub use crate::page::{Page, PageInfo, PageQuery, Records, SortDirection};
pub use crate::retry::RetryPolicy;
pub use crate::secret::{Private, Secret};
pub use crate::token::{ClientAuth, FileTokenStore, Lease, StoredToken, TokenKey, TokenStore};
pub use crate::transport::{Limits, Transport, TransportError, TransportErrorKind};
pub use crate::types::{ContextData, Timestamp};
pub use crate::user_key::UserKey;

/// Compiles the README's code as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
