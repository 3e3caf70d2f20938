use std::time::Duration;

use crate::environment::Environment;
use crate::testing::{SECRET, respond};
use crate::{Client, ClientBuilder, Error, ErrorKind, HttpRequest, Limits};

fn builder() -> ClientBuilder {
    Client::builder("id", SECRET).no_proxy()
}

fn from_env(variables: &[(&str, &str)]) -> Result<ClientBuilder, Error> {
    ClientBuilder::from_variables(Environment::of(variables))
}

/// A call whose response describes the request.
fn echo(builder: ClientBuilder) -> serde_json::Value {
    let transport = |request: HttpRequest, _: Limits| {
        if request.uri().path().ends_with("/connect/token") {
            return respond(200, format!(r#"{{"access_token":"{}"}}"#, request.uri()));
        }
        let json = serde_json::json!({
            "uri": request.uri().to_string(),
            "token": request.headers()["authorization"].to_str().unwrap(),
            "agent": request.headers()["user-agent"].to_str().unwrap(),
        });
        respond(200, json.to_string())
    };
    let client = builder.transport(transport).build().unwrap();
    client
        .send(&crate::Request::new(crate::Endpoint::ListUsers))
        .unwrap()
}

#[test]
fn the_defaults_are_the_urls_of_the_service() {
    let seen = echo(builder());
    assert_eq!(seen["uri"], "https://api.autharmor.com/v3/users");
    assert_eq!(
        seen["token"],
        "Bearer https://login.autharmor.com/connect/token"
    );
    assert_eq!(
        seen["agent"],
        concat!("autharmor-rust/", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_environment_configures_a_client() {
    let id_and_secret = [
        ("AUTHARMOR_CLIENT_ID", "id"),
        ("AUTHARMOR_CLIENT_SECRET", "s\n"),
    ];
    let urls = [
        ("AUTHARMOR_API_URL", "https://api.example/gate/"),
        ("AUTHARMOR_LOGIN_URL", "https://login.example"),
    ];
    let seen = echo(from_env(&[id_and_secret, urls].concat()).unwrap());
    assert_eq!(seen["uri"], "https://api.example/gate/v3/users");
    assert_eq!(seen["token"], "Bearer https://login.example/connect/token");

    let empty = [("AUTHARMOR_API_URL", ""), ("AUTHARMOR_LOGIN_URL", "")];
    let seen = echo(from_env(&[id_and_secret, empty].concat()).unwrap());
    assert_eq!(seen["uri"], "https://api.autharmor.com/v3/users");
}

#[test]
fn a_variable_that_is_missing_or_empty_is_named() {
    for vars in [
        &[][..],
        &[("AUTHARMOR_CLIENT_ID", "")],
        &[("AUTHARMOR_CLIENT_ID", "id")],
        &[
            ("AUTHARMOR_CLIENT_ID", "id"),
            ("AUTHARMOR_CLIENT_SECRET", ""),
        ],
    ] {
        let error = from_env(vars).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let missing = if vars.len() == 1 && !vars[0].1.is_empty() || vars.len() == 2 {
            "AUTHARMOR_CLIENT_SECRET is not set"
        } else {
            "AUTHARMOR_CLIENT_ID is not set"
        };
        assert!(error.to_string().ends_with(missing), "{error}");
    }
}

#[test]
fn wrong_settings_are_refused_by_name_and_without_their_value() {
    let zero = Duration::ZERO;
    for (builder, what) in [
        (Client::builder("", SECRET), "client id is empty"),
        (Client::builder("id", "\r\n"), "client secret is empty"),
        (
            Client::builder("id", "cl13nt-s3cr3t\0"),
            "client secret holds a control character",
        ),
        (
            builder().api_url("https://cl13nt-s3cr3t@x"),
            "api_url has a user name",
        ),
        (
            builder().login_url("http://x/cl13nt-s3cr3t"),
            "login_url is http://",
        ),
        (
            builder().login_url("http://127.0.0.1"),
            "login_url is http://, which needs allow_http_on_loopback(true)",
        ),
        (
            builder()
                .login_url("http://login.example")
                .allow_http_on_loopback(true),
            "login_url is http://, which is for loopback addresses only",
        ),
        (
            builder().api_url("http://127.0.0.1"),
            "allow_http_on_loopback(true)",
        ),
        (
            builder().login_url("http://127.0.0.1"),
            "login_url is http://",
        ),
        (
            builder()
                .login_url("http://login.example")
                .allow_http_on_loopback(true),
            "login_url is http://",
        ),
        (builder().timeout(zero), "timeout is zero"),
        (builder().connect_timeout(zero), "connect_timeout is zero"),
        (builder().max_response_body(0), "max_response_body is zero"),
        (builder().scopes(["a b"]), "scope"),
        (builder().scopes([""]), "scope"),
        (builder().user_agent_suffix(""), "user_agent_suffix"),
        (builder().user_agent_suffix("a\r\nb"), "user_agent_suffix"),
        (builder().user_agent_suffix("é"), "user_agent_suffix"),
        (
            builder().user_agent_suffix("x".repeat(257)),
            "user_agent_suffix",
        ),
        (builder().add_root_certificates("cl13nt-s3cr3t"), "root"),
        (builder().only_root_certificates(""), "root"),
        (builder().client_certificate("x", "cl13nt-s3cr3t"), "client"),
        (builder().proxy("cl13nt-s3cr3t"), "proxy"),
        (builder().proxy("socks5://cl13nt-s3cr3t:1"), "proxy"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(
            error.to_string().contains(what),
            "{error} does not name {what}"
        );
        assert!(!format!("{error:#} {error:?}").contains(SECRET), "{error}");
    }
}

#[test]
fn a_proxy_from_the_environment_is_named_when_it_is_garbage() {
    let vars = [
        ("AUTHARMOR_CLIENT_ID", "id"),
        ("AUTHARMOR_CLIENT_SECRET", SECRET),
        ("HTTPS_PROXY", "garbage"),
    ];
    let error = from_env(&vars).unwrap().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
    from_env(&vars).unwrap().no_proxy().build().unwrap();
}

#[test]
fn timeouts_of_any_length_do_not_overflow() {
    let seen = echo(
        builder()
            .timeout(Duration::MAX)
            .connect_timeout(Duration::MAX),
    );
    assert_eq!(seen["uri"], "https://api.autharmor.com/v3/users");
}

#[test]
fn the_user_agent_carries_the_suffix() {
    let seen = echo(builder().user_agent_suffix("door-daemon/2.1"));
    let expected = concat!(
        "autharmor-rust/",
        env!("CARGO_PKG_VERSION"),
        " door-daemon/2.1"
    );
    assert_eq!(seen["agent"], expected);
}

#[test]
fn debug_of_builder_and_client_shows_no_secret() {
    let builder = builder()
        .transport(|_: HttpRequest, _: Limits| respond(200, ""))
        .client_certificate("x", SECRET)
        .proxy(SECRET);
    let text = format!(
        "{builder:?} {:?}",
        Client::builder("id", SECRET).no_proxy().build()
    );
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn clients_are_send_sync_and_clone() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Client>();
    check::<ClientBuilder>();
    check::<Error>();
    check::<crate::Request<std::rc::Rc<()>>>();
}
