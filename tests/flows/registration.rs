//! Registering: new users, and more for those there are; phones, passkeys,
//! mail addresses, and a change of address.

mod authenticator;
mod magiclink;
mod webauthn;

use autharmor::UserKey;
use autharmor::emulator::NewUser;
use uuid::Uuid;

use crate::stage::Stage;

/// A user who exists and has nothing yet.
const NEWCOMER: &str = "grace hopper";

fn add_newcomer(stage: &Stage) -> (Uuid, UserKey) {
    let user = NewUser::new(NEWCOMER).without_methods();
    let id = stage.emulator.add_user(user).unwrap();
    (id, stage.key(NEWCOMER, id).unwrap())
}

/// The id of the user of that name, if there is one.
fn user_called(stage: &Stage, name: &str) -> Option<Uuid> {
    let users = stage.emulator.users();
    let found = users.into_iter().find(|(_, username)| username == name);
    found.map(|(id, _)| id)
}
