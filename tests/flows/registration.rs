//! Registration of new and existing users, with phones, passkeys and mail
//! addresses, and a change of address.

mod authenticator;
mod magiclink;
mod webauthn;

use autharmor::UserKey;
use autharmor::emulator::NewUser;
use uuid::Uuid;

use crate::scenario::Scenario;

/// A user who exists and has nothing yet.
const NEWCOMER: &str = "grace hopper";

fn add_newcomer(scenario: &Scenario) -> (Uuid, UserKey) {
    let user = NewUser::new(NEWCOMER).without_methods();
    let id = scenario.emulator.add_user(user).unwrap();
    (id, scenario.key(NEWCOMER, id).unwrap())
}

/// Returns the id of the user of that name, if there is one.
fn user_called(scenario: &Scenario, name: &str) -> Option<Uuid> {
    let users = scenario.emulator.users();
    let found = users.into_iter().find(|(_, username)| username == name);
    found.map(|(id, _)| id)
}
