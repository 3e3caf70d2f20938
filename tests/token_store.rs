//! `FileTokenStore` between processes.

use std::collections::HashSet;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use autharmor::emulator::{Emulator, Fault};
use autharmor::{Client, ClientBuilder, FileTokenStore, RetryPolicy};
use autharmor::{StoredToken, TokenKey, TokenStore as _};
use autharmor_test_support::Folder;
use autharmor_test_support::emulator::{emulator, token_requests, wait_for_call};
use autharmor_test_support::programs::this_program;
use autharmor_test_support::shifted_clock::ShiftedClock;
use serde::{Deserialize, Serialize};
use serde_json::json;

const WRITERS: usize = 3;
/// The time limit of a call: emulated processes are slow to connect.
const PATIENCE: Duration = Duration::from_secs(300);
/// The number of tokens of each writer that the reader waits for.
const ENOUGH: usize = 100;

/// Set for the other processes alone.
const OTHER_PROCESS: &str = "AUTHARMOR_TEST_OTHER_PROCESS";
/// The prefix of another process's lines, which tells them from the harness's.
const RESULT: &str = "result: ";

/// The first line that another process reads from its standard input.
#[derive(Serialize, Deserialize)]
enum Task {
    /// Writes tokens, and perhaps removes some, until the input ends.
    Write {
        file: PathBuf,
        writer: usize,
        removes: bool,
    },
    /// Calls the API once for each further line, after its clock was advanced
    /// by the number of seconds in it.
    Call {
        file: PathBuf,
        url: String,
        ca: String,
        client_id: String,
        client_secret: String,
    },
}

/// Another process.
#[test]
#[ignore = "no test: other tests run it in another process"]
fn the_other_process() {
    if env::var_os(OTHER_PROCESS).is_none() {
        return;
    }
    let mut lines = BufReader::new(io::stdin()).lines().map(Result::unwrap);
    match serde_json::from_str(&lines.next().unwrap()).unwrap() {
        Task::Write {
            file,
            writer,
            removes,
        } => write_until_the_end(&file, writer, removes, lines),
        Task::Call {
            file,
            url,
            ca,
            client_id,
            client_secret,
        } => {
            let builder = Client::builder(client_id, client_secret)
                .api_url(&url)
                .login_url(&url)
                .only_root_certificates(ca)
                .timeout(PATIENCE)
                .no_proxy();
            let clock = Arc::new(ShiftedClock::default());
            let client = with_store(builder.clock(Arc::clone(&clock)), &file);
            for line in lines {
                clock.advance(Duration::from_secs(line.parse().unwrap()));
                // The harness may have left its own line open.
                println!("\n{RESULT}{}", call(&client));
            }
        }
    }
}

fn write_until_the_end(
    file: &Path,
    writer: usize,
    removes: bool,
    lines: impl Iterator + Send + 'static,
) {
    let (store, key) = (FileTokenStore::new(file), key());
    let is_over = Arc::new(AtomicBool::new(false));
    let at_the_end = Arc::clone(&is_over);
    thread::spawn(move || {
        lines.for_each(drop);
        at_the_end.store(true, Ordering::Relaxed);
    });
    for number in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        store.save(&key, &token(writer, number)).unwrap();
        // It may be another writer's by now.
        match store.load(&key).unwrap() {
            Some(found) => {
                read(&found);
                if removes && number % 4 == 0 {
                    store.remove(&key, found.token()).unwrap();
                }
            }
            None => assert!(removes, "a part of a token"),
        }
    }
}

fn key() -> TokenKey {
    let key = json!({
        "login_url": "https://login.example/connect/token", "client_id": "a", "scopes": "",
    });
    serde_json::from_value(key).unwrap()
}

/// A token of which every part says whose it is, and which one.
fn token(writer: usize, number: usize) -> StoredToken {
    let unit = 1_000 * number + writer;
    let text = json!({
        "v": 1,
        "access_token": format!("{writer}-{number}.").repeat(20 + number % 200),
        "issued_at": 1_000_000_000 + unit,
        "expires_at": 2_000_000_000 + unit,
    });
    StoredToken::decode(&text.to_string()).unwrap()
}

/// Returns the writer and the number of a token, which must be complete.
fn read(found: &StoredToken) -> (usize, usize) {
    let text = found.token().expose();
    let (first, _) = text.split_once('.').unwrap();
    let (writer, number) = first.split_once('-').unwrap();
    let (writer, number) = (writer.parse().unwrap(), number.parse().unwrap());
    assert!(*found == token(writer, number), "{text}");
    (writer, number)
}

