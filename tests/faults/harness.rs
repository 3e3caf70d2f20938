//! What every row of the fault list is put through: a call that meets the
//! fault, the eight invariants, and a healthy call afterwards.
//!
//! | | invariant | how it is asserted |
//! | --- | --- | --- |
//! | I1 | no panic | the call is caught |
//! | I2 | back within the deadline | by a manual clock, or by the error's kind; a watchdog fails the test of a call that never ends |
//! | I3 | no secret, no username | in `Display`, `Debug`, every source, and every log record of the program, plain, percent-encoded and in base64 |
//! | I4 | at most once | what the server may have acted on is counted |
//! | I5 | fail closed | nobody is signed in unless the row says that the service granted it |
//! | I6 | the client lives on | the fault over, the same client makes the same call |
//! | I7 | token fetches | counted, and how many there are at a time |
//! | I8 | the error is right | kind, status, code, tracking id, `Retry-After`, sent or not, and the type of its source |
#![allow(dead_code, reason = "the two test programs use different parts of it")]

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Mutex, Once, PoisonError, mpsc};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;

use super::api::auth::{StartAuthenticatorAuth, ValidateAuth};
use super::api::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
use super::api::{Client, Error, ErrorKind, auth, users};
use super::table;

pub(crate) const ID: &str = "client-of-the-fault-tests";
pub(crate) const SECRET: &str = "f4ult-s3cr3t+&=%\u{e9}";
pub(crate) const TOKEN: &str = "f4ult-t0k3n";
pub(crate) const VALIDATION: &str = "f4ult-v4lid4ti0n";
pub(crate) const NAME: &str = "f4ult.ada@example.com";
pub(crate) const PASSWORD: &str = "f4ult-pr0xy";

/// What must not be found, and begins like the above.
const HIDDEN: [&str; 5] = ["f4ult-s3cr3t", TOKEN, VALIDATION, "f4ult.ada", PASSWORD];

pub(crate) const USER_ID: Uuid = Uuid::from_u128(0x5b1d_7d5e_0000_4000_8000_0000_0000_0001);
pub(crate) const REQUEST_ID: Uuid = Uuid::from_u128(0x9999_9999_2222_4333_8444_5555_5555_5555);

/// The timeout of a client that is not to run into it.
pub(crate) const PATIENT: Duration = Duration::from_secs(40);
/// The timeout of a client whose server will not answer.
pub(crate) const HASTY: Duration = Duration::from_millis(250);
/// A call that is not back after this will never be.
const WATCHDOG: Duration = Duration::from_secs(60);

/// How a call ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Good {
    /// With what was asked for; of a validate call, with a sign-in.
    Served,
    /// A validate call: nobody signed in.
    NotAuthorized,
}

pub(crate) type Make = dyn Fn(&Client) -> Result<Good, Error> + Send + Sync;

/// The calls that each fault is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `get_user`, by name.
    Read,
    /// `start_authenticator_auth`: a phone rings.
    Start,
    /// `validate_authenticator_auth`, by way of the flow that judges it.
    Validate,
}

