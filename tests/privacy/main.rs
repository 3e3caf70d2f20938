//! Tests that secrets and usernames do not appear in URLs, errors, `Debug` and
//! `Display`, and that requests go nowhere else. For the log see `logs.rs`.

mod canaries;
mod destinations;
mod errors;
mod failures;
mod flows;
mod names;
mod printing;
