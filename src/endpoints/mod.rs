//! The endpoints, one area each.

pub mod auth;
mod checks;
pub mod credentials;
pub mod registrations;
pub mod users;
