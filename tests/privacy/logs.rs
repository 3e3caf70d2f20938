//! Tests that the log has one record for each attempt, and that no record of any
//! crate holds a secret or a username.
//!
//! The one exception is `ureq_proto` at trace level, which dumps raw traffic. A
//! library cannot switch that off.

mod canaries;
mod failures;
mod flows;

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use autharmor::emulator::{Emulator, Fault};
use autharmor::{ApiVersion, Client, Endpoint, ErrorKind, RetryPolicy, UserKey};
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::json;

use crate::canaries::{Canaries, NAME, NEW_NAME, ODD_NAME};
use crate::failures::{ok, plain, response, token_body};
use autharmor_test_support::scripted::{Act, Server};

/// A formatted log record.
#[derive(Clone, Debug)]
struct Line {
    target: String,
    level: Level,
    text: String,
}

/// A logger that keeps all records.
struct Keeper(Mutex<Kept>);

struct Kept {
    filter: LevelFilter,
    raw_traffic: bool,
    lines: Vec<Line>,
}

static KEEPER: Keeper = Keeper(Mutex::new(Kept {
    filter: LevelFilter::Off,
    raw_traffic: false,
    lines: Vec::new(),
}));

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let kept = self.lock();
        let is_raw =
            metadata.target().starts_with("ureq_proto") && metadata.level() == Level::Trace;
        metadata.level() <= kept.filter && (kept.raw_traffic || !is_raw)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Formatted before the lock is taken, as formatting may log.
            let line = Line {
                target: record.target().to_owned(),
                level: record.level(),
                text: record.args().to_string(),
            };
            self.lock().lines.push(line);
        }
    }

    fn flush(&self) {}
}

/// The records logged since it was started. Only one exists at a time.
struct Capture {
    keeper: &'static Keeper,
    _one: MutexGuard<'static, ()>,
}

impl Capture {
    fn start(filter: LevelFilter) -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        static INSTALL: Once = Once::new();
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        INSTALL.call_once(|| {
            log::set_logger(&KEEPER).unwrap();
            log::set_max_level(LevelFilter::Trace);
        });
        let mut kept = KEEPER.lock();
        kept.filter = filter;
        kept.raw_traffic = false;
        kept.lines.clear();
        drop(kept);
        Self {
            keeper: &KEEPER,
            _one: one,
        }
    }

    fn with_raw_traffic(self) -> Self {
        self.keeper.lock().raw_traffic = true;
        self
    }

    fn lines(&self) -> Vec<Line> {
        self.keeper.lock().lines.clone()
    }

    /// Parses this crate's own records.
    fn attempts(&self) -> Vec<Attempt> {
        let lines = self.lines();
        let own = lines.iter().filter(|line| is_of(line, "autharmor"));
        own.map(Attempt::read).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let mut kept = self.keeper.lock();
        kept.filter = LevelFilter::Off;
        kept.lines.clear();
    }
}

fn is_of(line: &Line, krate: &str) -> bool {
    line.target == krate || line.target.starts_with(&format!("{krate}::"))
}

/// `get_user v3: attempt 1: status 200 after 1.2ms`
#[derive(Clone, Debug, PartialEq)]
struct Attempt {
    endpoint: String,
    /// `None` for the token endpoint.
    version: Option<String>,
    number: u32,
    /// A status, or the kind of the error.
    outcome: String,
}

impl Attempt {
    /// Parses a record completely, or fails.
    fn read(line: &Line) -> Self {
        let bad = || -> ! { panic!("not a record of an attempt: {line:?}") };
        assert_eq!(line.level, Level::Debug, "{line:?}");
        let parts: Vec<_> = line.text.split(": ").collect();
        let [call, attempt, end] = parts[..] else {
            bad()
        };
        let (endpoint, version) = match call.split_once(' ') {
            Some((endpoint, version)) => (endpoint, Some(version)),
            None => (call, None),
        };
        let is_known = match version {
            None => endpoint == "token",
            Some("v3" | "v4") => Endpoint::ALL.iter().any(|it| it.name() == endpoint),
            Some(_) => false,
        };
        let number = attempt.strip_prefix("attempt ").map(str::parse);
        let Some((outcome, duration)) = end.split_once(" after ") else {
            bad()
        };
        let is_kind = || {
            failures::KINDS
                .iter()
                .any(|kind| format!("{kind:?}") == outcome)
        };
        let outcome = match outcome.strip_prefix("status ") {
            Some(status) if status.len() == 3 && status.parse::<u16>().is_ok() => status,
            None if is_kind() => outcome,
            _ => bad(),
        };
        match number {
            Some(Ok(number)) if is_known && is_duration(duration) => Self {
                endpoint: endpoint.to_owned(),
                version: version.map(str::to_owned),
                number,
                outcome: outcome.to_owned(),
            },
            _ => bad(),
        }
    }
}

