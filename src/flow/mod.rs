//! Flows: waiting for a person, verified sign-in, verified registration.
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
