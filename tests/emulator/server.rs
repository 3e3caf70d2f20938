//! The HTTP server, with many, slow and malformed clients.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use autharmor::emulator::Emulator;
use serde_json::json;

use crate::client::{Api, Connection};

/// The number of entries in a directory of this process in `/proc`.
#[cfg(target_os = "linux")]
fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}"))
        .unwrap()
        .count()
}

/// The number of emulator threads in this process.
#[cfg(target_os = "linux")]
fn leftovers() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|name| name.starts_with("autharmor-emul"))
        .count()
}

/// Runs in a process of its own: other tests start emulators, too.
#[cfg(target_os = "linux")]
#[test]
fn two_hundred_emulators_leave_nothing_behind() {
    const INSIDE: &str = "AUTHARMOR_EMULATOR_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "server::two_hundred_emulators_leave_nothing_behind",
            ])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let round = |plain: bool| {
        let builder = Emulator::builder().user("ada");
        let emulator = if plain { builder.plain_http() } else { builder }
            .start()
            .unwrap();
        let mut api = Api::open(&emulator);
        assert_eq!(api.get("/v3/users").status, 200);
        // A connection that sends nothing stays open, too.
        (TcpStream::connect(emulator.address()).unwrap(), api)
    };
    round(false);
    let before = (count("task"), count("fd"));
    for at in 0..200 {
        drop(round(at % 2 == 0));
    }
    assert_eq!(leftovers(), 0);
    assert_eq!((count("task"), count("fd")), before);
}

#[test]
fn an_emulator_is_send_and_sync() {
    fn shared<T: Send + Sync>() {}
    shared::<Emulator>();
}

#[test]
fn a_stopped_emulator_frees_its_port() {
    let emulator = Emulator::start().unwrap();
    let address = emulator.address();
    drop(emulator);
    assert!(TcpStream::connect(address).is_err());
    TcpListener::bind(address).unwrap();
}

/// Drops an emulator and checks that this does not take long.
fn drop_quickly(emulator: Emulator) {
    let start = Instant::now();
    drop(emulator);
    assert!(start.elapsed() < Duration::from_secs(5), "dropping waits");
}

#[test]
fn dropping_does_not_wait_for_open_connections() {
    for plain in [true, false] {
        let builder = Emulator::builder().user("ada");
        let emulator = if plain { builder.plain_http() } else { builder }
            .start()
            .unwrap();
        let client = emulator.client_builder().build().unwrap();
        client.get_user("ada").unwrap();
        let mut api = Api::open(&emulator);
        assert_eq!(api.get("/v3/users").status, 200);
        let mut unfinished = TcpStream::connect(emulator.address()).unwrap();
        unfinished.write_all(b"POST /connect").unwrap();
        drop_quickly(emulator);
        // All of them were closed.
        assert!(client.get_user("ada").is_err());
        assert!(api.connection.rest().unwrap_or_default().is_empty());
        let timeout = Some(Duration::from_secs(5));
        unfinished.set_read_timeout(timeout).unwrap();
        if let Err(error) = unfinished.read_to_end(&mut Vec::new()) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "still open");
        }
    }
}

#[test]
fn dropping_does_not_wait_for_an_observer_that_blocks() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let (entered, enters) = std::sync::mpsc::channel();
    let blocked = std::sync::Mutex::new(blocked);
    let emulator = Emulator::builder()
        .plain_http()
        .on_request(move |_, _| {
            entered.send(()).unwrap();
            let _ = blocked.lock().unwrap().recv();
        })
        .start()
        .unwrap();
    let mut connection = Connection::open(&emulator);
    connection
        .write(b"GET /v3/users HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    enters.recv().unwrap();
    drop_quickly(emulator);
    drop(release);
}

#[test]
fn only_loopback_addresses_are_listened_on() {
    let refused = Emulator::builder()
        .listen("0.0.0.0:0".parse().unwrap())
        .start();
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::InvalidInput
    );
    let ipv6 = "[::1]:0".parse().unwrap();
    match (
        TcpListener::bind(ipv6),
        Emulator::builder().listen(ipv6).start(),
    ) {
        (Ok(_), Ok(emulator)) => {
            assert!(emulator.base_url().starts_with("https://[::1]:"));
            assert_eq!(Api::open(&emulator).get("/v3/users").status, 200);
        }
        // A machine without IPv6.
        (Err(expected), Err(error)) => assert_eq!(error.kind(), expected.kind()),
        (bound, started) => panic!("{bound:?}, but {started:?}"),
    }
}

