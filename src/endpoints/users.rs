//! Endpoints: users.
