//! Tests the store of the example with a real Redis.
//!
//! They need `redis-server` in `PATH`, and are ignored where it is missing.

mod store;

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use autharmor::emulator::{Emulator, Fault};
use autharmor::{Client, ErrorKind, Lease, RetryPolicy, StoredToken, TokenKey, TokenStore as _};
use autharmor_test_support::Folder;
use autharmor_test_support::emulator::{emulator, token_requests};
use autharmor_test_support::programs::in_path;
use autharmor_test_support::shifted_clock::ShiftedClock;
use libtest_mimic::{Arguments, Completion, Trial};
use redis::{Cmd, FromRedisValue, cmd};
use serde_json::{Value, json};

use crate::store::{RedisTokenStore, TIMEOUT};

const PROGRAM: &str = "redis-server";
const PASSWORD: &str = "pa55word";
/// A busy machine may need longer than a program waits.
const PATIENT: Duration = Duration::from_secs(20);
const SECRET: &str = "s3cr3t-t0ken";

/// The name and the function of each test.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { vec![$((stringify!($test), $test as fn())),*] };
}

fn main() {
    let tests = tests![
        two_clients_make_one_token_request,
        of_200_clients_one_fetches_the_token_at_the_start_and_at_each_renewal,
        the_lease_of_a_client_that_was_killed_ends,
        a_lease_has_one_holder_until_it_is_released_or_ends,
        only_its_holder_passes_a_lease_on,
        clients_share_the_failures_of_others,
        redis_forgets_a_token_when_it_ends,
        a_refused_token_is_dropped_and_a_newer_one_is_not,
        no_late_removal_takes_a_newer_token,
        only_the_token_that_is_named_is_removed,
        junk_is_ignored_and_replaced,
        calls_do_without_a_redis_that_is_gone_and_find_it_again,
        calls_do_without_a_redis_that_hangs,
        a_user_with_the_least_rights_is_enough,
        errors_hold_neither_token_nor_password,
    ];
    let is_missing = in_path(PROGRAM).is_none();
    let to_trial = |(name, test): (&str, fn())| {
        Trial::ignorable_test(name, move || {
            if is_missing {
                return Ok(Completion::ignored_with(format!("{PROGRAM} is missing")));
            }
            test();
            Ok(Completion::Completed)
        })
    };
    let trials = tests.into_iter().map(to_trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A Redis of its own, at a socket in a folder of its own; both end with the
/// test.
struct Redis {
    program: PathBuf,
    arguments: Vec<String>,
    folder: Folder,
    process: Child,
}

impl Redis {
    fn start(arguments: &[&str]) -> Self {
        let program = in_path(PROGRAM).unwrap();
        let folder = Folder::new();
        let arguments: Vec<_> = arguments.iter().map(|&text| text.to_owned()).collect();
        Self {
            process: Self::run(&program, &arguments, folder.path()),
            program,
            arguments,
            folder,
        }
    }

    fn run(program: &Path, arguments: &[String], folder: &Path) -> Child {
        let mut process = Command::new(program)
            .args(["--port", "0", "--unixsocket", "socket"])
            .args(["--save", "", "--appendonly", "no"])
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let is_ready = lines
            .by_ref()
            .map(Result::unwrap)
            .any(|line| line.contains("eady to accept connections"));
        assert!(is_ready, "redis-server did not start");
        // Nobody else reads on, and a full pipe would stop the server.
        thread::spawn(move || lines.for_each(drop));
        process
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Self::run(&self.program, &self.arguments, self.folder.path());
    }

    /// Stops it so that it still accepts connections, but never responds.
    fn freeze(&self) {
        self.signal("-STOP");
    }

    fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill {signal} {}", self.process.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.unwrap().success());
    }

    fn url(&self) -> String {
        format!("redis+unix://{}/socket", self.folder.path().display())
    }

    fn store(&self) -> RedisTokenStore {
        RedisTokenStore::new(&self.url(), PATIENT).unwrap()
    }

    /// Runs a command as another program in the same Redis.
    fn query<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        command
            .query(&mut client.get_connection().unwrap())
            .unwrap()
    }

    /// The names of the tokens; those of leases begin otherwise.
    fn keys(&self) -> Vec<String> {
        self.query(cmd("KEYS").arg("autharmor:token:\"*"))
    }

    /// The one token that is kept.
    fn kept(&self) -> Value {
        let [name] = self.keys().try_into().unwrap();
        let text: String = self.query(cmd("GET").arg(name));
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been stopped before.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client as another process would have it.
fn client(emulator: &Emulator, redis: &Redis) -> Client {
    let builder = emulator.client_builder().retry(RetryPolicy::off());
    builder.token_store(redis.store()).build().unwrap()
}

fn of_200_clients_one_fetches_the_token_at_the_start_and_at_each_renewal() {
    const CLIENTS: usize = 200;
    let redis = Redis::start(&[]);
    let builder = Emulator::builder().user("ada@example.com");
    let builder = builder.token_lifetime(Duration::from_secs(600));
    let emulator = builder.keep_requests(10 * CLIENTS).start().unwrap();
    // Long enough for all of them to find no token.
    emulator.fault(Fault::latency(Duration::from_secs(1)).on("token"));
    let clock = Arc::new(ShiftedClock::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let builder = emulator.client_builder().retry(RetryPolicy::off());
            let builder = builder.clock(Arc::clone(&clock));
            let store = redis.store();
            // 200 new connections at once would take a busy machine too long.
            store.check().unwrap();
            builder.token_store(store).build().unwrap()
        })
        .collect();
    // The cold start; the end of the token; its renewal by some, then by all;
    // and nothing to do.
    for (advance, at_least) in [(0, 1), (601, 1), (580, 0), (17, 0), (0, 0)] {
        clock.advance(Duration::from_secs(advance));
        emulator.clear_requests();
        let start = Barrier::new(CLIENTS);
        thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| {
                    start.wait();
                    call(client);
                });
            }
        });
        let requests = token_requests(&emulator);
        assert!(
            (at_least..=2).contains(&requests),
            "{requests} after {advance} s"
        );
    }
}

