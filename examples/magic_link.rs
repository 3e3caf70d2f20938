//! Signs a user in with a magic link, as a web program does: one request begins
//! the sign-in and stores the pending state in the session. The link opens a page
//! with a button, whose request completes it. Mail scanners, which open links
//! before the user does, press no button.
//!
//!     cargo run --example magic_link
//!
//! uses the embedded emulator; the example itself opens the mail and follows the
//! link. With `AUTHARMOR_CLIENT_ID` and `AUTHARMOR_CLIENT_SECRET` set the real
//! service sends the mail, and you open it in a browser on this machine. Then
//! `http://127.0.0.1:8080/signed-in` must be on your project's list of redirect
//! URLs for sign-in:
//!
//!     cargo run --example magic_link -- ada@example.com

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use autharmor::Client;
use autharmor::auth::StartMagiclinkEmailAuth;
use autharmor::emulator::Emulator;
use autharmor::flow::{PendingMagiclink, SignIn, SignedInUser};

/// The sessions of a web framework: the server's data by the id in a browser's
/// cookie. The cookie binds a sign-in to the browser that began it. This example
/// has one browser only.
type Sessions = HashMap<String, String>;

fn main() -> Result<(), Box<dyn Error>> {
    let session_id = "from the cookie";
    let mut sessions = Sessions::new();

    if env::var("AUTHARMOR_CLIENT_ID").is_ok_and(|id| !id.is_empty()) {
        let address = env::args().nth(1).ok_or("usage: magic_link ADDRESS")?;
        let client = Client::from_env()?;
        let server = TcpListener::bind("127.0.0.1:8080")?;
        sessions.insert(session_id.to_owned(), begin(&client, &address, &server)?);
        println!("open the link in the mail");
        return serve(&client, &server, &mut sessions, session_id);
    }

    let emulator = Emulator::builder().user("ada@example.com").start()?;
    let client = emulator.client_builder().build()?;
    println!("no AUTHARMOR_CLIENT_ID: using the emulator and its inbox");
    let server = TcpListener::bind("127.0.0.1:0")?;
    let state = begin(&client, "ada@example.com", &server)?;
    sessions.insert(session_id.to_owned(), state);

    let mail = emulator.outbox().pop().ok_or("there is no mail")?;
    println!("a mail arrived: {}", mail.subject);
    let url = emulator.click(&mail.link)?;
    let browser = thread::spawn(move || browse(&url).map_err(|error| error.to_string()));
    serve(&client, &server, &mut sessions, session_id)?;
    let page = browser.join().map_err(|_| "the browser crashed")??;
    println!("the browser shows: {page}");
    Ok(())
}

/// `POST /login`: sends the mail and returns the state for the session.
fn begin(client: &Client, address: &str, server: &TcpListener) -> Result<String, Box<dyn Error>> {
    let redirect = format!("http://{}/signed-in", server.local_addr()?);
    let request = StartMagiclinkEmailAuth::new(address, redirect)
        .action_name("Sign in")
        .short_msg("The example of autharmor signs you in");
    let pending = client.begin_magiclink_sign_in(&request)?;
    Ok(serde_json::to_string(&pending)?)
}

/// `POST /signed-in`: completes the sign-in with the query of the link. `state`
/// was removed from the session, since it can be used once.
fn complete(client: &Client, state: &str, target: &str) -> Result<SignIn, Box<dyn Error>> {
    let pending: PendingMagiclink = serde_json::from_str(state)?;
    Ok(pending.complete(client, target)?)
}

/// Serves until the user has pressed the button.
fn serve(
    client: &Client,
    server: &TcpListener,
    sessions: &mut Sessions,
    session_id: &str,
) -> Result<(), Box<dyn Error>> {
    loop {
        let (mut browser, _) = server.accept()?;
        // Browsers open connections in advance and send nothing on them.
        browser.set_read_timeout(Some(Duration::from_secs(5)))?;
        let Ok((method, target)) = request_of(&browser) else {
            continue;
        };
        if !target.starts_with("/signed-in?") {
            respond(&mut browser, "404 Not Found", "not found")?;
            continue;
        }
        if method != "POST" {
            // Changes nothing. The form posts to this page's own URL.
            let form = "<form method=post><button>Sign in</button></form>";
            respond(&mut browser, "200 OK", form)?;
            continue;
        }
        let state = sessions
            .remove(session_id)
            .ok_or("this browser has not begun a sign-in")?;
        let end = complete(client, &state, &target);
        return match end {
            Ok(SignIn::SignedIn(user)) => {
                respond(&mut browser, "200 OK", "you are signed in")?;
                print_user(&user);
                Ok(())
            }
            Ok(other) => {
                respond(&mut browser, "403 Forbidden", "you are not signed in")?;
                Err(format!("not signed in: {other:?}").into())
            }
            Err(error) => {
                respond(&mut browser, "400 Bad Request", "you are not signed in")?;
                Err(error)
            }
        };
    }
}

fn print_user(user: &SignedInUser) {
    // A name may hold terminal control sequences.
    let name = user.username().unwrap_or("?").escape_debug();
    println!("signed in: {name} ({})", user.user_id());
}

/// Returns the first two words of a request: its method, and path and query.
fn request_of(browser: &TcpStream) -> Result<(String, String), Box<dyn Error>> {
    let mut lines = BufReader::new(browser.take(16 * 1024)).lines();
    let first = lines.next().ok_or("an empty request")??;
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let mut words = first.split(' ').map(str::to_owned);
    words.next().zip(words.next()).ok_or("not a request".into())
}

fn respond(browser: &mut TcpStream, status: &str, text: &str) -> std::io::Result<()> {
    // The URL holds a token, which must not reach other pages as a referrer.
    write!(
        browser,
        "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\
         referrer-policy: no-referrer\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// Opens the link and presses the button, as the user does in a browser. Returns
/// the text of the last page.
fn browse(url: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    let page = request("GET", url)?;
    if !page.contains("<button>") {
        return Err(format!("no button: {page}").into());
    }
    request("POST", url)
}

fn request(method: &str, url: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    let rest = url.strip_prefix("http://").ok_or("not an http URL")?;
    let (host, target) = rest.split_once('/').ok_or("no path")?;
    let mut server = TcpStream::connect(host)?;
    write!(
        server,
        "{method} /{target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n"
    )?;
    let mut response = String::new();
    server.read_to_string(&mut response)?;
    let (_, body) = response.split_once("\r\n\r\n").ok_or("no response")?;
    Ok(body.to_owned())
}
