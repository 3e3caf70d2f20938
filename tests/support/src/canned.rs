//! A TLS server with five fixed responses. It costs little, and the same for
//! every client that is measured against it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::pem::pem;

/// The id of the user in every response about one.
pub const USER_ID: &str = "5b1d7d5e-0d6f-4c3a-9a55-3f0c2f6c1f01";
/// The name of that user.
pub const USERNAME: &str = "ada@example.com";
/// The id in the path when a user is known by name.
pub const NIL: &str = "00000000-0000-0000-0000-000000000000";
/// The id of every auth request.
pub const REQUEST_ID: &str = "0d6f5b1d-7d5e-4c3a-9a55-3f0c2f6c1f02";
/// The number of records in a list.
pub const RECORDS: usize = 100;

/// The server. It runs until the process ends.
pub struct Canned {
    address: SocketAddr,
    ca_pem: String,
    opened: Arc<AtomicUsize>,
}

/// The responses, shared by the threads of the server.
struct Responses {
    token: Vec<u8>,
    user: Vec<u8>,
    users: Vec<u8>,
    started: Vec<u8>,
    validated: Vec<u8>,
    unknown: Vec<u8>,
    pause: Duration,
}

impl Canned {
    /// Starts a server on a loopback address that responds at once.
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), Duration::ZERO)
    }

    /// Starts a server at `ip` that pauses before each response.
    pub fn start_at(ip: IpAddr, pause: Duration) -> Self {
        let names = vec!["localhost".to_owned(), ip.to_string()];
        let identity = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            ca_pem: pem("CERTIFICATE", identity.cert.der()),
            opened: Arc::default(),
        };
        let (tls, responses) = (Arc::new(tls), Arc::new(Responses::new(pause)));
        let opened = server.opened.clone();
        thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                opened.fetch_add(1, Ordering::Relaxed);
                let (tls, responses) = (tls.clone(), responses.clone());
                // A client may disconnect at any time.
                thread::spawn(move || drop(responses.serve(tcp, tls)));
            }
        });
        server
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Returns the certificate that a client must trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns how many connections were made so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

/// Returns the access token.
pub fn token() -> String {
    "t0ken".repeat(160)
}

/// Returns path and response body of the token, the user by name, the list of
/// users, the start and the validation of a sign-in.
pub fn bodies() -> [(String, String); 5] {
    let record = |n: usize| {
        format!(
            r#"{{"user_id":"5b1d7d5e-0d6f-4c3a-9a55-{n:012x}","username":"user{n}@example.com","email_address":"user{n}@example.com","date_created":"2024-03-04T10:11:12.1234567Z"}}"#
        )
    };
    let records: Vec<_> = (1..=RECORDS).map(record).collect();
    let token = format!(
        r#"{{"access_token":"{}","expires_in":3600,"token_type":"Bearer","scope":"aarmor.api"}}"#,
        token()
    );
    let user = format!(
        r#"{{"user_id":"{USER_ID}","username":"{USERNAME}","email_address":"{USERNAME}","date_created":"2024-03-04T10:11:12.1234567Z","enrolled_auth_methods":[{{"auth_method_id":4,"auth_method_name":"AuthArmorAuthenticator","auth_method_masked_info":"Ada's phone"}},{{"auth_method_id":20,"auth_method_name":"Magiclink_Email","auth_method_masked_info":"a**@example.com"}}]}}"#
    );
    let users = format!(
        r#"{{"user_records":[{}],"page_info":{{"currnet_page_number":1,"page_size":{RECORDS},"total_page_count":1,"total_record_count":{RECORDS}}}}}"#,
        records.join(",")
    );
    let started = format!(
        r#"{{"auth_request_id":"{REQUEST_ID}","user_id":"{USER_ID}","auth_validation_token":"{}","visual_verify_value":"42","qr_code_data":"https://example.com/qr/0d6f5b1d7d5e","push_message_sent":true,"response_code":200,"response_message":"sent","timeout_in_seconds":60,"timeout_utc_datetime":"2024-03-04T10:12:12.1234567Z"}}"#,
        "v4lid".repeat(20)
    );
    let validated = format!(
        r#"{{"auth_request_status_id":2,"auth_request_status_name":"Completed","validate_auth_response_details":{{"auth_history_id":"{REQUEST_ID}","result_code":2,"result_message":"Success","authorized":true,"auth_details":{{"response_details":{{"date":"2024-03-04T10:11:30.1234567Z","auth_method":{{"name":"AuthArmorAuthenticator","usetype":"biometric"}},"auth_profile_details":{{"user_id":"{USER_ID}","username":"{USERNAME}"}}}}}}}}}}"#
    );
    [
        ("/connect/token".to_owned(), token),
        (format!("/v3/users/{NIL}"), user),
        ("/v3/users".to_owned(), users),
        ("/v3/auth/authenticator/start".to_owned(), started),
        ("/v3/auth/authenticator/validate".to_owned(), validated),
    ]
}

impl Responses {
    fn new(pause: Duration) -> Self {
        let [token, user, users, started, validated] =
            bodies().map(|(_, body)| response("200 OK", &body));
        Self {
            token,
            user,
            users,
            started,
            validated,
            unknown: response("404 Not Found", "{}"),
            pause,
        }
    }

    fn serve(&self, tcp: TcpStream, tls: Arc<ServerConfig>) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        let tls = ServerConnection::new(tls).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, tcp);
        let mut input = Vec::new();
        let mut buffer = [0; 8 * 1024];
        loop {
            let amount = stream.read(&mut buffer)?;
            if amount == 0 {
                return Ok(());
            }
            input.extend_from_slice(&buffer[..amount]);
            while let Some(length) = request_length(&input) {
                thread::sleep(self.pause);
                stream.write_all(self.response_to(&input))?;
                input.drain(..length);
            }
        }
    }

    fn response_to(&self, request: &[u8]) -> &[u8] {
        match request {
            [b'P', b'O', b'S', b'T', b' ', path @ ..] => {
                if path.starts_with(b"/connect/token ") {
                    return &self.token;
                } else if path.starts_with(b"/v3/auth/authenticator/start ") {
                    return &self.started;
                } else if path.starts_with(b"/v3/auth/authenticator/validate ") {
                    return &self.validated;
                }
            }
            [b'G', b'E', b'T', b' ', path @ ..] => {
                if path.starts_with(b"/v3/users/") {
                    return &self.user;
                } else if path.starts_with(b"/v3/users?") {
                    return &self.users;
                }
            }
            _ => {}
        }
        &self.unknown
    }
}

/// The length of the first request in `input`, if it is complete.
fn request_length(input: &[u8]) -> Option<usize> {
    let head = 4 + input.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let body = input[..head]
        .split(|byte| *byte == b'\n')
        .find_map(|line| {
            let (name, value) = line.split_at_checked(b"content-length:".len())?;
            name.eq_ignore_ascii_case(b"content-length:")
                .then(|| std::str::from_utf8(value).unwrap().trim().parse().unwrap())
        })
        .unwrap_or(0);
    (input.len() >= head + body).then_some(head + body)
}

fn response(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nDate: Mon, 04 Mar 2024 10:11:12 GMT\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\nServer: Kestrel\r\nStrict-Transport-Security: max-age=2592000\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
