//! Endpoints: auth.
