//! The emulator, tested with clients that share no code with it.
#![cfg(feature = "emulator")]

mod client;
mod clock;
mod control;
mod declared;
mod faults;
mod flows;
mod fuzz;
mod passkeys;
mod rate_limits;
mod server;
mod shapes;
mod strict;
mod tokens;
mod vendor_clients;
mod waiting;
