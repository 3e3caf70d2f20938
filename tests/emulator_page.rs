//! The emulator's control page in a real browser, used by keyboard and mouse.
//!
//! Needs `chromium` and `chromedriver` in PATH. Without them it prints a warning
//! and passes.
#![cfg(feature = "emulator")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use autharmor::emulator::Emulator;
use autharmor_test_support::programs::{in_path, say_skipped};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The name of element ids in responses of the driver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Polls until `probe` returns a value. Panics with `what` after a time-out.
fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < TIMEOUT, "timed out waiting: {what}");
        thread::sleep(Duration::from_millis(25));
    }
}

/// A browser window, closed when dropped.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: PathBuf,
}

impl Browser {
    fn open() -> Option<Self> {
        let (Some(chromium), Some(chromedriver)) = (in_path("chromium"), in_path("chromedriver"))
        else {
            say_skipped("chromium/chromedriver is missing, the control page was NOT tested");
            return None;
        };
        Some(Self::start(&chromium, &chromedriver))
    }

    fn start(chromium: &Path, chromedriver: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("chromium-{}-{number}", std::process::id()));
        let driver = Command::new(chromedriver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut browser = Self {
            driver,
            port: 0,
            session: String::new(),
            profile,
        };
        browser.port = browser.read_port();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", browser.profile.display()),
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
        }}});
        let response = browser.request("POST", "/session", Some(&capabilities));
        response["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        browser
    }

    /// The driver chooses a free port and prints it.
    fn read_port(&mut self) -> u16 {
        let mut lines = BufReader::new(self.driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver did not start");
        // A full pipe would stop the driver.
        thread::spawn(move || lines.for_each(drop));
        port
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let (status, response) = send(self.port, method, path, JSON, &body).unwrap();
        let response: Value = serde_json::from_slice(&response).unwrap();
        assert_eq!(status, 200, "{method} {path}: {response}");
        response["value"].clone()
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.request("POST", &path, Some(body))
    }

    fn get(&self, command: &str) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.request("GET", &path, None)
    }

    fn visit(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.post(
            "execute/sync",
            &json!({"script": script, "args": arguments}),
        )
    }

    fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent ?? ''";
        self.run(script, &[selector]).as_str().unwrap().to_owned()
    }

    fn wait_for_text(&self, selector: &str, part: &str) {
        wait_for(&format!("{selector} shows {part}"), || {
            self.text(selector).contains(part).then_some(())
        });
    }

    fn wait_for_no_text(&self, selector: &str, part: &str) {
        wait_for(&format!("{selector} no longer shows {part}"), || {
            (!self.text(selector).contains(part)).then_some(())
        });
    }

    fn press(&self, key: &str) {
        self.type_text(key);
    }

    fn type_text(&self, text: &str) {
        let strokes: Vec<Value> = text
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let device = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.post("actions", &json!({ "actions": [device] }));
    }

    /// The accessible name of the element that has the focus.
    fn focused(&self) -> String {
        let active = self.get("element/active");
        let id = active[ELEMENT].as_str().unwrap();
        let label = self.get(&format!("element/{id}/computedlabel"));
        label.as_str().unwrap().to_owned()
    }

    /// Presses Tab until the element with this accessible name has the focus.
    fn tab_to(&self, label: &str) {
        let mut seen = Vec::new();
        for _ in 0..60 {
            self.press(TAB);
            let now = self.focused();
            if now == label {
                return;
            }
            seen.push(now);
        }
        panic!("Tab never reaches {label:?}, but {seen:?}");
    }

    fn find(&self, selector: &str) -> String {
        let query = json!({"using": "css selector", "value": selector});
        let found = self.post("element", &query);
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks the element with this accessible name.
    fn click(&self, section: &str, label: &str) {
        self.click_on(&format!("{section} [aria-label={}]", json!(label)));
    }

    fn click_on(&self, selector: &str) {
        let id = self.find(selector);
        self.post(&format!("element/{id}/click"), &json!({}));
    }

    /// Replaces the content of a field, which then has the focus.
    fn fill(&self, selector: &str, text: &str) {
        let id = self.find(selector);
        self.post(&format!("element/{id}/clear"), &json!({}));
        self.post(&format!("element/{id}/click"), &json!({}));
        self.type_text(text);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends chromium. Not through `request`, which may panic: a second
            // panic would hide the first.
            let path = format!("/session/{}", self.session);
            let _ = send(self.port, "DELETE", &path, "", "");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Makes an HTTP request on a new connection. Each line of `headers` ends in
/// CRLF.
fn send(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((status.unwrap_or(0), body))
}

const JSON: &str = "Content-Type: application/json\r\n";

/// An emulator and a backend that calls it.
struct Backend {
    emulator: Emulator,
    bearer: String,
}

impl Backend {
    fn start(users: &[&str]) -> Self {
        let mut builder = Emulator::builder().plain_http();
        for user in users {
            builder = builder.user(*user);
        }
        let emulator = builder.start().unwrap();
        let mut backend = Self {
            emulator,
            bearer: String::new(),
        };
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            backend.emulator.client_id(),
            backend.emulator.client_secret()
        );
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let response = backend.exchange("POST", "/connect/token", kind, &form);
        let token = response["access_token"].as_str().unwrap();
        backend.bearer = format!("Authorization: Bearer {token}\r\n");
        backend
    }

    fn exchange(&self, method: &str, path: &str, headers: &str, body: &str) -> Value {
        let port = self.emulator.address().port();
        let (status, response) = send(port, method, path, headers, body).unwrap();
        let response: Value = serde_json::from_slice(&response).unwrap();
        assert_eq!(status, 200, "{method} {path}: {response}");
        response
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let headers = format!("{}{JSON}", self.bearer);
        self.exchange("POST", path, &headers, &body.to_string())
    }

    /// Starts a sign-in with or without a user and returns its id.
    fn start_sign_in(&self, username: Option<&str>) -> String {
        let body = json!({
            "username": username,
            "action_name": "Login",
            "short_msg": "Is <b>this</b> you?",
            "send_push": username.is_some(),
        });
        let response = self.post("/v4/auth/authenticator/start", &body);
        response["auth_request_id"].as_str().unwrap().to_owned()
    }

    /// `auth_request_status_id` and `result_code`.
    fn state(&self, id: &str) -> (i64, i64) {
        let response = self.exchange("GET", &format!("/v4/auth/{id}"), &self.bearer, "");
        let result = &response["auth_response"]["result_code"];
        (
            response["auth_request_status_id"].as_i64().unwrap(),
            result.as_i64().unwrap(),
        )
    }

    fn is_waiting(&self, id: &str) -> bool {
        self.state(id).0 == 3
    }

    fn page(&self) -> String {
        format!("{}/_emulator/", self.emulator.base_url())
    }
}

const APPROVED: (i64, i64) = (4, 8);
const DECLINED: (i64, i64) = (2, 3);

/// An emulator with these users and a browser that shows its page.
fn open(users: &[&str]) -> Option<(Backend, Browser)> {
    let browser = Browser::open()?;
    let backend = Backend::start(users);
    browser.visit(&backend.page());
    browser.wait_for_text("#status", "Connected");
    Some((backend, browser))
}

#[test]
fn the_page_lists_the_users() {
    let Some((_backend, browser)) = open(&["ada@example.com", "grace"]) else {
        return;
    };
    assert_eq!(browser.text("title"), "Auth Armor emulator");
    assert_eq!(browser.text("#users h2"), "Users (2)");
    let methods = "AuthArmorAuthenticator, Magiclink_Email";
    for part in ["ada@example.com", "grace", methods] {
        browser.wait_for_text("#users", part);
    }
    assert!(
        browser
            .text("#requests")
            .contains("There are no pending sign-ins")
    );
}

#[test]
fn a_sign_in_can_be_approved_by_keyboard() {
    let Some((backend, browser)) = open(&["ada", "grace"]) else {
        return;
    };
    let first = backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests", "ada");
    browser.wait_for_text("#status", "New: sign-in");
    let second = backend.start_sign_in(Some("grace"));
    browser.wait_for_text("#requests", "grace");
    assert!(backend.is_waiting(&first));

    browser.tab_to("Approve: ada");
    browser.press(ENTER);
    browser.wait_for_no_text("#requests", "ada");
    browser.wait_for_text("#status", "Approved: ada");
    assert_eq!(backend.state(&first), APPROVED);
    assert!(backend.is_waiting(&second));
    // The button that had the focus was removed: the next one gets it.
    assert_eq!(browser.focused(), "Approve: grace");
    browser.press(ENTER);
    browser.wait_for_text("#requests h2", "(0)");
    assert_eq!(backend.state(&second), APPROVED);
    assert_eq!(browser.focused(), "Pending sign-ins (0)");
}

#[test]
fn every_control_is_reached_by_tab_and_shows_its_focus() {
    let Some((backend, browser)) = open(&["ada"]) else {
        return;
    };
    backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests h2", "(1)");
    for label in [
        "Skip to the pending sign-ins",
        "Refresh now",
        "Pause refreshing",
        "Reset everything",
        "Approve: ada",
        "Decline: ada",
        "Text of the QR code (qr_code_data)",
        "Username (for a sign-in without a user)",
        "Scan",
        "Username or e-mail address",
        "Add",
    ] {
        browser.press(TAB);
        assert_eq!(browser.focused(), label);
        let outline = "return getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(browser.run(outline, &[]), "solid", "{label}");
    }
    browser.press(TAB);
    browser.press(ENTER);
    browser.wait_for_text("#route-list", "/_emulator/approve");
    let open = "return document.querySelector('details').open";
    assert_eq!(browser.run(open, &[]), true);
}

#[test]
fn a_sign_in_can_be_declined_by_mouse() {
    let Some((backend, browser)) = open(&["ada"]) else {
        return;
    };
    let id = backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests", "ada");
    browser.click("#requests", "Decline: ada");
    browser.wait_for_text("#status", "Declined: ada");
    assert_eq!(backend.state(&id), DECLINED);
}

#[test]
fn a_request_without_a_user_asks_for_a_username() {
    let Some((backend, browser)) = open(&["ada", "grace"]) else {
        return;
    };
    let id = backend.start_sign_in(None);
    browser.wait_for_text("#requests", "any user");
    browser.tab_to("Approve: any user");
    browser.press(ENTER);
    // Nothing is sent without a name: the empty field gets the focus.
    assert_eq!(browser.focused(), "Username");
    browser.type_text("nobody");
    browser.press(TAB);
    browser.press(ENTER);
    browser.wait_for_text("#status", "Approve failed");
    assert!(backend.is_waiting(&id));

    browser.fill("#requests input", "grace");
    browser.click("#requests", "Approve: any user");
    browser.wait_for_text("#status", "Approved");
    assert_eq!(backend.state(&id), APPROVED);
}

#[test]
fn a_magic_link_signs_in() {
    let Some((backend, browser)) = open(&["ada@example.com"]) else {
        return;
    };
    let started = backend.post(
        "/v4/auth/magiclink_email/start",
        &json!({
            "username": "ada@example.com",
            "action_name": "Login",
            "short_msg": "Is this you?",
            "auth_redirect_url": "https://app.example.com/landing",
        }),
    );
    let id = started["auth_request_id"].as_str().unwrap();
    browser.wait_for_text("#requests", "Open the magic link in the outbox.");
    assert!(!browser.text("#requests").contains("Approve"));
    browser.wait_for_text("#outbox", "ada@example.com");

    let button = "Open the magic link: Login at Emulated Project";
    browser.click("#outbox", button);
    let redirect = "Redirected to https://app.example.com/landing?auth_validation_token=";
    browser.wait_for_text("#outbox", redirect);
    assert_eq!(backend.state(id), APPROVED);
    let note = browser.text("#outbox .note");
    let (_, token) = note.split_once("auth_validation_token=").unwrap();
    let (token, _) = token.split_once('&').unwrap();
    let validated = backend.post(
        "/v4/auth/magiclink_email/validate",
        &json!({"auth_request_id": id, "auth_validation_token": token}),
    );
    let details = &validated["validate_auth_response_details"];
    assert_eq!(details["authorized"], true);

    browser.click("#outbox", button);
    browser.wait_for_text("#status", "Open the magic link failed");
}

#[test]
fn a_registration_is_accepted_scanned_or_declined() {
    let Some((backend, browser)) = open(&[]) else {
        return;
    };
    let invite = |name: &str| {
        let path = "/v4/users/registrations/authenticator/start";
        backend.post(path, &json!({ "username": name }))
    };
    let status = |started: &Value| {
        let id = started["registration_id"].as_str().unwrap();
        let path = format!("/v4/users/registrations/{id}");
        let response = backend.exchange("GET", &path, &backend.bearer, "");
        response["registration_status_code"].as_i64().unwrap()
    };
    let (ada, grace) = (invite("ada"), invite("grace"));
    browser.wait_for_text("#registrations", "grace");
    browser.click("#registrations", "Accept only: ada");
    browser.wait_for_text("#status", "Accepted: ada");
    assert_eq!(status(&ada), 6);
    browser.click("#registrations", "Scan and enrol: ada");
    browser.wait_for_text("#status", "Enrolled: ada");
    assert_eq!(status(&ada), 8);
    browser.click("#registrations", "Decline: grace");
    browser.wait_for_text("#status", "Declined: grace");
    assert_eq!(status(&grace), 3);

    let joan = invite("joan");
    let code = joan["qr_code_data"].as_str().unwrap();
    browser.wait_for_text("#registrations", "joan");
    browser.fill("#scan [name=code]", code);
    browser.press(ENTER);
    browser.wait_for_text("#status", "Scanned: the phone has enrolled.");
    assert_eq!(status(&joan), 8);
}

#[test]
fn markup_in_names_is_shown_as_text() {
    let name =
        "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    let Some((backend, browser)) = open(&["ada", name]) else {
        return;
    };
    backend.start_sign_in(Some(name));
    browser.wait_for_text("#requests", name);
    browser.wait_for_text("#requests", "Is <b>this</b> you?");
    browser.wait_for_text("#users", name);
    let foreign = "return document.querySelectorAll('img, main b, main script').length";
    assert_eq!(browser.run(foreign, &[]), 0);
    browser.tab_to(&format!("Approve: {name}"));
    browser.press(ENTER);
    browser.wait_for_text("#status", &format!("Approved: {name}"));
    assert_eq!(browser.text("title"), "Auth Armor emulator");
}