fn the_lease_of_a_client_that_was_killed_ends() {
    let redis = Redis::start(&[]);
    let emulator = emulator();
    call(&client(&emulator, &redis));
    let [token] = redis.keys().try_into().unwrap();
    let () = redis.query(cmd("DEL").arg(&token));
    let lease = token.replace("autharmor:token:", "autharmor:token:lease:");
    let () = redis.query(cmd("SET").arg(&lease).arg("killed").arg("PX").arg(5000));
    emulator.clear_requests();
    let (others, began) = ([(); 3].map(|()| client(&emulator, &redis)), Instant::now());
    thread::scope(|scope| {
        for other in &others {
            scope.spawn(|| call(other));
        }
    });
    // And a machine that is busy.
    assert!(began.elapsed() < Duration::from_secs(25));
    assert_eq!(token_requests(&emulator), 1, "one of them took over");
    let left: Vec<String> = redis.query(cmd("KEYS").arg("*lease*"));
    assert!(left.is_empty(), "{left:?}");
}

fn a_lease_has_one_holder_until_it_is_released_or_ends() {
    let redis = Redis::start(&[]);
    let (one, two) = (redis.store(), redis.store());
    let long = Duration::from_secs(60);
    let held = || Lease::Held("one".to_owned());
    assert_eq!(one.lease(&key("a"), "one", long).unwrap(), Lease::Granted);
    assert_eq!(two.lease(&key("a"), "two", long).unwrap(), held());
    assert_eq!(two.lease(&key("b"), "two", long).unwrap(), Lease::Granted);
    two.release(&key("a"), "two").unwrap();
    assert_eq!(two.lease(&key("a"), "two", long).unwrap(), held());
    one.release(&key("a"), "one").unwrap();
    let short = Duration::from_millis(50);
    assert_eq!(two.lease(&key("a"), "two", short).unwrap(), Lease::Granted);
    while one.lease(&key("a"), "one", long).unwrap() != Lease::Granted {
        thread::yield_now();
    }
    // The former holder comes late.
    two.release(&key("a"), "two").unwrap();
    assert_eq!(two.lease(&key("a"), "two", long).unwrap(), held());
}

