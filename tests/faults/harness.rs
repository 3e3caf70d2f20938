//! [`Row`]: makes a call that meets a fault, asserts the nine invariants, and
//! makes a healthy call afterwards.
//!
//! | | invariant | how it is asserted |
//! | --- | --- | --- |
//! | I1 | no panic | a panic of the call is caught |
//! | I2 | returns within the deadline | by a manual clock, or by the kind of the error; a watchdog fails a test whose call never returns |
//! | I3 | no secret, no username | in `Display`, `Debug`, every source and every log record, plain, percent-encoded and in base64 |
//! | I4 | at most once | the requests that the service may have acted on are counted |
//! | I5 | fail closed | nobody is signed in unless the row says that the service granted it |
//! | I6 | the client stays usable | after the fault the same client makes the same call |
//! | I7 | token fetches | counted, in all and at the same time |
//! | I8 | the error is right | kind, status, code, tracking id, `Retry-After`, sent or not, and the type of its source |
//! | I9 | the observer sees every attempt once | compared with the log, and with the requests that a fake transport gets |

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};
use std::{env, panic};

use autharmor::{Client, Error, ErrorKind};

use super::attempts;
use super::calls::{Call, ID, LONG, Outcome, SHORT};
use super::expect::{Expect, fails};
use super::secrets::{SECRET, assert_no_secrets, install_logger};
use super::table;

/// A call that takes longer than this never returns.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Set in a child process: the name of the part of a row that it checks.
const CHILD: &str = "FAULT_TEST_PART";
/// Begins a line in which a child process reports what it saw.
const SEEN: &str = "seen by the child: ";

pub(crate) type MakeCall = dyn Fn(&Client) -> Result<Outcome, Error> + Send + Sync;
pub(crate) type Now = dyn Fn() -> Instant + Send + Sync;

/// What the service has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Requests that reached the API.
    pub(crate) api: usize,
    /// Those of them that the service may have acted on.
    pub(crate) acted_on: usize,
    /// Requests that reached the token endpoint.
    pub(crate) tokens: usize,
    /// The most token requests at the same time.
    pub(crate) tokens_at_once: usize,
    /// Whether a transport was given more time than the call had.
    pub(crate) overtime: bool,
}

/// The API and the token endpoint of a test.
pub(crate) trait Service {
    fn counts(&self) -> Counts;

    /// Waits until at least this many requests reached the API and the token
    /// endpoint and were dealt with.
    fn settle(&self, api: usize, tokens: usize);

    /// Ends the fault.
    fn recover(&self);
}

/// A client, and a service with a fault.
pub(crate) struct Scenario {
    pub(crate) client: Client,
    pub(crate) service: Box<dyn Service>,
    /// The manual clock, if the client has one, and the client's timeout.
    pub(crate) clock: Option<(Arc<Now>, Duration)>,
}

impl Scenario {
    pub(crate) fn new(client: Client, service: impl Service + 'static) -> Self {
        Self {
            client,
            service: Box::new(service),
            clock: None,
        }
    }
}

/// A row of the fault list while it is being checked.
pub(crate) struct Row {
    id: &'static str,
    fault: &'static str,
    file: &'static str,
    /// What was seen, and by which calls.
    seen: Vec<(String, Vec<&'static str>)>,
}

/// A call to be checked.
struct Check {
    name: &'static str,
    make: Arc<MakeCall>,
    /// The healthy call afterwards.
    again: Arc<MakeCall>,
}

impl Check {
    fn of(call: Call) -> Self {
        Self {
            name: call.name(),
            make: Arc::new(move |client| call.make(client)),
            again: Arc::new(move |client| call.make_with_time(client)),
        }
    }

    fn is_read(&self) -> bool {
        self.name == "read"
    }
}

impl Row {
    #[track_caller]
    pub(crate) fn new(id: &'static str, fault: &'static str) -> Self {
        install_logger();
        Self {
            id,
            fault,
            file: Location::caller().file(),
            seen: Vec::new(),
        }
    }

