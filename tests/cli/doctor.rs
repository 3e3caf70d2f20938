//! Tests of `autharmor doctor`.

use std::fs;
use std::time::{Duration, Instant};

use autharmor::FileTokenStore;
use autharmor::emulator::{Emulator, Fault};
use autharmor_test_support::BlackHole;
use serde_json::Value;

use crate::checking::{Run, Setup, closed_port, emulator, proxy};

const ALL: [&str; 22] = [
    "configuration",
    "client_id",
    "client_secret",
    "api_url",
    "login_url",
    "api_version",
    "username_in_query",
    "non_ascii_usernames",
    "registration_redirect_url",
    "ca_file",
    "token_file",
    "proxy",
    "timeout",
    "token store",
    "proxy in use",
    "name resolution",
    "tls",
    "clock",
    "credentials",
    "read",
    "approve",
    "sshd",
];

fn start() -> (Emulator, Setup) {
    let emulator = emulator().start().unwrap();
    let setup = Setup::new(&emulator);
    (emulator, setup)
}

fn doctor(setup: &Setup) -> Run {
    setup.run(&[
        "doctor",
        "--json",
        "--sshd-config",
        "/nonexistent/sshd_config",
    ])
}

fn found<'a>(lines: &'a [Value], check: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["check"] == check).collect()
}

