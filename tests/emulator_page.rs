//! The emulator's control page in a real browser, driven as a person would.
//!
//! Needs `chromium` and `chromedriver` in PATH; says so and passes where they
//! are missing.
#![cfg(feature = "emulator")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
/// The name under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Polls until `probe` yields something; panics with `what` when it never does.
fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "timed out waiting: {what}");
        thread::sleep(Duration::from_millis(25));
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A browser window under WebDriver's control; closed when dropped.
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
            eprintln!("SKIPPED: chromium/chromedriver is missing, the control page was NOT tested");
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
        let answer = browser.request("POST", "/session", Some(&capabilities));
        answer["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        browser
    }

    /// The driver chooses a free port and names it on its output.
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
        // Nobody else reads on, and a full pipe would stop the driver.
        thread::spawn(move || lines.for_each(drop));
        port
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = http(self.port, method, path, body);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer["value"].clone()
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
        let strokes = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        let device = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.post("actions", &json!({ "actions": [device] }));
    }

    /// What a screen reader calls the element that has the focus.
    fn focused(&self) -> String {
        let active = self.get("element/active");
        let id = active[ELEMENT].as_str().unwrap();
        let label = self.get(&format!("element/{id}/computedlabel"));
        label.as_str().unwrap().to_owned()
    }

    /// Goes on by Tab until the element with this accessible name has focus.
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

    /// Clicks what has this accessible name, with the mouse.
    fn click(&self, section: &str, label: &str) {
        let selector = format!("{section} [aria-label={}]", json!(label));
        let found = self.post(
            "element",
            &json!({"using": "css selector", "value": selector}),
        );
        let id = found[ELEMENT].as_str().unwrap();
        self.post(&format!("element/{id}/click"), &json!({}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends chromium. Not through `request`: a panic in here would hide
            // the one that the test may be ending with.
            let _ = send(
                self.port,
                "DELETE",
                &format!("/session/{}", self.session),
                None,
            );
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

fn http(port: u16, method: &str, path: &str, body: Option<&Value>) -> (u16, Vec<u8>) {
    send(port, method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

/// One HTTP exchange on a connection of its own.
fn send(
    port: u16,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> std::io::Result<(u16, Vec<u8>)> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok((status.unwrap_or(0), body))
}

#[test]
fn smoke() {
    let Some(browser) = Browser::open() else {
        return;
    };
    browser.visit("http://127.0.0.1:18999/_emulator/");
    browser.wait_for_text("#users", "ada");
    browser.tab_to("Approve: ada");
    browser.press(ENTER);
    browser.wait_for_no_text("#requests", "ada");
    assert_eq!(browser.focused(), "Approve: bob");
    browser.click("#requests", "Decline: bob");
    browser.wait_for_no_text("#requests", "bob");
    eprintln!("{:?}", browser.focused());
}
