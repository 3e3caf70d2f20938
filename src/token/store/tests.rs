use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::clock::Clock;
use crate::testing::{SECRET, TestClient, bearer, respond, seconds as secs, token};
use crate::{Client, ClientBuilder, Endpoint, Error, ErrorKind, Request};

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("autharmor-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> FileTokenStore {
        FileTokenStore::new(self.0.join("token"))
    }

    fn files(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn key(client_id: &str) -> TokenKey {
    TokenKey {
        login_url: "https://login.example/connect/token".to_owned(),
        client_id: client_id.to_owned(),
        scopes: String::new(),
    }
}

fn stored(text: &str) -> StoredToken {
    StoredToken {
        token: text.into(),
        issued_at: UNIX_EPOCH + Duration::from_secs(1_000_000_000),
        expires_at: UNIX_EPOCH + Duration::from_secs(1_000_000_600),
    }
}

fn call(client: &Client) -> Result<serde_json::Value, Error> {
    client.send(&Request::new(Endpoint::ListUsers))
}

/// A client over a server whose tokens are numbered from 0.
fn test(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> TestClient {
    TestClient::with(
        |number, _, _| token(number, 600),
        |_, _, _| respond(200, "{}"),
        set,
    )
}

/// The same, over a server that refuses the token that a [`Shelf`] begins with.
fn refusing_the_stored(store: impl TokenStore + 'static) -> TestClient {
    TestClient::with(
        |number, _, _| token(number, 600),
        |_, request, _| {
            if bearer(request) == "9" {
                respond(401, "")
            } else {
                respond(200, "{}")
            }
        },
        |builder| builder.token_store(store),
    )
}

#[test]
fn what_is_saved_is_loaded_and_removed_by_name_only() {
    let folder = Folder::new("round-trip");
    let store = folder.store();
    assert_eq!(store.load(&key("a")).unwrap(), None);
    store.save(&key("a"), &stored("one")).unwrap();
    store.save(&key("a"), &stored("two")).unwrap();
    assert_eq!(store.load(&key("a")).unwrap(), Some(stored("two")));
    assert_eq!(store.load(&key("b")).unwrap(), None, "another client's");
    store.remove(&key("a"), &"one".into()).unwrap();
    assert!(store.load(&key("a")).unwrap().is_some());
    store.remove(&key("a"), &"two".into()).unwrap();
    assert_eq!((store.load(&key("a")).unwrap(), folder.files()), (None, 0));
}

#[test]
fn a_torn_or_foreign_file_is_ignored_and_replaced() {
    let folder = Folder::new("torn");
    let store = folder.store();
    store.save(&key("a"), &stored("one")).unwrap();
    let whole = fs::read(&store.path).unwrap();
    for length in 0..whole.len() {
        fs::write(&store.path, &whole[..length]).unwrap();
        assert_eq!(store.load(&key("a")).unwrap(), None, "{length} bytes");
    }
    for text in ["\0\0\0", "{}", "[]", r#"{"key":1,"token":2}"#] {
        fs::write(&store.path, text).unwrap();
        assert_eq!(store.load(&key("a")).unwrap(), None, "{text}");
    }
    store.save(&key("a"), &stored("two")).unwrap();
    assert_eq!(store.load(&key("a")).unwrap(), Some(stored("two")));
    assert_eq!(folder.files(), 1);
}

#[cfg(unix)]
#[test]
fn the_file_is_private_and_an_open_one_is_refused_by_name() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new("open");
    let store = folder.store();
    store.save(&key("a"), &stored("one")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store.path), 0o600);

    fs::set_permissions(&store.path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = store.load(&key("a")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("mode 0644"), "{error}");

    let test = test(|builder| builder.token_store(store.clone()));
    let error = call(&test.client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains("set it to 0600"), "{source}");
    assert!(test.seen().is_empty());
}

#[test]
fn writers_at_once_leave_one_whole_token() {
    let folder = Folder::new("writers");
    let store = folder.store();
    thread::scope(|scope| {
        for writer in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..50 {
                    store
                        .save(&key("a"), &stored(&format!("{writer}-{number}")))
                        .unwrap();
                    assert!(store.load(&key("a")).unwrap().is_some(), "never a part");
                }
            });
        }
    });
    assert_eq!(folder.files(), 1);
}

#[test]
fn a_second_run_needs_no_token_request() {
    let folder = Folder::new("second-run");
    for expected in [1, 0] {
        let test = test(|builder| builder.token_store(folder.store()));
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), expected);
    }
    let other_scopes = test(|builder| builder.token_store(folder.store()).scopes(["a"]));
    call(&other_scopes.client).unwrap();
    assert_eq!(other_scopes.token_requests(), 1);
}

/// A store in memory whose clock the test holds.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Option<StoredToken>>>);

impl TokenStore for Shelf {
    fn load(&self, _: &TokenKey) -> io::Result<Option<StoredToken>> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn save(&self, _: &TokenKey, token: &StoredToken) -> io::Result<()> {
        *self.0.lock().unwrap() = Some(token.clone());
        Ok(())
    }

    fn remove(&self, _: &TokenKey, token: &Secret) -> io::Result<()> {
        let mut held = self.0.lock().unwrap();
        if held.as_ref().is_some_and(|held| held.token == *token) {
            *held = None;
        }
        Ok(())
    }
}

impl Shelf {
    /// A token `t9` that was fetched some time before now and ends some time
    /// after.
    fn put(&self, clock: &dyn Clock, age: u64, left: u64) {
        *self.0.lock().unwrap() = Some(StoredToken {
            token: "t9".into(),
            issued_at: clock.wall() - secs(age),
            expires_at: clock.wall() + secs(left),
        });
    }