impl Call {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Start, Self::Validate];

    pub(crate) fn make(self, client: &Client) -> Result<Good, Error> {
        match self {
            Self::Read => client.get_user(NAME).map(served_user),
            Self::Start => client.start_authenticator_auth(&start()).map(served_start),
            Self::Validate => client
                .complete_browser_sign_in(&from_page())
                .map(|end| match end {
                    SignIn::SignedIn(user) => {
                        assert_eq!(user.user_id(), USER_ID, "I5: somebody else signed in");
                        Good::Served
                    }
                    _ => Good::NotAuthorized,
                }),
        }
    }

    /// The same with all the time in the world, whatever the client's timeout.
    pub(crate) fn make_patiently(self, client: &Client) -> Result<Good, Error> {
        match self {
            Self::Read => client
                .send(&users::get_user(NAME).timeout(PATIENT))
                .map(served_user),
            Self::Start => client
                .send(&auth::start_authenticator_auth(&start()).timeout(PATIENT))
                .map(served_start),
            Self::Validate => {
                let validate = ValidateAuth::new(REQUEST_ID, VALIDATION);
                let request = auth::validate_authenticator_auth(&validate).timeout(PATIENT);
                client.send(&request).map(|answer| {
                    let details = answer.validate_auth_response_details;
                    match details.and_then(|details| details.authorized) {
                        Some(true) => Good::Served,
                        _ => Good::NotAuthorized,
                    }
                })
            }
        }
    }

    /// A body that serves it.
    pub(crate) fn body(self) -> String {
        match self {
            Self::Read => format!(r#"{{"user_id":"{USER_ID}","username":"{NAME}"}}"#),
            Self::Start => format!(
                r#"{{"auth_request_id":"{REQUEST_ID}","user_id":"{USER_ID}","auth_validation_token":"{VALIDATION}","push_message_sent":true}}"#
            ),
            Self::Validate => validated("true", &USER_ID.to_string(), NAME),
        }
    }

    /// Which call a request belongs to.
    pub(crate) fn of(path: &str) -> Self {
        if path.contains("/start") {
            Self::Start
        } else if path.contains("/validate") {
            Self::Validate
        } else {
            Self::Read
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Start => "start",
            Self::Validate => "validate",
        }
    }
}

/// The answer to a validate call. `authorized` is JSON.
pub(crate) fn validated(authorized: &str, user_id: &str, name: &str) -> String {
    format!(
        r#"{{"auth_request_status_id":2,"validate_auth_response_details":{{"result_code":2,"authorized":{authorized},"auth_details":{{"response_details":{{"auth_profile_details":{{"user_id":"{user_id}","username":"{name}"}}}}}}}}}}"#
    )
}

pub(crate) fn token_body(number: usize, life: &str) -> String {
    format!(r#"{{"access_token":"{TOKEN}-{number}","expires_in":{life},"token_type":"Bearer"}}"#)
}

fn start() -> StartAuthenticatorAuth {
    StartAuthenticatorAuth::new().user(NAME).send_push(true)
}

fn from_page() -> BrowserSignIn {
    BrowserSignIn::new(
        Method::Authenticator,
        REQUEST_ID,
        VALIDATION,
        ExpectedUser::Is(NAME.into()),
    )
}

#[expect(clippy::needless_pass_by_value, reason = "it ends a chain")]
fn served_user(user: users::UserDetails) -> Good {
    assert_eq!(user.user_id, USER_ID);
    Good::Served
}

#[expect(clippy::needless_pass_by_value, reason = "it ends a chain")]
fn served_start(answer: auth::StartAuthenticatorAuthResponse) -> Good {
    assert_eq!(answer.auth_request_id, REQUEST_ID);
    Good::Served
}

/// What the other side has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests that reached the API.
    pub(crate) api: usize,
    /// Those of them that the service may have acted on.
    pub(crate) felt: usize,
    /// Requests that reached the token endpoint.
    pub(crate) tokens: usize,
    /// How many of them at a time.
    pub(crate) tokens_at_once: usize,
    /// Whether a transport was given more time than the call had.
    pub(crate) overtime: bool,
}

/// The other side of a client.
pub(crate) trait Side {
    fn tally(&self) -> Tally;

    /// Waits until it has seen at least so many requests to the API and to the
    /// token endpoint, and has done with them.
    fn settle(&self, api: usize, tokens: usize);

    /// From now on everything works.
    fn heal(&self);
}

pub(crate) type Now = dyn Fn() -> Instant + Send + Sync;

/// A client and a fault that it will meet.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) side: Box<dyn Side>,
    /// The manual clock, if the client has one, and the client's timeout.
    pub(crate) clock: Option<(Arc<Now>, Duration)>,
}

/// How a call must end, and what it may cost.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    end: End,
    /// Requests that reach the API: of a read, and of a call that must happen
    /// only once.
    requests: [usize; 2],
    tokens: usize,
    says: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum End {
    Good(Good),
    Fails(Failure),
}

#[derive(Clone, Debug)]
struct Failure {
    kind: ErrorKind,
    status: Option<u16>,
    code: Option<&'static str>,
    tracking_id: Option<&'static str>,
    retry_after: Option<Duration>,
    sent: bool,
    cause: Cause,
}