fn only_its_holder_passes_a_lease_on() {
    let redis = Redis::start(&[]);
    let (one, two) = (redis.store(), redis.store());
    let long = Duration::from_secs(60);
    let lease = || two.lease(&key("a"), "two", long).unwrap();
    one.pass_lease(&key("a"), "one", "one-failed-1", long)
        .unwrap();
    assert_eq!(lease(), Lease::Granted, "nobody had it");
    one.pass_lease(&key("a"), "one", "one-failed-1", long)
        .unwrap();
    assert_eq!(lease(), Lease::Held("two".to_owned()));
    let short = Duration::from_millis(50);
    two.pass_lease(&key("a"), "two", "two-failed-1", long)
        .unwrap();
    assert_eq!(lease(), Lease::Held("two-failed-1".to_owned()));
    two.pass_lease(&key("a"), "two-failed-1", "two-failed-2", short)
        .unwrap();
    while lease() != Lease::Granted {
        thread::yield_now();
    }
}

fn clients_share_the_failures_of_others() {
    let redis = Redis::start(&[]);
    let emulator = emulator();
    emulator.fault(Fault::token_endpoint_down());
    let failing = [(); 3].map(|()| client(&emulator, &redis));
    let kinds = failing.each_ref().map(|client| {
        let error = client.get_user("ada@example.com").unwrap_err();
        assert!(error.is_transient() && !error.may_have_been_sent());
        error.kind()
    });
    assert_eq!(kinds, [ErrorKind::Unavailable; 3]);
    let names: Vec<String> = redis.query(cmd("KEYS").arg("*lease*"));
    let [name] = names.try_into().unwrap();
    let holder: String = redis.query(cmd("GET").arg(&name));
    assert!(holder.contains("-failed-"), "{holder}");
    let left: i64 = redis.query(cmd("PTTL").arg(&name));
    assert!((1..=1000).contains(&left), "{left} ms");
}

fn call(client: &Client) {
    client.get_user("ada@example.com").unwrap();
}

fn key(client_id: &str) -> TokenKey {
    serde_json::from_value(json!({
        "login_url": "https://login.example/connect/token",
        "client_id": client_id,
        "scopes": "",
    }))
    .unwrap()
}

/// Returns the key's name in Redis.
fn name(client_id: &str) -> String {
    format!("autharmor:token:{}", key(client_id))
}

/// A token that ends in so many seconds from now, or did before.
fn stored(token: &str, seconds: i64) -> StoredToken {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let text = json!({
        "v": 1, "access_token": token, "issued_at": now - 600, "expires_at": now + seconds,
    });
    StoredToken::decode(&text.to_string()).unwrap()
}

fn load(store: &RedisTokenStore, client_id: &str) -> Option<String> {
    let stored = store.load(&key(client_id)).unwrap()?;
    Some(stored.token().expose().to_owned())
}

fn two_clients_make_one_token_request() {
    let redis = Redis::start(&[]);
    let emulator = emulator();
    for _ in 0..2 {
        call(&client(&emulator, &redis));
        assert_eq!(token_requests(&emulator), 1);
    }
    let [name] = redis.keys().try_into().unwrap();
    assert!(name.starts_with("autharmor:token:"), "{name}");
}

fn redis_forgets_a_token_when_it_ends() {
    let redis = Redis::start(&[]);
    let store = redis.store();
    store.save(&key("a"), &stored(SECRET, 100)).unwrap();
    let left: i64 = redis.query(cmd("PTTL").arg(name("a")));
    assert!((1..=100_000).contains(&left), "{left} ms");
    let end: i64 = redis.query(cmd("EXPIRETIME").arg(name("a")));
    let kept = redis.kept()["expires_at"].as_i64().unwrap();
    assert!((kept..=kept + 1).contains(&end), "{end}, not {kept}");
    // One that has ended takes the place of the other as well.
    store.save(&key("a"), &stored("ended", -100)).unwrap();
    assert_ne!(load(&store, "a").as_deref(), Some(SECRET));
}

