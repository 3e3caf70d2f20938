//! Every sign-in and registration from its beginning to its end, against the
//! emulator, under both versions: the good end and the bad ones.

mod authenticator;
mod browser;
mod faults;
mod magiclink;
mod pages;
mod process;
mod registration;
mod stage;
mod webauthn;
