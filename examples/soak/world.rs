//! The emulator, its people, and the clients that all threads share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use autharmor::emulator::{Emulator, RecordedRequest};
use autharmor::flow::Registration;
use autharmor::registrations::StartWebauthnRegistrationForUser;
use autharmor::{ApiVersion, Client, RetryPolicy};
use uuid::Uuid;

use crate::faults::Faults;
use crate::tally::Checks;

pub(crate) struct World {
    pub(crate) v3: Client,
    pub(crate) v4: Client,
    pub(crate) people: Vec<Person>,
    pub(crate) starts: Arc<Starts>,
    pub(crate) faults: Faults,
    pub(crate) emulator: Emulator,
}

/// Whom one thread signs in.
pub(crate) struct Person {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// Another user of the same thread, who may be renamed.
    pub(crate) spare: Uuid,
}

impl World {
    pub(crate) fn build(calls: usize, threads: usize) -> Self {
        let starts = Arc::new(Starts::new(calls + threads));
        let seen = Arc::clone(&starts);
        let emulator = Emulator::builder()
            .keep_requests(100)
            .on_request(move |request, status| seen.note(request, status))
            .start()
            .expect("a loopback port");
        let client = |version| {
            let pauses = RetryPolicy::default()
                .first_pause(Duration::from_millis(2))
                .longest_pause(Duration::from_millis(10));
            let builder = emulator.client_builder().api_version(version).retry(pauses);
            builder.build().expect("settings without a fault")
        };
        let (v3, v4) = (client(ApiVersion::V3), client(ApiVersion::V4));
        let people = (0..threads)
            .map(|number| Person::enrol(&emulator, &v3, number))
            .collect();
        Self {
            v3,
            v4,
            people,
            starts,
            faults: Faults::new(),
            emulator,
        }
    }
}

impl Person {
    /// With phone, mail and passkey.
    fn enrol(emulator: &Emulator, client: &Client, number: usize) -> Self {
        let name = format!("person-{number}@example.com");
        let id = emulator.add_user(&*name).expect("a new name");
        let spare = format!("spare-{number}");
        let spare = emulator.add_user(&*spare).expect("a new name");
        let request = StartWebauthnRegistrationForUser::new();
        let started = client
            .begin_webauthn_registration_for_user(id, &request)
            .expect("no fault yet");
        let page = emulator
            .create_passkey(&started.fido2_json_options, emulator.origin())
            .expect("a passkey");
        let end = started.pending.complete(client, &page);
        assert!(matches!(end, Ok(Registration::Registered(_))), "{end:?}");
        Self { id, name, spare }
    }
}

/// How often each start call has come to the server. Every one carries a mark
/// of its own.
pub(crate) struct Starts {
    seen: Vec<Seen>,
    next: AtomicUsize,
    with_reason: AtomicUsize,
    without_reason: AtomicUsize,
}

#[derive(Default)]
struct Seen {
    refused: AtomicU8,
    taken: AtomicU8,
}

/// What stands in front of the number of a mark.
const MARK: &str = "mark-";

impl Starts {
    fn new(most: usize) -> Self {
        Self {
            seen: (0..most).map(|_| Seen::default()).collect(),
            next: AtomicUsize::new(0),
            with_reason: AtomicUsize::new(0),
            without_reason: AtomicUsize::new(0),
        }
    }

    pub(crate) fn next_mark(&self) -> String {
        format!("{MARK}{}", self.next.fetch_add(1, Relaxed))
    }

    /// A start that was refused before any work, for its bearer or with a 429,
    /// may come again; any other may not.
    fn note(&self, request: &RecordedRequest, status: u16) {
        let Some(seen) = mark(request).and_then(|mark| self.seen.get(mark)) else {
            return;
        };
        let earlier = seen.refused.load(Relaxed);
        if seen.taken.load(Relaxed) > 0 {
            self.without_reason.fetch_add(1, Relaxed);
        } else if earlier > 0 {
            self.with_reason.fetch_add(1, Relaxed);
        }
        match status {
            401 | 429 => seen.refused.store(earlier.saturating_add(1), Relaxed),
            _ => seen.taken.store(1, Relaxed),
        }
    }

    pub(crate) fn check(&self, checks: &mut Checks) {
        let made = self.next.load(Relaxed);
        let taken = self
            .seen
            .iter()
            .filter(|seen| seen.taken.load(Relaxed) > 0)
            .count();
        let (with, without) = (
            self.with_reason.load(Relaxed),
            self.without_reason.load(Relaxed),
        );
        checks.expect(
            taken > 0 && without == 0,
            &format!(
                "{made} starts: {taken} arrived and were not refused before any work; \
                 seen again after such a refusal: {with}, without one: {without}"
            ),
        );
    }
}

/// The number of the mark in a start's body.
fn mark(request: &RecordedRequest) -> Option<usize> {
    if !request.endpoint()?.starts_with("start_") {
        return None;
    }
    let body = std::str::from_utf8(request.body()).ok()?;
    let (_, rest) = body.split_once(MARK)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest.get(..end)?.parse().ok()
}

/// Numbers that follow from a seed: splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }
}
