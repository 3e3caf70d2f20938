//! The endpoints: requests, responses, builder functions and the methods of
//! [`Client`](crate::Client), in one file per method of signing in.

// Functions that build or send a request are `#[inline]` or generic, here and in the
// flows, so that a program compiles those requests and responses alone that it uses.

pub mod auth;
mod checks;
pub mod credentials;
pub mod registrations;
pub mod users;
