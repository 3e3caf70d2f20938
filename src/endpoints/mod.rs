//! The endpoints, one area each.

pub mod auth;
pub mod credentials;
pub mod registrations;
pub mod users;