/// Whether the text is a duration such as `1.234567ms`.
fn is_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    ["ns", "µs", "ms", "s"].contains(&unit) && text.len() > unit.len()
}

fn attempt(endpoint: &str, version: Option<&str>, number: u32, outcome: &str) -> Attempt {
    Attempt {
        endpoint: endpoint.to_owned(),
        version: version.map(str::to_owned),
        number,
        outcome: outcome.to_owned(),
    }
}

fn check(canaries: &Canaries, lines: &[Line]) {
    for line in lines {
        canaries.check(&line.text, &format!("{} at {}", line.target, line.level));
    }
}

/// Returns endpoint and version of the requests that the emulator received.
fn seen(emulator: &Emulator) -> Vec<(String, Option<String>)> {
    let version = |path: &str| {
        let version = ["v3", "v4"]
            .iter()
            .find(|it| path.contains(&format!("/{it}/")));
        version.map(ToString::to_string)
    };
    let requests = emulator.requests();
    let seen = requests.iter().map(|request| {
        let endpoint = request.endpoint().unwrap().to_owned();
        (endpoint, version(request.path()))
    });
    seen.collect()
}

#[test]
fn flows_log_one_record_per_attempt_and_no_value() {
    for filter in [LevelFilter::Debug, LevelFilter::Trace] {
        for version in [ApiVersion::V3, ApiVersion::V4] {
            let capture = Capture::start(filter);
            let emulator = flows::emulator(NAME);
            let builder = emulator.client_builder().api_version(version);
            let client = builder.build().unwrap();
            let mut canaries = Canaries::all();
            let key = match version {
                ApiVersion::V3 => {
                    for (endpoint, result) in flows::call_by_name(&client, &emulator, NAME) {
                        result.unwrap_or_else(|error| panic!("{}: {error}", endpoint.name()));
                    }
                    UserKey::from(NAME)
                }
                ApiVersion::V4 => UserKey::from(emulator.users()[0].0),
            };
            flows::run(&client, &emulator, NAME, &key, &mut canaries);

            let lines = capture.lines();
            check(&canaries, &lines);
            let logged = |krate| lines.iter().any(|line| is_of(line, krate));
            assert!(logged("ureq") && logged("rustls") && logged("ureq_proto"));
            let traced = lines.iter().any(|line| line.level == Level::Trace);
            assert_eq!(traced, filter == LevelFilter::Trace);

            let attempts: Vec<_> = capture
                .attempts()
                .into_iter()
                .map(|it| (it.endpoint, it.version))
                .collect();
            assert_eq!(attempts, seen(&emulator));
        }
    }
}

#[test]
fn errors_log_no_value() {
    for filter in [LevelFilter::Debug, LevelFilter::Trace] {
        let capture = Capture::start(filter);
        let failures = failures::all();
        let canaries = Canaries::all().with("other secret", "an0ther s3cr3t");
        check(&canaries, &capture.lines());
        // Every failure of an attempt has its record.
        let attempts = capture.attempts();
        for kind in [
            ErrorKind::Dns,
            ErrorKind::Connect,
            ErrorKind::Proxy,
            ErrorKind::Tls,
            ErrorKind::Timeout,
            ErrorKind::Transport,
            ErrorKind::Protocol,
        ] {
            let kind = format!("{kind:?}");
            assert!(attempts.iter().any(|it| it.outcome == kind), "{kind}");
        }
        for failure in failures {
            let Some(status) = failure.error.status() else {
                continue;
            };
            let status = status.to_string();
            let is_logged = attempts.iter().any(|it| it.outcome == status);
            assert!(is_logged, "{}: {status}", failure.how);
        }
    }
}

