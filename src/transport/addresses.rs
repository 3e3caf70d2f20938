//! [`Addresses`]: from a host name to its addresses, within a deadline.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::uri::Authority;

use super::{TransportError, TransportErrorKind};

/// How long an answer is used.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Finds the addresses of a host name, for a port.
pub(crate) type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;
type Clock = dyn Fn() -> Instant + Send + Sync;

/// Finds and remembers the addresses of hosts.
///
/// The operating system's look-up cannot be told when to stop. So it runs in a
/// thread of its own, that is left behind at the deadline, and that everybody
/// waits for who asks for the same host meanwhile: one thread a host.
pub(crate) struct Addresses {
    look_up: Arc<Resolve>,
    now: Box<Clock>,
    book: Arc<Mutex<Book>>,
}

type Book = HashMap<(String, u16), Arc<Question>>;

/// One look-up, from the moment it began.
#[derive(Default)]
struct Question {
    answer: Mutex<Option<Answer>>,
    answered: Condvar,
}

#[derive(Clone)]
enum Answer {
    Found(Arc<[SocketAddr]>, Instant),
    Failed(Arc<io::Error>),
}

impl Addresses {
    /// With the operating system's resolver, unless there is another.
    pub(super) fn new(resolver: Option<Arc<Resolve>>) -> Self {
        let system =
            |host: &str, port: u16| Ok((host, port).to_socket_addrs()?.collect::<Vec<_>>());
        Self {
            look_up: resolver.unwrap_or_else(|| Arc::new(system)),
            now: Box::new(Instant::now),
            book: Arc::default(),
        }
    }

    /// With another source of addresses, and another clock to forget them by.
    #[cfg(test)]
    pub(crate) fn with(
        look_up: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
        now: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self {
            look_up: Arc::new(look_up),
            now: Box::new(now),
            book: Arc::default(),
        }
    }

    /// The addresses of `host` in the order in which they are to be tried,
    /// never none.
    pub(super) fn of(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<Arc<[SocketAddr]>, TransportError> {
        if let Ok(address) = bare(host).parse::<IpAddr>() {
            return Ok(Arc::new([SocketAddr::new(address, port)]));
        }
        match self.question(host, port)?.wait(deadline) {
            Some(Answer::Found(addresses, _)) if !addresses.is_empty() => Ok(addresses),
            Some(Answer::Found(..)) => Err(failure().with_detail("it has no address")),
            Some(Answer::Failed(error)) => Err(failure().with_source(error)),
            None => Err(TransportError::new(TransportErrorKind::Timeout, false)
                .with_detail("while resolving the host name")),
        }
    }

    /// To be called when an address did not work.
    pub(super) fn forget(&self, host: &str, port: u16) {
        lock(&self.book).remove(&(host.to_owned(), port));
    }

    /// The question that is already answered or being asked, or a new one.
    fn question(&self, host: &str, port: u16) -> Result<Arc<Question>, TransportError> {
        let now = (self.now)();
        let key = (host.to_owned(), port);
        let mut book = lock(&self.book);
        if let Some(question) = book.get(&key).filter(|known| known.is_of_use(now)) {
            return Ok(question.clone());
        }
        let question = Arc::new(Question::default());
        self.ask(key.clone(), question.clone(), now)
            .map_err(|e| failure().with_source(e))?;
        book.insert(key, question.clone());
        Ok(question)
    }

    fn ask(&self, key: (String, u16), question: Arc<Question>, now: Instant) -> io::Result<()> {
        let (look_up, book) = (self.look_up.clone(), self.book.clone());
        let asking = move || {
            let answer = look_up(&key.0, key.1);
            if answer.is_err() {
                // Those who wait have the question in hand; the next one asks
                // anew.
                let mut book = lock(&book);
                if book.get(&key).is_some_and(|q| Arc::ptr_eq(q, &question)) {
                    book.remove(&key);
                }
            }
            question.answer(match answer {
                Ok(addresses) => Answer::Found(addresses.into(), now),
                Err(error) => Answer::Failed(Arc::new(error)),
            });
        };
        let thread = thread::Builder::new().name("autharmor-dns".to_owned());
        thread.spawn(asking).map(drop)
    }
}

impl Question {
    fn is_of_use(&self, now: Instant) -> bool {
        match &*lock(&self.answer) {
            None => true,
            Some(Answer::Found(_, since)) => now.saturating_duration_since(*since) < REMEMBERED,
            Some(Answer::Failed(_)) => false,
        }
    }

    fn answer(&self, answer: Answer) {
        *lock(&self.answer) = Some(answer);
        self.answered.notify_all();
    }

    fn wait(&self, deadline: Instant) -> Option<Answer> {
        let left = deadline.saturating_duration_since(Instant::now());
        let (answer, _) = self
            .answered
            .wait_timeout_while(lock(&self.answer), left, |answer| answer.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        answer.clone()
    }
}

/// A host without the brackets that `http` leaves around an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// The port that an authority names, or the default. `http` takes one that is
/// no number for none.
pub(super) fn port_of(authority: &Authority, default: Option<u16>) -> Option<u16> {
    let text = authority.as_str();
    let place = text.rsplit_once('@').map_or(text, |(_, place)| place);
    match place.strip_prefix(authority.host())?.strip_prefix(':') {
        None | Some("") => default,
        Some(port) => port.parse().ok(),
    }
}

fn failure() -> TransportError {
    TransportError::new(TransportErrorKind::Dns, false)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
