//! Everything that can stall, by the real clock: a call with a timeout of two
//! seconds ends after two seconds.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use autharmor::{Client, ErrorKind};
use uuid::Uuid;

use crate::checks::Verdict;
use crate::scripted::{Act, Ca, Server};

/// The hidden argument of the process that has a dead resolver.
pub(crate) const ARGUMENT: &str = "--ask-the-dead-resolver";

const TIMEOUT: Duration = Duration::from_secs(2);
/// Side by side.
const RUNS: usize = 5;

/// How a call ended, and when.
struct End {
    seconds: f64,
    kind: String,
}

pub(crate) fn measure(verdict: &mut Verdict) {
    println!(
        "\nStalls: calls with a timeout of {} s, {RUNS} of each",
        TIMEOUT.as_secs()
    );
    println!("  | case | shortest, s | longest, s | error | within 10 % |");
    println!("  | --- | ---: | ---: | --- | --- |");
    let mut all_in_time = true;
    let mut row = |case: &str, ends: &[End]| {
        let is_in_time = is_in_time(ends);
        all_in_time &= is_in_time;
        print_row(case, ends, if is_in_time { "yes" } else { "NO" });
    };
    let dns = dead_resolver();
    match &dns {
        Ok(ends) => row("the resolver never answers", ends),
        Err(why) => println!("  | the resolver never answers | | | **NOT MEASURED**: {why} | |"),
    }
    match BlackHole::new() {
        Ok(hole) => row("the SYN is never answered", &call(|| hole.world())),
        Err(why) => println!("  | the SYN is never answered | | | **NOT MEASURED**: {why} | |"),
    }
    for case in CASES {
        row(case.name, &call(|| World::scripted(case)));
    }
    let early = call(|| World::scripted(&TOO_LONG));
    print_row(TOO_LONG.name, &early, "early, as it should be");
    println!(
        "  A retry whose pause would not fit into the time that is left is not waited for: the\n  \
         error comes at once, as in the last row. So the row before it has a pause that fits, and\n  \
         a second try that stalls."
    );
    println!("\nChecks of the stalls:");
    verdict.check(
        all_in_time,
        "all that was measured ended in 1.8 to 2.2 s with a timeout",
    );
    let is_early = early
        .iter()
        .all(|end| end.seconds < 1.0 && end.kind == "Unavailable");
    verdict.check(is_early, "a pause that does not fit is not begun");
}

fn is_in_time(ends: &[End]) -> bool {
    let timeout = format!("{:?}", ErrorKind::Timeout);
    ends.len() == RUNS
        && ends
            .iter()
            .all(|end| (1.8..=2.2).contains(&end.seconds) && end.kind == timeout)
}

fn print_row(case: &str, ends: &[End], note: &str) {
    let seconds = || ends.iter().map(|end| end.seconds);
    let shortest = seconds().fold(f64::INFINITY, f64::min);
    let longest = seconds().fold(0.0, f64::max);
    let mut kinds: Vec<_> = ends.iter().map(|end| end.kind.as_str()).collect();
    kinds.dedup();
    let kinds = kinds.join(", ");
    println!("  | {case} | {shortest:.3} | {longest:.3} | {kinds} | {note} |");
}

/// Some calls at a time, each in a world of its own.
fn call(world: impl Fn() -> World + Sync) -> Vec<End> {
    thread::scope(|scope| {
        let calls: Vec<_> = (0..RUNS)
            .map(|_| {
                scope.spawn(|| {
                    let world = world();
                    end(&world.client)
                })
            })
            .collect();
        let ends = calls.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(|end| end.expect("a call that does not panic"))
            .collect()
    })
}

fn end(client: &Client) -> End {
    let began = Instant::now();
    let outcome = client.get_user(Uuid::from_u128(7));
    End {
        seconds: began.elapsed().as_secs_f64(),
        kind: outcome.map_or_else(|error| format!("{:?}", error.kind()), |_| "none".to_owned()),
    }
}

// ---- a server that stalls --------------------------------------------------

struct Case {
    name: &'static str,
    /// What the API does after the TLS handshake, or the login host.
    host: Host,
    acts: fn() -> Vec<Act>,
}

#[derive(PartialEq)]
enum Host {
    Api,
    /// The API, before any TLS.
    ApiInTheClear,
    Login,
}