    fn text(&self) -> Option<String> {
        let held = self.0.lock().unwrap();
        held.as_ref().map(|held| held.token.expose().to_owned())
    }
}

#[test]
fn a_stored_token_is_used_while_it_lives_and_then_replaced() {
    for (left, requests) in [(599, 0), (31, 0), (30, 1), (1, 1), (0, 1)] {
        let shelf = Shelf::default();
        let test = test(|builder| builder.token_store(shelf.clone()));
        shelf.put(&*test.clock, 600 - left, left);
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), requests, "{left} s left");
    }
    let shelf = Shelf::default();
    let test = test(|builder| builder.token_store(shelf.clone()));
    shelf.put(&*test.clock, 10, 100);
    call(&test.client).unwrap();
    test.clock.advance(secs(100));
    call(&test.client).unwrap();
    assert_eq!(
        (test.token_requests(), shelf.text().as_deref()),
        (1, Some("t0"))
    );
}

#[test]
fn a_renewal_takes_what_another_process_has_renewed() {
    let shelf = Shelf::default();
    let test = test(|builder| builder.token_store(shelf.clone()));
    call(&test.client).unwrap();
    test.clock.advance(secs(580));
    shelf.put(&*test.clock, 5, 595);
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
    // Nobody has: it is up to us.
    test.clock.advance(secs(580));
    call(&test.client).unwrap();
    assert_eq!(
        (test.token_requests(), shelf.text().as_deref()),
        (2, Some("t1"))
    );
}

#[test]
fn a_token_that_the_server_refuses_is_dropped_from_the_store() {
    let shelf = Shelf::default();
    let test = refusing_the_stored(shelf.clone());
    // Too young to be doubted, wherever it came from.
    shelf.put(&*test.clock, 10, 500);
    assert_eq!(
        call(&test.client).unwrap_err().kind(),
        ErrorKind::Unauthorized
    );
    assert_eq!(
        (test.token_requests(), shelf.text().as_deref()),
        (0, Some("t9"))
    );
    test.clock.advance(secs(20));
    call(&test.client).unwrap();
    assert_eq!(
        (test.token_requests(), shelf.text().as_deref()),
        (1, Some("t0"))
    );
}

/// A shelf that cannot be written.
struct Fixed(Shelf);

impl TokenStore for Fixed {
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        self.0.load(key)
    }

    fn save(&self, _: &TokenKey, _: &StoredToken) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &TokenKey, _: &Secret) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

#[test]
fn a_refused_token_is_not_taken_from_the_store_again() {
    let shelf = Shelf::default();
    let test = refusing_the_stored(Fixed(shelf.clone()));
    shelf.put(&*test.clock, 100, 500);
    call(&test.client).unwrap();
    assert_eq!(
        (test.token_requests(), shelf.text().as_deref()),
        (1, Some("t9"))
    );
}

#[test]
fn an_invalidated_token_does_not_come_back_from_a_store_that_keeps_it() {
    let shelf = Shelf::default();
    let test = test(|builder| builder.token_store(Fixed(shelf.clone())));
    shelf.put(&*test.clock, 100, 500);
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 0);
    test.client.invalidate_token();
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
}

#[test]
fn invalidating_empties_the_store_and_checking_credentials_asks_the_endpoint() {
    let shelf = Shelf::default();
    let test = test(|builder| builder.token_store(shelf.clone()));
    shelf.put(&*test.clock, 10, 500);
    test.client.check_credentials().unwrap();
    assert_eq!(
        (test.token_requests(), shelf.text().as_deref()),
        (1, Some("t0"))
    );
    test.client.invalidate_token();
    assert_eq!(shelf.text(), None);
}

/// A store that is never there.
struct Gone;

impl TokenStore for Gone {
    fn load(&self, _: &TokenKey) -> io::Result<Option<StoredToken>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn save(&self, _: &TokenKey, _: &StoredToken) -> io::Result<()> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn remove(&self, _: &TokenKey, _: &Secret) -> io::Result<()> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

#[test]
fn a_store_that_fails_is_as_good_as_none() {
    let test = test(|builder| builder.token_store(Gone));
    call(&test.client).unwrap();
    call(&test.client).unwrap();
    test.client.invalidate_token();
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn a_token_that_no_header_can_carry_is_not_taken_from_the_store() {
    let shelf = Shelf::default();
    let test = test(|builder| builder.token_store(shelf.clone()));
    shelf.put(&*test.clock, 10, 500);
    shelf.0.lock().unwrap().as_mut().unwrap().token = "a\r\nb".into();
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
}

#[test]
fn encoded_tokens_are_read_back_and_junk_is_not() {
    let text = stored("one").encode();
    assert_eq!(StoredToken::decode(text.expose()), Some(stored("one")));
    let future = text.expose().replace(r#""v":1"#, r#""v":2"#);
    let endless = text.expose().replace("1000000600", "18446744073709551615");
    for junk in ["", "{}", "null", &future, &endless] {
        assert_eq!(StoredToken::decode(junk), None, "{junk}");
    }
    let debug = format!("{:?} {:?}", stored(SECRET), key("a"));
    assert!(!debug.contains(SECRET), "{debug}");
}

#[test]
fn keys_that_differ_read_differently() {
    assert_ne!(key("a\" \"").to_string(), key("a").to_string());
    assert_eq!(
        key("a").to_string(),
        r#""https://login.example/connect/token" "a" """#
    );
}
