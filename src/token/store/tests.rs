use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

#[cfg(not(target_os = "linux"))]
use autharmor_test_support::ignored_tests;

use super::lease_file::Version;
use super::private_file::{with_suffix, write_new};
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

/// The same, over a server that refuses the token that a [`MemoryStore`] begins with.
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
fn a_saved_token_is_loaded_and_removed_only_if_it_is_the_named_one() {
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

#[cfg(not(unix))]
mod unix {
    autharmor_test_support::ignored_tests! {
        "this platform has neither modes and owners of files nor FIFOs":
        a_file_that_others_can_use_is_not_used_but_replaced
        a_file_of_another_user_is_not_used_but_replaced
        what_is_no_regular_file_neither_blocks_nor_is_used
        a_file_that_cannot_be_opened_does_not_count_as_none
        a_huge_file_is_not_read_to_its_end
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;
    use std::sync::mpsc;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// Returns the error of `check`, which `load` repeats.
    fn refusal(store: &FileTokenStore) -> io::Error {
        let error = store.check().unwrap_err();
        let same = store.load(&key("a")).unwrap_err();
        assert_eq!(error.to_string(), same.to_string());
        let text = error.to_string();
        assert!(text.contains(store.path.to_str().unwrap()), "{text}");
        assert!(text.contains("mode 0600"), "{text}");
        error
    }

    /// The file is not used, and the call goes on and replaces it.
    fn is_replaced(store: &FileTokenStore) {
        let test = test(|builder| builder.token_store(store.clone()));
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), 1);
        assert_eq!(mode(&store.path), 0o600);
        store.check().unwrap();
        let again = super::test(|builder| builder.token_store(store.clone()));
        call(&again.client).unwrap();
        assert_eq!(again.token_requests(), 0);
    }

    #[test]
    fn a_file_that_others_can_use_is_not_used_but_replaced() {
        let folder = Folder::new("others");
        let store = folder.store();
        store.check().unwrap();
        for others in [0o640, 0o604, 0o620, 0o602, 0o660, 0o777] {
            store.save(&key("a"), &stored("one")).unwrap();
            assert_eq!(mode(&store.path), 0o600);
            fs::set_permissions(&store.path, fs::Permissions::from_mode(others)).unwrap();
            let error = refusal(&store);
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            let expected = format!("(mode {others:04o})");
            assert!(error.to_string().contains(&expected), "{error}");
            is_replaced(&store);
        }
    }

    #[test]
    fn a_file_of_another_user_is_not_used_but_replaced() {
        let folder = Folder::new("owner");
        let store = folder.store();
        store.save(&key("a"), &stored("one")).unwrap();
        if chown(&store.path, Some(12345), None).is_err() {
            // Only root can give a file away. This one is root's.
            fs::remove_file(&store.path).unwrap();
            symlink("/etc/passwd", &store.path).unwrap();
        }
        let error = refusal(&store);
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("another user"), "{error}");
        is_replaced(&store);
    }

    #[test]
    fn what_is_no_regular_file_neither_blocks_nor_is_used() {
        let folder = Folder::new("no-file");
        let store = folder.store();
        let path = &store.path;

        let made = Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(path)
            .status();
        assert!(made.unwrap().success());
        let (done, is_done) = mpsc::channel();
        let checked = store.clone();
        thread::spawn(move || done.send(checked.check().is_err()));
        assert_eq!(is_done.recv_timeout(secs(60)), Ok(true), "it blocks");
        assert!(refusal(&store).to_string().contains("not a regular file"));
        is_replaced(&store);

        for device in ["/dev/zero", "/dev/null"] {
            fs::remove_file(path).unwrap();
            symlink(device, path).unwrap();
            assert!(refusal(&store).to_string().contains("not a regular file"));
            is_replaced(&store);
        }

        fs::remove_file(path).unwrap();
        let _listening = UnixListener::bind(path).unwrap();
        assert!(refusal(&store).to_string().contains("cannot be opened"));
        is_replaced(&store);

        // It cannot be replaced, and costs every run a token.
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        assert!(refusal(&store).to_string().contains("not a regular file"));
        for _ in 0..2 {
            let test = test(|builder| builder.token_store(store.clone()));
            call(&test.client).unwrap();
            call(&test.client).unwrap();
            assert_eq!(test.token_requests(), 1);
        }
        assert_eq!(folder.files(), 1, "nothing is left of failed writes");
    }

    #[test]
    fn a_file_that_cannot_be_opened_does_not_count_as_none() {
        let folder = Folder::new("unreadable");
        let store = folder.store();
        symlink(&store.path, &store.path).unwrap();
        assert!(refusal(&store).to_string().contains("cannot be opened"));
        assert!(store.remove(&key("a"), &"one".into()).is_err());
        is_replaced(&store);

        fs::write(folder.0.join("file"), "").unwrap();
        let below_a_file = FileTokenStore::new(folder.0.join("file/token"));
        let error = refusal(&below_a_file);
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        let test = test(|builder| builder.token_store(below_a_file.clone()));
        call(&test.client).unwrap();
    }

    #[test]
    fn a_huge_file_is_not_read_to_its_end() {
        let folder = Folder::new("huge");
        let store = folder.store();
        store.save(&key("a"), &stored("one")).unwrap();
        let file = fs::OpenOptions::new()
            .write(true)
            .open(&store.path)
            .unwrap();
        file.set_len(50_000_000_000).unwrap();
        assert_eq!(store.load(&key("a")).unwrap(), None);
        is_replaced(&store);
    }
}

