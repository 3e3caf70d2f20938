//! Every sign-in and registration from begin to complete, against the emulator,
//! under both versions, with every outcome.

mod authenticator;
mod browser;
mod faults;
#[cfg(unix)]
mod interrupted;
mod magiclink;
mod page_json;
mod pages;
mod process;
mod proof;
mod registration;
mod scenario;
mod webauthn;
