//! Websites that try to use the emulator through the browser of its developer.

use autharmor::emulator::{Decision, Emulator, EmulatorBuilder};
use autharmor_test_support::browser::{Browser, serve_empty_page};
use serde_json::json;

use crate::backend::Backend;

/// An emulator with a pending sign-in, a mail and the other things to steal.
fn victim(builder: EmulatorBuilder) -> (Backend, String) {
    let backend = Backend::of(builder.plain_http().random_ids().user("ada@example.com"));
    let id = backend.start_sign_in(Some("ada@example.com"));
    let body = json!({
        "username": "ada@example.com",
        "auth_redirect_url": "https://app.example.com/landing",
    });
    backend.post("/v4/auth/magiclink_email/start", &body);
    (backend, id)
}

/// Fails if anything of a victim has changed.
fn assert_untouched(backend: &Backend, id: &str) {
    let emulator = &backend.emulator;
    assert_eq!(emulator.users().len(), 1, "a user was added");
    assert!(backend.is_waiting(id), "the sign-in was decided");
    assert_eq!(emulator.pending_requests().len(), 2, "the link was used");
    // A fault, a rate limit or an automatic decision would change this.
    let next = backend.start_sign_in(Some("ada@example.com"));
    assert!(backend.is_waiting(&next), "a decision was set");
    assert!(emulator.now().starts_with("2020-"), "the clock was moved");
    emulator.decline(next.parse().unwrap()).unwrap();
}

/// Calls every route from a page of another site, in all ways that a script has.
/// Returns what could be read.
const SCRIPT: &str = r#"
    const [base, id, done] = arguments;
    const attack = async () => {
        const readable = [];
        const read = async (what, response) => {
            const got = await response.catch(() => null);
            if (!got || got.type === "opaque") return;
            readable.push(what + " " + got.status + " " + (await got.text()).slice(0, 80));
        };
        const gets = ["", "health", "connection", "users", "requests/pending",
            "requests/automatic", "registrations/pending", "outbox", "clock", "faults", "rate_limits",
            "recorded", "recorded/1", "ca.pem", "link/x", "qr/x"];
        for (const path of gets) {
            for (const mode of ["cors", "no-cors"]) {
                for (const credentials of ["include", "omit"]) {
                    await read("GET " + path, fetch(base + path, { mode, credentials }));
                }
            }
        }
        const bodies = {
            "approve": { auth_request_id: id },
            "decline": { auth_request_id: id },
            "users": { username: "eve" },
            "requests/automatic": { decision: "approve" },
            "faults": { kind: "status", status: 503 },
            "rate_limits": { calls: 0, seconds: 3600 },
            "clock/advance": { seconds: 100000000 },
            "tokens/expire": {},
            "reset": {},
        };
        for (const [path, value] of Object.entries(bodies)) {
            const body = JSON.stringify(value);
            for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"]) {
                const headers = { "Content-Type": type };
                for (const mode of ["cors", "no-cors"]) {
                    await read("POST " + path, fetch(base + path, { method: "POST", mode, headers, body }));
                }
            }
            navigator.sendBeacon(base + path, new Blob([body], { type: "text/plain" }));
            // A form whose text is JSON.
            const form = document.createElement("form");
            Object.assign(form, { method: "POST", action: base + path, enctype: "text/plain", target: path });
            const field = document.createElement("input");
            field.name = body.slice(0, -1) + (body === "{}" ? "" : ",") + '"x":"';
            field.value = '"}';
            form.append(field);
            const frame = document.createElement("iframe");
            frame.name = path;
            document.body.append(frame, form);
            form.submit();
            await new Promise((loaded) => { frame.onload = loaded; setTimeout(loaded, 20000); });
            await read("DELETE " + path, fetch(base + path, { method: "DELETE" }));
        }
        for (const tag of ["img", "script", "iframe", "object", "embed"]) {
            for (const path of gets) {
                const element = document.createElement(tag);
                element[tag === "object" ? "data" : "src"] = base + path;
                document.body.append(element);
            }
        }
        for (let guess = 0; guess < 20; guess += 1) {
            const image = new Image();
            image.src = base + "link/" + btoa("guess" + guess);
            await read("link", fetch(base + "link/" + guess));
        }
        return readable;
    };
    attack().then(done, (error) => done(["FAILED: " + error]));
"#;

fn attack(builder: EmulatorBuilder, host: &str) {
    let (backend, id) = victim(builder);
    let base = format!(
        "http://{host}:{}/_emulator/",
        backend.emulator.address().port()
    );
    let browser = Browser::open();
    browser.visit(&format!("http://evil.test:{}/", serve_empty_page()));
    let readable = browser.run_async(SCRIPT, &[&base, &id]);
    assert_eq!(readable, json!([]));
    // The page does not work in a frame of another site.
    browser.wait_for_refused_frame("iframe:not([name])");
    assert_untouched(&backend, &id);
}

pub(crate) fn a_website_reads_and_changes_nothing() {
    for tolerant in [false, true] {
        attack(Emulator::builder().tolerant(tolerant), "127.0.0.1");
    }
}

/// DNS rebinding: the website's own name leads to the emulator, so that its script
/// is of the same origin.
pub(crate) fn a_foreign_name_for_this_machine_is_refused() {
    for tolerant in [false, true] {
        let builder = Emulator::builder().host("emulator.test").tolerant(tolerant);
        let (backend, id) = victim(builder);
        let browser = Browser::open();
        let port = backend.emulator.address().port();
        for path in ["", "_emulator/", "_emulator/users", "_emulator/link/x"] {
            browser.visit(&format!("http://rebound.test:{port}/{path}"));
            browser.wait_for_text("body", "Host is not a name of the emulator");
        }
        // The page of the refusal is of the attacker's origin, and a script may run
        // there: by the driver, as the policy of the page forbids its own.
        let script = r#"
            const [id, done] = arguments;
            const headers = { "Content-Type": "application/json" };
            const body = JSON.stringify({ auth_request_id: id });
            Promise.all([
                fetch("/_emulator/approve", { method: "POST", headers, body }),
                fetch("/_emulator/connection"),
            ]).then((all) => done(all.map((response) => response.status)), (error) => done(String(error)));
        "#;
        let refused = browser.run_async(script, &[&id]);
        let blocked = refused
            .as_str()
            .is_some_and(|text| text.contains("Failed to fetch"));
        assert!(blocked || refused == json!([403, 403]), "{refused}");
        assert_untouched(&backend, &id);
    }
}

pub(crate) fn a_given_host_name_works_and_others_do_not() {
    // The attacks, by a website that knows the name.
    for tolerant in [false, true] {
        let builder = Emulator::builder().host("emulator.test").tolerant(tolerant);
        attack(builder, "emulator.test");
    }
    // The developer.
    let backend = Backend::of(
        Emulator::builder()
            .plain_http()
            .host("emulator.test")
            .user("ada"),
    );
    let browser = Browser::open();
    assert_eq!(
        backend.page(),
        format!(
            "http://emulator.test:{}/_emulator/",
            backend.emulator.address().port()
        )
    );
    backend.emulator.on_sign_in(|_| Decision::Ignore);
    browser.visit(&backend.page());
    browser.wait_for_text("#status", "Connected");
    backend.start_sign_in(Some("ada"));
    browser.wait_for_text("#requests", "ada");
    browser.click("#requests", "Approve: ada");
    browser.wait_for_text("#status", "Approved: ada");
    browser.wait_for_text("#environment", "AUTHARMOR_API_URL=http://emulator.test:");
}
