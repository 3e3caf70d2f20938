//! Measures calls that stall: a call with a timeout of two seconds ends after
//! two seconds, whatever it waits for.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use autharmor::flow::{AuthWait, WaitPolicy};
use autharmor::{Client, ErrorKind};
use uuid::Uuid;

use crate::checks::Checks;
use autharmor_test_support::BlackHole;
use autharmor_test_support::scripted::{Act, Ca, Server};

/// The subcommand of the process with a resolver that never replies.
const SUBCOMMAND: &str = "dead-resolver";

const TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than any poll.
const LONG: Duration = Duration::from_secs(30);
/// How many calls are made of each case, at the same time.
const RUNS: usize = 5;

/// The outcome of a call.
struct Outcome {
    seconds: f64,
    /// The kind of the error.
    kind: String,
}

pub fn measure(checks: &mut Checks) {
    println!(
        "\nStalls: calls with a timeout of {} s, {RUNS} of each",
        TIMEOUT.as_secs()
    );
    println!("  | case | shortest, s | longest, s | error | within 10 % |");
    println!("  | --- | ---: | ---: | --- | --- |");
    let mut all_in_time = true;
    let mut row = |case: &str, outcomes: &[Outcome]| {
        let is_in_time = is_in_time(outcomes);
        all_in_time &= is_in_time;
        print_row(case, outcomes, if is_in_time { "yes" } else { "NO" });
    };
    match dead_resolver() {
        Ok(outcomes) => row("the resolver never replies", &outcomes),
        Err(why) => println!("  | the resolver never replies | | | **NOT MEASURED**: {why} | |"),
    }
    let black_hole = BlackHole::new();
    row(
        "the SYN gets no reply",
        &call(|| Setup::silent(&black_hole)),
    );
    let polls_hang = || Setup::scripted(&POLLS_HANG);
    let waits = run(polls_hang, measure_wait);
    print_row(
        "every poll hangs, with a deadline",
        &waits,
        "by the deadline",
    );
    let cancelled = run(polls_hang, measure_cancelling);
    print_row(
        "from cancelling to the end, while a poll hangs",
        &cancelled,
        "within 1 s",
    );
    for case in CASES {
        row(case.name, &call(|| Setup::scripted(case)));
    }
    let early = call(|| Setup::scripted(&TOO_LONG));
    print_row(TOO_LONG.name, &early, "early, as intended");
    println!(
        "  The client does not wait for a retry that would begin after the deadline: it returns the\n  \
         error at once, as in the last row. In the row before it, the retry begins in time and\n  \
         stalls."
    );
    println!("\nChecks of the stalls:");
    checks.check(
        all_in_time,
        "every measured call ended within 1.8 to 2.2 s with a timeout",
    );
    let is_by_deadline = waits
        .iter()
        .all(|outcome| outcome.seconds <= 2.2 && outcome.kind == "outage: Timeout");
    checks.check(
        is_by_deadline,
        "a wait ends by the client's deadline while every poll hangs",
    );
    let is_prompt = cancelled
        .iter()
        .all(|outcome| outcome.seconds < 1.0 && outcome.kind == "Cancelled");
    checks.check(
        is_prompt,
        "a wait is cancelled within a second while a poll hangs",
    );
    let is_early = early
        .iter()
        .all(|outcome| outcome.seconds < 1.0 && outcome.kind == "Unavailable");
    checks.check(
        is_early,
        "the client does not wait for a retry after the deadline",
    );
}

fn is_in_time(outcomes: &[Outcome]) -> bool {
    let timeout = format!("{:?}", ErrorKind::Timeout);
    outcomes.len() == RUNS
        && outcomes
            .iter()
            .all(|outcome| (1.8..=2.2).contains(&outcome.seconds) && outcome.kind == timeout)
}

fn print_row(case: &str, outcomes: &[Outcome], note: &str) {
    let seconds = || outcomes.iter().map(|outcome| outcome.seconds);
    let shortest = seconds().fold(f64::INFINITY, f64::min);
    let longest = seconds().fold(0.0, f64::max);
    let mut kinds: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.kind.as_str())
        .collect();
    kinds.dedup();
    let kinds = kinds.join(", ");
    println!("  | {case} | {shortest:.3} | {longest:.3} | {kinds} | {note} |");
}

/// Makes several calls at the same time.
fn call(setup: impl Fn() -> Setup + Sync) -> Vec<Outcome> {
    run(setup, measure_call)
}