#[test]
fn the_longest_token_is_stored_as_well() {
    let folder = Folder::new("long");
    let store = folder.store();
    let long = "x".repeat(7 * 1024);
    store.save(&key("a"), &stored(&long)).unwrap();
    assert_eq!(store.load(&key("a")).unwrap(), Some(stored(&long)));
    let text = stored(&long).encode();
    assert_eq!(StoredToken::decode(text.expose()), Some(stored(&long)));
}

#[cfg(not(target_os = "linux"))]
ignored_tests! { "this platform has no /proc": a_file_that_cannot_be_removed_is_an_error }

/// No file can be removed by this name.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_removed_is_an_error() {
    use std::os::fd::AsRawFd;

    let folder = Folder::new("no-removal");
    folder.store().save(&key("a"), &stored("one")).unwrap();
    let file = fs::File::open(folder.0.join("token")).unwrap();
    let store = FileTokenStore::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    assert_eq!(store.load(&key("a")).unwrap(), Some(stored("one")));
    assert!(store.remove(&key("a"), &"one".into()).is_err());
}

#[test]
fn concurrent_writers_leave_one_whole_token() {
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

/// 32 bits of seconds end in 2038 or in 2106.
#[test]
fn a_token_that_lives_beyond_32_bits_of_seconds_is_stored_and_used() {
    for end in [1 << 31, 1 << 32, 1 << 33, 253_402_300_000] {
        let folder = Folder::new("far");
        let before = UNIX_EPOCH + secs(end - 300);
        for (later, expected) in [(0, 1), (310, 0), (610, 1)] {
            let test = test(|builder| builder.token_store(folder.store()));
            test.clock.set_wall(before + secs(later));
            call(&test.client).unwrap();
            assert_eq!(test.token_requests(), expected, "{later} s, {end}");
        }
    }
}

#[test]
fn a_token_is_used_for_a_day_at_most_whatever_number_the_response_states() {
    let hours = |hours: u64| secs(hours * 60 * 60);
    for life in [
        "2147483648",
        "4294967301",
        "9223372036854775807",
        "18446744073709551615",
        "1e300",
    ] {
        let folder = Folder::new("endless");
        let test = || {
            TestClient::with(
                move |number, _, _| {
                    let token = format!(r#"{{"access_token":"t{number}","expires_in":{life}}}"#);
                    respond(200, token)
                },
                |_, _, _| respond(200, "{}"),
                |builder| builder.token_store(folder.store()),
            )
        };
        let first = test();
        let begun = first.clock.wall();
        call(&first.client).unwrap();
        first.clock.advance(hours(23));
        call(&first.client).unwrap();
        assert_eq!(first.token_requests(), 1, "{life}");
        for (later, expected) in [(23, 0), (24, 1)] {
            let second = test();
            second.clock.set_wall(begun + hours(later));
            call(&second.client).unwrap();
            assert_eq!(second.token_requests(), expected, "{life}, {later} hours");
        }
        first.clock.advance(hours(1));
        fs::remove_file(folder.store().path).unwrap();
        call(&first.client).unwrap();
        assert_eq!(first.token_requests(), 2, "{life}");
    }
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

/// A store in memory.
#[derive(Clone, Default)]
struct MemoryStore(Arc<Mutex<Option<StoredToken>>>);

impl TokenStore for MemoryStore {
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

impl MemoryStore {
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
        let store = MemoryStore::default();
        let test = test(|builder| builder.token_store(store.clone()));
        store.put(&*test.clock, 600 - left, left);
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), requests, "{left} s left");
    }
    let store = MemoryStore::default();
    let test = test(|builder| builder.token_store(store.clone()));
    store.put(&*test.clock, 10, 100);
    call(&test.client).unwrap();
    test.clock.advance(secs(100));
    call(&test.client).unwrap();
    assert_eq!(
        (test.token_requests(), store.text().as_deref()),
        (1, Some("t0"))
    );
}

#[test]
fn a_renewal_takes_what_another_process_has_renewed() {
    let store = MemoryStore::default();
    let test = test(|builder| builder.token_store(store.clone()));
    call(&test.client).unwrap();
    test.clock.advance(secs(580));
    store.put(&*test.clock, 5, 595);
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
    // Nobody has: it is up to us.
    test.clock.advance(secs(580));
    call(&test.client).unwrap();
    assert_eq!(
        (test.token_requests(), store.text().as_deref()),
        (2, Some("t1"))
    );
}

#[test]
fn a_token_that_the_server_refuses_is_dropped_from_the_store() {
    for age in [0, 10, 100] {
        let store = MemoryStore::default();
        let test = refusing_the_stored(store.clone());
        store.put(&*test.clock, age, 500);
        call(&test.client).unwrap();
        assert_eq!(
            (test.token_requests(), store.text().as_deref()),
            (1, Some("t0"))
        );
    }
}

#[test]
fn a_refused_token_from_a_clock_that_was_ahead_is_replaced() {
    for (ahead, left) in [(24 * 60 * 60, 600), (60, 60), (600, 0)] {
        let store = MemoryStore::default();
        let test = refusing_the_stored(store.clone());
        let issued_at = test.clock.wall() + secs(ahead);
        *store.0.lock().unwrap() = Some(StoredToken {
            token: "t9".into(),
            issued_at,
            expires_at: issued_at + secs(left),
        });
        for _ in 0..3 {
            call(&test.client).unwrap();
        }
        assert_eq!(
            (test.token_requests(), store.text().as_deref()),
            (1, Some("t0"))
        );
    }
}

#[test]
fn a_stored_token_lives_no_longer_than_its_whole_life() {
    let store = MemoryStore::default();
    let test = test(|builder| builder.token_store(store.clone()));
    let issued_at = test.clock.wall() + secs(24 * 60 * 60);
    *store.0.lock().unwrap() = Some(StoredToken {
        token: "t9".into(),
        issued_at,
        expires_at: issued_at + secs(600),
    });
    call(&test.client).unwrap();
    test.clock.advance(secs(569));
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 0);
    test.clock.advance(secs(1));
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
}

