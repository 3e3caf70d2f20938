//! The emulator in a process of its own, and the wire to it: two pipes, so that
//! every socket, thread and byte of the calling process is the client's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use std::{env, process};

use autharmor::emulator::Emulator;
use autharmor::flow::Registration;
use autharmor::registrations::StartWebauthnRegistrationForUser;
use autharmor::{Client, ClientBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::register::{Register, Report, Summary};
use crate::weather::Weather;

/// The hidden argument of the emulator's process.
pub(crate) const ARGUMENT: &str = "--be-the-service";

const USERS: usize = 200;
/// So many of them have a passkey.
const PASSKEYS: usize = 32;
/// Shorter than the longest time without faults that take tokens.
const TOKEN_LIFE: Duration = Duration::from_secs(45);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) has_passkey: bool,
}

/// What the service's process is asked for, one line of JSON each.
#[derive(Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Lets faults strike, or not.
    Weather {
        is_bad: bool,
    },
    /// A person approves or declines on the phone.
    Decide {
        request: Uuid,
        user: String,
        approve: bool,
    },
    /// A person clicks the link in the mail of this mark, and lands at a URL.
    Click {
        mark: String,
    },
    /// A browser uses or makes a passkey.
    UsePasskey {
        options: String,
    },
    MakePasskey {
        options: String,
    },
    /// A person enrols a phone.
    EnrolPhone {
        registration: Uuid,
    },
    /// The client says that somebody signed in.
    SignedIn(Report),
    Summary,
}

#[derive(Serialize, Deserialize)]
struct Greeting {
    url: String,
    client_id: String,
    client_secret: String,
    ca_pem: String,
    users: Vec<User>,
}

/// All that is known at the end.
#[derive(Serialize, Deserialize)]
pub(crate) struct Records {
    pub(crate) summary: Summary,
    pub(crate) struck: BTreeMap<String, u64>,
}

// ---- this end --------------------------------------------------------------

pub(crate) struct Service {
    process: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    greeting: Greeting,
}

impl Service {
    pub(crate) fn start(percent: f64, seed: u64) -> io::Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args([ARGUMENT, &percent.to_string(), &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = process.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut stdout = BufReader::new(stdout);
        let greeting = read_line(&mut stdout)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Self {
            process,
            pipes: Mutex::new((stdin, stdout)),
            greeting,
        })
    }

    pub(crate) fn users(&self) -> &[User] {
        &self.greeting.users
    }

    pub(crate) fn client_builder(&self) -> ClientBuilder {
        let Greeting {
            url,
            client_id,
            client_secret,
            ca_pem,
            ..
        } = &self.greeting;
        Client::builder(client_id, client_secret.as_str())
            .api_url(url)
            .login_url(url)
            .only_root_certificates(ca_pem)
            .no_proxy()
    }

    /// The answer, or why there is none.
    pub(crate) fn ask(&self, ask: &Ask) -> Result<String, String> {
        let mut pipes = lock(&self.pipes);
        let (stdin, stdout) = &mut *pipes;
        write_line(stdin, ask).expect("the service's process is there");
        let answer = read_line(stdout).expect("the service's process is there");
        answer.expect("the service's process answers")
    }

