//! The fault list: what goes wrong, and what is seen then.
//!
//! One test a row, findable by its number; [`harness`] asserts the invariants
//! in each, and `TABLE.md` shows what was seen. Rows of time and of threads
//! need the crate's own clock and live in `src/faults/`, the same harness
//! around them.

use autharmor as api;

mod fake;
mod harness;
mod http_layer;
mod json;
mod list;
mod misuse;
mod network;
mod property;
mod table;
mod tls;
mod token;
mod wire;

#[path = "../support/scripted.rs"]
mod scripted;