/// A store that holds another bad token whenever it is asked.
#[derive(Default)]
struct BadTokenStore(Mutex<u64>);

impl TokenStore for BadTokenStore {
    fn load(&self, _: &TokenKey) -> io::Result<Option<StoredToken>> {
        let mut count = self.0.lock().unwrap();
        *count += 1;
        let now = SystemTime::now();
        Ok(Some(StoredToken {
            token: format!("junk{count}").into(),
            issued_at: now,
            expires_at: now + secs(600),
        }))
    }

    fn save(&self, _: &TokenKey, _: &StoredToken) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &TokenKey, _: &Secret) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_store_that_gave_two_bad_tokens_is_not_asked_a_third_time() {
    let junk = |body: &'static str| {
        TestClient::with(
            |number, _, _| token(number, 600),
            move |_, request, _| {
                if bearer(request).contains("junk") {
                    respond(401, body)
                } else {
                    respond(200, "{}")
                }
            },
            |builder| builder.token_store(BadTokenStore::default()),
        )
    };
    let test = junk("");
    call(&test.client).unwrap_err();
    assert_eq!((test.token_requests(), test.api_requests()), (0, 2));
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);

    let test = junk(r#"{"error_code":401,"error_message":"no"}"#);
    let validate = Request::<serde_json::Value>::new(Endpoint::ValidateAuthenticatorAuth);
    test.client.send(&validate).unwrap_err();
    test.client.send(&validate).unwrap_err();
    test.client.send(&validate).unwrap();
    assert_eq!((test.token_requests(), test.api_requests()), (1, 3));
}

