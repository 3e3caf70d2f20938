//! Flows: verified sign-in, verified registration, and waiting for a person.
//!
//! The endpoints are an alphabet; this module has the sentences. Each begins
//! with a `begin_*` method of [`Client`](crate::Client), which hands out a
//! pending state, and ends with that state's `wait` or `complete`. What comes
//! between is the person's part.
//!
//! | method | sign in | register |
//! | --- | --- | --- |
//! | authenticator app | [`begin_authenticator_sign_in`](crate::Client::begin_authenticator_sign_in) | [`begin_authenticator_registration`](crate::Client::begin_authenticator_registration), [`…_for_user`](crate::Client::begin_authenticator_registration_for_user) |
//! | passkey, security key | [`begin_webauthn_sign_in`](crate::Client::begin_webauthn_sign_in) | [`begin_webauthn_registration`](crate::Client::begin_webauthn_registration), [`…_for_user`](crate::Client::begin_webauthn_registration_for_user) |
//! | link in a mail | [`begin_magiclink_sign_in`](crate::Client::begin_magiclink_sign_in) | [`begin_magiclink_registration`](crate::Client::begin_magiclink_registration), [`…_for_user`](crate::Client::begin_magiclink_registration_for_user), [`begin_magiclink_change`](crate::Client::begin_magiclink_change) |
//! | the vendor's page SDK | [`complete_browser_sign_in`](crate::Client::complete_browser_sign_in) | |
//!
//! A `begin_*` is felt by a person, and so is sent at most once: after an error
//! ask [`Error::may_have_been_sent`](crate::Error::may_have_been_sent) before
//! you begin again.
//!
//! # Authenticator app
//!
//! The phone rings, or the user scans the QR code; the program waits.
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
//!         SignIn::TimedOut | SignIn::StillPending => println!("nobody answered"),
//!         other => println!("that did not work: {other:?}"),
//!     }
//!     Ok(None)
//! }
//! # fn main() {}
//! ```
//!
//! Without a `user` in the request, whoever scans the code signs in: show
//! clearly who that was. [`WaitPolicy`] sets how long to wait, reports progress
//! and can give up.
//!
//! # Passkey or security key
//!
//! Two steps of a web program, with the browser between them. The first hands
//! the options to the page and keeps the pending state in the session; the
//! second takes what the page made of them.
//!
//! ```no_run
//! use autharmor::Client;
//! use autharmor::auth::StartWebauthnAuth;
//! use autharmor::flow::{PendingWebauthn, SignIn};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// Returns what goes to the page, and what goes into the session.
//! fn begin(client: &Client, username: &str) -> Result<(String, String)> {
//!     let request = StartWebauthnAuth::new()
//!         .user(username)
//!         .webauthn_client_id("from-your-dashboard")
//!         .action_name("Sign in");
//!     let started = client.begin_webauthn_sign_in(&request)?;
//!     let for_the_session = serde_json::to_string(&started.pending)?;
//!     Ok((started.fido2_json_options.into_string(), for_the_session))
//! }
//!
//! /// Takes the session's part out (it serves once) and the page's JSON.
//! fn complete(client: &Client, from_the_session: &str, page_json: &str) -> Result<SignIn> {
//!     let pending: PendingWebauthn = serde_json::from_str(from_the_session)?;
//!     Ok(pending.complete(client, page_json)?)
//! }
//! # fn main() {}
//! ```
//!
//! # Link in a mail
//!
//! The redirect URL must be on the allow list of your project. The link lands
//! there with its tokens in the query.
//!
//! ```no_run
//! use autharmor::Client;
//! use autharmor::auth::StartMagiclinkEmailAuth;
//! use autharmor::flow::{PendingMagiclink, SignIn};
//!
//! type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// Returns what goes into the session.
//! fn begin(client: &Client, address: &str) -> Result<String> {
//!     let request = StartMagiclinkEmailAuth::new(address, "https://app.example/signed-in")
//!         .action_name("Sign in")
//!         .short_msg("Somebody signs in to Example as you");
//!     Ok(serde_json::to_string(&client.begin_magiclink_sign_in(&request)?)?)
//! }
//!
//! /// `query` is that of `GET /signed-in?auth_request_id=…&auth_validation_token=…`.
//! fn complete(client: &Client, from_the_session: &str, query: &str) -> Result<SignIn> {
//!     let pending: PendingMagiclink = serde_json::from_str(from_the_session)?;
//!     Ok(pending.complete(client, query)?)
//! }
//! # fn main() {}
//! ```
//!
//! A person may open the mail on another device, whose session has no pending
//! state. Then ask to open the link where the sign-in began. To sign in a
//! browser that began nothing would be login CSRF: anybody can mail a link of
//! their own to somebody else.
//!
//! # The vendor's page SDK
//!
//! The page began the sign-in and hands over method, request id and token. The
//! backend says whom it expects.
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
//! [`ExpectedUser::Anyone`] is for a login page that does not know who comes.
//! Read there about login CSRF first.
//!
//! # What a sign-in can end in
//!
//! | | what it means | what to do |
//! | --- | --- | --- |
//! | [`SignedIn`](SignIn::SignedIn) | every check passed | make a new session for [`user_id`](SignedInUser::user_id) |
//! | [`Declined`](SignIn::Declined) | the user said no | say so; do not begin again by yourself: somebody else may have typed the name |
//! | [`TimedOut`](SignIn::TimedOut) | the user did not answer | offer to begin again |
//! | [`ValidatedTooLate`](SignIn::ValidatedTooLate) | approved, but the validation was late | begin again; find out what took so long |
//! | [`RefusedForSecurity`](SignIn::RefusedForSecurity) | such as another IP address than at the start | log it; begin again from the start |
//! | [`FailedSignature`](SignIn::FailedSignature) | the device's signature is wrong | log it; it may be an attack |
//! | [`StillPending`](SignIn::StillPending) | not answered yet, or you gave up | wait again with the same state, or leave it |
//! | [`NotAuthorized`](SignIn::NotAuthorized) | not authorised, for no known reason | as declined |
//! | an error of kind [`Mismatch`](crate::ErrorKind::Mismatch) | it is about somebody or something else, or contradicts itself | **nobody is signed in**; log it, it may be an attack |
//! | any other error | nobody knows | nobody is signed in; if it [is transient](crate::Error::is_transient) and [certainly was not sent](crate::Error::may_have_been_sent), end it again, else begin again |
//!
//! A validation token works once. An answer that was lost on its way may have
//! used it up: then the user has to begin again.
//!
//! # What is checked
//!
//! Everything that is missing, null, unknown or of the wrong type fails closed.
//!
//! | check | else |
//! | --- | --- |
//! | a pending state is of this format and this flow | it does not deserialise |
//! | it was begun under the version of the API that the client speaks | [`InvalidInput`](crate::ErrorKind::InvalidInput) |
//! | a link has each parameter once, and belongs to the request of the state | `InvalidInput`, [`Mismatch`](crate::ErrorKind::Mismatch); nothing is sent |
//! | the finish answer of a passkey is about that request | `Mismatch` |
//! | `authorized` in the validate answer is the JSON `true` | another [`SignIn`] |
//! | no result code contradicts it: pending, declined, timed out, … | `Mismatch` |
//! | the answer says who signed in, by an id that is not nil | `Mismatch` |
//! | the profile in its request part, if there is one, agrees | `Mismatch` |
//! | the id is the one asked for, the one of the start answer, and the one of the finish answer, as far as they are known | `Mismatch` |
//! | where a name was asked for and the start answer gave no id: the name is the same to the letter ([`ignore_username_case`](PendingAuthenticator::ignore_username_case) relaxes that) | `Mismatch` |
//! | the message that the device signed, where it can be read, names this request and our nonce | `Mismatch` |
//!
//! A nonce from the TLS provider's secure random source goes with every request
//! that can carry one (authenticator; WebAuthn under v4) and again with its
//! validation. So do an IP address and a user agent, if the request has them;
//! the service compares them.
//!
//! Not checked: the signature itself, for which TLS and the service vouch, and
//! `auth_history_id`, of which no source says that it is the request's id.
//!
//! # Registration
//!
//! It goes the same way, for new users and for those that exist, and ends in a
//! [`Registration`].
//!
//! ```no_run
//! use autharmor::flow::{Registration, WaitPolicy};
//! use autharmor::registrations::StartAuthenticatorRegistration;
//! use autharmor::{Client, Error};
//!
//! fn enrol(client: &Client, username: &str) -> Result<(), Error> {
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
//! that only the one who began has. v3 has it for mailed links alone:
//!
//! | | v4 | v3 |
//! | --- | --- | --- |
//! | authenticator app | validated by token | ends when the user has an authenticator that was not there before the start, **whoever enrolled it** |
//! | passkey, security key | validated by token | ends with the finish answer |
//! | link in a mail | validated by token and the registration's id | validated by token alone |
//!
//! [`RegisteredUser::is_validated`] tells which it was. Under v3 do not sign a
//! user in because of a registration: let the user sign in afterwards. All
//! versions check that the answer is about the user that the registration was
//! begun for, and, as far as it names them, the address and the purpose.
//!
//! # Keeping a pending state
//!
//! The states are small and serialise with serde, so that another process can
//! end what one began. They hold validation tokens, nonces and the name of the
//! user who is expected. So:
//!
//! - Keep them in the session on your server, or in storage that is encrypted
//!   *and* authenticated. Whoever can change one can sign in as somebody else;
//!   whoever can read one can take part in the sign-in.
//! - Bind them to the browser's session, so that only the browser that began can
//!   end.
//! - Take them out of the store when they are ended: each serves once.
//! - Do not keep them across releases of this crate. A state of another format
//!   is refused, and the user begins again.

mod link;
mod registration;
mod sign_in;
mod state;
mod verify;
mod wait;

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
pub use self::wait::{AuthWait, RegistrationWait, RegistrationWatch, WaitPolicy, WaitProgress};
