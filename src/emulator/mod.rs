//! An emulator of the service, for tests.
//!
//! An [`Emulator`] is an HTTPS server on a loopback address with the whole
//! backend API and the token endpoint. It keeps users, sign-ins, registrations,
//! mails and a clock in memory. It has no canned responses: a sign-in is approved
//! only if the test approves it. It checks requests strictly, or in [tolerant
//! mode](EmulatorBuilder::tolerant) accepts what vendor clients send besides.
//!
//! ```
//! use std::time::Duration;
//! use autharmor::auth::StartAuthenticatorAuth;
//! use autharmor::emulator::Emulator;
//! use autharmor::flow::WaitPolicy;
//!
//! let emulator = Emulator::builder().user("ada@example.com").start()?;
//! let client = emulator.client_builder().build()?;
//!
//! let request = StartAuthenticatorAuth::new().user("ada@example.com");
//! let started = client.begin_authenticator_sign_in(&request)?;
//! let shown = emulator.wait_for_request(Duration::from_secs(10))?;
//! emulator.approve(shown.auth_request_id)?;
//! let end = started.pending.wait(&client, &WaitPolicy::new())?;
//! assert!(end.user().is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Any number of emulators can run at the same time, each with its own port and
//! state. Dropping one ends its threads and closes its sockets. It listens on
//! loopback addresses only, unless
//! [`dangerously_allow_remote_control`](EmulatorBuilder::dangerously_allow_remote_control)
//! is set, and sends nothing to other machines.
//!
//! [`Emulator::requests`] are the calls so far.
//! [`RecordedRequest::error`] says why one was refused; the control routes and
//! the page under `/_emulator/` show it, too.
//!
//! # Acting as the user
//!
//! | with Auth Armor | with the emulator |
//! | --- | --- |
//! | The app shows a sign-in. | [`wait_for_request`](Emulator::wait_for_request), [`pending_requests`](Emulator::pending_requests), [`approve`](Emulator::approve), [`decline`](Emulator::decline), or [`on_sign_in`](Emulator::on_sign_in) |
//! | The user scans a QR code. | [`scan_qr`](Emulator::scan_qr), then [`approve`](Emulator::approve) for a sign-in |
//! | A mail arrives. | [`outbox`](Emulator::outbox), [`click`](Emulator::click) |
//! | The browser asks for a passkey. | [`create_passkey`](Emulator::create_passkey), [`use_passkey`](Emulator::use_passkey) |
//! | Time passes. | [`advance`](Emulator::advance) |
//! | The service fails. | [`fault`](Emulator::fault) |
//!
//! # Control routes
//!
//! Programs in other languages do the same over HTTP. Bodies are JSON with the
//! content type `application/json`; an error is a 4xx with `{"error": "…"}`.
//! Control routes need no token and are not recorded. Whoever reaches them can
//! act as the user, so websites are kept out: `Host` has to be `localhost`, a
//! loopback address or a name of [`EmulatorBuilder::host`], and requests from a
//! browser have to come from the emulator's page. No route allows other origins
//! (CORS). `GET /` redirects to the page.
//!
//! | route below `/_emulator/` | body | response |
//! | --- | --- | --- |
//! | `GET` (the root) | | the control page, for a browser |
//! | `GET health` | | `status`, `version`, `tolerant`, `api_url`, `login_url`, `client_id`, `seed`, `rp_id`, `origin` |
//! | `GET connection` | | `api_url`, `login_url`, `client_id`, `client_secret`, `tls`, `environment`: pairs of names and values |
//! | `GET ca.pem` | | the certificate authority to trust; 404 without TLS |
//! | `POST reset` | | restores the state after the start; access tokens stay valid |
//! | `GET users` ¹ | | `users` |
//! | `POST users` | `username`, `email_address`?, `without_methods`? | `user_id` |
//! | `GET requests/pending` ¹ | | `requests`: the pending sign-ins |
//! | `POST requests/wait` | `seconds` | `request`: the next sign-in on a phone; 404 if there is none in time |
//! | `POST requests/automatic` | `decision` (`approve`, `decline` or `ignore`), `seconds`? | decides new sign-ins on a phone so long after their start |
//! | `GET requests/automatic` | | `decision`, `seconds` |
//! | `POST approve`, `POST decline` | `auth_request_id`, `username`? | |
//! | `GET registrations/pending` ¹ | | `registrations`: the pending registrations |
//! | `POST registrations/accept`, `POST registrations/decline` | `registration_id` | |
//! | `POST scan` | `qr_code_data`, `username`?; or `registration_id` | `auth_request_id` or `registration_id` |
//! | `GET outbox` ¹ | | `mails` with `id`, `kind`, `to`, `subject`, `short_msg`, `link`, `link_state` (`open`, `used` or `ended`), `date` |
//! | `POST click` | `id` or `link` | `url`, the redirect with the tokens |
//! | `GET link/{code}` | | a magic link: 302 to that redirect |
//! | `GET qr/{code}` | | a QR code: 302 to the page, which offers to scan it |
//! | `POST passkeys/create`, `POST passkeys/get` | `options` (text or object), `origin`? | what the page sends to the service |
//! | `GET clock` | | `now` |
//! | `POST clock/advance` | `seconds` | `now` |
//! | `POST tokens/expire` | | makes all access tokens invalid |
//! | `GET faults` | | `faults`; `endpoints`: the names of all endpoints |
//! | `POST faults` | `kind`, `endpoint`?, `times`?, `processed`?; see below | |
//! | `DELETE faults` | | |
//! | `GET rate_limits` | | `rate_limits` with `endpoint`, `calls`, `seconds` |
//! | `POST rate_limits` | `calls`, `seconds`, `endpoint`? | limits the calls in a window; 429 with `Retry-After` |
//! | `DELETE rate_limits` | | |
//! | `GET recorded` ¹ | | `requests` with `number`, `time`, `status`, `error`, `warnings`, `endpoint`, `request_line`, `headers`, `body`; `total` |
//! | `GET recorded/{number}` | | one of them |
//! | `DELETE recorded` | | |
//!
//! ¹ The list comes oldest first. `?newest=10` returns the newest ten, newest
//! first, and `?search=text` those with this text in one of their values. The
//! response's `matching` counts all that fit. `recorded` also takes `brief`,
//! which leaves out headers and bodies, and `refused` for those with an `error`.
//! It lists input that is not a valid request, too, such as a failed TLS
//! handshake, without a request line.
//!
//! Kinds of faults: `status` (with `status`, `retry_after`?, `body`?,
//! `content_type`?), `latency` (with `milliseconds`), `drop_before_response`,
//! `drop_in_response`, `garbage`, `truncated_body`, `broken_chunks`, `slow_body`
//! (with `milliseconds`), `other_user`, `expired_token`.
//!
//! # What is emulated
//!
//! The token endpoint is `POST /connect/token`. Its access tokens are JWTs, signed
//! with ES256; the keys are found through `GET /.well-known/openid-configuration`.
//! A dash means that nothing is known to be missing.
//!
#![doc = include_str!("routes.md")]
//!
//! Not emulated: the dashboard, other API versions, the API of the vendor's
//! browser SDK, rate limits but those that [you set](Emulator::limit_rate),
//! several projects or clients.
//!
//! # What is not known about the service
//!
//! Where no public source says how the service behaves, the emulator behaves as
//! listed here. A program should not depend on any of it.
//!
#![doc = include_str!("decisions.md")]

// Levels, lowest first: `sync`, `message` · `model` · `api`, `person` ·
// `control` · `client_clock`, `service` · `http` · `handle` · `builder`.
mod api;
mod builder;
mod client_clock;
mod control;
#[cfg(test)]
mod docs;
mod handle;
mod http;
mod message;
mod model;
mod person;
mod service;
mod sync;

pub use self::{
    builder::EmulatorBuilder,
    control::{faults::Fault, record::RecordedRequest},
    handle::Emulator,
    model::{
        auth_request::Decision,
        error::EmulatorError,
        mail::{Mail, MailKind},
        passkey::PasskeyError,
        user::NewUser,
    },
    person::pending::{PendingRegistration, PendingRequest, Scanned},
};