/// A store that cannot be written.
struct ReadOnlyStore(MemoryStore);

impl TokenStore for ReadOnlyStore {
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
    let store = MemoryStore::default();
    let test = refusing_the_stored(ReadOnlyStore(store.clone()));
    store.put(&*test.clock, 100, 500);
    call(&test.client).unwrap();
    assert_eq!(
        (test.token_requests(), store.text().as_deref()),
        (1, Some("t9"))
    );
}

#[test]
fn tokens_that_a_store_keeps_are_refused_once_each() {
    let store = MemoryStore::default();
    let test = TestClient::with(
        |number, _, _| token(number, 600),
        |number, _, _| {
            if number % 2 == 0 {
                respond(401, "")
            } else {
                respond(200, "{}")
            }
        },
        |builder| builder.token_store(ReadOnlyStore(store.clone())),
    );
    for (requests, left) in [(1, 500), (2, 400), (3, 300)] {
        // The first time it is used and refused, then it is known.
        store.put(&*test.clock, 100, left);
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), requests);
        test.clock.advance(secs(30));
    }
}

#[test]
fn new_credentials_do_not_use_what_the_old_ones_stored() {
    fn with_store(store: impl TokenStore + 'static) -> TestClient {
        TestClient::with(
            |number, request, _| {
                let form = std::str::from_utf8(request.body().unwrap()).unwrap();
                if form.ends_with("client_secret=wrong") {
                    respond(400, r#"{"error":"invalid_client"}"#)
                } else {
                    token(number, 600)
                }
            },
            |_, _, _| respond(200, "{}"),
            |builder| builder.token_store(store),
        )
    }
    let store = MemoryStore::default();
    for test in [
        with_store(store.clone()),
        with_store(ReadOnlyStore(store.clone())),
    ] {
        store.put(&*test.clock, 10, 500);
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), 0);
        test.client.set_credentials("id", "wrong").unwrap();
        for _ in 0..2 {
            assert_eq!(call(&test.client).unwrap_err().kind(), ErrorKind::Auth);
        }
    }
    let test = with_store(store.clone());
    store.put(&*test.clock, 10, 500);
    test.client.set_credentials("id", "wrong").unwrap();
    assert_eq!(store.text(), None, "dropped for other processes as well");
}

/// Has the client's token invalidated while it is saved.
struct InvalidatingStore {
    store: MemoryStore,
    client: Arc<OnceLock<Client>>,
}

impl TokenStore for InvalidatingStore {
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        self.store.load(key)
    }

    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()> {
        if let Some(client) = self.client.get() {
            client.invalidate_token();
        }
        self.store.save(key, token)
    }

    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()> {
        self.store.remove(key, token)
    }
}

#[test]
fn a_token_that_was_asked_for_before_it_was_invalidated_is_not_stored() {
    for is_saving in [false, true] {
        let store = MemoryStore::default();
        let client = Arc::new(OnceLock::<Client>::new());
        let at_save = Arc::new(OnceLock::new());
        let invalidating = InvalidatingStore {
            store: store.clone(),
            client: Arc::clone(&at_save),
        };
        let at_fetch = Arc::clone(&client);
        let test = TestClient::with(
            move |number, _, _| {
                if number > 0 {
                    return respond(400, "");
                }
                if let Some(client) = at_fetch.get() {
                    client.invalidate_token();
                }
                token(number, 600)
            },
            |_, _, _| respond(200, "{}"),
            |builder| builder.token_store(invalidating),
        );
        let meddling = if is_saving { at_save } else { client };
        meddling.set(test.client.clone()).unwrap();
        call(&test.client).unwrap_err();
        assert_eq!(test.token_requests(), 2);
        assert_eq!(store.text(), None);
    }
}