/// Runs this several times at the same time, each time with a client of its own.
fn run(setup: impl Fn() -> Setup + Sync, measure: fn(&Client) -> Outcome) -> Vec<Outcome> {
    thread::scope(|scope| {
        let calls: Vec<_> = (0..RUNS)
            .map(|_| {
                scope.spawn(|| {
                    let setup = setup();
                    measure(&setup.client)
                })
            })
            .collect();
        let outcomes = calls.into_iter().map(thread::ScopedJoinHandle::join);
        outcomes
            .map(|outcome| outcome.expect("a call that does not panic"))
            .collect()
    })
}

fn measure_call(client: &Client) -> Outcome {
    let began = Instant::now();
    let outcome = client.get_user(Uuid::from_u128(7));
    Outcome {
        seconds: began.elapsed().as_secs_f64(),
        kind: outcome.map_or_else(|error| format!("{:?}", error.kind()), |_| "none".to_owned()),
    }
}

/// Waits until the deadline of the client while every poll hangs.
fn measure_wait(client: &Client) -> Outcome {
    let began = Instant::now();
    let client = client.with_deadline(began + TIMEOUT);
    let end = client.wait_for_auth(Uuid::from_u128(7), &WaitPolicy::new());
    let kind = match end {
        Ok(AuthWait::ServiceUnavailable(outage)) => {
            format!("outage: {:?}", outage.last_error.kind())
        }
        other => format!("{other:?}"),
    };
    Outcome {
        seconds: began.elapsed().as_secs_f64(),
        kind,
    }
}

/// Cancels a wait while its first poll hangs, and measures from then on.
fn measure_cancelling(client: &Client) -> Outcome {
    let cancelled = AtomicBool::new(false);
    thread::scope(|scope| {
        let timer = scope.spawn(|| {
            // The first poll is sent within a second and hangs for five.
            thread::sleep(TIMEOUT);
            let now = Instant::now();
            cancelled.store(true, Ordering::Relaxed);
            now
        });
        let policy = WaitPolicy::new().cancel_flag(&cancelled);
        let end = client
            .with_timeout(LONG)
            .wait_for_auth(Uuid::from_u128(7), &policy);
        let ended_at = Instant::now();
        let cancelled_at = timer.join().expect("a timer that does not panic");
        let time = ended_at.checked_duration_since(cancelled_at);
        Outcome {
            seconds: time.map_or(f64::INFINITY, |time| time.as_secs_f64()),
            kind: end.map_or_else(
                |error| format!("{:?}", error.kind()),
                |end| format!("{end:?}"),
            ),
        }
    })
}

// ---- a server that stalls --------------------------------------------------

struct Case {
    name: &'static str,
    host: Host,
    acts: fn() -> Vec<Act>,
}

/// The host that stalls.
#[derive(PartialEq)]
enum Host {
    Api,
    /// The API, before the TLS handshake.
    ApiWithoutTls,
    Login,
}

const CASES: &[Case] = &[
    Case {
        name: "the TLS handshake gets no reply",
        host: Host::ApiWithoutTls,
        acts: || vec![Act::Stall],
    },
    Case {
        name: "the response never begins",
        host: Host::Api,
        acts: || vec![Act::Read, Act::Stall],
    },
    Case {
        name: "the response head arrives byte by byte",
        host: Host::Api,
        acts: || {
            vec![
                Act::Read,
                Act::write("HTTP/1.1 200 OK\r\nx: "),
                Act::Dribble(b"y".to_vec()),
            ]
        },
    },
    Case {
        name: "the response body arrives byte by byte",
        host: Host::Api,
        acts: slow_body,
    },
    Case {
        name: "the token endpoint never responds",
        host: Host::Login,
        acts: || vec![Act::Read, Act::Stall],
    },
    Case {
        name: "the token response arrives byte by byte",
        host: Host::Login,
        acts: slow_body,
    },
    Case {
        name: "a 503 with Retry-After 1, then no response",
        host: Host::Api,
        acts: || vec![Act::Read, unavailable(1), Act::Read, Act::Stall],
    },
];

const TOO_LONG: Case = Case {
    name: "a 503 with Retry-After 5",
    host: Host::Api,
    acts: || vec![Act::Read, unavailable(5), Act::Stall],
};

