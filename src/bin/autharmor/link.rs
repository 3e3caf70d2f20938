//! [`Link`]: a connection of which everything is visible, for `doctor` and
//! `probe`. Calls that do work use the library's client instead.

mod recorder;
mod response;

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use autharmor::Secret;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Request, Uri};
use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ProtocolVersion, StreamOwned};

use self::recorder::client_config;
use self::response::{complete, parse_head};
use crate::config::Settings;
use crate::failure::Failure;
use crate::files::{self, Readers};

pub(crate) use self::recorder::Chain;
pub(crate) use self::response::Response;

pub(crate) const API_URL: &str = "https://api.autharmor.com";
pub(crate) const LOGIN_URL: &str = "https://login.autharmor.com";

/// The largest response to read, in bytes.
const MAX_RESPONSE: u64 = 4 << 20;

/// A host that is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl Place {
    /// Reads scheme, host and port of a URL. `None` if it has none.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.trim().parse().ok()?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") | None => false,
            Some(_) => return None,
        };
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Some(Self { host, port, tls })
    }

    /// Scheme, host and port. The rest of a URL may hold a password.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Host and port, as in a URL.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A proxy that opens tunnels.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) place: Place,
    /// `user:password` in base64.
    authorization: Option<String>,
}

impl Proxy {
    pub(crate) fn of(url: &str) -> Option<Self> {
        let place = Place::of(url)?;
        let after_scheme = url.trim().split_once("://").map_or(url, |(_, rest)| rest);
        let authorization = after_scheme.rsplit_once('@').map(|(user_info, _)| {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            let mut plain: Vec<u8> = percent_decode_str(user).collect();
            plain.push(b':');
            plain.extend(percent_decode_str(password));
            BASE64_STANDARD.encode(plain)
        });
        Some(Self {
            place,
            authorization,
        })
    }

    pub(crate) fn has_password(&self) -> bool {
        self.authorization.is_some()
    }
}

/// The step at which a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Resolve,
    Connect,
    Proxy,
    Tls,
    Http,
}

/// Why there is no connection or no response. The text holds nothing of a
/// response.
#[derive(Debug)]
pub(crate) struct LinkError {
    pub(crate) step: Step,
    pub(crate) text: String,
    /// Why the handshake failed, if TLS is the reason.
    pub(crate) tls: Option<rustls::Error>,
}

fn failed(step: Step) -> impl Fn(io::Error) -> LinkError {
    move |error| {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref())
            .cloned();
        let text = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => "no response in time".to_owned(),
            ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
            _ => error.to_string(),
        };
        LinkError { step, text, tls }
    }
}

/// Finds the addresses of a host. The look-up is left behind at the deadline.
pub(crate) fn resolve(place: &Place, deadline: Instant) -> Result<Vec<SocketAddr>, LinkError> {
    let failed = failed(Step::Resolve);
    if let Ok(address) = place.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, place.port)]);
    }
    let (sender, receiver) = mpsc::channel();
    let (host, port) = (place.host.clone(), place.port);
    thread::spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        // Nobody may wait any more.
        let _ = sender.send(found.map(Iterator::collect::<Vec<_>>));
    });
    match receiver.recv_timeout(remaining(deadline)) {
        Ok(Ok(found)) if found.is_empty() => Err(failed(io::Error::other("it has no address"))),
        Ok(found) => found.map_err(failed),
        Err(_) => Err(failed(ErrorKind::TimedOut.into())),
    }
}

