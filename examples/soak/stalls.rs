//! How long a call lasts that has 2 s and meets a network that stalls.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use autharmor::{Client, ErrorKind};
use uuid::Uuid;

use crate::scripted::{Act, Ca, Server};
use crate::tally::Checks;

const TIMEOUT: Duration = Duration::from_secs(2);

/// As the only argument but one: look up a name that no server knows about,
/// and print how it ends.
pub(crate) const UNNAMED: &str = "--look-a-name-up";

/// One way to stall, and what stands in it.
struct Stall {
    name: &'static str,
    client: Client,
    _servers: Vec<Server>,
    _full: Option<FullListener>,
}

pub(crate) fn measure(calls: usize, checks: &mut Checks) {
    println!("calls that have 2 s, {calls} each");
    let ca = Ca::new();
    let stalls = [
        connecting(),
        Ok(handshake(&ca)),
        Ok(dribbling_head(&ca)),
        Ok(dribbling_body(&ca)),
        Ok(token(&ca)),
        Ok(retry(&ca)),
    ];
    thread::scope(|scope| {
        let lookup = scope.spawn(move || (0..calls).map(|_| dns()).collect::<Option<Vec<_>>>());
        let running: Vec<_> = stalls
            .iter()
            .map(|stall| {
                scope.spawn(move || match stall {
                    Ok(stall) => (0..calls).map(|_| Some(time(&stall.client))).collect(),
                    Err(_) => None::<Vec<_>>,
                })
            })
            .collect();
        report("name resolution", lookup.join().ok().flatten(), checks);
        for (stall, running) in stalls.iter().zip(running) {
            let name = stall.as_ref().map_or("connecting", |stall| stall.name);
            report(name, running.join().ok().flatten(), checks);
        }
    });
}

/// One call's time and how it ended.
type Measured = (Duration, Option<ErrorKind>);

fn time(client: &Client) -> Measured {
    let began = Instant::now();
    let end = client.get_user(Uuid::from_u128(7));
    (began.elapsed(), end.err().map(|error| error.kind()))
}

fn report(name: &str, measured: Option<Vec<Measured>>, checks: &mut Checks) {
    let Some(measured) = measured else {
        println!("!!! NOT MEASURED: {name}");
        return;
    };
    let seconds = |time: &Measured| time.0.as_secs_f64();
    let shortest = measured.iter().map(seconds).fold(f64::INFINITY, f64::min);
    let longest = measured.iter().map(seconds).fold(0.0, f64::max);
    let times_out = measured
        .iter()
        .all(|(_, kind)| *kind == Some(ErrorKind::Timeout));
    let bound = TIMEOUT.as_secs_f64();
    checks.expect(
        times_out && shortest >= 0.9 * bound && longest <= 1.1 * bound,
        &format!(
            "{name}: {shortest:.3} to {longest:.3} s, {:?}",
            measured[0].1
        ),
    );
}

fn client(ca: &Ca, api: &str, login: &str) -> Client {
    Client::builder("id", "secret")
        .no_proxy()
        .add_root_certificates(ca.pem())
        .api_url(api)
        .login_url(login)
        .timeout(TIMEOUT)
        .build()
        .expect("settings without a fault")
}

/// A login server that works, and an API server with these scripts.
fn behind_a_token(name: &'static str, ca: &Ca, scripts: Vec<Vec<Act>>) -> Stall {
    let body = r#"{"access_token":"t","expires_in":3600}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let login = Server::start(vec![vec![
        Act::Tls(ca.localhost()),
        Act::Read,
        Act::write(answer),
    ]]);
    let api = Server::start(scripts);
    Stall {
        name,
        client: client(ca, &api.https(""), &login.https("")),
        _servers: vec![login, api],
        _full: None,
    }
}

fn handshake(ca: &Ca) -> Stall {
    behind_a_token("TLS handshake", ca, vec![vec![Act::ReadSome, Act::Stall]])
}

fn dribbling_head(ca: &Ca) -> Stall {
    let script = vec![
        Act::Tls(ca.localhost()),
        Act::Read,
        Act::write("HTTP/1.1 200 OK\r\n"),
        Act::Dribble(b"x-slow: 1\r\n".to_vec()),
    ];
    behind_a_token("head, byte by byte", ca, vec![script])
}

fn dribbling_body(ca: &Ca) -> Stall {
    let script = vec![
        Act::Tls(ca.localhost()),
        Act::Read,
        Act::write("HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\n"),
        Act::Dribble(b" ".to_vec()),
    ];
    behind_a_token("body, byte by byte", ca, vec![script])
}

fn token(ca: &Ca) -> Stall {
    let script = vec![Act::Tls(ca.localhost()), Act::Read, Act::Stall];
    let login = Server::start(vec![script]);
    Stall {
        name: "token endpoint",
        // Nobody comes as far as the API.
        client: client(ca, &login.https("/api"), &login.https("")),
        _servers: vec![login],
        _full: None,
    }
}

/// A pause that fits into the time, and nothing after it.
fn retry(ca: &Ca) -> Stall {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
    let script = vec![
        Act::Tls(ca.localhost()),
        Act::Read,
        Act::write(busy),
        Act::Read,
        Act::Stall,
    ];
    behind_a_token("pause of a retry, then silence", ca, vec![script])
}

/// A listener that takes no more connections: whoever knocks is not heard.
struct FullListener {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl FullListener {
    fn fill() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let mut waiting = Vec::new();
        // Far more than any system lets wait.
        while waiting.len() < 20_000 {
            match TcpStream::connect_timeout(&address, Duration::from_millis(500)) {
                Ok(stream) => waiting.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self {
                        address,
                        _listener: listener,
                        _waiting: waiting,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn connecting() -> io::Result<Stall> {
    let full = FullListener::fill()?;
    let url = format!("https://{}", full.address);
    Ok(Stall {
        name: "connecting",
        client: client(&Ca::new(), &url, &url),
        _servers: Vec::new(),
        _full: Some(full),
    })
}

/// Looks a name up where the only name server is one that never
/// answers. `None` if this system has no such place.
fn dns() -> Option<Measured> {
    let settings = env::temp_dir().join(format!("autharmor-soak-{}", process::id()));
    fs::write(&settings, "nameserver 127.0.0.1\n").ok()?;
    let script =
        "ip link set lo up && mount --bind \"$1\" /etc/resolv.conf && exec \"$0\" \"$2\" -";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "--net", "sh", "-c", script])
        .arg(env::current_exe().ok()?)
        .arg(&settings)
        .arg(UNNAMED)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (seconds, kind) = text.trim().split_once(' ')?;
    let kind = (kind == "Timeout").then_some(ErrorKind::Timeout);
    Some((Duration::from_secs_f64(seconds.parse().ok()?), kind))
}

/// In a network of its own: the name server is there, and silent.
pub(crate) fn look_a_name_up(_: &str) -> ExitCode {
    let Ok(_silent) = UdpSocket::bind("127.0.0.1:53") else {
        return ExitCode::FAILURE;
    };
    let url = "https://api.stalled.example";
    let (took, kind) = time(&client(&Ca::new(), url, url));
    println!(
        "{} {:?}",
        took.as_secs_f64(),
        kind.unwrap_or(ErrorKind::Api)
    );
    ExitCode::SUCCESS
}
