//! From the start of a process to its first result, over a network with a
//! round trip of 50 ms.
//!
//!     cargo bench --manifest-path benches/compare/Cargo.toml --bench cold_start
//!
//! See `USAGE` for what it does.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use autharmor_compare::canned::Canned;
use autharmor_compare::measure::median;
use autharmor_compare::{Place, distance, verdict};

const USAGE: &str = "\
From the start of a process to its first result: get_user by name, with the
token to be fetched first from another host, over a round trip of 50 ms.

  cargo bench --manifest-path benches/compare/Cargo.toml --bench cold_start -- [OPTIONS]

The clients run in a network namespace of their own, joined by a veth pair that
`tc netem` delays by 25 ms each way, so that TCP handshakes take their time, too.
That takes Linux with netem, root and iproute2. Where they are missing, a proxy
delays the bytes, and holds the first of a connection one round trip longer.

  --proxy        use the proxy anyway
  --strict       exit with 1 if a bound is not kept
";

const ROUND_TRIP: Duration = Duration::from_millis(50);
const RUNS: usize = 15;
/// Of the addresses that are set aside for benchmarks.
const SERVER: &str = "198.18.213.1";
const CLIENT: &str = "198.18.213.2";
/// Set for the one who is in the namespace.
const INSIDE: &str = "COMPARE_INSIDE";

fn main() -> ExitCode {
    if env::var_os(INSIDE).is_some() {
        return measure(&Place::from_env());
    }
    let mut proxy = false;
    for arg in env::args().skip(1) {
        match &*arg {
            // Whether it is given is looked up when the time has come.
            "--bench" | "--strict" => {}
            "--proxy" => proxy = true,
            _ => {
                print!("{USAGE}");
                return ExitCode::SUCCESS;
            }
        }
    }
    if proxy {
        return through_proxy();
    }
    match Namespace::new() {
        Ok(namespace) => namespace.run(),
        Err(why) => {
            println!("There is no network namespace with a delay to be had, so a proxy delays:");
            println!("{why}\n");
            through_proxy()
        }
    }
}

/// Two servers, as the API has them.
fn servers(ip: IpAddr) -> (Canned, Canned, String) {
    let [api, login] = [(); 2].map(|()| Canned::start_at(ip, Duration::ZERO));
    let ca_pem = format!("{}{}", api.ca_pem(), login.ca_pem());
    (api, login, ca_pem)
}

fn through_proxy() -> ExitCode {
    let (api, login, ca_pem) = servers(Ipv4Addr::LOCALHOST.into());
    let far = |server: &Canned| {
        let address = distance::from(server.address(), ROUND_TRIP).expect("a port");
        format!("https://{address}")
    };
    measure(&Place {
        api: far(&api),
        login: far(&login),
        ca_pem,
    })
}

