//! A client of a few lines: it knows HTTP and TLS, and nothing of this crate's
//! own client.

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

/// One connection.
pub(crate) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
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

impl Wire {
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

    /// Everything until the end of the connection.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(_) if !bytes.is_empty() => Ok(bytes),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn read(&mut self) -> io::Result<Answer> {
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
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// Sends a request and reads its answer. Lines of `headers` end in CRLF.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> Answer {
        self.try_send(method, target, headers, body).unwrap()
    }

    pub(crate) fn try_send(
        &mut self,
        method: &str,
        target: &str,
        headers: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
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

/// A call of the API and how it was answered.
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A connection with a token.
pub(crate) struct Api {
    pub(crate) wire: Wire,
    pub(crate) token: String,
    /// Whether bodies for v4 get a null for every declared field that is
    /// missing.
    pub(crate) nulls: bool,
    /// What was called.
    pub(crate) record: Vec<Exchange>,
}

const JSON: &str = "Content-Type: application/json\r\n";

impl Api {
    pub(crate) fn open(emulator: &Emulator) -> Self {
        let mut wire = Wire::open(emulator);
        let token = token(&mut wire, emulator);
        Self::with(wire, token)
    }

    pub(crate) fn with(wire: Wire, token: String) -> Self {
        Self {
            wire,
            token,
            nulls: false,
            record: Vec::new(),
        }
    }

    pub(crate) fn raw(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> Answer {
        let headers = format!("Authorization: Bearer {}\r\n{headers}", self.token);
        let answer = self.wire.send(method, target, &headers, body);
        self.record.push(Exchange {
            method: method.to_owned(),
            target: target.to_owned(),
            status: answer.status,
            body: answer.body.clone(),
        });
        answer
    }

    fn json(&mut self, method: &str, target: &str, body: &Value) -> Answer {
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

    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.raw("GET", target, "", b"")
    }

    pub(crate) fn post(&mut self, target: &str, body: &Value) -> Answer {
        self.json("POST", target, body)
    }

    pub(crate) fn put(&mut self, target: &str, body: &Value) -> Answer {
        self.json("PUT", target, body)
    }

    /// A call that has to succeed and, under v4, to have the declared shape.
    pub(crate) fn ok(&mut self, method: &str, target: &str, body: &Value) -> Value {
        let answer = if body.is_null() {
            self.raw(method, target, "", b"")
        } else {
            self.json(method, target, body)
        };
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        let value = answer.json();
        if target.starts_with("/v4/") {
            shapes::check(shapes::endpoint_of(method, target).response, &value);
        }
        value
    }
}

pub(crate) fn token(wire: &mut Wire, emulator: &Emulator) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        emulator.client_id(),
        emulator.client_secret()
    );
    let answer = wire.send("POST", "/connect/token", FORM, form.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

pub(crate) const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A text field.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no text at {path} in {value}"))
}
