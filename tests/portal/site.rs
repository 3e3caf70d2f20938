//! A portal of its own for each test, and what its visitors do.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use autharmor::emulator::{Emulator, EmulatorBuilder};
use autharmor::{ApiVersion, RetryPolicy};
use autharmor_test_support::browser::{Browser, TIMEOUT, retry, wait_for};
use serde_json::{Value, json};

use crate::portal::Portal;

/// A user with a phone and an address.
pub(crate) const ADA: &str = "ada@example.com";
/// Nobody.
pub(crate) const EVE: &str = "eve@example.com";
pub(crate) const BOTH: [ApiVersion; 2] = [ApiVersion::V3, ApiVersion::V4];

pub(crate) struct Site {
    pub(crate) emulator: Emulator,
    pub(crate) origin: String,
    portal: Arc<Portal>,
}

impl Site {
    pub(crate) fn start(version: ApiVersion) -> Self {
        Self::with(version, |builder| builder, |_| ())
    }

    /// Starts an emulator and a portal with these settings.
    pub(crate) fn with(
        version: ApiVersion,
        emulator: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder,
        set: impl FnOnce(&mut Portal),
    ) -> Self {
        let (server, port) = server();
        let origin = format!("http://localhost:{port}");
        let builder = Emulator::builder().plain_http().project_name("Example");
        let builder = builder.website(&origin, "localhost").user(ADA);
        // The clock stands still, so that nothing expires on a slow machine.
        let builder = builder.clock_at(1_577_836_800);
        let emulator = emulator(builder).start().unwrap();
        let client = emulator.client_builder().api_version(version);
        let client = client.retry(RetryPolicy::off()).build().unwrap();
        let mut portal = Portal::new(client, &origin, "example");
        // Hardly a time: each reply takes a multiple of it.
        portal.pace = Duration::from_millis(1);
        set(&mut portal);
        Self {
            emulator,
            origin,
            portal: serve(server, portal),
        }
    }

    /// Returns the port of the portal.
    pub(crate) fn port(&self) -> u16 {
        let (_, port) = self.origin.rsplit_once(':').unwrap();
        port.parse().unwrap()
    }

    /// Lets this time pass for all sessions.
    pub(crate) fn age_sessions(&self, time: Duration) {
        for (end, _) in self.portal.sessions.lock().values_mut() {
            *end -= time;
        }
    }

    /// Lets this time pass for all limits.
    pub(crate) fn age_attempts(&self, time: Duration) {
        for (end, _) in self.portal.attempts.lock().values_mut() {
            *end -= time;
        }
    }

    /// Opens a browser that shows a page of the portal.
    pub(crate) fn open(&self, path: &str) -> Visitor {
        let browser = Browser::open();
        browser.add_authenticator(true);
        let visitor = Visitor(browser);
        visitor.visit(self, path);
        visitor
    }

    /// Opens a browser in which ada has signed in.
    pub(crate) fn open_as_ada(&self) -> Visitor {
        let visitor = self.open("/");
        visitor.ask_for_link(ADA);
        visitor.use_link(self);
        visitor.sees_account_of(ADA);
        visitor
    }

    /// Opens the newest mail's link, and returns the URL to which it leads.
    pub(crate) fn opened_link(&self) -> String {
        let mail = wait_for("a mail", || self.emulator.outbox().pop());
        self.emulator.click(&mail.link).unwrap()
    }

    /// Approves or declines the request that the phone shows.
    pub(crate) fn respond_on_phone(&self, approves: bool) {
        let request = self.emulator.wait_for_request(TIMEOUT);
        let id = request.unwrap().auth_request_id;
        if approves {
            self.emulator.approve(id).unwrap();
        } else {
            self.emulator.decline(id).unwrap();
        }
    }

    /// Scans the registration's QR code with a phone.
    pub(crate) fn enrol_phone(&self) {
        let waiting = wait_for("a registration", || {
            self.emulator.pending_registrations().pop()
        });
        self.emulator.enrol_phone(waiting.registration_id).unwrap();
    }
}