#[test]
fn refreshing_keeps_focus_and_forms() {
    let Some((backend, browser)) = open(&["ada", "grace"]) else {
        return;
    };
    backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests", "ada");
    browser.tab_to("Decline: ada");
    let before = browser.get("element/active");
    backend.start_sign_in(Some("grace"));
    browser.wait_for_text("#requests", "grace");
    backend.emulator.add_user("joan").unwrap();
    browser.wait_for_text("#users", "joan");
    assert_eq!(browser.get("element/active"), before);

    browser.fill("#add [name=username]", "mary");
    backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests h2", "(3)");
    browser.press(ENTER);
    browser.wait_for_text("#users", "mary");
}

#[test]
fn pausing_stops_the_refreshing() {
    let Some((backend, browser)) = open(&["ada"]) else {
        return;
    };
    browser.tab_to("Pause refreshing");
    browser.press(ENTER);
    browser.wait_for_text("#status", "paused");
    // A refresh may still run; this one comes after it.
    browser.click_on("#refresh");
    browser.wait_for_text("#status", "Refreshed");
    backend.start_sign_in(Some("ada"));
    let polls = "return performance.getEntriesByType('resource').length";
    let before = browser.run(polls, &[]);
    // Only time can show that nothing happens.
    let two_rounds = Instant::now() + Duration::from_secs(3);
    wait_for("two rounds", || (Instant::now() > two_rounds).then_some(()));
    assert_eq!(browser.run(polls, &[]), before);
    assert_eq!(browser.text("#requests h2"), "Pending sign-ins (0)");

    browser.click_on("#pause");
    browser.wait_for_text("#requests", "ada");
}

