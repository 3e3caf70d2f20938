//! Sign-in: with the Auth Armor authenticator app, with WebAuthn (passkeys and
//! security keys), and with a magic link.
//!
//! Every method has the same steps: a `start_*` call, an action of the user
//! (which [`get_auth_info`] reports), and a `validate_*` call. **Only a
//! validate response whose `authorized` is `Some(true)` signs a user in.**
//! Every other value, a missing one included, does not.
//!
//! A `start_*` call notifies a person, by a push notification or an email. The
//! client sends it at most once. Before you repeat it after an error, check
//! [`Error::may_have_been_sent`](crate::Error::may_have_been_sent).
//!
//! Required values of a request are arguments of `new`; options are setters. An
//! option that is not set is not sent. `Serialize` on a request writes its
//! body, secrets included. `Serialize` on a response leaves its secrets out.

mod authenticator;
mod details;
mod info;
mod magiclink;
mod start;
mod validate;
mod webauthn;

pub use self::authenticator::*;
pub use self::details::*;
pub use self::info::*;
pub use self::magiclink::*;
pub use self::start::LocationData;
pub use self::validate::{ValidateAuth, ValidateAuthDetails, ValidateAuthResponse};
pub use self::webauthn::*;
