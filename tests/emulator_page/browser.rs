//! A browser, driven by `chromedriver`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use autharmor_test_support::programs::in_path;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// The number of browsers so far.
static COUNT: AtomicU32 = AtomicU32::new(0);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The name of element ids in responses of the driver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

/// Polls until `probe` returns a value. Panics with `what` after a time-out.
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
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
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: PathBuf,
}

impl Browser {
    pub(crate) fn open() -> Self {
        let program = |name| in_path(name).unwrap_or_else(|| panic!("{name} is missing"));
        let (chromium, chromedriver) = (program("chromium"), program("chromedriver"));
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
            // Names that only the tests know.
            "--host-resolver-rules=MAP *.test 127.0.0.1",
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

    pub(crate) fn post(&self, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.request("POST", &path, Some(body))
    }

    pub(crate) fn get(&self, command: &str) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.request("GET", &path, None)
    }

    pub(crate) fn visit(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    pub(crate) fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.post(
            "execute/sync",
            &json!({"script": script, "args": arguments}),
        )
    }

    /// Runs a script that passes its result to its last argument, a function.
    pub(crate) fn run_async(&self, script: &str, arguments: &[&str]) -> Value {
        self.post(
            "execute/async",
            &json!({"script": script, "args": arguments}),
        )
    }

    /// Saves what the window shows.
    pub(crate) fn screenshot(&self, name: &str) {
        let image = self.get("screenshot");
        let image = STANDARD.decode(image.as_str().unwrap()).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(folder.join(name), image).unwrap();
    }

    pub(crate) fn devtools(&self, command: &str, parameters: &Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.post("goog/cdp/execute", &body);
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent ?? ''";
        self.run(script, &[selector]).as_str().unwrap().to_owned()
    }

    pub(crate) fn wait_for_text(&self, selector: &str, part: &str) {
        wait_for(&format!("{selector} shows {part}"), || {
            self.text(selector).contains(part).then_some(())
        });
    }

    pub(crate) fn wait_for_no_text(&self, selector: &str, part: &str) {
        wait_for(&format!("{selector} no longer shows {part}"), || {
            (!self.text(selector).contains(part)).then_some(())
        });
    }

    pub(crate) fn press(&self, key: &str) {
        self.type_text(key);
    }

    pub(crate) fn type_text(&self, text: &str) {
        let strokes: Vec<Value> = text
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let device = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.post("actions", &json!({ "actions": [device] }));
    }

    /// The accessible name of the element that has the focus.
    pub(crate) fn focused(&self) -> String {
        let active = self.get("element/active");
        let id = active[ELEMENT].as_str().unwrap();
        let label = self.get(&format!("element/{id}/computedlabel"));
        label.as_str().unwrap().to_owned()
    }

    /// Presses Tab until the element with this accessible name has the focus.
    pub(crate) fn tab_to(&self, label: &str) {
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

    pub(crate) fn find(&self, selector: &str) -> String {
        let query = json!({"using": "css selector", "value": selector});
        let found = self.post("element", &query);
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks the element with this accessible name.
    pub(crate) fn click(&self, section: &str, label: &str) {
        self.click_on(&format!("{section} [aria-label={}]", json!(label)));
    }

    pub(crate) fn click_on(&self, selector: &str) {
        // The header covers the upper edge of the window.
        let centre = "document.querySelector(arguments[0]).scrollIntoView({block: 'center'})";
        let id = self.find(selector);
        self.run(centre, &[selector]);
        self.post(&format!("element/{id}/click"), &json!({}));
    }

    /// Chooses the option with this value.
    pub(crate) fn choose(&self, selector: &str, value: &str) {
        self.click_on(&format!("{selector} option[value={}]", json!(value)));
    }

    /// Replaces the content of a field, which then has the focus.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let id = self.find(selector);
        self.post(&format!("element/{id}/clear"), &json!({}));
        self.click_on(selector);
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
pub(crate) fn send(
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

/// Serves an empty page under any name of this machine and returns the port.
pub(crate) fn serve_empty_page() -> u16 {
    const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\
        Connection: close\r\n\r\n<!doctype html>";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = (&stream).write_all(PAGE.as_bytes());
        }
    });
    port
}