/// What the source of an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    None,
    Io,
    Tls,
    Other,
}

pub(crate) fn served() -> Expect {
    Expect {
        end: End::Good(Good::Served),
        requests: [1, 1],
        tokens: 0,
        says: None,
    }
}

pub(crate) fn not_authorized() -> Expect {
    Expect {
        end: End::Good(Good::NotAuthorized),
        ..served()
    }
}

/// Fails once the request may have been sent, in the first try.
pub(crate) fn fails(kind: ErrorKind) -> Expect {
    let failure = Failure {
        kind,
        status: None,
        code: None,
        tracking_id: None,
        retry_after: None,
        sent: true,
        cause: Cause::None,
    };
    Expect {
        end: End::Fails(failure),
        ..served()
    }
}

impl Expect {
    fn failure(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        match &mut self.end {
            End::Fails(failure) => change(failure),
            End::Good(good) => panic!("{good:?} is no failure"),
        }
        self
    }

    pub(crate) fn status(self, status: u16) -> Self {
        self.failure(|failure| failure.status = Some(status))
    }

    pub(crate) fn code(self, code: &'static str) -> Self {
        self.failure(|failure| failure.code = Some(code))
    }

    pub(crate) fn tracking_id(self, id: &'static str) -> Self {
        self.failure(|failure| failure.tracking_id = Some(id))
    }

    pub(crate) fn retry_after(self, after: Duration) -> Self {
        self.failure(|failure| failure.retry_after = Some(after))
    }

    pub(crate) fn because(self, cause: Cause) -> Self {
        self.failure(|failure| failure.cause = cause)
    }

    /// Nothing reaches the API.
    pub(crate) fn unsent(self) -> Self {
        self.refused().requests(0, 0)
    }

    /// The API sees it and refuses it before any work.
    pub(crate) fn refused(self) -> Self {
        self.failure(|failure| failure.sent = false)
    }

    pub(crate) fn requests(mut self, read: usize, once: usize) -> Self {
        self.requests = [read, once];
        self
    }

    pub(crate) fn tokens(mut self, tokens: usize) -> Self {
        self.tokens = tokens;
        self
    }

    /// The error's text contains this.
    pub(crate) fn says(mut self, text: &'static str) -> Self {
        self.says = Some(text);
        self
    }

    /// The same fault, met by the token request: whatever happens to that, the
    /// call itself has not been sent.
    pub(crate) fn at_login(mut self) -> Self {
        match &mut self.end {
            End::Fails(failure) => {
                failure.sent = false;
                self.tokens = self.requests[0];
                self.requests = [0, 0];
            }
            End::Good(_) => self.tokens = 1,
        }
        self
    }
}

/// A row of the list in the making.
pub(crate) struct Row {
    id: &'static str,
    fault: &'static str,
    file: &'static str,
    /// What was seen, and by which calls.
    seen: Vec<(String, Vec<&'static str>)>,
}

impl Row {
    #[track_caller]
    pub(crate) fn new(id: &'static str, fault: &'static str) -> Self {
        listen();
        Self {
            id,
            fault,
            file: Location::caller().file(),
            seen: Vec::new(),
        }
    }

    /// A row whose fault every call meets in the same way.
    #[track_caller]
    pub(crate) fn all(
        id: &'static str,
        fault: &'static str,
        world: impl Fn(Call) -> World,
        expect: &Expect,
    ) {
        let mut row = Self::new(id, fault);
        for call in Call::ALL {
            row.endure(&world(call), call, expect);
        }
        row.done();
    }

    /// Makes the call, holds it against the invariants, and notes what was
    /// seen.
    pub(crate) fn endure(&mut self, world: &World, call: Call, expect: &Expect) {
        let expected = expect.requests[usize::from(call != Call::Read)];
        let make: Arc<Make> = Arc::new(move |client| call.make(client));
        let again: Arc<Make> = Arc::new(move |client| call.make_patiently(client));
        self.endure_call(world, call.name(), make, again, expected, expect);
    }