/// Returns a listener for a portal, and its port.
pub(crate) fn server() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Serves a portal until the process ends.
pub(crate) fn serve(listener: TcpListener, portal: Portal) -> Arc<Portal> {
    let portal = Arc::new(portal);
    let shared = Arc::clone(&portal);
    thread::spawn(move || shared.serve(&listener));
    portal
}

/// A person at a browser.
pub(crate) struct Visitor(pub(crate) Browser);

impl Visitor {
    pub(crate) fn visit(&self, site: &Site, path: &str) {
        self.visit_url(&format!("{}{path}", site.origin));
    }

    pub(crate) fn visit_url(&self, url: &str) {
        self.0.visit(url);
    }

    /// Returns the text that is to be seen.
    pub(crate) fn text(&self) -> String {
        let text = self.0.run("return document.body?.innerText ?? ''", &[]);
        text.as_str().unwrap().to_owned()
    }

    /// Waits until this text is to be seen.
    pub(crate) fn sees(&self, text: &str) {
        retry(|| {
            let shown = self.text();
            let is_there = shown.contains(text);
            is_there
                .then_some(())
                .ok_or_else(|| format!("{text:?} in {shown:?}"))
        });
    }

    pub(crate) fn sees_account_of(&self, name: &str) {
        self.sees(&format!("You are signed in as {name}."));
    }

    /// Waits until the page announces this.
    pub(crate) fn is_told(&self, text: &str) {
        self.0.wait_for_text("#status", text);
    }

    /// Clicks the button of this name.
    pub(crate) fn press(&self, name: &str) {
        self.0.press_button(name);
    }

    /// Opens the newest mail's link, and presses the button of the page.
    pub(crate) fn use_link(&self, site: &Site) {
        self.visit_url(&site.opened_link());
        self.press("Continue");
    }

    /// Asks for a link with which a new user gets an account.
    pub(crate) fn ask_to_register(&self, site: &Site, address: &str) {
        self.visit(site, "/register");
        self.0.fill("#address", address);
        self.press("Mail me a link");
        self.is_told("If a link can be sent to this address, it is in the mail.");
    }

    pub(crate) fn ask_for_link(&self, address: &str) {
        self.0.fill("#name", address);
        self.press("Mail me a link");
        self.is_told("If a link can be sent to this address, it is in the mail.");
    }

    /// Asks for an approval by the phone, and returns the number to choose there.
    pub(crate) fn ask_phone(&self, name: &str) -> String {
        self.0.fill("#name", name);
        self.press("Ask my phone");
        self.is_told("Waiting for your phone");
        self.sees("Look at your phone");
        self.0.text("#value")
    }

    /// Registers a passkey of this browser for the user who is signed in.
    pub(crate) fn add_passkey(&self) {
        self.press("Add a passkey");
        self.is_told("It is added to your account.");
        self.sees("Passkey");
    }

    pub(crate) fn log_out(&self) {
        self.press("Log out");
        self.sees("No account yet?");
    }

    pub(crate) fn opens_new_tab(&self) {
        let tab = self.0.post("window/new", &json!({"type": "tab"}));
        self.goes_to_tab(&tab["handle"]);
    }

    pub(crate) fn goes_to_tab(&self, tab: &Value) {
        self.0.post("window", &json!({ "handle": tab }));
    }

    /// Sends a POST from the page, and returns the status and the text.
    pub(crate) fn posts(&self, path: &str, body: &Value) -> (u64, String) {
        let script = r"const [path, body, done] = arguments;
            fetch(path, { method: 'POST', body })
                .then(async (response) => done([response.status, (await response.json()).text ?? '']))
                .catch((error) => done([0, String(error)]));";
        let reply = self.0.run_async(script, &[path, &body.to_string()]);
        (
            reply[0].as_u64().unwrap(),
            reply[1].as_str().unwrap().to_owned(),
        )
    }

    /// Returns the session's id, which no script of a page can read.
    pub(crate) fn session(&self) -> Option<Value> {
        let cookies = self.0.get("cookie");
        let mut cookies = cookies.as_array().unwrap().iter();
        cookies.find(|cookie| cookie["name"] == "session").cloned()
    }
}