    pub(crate) fn records(&self) -> Records {
        let records = self.ask(&Ask::Summary).expect("it is always there");
        serde_json::from_str(&records).expect("our own JSON")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// ---- the other end ---------------------------------------------------------

static EMULATOR: OnceLock<Emulator> = OnceLock::new();

struct Backstage {
    weather: Arc<Weather>,
    register: Arc<Mutex<Register>>,
    /// The users by their names.
    ids: HashMap<String, Uuid>,
    /// The links of the mails by their marks, and to whom they went.
    mails: HashMap<String, (String, String)>,
    /// The marks of all mails there ever were.
    marks: HashSet<String>,
    last_mail: Option<Uuid>,
}

/// Plays the service until the other end is gone.
pub(crate) fn serve(percent: f64, seed: u64) -> io::Result<()> {
    let weather = Arc::new(Weather::new(percent, seed));
    let register = Arc::new(Mutex::new(Register::default()));
    let mut builder = Emulator::builder()
        .seed(seed)
        .token_lifetime(TOKEN_LIFE)
        // The register takes note of each as it comes.
        .keep_requests(0)
        .on_request({
            let (weather, register) = (Arc::clone(&weather), Arc::clone(&register));
            move |request, status| {
                lock(&register).note(request, status);
                if let Some(emulator) = EMULATOR.get() {
                    weather.after(request.endpoint(), emulator);
                }
            }
        });
    for number in 0..USERS {
        builder = builder.user(format!("user{number:03}@example.com"));
    }
    let emulator = EMULATOR.get_or_init(|| builder.start().expect("a free port"));
    let (users, passkeys) = enrol_passkeys(emulator);
    // What came before is not of the soak.
    *lock(&register) = Register::new(passkeys);
    let mut backstage = Backstage {
        weather,
        register,
        ids: users
            .iter()
            .map(|user| (user.name.clone(), user.id))
            .collect(),
        mails: HashMap::new(),
        marks: HashSet::new(),
        last_mail: None,
    };
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let greeting = Greeting {
        url: emulator.base_url().to_owned(),
        client_id: emulator.client_id().to_owned(),
        client_secret: emulator.client_secret().to_owned(),
        ca_pem: emulator.ca_pem().to_owned(),
        users,
    };
    write_line(&mut stdout, &greeting)?;
    while let Some(ask) = read_line(&mut stdin)? {
        write_line(&mut stdout, &backstage.answer(ask, emulator))?;
    }
    // Not by the end of `main`, where threads still use what is gone.
    process::exit(0)
}

/// The users, of whom the first have a passkey, and the passkeys' owners.
fn enrol_passkeys(emulator: &Emulator) -> (Vec<User>, HashMap<String, Uuid>) {
    let client = emulator.client_builder().build().expect("it is complete");
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
            let end = started.pending.complete(&client, &page);
            assert!(matches!(end, Ok(Registration::Registered(_))), "{end:?}");
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

impl Backstage {
    fn answer(&mut self, ask: Ask, emulator: &Emulator) -> Result<String, String> {
        let nothing = |()| String::new();
        let text = |error: autharmor::emulator::EmulatorError| error.to_string();
        match ask {
            Ask::Weather { is_bad } => {
                self.weather.set(is_bad);
                Ok(String::new())
            }
            Ask::Decide {
                request,
                user,
                approve: true,
            } => {
                let decided = emulator.approve_as(request, &user).map(nothing);
                decided
                    .map_err(text)
                    .inspect(|_| self.grant(request, &user))
            }
            Ask::Decide { request, user, .. } => emulator
                .decline_as(request, &user)
                .map(nothing)
                .map_err(text),
            Ask::Click { mark } => self.click(&mark, emulator),
            Ask::UsePasskey { options } => emulator
                .use_passkey(&options, emulator.origin())
                .map_err(text),
            Ask::MakePasskey { options } => emulator
                .create_passkey(&options, emulator.origin())
                .map_err(text),
            Ask::EnrolPhone { registration } => emulator
                .enrol_phone(registration)
                .map(nothing)
                .map_err(text),
            Ask::SignedIn(report) => {
                lock(&self.register).check(&report);
                Ok(String::new())
            }
            Ask::Summary => {
                let struck = self.weather.struck().into_iter();
                let records = Records {
                    summary: lock(&self.register).summary(),
                    struck: struck.map(|(name, n)| (name.to_owned(), n)).collect(),
                };
                serde_json::to_string(&records).map_err(|error| error.to_string())
            }
        }
    }

    fn grant(&self, request: Uuid, user: &str) {
        if let Some(id) = self.ids.get(user) {
            lock(&self.register).grant(request, *id);
        }
    }

    fn click(&mut self, mark: &str, emulator: &Emulator) -> Result<String, String> {
        if !self.mails.contains_key(mark) {
            self.fetch_mails(emulator);
        }
        let (link, to) = self.mails.remove(mark).ok_or("no such mail")?;
        let landing = emulator.click(&link).map_err(|error| error.to_string())?;
        let query = landing.split_once('?').map_or("", |(_, query)| query);
        let request = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("auth_request_id="))
            .and_then(|id| id.parse().ok());
        if let Some(request) = request {
            self.grant(request, &to);
        }
        Ok(landing)
    }

    /// Sorts in the mails that came since the last time.
    fn fetch_mails(&mut self, emulator: &Emulator) {
        let mails = emulator.outbox();
        let new = mails.iter().rev();
        let new = new.take_while(|mail| Some(mail.id) != self.last_mail);
        for mail in new {
            let mark = mail.short_msg.clone().unwrap_or_default();
            let value = (mail.link.clone(), mail.to.clone());
            self.mails.insert(mark.clone(), value);
            if !self.marks.insert(mark.clone()) {
                lock(&self.register).note_second_mail(&mark);
            }
        }
        self.last_mail = mails.last().map(|mail| mail.id).or(self.last_mail);
    }
}

// ---- both ------------------------------------------------------------------

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_line(to: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Nothing at the end.
fn read_line<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}
