//! Rows of the fault list that need what the crate does not show: its clock,
//! its resolver, its view of the environment. The others are in
//! `tests/faults/`, and so is the harness.

use crate as api;
use crate::transport::scripted;

#[path = "../../tests/faults/fake.rs"]
mod fake;
#[path = "../../tests/faults/harness.rs"]
mod harness;
#[path = "../../tests/faults/table.rs"]
mod table;
#[path = "../../tests/faults/wire.rs"]
mod wire;

mod authorization;
mod environment;
mod names;
mod threads;
mod time;
mod waiting;

use std::sync::Arc;

use crate::clock::Clock;
use crate::clock::ManualClock;

/// A world with this fake in it and a clock that stands still.
fn timed(fake: fake::Fake) -> (harness::World, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let now = {
        let clock = clock.clone();
        move || clock.now()
    };
    let builder = crate::Client::builder(harness::ID, harness::SECRET).clock(clock.clone());
    (fake.timed(Arc::new(now), builder), clock)
}