fn measure(place: &Place) -> ExitCode {
    let store = env::temp_dir().join(format!("autharmor-cold-{}.token", process::id()));
    let text = store.to_str().expect("a name that is text");
    let runs: [(&str, &[&str]); 4] = [
        ("straightforward client on ureq", &["ureq"]),
        ("autharmor", &["autharmor"]),
        ("autharmor, token file empty", &["autharmor", text]),
        ("autharmor, token in the file", &["autharmor", text]),
    ];
    let mut times = vec![Vec::new(); runs.len()];
    let mut connects = Vec::new();
    // The first round is for the neighbour tables and the disk.
    for round in 0..=RUNS {
        let began = Instant::now();
        let authority = place.api.trim_start_matches("https://");
        drop(TcpStream::connect(authority).expect("a server"));
        if round > 0 {
            connects.push(began.elapsed().as_secs_f64());
        }
        let _ = fs::remove_file(&store);
        for ((_, args), times) in runs.iter().zip(&mut times) {
            let time = first_result(place, args);
            if round > 0 {
                times.push(time.as_secs_f64());
            }
        }
    }
    let _ = fs::remove_file(&store);

    let connecting = median(connects);
    assert!(
        env::var_os(INSIDE).is_none() || connecting > 0.9 * ROUND_TRIP.as_secs_f64(),
        "netem does not delay"
    );
    println!("## From process start to the first result, round trip 50 ms\n");
    println!(
        "Connecting took {:.1} ms (the proxy makes up for it later). Medians of {RUNS}.\n",
        connecting * 1e3
    );
    println!("| | ms | round trips |");
    println!("| --- | ---: | ---: |");
    let mut trips = Vec::new();
    for ((name, _), times) in runs.iter().zip(times) {
        let time = median(times);
        trips.push(time / ROUND_TRIP.as_secs_f64());
        println!(
            "| {name} | {:.1} | {:.2} |",
            time * 1e3,
            time / ROUND_TRIP.as_secs_f64()
        );
    }
    println!("\n## Bounds\n");
    let found = |at: usize| {
        format!(
            "{:.2}, against {:.2} of the straightforward client",
            trips[at], trips[0]
        )
    };
    let all = [
        verdict(
            trips[1] <= 4.3,
            "without a stored token, at most 4.3 round trips",
            &found(1),
        ),
        verdict(
            trips[3] <= 3.3,
            "with a stored token, at most 3.3 round trips",
            &found(3),
        ),
    ];
    if all.contains(&false) && env::args().any(|arg| arg == "--strict") {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn first_result(place: &Place, args: &[&str]) -> Duration {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_first_call"))
        .args(args)
        .envs(place.to_env())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program that was just built");
    let mut line = String::new();
    let output = child.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut line).expect("a pipe");
    let took = began.elapsed();
    let status = child.wait().expect("a child");
    assert!(
        status.success() && !line.trim().is_empty(),
        "{args:?}: no result"
    );
    took
}

/// A network namespace and the way to it, both gone in the end.
struct Namespace {
    name: String,
    link: String,
}

impl Namespace {
    fn new() -> Result<Self, String> {
        let id = process::id();
        let (name, link, peer) = (format!("aa{id}"), format!("aah{id}"), format!("aac{id}"));
        if Path::new("/run/netns").join(&name).exists() {
            return Err(format!("there is a network namespace {name} already"));
        }
        ip(&format!("netns add {name}"))?;
        let this = Self { name, link };
        let (name, link) = (&this.name, &this.link);
        ip(&format!(
            "link add {link} type veth peer name {peer} netns {name}"
        ))?;
        ip(&format!("address add {SERVER}/30 dev {link}"))?;
        ip(&format!("link set {link} up"))?;
        ip(&format!("-n {name} address add {CLIENT}/30 dev {peer}"))?;
        ip(&format!("-n {name} link set {peer} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        let delay = ROUND_TRIP.as_millis() / 2;
        run(
            "tc",
            &format!("qdisc add dev {link} root netem delay {delay}ms"),
        )?;
        run(
            "tc",
            &format!("-n {name} qdisc add dev {peer} root netem delay {delay}ms"),
        )?;
        Ok(this)
    }

    /// Runs this program again inside, with the servers outside.
    fn run(&self) -> ExitCode {
        let (api, login, ca_pem) = servers(SERVER.parse().expect("an address"));
        let place = Place {
            api: api.url(),
            login: login.url(),
            ca_pem,
        };
        let status = Command::new("ip")
            .args(["netns", "exec", &self.name])
            .arg(env::current_exe().expect("this program"))
            .args(env::args().skip(1))
            .env(INSIDE, "")
            .envs(place.to_env())
            .status();
        if status.is_ok_and(|status| status.success()) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The link may be gone with the namespace, which is as well.
        let _ = ip(&format!("link delete {}", self.link));
        let _ = ip(&format!("netns delete {}", self.name));
    }
}

fn ip(args: &str) -> Result<(), String> {
    run("ip", args)
}

fn run(program: &str, args: &str) -> Result<(), String> {
    let output = Command::new(program).args(args.split(' ')).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        let why = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program} {args}: {}", why.trim()))
    }
}
