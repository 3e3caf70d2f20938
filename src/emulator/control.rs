//! Placeholder until the control routes are there.
use super::{
    app::App,
    http::{Message, Reply},
};
pub(super) fn answer(_app: &App, _message: &Message) -> Reply {
    Reply::empty(404)
}