fn with_store(builder: ClientBuilder, file: &Path) -> Client {
    let builder = builder.retry(RetryPolicy::off());
    builder
        .token_store(FileTokenStore::new(file))
        .build()
        .unwrap()
}

fn call(client: &Client) -> String {
    match client.get_user("ada@example.com") {
        Ok(user) => user.user_id.to_string(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(task: &Task) -> Self {
        let mut child = this_program()
            .args(["the_other_process", "--exact", "--ignored", "--nocapture"])
            .env(OTHER_PROCESS, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        process.tell(&serde_json::to_string(task).unwrap());
        process
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input.as_ref().unwrap(), "{line}").unwrap();
    }

    fn call(&mut self) -> String {
        self.tell("0");
        self.result()
    }

    /// Returns the result of the oldest call whose result was not yet returned.
    fn result(&mut self) -> String {
        let mut lines = (&mut self.output).lines().map(Result::unwrap);
        lines
            .find_map(|line| Some(line.strip_prefix(RESULT)?.to_owned()))
            .expect("the other process ended")
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn end(mut self) {
        self.input = None;
        assert!(self.child.wait().unwrap().success());
    }
}

/// It sees the end of its input, whatever the test came to.
impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Reads while processes write, until it has seen enough of each.
fn read_while_others_write(removes: bool) {
    let folder = Folder::new();
    let file = folder.path().join("token");
    let (store, key) = (FileTokenStore::new(&file), key());
    store.save(&key, &token(0, 0)).unwrap();
    let write = |writer| {
        let file = file.clone();
        Process::start(&Task::Write {
            file,
            writer,
            removes,
        })
    };
    let mut writers: Vec<_> = (0..WRITERS).map(write).collect();
    let mut seen = vec![HashSet::new(); WRITERS];
    while seen.iter().any(|numbers| numbers.len() < ENOUGH) {
        assert!(writers.iter_mut().all(Process::is_running));
        match store.load(&key).unwrap() {
            Some(found) => {
                let (writer, number) = read(&found);
                seen[writer].insert(number);
            }
            // A part would count as none.
            None => assert!(removes, "a part of a token"),
        }
    }
    writers.into_iter().for_each(Process::end);

    store.save(&key, &token(0, 0)).unwrap();
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_reader_sees_one_whole_token_while_processes_write() {
    read_while_others_write(false);
}

#[test]
fn a_reader_sees_one_whole_token_or_none_while_processes_write_and_remove() {
    read_while_others_write(true);
}

fn calling(emulator: &Emulator, file: &Path) -> Task {
    Task::Call {
        file: file.to_owned(),
        url: emulator.api_url().to_owned(),
        ca: emulator.ca_pem().to_owned(),
        client_id: emulator.client_id().to_owned(),
        client_secret: emulator.client_secret().to_owned(),
    }
}

#[test]
fn of_many_processes_one_fetches_the_token_at_the_start_and_at_each_renewal() {
    let life = Duration::from_secs(600);
    let builder = Emulator::builder().user("ada@example.com");
    let emulator = builder.token_lifetime(life).start().unwrap();
    // Long enough for all of them to find no token.
    emulator.fault(Fault::latency(Duration::from_secs(2)).on("token"));
    let folder = Folder::new();
    let task = calling(&emulator, &folder.path().join("token"));
    let ada = emulator.users()[0].0.to_string();
    // A lease lasts five seconds, in which an emulated one of 32 cannot connect.
    let is_emulated = env::var_os("AUTHARMOR_TEST_RUNNER").is_some_and(|it| !it.is_empty());
    let size = if is_emulated { 4 } else { 32 };
    let mut fleet: Vec<_> = (0..size).map(|_| Process::start(&task)).collect();
    // The cold start; the end of the token; its renewal by some, then by all;
    // and nothing to do.
    for (advance, at_least) in [("0", 1), ("601", 1), ("580", 0), ("17", 0), ("0", 0)] {
        emulator.clear_requests();
        for process in &mut fleet {
            process.tell(advance);
        }
        for process in &mut fleet {
            assert_eq!(process.result(), ada, "after {advance} s");
        }
        let requests = token_requests(&emulator);
        assert!(
            (at_least..=2).contains(&requests),
            "{requests} after {advance} s"
        );
    }
    fleet.into_iter().for_each(Process::end);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "the token alone: {left:?}");
}

#[test]
fn the_lease_of_a_process_that_is_killed_ends() {
    let (folder, emulator) = (Folder::new(), emulator());
    emulator.fault(Fault::latency(Duration::from_secs(60)).on("token").times(1));
    let task = calling(&emulator, &folder.path().join("token"));
    let ada = emulator.users()[0].0.to_string();
    let mut killed = Process::start(&task);
    killed.tell("0");
    wait_for_call(&emulator, "token");
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(folder.path().join("token.lease").exists());

    let mut others = [(); 3].map(|()| Process::start(&task));
    let began = Instant::now();
    for process in &mut others {
        process.tell("0");
    }
    for process in &mut others {
        assert_eq!(process.result(), ada);
    }
    // Five seconds, and a machine that is busy.
    assert!(began.elapsed() < Duration::from_secs(25));
    assert_eq!(token_requests(&emulator), 2, "one of them took over");
    others.into_iter().for_each(Process::end);
}

#[test]
fn processes_share_a_token_and_drop_it_once_it_is_refused() {
    let (folder, emulator) = (Folder::new(), emulator());
    let file = folder.path().join("token");
    let task = calling(&emulator, &file);
    let ada = emulator.users()[0].0.to_string();

    let mut first = Process::start(&task);
    assert_eq!(first.call(), ada);
    first.end();
    let [mut early, mut late] = [(); 2].map(|()| Process::start(&task));
    assert_eq!((early.call(), late.call()), (ada.clone(), ada.clone()));
    assert_eq!(token_requests(&emulator), 1, "the one of the first");

    emulator.expire_tokens();
    emulator.fault(Fault::token_endpoint_down());
    assert_ne!(early.call(), ada);
    assert!(!file.exists(), "dropped before there is another");

    emulator.clear_faults();
    emulator.clear_requests();
    assert_eq!(early.call(), ada);
    let newer = fs::read(&file).unwrap();
    // It learns only now that its token is refused.
    assert_eq!(late.call(), ada);
    assert_eq!(fs::read(&file).unwrap(), newer);
    assert_eq!(token_requests(&emulator), 1, "the newer one serves both");
    early.end();
    late.end();
}

#[test]
fn a_torn_or_foreign_file_costs_one_token_request() {
    let (folder, emulator) = (Folder::new(), emulator());
    let file = folder.path().join("token");
    let run = || call(&with_store(emulator.client_builder(), &file));
    let ada = run();
    let whole = fs::read(&file).unwrap();
    let foreign = String::from_utf8(whole.clone()).unwrap();
    let foreign = foreign.replace(emulator.client_id(), "somebody-else");
    for text in [b"junk", &whole[..whole.len() / 2], foreign.as_bytes()] {
        fs::write(&file, text).unwrap();
        emulator.clear_requests();
        assert_eq!((run(), run()), (ada.clone(), ada.clone()));
        let text = text.escape_ascii();
        assert_eq!(token_requests(&emulator), 1, "replaced: {text}");
    }
}

#[cfg(not(unix))]
mod modes {
    autharmor_test_support::ignored_tests! {
        "files have no mode on this platform":
        a_file_that_others_can_read_is_not_used_and_the_log_names_it
    }
}

#[cfg(unix)]
mod modes {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Mutex;

    use super::*;

    /// The warnings of this process.
    struct Log(Mutex<Vec<String>>);

    static LOG: Log = Log(Mutex::new(Vec::new()));

    impl log::Log for Log {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.level() == log::Level::Warn
        }

        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                self.0.lock().unwrap().push(record.args().to_string());
            }
        }

        fn flush(&self) {}
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used_and_the_log_names_it() {
        log::set_logger(&LOG).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
        let (folder, emulator) = (Folder::new(), emulator());
        let file = folder.path().join("token");
        let ada = call(&with_store(emulator.client_builder(), &file));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        emulator.clear_requests();

        let run = || call(&with_store(emulator.client_builder(), &file));
        assert_eq!((run(), run()), (ada.clone(), ada));
        assert_eq!(token_requests(&emulator), 1, "replaced by the first run");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let name = file.to_str().unwrap();
        let warnings = LOG.0.lock().unwrap();
        let about_it: Vec<_> = warnings.iter().filter(|line| line.contains(name)).collect();
        let [line] = about_it[..] else {
            panic!("not one warning: {warnings:?}");
        };
        assert!(
            line.contains("mode 0640") && line.contains("0600"),
            "{line}"
        );
    }
}
