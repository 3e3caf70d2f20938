//! Tests that no memory is freed while it still holds a validation token.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use autharmor::auth::ValidateAuth;
use autharmor::{Client, HttpRequest, Limits, Secret};

const MARK: &[u8] = b"v4lid4tion-t0ken";

static WATCHING: AtomicBool = AtomicBool::new(false);
static LEFT_BEHIND: AtomicUsize = AtomicUsize::new(0);

/// Looks for the mark in memory that is freed.
struct Watching;

unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that memory that was never written holds no old mark.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if WATCHING.load(Relaxed) {
            let bytes = unsafe { std::slice::from_raw_parts(memory, layout.size()) };
            if bytes.windows(MARK.len()).any(|part| part == MARK) {
                LEFT_BEHIND.fetch_add(1, Relaxed);
            }
        }
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// A token of this length with the mark at its end.
fn token(length: usize) -> String {
    "x".repeat(length) + std::str::from_utf8(MARK).unwrap()
}

#[test]
fn request_bodies_leave_nothing_behind() {
    let canned = |request: HttpRequest, _: Limits| {
        let body = if request.uri().path() == "/connect/token" {
            r#"{"access_token":"t","expires_in":600}"#
        } else {
            r#"{"user_id":"5b1d7d5e-0000-4000-8000-000000000001"}"#
        };
        Ok(http::Response::new(body.as_bytes().to_vec()).into())
    };
    let client = Client::builder("id", "secret")
        .transport(canned)
        .build()
        .unwrap();
    client.check_credentials().unwrap();

    // That it can be found.
    WATCHING.store(true, Relaxed);
    drop(token(10));
    assert_eq!(LEFT_BEHIND.swap(0, Relaxed), 1);

    for length in [0, 100, 400, 500, 600, 1000, 5000, 100_000] {
        WATCHING.store(false, Relaxed);
        let request = ValidateAuth::new(uuid::Uuid::from_u128(1), Secret::from(token(length)));
        WATCHING.store(true, Relaxed);
        // What comes of it does not matter here.
        let _ = client.validate_authenticator_auth(&request);
        drop(request);
        assert_eq!(LEFT_BEHIND.load(Relaxed), 0, "{length}");
    }
    WATCHING.store(false, Relaxed);
}
