//! The endpoints: requests, responses, builder functions and the methods of
//! [`Client`](crate::Client), in one file per method of signing in.

// Methods that send a request are `#[inline]` or generic, here and in the flows, so
// that a program compiles the decoding of those responses alone that it uses.

pub mod auth;
mod checks;
pub mod credentials;
pub mod registrations;
pub mod users;