fn a_refused_token_is_dropped_and_a_newer_one_is_not() {
    let redis = Redis::start(&[]);
    let emulator = emulator();
    call(&client(&emulator, &redis));
    let [early, late] = [(); 2].map(|()| client(&emulator, &redis));
    call(&early);
    call(&late);
    assert_eq!(token_requests(&emulator), 1);

    emulator.expire_tokens();
    emulator.fault(Fault::token_endpoint_down());
    early.get_user("ada@example.com").unwrap_err();
    assert!(redis.keys().is_empty(), "dropped before there is another");

    emulator.clear_faults();
    emulator.clear_requests();
    call(&early);
    let newer = redis.kept();
    // It learns only now that its token is refused.
    call(&late);
    assert_eq!(redis.kept(), newer);
    assert_eq!(token_requests(&emulator), 1, "the newer one serves both");
}

/// Each token is removed while the next one is put in its place.
fn no_late_removal_takes_a_newer_token() {
    const ROUNDS: u32 = 2000;
    let redis = Redis::start(&[]);
    let refused = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let store = redis.store();
            loop {
                match refused.load(Ordering::Relaxed) {
                    ROUNDS => break,
                    number => {
                        let token = number.to_string().as_str().into();
                        store.remove(&key("a"), &token).unwrap();
                    }
                }
            }
        });
        let store = redis.store();
        for number in 1..=ROUNDS {
            let token = number.to_string();
            store.save(&key("a"), &stored(&token, 100)).unwrap();
            let found = load(&store, "a");
            // The other thread must end before anything panics.
            refused.store(number, Ordering::Relaxed);
            if found.as_ref() != Some(&token) {
                refused.store(ROUNDS, Ordering::Relaxed);
                panic!("{token} is gone: {found:?}");
            }
        }
    });
}

fn only_the_token_that_is_named_is_removed() {
    let redis = Redis::start(&[]);
    let store = redis.store();
    store.save(&key("a"), &stored("one", 100)).unwrap();
    store.save(&key("b"), &stored("one", 100)).unwrap();
    store.remove(&key("a"), &"two".into()).unwrap();
    assert_eq!(load(&store, "a").as_deref(), Some("one"));
    store.remove(&key("a"), &"one".into()).unwrap();
    assert_eq!(load(&store, "a"), None);
    assert_eq!(load(&store, "b").as_deref(), Some("one"), "another key");
    store.remove(&key("a"), &"one".into()).unwrap();
}

fn junk_is_ignored_and_replaced() {
    let redis = Redis::start(&[]);
    let store = redis.store();
    let whole = stored(SECRET, 100).encode();
    let (torn, _) = whole.expose().split_at(40);
    for junk in [b"".as_slice(), b"{}", b"\xff\xfe\0", torn.as_bytes()] {
        let () = redis.query(cmd("SET").arg(name("a")).arg(junk));
        assert_eq!(load(&store, "a"), None, "{}", junk.escape_ascii());
        store.remove(&key("a"), &SECRET.into()).unwrap();
        store.save(&key("a"), &stored("new", 100)).unwrap();
        assert_eq!(load(&store, "a").as_deref(), Some("new"));
    }
    // What is not even text, under the key of a client that calls.
    let emulator = emulator();
    let () = redis.query(&cmd("FLUSHALL"));
    call(&client(&emulator, &redis));
    let [name] = redis.keys().try_into().unwrap();
    let () = redis.query(cmd("DEL").arg(&name));
    let () = redis.query(cmd("RPUSH").arg(&name).arg("a list"));
    call(&client(&emulator, &redis));
    call(&client(&emulator, &redis));
    assert_eq!(token_requests(&emulator), 2, "one of them after the junk");
}

fn calls_do_without_a_redis_that_is_gone_and_find_it_again() {
    let mut redis = Redis::start(&[]);
    let emulator = emulator();
    let (store, first) = (redis.store(), client(&emulator, &redis));
    call(&first);
    store.check().unwrap();

    redis.stop();
    let error = store.check().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    call(&first);
    call(&client(&emulator, &redis));
    assert_eq!(token_requests(&emulator), 2, "each has its own");

    // It comes back empty, and is filled by who has been there all the time.
    redis.start_again();
    store.check().unwrap();
    first.check_credentials().unwrap();
    call(&client(&emulator, &redis));
    assert_eq!(token_requests(&emulator), 3, "shared again");

    // Nobody noticed that it was away: the connection of before is dead.
    redis.stop();
    redis.start_again();
    store.check().unwrap();
}