    /// Checks a row whose fault every call meets in the same way.
    #[track_caller]
    pub(crate) fn all(
        id: &'static str,
        fault: &'static str,
        scenario: impl Fn(Call) -> Scenario,
        expect: &Expect,
    ) {
        let mut row = Self::new(id, fault);
        for call in Call::ALL {
            row.check_call(&scenario(call), call, expect);
        }
        row.finish();
    }

    /// Makes the call, asserts the invariants, and notes what was seen.
    pub(crate) fn check_call(&mut self, scenario: &Scenario, call: Call, expect: &Expect) {
        let met = self.check(scenario, &Check::of(call), expect, Premise::Holds);
        assert!(met);
    }

    /// The same for a call of another kind. It must be sent only once if it is
    /// not a `read`.
    pub(crate) fn check_other_call(
        &mut self,
        scenario: &Scenario,
        is_read: bool,
        make: impl Fn(&Client) -> Result<Outcome, Error> + Send + Sync + 'static,
        expect: &Expect,
    ) {
        let check = Check {
            name: if is_read { "read" } else { "start" },
            make: Arc::new(make),
            again: Arc::new(|client| Call::Read.make_with_time(client)),
        };
        self.check(scenario, &check, expect, Premise::Holds);
    }

    /// Checks a call that must run into its timeout after its request has
    /// arrived. On a busy machine a short timeout can pass before that; then
    /// the fault was not met, and a longer timeout is tried.
    pub(crate) fn check_stalled_call(
        &mut self,
        scenario: impl Fn(Duration) -> Scenario,
        call: Call,
        expect: &Expect,
    ) {
        let mut timeout = SHORT;
        loop {
            let premise = if timeout < LONG {
                Premise::NeedsArrivals
            } else {
                Premise::Holds
            };
            if self.check(&scenario(timeout), &Check::of(call), expect, premise) {
                return;
            }
            timeout *= 2;
        }
    }

    /// Returns whether the call met the fault.
    fn check(
        &mut self,
        scenario: &Scenario,
        check: &Check,
        expect: &Expect,
        premise: Premise,
    ) -> bool {
        let call = check.name;
        let requests = expect.requests_of(check.is_read());
        let context = format!("{} ({}), {call}", self.id, self.fault);
        let service = &scenario.service;
        let before = service.counts();
        let deadline = scenario
            .clock
            .as_ref()
            .map(|(now, timeout)| now() + *timeout);
        let result = with_watchdog(&scenario.client, check.make.clone(), &context);
        if !expect.is_at_most {
            service.settle(before.api + requests, before.tokens + expect.tokens);
        }
        let after = service.counts();
        if let (Some((now, _)), Some(deadline)) = (&scenario.clock, deadline) {
            assert!(now() <= deadline, "I2: {context}: beyond the deadline");
        }
        assert!(
            !after.overtime,
            "I2: {context}: a request had too much time"
        );
        let counts = Counts {
            api: after.api - before.api,
            acted_on: after.acted_on - before.acted_on,
            tokens: after.tokens - before.tokens,
            ..after
        };
        let missed = counts.api < requests || counts.tokens < expect.tokens;
        if premise == Premise::NeedsArrivals && missed {
            let error = result.expect_err("no request arrived");
            assert_eq!(error.kind(), ErrorKind::Timeout, "{context}: {error}");
            return false;
        }
        expect.check(&context, &result, counts, check.is_read());
        let place = format!("I4: {context}: requests; {result:?}");
        expect.check_count(&place, counts.api, requests);
        let place = format!("I7: {context}: token requests");
        expect.check_count(&place, counts.tokens, expect.tokens);
        let cost = if expect.is_at_most {
            format!("at most {requests} + {}", expect.tokens)
        } else {
            format!("{} + {}", counts.api, counts.tokens)
        };
        self.note_as(call, &format!("{} ({cost})", describe(&result, counts.api)));

        service.recover();
        if result.is_err_and(|error| error.kind() == ErrorKind::Auth) {
            // As a program does with a new secret. Without it the client would
            // remember the refusal for a second.
            scenario.client.set_credentials(ID, SECRET).unwrap();
        }
        let again = with_watchdog(&scenario.client, check.again.clone(), &context);
        service.settle(after.api + 1, after.tokens);
        let end = service.counts();
        assert!(
            matches!(again, Ok(Outcome::Served)),
            "I6: {context}: {again:?}"
        );
        assert_eq!(end.api - after.api, 1, "I6: {context}: {end:?}");
        assert!(end.tokens - after.tokens <= 1, "I7: {context}: {end:?}");
        assert_no_secrets(&context, "");
        true
    }