#[test]
fn a_host_name_is_accepted_by_certificate_and_control_routes() {
    let emulator = Emulator::builder()
        .host("emulator.test")
        .host("192.0.2.7")
        .user("ada")
        .start()
        .unwrap();
    let port = emulator.address().port();
    assert_eq!(emulator.base_url(), format!("https://emulator.test:{port}"));
    for name in ["emulator.test", "192.0.2.7", "localhost", "127.0.0.1"] {
        let mut connection = Connection::open_as(&emulator, name);
        let request = format!("GET /_emulator/health HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n");
        connection.write(request.as_bytes()).unwrap();
        assert_eq!(connection.read().unwrap().status, 200, "{name}");
    }
    let mut other = Connection::open_as(&emulator, "other.test");
    let refused = other.try_send("GET", "/_emulator/health", "", b"");
    assert!(refused.is_err());
    // A client of this process needs no DNS.
    let client = emulator.client_builder().build().unwrap();
    assert!(client.get_user("ada").is_ok());
    for name in ["", "a b", "emulator.test:8443", "https://x", "a..b"] {
        let refused = Emulator::builder().host(name).start();
        let kind = refused.unwrap_err().kind();
        assert_eq!(kind, std::io::ErrorKind::InvalidInput, "{name}");
    }
}

#[test]
fn other_addresses_are_listened_on_only_by_the_dangerous_option() {
    let address = "0.0.0.0:0".parse().unwrap();
    let emulator = Emulator::builder()
        .listen(address)
        .dangerously_allow_remote_control()
        .user("ada")
        .start()
        .unwrap();
    // The URLs work nevertheless.
    assert!(emulator.base_url().starts_with("https://127.0.0.1:"));
    let client = emulator.client_builder().build().unwrap();
    assert!(client.get_user("ada").is_ok());
    let start = Instant::now();
    drop(emulator);
    assert!(start.elapsed() < Duration::from_secs(5), "dropping waits");
}

