//! A small HTTP client, independent of the crate's own client.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use autharmor::emulator::Emulator;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;

use crate::shapes;

pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection to an emulator.
pub(crate) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }
}

pub(crate) fn tls(emulator: &Emulator) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(emulator.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Arc::new(
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    )
}

impl Connection {
    pub(crate) fn open(emulator: &Emulator) -> Self {
        let socket = TcpStream::connect(emulator.address()).unwrap();
        socket.set_nodelay(true).unwrap();
        let stream: Box<dyn Stream> = if emulator.ca_pem().is_empty() {
            Box::new(socket)
        } else {
            let name = ServerName::try_from("localhost").unwrap();
            let connection = ClientConnection::new(tls(emulator), name).unwrap();
            Box::new(StreamOwned::new(connection, socket))
        };
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Reads until the end of the connection.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(_) if !bytes.is_empty() => Ok(bytes),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn read(&mut self) -> io::Result<Response> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let status = lines
            .first()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .ok_or_else(bad)?;
        let headers: Vec<(String, String)> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = headers
            .iter()
            .find(|(name, _)| name == "content-length")
            .and_then(|(_, value)| value.parse().ok())
            .ok_or_else(bad)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Response {
            status,
            headers,
            body,
        })
    }

    /// Opens a TLS connection to an emulator under another name.
    pub(crate) fn open_as(emulator: &Emulator, name: &str) -> Self {
        let socket = TcpStream::connect(emulator.address()).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(tls(emulator), name).unwrap();
        let stream: Box<dyn Stream> = Box::new(StreamOwned::new(connection, socket));
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends a request and reads its response. Each line of `headers` ends in CRLF.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> Response {
        self.try_send(method, target, headers, body).unwrap()
    }

    pub(crate) fn try_send(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> io::Result<Response> {
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n");
        self.write(&[head.as_bytes(), body].concat())?;
        self.read()
    }
}

/// A call of the API and its response.
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A connection and an access token.
pub(crate) struct Api {
    pub(crate) connection: Connection,
    pub(crate) token: String,
    /// Whether missing declared fields are sent as null in bodies of v4.
    pub(crate) nulls: bool,
    /// All calls so far.
    pub(crate) record: Vec<Exchange>,
}

const JSON: &str = "Content-Type: application/json\r\n";

impl Api {
    pub(crate) fn open(emulator: &Emulator) -> Self {
        let mut connection = Connection::open(emulator);
        let token = token(&mut connection, emulator);
        Self::with(connection, token)
    }

    pub(crate) fn with(connection: Connection, token: String) -> Self {
        Self {
            connection,
            token,
            nulls: false,
            record: Vec::new(),
        }
    }

    pub(crate) fn raw(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> Response {
        let headers = format!("Authorization: Bearer {}\r\n{headers}", self.token);
        let response = self.connection.send(method, target, &headers, body);
        self.record.push(Exchange {
            method: method.to_owned(),
            target: target.to_owned(),
            status: response.status,
            body: response.body.clone(),
        });
        response
    }

    fn json(&mut self, method: &str, target: &str, body: &Value) -> Response {
        let mut body = body.clone();
        if self.nulls && target.starts_with("/v4/") {
            let schema = shapes::endpoint_of(method, target).body;
            for (name, _) in schema.map(shapes::fields).unwrap_or_default() {
                body.as_object_mut()
                    .unwrap()
                    .entry(name)
                    .or_insert(Value::Null);
            }
        }
        self.raw(method, target, JSON, body.to_string().as_bytes())
    }

    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.raw("GET", target, "", b"")
    }

    pub(crate) fn post(&mut self, target: &str, body: &Value) -> Response {
        self.json("POST", target, body)
    }

    pub(crate) fn put(&mut self, target: &str, body: &Value) -> Response {
        self.json("PUT", target, body)
    }

    /// Makes a call that has to succeed. A v4 response has to match its schema.
    pub(crate) fn ok(&mut self, method: &str, target: &str, body: &Value) -> Value {
        let response = if body.is_null() {
            self.raw(method, target, "", b"")
        } else {
            self.json(method, target, body)
        };
        assert_eq!(
            response.status,
            200,
            "{method} {target}: {}",
            response.text()
        );
        let value = response.json();
        if target.starts_with("/v4/") {
            shapes::check(shapes::endpoint_of(method, target).response, &value);
        }
        value
    }
}

pub(crate) fn token(connection: &mut Connection, emulator: &Emulator) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        emulator.client_id(),
        emulator.client_secret()
    );
    let response = connection.send("POST", "/connect/token", FORM, form.as_bytes());
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()["access_token"].as_str().unwrap().to_owned()
}

pub(crate) const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// The text at a JSON pointer.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no text at {path} in {value}"))
}
