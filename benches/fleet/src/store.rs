//! The modelled store, as one Redis: it takes a while, and has leases or not.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autharmor::{Clock as _, Lease, Secret, StoredToken, TokenKey, TokenStore};

use crate::service::count;
use crate::time::VirtualClock;

const LATENCY: Duration = Duration::from_millis(1);

#[derive(Clone)]
pub struct SharedStore {
    clock: Arc<VirtualClock>,
    has_leases: bool,
    content: Arc<Mutex<Content>>,
}

#[derive(Default)]
struct Content {
    token: Option<StoredToken>,
    /// The holder, and when the lease ends.
    lease: Option<(String, Duration)>,
    /// The commands of each second.
    seconds: Vec<u32>,
}

impl SharedStore {
    pub fn new(clock: Arc<VirtualClock>, has_leases: bool) -> Self {
        Self {
            clock,
            has_leases,
            content: Arc::default(),
        }
    }

    /// Gives the lease to a process that has been killed.
    pub fn kill_holder(&self, length: Duration) {
        self.lock().lease = Some(("killed".to_owned(), length));
    }

    pub fn seconds(&self) -> Vec<u32> {
        self.lock().seconds.clone()
    }

    /// Waits for the round trip; the command runs in the middle of it.
    fn command<T>(&self, run: impl FnOnce(&mut Content) -> T) -> T {
        self.clock.sleep(LATENCY / 2);
        let now = self.clock.elapsed();
        let result = {
            let mut content = self.lock();
            count(&mut content.seconds, now);
            content.lease.take_if(|(_, end)| *end <= now);
            run(&mut content)
        };
        self.clock.sleep(LATENCY / 2);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for SharedStore {
    fn load(&self, _: &TokenKey) -> io::Result<Option<StoredToken>> {
        Ok(self.command(|content| content.token.clone()))
    }

    fn save(&self, _: &TokenKey, token: &StoredToken) -> io::Result<()> {
        self.command(|content| content.token = Some(token.clone()));
        Ok(())
    }

    fn remove(&self, _: &TokenKey, token: &Secret) -> io::Result<()> {
        self.command(|content| {
            content.token.take_if(|stored| stored.token() == token);
        });
        Ok(())
    }

    fn lease(&self, _: &TokenKey, holder: &str, length: Duration) -> io::Result<Lease> {
        if !self.has_leases {
            return Ok(Lease::Unsupported);
        }
        let end = self.clock.elapsed() + length;
        Ok(self.command(|content| {
            if let Some((other, _)) = &content.lease {
                return Lease::Held(other.clone());
            }
            content.lease = Some((holder.to_owned(), end));
            Lease::Granted
        }))
    }

    fn release(&self, _: &TokenKey, holder: &str) -> io::Result<()> {
        self.command(|content| {
            content.lease.take_if(|(other, _)| other == holder);
        });
        Ok(())
    }

    fn pass_lease(
        &self,
        _: &TokenKey,
        holder: &str,
        next: &str,
        length: Duration,
    ) -> io::Result<()> {
        let end = self.clock.elapsed() + length;
        self.command(|content| {
            if let Some(lease) = content.lease.as_mut().filter(|(other, _)| other == holder) {
                *lease = (next.to_owned(), end);
            }
        });
        Ok(())
    }
}