#[test]
fn an_invalidated_token_does_not_come_back_from_a_store_that_keeps_it() {
    let store = MemoryStore::default();
    let test = test(|builder| builder.token_store(ReadOnlyStore(store.clone())));
    store.put(&*test.clock, 100, 500);
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 0);
    test.client.invalidate_token();
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
}

#[test]
fn invalidating_empties_the_store_and_checking_credentials_asks_the_endpoint() {
    let store = MemoryStore::default();
    let test = test(|builder| builder.token_store(store.clone()));
    store.put(&*test.clock, 10, 500);
    test.client.check_credentials().unwrap();
    assert_eq!(
        (test.token_requests(), store.text().as_deref()),
        (1, Some("t0"))
    );
    test.client.invalidate_token();
    assert_eq!(store.text(), None);
}

/// A store that is never there.
struct FailingStore;

impl TokenStore for FailingStore {
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
fn a_store_that_fails_counts_as_empty() {
    let test = test(|builder| builder.token_store(FailingStore));
    call(&test.client).unwrap();
    call(&test.client).unwrap();
    test.client.invalidate_token();
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn a_token_that_no_header_can_carry_is_not_taken_from_the_store() {
    let store = MemoryStore::default();
    let test = test(|builder| builder.token_store(store.clone()));
    store.put(&*test.clock, 10, 500);
    store.0.lock().unwrap().as_mut().unwrap().token = "a\r\nb".into();
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
fn different_keys_are_displayed_differently() {
    assert_ne!(key("a\" \"").to_string(), key("a").to_string());
    assert_eq!(
        key("a").to_string(),
        r#""https://login.example/connect/token" "a" """#
    );
}

/// Takes a lease as a process that knows nothing of earlier ones.
fn take(store: &FileTokenStore, holder: &str, length: Duration) -> Lease {
    let other = FileTokenStore::new(&store.path);
    other.lease(&key("a"), holder, length).unwrap()
}

fn lease_path(store: &FileTokenStore) -> PathBuf {
    store.path.with_file_name("token.lease")
}

/// Moves the time at which the lease file was written.
fn written(store: &FileTokenStore, time: SystemTime) {
    set_modified(&lease_path(store), time);
}

fn set_modified(path: &Path, time: SystemTime) {
    let file = fs::OpenOptions::new().write(true).open(path);
    file.unwrap().set_modified(time).unwrap();
}

#[test]
fn a_lease_file_has_one_holder_until_it_is_released() {
    let folder = Folder::new("lease");
    let store = folder.store();
    assert_eq!(take(&store, "one", secs(5)), Lease::Granted);
    for holder in ["two", "one"] {
        assert_eq!(take(&store, holder, secs(5)), Lease::Held("one".to_owned()));
    }
    store.release(&key("a"), "two").unwrap();
    assert_eq!(take(&store, "two", secs(5)), Lease::Held("one".to_owned()));
    store.release(&key("a"), "one").unwrap();
    assert_eq!(take(&store, "two", secs(5)), Lease::Granted);
    store.release(&key("a"), "two").unwrap();
    store.release(&key("a"), "two").unwrap();
    assert_eq!(folder.files(), 0);
}

#[test]
fn a_lease_file_is_passed_on_by_its_holder_alone() {
    let folder = Folder::new("passed");
    let store = folder.store();
    take(&store, "one", secs(5));
    let held = Lease::Held("next".to_owned());
    for (holder, next) in [("one", "next"), ("two", "another")] {
        let passed = store.pass_lease(&key("a"), holder, next, secs(5));
        passed.unwrap();
        assert_eq!(take(&store, "three", secs(5)), held);
    }
}

#[test]
fn a_lease_file_that_cannot_be_created_is_an_error() {
    let folder = Folder::new("no-folder");
    let store = FileTokenStore::new(folder.0.join("missing/token"));
    assert!(store.lease(&key("a"), "one", secs(5)).is_err());
}

/// Windows replaces no file that somebody has open, on some file systems.
#[test]
fn a_file_that_somebody_reads_is_replaced_once_it_is_closed() {
    let folder = Folder::new("open");
    let store = folder.store();
    store.save(&key("a"), &stored("one")).unwrap();
    let reader = fs::File::open(&store.path).unwrap();
    thread::scope(|scope| {
        let saved = scope.spawn(|| store.save(&key("a"), &stored("two")));
        // Time to be refused.
        thread::sleep(Duration::from_millis(100));
        drop(reader);
        saved.join().unwrap().unwrap();
    });
    assert_eq!(store.load(&key("a")).unwrap(), Some(stored("two")));
    assert_eq!(folder.files(), 1);
}

#[cfg(windows)]
#[test]
fn a_refusal_that_lasts_is_an_error() {
    use std::os::windows::fs::OpenOptionsExt as _;

    let folder = Folder::new("lasting");
    let store = folder.store();
    store.save(&key("a"), &stored("one")).unwrap();
    let alone = fs::File::options()
        .read(true)
        .share_mode(0)
        .open(&store.path);
    assert!(store.load(&key("a")).is_err());
    assert!(store.save(&key("a"), &stored("two")).is_err());
    drop(alone.unwrap());
    assert_eq!(store.load(&key("a")).unwrap(), Some(stored("one")));
    assert_eq!(folder.files(), 1);
}

/// What two processes at the same file see of each other.
#[test]
fn a_removal_that_comes_late_changes_nothing() {
    let folder = Folder::new("late");
    let path = folder.0.join("token");
    let remove = |is_it: &dyn Fn() -> bool| private_file::remove_if(&path, |_| is_it());
    assert!(!remove(&|| true).unwrap(), "there is none");

    write_new(&path, b"old").unwrap();
    let replaced = || {
        write_new(&path, b"new").unwrap();
        false
    };
    assert!(!remove(&replaced).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert!(!remove(&|| false).unwrap());
    assert_eq!(
        (fs::read(&path).unwrap(), folder.files()),
        (b"new".to_vec(), 1)
    );
}

/// One of them finds that the file is gone, and then that there is a new one.
#[test]
fn removals_at_the_same_time_do_not_fail() {
    let folder = Folder::new("removals");
    // The way to it is long, so that more can happen between two steps.
    fs::create_dir(folder.0.join("a")).unwrap();
    let path = folder.0.join("a/../".repeat(150)).join("token");
    thread::scope(|scope| {
        let removing = [(); 2].map(|()| {
            scope.spawn(|| {
                for _ in 0..1000 {
                    private_file::remove_if(&path, |_| true).unwrap();
                }
            })
        });
        while !removing.iter().all(thread::ScopedJoinHandle::is_finished) {
            // It fails while there is one.
            let _ = write_new(&path, b"token");
        }
    });
}

#[cfg(not(unix))]
ignored_tests! { "folders cannot be opened on this platform": a_folder_in_the_place_of_a_file_is_put_back }

/// It has no second name, as no file has on some file systems.
#[cfg(unix)]
#[test]
fn a_folder_in_the_place_of_a_file_is_put_back() {
    let folder = Folder::new("put-back");
    let path = folder.0.join("token");
    fs::create_dir(&path).unwrap();
    assert!(!private_file::remove_if(&path, |_| true).unwrap());
    assert!(path.is_dir());
    assert_eq!(folder.files(), 1);
}

#[test]
fn a_lease_file_of_a_process_that_was_killed_is_replaced() {
    let folder = Folder::new("killed");
    let store = folder.store();
    take(&store, "one", secs(5));
    written(&store, SystemTime::now() - secs(4));
    assert_eq!(take(&store, "two", secs(5)), Lease::Held("one".to_owned()));
    written(&store, SystemTime::now() - secs(6));
    assert_eq!(take(&store, "two", secs(5)), Lease::Granted);
    assert_eq!(take(&store, "one", secs(5)), Lease::Held("two".to_owned()));

    // Of one that was killed while it wrote, and of one that asked for too much.
    for (text, seconds) in [
        ("", 5),
        (r#"{"holder":"#, 5),
        (r#"{"holder":"one","milliseconds":999999999}"#, 10),
    ] {
        fs::write(lease_path(&store), text).unwrap();
        written(&store, SystemTime::now() - secs(seconds - 1));
        assert!(
            matches!(take(&store, "two", secs(5)), Lease::Held(_)),
            "{text}"
        );
        written(&store, SystemTime::now() - secs(seconds + 1));
        assert_eq!(take(&store, "two", secs(5)), Lease::Granted, "{text}");
    }
    assert_eq!(folder.files(), 1);
}

#[test]
fn a_lease_ends_if_it_stays_the_same_for_its_length_whatever_the_clock_says() {
    let length = Duration::from_millis(200);
    let folder = Folder::new("watched");
    let store = folder.store();
    take(&store, "one", length);
    written(&store, SystemTime::now() + secs(24 * 60 * 60));
    let first_look = std::time::Instant::now();
    while store.lease(&key("a"), "two", length).unwrap() != Lease::Granted {
        thread::yield_now();
    }
    assert!(first_look.elapsed() >= length);

    // Another one begins anew.
    let watching = folder.store();
    written(&store, SystemTime::now() + secs(24 * 60 * 60));
    let first_look = std::time::Instant::now();
    assert!(watching.lease(&key("a"), "three", length).unwrap() != Lease::Granted);
    fs::remove_file(lease_path(&store)).unwrap();
    take(&store, "four", length);
    written(&store, SystemTime::now() + secs(24 * 60 * 60));
    while first_look.elapsed() < length {
        thread::yield_now();
    }
    let held = Lease::Held("four".to_owned());
    assert_eq!(watching.lease(&key("a"), "three", length).unwrap(), held);
}

#[test]
fn one_of_many_takes_over_a_lease_that_has_ended() {
    let folder = Folder::new("take-over");
    let store = folder.store();
    for round in 0..50 {
        take(&store, "killed", secs(5));
        written(&store, SystemTime::now() - secs(6));
        let granted: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|number| {
                    let store = &store;
                    let holder = format!("{round}-{number}");
                    scope.spawn(move || {
                        usize::from(take(store, &holder, secs(10)) == Lease::Granted)
                    })
                })
                .collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(granted, 1, "round {round}");
        fs::remove_file(lease_path(&store)).unwrap();
    }
    assert_eq!(folder.files(), 0);
}

/// The late one has seen a lease end that another one has taken over by now.
#[test]
fn a_late_takeover_does_not_touch_the_new_lease() {
    let folder = Folder::new("late");
    let store = folder.store();
    take(&store, "killed", secs(5));
    written(&store, SystemTime::now() - secs(6));
    let seen = Version::read(&lease_path(&store)).unwrap().unwrap();
    assert_eq!(take(&store, "new", secs(5)), Lease::Granted);
    // It lasts as long as the test.
    written(&store, SystemTime::now() + secs(24 * 60 * 60));
    let held = Lease::Held("new".to_owned());
    thread::scope(|scope| {
        let late = scope.spawn(|| {
            for _ in 0..100 {
                assert!(!seen.remove(&lease_path(&store)).unwrap());
            }
        });
        while !late.is_finished() {
            assert_eq!(take(&store, "third", secs(5)), held);
        }
    });
    assert_eq!(take(&store, "third", secs(5)), held);
    assert_eq!(folder.files(), 1);
}

#[test]
fn a_process_that_is_killed_while_it_takes_over_does_not_block_the_next() {
    let folder = Folder::new("killed-twice");
    let store = folder.store();
    for distance in [secs(2), secs(24 * 60 * 60)] {
        for is_ahead in [false, true] {
            let now = SystemTime::now();
            take(&store, "one", secs(5));
            written(&store, now - secs(6));
            let seen = Version::read(&lease_path(&store)).unwrap().unwrap();
            let claim = seen.claim(&lease_path(&store));
            write_new(&claim, b"").unwrap();
            // What the former holder's name says is over.
            let held = Lease::Held(String::new());
            for _ in 0..2 {
                assert_eq!(take(&store, "two", secs(5)), held);
            }
            let changed = if is_ahead {
                // By the time of the look, some of it has passed.
                now + distance + secs(3600)
            } else {
                now - distance
            };
            set_modified(&claim, changed);
            // The first one cleans up.
            assert_eq!(take(&store, "two", secs(5)), held);
            assert_eq!(take(&store, "two", secs(5)), Lease::Granted);
            store.release(&key("a"), "two").unwrap();
            assert_eq!(folder.files(), 0);
        }
    }
}

#[test]
fn a_takeover_removes_what_killed_processes_have_left() {
    let folder = Folder::new("left");
    let store = folder.store();
    for (age, files) in [(9, 2), (11, 1)] {
        take(&store, "one", secs(5));
        written(&store, SystemTime::now() - secs(age));
        let seen = Version::read(&lease_path(&store)).unwrap().unwrap();
        // It was killed after it had renamed the file.
        fs::rename(lease_path(&store), seen.claim(&lease_path(&store))).unwrap();
        take(&store, "two", secs(5));
        written(&store, SystemTime::now() - secs(6));
        assert_eq!(take(&store, "three", secs(5)), Lease::Granted);
        assert_eq!(folder.files(), files, "{age} s");
        fs::remove_file(lease_path(&store)).unwrap();
        let _ = fs::remove_file(seen.claim(&lease_path(&store)));
    }
}

/// Its claim has a longer name than files can have, and so has a new token.
#[test]
fn nobody_waits_for_a_lease_file_that_has_ended_and_cannot_be_removed() {
    let folder = Folder::new("long-name");
    let store = FileTokenStore::new(folder.0.join("t".repeat(240)));
    take(&store, "killed", secs(5));
    let lease = with_suffix(&store.path, ".lease");
    set_modified(&lease, SystemTime::now() - secs(6));
    let test = test(|builder| builder.token_store(store.clone()));
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), test.clock.slept().len()), (1, 0));
}

#[test]
fn a_lease_file_that_cannot_be_claimed_is_an_error() {
    let folder = Folder::new("no-claim");
    fs::create_dir(folder.0.join("gone")).unwrap();
    let store = FileTokenStore::new(folder.0.join("gone/token"));
    take(&store, "killed", secs(5));
    let seen = Version::read(&lease_path(&store)).unwrap().unwrap();
    fs::remove_dir_all(folder.0.join("gone")).unwrap();
    assert!(seen.remove(&lease_path(&store)).is_err());
}

#[test]
fn what_stands_in_the_place_of_the_lease_file_costs_a_token_request_at_most() {
    let folder = Folder::new("no-lease");
    let store = folder.store();
    fs::create_dir(lease_path(&store)).unwrap();
    let test = test(|builder| builder.token_store(store.clone()));
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
    assert!(store.load(&key("id")).is_ok());
}

/// Tokens are removed while newer ones are put in their place.
#[test]
fn no_late_removal_takes_a_newer_token() {
    const ROUNDS: usize = 500;
    let folder = Folder::new("removal");
    let store = folder.store();
    let saved = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let number = saved.load(std::sync::atomic::Ordering::SeqCst);
                if number == ROUNDS {
                    break;
                }
                store
                    .remove(&key("a"), &format!("{number}").as_str().into())
                    .unwrap();
            }
        });
        for number in 1..=ROUNDS {
            // It removes the one before, now or later.
            store.save(&key("a"), &stored(&number.to_string())).unwrap();
            let mut looks = 0..10_000;
            // While it looks what it has, there is none for a moment.
            let found = looks.find_map(|_| store.load(&key("a")).unwrap());
            saved.store(number, std::sync::atomic::Ordering::SeqCst);
            let found = found.map(|it| it.token.expose().to_owned());
            if found != Some(number.to_string()) {
                saved.store(ROUNDS, std::sync::atomic::Ordering::SeqCst);
                panic!("{number} is gone: {found:?}");
            }
        }
    });
    assert!(folder.files() <= 1);
}
