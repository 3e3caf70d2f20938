//! The person's side: phone, mailbox and passkeys.

mod mailbox;
pub(crate) mod passkey;
pub(crate) mod pending;
mod phone;
