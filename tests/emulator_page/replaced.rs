//! The helper that drives the browser: no test fails because a page is replaced
//! while it is looked at.

use autharmor_test_support::browser::{Browser, serve_page};
use serde_json::json;

/// Has no body at first, then a field and a button. It is loaded again and again,
/// each time a little later, so that a slow machine gets its turn.
const RESTLESS: &str = r#"<!doctype html><script>
    const fill = () => {
        const body = document.createElement("body");
        body.innerHTML = "<input id=name><button>Go</button><p id=said>here</p>";
        body.querySelector("button").onclick = () => { sessionStorage.went = "yes"; };
        document.documentElement.replaceChildren(body);
    };
    addEventListener("load", () => {
        document.documentElement.replaceChildren();
        setTimeout(fill, 30);
        sessionStorage.life = 1.1 * (sessionStorage.life ?? 150);
        if (!sessionStorage.settled) setTimeout(() => location.reload(), sessionStorage.life);
    });
</script>"#;

pub(crate) fn commands_wait_for_a_page_that_is_replaced() {
    let browser = Browser::open();
    browser.visit(&format!("http://localhost:{}/", serve_page(RESTLESS)));
    for _ in 0..20 {
        let text = browser.run("return document.body.innerText", &[]);
        assert!(text.is_string(), "{text}");
        browser.wait_for_text("#said", "here");
        browser.focused();
        let later =
            "const done = arguments[0]; setTimeout(() => done(document.body.innerText), 50)";
        assert!(browser.run_async(later, &[]).is_string());
    }
    for _ in 0..5 {
        browser.fill("#name", "ada");
        browser.press_button("Go");
        browser.wait_for_value("return sessionStorage.went", "yes");
        browser.run("delete sessionStorage.went", &[]);
    }
    browser.run("sessionStorage.settled = 'yes'", &[]);
    browser.wait_for_value("return document.querySelector('#name').value", json!(""));
}
