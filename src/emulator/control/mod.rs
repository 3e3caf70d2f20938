//! Control of the emulator: its routes and page, faults, recorded requests.

pub(crate) mod app;
pub(crate) mod faults;
mod lists;
pub(crate) mod record;
mod routes;
pub(crate) mod sender;

pub(crate) use self::routes::respond;

/// Whether a path belongs to the control routes. The root leads to the page.
pub(crate) fn is_control_path(path: &str) -> bool {
    path == "/"
        || path
            .strip_prefix("/_emulator")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
