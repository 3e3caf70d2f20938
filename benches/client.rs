//! Measures warm calls over loopback TLS and without any network: `cargo bench`.
//!
//! The server runs on the same machine and uses a part of its time. The package
//! in `benches/compare` compares the crate with other clients.

use std::hint::black_box;
use std::time::Duration;

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::users::{self, User, UserDetails};
use autharmor::{Client, HttpRequest, Limits, Page, PageQuery, Target};
use autharmor_test_support::canned::{self, Canned};
use criterion::{Criterion, Throughput};
use uuid::Uuid;

fn id() -> Uuid {
    canned::USER_ID.parse().unwrap()
}

fn start() -> StartAuthenticatorAuth {
    StartAuthenticatorAuth::new()
        .user(canned::USERNAME)
        .action_name("Sign in")
        .short_msg("Somebody signs in to Example as you")
        .send_push(true)
        .timeout_in_seconds(60)
}

fn everybody() -> PageQuery {
    PageQuery::new().page_size(100)
}

/// Measures four calls of a client, whatever its transport is.
fn calls(c: &mut Criterion, name: &str, client: &Client) {
    let mut group = c.benchmark_group(name);
    group.bench_function("get_user by id", |b| {
        let id = id();
        b.iter(|| client.get_user(black_box(id)).unwrap());
    });
    group.bench_function("get_user by name", |b| {
        b.iter(|| client.get_user(black_box(canned::USERNAME)).unwrap());
    });
    group.bench_function("start_authenticator_auth", |b| {
        b.iter(|| client.start_authenticator_auth(&start()).unwrap());
    });
    group.bench_function("list_users, 100 records", |b| {
        b.iter(|| {
            let page = client.list_users(everybody()).unwrap();
            assert_eq!(page.records.len(), canned::RECORDS);
            page
        });
    });
    group.finish();
}

fn over_tls(c: &mut Criterion) {
    let server = Canned::start();
    let client = Client::builder("id", "secret")
        .api_url(server.url())
        .login_url(server.url())
        .only_root_certificates(server.ca_pem())
        .no_proxy()
        .build()
        .unwrap();
    calls(c, "tls", &client);
}

fn without_network(c: &mut Criterion) {
    let bodies = canned::bodies();
    let transport = move |request: HttpRequest, _: Limits| {
        let path = request.uri().path();
        let known = bodies.iter().find(|(known, _)| path == known);
        // By id, it is the same user.
        let (_, body) = known.unwrap_or(&bodies[1]);
        Ok(http::Response::new(body.clone().into_bytes()).into())
    };
    let client = Client::builder("id", "secret")
        .transport(transport)
        .build()
        .unwrap();
    calls(c, "no network", &client);
}

fn parts(c: &mut Criterion) {
    let target = Target::new("https://api.autharmor.com").unwrap();
    let mut group = c.benchmark_group("to_http");
    group.bench_function("get_user by id", |b| {
        let id = id();
        b.iter(|| users::get_user(black_box(id)).to_http(&target).unwrap());
    });
    group.bench_function("get_user by name", |b| {
        b.iter(|| {
            users::get_user(black_box(canned::USERNAME))
                .to_http(&target)
                .unwrap()
        });
    });
    group.bench_function("list_users", |b| {
        b.iter(|| users::list_users(everybody()).to_http(&target).unwrap());
    });
    group.finish();

    let [_, (_, user), (_, users), ..] = canned::bodies();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(user.len() as u64));
    group.bench_function("UserDetails", |b| {
        b.iter(|| serde_json::from_slice::<UserDetails>(black_box(user.as_bytes())).unwrap());
    });
    group.throughput(Throughput::Bytes(users.len() as u64));
    group.bench_function("Page<User>, 100 records", |b| {
        b.iter(|| serde_json::from_slice::<Page<User>>(black_box(users.as_bytes())).unwrap());
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    over_tls(&mut criterion);
    without_network(&mut criterion);
    parts(&mut criterion);
    criterion.final_summary();
}