    /// Many threads make the call at the same time. `expect` has the result of
    /// each, and the cost of all together.
    pub(crate) fn check_threads(
        &mut self,
        scenario: &Scenario,
        call: Call,
        threads: usize,
        expect: &Expect,
    ) {
        let check = Check::of(call);
        let (id, fault, name) = (self.id, self.fault, check.name);
        let context = format!("{id} ({fault}), {threads} threads, {name}");
        let before = scenario.service.counts();
        let results: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..threads)
                .map(|_| {
                    let (client, make, context) = (&scenario.client, check.make.clone(), &context);
                    scope.spawn(move || with_watchdog(client, make, context))
                })
                .collect();
            started.into_iter().map(ScopedJoinHandle::join).collect()
        });
        let after = scenario.service.counts();
        assert!(
            !after.overtime,
            "I2: {context}: a request had too much time"
        );
        let acted_on = after.acted_on - before.acted_on;
        assert!(acted_on <= threads, "I4: {context}: {after:?}");
        let mut seen = Vec::new();
        for result in results {
            let result = result.unwrap_or_else(|e| panic::resume_unwind(e));
            // Only the sum is known of the other counts.
            let counts = Counts {
                tokens_at_once: after.tokens_at_once,
                ..Counts::default()
            };
            expect.check(&context, &result, counts, check.is_read());
            seen.push(describe(&result, 0));
        }
        seen.dedup();
        let seen = seen.join(", ");
        let api = after.api - before.api;
        let tokens = after.tokens - before.tokens;
        let expected = expect.requests_of(check.is_read());
        expect.check_count(&format!("I7: {context}"), api, expected);
        expect.check_count(&format!("I7: {context}"), tokens, expect.tokens);
        let most = if expect.is_at_most { "at most " } else { "" };
        let cost = format!("{most}{expected} + {}", expect.tokens);
        self.note_as(name, &format!("{threads} threads {seen} ({cost})"));
        scenario.service.recover();
        let again = with_watchdog(&scenario.client, check.again, &context);
        assert!(
            matches!(again, Ok(Outcome::Served)),
            "I6: {context}: {again:?}"
        );
        assert_no_secrets(&context, "");
    }

    /// Checks that these settings are refused.
    pub(crate) fn check_refused_build(
        &mut self,
        build: impl FnOnce() -> Result<Client, Error>,
        says: &'static str,
    ) {
        let context = format!("{} ({})", self.id, self.fault);
        let result = catch_unwind(AssertUnwindSafe(build));
        let result = result.unwrap_or_else(|_| panic!("I1: {context}"));
        let error = result.expect_err(&format!("I5: {context}: it was accepted"));
        let expect = fails(ErrorKind::Config).unsent().says(says);
        expect.check(&context, &Err(error), Counts::default(), false);
        self.note_as("build", "`Config`, nothing sent");
    }

    /// Checks a part of the row in a process with these environment variables
    /// and no other settings or proxies. `test` is the path of the calling
    /// test, `part` a name that is unique in it.
    pub(crate) fn check_in_child(
        &mut self,
        test: &str,
        part: &str,
        variables: &[(&str, &str)],
        check: impl FnOnce(&mut Self),
    ) {
        match env::var(CHILD) {
            Ok(wanted) if wanted == part => {
                let mut row = self.part();
                check(&mut row);
                for (seen, calls) in row.seen {
                    for call in calls {
                        println!("\n{SEEN}{call}\t{seen}");
                    }
                }
            }
            // A process for another part.
            Ok(_) => {}
            Err(_) => {
                let mut command = Command::new(env::current_exe().unwrap());
                command.args([test, "--exact", "--nocapture"]);
                for (name, _) in env::vars_os() {
                    let name = name.to_string_lossy();
                    if name.starts_with("AUTHARMOR_") || name.to_lowercase().ends_with("_proxy") {
                        command.env_remove(&*name);
                    }
                }
                command.envs(variables.iter().copied()).env(CHILD, part);
                let output = command.output().unwrap();
                let stdout = String::from_utf8_lossy(&output.stdout);
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{part}: {stdout}{stderr}");
                let mut reports = 0;
                for line in stdout.lines().filter_map(|line| line.strip_prefix(SEEN)) {
                    let (call, seen) = line.split_once('\t').unwrap();
                    let names = ["read", "start", "validate", "build", ""];
                    let call = names.iter().find(|name| **name == call).unwrap();
                    self.note_as(call, seen);
                    reports += 1;
                }
                assert!(reports > 0, "{test} ({part}) checked nothing: {stdout}");
            }
        }
    }

    /// Notes what was seen besides the results of calls.
    pub(crate) fn note(&mut self, seen: &str) {
        self.note_as("", seen);
    }

    fn note_as(&mut self, call: &'static str, seen: &str) {
        match self.seen.iter_mut().find(|(known, _)| known == seen) {
            Some((_, calls)) if calls.contains(&call) => {}
            Some((_, calls)) => calls.push(call),
            None => self.seen.push((seen.to_owned(), vec![call])),
        }
    }

    /// Takes over what another part of the row has seen.
    pub(crate) fn join(&mut self, other: Self) {
        for (seen, calls) in other.seen {
            for call in calls {
                self.note_as(call, &seen);
            }
        }
    }

    /// A part of the row, for another thread.
    pub(crate) fn part(&self) -> Self {
        Self {
            seen: Vec::new(),
            ..*self
        }
    }

    /// Compares the row with the table.
    pub(crate) fn finish(self) {
        if env::var_os(CHILD).is_some() {
            return;
        }
        assert!(!self.seen.is_empty(), "{} saw nothing", self.id);
        let seen: Vec<String> = self
            .seen
            .iter()
            .map(|(seen, calls)| match calls[..] {
                [""] => seen.clone(),
                _ => format!("{}: {seen}", calls.join(", ")),
            })
            .collect();
        table::enter(self.id, self.fault, &seen.join("; "), self.file);
    }
}

