//! A browser, driven by `chromedriver`, and tests that need one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libtest_mimic::{Arguments, Completion, Trial};
use serde_json::{Value, json};

use crate::cargo::target;
use crate::programs::in_path;

/// The number of browsers so far.
static COUNT: AtomicU32 = AtomicU32::new(0);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The name of element ids in responses of the driver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The Tab key.
pub const TAB: &str = "\u{e004}";
/// The Enter key.
pub const ENTER: &str = "\u{e007}";
/// A header for [`send`].
pub const JSON: &str = "Content-Type: application/json\r\n";

/// Lists tests by module and name, for [`run_tests`].
#[macro_export]
macro_rules! browser_tests {
    ($($module:ident: $($name:ident)*;)*) => {
        [$($((concat!(stringify!($module), "::", stringify!($name)), $module::$name as fn())),*),*]
    };
}

/// Runs tests that need `chromium` and `chromedriver` in `PATH`. Where one is
/// missing they are reported as ignored, with the reason. `lacks` says what else
/// a test lacks.
pub fn run_tests(
    tests: impl IntoIterator<Item = (&'static str, fn())>,
    lacks: fn(&str) -> Option<String>,
) -> ExitCode {
    let to_trial = |(name, test): (&'static str, fn())| {
        Trial::ignorable_test(name, move || {
            if let Some(reason) = missing_program().or_else(|| lacks(name)) {
                return Ok(Completion::ignored_with(reason));
            }
            test();
            Ok(Completion::Completed)
        })
    };
    let trials = tests.into_iter().map(to_trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn missing_program() -> Option<String> {
    ["chromium", "chromedriver"]
        .into_iter()
        .find(|program| in_path(program).is_none())
        .map(|program| format!("{program} is missing"))
}

/// The folder for profiles and screenshots.
fn folder() -> PathBuf {
    target().join("tmp")
}

/// Polls until `probe` returns a value. Panics with `what` after a time-out.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < TIMEOUT, "timed out waiting: {what}");
        thread::sleep(Duration::from_millis(25));
    }
}

/// Starts the driver, which chooses a free port and prints it.
fn start_driver(program: &Path) -> Option<(Child, u16)> {
    let mut driver = Command::new(program)
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(driver.stdout.take()?).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    let Some(port) = port else {
        let _ = driver.wait();
        return None;
    };
    // A full pipe would stop the driver.
    thread::spawn(move || lines.for_each(drop));
    Some((driver, port))
}

/// A browser window, closed when dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// Opens a window with a profile of its own.
    pub fn open() -> Self {
        let program = |name| in_path(name).unwrap_or_else(|| panic!("{name} is missing"));
        let (chromium, chromedriver) = (program("chromium"), program("chromedriver"));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = folder().join(format!("chromium-{}-{number}", std::process::id()));
        // It ends at once if another program takes the port that it has chosen.
        let (driver, port) = (0..5)
            .find_map(|_| start_driver(&chromedriver))
            .expect("chromedriver did not start");
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            profile,
        };
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

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let (status, response) = send(self.port, method, path, JSON, &body).unwrap();
        let response: Value = serde_json::from_slice(&response).unwrap();
        assert_eq!(status, 200, "{method} {path}: {response}");
        response["value"].clone()
    }

    /// Sends a command of the session to the driver.
    pub fn post(&self, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.request("POST", &path, Some(body))
    }

    /// Gets a value of the session from the driver.
    pub fn get(&self, command: &str) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.request("GET", &path, None)
    }

    /// Opens a URL and waits until it has loaded.
    pub fn visit(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// Runs a script and returns its result.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.post(
            "execute/sync",
            &json!({"script": script, "args": arguments}),
        )
    }

    /// Runs a script that passes its result to its last argument, a function.
    pub fn run_async(&self, script: &str, arguments: &[&str]) -> Value {
        self.post(
            "execute/async",
            &json!({"script": script, "args": arguments}),
        )
    }

    /// Saves what the window shows in the target folder's `tmp`.
    pub fn screenshot(&self, name: &str) {
        let image = self.get("screenshot");
        let image = STANDARD.decode(image.as_str().unwrap()).unwrap();
        std::fs::write(folder().join(name), image).unwrap();
    }

    /// Gives the window the size of a screen, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// Chooses `light` or `dark`, as the user does in the system's settings.
    pub fn color_scheme(&self, name: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": name});
        let features = json!({ "features": [feature] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Adds an authenticator, which creates and uses passkeys without asking.
    pub fn add_authenticator(&self, verifies_user: bool) {
        let authenticator = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": verifies_user,
            "isUserVerified": verifies_user,
        });
        self.post("webauthn/authenticator", &authenticator);
    }

    /// Sends a command of the DevTools protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) {
        let body = json!({"cmd": command, "params": parameters});
        self.post("goog/cdp/execute", &body);
    }

    /// Returns the text of an element, shown or not; empty if there is none.
    pub fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent ?? ''";
        self.run(script, &[selector]).as_str().unwrap().to_owned()
    }

    /// Waits until an element has this text in it.
    pub fn wait_for_text(&self, selector: &str, part: &str) {
        wait_for(&format!("{selector} shows {part}"), || {
            self.text(selector).contains(part).then_some(())
        });
    }

    /// Waits until an element does not have this text in it.
    pub fn wait_for_no_text(&self, selector: &str, part: &str) {
        wait_for(&format!("{selector} no longer shows {part}"), || {
            (!self.text(selector).contains(part)).then_some(())
        });
    }

    /// Presses a key.
    pub fn press(&self, key: &str) {
        self.type_text(key);
    }

    /// Types a text into the element with the focus.
    pub fn type_text(&self, text: &str) {
        let strokes: Vec<Value> = text
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key})))
            .collect();
        let device = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.post("actions", &json!({ "actions": [device] }));
    }

    /// The accessible name of the element that has the focus.
    pub fn focused(&self) -> String {
        let active = self.get("element/active");
        let id = active[ELEMENT].as_str().unwrap();
        let label = self.get(&format!("element/{id}/computedlabel"));
        label.as_str().unwrap().to_owned()
    }

    /// Presses Tab until the element with this accessible name has the focus.
    pub fn tab_to(&self, label: &str) {
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

    /// Returns the driver's id of an element.
    pub fn find(&self, selector: &str) -> String {
        let query = json!({"using": "css selector", "value": selector});
        let found = self.post("element", &query);
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks the element with this accessible name.
    pub fn click(&self, section: &str, label: &str) {
        self.click_on(&format!("{section} [aria-label={}]", json!(label)));
    }

    /// Clicks an element. Waits until it can be clicked.
    pub fn click_on(&self, selector: &str) {
        // The header covers the upper edge of the window.
        let centre = "document.querySelector(arguments[0]).scrollIntoView({block: 'center'})";
        wait_for(&format!("{selector} can be clicked"), || {
            let id = self.find(selector);
            self.run(centre, &[selector]);
            self.try_click(&id)
        });
    }

    /// Clicks an element, unless the page has just replaced or moved it.
    fn try_click(&self, id: &str) -> Option<()> {
        let path = format!("/session/{}/element/{id}/click", self.session);
        let (status, _) = send(self.port, "POST", &path, JSON, "{}").unwrap();
        (status == 200).then_some(())
    }

    /// Clicks the button that is shown and has this accessible name. Waits until
    /// there is one.
    pub fn press_button(&self, name: &str) {
        let script = "return [...document.querySelectorAll('button')].find((button) =>
            button.checkVisibility() && (button.ariaLabel ?? button.textContent) === arguments[0])";
        wait_for(&format!("a button {name:?}"), || {
            let button = self.run(script, &[name]);
            self.try_click(button[ELEMENT].as_str()?)
        });
    }

    /// Chooses the option with this value.
    pub fn choose(&self, selector: &str, value: &str) {
        self.click_on(&format!("{selector} option[value={}]", json!(value)));
    }

    /// Replaces the content of a field, which then has the focus.
    pub fn fill(&self, selector: &str, text: &str) {
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
pub fn send(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(2 * TIMEOUT))?;
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
pub fn serve_empty_page() -> u16 {
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
