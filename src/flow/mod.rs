//! Verified sign-in and registration.
//!
//! Flows combine several endpoint calls into one verified operation. Each flow
//! begins with a `begin_*` method of [`Client`](crate::Client), which returns a
//! pending state, and ends with `wait` or `complete` of that state. In between,
//! the user acts: approves on the phone, uses a passkey, or opens a magic link.
//!
//! | method | sign in | register |
//! | --- | --- | --- |
//! | authenticator app | [`begin_authenticator_sign_in`](crate::Client::begin_authenticator_sign_in) | [`begin_authenticator_registration`](crate::Client::begin_authenticator_registration), [`…_for_user`](crate::Client::begin_authenticator_registration_for_user) |
//! | passkey, security key | [`begin_webauthn_sign_in`](crate::Client::begin_webauthn_sign_in) | [`begin_webauthn_registration`](crate::Client::begin_webauthn_registration), [`…_for_user`](crate::Client::begin_webauthn_registration_for_user) |
//! | magic link by mail | [`begin_magiclink_sign_in`](crate::Client::begin_magiclink_sign_in) | [`begin_magiclink_registration`](crate::Client::begin_magiclink_registration), [`…_for_user`](crate::Client::begin_magiclink_registration_for_user), [`begin_magiclink_change`](crate::Client::begin_magiclink_change) |
//! | the vendor's page SDK | [`complete_browser_sign_in`](crate::Client::complete_browser_sign_in) | |
//!
//! A `begin_*` call may send a push notification or a mail, so it is never
//! repeated unless the service provably did not process it. After an error,
//! check [`Error::may_have_been_sent`](crate::Error::may_have_been_sent) before
//! you begin again.
//!
//! # Authenticator app
//!
//! The user gets a push notification, or scans the QR code. The program waits.
//!
//! ```no_run
//! use autharmor::auth::StartAuthenticatorAuth;
//! use autharmor::flow::{SignIn, SignedInUser, WaitPolicy};
//! use autharmor::{Client, Error};
//!
//! fn log_in(client: &Client, username: &str) -> Result<Option<SignedInUser>, Error> {
//!     let request = StartAuthenticatorAuth::new()
//!         .user(username)
//!         .action_name("Sign in")
//!         .short_msg("Somebody signs in to Example as you");
//!     let started = client.begin_authenticator_sign_in(&request)?;
//!     if !started.push_message_sent {
//!         if let Some(qr_code) = &started.qr_code_data {
//!             // Draw it as a QR code; the text itself is a URL.
//!             println!("open on your phone: {}", qr_code.expose());
//!         }
//!     }
//!     match started.pending.wait(client, &WaitPolicy::new())? {
//!         SignIn::SignedIn(user) => return Ok(Some(*user)),
//!         SignIn::Declined => println!("you declined"),
//!         SignIn::TimedOut | SignIn::StillPending => println!("nobody responded"),
//!         other => println!("not signed in: {other:?}"),
//!     }
//!     Ok(None)
//! }
//! # fn main() {}
//! ```
//!
//! If the request names no `user`, whoever scans the QR code signs in: show
//! clearly who that was. [`WaitPolicy`] sets how long to wait, reports progress,
//! and can end the waiting. [`Client::with_deadline`](crate::Client::with_deadline)
//! gives the whole flow one deadline. A program that must not block calls
//! [`poll`](PendingAuthenticator::poll) in place of `wait`.
//!
//! # Passkey or security key
//!
//! A web program does this in two steps. The first sends the options to the
//! page and stores the pending state in the session. The second takes the JSON
//! that the page sends back: that of the browser's credential
//! (`PublicKeyCredential.toJSON()`), or that of the vendor's page SDK. The manual
//! has [the page's script](crate::guide::web#the-page-of-a-passkey).
//!
//! ```no_run
//! use autharmor::Client;
//! use autharmor::auth::StartWebauthnAuth;
//! use autharmor::flow::{PendingWebauthn, SignIn};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// Returns the options for the page and the state for the session.
//! fn begin(client: &Client, username: &str) -> Result<(String, String)> {
//!     let request = StartWebauthnAuth::new()
//!         .user(username)
//!         .webauthn_client_id("from-your-dashboard")
//!         .action_name("Sign in");
//!     let started = client.begin_webauthn_sign_in(&request)?;
//!     let state = serde_json::to_string(&started.pending)?;
//!     Ok((started.fido2_json_options.into_string(), state))
//! }
//!
//! /// `state` was removed from the session, since it can be used once.
//! fn complete(client: &Client, state: &str, page_json: &str) -> Result<SignIn> {
//!     let pending: PendingWebauthn = serde_json::from_str(state)?;
//!     Ok(pending.complete(client, page_json)?)
//! }
//! # fn main() {}
//! ```
//!
//! # Magic link by mail
//!
//! The link opens the redirect URL of the request, with the tokens in its
//! query. The redirect URL must be on the allow list of your project.
//!
//! ```no_run
//! use autharmor::Client;
//! use autharmor::auth::StartMagiclinkEmailAuth;
//! use autharmor::flow::{PendingMagiclink, SignIn};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// Returns the state for the session.
//! fn begin(client: &Client, address: &str) -> Result<String> {
//!     let request = StartMagiclinkEmailAuth::new(address, "https://app.example/signed-in")
//!         .action_name("Sign in")
//!         .short_msg("Somebody signs in to Example as you");
//!     Ok(serde_json::to_string(&client.begin_magiclink_sign_in(&request)?)?)
//! }
//!
//! /// `query` is that of `GET /signed-in?auth_request_id=…&auth_validation_token=…`.
//! fn complete(client: &Client, state: &str, query: &str) -> Result<SignIn> {
//!     let pending: PendingMagiclink = serde_json::from_str(state)?;
//!     Ok(pending.complete(client, query)?)
//! }
//! # fn main() {}
//! ```
//!
//! Mail scanners open links first: the manual shows
//! [a page that stands it](crate::guide::web#the-landing-page-of-a-magic-link).
//!
//! The user may open the mail on another device, whose session has no pending
//! state. Then ask the user to open the link in the browser in which the
//! sign-in began. Do not sign in a browser that did not begin the sign-in. That
//! would be login CSRF: anybody can send a link of their own to somebody else.
//!
//! # The vendor's page SDK
//!
//! The page began the sign-in and sends method, request id and token to the
//! backend. The backend says which user it expects.
//!
//! ```no_run
//! use autharmor::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
//! use autharmor::{Client, Error};
//! use uuid::Uuid;
//!
//! fn complete(client: &Client, username: &str, id: Uuid, token: &str) -> Result<SignIn, Error> {
//!     let expected = ExpectedUser::Is(username.into());
//!     let from_page = BrowserSignIn::new(Method::Authenticator, id, token, expected);
//!     client.complete_browser_sign_in(&from_page)
//! }
//! # fn main() {}
//! ```
//!
//! [`ExpectedUser::Anyone`] is for a login page that does not know who will sign
//! in. Read there about login CSRF first.
//!
//! # Outcomes of a sign-in
//!
//! | outcome | meaning | what to do |
//! | --- | --- | --- |
//! | [`SignedIn`](SignIn::SignedIn) | every check passed | make a new session for [`user_id`](SignedInUser::user_id) |
//! | [`Declined`](SignIn::Declined) | the user declined | say so; do not begin again by yourself: somebody else may have typed the name |
//! | [`TimedOut`](SignIn::TimedOut) | the user did not respond | offer to begin again |
//! | [`ValidatedTooLate`](SignIn::ValidatedTooLate) | approved, but the validation was late | begin again; find out what took so long |
//! | [`RefusedForSecurity`](SignIn::RefusedForSecurity) | for example, another IP address than at the start | log it; begin again from the start |
//! | [`FailedSignature`](SignIn::FailedSignature) | the signature of the device is wrong | log it; it may be an attack |
//! | [`StillPending`](SignIn::StillPending) | the user has not responded yet | wait again with the same state, or drop it |
//! | [`ServiceUnavailable`](SignIn::ServiceUnavailable) | the time of the wait is over, and the last poll failed | the same; raise an alarm |
//! | [`Cancelled`](SignIn::Cancelled) | the callback or the flag ended the wait | the same |
//! | [`NotAuthorized`](SignIn::NotAuthorized) | not authorised, for no known reason | as for declined |
//! | an error of kind [`Mismatch`](crate::ErrorKind::Mismatch) | the response is about another user or request, or contradicts itself | **nobody is signed in**; log it, it may be an attack |
//! | any other error | the outcome is unknown | nobody is signed in; if the error [is transient](crate::Error::is_transient) and [certainly was not sent](crate::Error::may_have_been_sent), complete it again, else begin again |
//!
//! A validation token works once. A response that was lost may have used it up:
//! then the user has to begin again.
//!
//! # Checks
//!
//! Every value that is missing, null, unknown or of the wrong type fails closed.
//! An empty name and the nil UUID count as missing.
//!
//! | check | otherwise |
//! | --- | --- |
//! | a pending state is of this format and this flow, and has all required values | it does not deserialise |
//! | the client speaks the API version under which the flow was begun | [`InvalidInput`](crate::ErrorKind::InvalidInput) |
//! | the page's JSON of a passkey has all members, each of the right type, and is of the right ceremony | `InvalidInput`; nothing is sent |
//! | a link has each parameter once, and belongs to the request of the state | `InvalidInput`, [`Mismatch`](crate::ErrorKind::Mismatch); nothing is sent |
//! | the finish response of a passkey is about that request, if it names one | `Mismatch` |
//! | `authorized` in the validate response is the JSON `true` | another [`SignIn`] |
//! | no status and no result code contradicts it: pending, declined, timed out, …, or one that this crate does not know | `Mismatch` |
//! | the response says who signed in, by an id that is not nil | `Mismatch` |
//! | the profile in its request part, if there is one, agrees | `Mismatch` |
//! | the id is the one of the request, of the start response, and of the finish response, as far as they are known | `Mismatch` |
//! | if the request has a name and the start response had no id: the name is the same to the letter ([`ignore_username_case`](PendingAuthenticator::ignore_username_case) relaxes that) | `Mismatch` |
//! | the message that the device signed, if it can be decoded, names this request and our nonce | `Mismatch` |
//!
//! Every request that can carry a nonce gets one from the TLS provider's secure
//! random source (authenticator; WebAuthn under v4), and so does its validation.
//! IP address and user agent are sent again as well, if the request has them:
//! those of the browser that completes the sign-in, if you give them
//! ([`ip_address`](PendingMagiclink::ip_address)), else those of the start. The
//! service compares them. If you give none, it compares the start's with
//! themselves, which shows nothing.
//!
//! Not checked: the signature itself, for which TLS and the service vouch, unless
//! a [proof](#proof) is required, and `auth_history_id`, since no source says
//! that it is the request's id.
//!
//! # Proof
//!
//! With the feature `proof`, `SignedInUser::proof` returns the message that the
//! user's device signed. A flow that was told to `require_proof` signs the user in
//! only if that message is valid. The module `proof` says what it is worth.
//!
//! # Registration
//!
//! A registration works the same way, for new users and for existing ones, and
//! ends in a [`Registration`].
//!
//! ```no_run
//! use autharmor::flow::{Registration, WaitPolicy};
//! use autharmor::registrations::StartAuthenticatorRegistration;
//! use autharmor::{Client, Error};
//!
//! fn register(client: &Client, username: &str) -> Result<(), Error> {
//!     let request = StartAuthenticatorRegistration::new(username);
//!     let started = client.begin_authenticator_registration(&request)?;
//!     if let Some(qr_code) = &started.qr_code_data {
//!         println!("open on your phone: {}", qr_code.expose());
//!     }
//!     match started.pending.wait(client, &WaitPolicy::new())? {
//!         Registration::Registered(user) => println!("welcome, {}", user.user_id()),
//!         other => println!("not registered: {other:?}"),
//!     }
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! **v3 is weaker here.** v4 has a validate call for each method, with a token
//! that only the program that began the registration has. v3 has one for magic
//! links only:
//!
//! | | v4 | v3 |
//! | --- | --- | --- |
//! | authenticator app | validated by token | ends when the user has an authenticator that was not there before the start, **whoever enrolled it** |
//! | passkey, security key | validated by token | ends with the finish response |
//! | magic link by mail | validated by token and the registration's id | validated by token alone |
//!
//! [`RegisteredUser::is_validated`] tells which it was. Under v3 do not sign a
//! user in because of a registration: let the user sign in afterwards. Both
//! versions check that the response is about the user for whom the registration
//! was begun, and, as far as the response has them, the address and the purpose.
//!
//! # Storing a pending state
//!
//! Pending states are small and serialise with serde, so that another process
//! can complete the flow. They hold validation tokens, nonces and the name of
//! the expected user. So:
//!
//! - Store them in the session on your server, or in storage that is encrypted
//!   *and* authenticated. Whoever can change a state can sign in as somebody
//!   else. Whoever can read one can take part in the sign-in.
//! - Bind them to the browser's session, so that only the browser that began
//!   the flow can complete it.
//! - Remove them from the store when they are completed: each can be used once.
//! - Do not store them across releases of this crate. A state of another format
//!   is refused, and the user begins again.

mod callback;
#[cfg(test)]
mod deadline_tests;
#[cfg(not(feature = "proof"))]
mod no_proof;
mod page;
mod pending;
#[cfg(feature = "proof")]
mod proof;
mod registration;
mod sign_in;
#[cfg(test)]
mod testing;
mod verify;
mod wait;

#[cfg(not(feature = "proof"))]
use self::no_proof as proof;

pub use self::registration::{
    AuthenticatorRegistrationStarted, PendingAuthenticatorRegistration,
    PendingMagiclinkRegistration, PendingWebauthnRegistration, RegisteredUser, Registration,
    WebauthnRegistrationStarted,
};
pub use self::sign_in::{
    AuthenticatorStarted, BrowserSignIn, ExpectedUser, Method, PendingAuthenticator,
    PendingMagiclink, PendingWebauthn, WebauthnStarted,
};
pub use self::verify::{SignIn, SignedInUser};
pub use self::wait::{
    AuthWait, Outage, RegistrationWait, RegistrationWatch, WaitPolicy, WaitProgress,
};
