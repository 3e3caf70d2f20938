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
/// How long to wait for a page, which a busy machine may show late.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a script or the loading of a page may take.
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(300);
/// Errors that the driver reports while a page is replaced, loaded or changed, and
/// of what is not there yet. The time-outs are also those of commands whose page is
/// gone.
const TRANSIENT: [&str; 13] = [
    "detached shadow root",
    "element click intercepted",
    "element not interactable",
    "invalid element state",
    "javascript error",
    "no such alert",
    "no such element",
    "no such frame",
    "no such window",
    "script timeout",
    "stale element reference",
    "timeout",
    "unknown error",
];
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
    let mut arguments = Arguments::from_args();
    // They wait most of the time.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(2 * cores);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn missing_program() -> Option<String> {
    ["chromium", "chromedriver"]
        .into_iter()
        .find(|program| in_path(program).is_none())
        .map(|program| format!("{program} is missing"))
}

/// The folder for screenshots.
fn screenshots() -> PathBuf {
    target().join("screenshots")
}

/// Polls until `probe` returns a value. Panics with `what` after a time-out.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    retry(|| probe().ok_or_else(|| what.to_owned()))
}

/// Calls `attempt` until it succeeds. Panics after a time-out, with what it
/// returned last.
pub fn retry<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(reason) if start.elapsed() > TIMEOUT => panic!("timed out waiting: {reason}"),
            Err(_) => thread::sleep(Duration::from_millis(25)),
        }
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
        retry(Self::try_open)
    }

    fn try_open() -> Result<Self, String> {
        let program = |name| in_path(name).unwrap_or_else(|| panic!("{name} is missing"));
        let (chromium, chromedriver) = (program("chromium"), program("chromedriver"));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = target().join(format!("tmp/chromium-{}-{number}", std::process::id()));
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
        let limit = SCRIPT_TIMEOUT.as_millis();
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "timeouts": {"script": limit, "pageLoad": limit},
            "unhandledPromptBehavior": "ignore",
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
        }}});
        let response = browser.exchange("POST", "/session", &capabilities)?;
        let id = response["sessionId"].as_str().ok_or("no session")?;
        id.clone_into(&mut browser.session);
        Ok(browser)
    }

    /// Sends one request to the driver. Panics if the error is not transient.
    fn exchange(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let (status, response) = send(self.port, method, path, JSON, &body).unwrap();
        let mut response: Value = serde_json::from_slice(&response).unwrap();
        if status == 200 {
            return Ok(response["value"].take());
        }
        let reason = format!("{method} {path}: {response}");
        let error = response["value"]["error"].as_str().unwrap_or_default();
        let is_transient = TRANSIENT.contains(&error) || error == "session not created";
        assert!(is_transient, "{reason}");
        Err(reason)
    }

    /// Sends a command of the session to the driver, once.
    fn try_post(&self, command: &str, body: &Value) -> Result<Value, String> {
        self.exchange(
            "POST",
            &format!("/session/{}/{command}", self.session),
            body,
        )
    }

    /// Sends a command of the session to the driver. Sends it again while the page
    /// is not ready for it.
    pub fn post(&self, command: &str, body: &Value) -> Value {
        retry(|| self.try_post(command, body))
    }

    fn try_get(&self, command: &str) -> Result<Value, String> {
        self.exchange(
            "GET",
            &format!("/session/{}/{command}", self.session),
            &Value::Null,
        )
    }

    /// Gets a value of the session from the driver. Asks again while the page is
    /// not ready for it.
    pub fn get(&self, command: &str) -> Value {
        retry(|| self.try_get(command))
    }

    /// Opens a URL and waits until it has loaded.
    pub fn visit(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// Goes back by one page of the history, and waits until that has loaded.
    pub fn back(&self) {
        let position = || {
            let history = self.devtools("Page.getNavigationHistory", &json!({}));
            history["currentIndex"].as_u64().unwrap()
        };
        let before = position();
        assert_ne!(before, 0, "there is no page before this one");
        retry(|| {
            if position() == before {
                self.try_post("back", &json!({}))?;
            }
            let state = self.try_run("return document.readyState", &[])?;
            let is_there = position() < before && state == "complete";
            is_there
                .then_some(())
                .ok_or_else(|| "the page before this one".to_owned())
        });
    }

    fn try_run(&self, script: &str, arguments: &[Value]) -> Result<Value, String> {
        let body = json!({"script": script, "args": arguments});
        self.try_post("execute/sync", &body)
    }

    /// Runs a script and returns its result. Runs it again if it fails, as it does
    /// while the page is replaced.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Value {
        let body = json!({"script": script, "args": arguments});
        self.post("execute/sync", &body)
    }

    /// Waits until a script returns this.
    pub fn wait_for_value(&self, script: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        retry(|| {
            let value = self.try_run(script, &[])?;
            let is_right = value == expected;
            is_right
                .then_some(())
                .ok_or_else(|| format!("{script}: {value}, not {expected}"))
        });
    }

    /// Runs a script that passes its result to its last argument, a function. Runs
    /// it again if its page is replaced meanwhile.
    pub fn run_async(&self, script: &str, arguments: &[&str]) -> Value {
        self.wait_for_value("return document.readyState", "complete");
        let body = json!({"script": script, "args": arguments});
        self.post("execute/async", &body)
    }

    /// Saves the whole page in the target folder's `screenshots`.
    pub fn screenshot(&self, name: &str) {
        let size = "const { scrollWidth: width, scrollHeight: height } = document.documentElement;
            return { x: 0, y: 0, width, height, scale: 1 }";
        let clip = self.run(size, &[]);
        let whole = json!({"clip": clip, "captureBeyondViewport": true});
        let image = self.devtools("Page.captureScreenshot", &whole);
        let image = STANDARD.decode(image["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(screenshots()).unwrap();
        std::fs::write(screenshots().join(name), image).unwrap();
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
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.post("goog/cdp/execute", &body)
    }

    /// Returns the text of an element, shown or not; empty if there is none.
    pub fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent ?? ''";
        self.run(script, &[selector]).as_str().unwrap().to_owned()
    }

    /// Waits until an element has this text in it.
    pub fn wait_for_text(&self, selector: &str, part: &str) {
        retry(|| {
            let text = self.text(selector);
            let is_there = text.contains(part);
            is_there
                .then_some(())
                .ok_or_else(|| format!("{part:?} in {selector}: {text:?}"))
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
        retry(|| {
            let active = self.try_get("element/active")?;
            let id = active[ELEMENT]
                .as_str()
                .ok_or("an element with the focus")?;
            let label = self.try_get(&format!("element/{id}/computedlabel"))?;
            Ok(label.as_str().unwrap_or_default().to_owned())
        })
    }

    /// Waits until the element with this accessible name has the focus.
    pub fn wait_for_focus(&self, label: &str) {
        retry(|| {
            let focused = self.focused();
            let is_right = focused == label;
            is_right
                .then_some(())
                .ok_or_else(|| format!("focus on {label:?}, not {focused:?}"))
        });
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

    /// Returns an element, as the driver names it in arguments and results.
    fn try_find(&self, selector: &str) -> Result<Value, String> {
        self.try_post(
            "element",
            &json!({"using": "css selector", "value": selector}),
        )
    }

    /// Sends a command about an element to the driver, once.
    fn try_on(&self, element: &Value, command: &str) -> Result<Value, String> {
        let id = element[ELEMENT].as_str().ok_or("an element")?;
        self.try_post(&format!("element/{id}/{command}"), &json!({}))
    }

    /// Clicks the element with this accessible name.
    pub fn click(&self, section: &str, label: &str) {
        self.click_on(&format!("{section} [aria-label={}]", json!(label)));
    }

    /// Clicks an element. Waits until it can be clicked.
    pub fn click_on(&self, selector: &str) {
        retry(|| self.try_click(&self.try_find(selector)?));
    }

    /// Clicks an element, unless the page replaces or moves it meanwhile.
    fn try_click(&self, element: &Value) -> Result<(), String> {
        // The header covers the upper edge of the window.
        let prepare = "const [element] = arguments;
            element.scrollIntoView({ block: 'center' });
            window.wasClicked = false;
            const note = () => { window.wasClicked = true; };
            element.addEventListener('click', note, { capture: true, once: true });";
        self.try_run(prepare, &[element.clone()])?;
        self.try_on(element, "click")?;
        // A page that knows of nothing is the one to which the click has led.
        match self.try_run("return window.wasClicked ?? null", &[]) {
            Ok(Value::Bool(false)) => Err("the click missed its element".to_owned()),
            _ => Ok(()),
        }
    }

    /// Clicks the button that is shown and has this accessible name. Waits until
    /// there is one.
    pub fn press_button(&self, name: &str) {
        let script = "return [...document.querySelectorAll('button')].find((button) =>
            button.checkVisibility() && (button.ariaLabel ?? button.textContent) === arguments[0])";
        retry(|| {
            let button = self.try_run(script, &[json!(name)])?;
            self.try_click(&button)
                .map_err(|reason| format!("button {name:?}: {reason}"))
        });
    }

    /// Chooses the option with this value.
    pub fn choose(&self, selector: &str, value: &str) {
        let option = format!("{selector} option[value={}]", json!(value));
        let chosen = "return document.querySelector(arguments[0]).value";
        retry(|| {
            self.try_on(&self.try_find(&option)?, "click")?;
            let chosen = self.try_run(chosen, &[json!(selector)])?;
            let is_right = chosen == value;
            is_right
                .then_some(())
                .ok_or_else(|| format!("{selector} has {chosen}"))
        });
    }

    /// Replaces the content of a field, which then has the focus.
    pub fn fill(&self, selector: &str, text: &str) {
        let content = "const field = document.querySelector(arguments[0]);
            return field === document.activeElement ? field.value : null";
        retry(|| {
            let field = self.try_find(selector)?;
            self.try_on(&field, "clear")?;
            self.try_click(&field)?;
            self.type_text(text);
            let content = self.try_run(content, &[json!(selector)])?;
            let is_right = content == text;
            is_right
                .then_some(())
                .ok_or_else(|| format!("{selector} has {content}"))
        });
    }

    /// Waits until the browser shows that the page of a frame refuses to be framed.
    pub fn wait_for_refused_frame(&self, selector: &str) {
        retry(|| {
            let frame = self.try_find(selector)?;
            self.try_post("frame", &json!({ "id": frame }))?;
            let shown = self.try_run("return document.readyState + ' ' + location", &[]);
            self.post("frame", &json!({ "id": null }));
            let shown = shown?;
            let is_refused = shown == "complete chrome-error://chromewebdata/";
            is_refused
                .then_some(())
                .ok_or_else(|| format!("a refused frame, not {shown}"))
        });
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
    stream.set_read_timeout(Some(2 * SCRIPT_TIMEOUT))?;
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
    serve_page("<!doctype html>")
}

/// Serves a page under any name of this machine and returns the port.
pub fn serve_page(html: &str) -> u16 {
    let length = html.len();
    let page = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{html}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = (&stream).write_all(page.as_bytes());
        }
    });
    port
}