    /// The same with a call of one's own, which must happen only once if it is
    /// not a `read`.
    pub(crate) fn endure_other(
        &mut self,
        world: &World,
        is_read: bool,
        make: impl Fn(&Client) -> Result<Good, Error> + Send + Sync + 'static,
        expect: &Expect,
    ) {
        let make: Arc<Make> = Arc::new(make);
        let again: Arc<Make> = Arc::new(|client| Call::Read.make_patiently(client));
        let expected = expect.requests[usize::from(!is_read)];
        let name = if is_read { "read" } else { "start" };
        self.endure_call(world, name, make, again, expected, expect);
    }

    fn endure_call(
        &mut self,
        world: &World,
        call: &'static str,
        make: Arc<Make>,
        again: Arc<Make>,
        requests: usize,
        expect: &Expect,
    ) {
        let place = format!("{} ({}), {call}", self.id, self.fault);
        let before = world.side.tally();
        let deadline = world.clock.as_ref().map(|(now, timeout)| now() + *timeout);
        let result = watched(&world.client, make, &place);
        world
            .side
            .settle(before.api + requests, before.tokens + expect.tokens);
        let after = world.side.tally();
        if let (Some((now, _)), Some(deadline)) = (&world.clock, deadline) {
            assert!(now() <= deadline, "I2: {place}: beyond the deadline");
        }
        assert!(!after.overtime, "I2: {place}: a request had too much time");
        let tally = Tally {
            api: after.api - before.api,
            felt: after.felt - before.felt,
            tokens: after.tokens - before.tokens,
            ..after
        };
        check(&place, &result, tally, call, expect);
        assert_eq!(tally.api, requests, "I4: {place}: requests; {result:?}");
        assert_eq!(tally.tokens, expect.tokens, "I7: {place}: token requests");
        self.note_as(call, &describe(&result, tally));

        world.side.heal();
        if result.is_err_and(|error| error.kind() == ErrorKind::Auth) {
            // As a program does that has learned of a new secret. Without it
            // the refusal would be remembered for a second.
            world.client.set_credentials(ID, SECRET).unwrap();
        }
        let healed = watched(&world.client, again, &place);
        world.side.settle(after.api + 1, after.tokens);
        let end = world.side.tally();
        assert!(
            matches!(healed, Ok(Good::Served)),
            "I6: {place}: {healed:?}"
        );
        assert_eq!(end.api - after.api, 1, "I6: {place}: {end:?}");
        assert!(end.tokens - after.tokens <= 1, "I7: {place}: {end:?}");
        assert_silent(&place, "");
    }

