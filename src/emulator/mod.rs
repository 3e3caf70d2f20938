//! A stateful stand-in for the service.

pub mod passkey;
