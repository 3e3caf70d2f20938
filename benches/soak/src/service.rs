//! The emulator in a process of its own, controlled through two pipes, so that
//! every socket, thread and byte of the calling process belongs to the client.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::env;
use std::io::{self, BufRead, BufReader};
use std::process::{self, Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use autharmor::emulator::{Emulator, EmulatorError};
use autharmor::flow::Registration;
use autharmor::registrations::StartWebauthnRegistrationForUser;
use autharmor::{Client, ClientBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::fault_schedule::FaultSchedule;
use crate::ledger::{Ledger, ReportedSignIn, Summary};

/// The subcommand of the emulator's process.
const SUBCOMMAND: &str = "service";

const USERS: usize = 200;
/// How many of the users have a passkey.
const PASSKEYS: usize = 32;
/// Shorter than the longest period without token faults.
const TOKEN_LIFE: Duration = Duration::from_secs(45);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    pub id: Uuid,
    pub name: String,
    pub has_passkey: bool,
}

/// A command to the service's process, sent as one line of JSON.
#[derive(Serialize, Deserialize)]
pub enum Command {
    EnableFaults(bool),
    /// Approves or declines a push notification.
    Decide {
        request: Uuid,
        user: String,
        approve: bool,
    },
    /// Opens the magic link in the mail with this tag. Returns the URL that the
    /// browser is redirected to.
    OpenLink {
        tag: String,
    },
    UsePasskey {
        options: String,
    },
    CreatePasskey {
        options: String,
    },
    EnrolPhone {
        registration: Uuid,
    },
    /// Reports a sign-in, to be checked.
    CheckSignIn(ReportedSignIn),
    Report,
}

/// What the service's process sends first.
#[derive(Serialize, Deserialize)]
struct ServiceInfo {
    url: String,
    client_id: String,
    client_secret: String,
    ca_pem: String,
    users: Vec<User>,
}

/// What the service recorded.
#[derive(Serialize, Deserialize)]
pub struct ServiceReport {
    pub summary: Summary,
    /// How many faults of each kind there were.
    pub faults: BTreeMap<String, u64>,
}

// ---- the calling process ---------------------------------------------------

pub struct Service {
    process: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    info: ServiceInfo,
}

impl Service {
    pub fn start(percent: f64, seed: u64) -> io::Result<Self> {
        let mut process = process::Command::new(env::current_exe()?)
            .args([SUBCOMMAND, &percent.to_string(), &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut stdout = BufReader::new(stdout);
        let info = read_line(&mut stdout)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Self {
            process,
            pipes: Mutex::new((stdin, stdout)),
            info,
        })
    }

    pub fn users(&self) -> &[User] {
        &self.info.users
    }

    pub fn client_builder(&self) -> ClientBuilder {
        let info = &self.info;
        Client::builder(&info.client_id, info.client_secret.as_str())
            .api_url(&info.url)
            .login_url(&info.url)
            .only_root_certificates(&info.ca_pem)
            .no_proxy()
    }

    /// Runs a command. Returns its result, or why it failed.
    pub fn run(&self, command: &Command) -> Result<String, String> {
        let mut pipes = lock(&self.pipes);
        let (stdin, stdout) = &mut *pipes;
        write_line(stdin, command).expect("the service's process runs");
        let result = read_line(stdout).expect("the service's process runs");
        result.expect("the service's process replies")
    }

    pub fn report(&self) -> ServiceReport {
        let report = self.run(&Command::Report).expect("a report");
        serde_json::from_str(&report).expect("our own JSON")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// ---- the service's process -------------------------------------------------

static EMULATOR: OnceLock<Emulator> = OnceLock::new();

struct State {
    faults: Arc<FaultSchedule>,
    ledger: Arc<Mutex<Ledger>>,
    /// User ids by username.
    ids: HashMap<String, Uuid>,
    /// By tag, the link and the recipient of each mail not opened yet.
    mails: HashMap<String, (String, String)>,
    /// The tags of all mails so far.
    tags: HashSet<String>,
    last_mail: Option<Uuid>,
}

/// Runs the emulator until the other process closes the pipe.
pub fn serve(percent: f64, seed: u64) -> io::Result<()> {
    let faults = Arc::new(FaultSchedule::new(percent, seed));
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut builder = Emulator::builder()
        .seed(seed)
        .token_lifetime(TOKEN_LIFE)
        // The ledger records each request when it arrives.
        .keep_requests(0)
        .on_request({
            let (faults, ledger) = (Arc::clone(&faults), Arc::clone(&ledger));
            move |request, status| {
                lock(&ledger).record(request, status);
                if let Some(emulator) = EMULATOR.get() {
                    faults.after_exchange(request.endpoint(), emulator);
                }
            }
        });
    for number in 0..USERS {
        builder = builder.user(format!("user{number:03}@example.com"));
    }
    let emulator = EMULATOR.get_or_init(|| builder.start().expect("a free port"));
    let (users, passkeys) = enrol_passkeys(emulator);
    // Forgets the requests of the enrolment.
    *lock(&ledger) = Ledger::new(passkeys);
    let mut state = State {
        faults,
        ledger,
        ids: users
            .iter()
            .map(|user| (user.name.clone(), user.id))
            .collect(),
        mails: HashMap::new(),
        tags: HashSet::new(),
        last_mail: None,
    };
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let info = ServiceInfo {
        url: emulator.base_url().to_owned(),
        client_id: emulator.client_id().to_owned(),
        client_secret: emulator.client_secret().to_owned(),
        ca_pem: emulator.ca_pem().to_owned(),
        users,
    };
    write_line(&mut stdout, &info)?;
    while let Some(command) = read_line(&mut stdin)? {
        write_line(&mut stdout, &state.run(command, emulator))?;
    }
    // Returning from `main` would drop statics that threads still use.
    process::exit(0)
}

/// Enrols passkeys for the first users. Returns all users, and the owners of the
/// passkeys.
fn enrol_passkeys(emulator: &Emulator) -> (Vec<User>, HashMap<String, Uuid>) {
    let client = emulator.client_builder().build().expect("valid settings");
    let mut passkeys = HashMap::new();
    let users = emulator.users().into_iter().enumerate();
    let users = users.map(|(number, (id, name))| {
        let has_passkey = number < PASSKEYS;
        if has_passkey {
            let request = StartWebauthnRegistrationForUser::new();
            let started = client
                .begin_webauthn_registration_for_user(id, &request)
                .expect("the user exists");
            let page = emulator
                .create_passkey(&started.fido2_json_options, emulator.origin())
                .expect("the options are the emulator's");
            let outcome = started.pending.complete(&client, &page);
            assert!(
                matches!(outcome, Ok(Registration::Registered(_))),
                "{outcome:?}"
            );
            let page: Value = serde_json::from_str(&page).expect("JSON");
            passkeys.insert(page["id"].as_str().unwrap_or_default().to_owned(), id);
        }
        User {
            id,
            name,
            has_passkey,
        }
    });
    (users.collect(), passkeys)
}

impl State {
    fn run(&mut self, command: Command, emulator: &Emulator) -> Result<String, String> {
        let done = |()| String::new();
        let text = |error: EmulatorError| error.to_string();
        match command {
            Command::EnableFaults(is_enabled) => {
                self.faults.enable(is_enabled);
                Ok(String::new())
            }
            Command::Decide {
                request,
                user,
                approve: true,
            } => emulator
                .approve_as(request, &user)
                .map(|()| self.record_approval(request, &user))
                .map(done)
                .map_err(text),
            Command::Decide { request, user, .. } => {
                emulator.decline_as(request, &user).map(done).map_err(text)
            }
            Command::OpenLink { tag } => self.open_link(&tag, emulator),
            Command::UsePasskey { options } => emulator
                .use_passkey(&options, emulator.origin())
                .map_err(text),
            Command::CreatePasskey { options } => emulator
                .create_passkey(&options, emulator.origin())
                .map_err(text),
            Command::EnrolPhone { registration } => {
                emulator.enrol_phone(registration).map(done).map_err(text)
            }
            Command::CheckSignIn(report) => {
                lock(&self.ledger).check_sign_in(&report);
                Ok(String::new())
            }
            Command::Report => {
                let faults = self.faults.counts().into_iter();
                let report = ServiceReport {
                    summary: lock(&self.ledger).summary(),
                    faults: faults.map(|(name, n)| (name.to_owned(), n)).collect(),
                };
                serde_json::to_string(&report).map_err(|error| error.to_string())
            }
        }
    }

    fn record_approval(&self, request: Uuid, user: &str) {
        if let Some(id) = self.ids.get(user) {
            lock(&self.ledger).record_approval(request, *id);
        }
    }

    fn open_link(&mut self, tag: &str, emulator: &Emulator) -> Result<String, String> {
        if !self.mails.contains_key(tag) {
            self.fetch_mails(emulator);
        }
        let (link, to) = self.mails.remove(tag).ok_or("no such mail")?;
        let redirect = emulator.click(&link).map_err(|error| error.to_string())?;
        let query = redirect.split_once('?').map_or("", |(_, query)| query);
        let request = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("auth_request_id="))
            .and_then(|id| id.parse().ok());
        if let Some(request) = request {
            self.record_approval(request, &to);
        }
        Ok(redirect)
    }

    /// Adds the mails that were sent since the last time.
    fn fetch_mails(&mut self, emulator: &Emulator) {
        let mails = emulator.outbox();
        let new = mails.iter().rev();
        let new = new.take_while(|mail| Some(mail.id) != self.last_mail);
        for mail in new {
            let tag = mail.short_msg.clone().unwrap_or_default();
            let value = (mail.link.clone(), mail.to.clone());
            self.mails.insert(tag.clone(), value);
            if !self.tags.insert(tag.clone()) {
                lock(&self.ledger).record_duplicate_mail(&tag);
            }
        }
        self.last_mail = mails.last().map(|mail| mail.id).or(self.last_mail);
    }
}

// ---- both processes --------------------------------------------------------

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_line(to: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Returns `None` at the end of the input.
fn read_line<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}
