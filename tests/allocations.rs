//! Limits the heap allocations of a warm call. The result does not depend on how
//! fast or busy the machine is.
//!
//! The limits are the measured numbers and a little more, for other compilers and
//! standard libraries. Raise one only together with the reason for it.

use allocation_counter::{AllocationInfo, measure};
use autharmor::auth::StartAuthenticatorAuth;
use autharmor::{Client, PageQuery};
use autharmor_test_support::canned::{self, Canned};
use uuid::Uuid;

const WARM_UP: u64 = 20;
const CALLS: u64 = 50;

/// Counts on this thread only, so the server's share and other tests do not
/// matter.
fn per_call(call: impl Fn()) -> (f64, f64) {
    for _ in 0..WARM_UP {
        call();
    }
    let AllocationInfo {
        count_total,
        bytes_total,
        count_current,
        ..
    } = measure(|| (0..CALLS).for_each(|_| call()));
    assert_eq!(count_current, 0, "a warm call leaves something behind");
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let per_call = |total: u64| total as f64 / CALLS as f64;
    (per_call(count_total), per_call(bytes_total))
}

#[test]
fn warm_calls_allocate_little() {
    let server = Canned::start();
    let client = Client::builder("id", "secret")
        .api_url(server.url())
        .login_url(server.url())
        .only_root_certificates(server.ca_pem())
        .no_proxy()
        .build()
        .unwrap();
    let id: Uuid = canned::USER_ID.parse().unwrap();
    let start = StartAuthenticatorAuth::new()
        .user(canned::USERNAME)
        .action_name("Sign in")
        .short_msg("Somebody signs in to Example as you")
        .send_push(true)
        .timeout_in_seconds(60);

    let by_id = per_call(|| drop(client.get_user(id).unwrap()));
    let by_name = per_call(|| drop(client.get_user(canned::USERNAME).unwrap()));
    let started = per_call(|| drop(client.start_authenticator_auth(&start).unwrap()));
    let listed = per_call(|| {
        let page = client.list_users(PageQuery::new().page_size(100)).unwrap();
        assert_eq!(page.records.len(), canned::RECORDS);
    });
    assert_eq!(server.opened(), 1, "warm calls open no connection");

    let mut failed = false;
    for (what, (count, bytes), most, most_bytes) in [
        ("get_user by id", by_id, 44.0, 6_200.0),
        ("get_user by name", by_name, 45.0, 6_200.0),
        ("start_authenticator_auth", started, 46.0, 7_300.0),
        ("list_users, 100 records", listed, 356.0, 135_000.0),
    ] {
        println!("{what}: {count} allocations of {most}, {bytes} bytes of {most_bytes}");
        failed |= count > most || bytes > most_bytes;
    }
    assert!(!failed, "a warm call takes more from the heap than it may");
}