const CASES: &[Case] = &[
    Case {
        name: "the TLS handshake is never answered",
        host: Host::ApiInTheClear,
        acts: || vec![Act::Stall],
    },
    Case {
        name: "the answer never begins",
        host: Host::Api,
        acts: || vec![Act::Read, Act::Stall],
    },
    Case {
        name: "the head of the answer dribbles",
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
        name: "the body of the answer dribbles",
        host: Host::Api,
        acts: dribbling_body,
    },
    Case {
        name: "the token endpoint never answers",
        host: Host::Login,
        acts: || vec![Act::Read, Act::Stall],
    },
    Case {
        name: "the answer of the token endpoint dribbles",
        host: Host::Login,
        acts: dribbling_body,
    },
    Case {
        name: "a 503 with Retry-After 1, then no answer",
        host: Host::Api,
        acts: || vec![Act::Read, unavailable(1), Act::Read, Act::Stall],
    },
];

const TOO_LONG: Case = Case {
    name: "a 503 with Retry-After 5",
    host: Host::Api,
    acts: || vec![Act::Read, unavailable(5), Act::Stall],
};

fn dribbling_body() -> Vec<Act> {
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

/// A client, and whom it talks to.
struct World {
    client: Client,
    _servers: Vec<Server>,
}

impl World {
    fn scripted(case: &Case) -> Self {
        let ca = Ca::new();
        let mut acts = (case.acts)();
        if case.host != Host::ApiInTheClear {
            acts.insert(0, Act::Tls(ca.localhost()));
        }
        let stalling = Server::start(vec![acts]);
        let login = tokens(&ca);
        let (api, login_url) = match case.host {
            // Nobody comes that far.
            Host::Login => (stalling.https("/api"), stalling.https("")),
            Host::Api | Host::ApiInTheClear => (stalling.https(""), login.https("")),
        };
        Self {
            client: client(&ca, api, login_url),
            _servers: vec![stalling, login],
        }
    }
}

/// A login host that works.
fn tokens(ca: &Ca) -> Server {
    const TOKEN: &str = "{\"access_token\":\"t\",\"token_type\":\"Bearer\",\"expires_in\":600}";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{TOKEN}",
        TOKEN.len()
    );
    Server::start(vec![vec![
        Act::Tls(ca.localhost()),
        Act::Read,
        Act::write(answer),
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
        .expect("the settings are good")
}

// ---- a port that swallows --------------------------------------------------

/// A listener whose queue is full: the kernel answers no further SYN.
struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Result<Self, String> {
        const MOST: usize = 5000;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| e.to_string())?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let mut queue = Vec::new();
        while queue.len() < MOST {
            match TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
                Ok(stream) => queue.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self {
                        address,
                        _listener: listener,
                        _queue: queue,
                    });
                }
                Err(error) => return Err(format!("a full queue refuses: {error}")),
            }
        }
        Err(format!(
            "the queue of a listener takes {MOST} connections and more"
        ))
    }

    fn world(&self) -> World {
        let ca = Ca::new();
        let login = tokens(&ca);
        World {
            client: client(&ca, format!("https://{}", self.address), login.https("")),
            _servers: vec![login],
        }
    }
}

// ---- a resolver that is dead -----------------------------------------------

/// In a process with namespaces of its own, where it may say who resolves
/// names: a socket of its own that never answers.
fn dead_resolver() -> Result<Vec<End>, String> {
    const SCRIPT: &str = "ip link set lo up \
         && mount --bind \"$1/resolv.conf\" /etc/resolv.conf \
         && mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf \
         && exec \"$2\" \"$3\"";
    if !cfg!(target_os = "linux") {
        return Err("it takes Linux".to_owned());
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
            .arg(ARGUMENT)
            .output()
    })();
    let _ = fs::remove_dir_all(&folder);
    let output = outcome.map_err(|error| format!("unshare: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(why.trim().replace('\n', "; "));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    let ends = lines.lines().filter_map(|line| {
        let (seconds, kind) = line.split_once(' ')?;
        Some(End {
            seconds: seconds.parse().ok()?,
            kind: kind.to_owned(),
        })
    });
    Ok(ends.collect())
}

/// What that process does.
pub(crate) fn ask_the_dead_resolver() -> ExitCode {
    let resolver = match UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)) {
        Ok(socket) => socket,
        Err(error) => {
            eprintln!("port 53: {error}");
            return ExitCode::FAILURE;
        }
    };
    let url = || "https://nobody.example".to_owned();
    let world = || World {
        client: client(&Ca::new(), url(), url()),
        _servers: Vec::new(),
    };
    for End { seconds, kind } in call(world) {
        println!("{seconds} {kind}");
    }
    let was_asked = resolver.set_nonblocking(true).is_ok() && resolver.recv(&mut [0; 512]).is_ok();
    if was_asked {
        ExitCode::SUCCESS
    } else {
        eprintln!("names are resolved in another way here");
        ExitCode::FAILURE
    }
}
