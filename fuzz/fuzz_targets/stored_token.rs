//! Tokens from a store: one that is intact and still valid is used, and
//! otherwise a new one is fetched, used and saved.
#![no_main]

use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

use autharmor::{Client, FileTokenStore, Lease, Secret, StoredToken, TokenKey, TokenStore};
use autharmor_fuzz::{BEARER, Response, Service, USER, alloc, json, split_selector};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    // In memory, which is much faster.
    let memory = PathBuf::from("/dev/shm");
    let folder = Some(memory).filter(|folder| folder.is_dir());
    let folder = folder.unwrap_or_else(env::temp_dir);
    folder.join(format!("autharmor-fuzz-{}.token", process::id()))
});
/// The key of the token, as a file holds it.
static KEY: LazyLock<String> = LazyLock::new(|| {
    let store = TextStore::default();
    client(store.clone()).get_user(USER).expect("a user");
    store.0.lock().unwrap().key.take().expect("a key")
});

/// A store with the text of a token.
#[derive(Clone, Default)]
struct TextStore(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    text: String,
    key: Option<String>,
}

impl TokenStore for TextStore {
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        let mut content = self.0.lock().unwrap();
        content.key = Some(serde_json::to_string(key)?);
        Ok(StoredToken::decode(&content.text))
    }

    fn save(&self, _: &TokenKey, token: &StoredToken) -> io::Result<()> {
        self.0.lock().unwrap().text = token.encode().expose().to_owned();
        Ok(())
    }

    fn remove(&self, _: &TokenKey, _: &Secret) -> io::Result<()> {
        self.0.lock().unwrap().text.clear();
        Ok(())
    }

    /// Without leases the first fetch of a client would wait for others.
    fn lease(&self, _: &TokenKey, _: &str, _: Duration) -> io::Result<Lease> {
        Ok(Lease::Granted)
    }
}

fn client(store: impl TokenStore + 'static) -> Client {
    SERVICE.respond_with([Response::ok(
        br#"{"user_id":"11111111-2222-4333-8444-555555555555"}"#,
    )]);
    SERVICE.client_with(|builder| builder.token_store(store))
}

// The first byte selects the store: one that decodes the text, a file with the
// text, or a file with the right key and the text as its token.
fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = split_selector(data) else {
        return;
    };
    LazyLock::force(&KEY);
    alloc::bounded(|| match first % 3 {
        0 => {
            let Ok(text) = std::str::from_utf8(text) else {
                return;
            };
            let store = TextStore::default();
            store.0.lock().unwrap().text = text.to_owned();
            let header = used_header(client(store.clone()));
            check(&header, text.as_bytes(), &[], || {
                store.0.lock().unwrap().text.clone().into_bytes()
            });
        }
        1 => check_file(text),
        _ => {
            let key = KEY.as_bytes();
            check_file(&[b"{\"key\":", key, b",\"token\":", text, b"}"].concat());
        }
    });
});

fn check_file(content: &[u8]) {
    let _ = fs::remove_file(&*FILE);
    let mut options = fs::File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&*FILE)
        .unwrap();
    file.write_all(content).unwrap();
    let header = used_header(client(FileTokenStore::new(&*FILE)));
    check(&header, content, &["token"], || fs::read(&*FILE).unwrap());
}

/// Makes a call. Returns the token in its header.
fn used_header(client: Client) -> String {
    client.get_user(USER).expect("a user");
    let requests = SERVICE.requests();
    assert_eq!(requests.len(), 1);
    let header = String::from_utf8(requests[0].authorization.clone()).expect("ASCII");
    let token = header.strip_prefix("Bearer ").expect("a bearer token");
    token.to_owned()
}

/// `path` leads to the token in the text.
fn check(used: &str, text: &[u8], path: &[&str], saved: impl FnOnce() -> Vec<u8>) {
    let member = |text: &[u8], name| json::at(text, &[path, &[name]].concat());
    if used == BEARER {
        assert_eq!(member(&saved(), "access_token"), BEARER);
        return;
    }
    assert_eq!(member(text, "access_token"), used);
    assert_eq!(member(text, "v"), 1);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let expires_at = member(text, "expires_at");
    assert!(expires_at.as_u64().expect("a time") > now, "{expires_at}");
    if let [_] = path {
        let key: Value = serde_json::from_str(&KEY).unwrap();
        assert_eq!(json::at(text, &["key"]), key);
    }
}
