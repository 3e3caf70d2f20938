//! Endpoints: credentials.
