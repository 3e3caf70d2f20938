//! Registration: of new users, and of another method of signing in for an
//! existing user. The methods are the authenticator app, WebAuthn (passkeys
//! and security keys), and magic links sent by email.
//!
//! A registration is started, accepted by the user, and validated. v3 has no
//! validate call for the authenticator app and WebAuthn: there a registration
//! ends with the user's part. To validate it nevertheless, call v4's
//! [`validate_authenticator_registration`] or
//! [`validate_webauthn_registration`], as a client of either version can.
//! Whether v3 sends the token that they need is unverified.
//!
//! A `start_*` call notifies a person or creates an invitation. The client
//! sends it at most once. Before you repeat it after an error, check
//! [`Error::may_have_been_sent`](crate::Error::may_have_been_sent).
//!
//! The calls that end in `_for_user` take a [`UserKey`](crate::UserKey). Under
//! v4 they refuse a username with
//! [`UsernameInUrl`](crate::ErrorKind::UsernameInUrl), unless the builder
//! allows it.

mod authenticator;
mod fido2;
mod info;
mod magiclink;
mod validate;
mod webauthn;

pub use self::authenticator::*;
pub use self::fido2::*;
pub use self::info::*;
pub use self::magiclink::*;
pub use self::validate::{ValidateRegistration, ValidateRegistrationResponse};
pub use self::webauthn::*;