    /// Many threads make the call at the same time. `expect` says what the
    /// result of each must be, and what all of them together may cost.
    pub(crate) fn endure_crowd(
        &mut self,
        world: &World,
        call: Call,
        threads: usize,
        expect: &Expect,
    ) {
        let place = format!(
            "{} ({}), {} threads, {}",
            self.id,
            self.fault,
            threads,
            call.name()
        );
        let before = world.side.tally();
        let results: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..threads)
                .map(|_| {
                    let make: Arc<Make> = Arc::new(move |client| call.make(client));
                    let (client, place) = (&world.client, &place);
                    scope.spawn(move || watched(client, make, place))
                })
                .collect();
            started.into_iter().map(ScopedJoinHandle::join).collect()
        });
        let after = world.side.tally();
        assert!(!after.overtime, "I2: {place}: a request had too much time");
        let felt = after.felt - before.felt;
        assert!(felt <= threads, "I4: {place}: {after:?}");
        for result in results {
            let result = result.unwrap_or_else(|e| std::panic::resume_unwind(e));
            // The service has felt each once, in the mean.
            let mine = Tally {
                tokens_at_once: after.tokens_at_once,
                ..Tally::default()
            };
            check(&place, &result, mine, call.name(), expect);
        }
        let api = after.api - before.api;
        let tokens = after.tokens - before.tokens;
        let expected = expect.requests[usize::from(call != Call::Read)];
        assert_eq!((api, tokens), (expected, expect.tokens), "I7: {place}");
        self.note_as(
            call.name(),
            &format!("{threads} threads ok ({api} + {tokens})"),
        );
        world.side.heal();
        let healed = watched(
            &world.client,
            Arc::new(move |client| call.make_patiently(client)),
            &place,
        );
        assert!(
            matches!(healed, Ok(Good::Served)),
            "I6: {place}: {healed:?}"
        );
        assert_silent(&place, "");
    }

    /// A client that must not come into being.
    pub(crate) fn refuses_to_build(
        &mut self,
        build: impl FnOnce() -> Result<Client, Error>,
        says: &'static str,
    ) {
        let place = format!("{} ({})", self.id, self.fault);
        let result = catch_unwind(AssertUnwindSafe(build));
        let result = result.unwrap_or_else(|_| panic!("I1: {place}"));
        let error = result.expect_err(&format!("I5: {place}: it was accepted"));
        let expect = fails(ErrorKind::Config).unsent().says(says);
        check(&place, &Err(error), Tally::default(), "build", &expect);
        self.note_as("build", "`Config`, nothing sent");
    }

    /// For what is to be seen beside the calls.
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

    /// Takes over what other parts of the same row have seen.
    pub(crate) fn join(&mut self, other: Self) {
        for (seen, calls) in other.seen {
            for call in calls {
                self.note_as(call, &seen);
            }
        }
    }

    /// A part of the row, to be worked on in another thread.
    pub(crate) fn part(&self) -> Self {
        Self {
            seen: Vec::new(),
            ..*self
        }
    }

    /// Holds the row against the table.
    pub(crate) fn done(self) {
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

/// Makes the call in a thread that may be lost.
pub(crate) fn watched(client: &Client, make: Arc<Make>, place: &str) -> Result<Good, Error> {
    let (tell, told) = mpsc::channel();
    let client = client.clone();
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| make(&client)));
        drop(client);
        drop(tell.send(result));
    });
    match told.recv_timeout(WATCHDOG) {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => panic!("I1: {place}: it panicked"),
        Err(timeout) => panic!("I2: {place}: it does not come back: {timeout}"),
    }
}

/// The invariants that a single result can be held against.
fn check(place: &str, result: &Result<Good, Error>, tally: Tally, call: &str, expect: &Expect) {
    // I3, before anything else prints the error.
    if let Err(error) = result {
        assert_silent(place, &everything_said(error));
    }
    if call != "read" {
        assert!(tally.felt <= 1, "I4: {place}: {tally:?}");
    }
    if matches!(result, Ok(Good::Served)) {
        let granted = matches!(expect.end, End::Good(Good::Served));
        assert!(granted, "I5: {place}: served, if not signed in");
    }
    assert!(tally.tokens_at_once <= 1, "I7: {place}: {tally:?}");
    // One fetch of at most three tries, and one more after a 401.
    assert!(tally.tokens <= 4, "I7: {place}: {tally:?}");
    match (result, &expect.end) {
        (Ok(good), End::Good(expected)) => assert_eq!(good, expected, "I8: {place}"),
        (Err(error), End::Fails(failure)) => {
            check_failure(place, error, failure);
            if !error.may_have_been_sent() {
                assert_eq!(tally.felt, 0, "I8: {place}: it was sent; {error}");
            }
            let text = everything_said(error);
            let says = expect.says.unwrap_or_default();
            assert!(text.contains(says), "I8: {place}: no {says:?} in {text}");
        }
        (result, expected) => panic!("I8: {place}: {result:?} instead of {expected:?}"),
    }
}

fn check_failure(place: &str, error: &Error, expected: &Failure) {
    let found = Failure {
        kind: error.kind(),
        status: error.status(),
        code: expected.code,
        tracking_id: expected.tracking_id,
        retry_after: error.retry_after(),
        sent: error.may_have_been_sent(),
        cause: cause(error),
    };
    let text = (format!("{found:?}"), format!("{expected:?}"));
    assert_eq!(text.0, text.1, "I8: {place}: {error}");
    assert_eq!(error.code(), expected.code, "I8: {place}: {error}");
    assert_eq!(
        error.tracking_id(),
        expected.tracking_id,
        "I8: {place}: {error}"
    );
    assert_eq!(
        error.is_timeout(),
        error.kind() == ErrorKind::Timeout,
        "I2: {place}"
    );
    assert!(
        error.to_string().lines().count() == 1,
        "I8: {place}: {error}"
    );
}

