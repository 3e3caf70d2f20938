//! Measures the time from the start of a process to its first result.
//!
//!     cargo bench --manifest-path benches/compare/Cargo.toml --bench cold_start

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use autharmor_compare::canned::Canned;
use autharmor_compare::measure::median;
use autharmor_compare::{Servers, check_bound, delay_proxy, exit_code};
use clap::Parser;

/// Measures the time from the start of a process to the result of get_user by
/// name, with a round trip of 50 ms. The token is fetched first from another host.
///
/// The clients run in a network namespace of their own. A veth pair joins it to
/// the servers, and `tc netem` delays each direction by 25 ms, TCP handshakes
/// included. This needs Linux with netem, root and iproute2. Without them, a proxy
/// delays the bytes, and adds one round trip for the handshake of each connection.
#[derive(Parser)]
struct Cli {
    /// Use the proxy even if netem is available
    #[arg(long)]
    proxy: bool,
    /// Exit with 1 if a bound is exceeded
    #[arg(long)]
    strict: bool,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

const ROUND_TRIP: Duration = Duration::from_millis(50);
const RUNS: usize = 15;
/// From the address range reserved for benchmarks.
const SERVER: &str = "198.18.213.1";
const CLIENT: &str = "198.18.213.2";
/// Set for the process in the namespace.
const IN_NAMESPACE: &str = "COMPARE_IN_NAMESPACE";

fn main() -> ExitCode {
    let cli = Cli::parse();
    if env::var_os(IN_NAMESPACE).is_some() {
        return measure(&Servers::from_env(), cli.strict);
    }
    if cli.proxy {
        return with_proxy(cli.strict);
    }
    match Namespace::new() {
        Ok(namespace) => namespace.run(),
        Err(why) => {
            println!("No network namespace with netem, so a proxy delays the bytes:");
            println!("{why}\n");
            with_proxy(cli.strict)
        }
    }
}

/// Starts the API and the login server. Returns their certificates, too.
fn start_servers(ip: IpAddr) -> (Canned, Canned, String) {
    let [api, login] = [(); 2].map(|()| Canned::start_at(ip, Duration::ZERO));
    let ca_pem = format!("{}{}", api.ca_pem(), login.ca_pem());
    (api, login, ca_pem)
}

fn with_proxy(strict: bool) -> ExitCode {
    let (api, login, ca_pem) = start_servers(Ipv4Addr::LOCALHOST.into());
    let proxied = |server: &Canned| {
        let address = delay_proxy::start(server.address(), ROUND_TRIP).expect("a port");
        format!("https://{address}")
    };
    let servers = Servers {
        api: proxied(&api),
        login: proxied(&login),
        ca_pem,
    };
    measure(&servers, strict)
}

fn measure(servers: &Servers, strict: bool) -> ExitCode {
    let token_file = env::temp_dir().join(format!("autharmor-cold-{}.token", process::id()));
    let path = token_file.to_str().expect("a path in UTF-8");
    let runs: [(&str, &[&str]); 4] = [
        ("simple client on ureq", &["ureq"]),
        ("autharmor", &["autharmor"]),
        ("autharmor, token file empty", &["autharmor", path]),
        ("autharmor, token in the file", &["autharmor", path]),
    ];
    let mut times = vec![Vec::new(); runs.len()];
    let mut connects = Vec::new();
    // The first round is a warm-up, for neighbour tables and the disk cache.
    for round in 0..=RUNS {
        let began = Instant::now();
        let authority = servers.api.trim_start_matches("https://");
        drop(TcpStream::connect(authority).expect("a server"));
        if round > 0 {
            connects.push(began.elapsed().as_secs_f64());
        }
        let _ = fs::remove_file(&token_file);
        for ((_, args), times) in runs.iter().zip(&mut times) {
            let time = first_result(servers, args);
            if round > 0 {
                times.push(time.as_secs_f64());
            }
        }
    }
    let _ = fs::remove_file(&token_file);

    let connecting = median(connects);
    assert!(
        env::var_os(IN_NAMESPACE).is_none() || connecting > 0.9 * ROUND_TRIP.as_secs_f64(),
        "netem has no effect"
    );
    println!("## From process start to the first result, round trip 50 ms\n");
    println!(
        "Connecting took {:.1} ms (with the proxy, the first bytes take longer instead). Medians \
         of {RUNS}.\n",
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
    let measured = |at: usize| {
        format!(
            "{:.2}, against {:.2} of the simple client",
            trips[at], trips[0]
        )
    };
    let all = [
        check_bound(
            trips[1] <= 4.3,
            "without a stored token, at most 4.3 round trips",
            &measured(1),
        ),
        check_bound(
            trips[3] <= 3.3,
            "with a stored token, at most 3.3 round trips",
            &measured(3),
        ),
    ];
    exit_code(!all.contains(&false), strict)
}

fn first_result(servers: &Servers, args: &[&str]) -> Duration {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_first_call"))
        .args(args)
        .envs(servers.to_env())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program was built");
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

/// A network namespace and the veth pair that leads to it. Dropping this removes
/// both.
struct Namespace {
    name: String,
    link: String,
}

impl Namespace {
    fn new() -> Result<Self, String> {
        let id = process::id();
        let (name, link, peer) = (format!("aa{id}"), format!("aah{id}"), format!("aac{id}"));
        if Path::new("/run/netns").join(&name).exists() {
            return Err(format!("the network namespace {name} exists already"));
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

    /// Runs this program again in the namespace. The servers stay outside.
    fn run(&self) -> ExitCode {
        let (api, login, ca_pem) = start_servers(SERVER.parse().expect("an address"));
        let servers = Servers {
            api: api.url(),
            login: login.url(),
            ca_pem,
        };
        let status = Command::new("ip")
            .args(["netns", "exec", &self.name])
            .arg(env::current_exe().expect("this program"))
            .args(env::args().skip(1))
            .env(IN_NAMESPACE, "")
            .envs(servers.to_env())
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
        // Deleting the namespace may already have deleted the link.
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