#[test]
fn resetting_asks_first() {
    let Some((backend, browser)) = open(&["ada"]) else {
        return;
    };
    backend.emulator.add_user("grace").unwrap();
    browser.wait_for_text("#users", "grace");
    browser.tab_to("Reset everything");
    browser.press(ENTER);
    browser.post("alert/dismiss", &json!({}));
    assert_eq!(backend.emulator.users().len(), 2);
    browser.press(ENTER);
    browser.post("alert/accept", &json!({}));
    browser.wait_for_no_text("#users", "grace");
    assert_eq!(backend.emulator.users().len(), 1);
}

#[test]
fn a_stopped_emulator_is_reported() {
    let Some((backend, browser)) = open(&["ada"]) else {
        return;
    };
    drop(backend);
    browser.wait_for_text("#status", "does not respond");
    assert!(browser.text("#users").contains("ada"));
}

#[test]
fn the_page_fits_small_screens_and_dark_mode() {
    let Some((backend, browser)) = open(&["ada@example.com"]) else {
        return;
    };
    backend.emulator.add_user("x".repeat(80)).unwrap();
    backend.start_sign_in(Some("ada@example.com"));
    browser.wait_for_text("#requests", "ada");
    browser.wait_for_text("#users", "xxx");
    let devtools = |command: &str, parameters: Value| {
        let body = json!({"cmd": command, "params": parameters});
        browser.post("goog/cdp/execute", &body);
    };
    let phone = json!({"width": 320, "height": 640, "deviceScaleFactor": 1, "mobile": true});
    devtools("Emulation.setDeviceMetricsOverride", phone);
    let width = "return document.documentElement.scrollWidth";
    assert_eq!(browser.run(width, &[]), 320);

    let paper = "return getComputedStyle(document.body).backgroundColor";
    let scheme = |name: &str| {
        let feature = json!({"name": "prefers-color-scheme", "value": name});
        devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        );
        browser.run(paper, &[])
    };
    assert_eq!(scheme("light"), "rgb(246, 247, 249)");
    assert_eq!(scheme("dark"), "rgb(20, 24, 29)");
}
