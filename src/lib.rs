//! Blocking client for the [Auth Armor](https://www.autharmor.com) API. Auth Armor
//! signs users in without passwords: with push notifications to a phone, with
//! passkeys and security keys, and with magic links.
//!
//! The crate is for programs without an async runtime: tools, daemons, login
//! helpers, small servers. It covers the 22 endpoints of v3 and all 31 of v4.
//! It renews the access token and gives every call a deadline. The
//! sign-in flows in [`flow`] do every security check for you. An emulator of the
//! service is included, so that you can test your login.
//!
//! ```no_run
//! use autharmor::auth::StartAuthenticatorAuth;
//! use autharmor::flow::{SignIn, WaitPolicy};
//! use autharmor::{Client, Error};
//!
//! fn main() -> Result<(), Error> {
//!     // AUTHARMOR_CLIENT_ID and AUTHARMOR_CLIENT_SECRET
//!     let client = Client::from_env()?;
//!
//!     // Sends one push notification.
//!     let request = StartAuthenticatorAuth::new()
//!         .user("ada@example.com")
//!         .action_name("Sign in")
//!         .short_msg("Somebody signs in to Example as you");
//!     let started = client.begin_authenticator_sign_in(&request)?;
//!
//!     // Waits for the user, validates the sign-in, and checks whose it is.
//!     match started.pending.wait(&client, &WaitPolicy::new())? {
//!         SignIn::SignedIn(user) => println!("hello {}", user.user_id()),
//!         other => println!("not signed in: {other:?}"),
//!     }
//!     Ok(())
//! }
//! ```
//!
//! To sign users in, use the flows, not single endpoints. Each of the 31
//! endpoints is a method of [`Client`]; the request and response types are in
//! [`auth`], [`users`], [`registrations`] and [`credentials`].
//!
//! **This is an unofficial client, and it has not been tried against the live
//! service**, which needs an account and a phone. What no public source settles is
//! in [What is unverified](guide::unverified).
//!
//! # The manual
//!
//! | task | chapters |
//! | --- | --- |
//! | sign users in | [signing in safely](guide::signing_in), [proof of a sign-in](guide::proof), [web programs](guide::web), [checklist of a login page](guide::web_checklist), [login helpers](guide::login_helpers), [async programs](guide::async_programs) |
//! | call the API | [first call](guide::first_call), [configuration](guide::configuration), [users by name](guide::users_by_name), [versions](guide::versions), [endpoints](guide::endpoints) |
//! | handle failures | [errors](guide::errors), [retries and timeouts](guide::retries_and_timeouts), [the access token](guide::token) |
//! | test | [testing your login](guide::testing), [other languages](guide::other_languages) |
//! | run it | [many processes](guide::fleet), [what a fleet costs](guide::fleet_costs), [TLS and proxies](guide::tls_and_proxies), [logging and secrets](guide::logging), [your own transport](guide::transport), [threads, async and fork](guide::threads), [platforms, compilers, versions](guide::platforms) |
//! | administer | [the program](guide::program), [finding out what is wrong](guide::doctor), [for administrators](guide::administrators), [PAM and ssh](guide::pam_and_ssh) |
//! | know | [what is unverified](guide::unverified) |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `emulator` | the module `emulator`: an emulator of the service, for tests |
//! | `cli` | the program `autharmor`; includes `emulator` and `proof` |
//! | `proof` | the module `proof`: verifies the signed message of a sign-in |
//! | `platform-verifier` | `ClientBuilder::platform_verifier`: the operating system checks the server's certificate |
//! | `jiff` | `Timestamp::to_jiff`: parses the dates of responses |

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
#[cfg(any(doc, doctest))]
pub mod guide;
mod http;
mod observer;
mod page;
#[cfg(feature = "proof")]
#[cfg_attr(docsrs, doc(cfg(feature = "proof")))]
pub mod proof;
mod retry;
mod secret;
mod single_flight;
#[cfg(test)]
mod testing;
mod token;
mod transport;
mod types;
mod user_key;
#[cfg(any(feature = "emulator", feature = "proof"))]
mod webauthn;

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
