//! What all calling threads share: the service, the clients, and counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use autharmor::Client;

use crate::service::Service;

pub struct Scenario {
    pub service: Service,
    /// A client for v3 and one for v4.
    pub clients: [Client; 2],
    pub calls: Counter,
    pub starts: Counter,
    pub attacks: Counter,
    /// Attacks that signed a user in.
    pub successful_attacks: Counter,
    /// Reported sign-ins that were looked up at the service.
    pub lookups: Counter,
    /// Those of them for which the service names no user or another one.
    pub contradictions: Counter,
}

impl Scenario {
    pub fn new(service: Service, clients: [Client; 2]) -> Self {
        Self {
            service,
            clients,
            calls: Counter::default(),
            starts: Counter::default(),
            attacks: Counter::default(),
            successful_attacks: Counter::default(),
            lookups: Counter::default(),
            contradictions: Counter::default(),
        }
    }
}

#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Returns the count before.
    pub fn increment(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