fn cause(error: &Error) -> Cause {
    match error.source() {
        None => Cause::None,
        Some(source) if source.is::<rustls::Error>() => Cause::Tls,
        Some(source) if source.is::<io::Error>() || source.is::<Arc<io::Error>>() => Cause::Io,
        Some(_) => Cause::Other,
    }
}

/// All that an error says, but for the alternate form, which may name a user.
pub(crate) fn everything_said(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}");
    let mut source = error.source();
    let mut depth = 0;
    while let Some(cause) = source {
        write!(text, "\n{cause}\n{cause:#}\n{cause:?}\n{cause:#?}").unwrap();
        source = cause.source();
        depth += 1;
        assert!(depth < 16, "I8: the chain of sources has no end");
    }
    text
}

fn describe(result: &Result<Good, Error>, tally: Tally) -> String {
    let mut text = match result {
        Ok(Good::Served) => "ok".to_owned(),
        Ok(Good::NotAuthorized) => "not authorised".to_owned(),
        Err(error) => {
            let mut text = format!("`{:?}`", error.kind());
            if let Some(status) = error.status() {
                write!(text, " {status}").unwrap();
            }
            if let Some(after) = error.retry_after() {
                write!(text, ", retry after {} s", after.as_secs()).unwrap();
            }
            text += match (error.may_have_been_sent(), tally.api) {
                (true, _) => ", perhaps sent",
                (false, 0) => ", unsent",
                (false, _) => ", not acted on",
            };
            text
        }
    };
    write!(text, " ({} + {})", tally.api, tally.tokens).unwrap();
    text
}

/// Fails if there is anything secret in the text, or was in any log record.
pub(crate) fn assert_silent(place: &str, text: &str) {
    if let Some(word) = found_in(text) {
        panic!("I3: {place}: {word:?} in {text}");
    }
    let leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(leaks.is_empty(), "I3: {place}: logged: {leaks:?}");
}

/// Log records with something secret in them.
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn found_in(text: &str) -> Option<&'static str> {
    static TRACES: Mutex<BTreeMap<&'static str, Vec<String>>> = Mutex::new(BTreeMap::new());
    let mut traces = TRACES.lock().unwrap_or_else(PoisonError::into_inner);
    if traces.is_empty() {
        traces.extend(HIDDEN.iter().map(|word| (*word, traces_of(word))));
    }
    let found = traces
        .iter()
        .find(|(_, traces)| traces.iter().any(|trace| text.contains(trace)))?;
    Some(found.0)
}

/// What a word looks like in plain text, in a URL, and within base64.
fn traces_of(word: &str) -> Vec<String> {
    let encoded =
        percent_encoding::utf8_percent_encode(word, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut traces = vec![word.to_owned(), encoded.to_lowercase(), encoded];
    for (shift, skip) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [&vec![0; shift], word.as_bytes()].concat();
        let text = BASE64_STANDARD.encode(&padded);
        traces.push(text[skip..padded.len() * 8 / 6].to_owned());
    }
    traces
}

#[test]
fn secrets_are_found_however_they_are_written() {
    for hidden in [
        format!("Bearer {TOKEN}-1"),
        SECRET.to_owned(),
        "f4ult%2Eada%40example%2ecom".to_owned(),
        BASE64_STANDARD.encode(format!("{ID}:{SECRET}")),
        BASE64_STANDARD.encode(format!("x{NAME}")),
    ] {
        assert!(found_in(&hidden).is_some(), "{hidden}");
    }
    assert!(found_in("the connection broke").is_none());
}

/// Takes note of log records that hold what they must not.
struct Listener;

impl log::Log for Listener {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        // As the documentation has it: at trace this shows the bytes on the
        // wire, and no library can keep it from that.
        !metadata.target().starts_with("ureq_proto") || metadata.level() <= log::Level::Debug
    }

    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            let text = format!("{} {}", record.target(), record.args());
            if found_in(&text).is_some() {
                LEAKS
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(text);
            }
        }
    }

    fn flush(&self) {}
}

/// Listens to everything that is logged from here on.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Listener).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}
