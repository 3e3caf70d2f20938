//! Where secrets and usernames must not be: URLs, what `Debug` and `Display`
//! print, errors; and where a request must not go. For the log see `logs.rs`.

mod errors;
mod flows;
mod marks;
mod names;
mod printing;
mod provoke;
mod roads;