/// Whether a call is sure to meet the fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Premise {
    Holds,
    /// Only if the expected requests arrived.
    NeedsArrivals,
}

/// Makes the call in another thread, which is abandoned if it hangs.
pub(crate) fn with_watchdog(
    client: &Client,
    make: Arc<MakeCall>,
    context: &str,
) -> Result<Outcome, Error> {
    let (sender, receiver) = mpsc::channel();
    let client = client.clone();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(|| make(&client)));
        drop(client);
        drop(sender.send((result, attempts::take())));
    };
    // With a size of its own, so that row P8 can forbid other threads.
    let thread = thread::Builder::new().stack_size(4 << 20);
    thread.spawn(run).unwrap();
    match receiver.recv_timeout(WATCHDOG) {
        Ok((Ok(result), attempts)) => {
            attempts.check(context, result.is_err());
            result
        }
        Ok((Err(_), _)) => panic!("I1: {context}: it panicked"),
        Err(timeout) => panic!("I2: {context}: it does not return: {timeout}"),
    }
}

fn describe(result: &Result<Outcome, Error>, requests: usize) -> String {
    match result {
        Ok(Outcome::Served) => "ok".to_owned(),
        Ok(Outcome::NotAuthorized) => "not authorised".to_owned(),
        Err(error) => {
            let mut text = format!("`{:?}`", error.kind());
            if let Some(status) = error.status() {
                write!(text, " {status}").unwrap();
            }
            if let Some(after) = error.retry_after() {
                write!(text, ", retry after {} s", after.as_secs()).unwrap();
            }
            text += match (error.may_have_been_sent(), requests) {
                (true, _) => ", perhaps sent",
                (false, 0) => ", unsent",
                (false, _) => ", not acted on",
            };
            text
        }
    }
}