/// Each connection accepts a request and never replies.
const POLLS_HANG: Case = Case {
    name: "every poll hangs",
    host: Host::Api,
    acts: || vec![Act::Read, Act::Stall],
};

fn slow_body() -> Vec<Act> {
    vec![
        Act::Read,
        Act::write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{"),
        Act::Dribble(b" ".to_vec()),
    ]
}

fn unavailable(retry_after: u32) -> Act {
    Act::write(format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: {retry_after}\r\ncontent-length: 0\r\n\r\n"
    ))
}

/// A client and its servers.
struct Setup {
    client: Client,
    _servers: Vec<Server>,
}

impl Setup {
    /// An API host that never replies to a SYN.
    fn silent(black_hole: &BlackHole) -> Self {
        let ca = Ca::new();
        let login = login_server(&ca);
        let api = format!("https://{}", black_hole.addresses(1)[0]);
        Self {
            client: client(&ca, api, login.https("")),
            _servers: vec![login],
        }
    }

    fn scripted(case: &Case) -> Self {
        let ca = Ca::new();
        let mut acts = (case.acts)();
        if case.host != Host::ApiWithoutTls {
            acts.insert(0, Act::Tls(ca.localhost()));
        }
        let stalling = Server::start(vec![acts]);
        let login = login_server(&ca);
        let (api, login_url) = match case.host {
            // The API is never called.
            Host::Login => (stalling.https("/api"), stalling.https("")),
            Host::Api | Host::ApiWithoutTls => (stalling.https(""), login.https("")),
        };
        Self {
            client: client(&ca, api, login_url),
            _servers: vec![stalling, login],
        }
    }
}

/// A login host without faults.
fn login_server(ca: &Ca) -> Server {
    const TOKEN: &str = "{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":600}";
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{TOKEN}",
        TOKEN.len()
    );
    Server::start(vec![vec![
        Act::Tls(ca.localhost()),
        Act::Read,
        Act::write(response),
    ]])
}

fn client(ca: &Ca, api: String, login: String) -> Client {
    Client::builder("id", "secret")
        .api_url(api)
        .login_url(login)
        .only_root_certificates(ca.pem())
        .no_proxy()
        .timeout(TIMEOUT)
        .build()
        .expect("valid settings")
}

// ---- a resolver that never replies -----------------------------------------

/// Makes the calls in a process with namespaces of its own, in which a socket
/// that never replies is the name server.
fn dead_resolver() -> Result<Vec<Outcome>, String> {
    const SCRIPT: &str = "ip link set lo up \
         && mount --bind \"$1/resolv.conf\" /etc/resolv.conf \
         && mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf \
         && exec \"$2\" \"$3\"";
    if !cfg!(target_os = "linux") {
        return Err("Linux only".to_owned());
    }
    let text = |error: io::Error| error.to_string();
    let folder = env::temp_dir().join(format!("autharmor-soak-{}", std::process::id()));
    fs::create_dir(&folder).map_err(text)?;
    let outcome = (|| {
        fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n")?;
        fs::write(folder.join("nsswitch.conf"), "hosts: dns\n")?;
        Command::new("unshare")
            .args([
                "--map-root-user",
                "--mount",
                "--net",
                "sh",
                "-c",
                SCRIPT,
                "sh",
            ])
            .arg(&folder)
            .arg(env::current_exe()?)
            .arg(SUBCOMMAND)
            .output()
    })();
    let _ = fs::remove_dir_all(&folder);
    let output = outcome.map_err(|error| format!("unshare: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(why.trim().replace('\n', "; "));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let outcomes = lines.lines().filter_map(|line| {
        let (seconds, kind) = line.split_once(' ')?;
        Some(Outcome {
            seconds: seconds.parse().ok()?,
            kind: kind.to_owned(),
        })
    });
    Ok(outcomes.collect())
}

/// Runs in that process.
pub fn call_with_dead_resolver() -> io::Result<()> {
    let resolver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53))?;
    let url = || "https://unknown.example".to_owned();
    let setup = || Setup {
        client: client(&Ca::new(), url(), url()),
        _servers: Vec::new(),
    };
    for Outcome { seconds, kind } in call(setup) {
        println!("{seconds} {kind}");
    }
    resolver.set_nonblocking(true)?;
    let query = resolver.recv(&mut [0; 512]);
    query
        .map(drop)
        .map_err(|_| io::Error::other("no query reached the name server"))
}
