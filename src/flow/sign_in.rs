//! Sign-in flows, one file per method.

mod authenticator;
mod browser;
mod magiclink;
mod webauthn;

pub use self::authenticator::{AuthenticatorStarted, PendingAuthenticator};
pub use self::browser::{BrowserSignIn, ExpectedUser, Method};
pub use self::magiclink::PendingMagiclink;
pub use self::webauthn::{PendingWebauthn, WebauthnStarted};

#[cfg(test)]
mod tests;
