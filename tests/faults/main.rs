//! The fault list: what goes wrong, and what a program sees then.
//!
//! One test per row, found by its number. [`harness`] asserts the invariants
//! in each, and `TABLE.md` shows what was seen.

mod calls;
mod expect;
mod fake_service;
mod harness;
mod list;
mod scripted_service;
mod secrets;
mod table;

mod attempts;
mod authorization;
mod environment;
mod fleet;
mod http_layer;
mod json;
mod misuse;
mod names;
mod network;
mod people;
mod property;
mod second_flows;
mod second_network;
mod second_responses;
mod second_token;
mod threads;
mod time;
mod tls;
mod token;
mod waiting;
mod wiped;