fn calls_do_without_a_redis_that_hangs() {
    let redis = Redis::start(&[]);
    let hasty = || RedisTokenStore::new(&redis.url(), TIMEOUT).unwrap();
    let (store, emulator) = (hasty(), emulator());
    redis.store().save(&key("b"), &stored("two", 100)).unwrap();
    // Its connection is there already, or not yet.
    while store.check().is_err() {}
    redis.freeze();
    for store in [&store, &hasty()] {
        let error = store.load(&key("a")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    let builder = emulator.client_builder().retry(RetryPolicy::off());
    call(&builder.token_store(hasty()).build().unwrap());
    redis.thaw();
    // The reply to the earlier command must not be taken for this one's.
    while store.check().is_err() {}
    assert_eq!(load(&store, "b").as_deref(), Some("two"));
}

/// The rights that the example's documentation lists are enough.
fn a_user_with_the_least_rights_is_enough() {
    const EXAMPLE: &str = include_str!("main.rs");
    let (_, rights) = EXAMPLE.split_once("door on >password ").unwrap();
    let (rights, _) = rights.split_once('\n').unwrap();
    let password = format!(">{PASSWORD}");
    let mut arguments = vec!["--user", "default", "off"];
    arguments.extend(["--user", "door", "on", &password]);
    arguments.extend(rights.split(' '));
    let redis = Redis::start(&arguments);
    let url = format!("{}?user=door&pass={PASSWORD}", redis.url());
    let store = RedisTokenStore::new(&url, PATIENT).unwrap();
    store.check().unwrap();
    store.save(&key("a"), &stored("one", 100)).unwrap();
    assert_eq!(load(&store, "a").as_deref(), Some("one"));
    store.remove(&key("a"), &"one".into()).unwrap();
    assert_eq!(load(&store, "a"), None);
    let lease = store.lease(&key("a"), "one", Duration::from_secs(5));
    assert_eq!(lease.unwrap(), Lease::Granted);
    store.release(&key("a"), "one").unwrap();
    // In another database than the first.
    let other = RedisTokenStore::new(&format!("{url}&db=1"), PATIENT).unwrap();
    other.save(&key("a"), &stored("two", 100)).unwrap();
    assert_eq!(
        (load(&other, "a").as_deref(), load(&store, "a")),
        (Some("two"), None)
    );

    // Whom Redis lets not in has no store, but calls all the same.
    let emulator = emulator();
    let error = redis.store().load(&key("a")).unwrap_err();
    assert_eq!(error.to_string(), "Redis: NOAUTH");
    call(&client(&emulator, &redis));
}

fn errors_hold_neither_token_nor_password() {
    // Without this command Redis repeats it with all that it was told to keep.
    let redis = Redis::start(&["--rename-command", "SET", ""]);
    let (store, token) = (redis.store(), stored(SECRET, 100));
    let no_url = format!("nonsense://door:{PASSWORD}@localhost/");
    let as_nobody = format!("{}?user=nobody&pass={PASSWORD}", redis.url());
    let nobody = RedisTokenStore::new(&as_nobody, PATIENT).unwrap();
    let () = redis.query(cmd("RPUSH").arg(name("b")).arg(token.encode().expose()));

    let errors = [
        store.save(&key("a"), &token).unwrap_err(),
        store.load(&key("b")).unwrap_err(),
        store.remove(&key("b"), token.token()).unwrap_err(),
        nobody.check().unwrap_err(),
        RedisTokenStore::new(&no_url, PATIENT).unwrap_err(),
    ];
    let errors = errors.map(|error| format!("{error} {error:?}")).join("\n");
    let printed = format!("{store:?} {nobody:?}\n{errors}");
    assert!(!printed.contains(SECRET), "{printed}");
    assert!(!printed.contains(PASSWORD), "{printed}");
}