#[test]
fn every_attempt_has_its_number() {
    let capture = Capture::start(LevelFilter::Debug);
    let emulator = flows::emulator(NAME);
    let builder = emulator.client_builder();
    let client = builder.retry(RetryPolicy::default()).build().unwrap();
    emulator.fault(Fault::status(503).on("token").times(1));
    emulator.fault(Fault::status(500).on("get_user").times(1));
    emulator.fault(Fault::drop_before_response().on("get_user").times(1));
    let user = client.get_user(NAME).unwrap();
    let page = autharmor::PageQuery::new();
    client.list_user_credentials(NAME, &page).unwrap();
    emulator.fault(Fault::status(404).on("update_user").times(1));
    let update = autharmor::users::UpdateUser::new(NEW_NAME);
    client.update_user(user.user_id, &update).unwrap_err();
    let v3 = Some("v3");
    assert_eq!(
        capture.attempts(),
        [
            attempt("token", None, 1, "503"),
            attempt("token", None, 2, "200"),
            attempt("get_user", v3, 1, "500"),
            attempt("get_user", v3, 2, "Transport"),
            attempt("get_user", v3, 3, "200"),
            // The look-up before the call.
            attempt("get_user", v3, 1, "200"),
            attempt("list_user_credentials", Some("v4"), 1, "200"),
            attempt("update_user", v3, 1, "404"),
        ]
    );
}

/// The docs of `username_in_query` say so.
#[test]
fn ureq_logs_names_in_queries_at_trace() {
    for filter in [LevelFilter::Debug, LevelFilter::Trace] {
        for name in [NAME, ODD_NAME] {
            let capture = Capture::start(filter);
            let emulator = flows::emulator(name);
            let builder = emulator.client_builder().api_version(ApiVersion::V4);
            let client = builder.username_in_query(true).build().unwrap();
            client.get_user(name).unwrap();
            let canaries = Canaries::new().with("name", name);
            let lines = capture.lines();
            let (ureq, others): (Vec<_>, Vec<_>) =
                lines.into_iter().partition(|line| is_of(line, "ureq"));
            check(&canaries, &others);
            let shown: Vec<_> = ureq
                .iter()
                .filter(|line| canaries.find(&line.text).is_some())
                .collect();
            assert_eq!(!shown.is_empty(), filter == LevelFilter::Trace, "{shown:?}");
            assert!(shown.iter().all(|line| line.level == Level::Debug));
            check(&flows_secrets(&emulator), &ureq);
        }
    }
}

fn flows_secrets(emulator: &Emulator) -> Canaries {
    let mut canaries = Canaries::secrets();
    flows::collect_secrets(emulator, &mut canaries);
    canaries
}

/// A redirect may repeat what was in our headers.
#[test]
fn ureq_logs_names_in_redirects_at_trace() {
    for filter in [LevelFilter::Debug, LevelFilter::Trace] {
        let capture = Capture::start(filter);
        let away = format!("location: https://portal.example/?user={NAME}\r\n");
        let script = vec![
            Act::Read,
            Act::write(ok(&token_body())),
            Act::Read,
            Act::write(response("302 Found", &away, "")),
            Act::Read,
        ];
        let server = Server::start(vec![script]);
        let client = plain(&server).build().unwrap();
        let error = client.get_user(NAME).unwrap_err();
        Canaries::all().check_debug(&error, "the error");
        let lines = capture.lines();
        let shown: Vec<_> = lines
            .iter()
            .filter(|line| Canaries::all().find(&line.text).is_some())
            .collect();
        assert_eq!(!shown.is_empty(), filter == LevelFilter::Trace, "{shown:?}");
        assert!(shown.iter().all(|line| is_of(line, "ureq")), "{shown:?}");
    }
}

/// The docs name a filter against these records.
#[test]
fn ureq_proto_logs_raw_traffic_at_trace() {
    let capture = Capture::start(LevelFilter::Trace).with_raw_traffic();
    let user = json!({"user_id": "11111111-2222-4333-8444-555555555555", "username": NAME});
    let script = vec![
        Act::Read,
        Act::write(ok(&token_body())),
        Act::Read,
        Act::write(ok(&user.to_string())),
    ];
    let server = Server::start(vec![script]);
    let client: Client = plain(&server).build().unwrap();
    client.get_user(NAME).unwrap();
    // Rows of sixteen bytes, as hex and as text.
    let dump: String = capture
        .lines()
        .iter()
        .filter(|line| is_of(line, "ureq_proto") && line.level == Level::Trace)
        .filter_map(|line| line.text.get(line.text.len().saturating_sub(16)..))
        .collect();
    assert!(Canaries::all().find(&dump).is_some(), "{dump}");
    let lines = capture.lines();
    let (_, others): (Vec<_>, Vec<_>) = lines
        .into_iter()
        .partition(|line| is_of(line, "ureq_proto") && line.level == Level::Trace);
    check(&Canaries::all(), &others);
}
