//! The endpoints: requests, responses, builder functions and the methods of
//! [`Client`](crate::Client), in one file per method of signing in.

pub mod auth;
mod checks;
pub mod credentials;
pub mod registrations;
pub mod users;