/// Checks that exactly one check failed, with this text and this advice.
#[track_caller]
fn assert_failure(run: &Run, status: i32, check: &str, seen: &str, advice: &str) {
    let lines = run.lines();
    let failed: Vec<_> = lines.iter().filter(|l| l["verdict"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{}", run.stdout);
    assert_eq!(failed[0]["check"], check);
    let shown = failed[0]["seen"].as_str().unwrap();
    assert!(shown.contains(seen), "{shown}");
    let shown = failed[0]["advice"].as_str().unwrap();
    assert!(shown.contains(advice), "{shown}");
    assert_eq!(run.status, status, "{}", run.stdout);
    let summary = format!("1 of {} checks failed\n", lines.len());
    assert!(run.stderr.ends_with(&summary), "{}", run.stderr);
    // Whatever fails, each check has a line.
    for check in ALL.into_iter().filter(|check| *check != "sshd") {
        let is_setting = check.contains('_') || check == "proxy" || check == "timeout";
        let has_settings = failed[0]["check"] != "configuration";
        if has_settings || !is_setting {
            assert!(!found(&lines, check).is_empty(), "{check}: {}", run.stdout);
        }
    }
}

/// Replaces numbers of three digits and more, dates and times.
fn without_numbers(text: &str) -> String {
    let mut result = String::new();
    let mut digits = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() > 1 && digits != "127" && digits != "30" {
            digits = "N".into();
        }
        result += &std::mem::take(&mut digits);
        result.push(c);
    }
    result.pop();
    result
}

#[test]
fn all_is_well_as_json() {
    let (_emulator, setup) = start();
    let run = doctor(&setup);
    let expected = r#"
{"check":"configuration","verdict":"ok","seen":"read from ~/.config/autharmor/config.toml"}
{"check":"client_id","verdict":"ok","seen":"set (from ~/.config/autharmor/config.toml)"}
{"check":"client_secret","verdict":"ok","seen":"set (from ~/.config/autharmor/config.toml)"}
{"check":"api_url","verdict":"ok","seen":"https://127.0.0.1:N (from ~/.config/autharmor/config.toml)"}
{"check":"login_url","verdict":"ok","seen":"https://127.0.0.1:N (from ~/.config/autharmor/config.toml)"}
{"check":"api_version","verdict":"ok","seen":"v3 (default)"}
{"check":"username_in_query","verdict":"ok","seen":"false (default)"}
{"check":"non_ascii_usernames","verdict":"ok","seen":"false (default)"}
{"check":"registration_redirect_url","verdict":"ok","seen":"none (default)"}
{"check":"ca_file","verdict":"ok","seen":"~/ca.pem (from ~/.config/autharmor/config.toml)"}
{"check":"token_file","verdict":"ok","seen":"none (default)"}
{"check":"proxy","verdict":"ok","seen":"that of the environment (default)"}
{"check":"timeout","verdict":"ok","seen":"30 s (default)"}
{"check":"token store","verdict":"ok","seen":"none: each run fetches a token"}
{"check":"proxy in use","verdict":"ok","seen":"none: connects directly"}
{"check":"name resolution","verdict":"ok","seen":"127.0.0.1: an address"}
{"check":"tls","verdict":"ok","seen":"127.0.0.1:N: TLS 1.3; localhost until N-N-N, issued by Auth Armor emulator CA"}
{"check":"clock","verdict":"ok","seen":"agrees with the service"}
{"check":"credentials","verdict":"ok","seen":"accepted, in N ms"}
{"check":"read","verdict":"ok","seen":"read a page of the user list, in N ms"}
{"check":"approve","verdict":"ok","seen":"deadline N s, failmode secure, unenrolled deny"}
{"check":"sshd","verdict":"skipped","seen":"sshd is not configured on this machine"}
"#;
    // A fast call takes a number of one digit.
    let shown: Vec<_> = run
        .stdout
        .lines()
        .map(|line| match line.rsplit_once(", in ") {
            Some((start, _)) if line.ends_with(" ms\"}") => format!("{start}, in N ms\"}}"),
            _ => without_numbers(line),
        })
        .collect();
    assert_eq!(shown, expected.trim().lines().collect::<Vec<_>>());
    assert_eq!((run.status, &*run.stderr), (0, ""));
}

#[test]
fn all_is_well_as_text() {
    let (_emulator, setup) = start();
    let run = setup.run(&["doctor"]);
    let checks: Vec<_> = run
        .stdout
        .lines()
        .map(|line| line[9..34].trim_end())
        .collect();
    assert_eq!(checks, ALL);
    assert_eq!((run.status, &*run.stderr), (0, ""));
}

#[test]
fn a_failure_has_its_advice_below_it() {
    let (emulator, setup) = start();
    emulator.fault(Fault::status(403).on("list_users"));
    let run = setup.run(&["doctor"]);
    let text = "FAIL     read                       list_users: forbidden (status 403)\n\
                \u{20}                                   The API client may not make this call: check its scopes.\n";
    assert!(run.stdout.contains(text), "{}", run.stdout);
    assert_eq!(run.stderr, "autharmor: 1 of 22 checks failed\n");
    assert_eq!(run.status, 1);
}

#[test]
fn a_refused_secret_is_found() {
    let (_emulator, setup) = start();
    setup.write("secret", "canary-of-another-secret");
    let run = doctor(&setup);
    assert_failure(
        &run,
        3,
        "credentials",
        "credentials were refused",
        "rotated secret",
    );
    assert_eq!(found(&run.lines(), "read")[0]["verdict"], "skipped");
}

#[test]
fn an_untrusted_certificate_is_shown() {
    let (_emulator, setup) = start();
    let other = Emulator::start().unwrap();
    setup.write("ca.pem", other.ca_pem());
    let run = doctor(&setup);
    assert_failure(
        &run,
        1,
        "tls",
        "presented: localhost until 20",
        "set ca_file",
    );
    for check in ["clock", "credentials", "read"] {
        assert_eq!(
            found(&run.lines(), check)[0]["verdict"],
            "skipped",
            "{check}"
        );
    }
}

#[test]
fn a_name_that_does_not_resolve_is_found() {
    let (_emulator, setup) = start();
    setup.configure("https://api.invalid", "");
    let run = doctor(&setup);
    assert_failure(&run, 4, "name resolution", "api.invalid: ", "DNS");
}

#[test]
fn only_the_api_is_missing() {
    let (emulator, setup) = start();
    let setup = setup.variable("AUTHARMOR_API_URL", "https://api.invalid");
    let run = doctor(&setup);
    assert_failure(&run, 4, "name resolution", "api.invalid: ", "DNS");
    assert_eq!(found(&run.lines(), "tls").len(), 2);
    assert_eq!(found(&run.lines(), "clock")[0]["verdict"], "ok");
    assert_eq!(found(&run.lines(), "credentials")[0]["verdict"], "ok");
    assert_eq!(
        emulator.requests().last().unwrap().endpoint(),
        Some("token")
    );
}

#[test]
fn a_refused_connection_is_found() {
    let (_emulator, setup) = start();
    setup.configure(&format!("https://{}", closed_port()), "");
    let run = doctor(&setup);
    assert_failure(&run, 4, "tls", "Connection refused", "firewall");
}

#[test]
fn a_host_that_never_responds_ends_at_the_deadline() {
    let (_emulator, setup) = start();
    let hole = BlackHole::new();
    setup.configure(&format!("https://{}", hole.addresses(1)[0]), "");
    let began = Instant::now();
    let run = setup.run(&["doctor", "--json", "--deadline", "1"]);
    // Far less than the limits of all checks.
    assert!(began.elapsed() < Duration::from_secs(9));
    assert_eq!(run.status, 4, "{}", run.stdout);
    let lines = run.lines();
    assert_eq!(
        found(&lines, "tls")[0]["seen"]
            .as_str()
            .unwrap()
            .split(": ")
            .nth(1),
        Some("no response in time")
    );
    assert_eq!(found(&lines, "credentials")[0]["seen"], "no time left");
}

#[test]
fn a_proxy_that_is_down_is_found() {
    let (_emulator, setup) = start();
    setup.configure("https://api.example", "");
    let address = closed_port();
    let setup = setup.variable(
        "ALL_PROXY",
        &format!("http://door:canary-password@{address}"),
    );
    let run = doctor(&setup);
    let seen = format!("http://{address} (from ALL_PROXY, with user and password): ");
    assert_failure(&run, 4, "proxy in use", &seen, "NO_PROXY");
}

#[test]
fn everything_goes_through_a_proxy() {
    let emulator = emulator().host("emulator.example").start().unwrap();
    let setup = Setup::new(&emulator);
    let address = proxy(emulator.address(), None);
    let setup = setup.variable("HTTPS_PROXY", &format!("http://{address}"));
    let run = doctor(&setup);
    assert_eq!(run.status, 0, "{}", run.stdout);
    let lines = run.lines();
    let seen = format!("http://{address} (from HTTPS_PROXY); it accepts connections");
    assert_eq!(found(&lines, "proxy in use")[0]["seen"], seen);
    assert_eq!(
        found(&lines, "name resolution")[0]["seen"],
        "emulator.example: left to the proxy"
    );

    // The same variable, but not for this host.
    let setup = setup.variable("NO_PROXY", "emulator.example");
    let run = doctor(&setup);
    assert_eq!(
        found(&run.lines(), "proxy in use")[0]["seen"],
        "none: connects directly"
    );
}

#[test]
fn a_proxy_that_refuses_is_found() {
    let emulator = emulator().host("emulator.example").start().unwrap();
    for (refusal, seen) in [
        (
            "407 Proxy Authentication Required",
            "wants a user and a password",
        ),
        (
            "403 Forbidden",
            "refused to connect to the host (status 403)",
        ),
    ] {
        let setup = Setup::new(&emulator);
        let address = proxy(emulator.address(), Some(refusal));
        setup.configure(
            emulator.base_url(),
            &format!("proxy = \"http://{address}\""),
        );
        assert_failure(&doctor(&setup), 4, "tls", seen, "must allow CONNECT");
    }
}

#[test]
fn a_clock_that_is_off_is_found() {
    let (emulator, setup) = start();
    emulator.advance(Duration::from_secs(100));
    let run = doctor(&setup);
    assert_eq!(run.status, 0, "{}", run.stdout);
    let lines = run.lines();
    let clock = found(&lines, "clock")[0];
    assert_eq!(clock["verdict"], "warn");
    assert!(clock["advice"].as_str().unwrap().contains("chrony"));
    emulator.advance(Duration::from_secs(3600));
    let run = doctor(&setup);
    assert_failure(&run, 1, "clock", " s behind", "chrony");
}

#[test]
fn a_token_file_is_checked_and_left_alone() {
    let (emulator, setup) = start();
    let path = setup.path("token");
    setup.configure(emulator.base_url(), &format!("token_file = {path:?}"));
    let seen = |run: &Run| found(&run.lines(), "token store")[0]["seen"].clone();

    let run = doctor(&setup);
    assert_eq!(
        seen(&run),
        "empty: the next run fetches a token and keeps it"
    );
    assert!(!path.exists());

    let client = emulator
        .client_builder()
        .token_store(FileTokenStore::new(&path));
    client.build().unwrap().check_credentials().unwrap();
    let before = fs::read(&path).unwrap();
    let run = doctor(&setup);
    assert_eq!(
        (run.status, without_numbers(seen(&run).as_str().unwrap())),
        (0, "a token for N more s".into())
    );
    assert_eq!(fs::read(&path).unwrap(), before);

    setup.set_mode("token", 0o644);
    let run = doctor(&setup);
    assert_failure(
        &run,
        3,
        "token store",
        "~/token can be used by others (mode 0644)",
        "mode 0600",
    );

    setup.configure(emulator.base_url(), "token_file = \"/nonexistent/token\"");
    let run = doctor(&setup);
    assert_failure(
        &run,
        3,
        "token store",
        "folder does not exist",
        "Make the folder",
    );
}

#[test]
fn a_wrong_configuration_is_found_and_nothing_is_sent() {
    let (emulator, setup) = start();
    for (more, seen) in [
        ("colour = 1", "colour"),
        ("api_version = \"v9\"", "api_version"),
        ("proxy = \"socks5://proxy.example:1\"", "SOCKS"),
        ("proxy = \"http://door:canary@\"", "proxy"),
    ] {
        setup.configure(emulator.base_url(), more);
        let run = doctor(&setup);
        assert_failure(&run, 3, "configuration", seen, "Correct it");
    }
    setup.configure(emulator.base_url(), "");
    setup.set_mode("secret", 0o644);
    let run = doctor(&setup);
    assert_failure(&run, 3, "configuration", "~/secret: ", "Correct it");
    assert_eq!(emulator.request_count(), 0);
}

#[test]
fn a_response_of_the_service_decides_the_exit_status() {
    for (fault, status, check, advice) in [
        (
            Fault::status(503).on("token"),
            4,
            "credentials",
            "Try again later",
        ),
        (
            Fault::status(401).on("list_users"),
            1,
            "read",
            "same environment",
        ),
        (
            Fault::status(404).on("list_users"),
            1,
            "read",
            "api_version",
        ),
        (
            Fault::status(429).on("list_users"),
            4,
            "read",
            "fewer calls",
        ),
        (
            Fault::status(200)
                .body("text/html", "<p>canary</p>")
                .on("list_users"),
            1,
            "read",
            "captive portal",
        ),
    ] {
        let (emulator, setup) = start();
        emulator.fault(fault);
        assert_failure(&doctor(&setup), status, check, "", advice);
    }
}

#[test]
fn the_wait_of_approve_is_compared_with_sshd() {
    let (emulator, setup) = start();
    setup.configure(emulator.base_url(), "[approve]\ndeadline = 60");
    let config = setup.path("sshd_config");
    let config = config.to_str().unwrap();
    let run = |text: &str| {
        setup.write("sshd_config", text);
        setup.run(&["doctor", "--json", "--sshd-config", config])
    };
    for (text, verdict) in [
        ("Port 22\n", "ok"),
        ("LoginGraceTime 0\n", "ok"),
        ("LoginGraceTime 70\n", "warn"),
    ] {
        let run = run(text);
        assert_eq!(run.status, 0, "{}", run.stdout);
        assert_eq!(found(&run.lines(), "sshd")[0]["verdict"], verdict, "{text}");
    }
    let seen = "approve takes up to 60 s, LoginGraceTime is 45 s";
    assert_failure(
        &run("LoginGraceTime 45\n"),
        3,
        "sshd",
        seen,
        "sshd ends a login",
    );
    setup.configure(
        emulator.base_url(),
        "[approve]\ndeadline = 60\nmessage = \"{nobody}\"",
    );
    assert_failure(&run(""), 3, "approve", "{nobody}", "approve --check");
    setup.configure(emulator.base_url(), "[approve]\ndeadline = 60");
    fs::create_dir(setup.path("sshd_config.d")).unwrap();
    setup.write("sshd_config.d/1.conf", "LoginGraceTime 45\n");
    let included = "Include sshd_config.d/*.conf\nLoginGraceTime 2m\n";
    assert_failure(&run(included), 3, "sshd", seen, "sshd ends a login");
}