/// Connects to the first address that accepts.
pub(crate) fn connect(place: &Place, deadline: Instant) -> Result<TcpStream, LinkError> {
    let failed = failed(Step::Connect);
    let addresses = resolve(place, deadline)?;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut last = io::Error::from(ErrorKind::TimedOut);
    for address in addresses {
        // Each address gets its part of the time that is left.
        let limit = remaining(deadline) / left.max(1);
        left = left.saturating_sub(1);
        if limit.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, limit) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// A socket whose reads and writes end at a deadline.
struct Timed {
    tcp: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = remaining(self.deadline);
        if left.is_zero() {
            Err(ErrorKind::TimedOut.into())
        } else {
            Ok(Some(left))
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?)?;
        self.tcp.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// Whom to trust, and how to get there.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) place: Place,
    pub(crate) proxy: Option<Proxy>,
    /// The only roots to trust, in PEM. `None`: the bundled ones.
    pub(crate) roots: Option<String>,
}

/// What a handshake showed.
pub(crate) struct Handshake {
    pub(crate) chain: Chain,
    /// `TLS 1.3`, for example.
    pub(crate) version: &'static str,
    pub(crate) link: Result<Link, LinkError>,
}

/// An open connection to a host, for one request.
pub(crate) struct Link {
    stream: Box<dyn Stream>,
    authority: String,
}

impl Route {
    /// The ways to the API and to the token endpoint; one if they are the same.
    pub(crate) fn all(settings: &Settings) -> Result<Vec<Self>, Failure> {
        let roots = match &settings.ca_file {
            Some(file) => Some(files::read_trusted(&file.value, Readers::Everyone)?),
            None => None,
        };
        let proxy_url = match &settings.proxy {
            Some(setting) => Some(setting.value.clone()),
            None => proxy_variable().map(|(_, url)| url),
        };
        let builder = settings.builder()?;
        let mut routes: Vec<Self> = Vec::new();
        for (url, default) in [
            (&settings.api_url, API_URL),
            (&settings.login_url, LOGIN_URL),
        ] {
            let url = url.as_ref().map_or(default, |setting| &setting.value);
            let Some(place) = Place::of(url) else {
                continue;
            };
            let proxy = match (builder.proxy_for(url)?, &proxy_url) {
                (Some(_), Some(url)) => Proxy::of(url.expose()),
                _ => None,
            };
            if !routes.iter().any(|route| route.place == place) {
                routes.push(Self {
                    place,
                    proxy,
                    roots: roots.clone(),
                });
            }
        }
        Ok(routes)
    }

    /// The host that this machine connects to: the proxy, if there is one.
    pub(crate) fn first_hop(&self) -> &Place {
        self.proxy
            .as_ref()
            .map_or(&self.place, |proxy| &proxy.place)
    }

    /// Connects, through the proxy if there is one, and shakes hands.
    pub(crate) fn open(&self, deadline: Instant) -> Handshake {
        let tunnel = match &self.proxy {
            None => connect(&self.place, deadline).map(|tcp| boxed(Timed { tcp, deadline })),
            Some(proxy) => self.tunnel(proxy, deadline),
        };
        match tunnel {
            Ok(stream) if self.place.tls => self.shake_hands(&self.place, stream),
            tunnel => Handshake {
                chain: Chain::new(),
                version: "",
                link: tunnel.map(|stream| Link::new(stream, &self.place)),
            },
        }
    }

    fn tunnel(&self, proxy: &Proxy, deadline: Instant) -> Result<Box<dyn Stream>, LinkError> {
        let at_proxy = |error: LinkError| LinkError {
            step: Step::Proxy,
            ..error
        };
        let tcp = connect(&proxy.place, deadline).map_err(at_proxy)?;
        let mut stream = boxed(Timed { tcp, deadline });
        if proxy.place.tls {
            stream = self
                .shake_hands(&proxy.place, stream)
                .link
                .map_err(at_proxy)?
                .stream;
        }
        let authority = self.place.authority();
        let credentials = proxy.authorization.as_ref().map_or(String::new(), |text| {
            format!("Proxy-Authorization: Basic {text}\r\n")
        });
        write!(
            stream,
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credentials}\r\n"
        )
        .and_then(|()| stream.flush())
        .map_err(failed(Step::Proxy))?;
        // Byte by byte: what follows the head belongs to the tunnel.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let read = stream.read_exact(&mut byte);
            read.map_err(failed(Step::Proxy))?;
            head.extend(byte);
            if head.len() > 8192 {
                break;
            }
        }
        let status = parse_head(&head).map(|(status, ..)| status);
        match status {
            Some(200..=299) => Ok(stream),
            Some(407) => Err(failed(Step::Proxy)(io::Error::other(
                "it wants a user and a password, or others than it got",
            ))),
            Some(status) => Err(failed(Step::Proxy)(io::Error::other(format!(
                "it refused to connect to the host (status {status})"
            )))),
            None => Err(failed(Step::Proxy)(io::Error::other(
                "its response is not HTTP",
            ))),
        }
    }

    fn shake_hands(&self, place: &Place, mut stream: Box<dyn Stream>) -> Handshake {
        let mut shown = Handshake {
            chain: Chain::new(),
            version: "",
            link: Err(failed(Step::Tls)(io::Error::other("TLS cannot be set up"))),
        };
        let Some((config, recorder)) = client_config(self.roots.as_deref()) else {
            return shown;
        };
        let name = ServerName::try_from(place.host.clone());
        let Some(mut tls) = name
            .ok()
            .and_then(|name| ClientConnection::new(Arc::new(config), name).ok())
        else {
            return shown;
        };
        let done = tls.complete_io(&mut stream);
        shown.chain = recorder.chain();
        shown.version = match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        shown.link = match done {
            Ok(_) => Ok(Link::new(boxed(StreamOwned::new(tls, stream)), place)),
            Err(error) => Err(failed(Step::Tls)(error)),
        };
        shown
    }
}

/// The variable that names the environment's proxy, and its value.
pub(crate) fn proxy_variable() -> Option<(&'static str, Secret)> {
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .find_map(|name| {
            let value = env::var(name).ok().filter(|value| !value.is_empty())?;
            Some((name, Secret::from(value)))
        })
}

fn boxed(stream: impl Stream + 'static) -> Box<dyn Stream> {
    Box::new(stream)
}

impl Link {
    fn new(stream: Box<dyn Stream>, place: &Place) -> Self {
        Self {
            stream,
            authority: place.authority(),
        }
    }

    /// Sends a request and reads its response. Redirects are not followed.
    pub(crate) fn send(mut self, request: &Request<Vec<u8>>) -> Result<Response, LinkError> {
        let failed = failed(Step::Http);
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let mut bytes = format!(
            "{} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\naccept-encoding: identity\r\n",
            request.method(),
            self.authority,
        )
        .into_bytes();
        for (name, value) in request.headers() {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        if !request.body().is_empty() || request.method() != http::Method::GET {
            bytes.extend(format!("content-length: {}\r\n", request.body().len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(request.body());
        self.stream
            .write_all(&bytes)
            .and_then(|()| self.stream.flush())
            .map_err(&failed)?;
        let mut response = Vec::new();
        let read = self.stream.take(MAX_RESPONSE).read_to_end(&mut response);
        match read {
            // A server that closes without a TLS alert.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            read => drop(read.map_err(&failed)?),
        }
        complete(&response).ok_or_else(|| failed(io::Error::other("the response is not HTTP")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_with_its_password() {
        let proxy = Proxy::of("http://door:a%40b@proxy.example:3128").unwrap();
        assert_eq!(proxy.place.authority(), "proxy.example:3128");
        assert_eq!(proxy.authorization.as_deref(), Some("ZG9vcjphQGI="));
        let proxy = Proxy::of("proxy.example:8080").unwrap();
        assert_eq!((proxy.place.port, proxy.has_password()), (8080, false));
    }
}
