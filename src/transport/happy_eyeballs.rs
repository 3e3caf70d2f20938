//! Connects to the first of several addresses that responds, as "Happy
//! Eyeballs" (RFC 8305) does.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::threads::spawn;

/// The time that an attempt runs alone before the next address is tried as well.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Puts addresses into the order in which to try them: the preferred one, then
/// the families in turn.
pub(super) fn order(found: &[SocketAddr], preferred: Option<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = found
        .iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let longest = one.len().max(other.len());
    let mut ordered: Vec<SocketAddr> = (0..longest)
        .flat_map(|index| [one.get(index), other.get(index)])
        .flatten()
        .copied()
        .collect();
    let preferred = ordered.iter().position(|it| Some(*it) == preferred);
    if let Some(head) = preferred.and_then(|index| ordered.get_mut(..=index)) {
        head.rotate_right(1);
    }
    ordered
}

/// Connects to one of `addresses`. Tries the next one 250 ms after the last, or
/// as soon as an attempt fails. If time is short the delay shrinks, so that all
/// are tried within half of the time.
///
/// `attempt` connects to an address within a time limit. Each attempt has a
/// thread of its own, which ends at the deadline even if nobody waits for it
/// any more. Without a second address, or if no thread can be started, the
/// attempt runs in the calling thread.
pub(super) fn connect<T, A>(
    addresses: &[SocketAddr],
    deadline: Instant,
    attempt: A,
) -> io::Result<(T, SocketAddr)>
where
    T: Send + 'static,
    A: Fn(SocketAddr, Duration) -> io::Result<T> + Clone + Send + 'static,
{
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let delay = ATTEMPT_DELAY.min(time_left(deadline) / 2 / count);
    let (sender, outcomes) = mpsc::channel();
    let mut untried = addresses.iter().copied();
    let mut running = 0;
    loop {
        let left = time_left(deadline);
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut wait = left;
        if let Some(address) = untried.next() {
            let is_last = untried.len() == 0;
            let (sender, attempt) = (sender.clone(), attempt.clone());
            let run = move |limit| drop(sender.send((address, attempt(address, limit))));
            let in_thread = run.clone();
            if addresses.len() == 1 || spawn("autharmor-tcp", move || in_thread(left)).is_err() {
                run(if is_last { left } else { left / 2 });
            }
            running += 1;
            if !is_last {
                wait = left.min(delay);
            }
        }
        match outcomes.recv_timeout(wait) {
            Ok((address, Ok(connected))) => return Ok((connected, address)),
            Ok((_, Err(error))) => {
                running -= 1;
                if running == 0 && untried.len() == 0 {
                    return Err(error);
                }
            }
            Err(_) => {}
        }
    }
}

fn time_left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::threads::tests::NONE_LEFT;
    use super::*;

    const PATIENT: Duration = Duration::from_secs(60);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Returns the result of the attempts at these addresses, and the order in
    /// which they were made. An address with port 1 is dead, one with port 2 refuses,
    /// any other works.
    fn attempts(texts: &[&str], time: Duration) -> (io::Result<SocketAddr>, Vec<String>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        // Dropped at the end, which is what dead attempts wait for.
        let (alive, dead) = mpsc::channel::<()>();
        let dead = Arc::new(Mutex::new(dead));
        let attempt = move |address: SocketAddr, limit: Duration| {
            log.lock().unwrap().push(address.to_string());
            match address.port() {
                1 => {
                    // Dead ones share a lock: the others wait for it instead.
                    let _ = dead.lock().unwrap().recv_timeout(limit);
                    Err(io::ErrorKind::TimedOut.into())
                }
                2 => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => Ok(()),
            }
        };
        let result = connect(&addresses(texts), Instant::now() + time, attempt);
        drop(alive);
        let seen = seen.lock().unwrap().clone();
        (result.map(|((), address)| address), seen)
    }

    #[test]
    fn families_alternate_and_the_preferred_address_comes_first() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        assert_eq!(
            order(&found, None),
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"])
        );
        assert_eq!(
            order(&found, Some("2.2.2.2:1".parse().unwrap())),
            addresses(&["2.2.2.2:1", "[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
        );
        assert_eq!(
            order(&found[3..], Some("9.9.9.9:1".parse().unwrap())),
            found[3..]
        );
        assert_eq!(order(&[], None), []);
    }

    #[test]
    fn dead_addresses_are_passed_in_order() {
        let texts = [
            "10.0.0.1:1",
            "10.0.0.2:1",
            "10.0.0.3:1",
            "10.0.0.4:1",
            "10.0.0.5:1",
            "10.0.0.6:1",
            "10.0.0.7:443",
        ];
        let (result, seen) = attempts(&texts, PATIENT);
        assert_eq!(result.unwrap(), texts[6].parse().unwrap());
        assert_eq!(seen, texts);
    }

    #[test]
    fn an_address_is_not_tried_while_an_earlier_one_works() {
        let (result, seen) = attempts(&["10.0.0.1:443", "10.0.0.2:443"], PATIENT);
        assert_eq!(result.unwrap(), "10.0.0.1:443".parse().unwrap());
        assert_eq!(seen, ["10.0.0.1:443"]);
    }

    #[test]
    fn refused_addresses_are_passed_at_once() {
        let began = Instant::now();
        let refusing: Vec<String> = (0..100).map(|n| format!("10.0.0.{n}:2")).collect();
        let mut texts: Vec<&str> = refusing.iter().map(String::as_str).collect();
        let (result, _) = attempts(&texts, PATIENT);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        texts.push("10.0.0.100:443");
        attempts(&texts, PATIENT).0.unwrap();
        // Staggered, these would take 50 seconds.
        assert!(began.elapsed() < Duration::from_secs(25));
    }

    #[test]
    fn dead_addresses_take_one_timeout_together() {
        let began = Instant::now();
        let time = Duration::from_millis(400);
        let texts = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"];
        let (result, seen) = attempts(&texts, time);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= time);
        assert_eq!(seen, texts);
    }

    #[test]
    fn without_threads_the_attempts_share_the_time() {
        NONE_LEFT.set(true);
        let texts = ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:443"];
        let (result, seen) = attempts(&texts, Duration::from_secs(4));
        NONE_LEFT.set(false);
        result.unwrap();
        assert_eq!(seen, texts);
    }
}
