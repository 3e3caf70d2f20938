//! Control of the emulator: its routes and page, faults, recorded requests.

pub(crate) mod app;
pub(crate) mod faults;
pub(crate) mod record;
mod routes;
mod sender;

pub(crate) use self::routes::respond;

/// Whether a path belongs to the control routes.
pub(crate) fn is_control_path(path: &str) -> bool {
    path.strip_prefix("/_emulator")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
