//! A [`TokenStore`] on Redis, to copy into your program.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use autharmor::{Lease, Secret, StoredToken, TokenKey, TokenStore};
use redis::{Client, Cmd, Connection, FromRedisValue, RedisError, RedisResult, cmd};

/// A good timeout for a Redis nearby.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);
/// Separates the keys from all others in the same Redis.
const NAMESPACE: &str = "autharmor:token:";
/// In one step, so that no newer token and no lease of another client is deleted.
const DELETE_IF_IT_IS: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";

/// In one step, so that one client alone gets the lease. Redis measures its
/// length.
const SET_OR_GET: &str = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) \
    then return false else return redis.call('GET', KEYS[1]) end";

/// In one step, so that no other client takes the lease in between.
const REPLACE_IF_IT_IS: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end";

/// Keeps tokens in Redis, each under a key of its own and until it ends. The
/// client that fetches the next token has a lease there.
pub(crate) struct RedisTokenStore {
    redis: Client,
    timeout: Duration,
    /// Made when it is needed. Held for one command at a time.
    connection: Mutex<Option<Connection>>,
}

impl RedisTokenStore {
    /// A store in the Redis at this URL, `redis://user:password@host:port/db`.
    /// Nothing is sent yet.
    ///
    /// The client calls its store within no deadline, so the store has its own,
    /// `timeout`: for connecting to each address of the host, and for every reply.
    /// The system resolves the host name, in its own time; an IP address in the
    /// URL avoids that.
    pub(crate) fn new(url: &str, timeout: Duration) -> io::Result<Self> {
        Ok(Self {
            redis: Client::open(url).map_err(|error| without_detail(&error))?,
            timeout,
            connection: Mutex::new(None),
        })
    }

    /// Checks whether Redis replies. Calls work without it, so check when your
    /// program starts if you want to know.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.run(&cmd("PING"))
    }

    /// Runs a command. An error ends the connection, so that no late reply is
    /// taken for that of the next command.
    fn run<T: FromRedisValue>(&self, command: &Cmd) -> io::Result<T> {
        let mut held = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(mut connection) = held.take() {
            match command.query(&mut connection) {
                Ok(reply) => {
                    *held = Some(connection);
                    return Ok(reply);
                }
                // Redis has gone since the last command, and may be back.
                Err(error) if error.is_connection_dropped() => {}
                Err(error) => return Err(without_detail(&error)),
            }
        }
        let run_on_new_connection = || {
            let mut connection = self.connect()?;
            let reply = command.query(&mut connection)?;
            Ok((connection, reply))
        };
        let (connection, reply) =
            run_on_new_connection().map_err(|error| without_detail(&error))?;
        *held = Some(connection);
        Ok(reply)
    }

    fn connect(&self) -> RedisResult<Connection> {
        let connection = self.redis.get_connection_with_timeout(self.timeout)?;
        connection.set_read_timeout(Some(self.timeout))?;
        connection.set_write_timeout(Some(self.timeout))?;
        Ok(connection)
    }

    /// Returns what Redis holds under a name, ours or not.
    fn get(&self, name: &str) -> io::Result<Option<Secret>> {
        let bytes: Option<Vec<u8>> = self.run(cmd("GET").arg(name))?;
        Ok(bytes
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Secret::from))
    }
}

/// Returns a command that runs a script on the value of one name.
fn script(text: &str, name: &str) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(1).arg(name);
    command
}

impl TokenStore for RedisTokenStore {
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        Ok(self
            .get(&name(key))?
            .and_then(|text| StoredToken::decode(text.expose())))
    }

    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()> {
        let left = token.expires_at().duration_since(SystemTime::now());
        // Redis takes 0 for a mistake.
        let left = left.unwrap_or_default().as_millis().max(1);
        self.run(
            cmd("SET")
                .arg(name(key))
                .arg(token.encode().expose())
                .arg("PX")
                .arg(left),
        )
    }

    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()> {
        let name = name(key);
        match self.get(&name)? {
            Some(text) if holds(&text, token) => {
                self.run(script(DELETE_IF_IT_IS, &name).arg(text.expose()))
            }
            _ => Ok(()),
        }
    }

    fn lease(&self, key: &TokenKey, holder: &str, length: Duration) -> io::Result<Lease> {
        let other: Option<String> = self.run(
            script(SET_OR_GET, &lease_name(key))
                .arg(holder)
                .arg(length.as_millis().max(1)),
        )?;
        Ok(other.map_or(Lease::Granted, Lease::Held))
    }

    fn release(&self, key: &TokenKey, holder: &str) -> io::Result<()> {
        self.run(script(DELETE_IF_IT_IS, &lease_name(key)).arg(holder))
    }

    fn pass_lease(
        &self,
        key: &TokenKey,
        holder: &str,
        next: &str,
        length: Duration,
    ) -> io::Result<()> {
        self.run(
            script(REPLACE_IF_IT_IS, &lease_name(key))
                .arg(holder)
                .arg(next)
                .arg(length.as_millis().max(1)),
        )
    }
}

/// Shows neither the URL, which holds a password, nor the connection.
impl fmt::Debug for RedisTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTokenStore").finish_non_exhaustive()
    }
}

fn name(key: &TokenKey) -> String {
    format!("{NAMESPACE}{key}")
}

/// No key begins with a letter, so this is no token's name.
fn lease_name(key: &TokenKey) -> String {
    format!("{NAMESPACE}lease:{key}")
}

fn holds(text: &Secret, token: &Secret) -> bool {
    StoredToken::decode(text.expose()).is_some_and(|stored| stored.token() == token)
}

/// Redis repeats in its messages what it was sent, the token included, and the
/// client logs the error.
fn without_detail(error: &RedisError) -> io::Error {
    if error.is_timeout() {
        io::ErrorKind::TimedOut.into()
    } else if error.is_connection_refusal() {
        io::ErrorKind::ConnectionRefused.into()
    } else if error.is_connection_dropped() {
        io::ErrorKind::ConnectionAborted.into()
    } else {
        let reason = error.code().unwrap_or_else(|| error.category());
        io::Error::other(format!("Redis: {reason}"))
    }
}
