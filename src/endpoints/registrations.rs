//! Endpoints: registrations.
