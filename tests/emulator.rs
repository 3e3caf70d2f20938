//! The emulator, seen by clients that do not know it.
#![cfg(feature = "emulator")]

#[path = "emulator/cargo.rs"]
mod cargo;
#[path = "emulator/control.rs"]
mod control;
#[path = "emulator/declared.rs"]
mod declared;
#[path = "emulator/faults.rs"]
mod faults;
#[path = "emulator/flows.rs"]
mod flows;
#[path = "emulator/fuzz.rs"]
mod fuzz;
#[path = "emulator/outside.rs"]
mod outside;
#[path = "emulator/server.rs"]
mod server;
#[path = "emulator/shapes.rs"]
mod shapes;
#[path = "emulator/strict.rs"]
mod strict;
#[path = "emulator/wire.rs"]
mod wire;
