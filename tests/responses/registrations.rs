//! registrations