#[test]
fn a_certificate_authority_is_kept_in_files() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("kept-ca-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
    let start = || {
        Emulator::builder()
            .ca_files(&certificate, &key)
            .user("ada")
            .start()
    };
    let first = start().unwrap();
    let second = start().unwrap();
    assert_eq!(first.ca_pem(), second.ca_pem());
    assert_eq!(
        std::fs::read_to_string(&certificate).unwrap(),
        first.ca_pem()
    );
    // A client that trusts the first one trusts the second one.
    let client = second
        .client_builder()
        .only_root_certificates(first.ca_pem());
    assert!(client.build().unwrap().get_user("ada").is_ok());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // Files that do not belong together, are damaged or missing.
    let own = std::fs::read_to_string(&certificate).unwrap();
    let foreign = Emulator::start().unwrap();
    for text in [foreign.ca_pem(), "", "junk"] {
        std::fs::write(&certificate, text).unwrap();
        let error = start().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{text}");
        assert!(error.to_string().contains("ca-key.pem"), "{error}");
    }
    std::fs::remove_file(&certificate).unwrap();
    assert!(start().is_err(), "a key is never overwritten");
    std::fs::write(&certificate, own).unwrap();
    start().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_client_that_does_not_trust_the_certificate_is_reported() {
    let (reasons, reported) = std::sync::mpsc::channel();
    let emulator = Emulator::builder()
        .on_invalid_input(move |reason| reasons.send(reason.to_owned()).unwrap())
        .start()
        .unwrap();
    let other = Emulator::start().unwrap();
    let client = emulator.client_builder();
    let client = client
        .only_root_certificates(other.ca_pem())
        .build()
        .unwrap();
    assert!(client.check_credentials().is_err());
    let reason = reported.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(
        reason.contains("does not trust the certificate"),
        "{reason}"
    );

    exchange(&emulator, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let reason = reported.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(reason.contains("does not speak TLS"), "{reason}");
    assert_eq!(emulator.request_count(), 0);
}

#[test]
fn sixty_four_clients_work_at_once() {
    const CLIENTS: usize = 64;
    const CALLS: usize = 25;
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let ids: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut api = Api::open(&emulator);
                    (0..CALLS)
                        .map(|_| {
                            let body = json!({"username": "ada"});
                            let started = api.ok("POST", "/v3/auth/authenticator/start", &body);
                            started["auth_request_id"].as_str().unwrap().to_owned()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), CLIENTS * CALLS);
    assert_eq!(emulator.pending_requests().len(), CLIENTS * CALLS);
    assert_eq!(emulator.requests().len(), CLIENTS * (CALLS + 1));
    for id in ids.iter().step_by(50) {
        emulator.approve(id.parse().unwrap()).unwrap();
    }
}

/// Makes calls that have to be quick while other clients are slow.
fn make_quick_calls(emulator: &Emulator) {
    let start = Instant::now();
    for _ in 0..4 {
        let mut api = Api::open(emulator);
        for _ in 0..10 {
            assert_eq!(api.get("/v3/users").status, 200);
        }
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn unfinished_requests_do_not_block_other_clients() {
    for plain in [true, false] {
        let builder = Emulator::builder().max_connections(4).user("ada");
        let emulator = if plain { builder.plain_http() } else { builder }
            .start()
            .unwrap();
        // With TLS these are not even handshakes.
        let beginnings: [&[u8]; 4] = [
            b"POST /v3/auth/authenticator/start HTTP/1.1\r\nHo",
            b"POST /connect/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
            b"POST /connect/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
            b"",
        ];
        let slow: Vec<TcpStream> = (0..16)
            .map(|at| {
                let mut stream = TcpStream::connect(emulator.address()).unwrap();
                let _ = stream.write_all(beginnings[at % 4]);
                stream
            })
            .collect();
        make_quick_calls(&emulator);
        drop(slow);
    }
}

#[test]
fn clients_that_send_single_bytes_do_not_block_others() {
    let emulator = Emulator::builder()
        .max_connections(4)
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // Connect again after being closed.
                while !done.load(Ordering::SeqCst) {
                    let mut stream = TcpStream::connect(emulator.address()).unwrap();
                    let _ = stream.write_all(b"GET / HTTP/1.1\r\nX: ");
                    while !done.load(Ordering::SeqCst) && stream.write_all(b"x").is_ok() {
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        // A call may have to be repeated, too, but all succeed in the end.
        let start = Instant::now();
        let mut served = 0;
        while served < 40 && start.elapsed() < Duration::from_secs(20) {
            let mut connection = Connection::open(&emulator);
            let health = connection.try_send("GET", "/_emulator/health", "", b"");
            served += usize::from(health.is_ok_and(|response| response.status == 200));
        }
        done.store(true, Ordering::SeqCst);
        assert_eq!(served, 40);
    });
}

#[test]
fn clients_that_do_not_read_do_not_block_others() {
    let emulator = Emulator::builder()
        .max_connections(4)
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    // A response that is larger than the buffers of the sockets.
    let mut api = Api::open(&emulator);
    for _ in 0..8 {
        api.raw("POST", "/nowhere", "", &vec![b'x'; 1_000_000]);
    }
    let request = b"GET /_emulator/recorded HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let stuck: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(emulator.address()).unwrap();
            stream.write_all(request).unwrap();
            // Read the first byte and no more.
            stream.read_exact(&mut [0]).unwrap();
            stream
        })
        .collect();
    make_quick_calls(&emulator);
    drop(stuck);
}

/// Sends bytes and returns everything that is received.
fn exchange(emulator: &Emulator, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(emulator.address()).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    response
}

#[test]
fn input_that_is_not_http_or_not_tls_does_no_harm() {
    let emulator = Emulator::builder()
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    let api = Api::open(&emulator);
    let good = format!(
        "POST /v4/auth/authenticator/start HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         12\r\n{{\"username\":\"ada\"}}\r\n0\r\n\r\n",
        api.token
    );
    assert!(exchange(&emulator, good.as_bytes()).starts_with(b"HTTP/1.1 200"));
    for bytes in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        &[0xff; 5000],
        b"GET",
        &vec![b'A'; 100_000],
    ] {
        exchange(&emulator, bytes);
    }
    assert!(exchange(&emulator, good.as_bytes()).starts_with(b"HTTP/1.1 200"));
    // The same with TLS.
    let secure = Emulator::builder().user("ada").start().unwrap();
    for bytes in [good.as_bytes(), b"", b"\x16\x03\x01\xff\xff", &[0xff; 5000]] {
        exchange(&secure, bytes);
    }
    assert_eq!(Api::open(&secure).get("/v3/users").status, 200);
}

#[test]
fn connections_are_kept_and_requests_may_be_pipelined() {
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let mut api = Api::open(&emulator);
    let one = format!(
        "GET /v3/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        api.token
    );
    api.connection.write(one.repeat(20).as_bytes()).unwrap();
    for _ in 0..20 {
        assert_eq!(api.connection.read().unwrap().status, 200);
    }
    let close = "GET /_emulator/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    api.connection.write(close.as_bytes()).unwrap();
    let response = api.connection.read().unwrap();
    assert_eq!(response.header("connection"), Some("close"));
    assert!(api.connection.rest().unwrap().is_empty());
}

#[test]
fn a_client_receives_the_refusal_of_a_body_that_is_too_large() {
    let emulator = Emulator::start().unwrap();
    let mut connection = Connection::open(&emulator);
    let head = "POST /connect/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n";
    connection.write(head.as_bytes()).unwrap();
    let _ = connection.write(&vec![b'x'; 200_000]);
    let response = connection.read().unwrap();
    assert_eq!(
        (response.status, response.header("connection")),
        (413, Some("close"))
    );
}

#[test]
fn recorded_requests_are_as_sent() {
    let emulator = Emulator::builder()
        .plain_http()
        .keep_requests(2)
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    api.raw(
        "PUT",
        "/v4/users/%41?x=1",
        "X-Custom: a b\r\nContent-Type: text/plain\r\n",
        b"body",
    );
    api.raw("GET", "/nowhere", "", b"");
    let [first, second] = &emulator.requests()[..] else {
        panic!()
    };
    assert_eq!(emulator.request_count(), 3);
    assert_eq!(first.request_line(), "PUT /v4/users/%41?x=1 HTTP/1.1");
    assert_eq!(
        (first.method(), first.path(), first.query()),
        ("PUT", "/v4/users/%41", Some("x=1"))
    );
    assert_eq!(first.endpoint(), Some("update_user"));
    assert_eq!(first.header("x-CUSTOM"), Some("a b"));
    assert_eq!(first.headers().next().unwrap().0, "Host");
    assert_eq!(first.body(), b"body");
    assert_eq!(second.endpoint(), None);
    emulator.clear_requests();
    assert!(emulator.requests().is_empty());
}
