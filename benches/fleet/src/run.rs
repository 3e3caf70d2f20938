//! One run: a fleet of clients over the modelled service.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autharmor::flow::{AuthWait, WaitPolicy};
use autharmor::{Client, Clock as _};
use uuid::Uuid;

use crate::service::{Failure, HostModel, Service, Way, count};
use crate::store::SharedStore;
use crate::time::{ClientClock, Tasks, VirtualClock};

/// How the clients share their token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Not at all.
    None,
    /// Through a store without leases.
    Store,
    /// Through a store with leases, and this happens to the first holder.
    Leases(FirstHolder),
}

/// What happens to the client that has the lease first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstHolder {
    Fetches,
    IsKilled,
    /// Its fetch takes longer than the lease, and then succeeds.
    Stalls,
    /// Its time of day is an hour behind: its token has ended for the others.
    IsBehind,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    pub clients: u32,
    pub sharing: Sharing,
    pub token_life: Duration,
    /// The outage of both hosts.
    pub outage: Range<Duration>,
    pub failure: Failure,
    /// The clients start within this time.
    pub start: Duration,
    pub length: Duration,
}

/// Mean time between two calls of a client that reads.
const CALL_INTERVAL: Duration = Duration::from_secs(2);
/// Of so many clients one waits for people; the others read.
const WAITING: u32 = 5;
/// Of all that start in the same instant, this one has the lease first: the others
/// before it wait for people, and pause before their first poll.
const FIRST: u32 = 1;

/// What was counted in each second of a run.
#[derive(Debug, Default)]
pub struct Seconds {
    /// Reads that programs asked for, by the time when they wanted them.
    pub asked: Vec<u32>,
    pub failed: Vec<u32>,
    /// Requests to the token endpoint.
    pub tokens: Vec<u32>,
    /// Requests to the API.
    pub api: Vec<u32>,
    /// Requests to either that are due to reads.
    pub for_reads: Vec<u32>,
    /// Commands to the store.
    pub store: Vec<u32>,
    /// Reads that ended well, by the time of their end.
    pub served: Vec<u32>,
    /// Of the reads that were served.
    pub slowest: Duration,
    /// The longest time that such a read waited for its token.
    pub longest_wait: Duration,
}

/// A lease that its holder does not end has this length.
pub const LEASE: Duration = Duration::from_secs(5);
/// The time that a token request takes.
pub const FETCH: Duration = Duration::from_millis(150);
const STALL: Duration = Duration::from_secs(8);
const BEHIND: Duration = Duration::from_secs(3600);

type Shared = Arc<Mutex<Seconds>>;

fn lock(seconds: &Shared) -> MutexGuard<'_, Seconds> {
    seconds.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    pub fn run(&self) -> Seconds {
        let clock = Arc::new(VirtualClock::new(u64::from(self.clients)));
        let host = |capacity, latency| HostModel {
            capacity,
            latency,
            outage: self.outage.clone(),
            failure: self.failure,
        };
        let first_holder = match self.sharing {
            Sharing::Leases(first_holder) => first_holder,
            Sharing::None | Sharing::Store => FirstHolder::Fetches,
        };
        let if_it = |what, time| {
            if first_holder == what {
                time
            } else {
                Duration::ZERO
            }
        };
        let service = Arc::new(Service::new(
            Arc::clone(&clock),
            self.token_life,
            if_it(FirstHolder::Stalls, STALL),
            host(100, FETCH),
            host((self.clients * 2).max(100), Duration::from_millis(50)),
        ));
        let has_leases = matches!(self.sharing, Sharing::Leases(_));
        let store = SharedStore::new(Arc::clone(&clock), has_leases);
        if first_holder == FirstHolder::IsKilled {
            store.kill_holder(LEASE);
        }
        let seconds = Shared::default();
        let mut tasks = Tasks::default();
        for number in 0..self.clients {
            let is_reader = number % WAITING != 0;
            let has_it_first = number == FIRST;
            let way = Way {
                service: Arc::clone(&service),
                is_reader,
                last_token: Arc::default(),
            };
            let behind = if has_it_first {
                if_it(FirstHolder::IsBehind, BEHIND)
            } else {
                Duration::ZERO
            };
            let last_token = Arc::clone(&way.last_token);
            let client_clock = ClientClock {
                clock: Arc::clone(&clock),
                behind,
            };
            let mut builder = Client::builder("id", "secret")
                .transport(way)
                .clock(client_clock);
            if self.sharing != Sharing::None {
                builder = builder.token_store(store.clone());
            }
            let client = builder.build().expect("valid settings");
            let clock = Arc::clone(&clock);
            let seconds = if has_it_first && first_holder == FirstHolder::Stalls {
                // The figures are those of the others.
                Shared::default()
            } else {
                Arc::clone(&seconds)
            };
            let first = self.start.mul_f64(clock.random());
            tasks.add(move || {
                if is_reader {
                    read(&client, &clock, first, &seconds, &last_token);
                } else {
                    wait_for_people(&client, &clock, first);
                }
            });
        }
        tasks.run(&clock, self.length);
        let mut seconds = std::mem::take(&mut *lock(&seconds));
        [seconds.tokens, seconds.api, seconds.for_reads] = service.seconds();
        seconds.store = store.seconds();
        let length = usize::try_from(self.length.as_secs()).unwrap_or(0);
        for counts in [
            &mut seconds.asked,
            &mut seconds.failed,
            &mut seconds.tokens,
            &mut seconds.api,
            &mut seconds.for_reads,
            &mut seconds.store,
            &mut seconds.served,
        ] {
            counts.resize(length, 0);
        }
        seconds
    }
}

/// Reads a user at random times. Whatever delays a call, none is left out: the
/// next ones queue.
fn read(
    client: &Client,
    clock: &VirtualClock,
    first: Duration,
    seconds: &Shared,
    last_token: &AtomicU64,
) {
    let mut wanted = first;
    while !clock.is_over() {
        clock.pause_until(wanted);
        let begin = clock.elapsed();
        let result = client.get_user("ada");
        let end = clock.elapsed();
        if clock.is_over() {
            return;
        }
        let mut all = lock(seconds);
        count(&mut all.asked, wanted);
        match result {
            Ok(_) => {
                count(&mut all.served, end);
                all.slowest = all.slowest.max(end.saturating_sub(begin));
                let token = Duration::from_nanos(last_token.load(Ordering::Relaxed));
                all.longest_wait = all.longest_wait.max(token.saturating_sub(begin));
            }
            Err(_) => count(&mut all.failed, end),
        }
        drop(all);
        wanted += CALL_INTERVAL.mul_f64(0.5 + clock.random());
    }
}

/// Waits for one person after the other.
fn wait_for_people(client: &Client, clock: &VirtualClock, first: Duration) {
    clock.pause_until(first);
    while !clock.is_over() {
        let policy = WaitPolicy::new().timeout(Duration::from_secs(60));
        match client.wait_for_auth(Uuid::from_u128(7), &policy) {
            Ok(AuthWait::ReadyToValidate) => {}
            _ => clock.sleep(clock.jitter(CALL_INTERVAL)),
        }
    }
}
