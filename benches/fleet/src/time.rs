//! Virtual time: clients are coroutines that take turns in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use autharmor::Clock;
use generator::{Generator, Gn};

/// Of a coroutine's stack, in words.
const STACK: usize = 32 * 1024;

type Task = Generator<'static, (), Duration>;

/// The clock of all clients. `sleep` has the other clients run meanwhile.
pub struct VirtualClock {
    start: (Instant, SystemTime),
    /// In nanoseconds.
    now: AtomicU64,
    is_over: AtomicBool,
    random: Mutex<u64>,
}

impl VirtualClock {
    pub fn new(seed: u64) -> Self {
        Self {
            start: (Instant::now(), SystemTime::now()),
            now: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            random: Mutex::new(seed),
        }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.now.load(Ordering::Relaxed))
    }

    /// Whether the run is over: then tasks end.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn set(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.now.store(nanos, Ordering::Relaxed);
    }

    pub fn pause_until(&self, time: Duration) {
        self.sleep(time.saturating_sub(self.elapsed()));
    }

    /// A random number from 0 up to 1 (`SplitMix64`).
    pub fn random(&self) -> f64 {
        let mut state = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[expect(clippy::cast_precision_loss, reason = "a fraction needs no 64 bits")]
        let part = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        part
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualClock")
            .field(&self.elapsed())
            .finish()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        self.start.0 + self.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.start.1 + self.elapsed()
    }

    fn sleep(&self, pause: Duration) {
        if self.is_over() {
            // Nobody else runs any more.
            return self.set(self.elapsed() + pause);
        }
        #[expect(deprecated, reason = "a clock has no access to the coroutine's scope")]
        generator::yield_with(self.elapsed() + pause);
    }

    fn jitter(&self, most: Duration) -> Duration {
        most.mul_f64(self.random())
    }
}

/// The clock of one client.
#[derive(Debug)]
pub struct ClientClock {
    pub clock: Arc<VirtualClock>,
    /// Its time of day is so far behind that of the others.
    pub behind: Duration,
}

impl Clock for ClientClock {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> SystemTime {
        self.clock.wall() - self.behind
    }

    fn sleep(&self, pause: Duration) {
        self.clock.sleep(pause);
    }

    fn jitter(&self, most: Duration) -> Duration {
        self.clock.jitter(most)
    }
}

/// The clients of a run.
#[derive(Default)]
pub struct Tasks(Vec<Task>);

impl Tasks {
    /// Adds what one client does.
    pub fn add(&mut self, task: impl FnOnce() + Send + 'static) {
        self.0.push(Gn::new_opt(STACK, || {
            task();
            Duration::MAX
        }));
    }

    /// Runs all of them until this time.
    pub fn run(mut self, clock: &VirtualClock, until: Duration) {
        let mut turns: BinaryHeap<_> = (0..self.0.len())
            .map(|task| Reverse((Duration::ZERO, task as u64, task)))
            .collect();
        let mut number = turns.len() as u64;
        while let Some(Reverse((time, _, task))) = turns.pop() {
            if time >= until {
                break;
            }
            clock.set(time);
            if let Some(next) = self.0[task].resume().filter(|next| *next < Duration::MAX) {
                number += 1;
                turns.push(Reverse((next, number, task)));
            }
        }
        clock.is_over.store(true, Ordering::Relaxed);
        for task in &mut self.0 {
            while !task.is_done() {
                task.resume();
            }
        }
    }
}
