//! The server as such: many, few, broken and slow clients.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use autharmor::emulator::Emulator;
use serde_json::json;

use crate::wire::{Api, Wire};

/// How many entries a directory of this process has in `/proc`.
#[cfg(target_os = "linux")]
fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}"))
        .unwrap()
        .count()
}

/// Threads of emulators, and sockets that listen, of this process.
#[cfg(target_os = "linux")]
fn leftovers() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .filter(|name| name.starts_with("autharmor-emul"))
        .count()
}

/// In a process of its own, as the other tests start emulators, too.
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
        // One more that says nothing, and stays.
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
fn an_emulator_can_be_shared() {
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

#[test]
fn only_loopback_addresses_are_listened_on() {
    let refused = Emulator::builder()
        .listen("0.0.0.0:0".parse().unwrap())
        .start();
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::InvalidInput
    );
    let Ok(emulator) = Emulator::builder()
        .listen("[::1]:0".parse().unwrap())
        .start()
    else {
        eprintln!("this machine has no IPv6: not tested");
        return;
    };
    assert!(emulator.base_url().starts_with("https://[::1]:"));
    assert_eq!(Api::open(&emulator).get("/v3/users").status, 200);
}

#[test]
fn sixty_four_clients_at_once_lose_nothing() {
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

/// Calls that a client in a hurry makes while others are slow.
fn hurry(emulator: &Emulator) {
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
fn who_never_finishes_a_request_keeps_nobody_out() {
    for plain in [true, false] {
        let builder = Emulator::builder().max_connections(4).user("ada");
        let emulator = if plain { builder.plain_http() } else { builder }
            .start()
            .unwrap();
        // Under TLS it does not even get to a request.
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
        hurry(&emulator);
        drop(slow);
    }
}

#[test]
fn who_sends_a_byte_at_a_time_keeps_nobody_out() {
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
                // Whoever is closed comes again.
                while !done.load(Ordering::SeqCst) {
                    let mut stream = TcpStream::connect(emulator.address()).unwrap();
                    let _ = stream.write_all(b"GET / HTTP/1.1\r\nX: ");
                    while !done.load(Ordering::SeqCst) && stream.write_all(b"x").is_ok() {
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        // Each call may have to come again, too, but all of them get there.
        let start = Instant::now();
        let mut served = 0;
        while served < 40 && start.elapsed() < Duration::from_secs(20) {
            let mut wire = Wire::open(&emulator);
            let health = wire.try_send("GET", "/_emulator/health", "", b"");
            served += usize::from(health.is_ok_and(|answer| answer.status == 200));
        }
        done.store(true, Ordering::SeqCst);
        assert_eq!(served, 40);
    });
}

#[test]
fn who_does_not_take_an_answer_keeps_nobody_out() {
    let emulator = Emulator::builder()
        .max_connections(4)
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    // An answer that no buffer between the two takes in.
    let mut api = Api::open(&emulator);
    for _ in 0..8 {
        api.raw("POST", "/nowhere", "", &vec![b'x'; 1_000_000]);
    }
    let ask = b"GET /_emulator/recorded HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let deaf: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(emulator.address()).unwrap();
            stream.write_all(ask).unwrap();
            // It has begun to come; that is all that is taken of it.
            stream.read_exact(&mut [0]).unwrap();
            stream
        })
        .collect();
    hurry(&emulator);
    drop(deaf);
}

/// Everything that comes back for some bytes.
fn exchange(emulator: &Emulator, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(emulator.address()).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn what_is_no_http_is_survived_and_so_is_what_is_no_tls() {
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
    // The same to a server that expects a handshake.
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
    api.wire.write(one.repeat(20).as_bytes()).unwrap();
    for _ in 0..20 {
        assert_eq!(api.wire.read().unwrap().status, 200);
    }
    let close = "GET /_emulator/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    api.wire.write(close.as_bytes()).unwrap();
    let answer = api.wire.read().unwrap();
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(api.wire.rest().unwrap().is_empty());
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_refusal_arrives() {
    let emulator = Emulator::start().unwrap();
    let mut wire = Wire::open(&emulator);
    let head = "POST /connect/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n";
    wire.write(head.as_bytes()).unwrap();
    let _ = wire.write(&vec![b'x'; 200_000]);
    let answer = wire.read().unwrap();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (413, Some("close"))
    );
}

#[test]
fn the_record_has_everything_as_it_was_sent() {
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
