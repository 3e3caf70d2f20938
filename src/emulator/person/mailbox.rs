//! The mailbox: opens magic links.

use crate::{
    ApiVersion,
    emulator::model::{
        auth_request::{Phase, Progress},
        decisions::LINK_WORKS_ONCE,
        error::EmulatorError,
        mail::{LinkPurpose, with_query},
        registration,
        state::{State, link_code},
    },
};

impl State {
    /// Opens a magic link, given in full or by its last segment. Returns the
    /// redirect with the tokens in its query.
    pub(crate) fn click(&mut self, link: &str) -> Result<String, EmulatorError> {
        let code = link_code(link);
        let link = self
            .links
            .get(code)
            .cloned()
            .ok_or(EmulatorError::UnknownLink)?;
        let now = self.clock.now();
        let redirect = match link.purpose {
            LinkPurpose::SignIn(id) => {
                let request = self.auth.get(&id).ok_or(EmulatorError::UnknownRequest)?;
                if request.phase(now) != Phase::Waiting {
                    return Err(EmulatorError::Over);
                }
                if self.credential_is_disabled(request) {
                    return Err(EmulatorError::NotEnrolled);
                }
                let request = self
                    .auth
                    .get_mut(&id)
                    .ok_or(EmulatorError::UnknownRequest)?;
                request.progress = Progress::Approved(now);
                with_query(
                    &link.redirect,
                    &[
                        ("auth_validation_token", &request.token),
                        ("auth_request_id", &id.to_string()),
                    ],
                )
            }
            LinkPurpose::Registration(id) => {
                let registration = self
                    .registrations
                    .get_mut(&id)
                    .ok_or(EmulatorError::UnknownRegistration)?;
                if !registration.is_open(now) {
                    return Err(EmulatorError::Over);
                }
                registration.progress = registration::Progress::Enrolled(now);
                let id = id.to_string();
                let mut pairs =
                    vec![("registration_validation_token", registration.token.as_str())];
                if registration.version == ApiVersion::V4 {
                    pairs.push(("registration_id", &id));
                }
                with_query(&link.redirect, &pairs)
            }
        };
        if LINK_WORKS_ONCE {
            self.links.remove(code);
        }
        Ok(redirect)
    }
}
