//! Helpers shared by the tests and benchmarks of autharmor.
//!
//! | module | what it has |
//! | --- | --- |
//! | [`scripted`] | a TCP and TLS server that follows a script, and certificates |
//! | [`canned`] | a fast TLS server with fixed responses, for measurements |
//! | `browser` | a browser for tests; needs the feature `browser` |
//! | `emulator`, `shifted_clock` | an emulator with one user, a clock that a test advances; need the feature `emulator` |
//! | [`cargo`], [`rustdoc`], [`programs`] | running other programs |
//! | [`BlackHole`] | addresses that never respond |
//! | [`ignored_tests`] | tests that a platform cannot run |
//! | [`Folder`], [`Gate`], [`Rng`] | a temporary folder, a gate for threads, a repeatable generator of random numbers |
//!
//! Unit tests of autharmor use only what names no type of autharmor.

#[cfg(feature = "browser")]
pub mod browser;
pub mod canned;
pub mod cargo;
#[cfg(feature = "emulator")]
pub mod emulator;
pub mod programs;
pub mod rustdoc;
pub mod scripted;
#[cfg(feature = "emulator")]
pub mod shifted_clock;

mod black_hole;
mod folder;
mod gate;
mod pem;
mod rng;

pub use black_hole::BlackHole;
pub use folder::Folder;
pub use gate::Gate;
pub use rng::Rng;

/// Returns text that is not Unicode.
pub fn not_unicode() -> std::ffi::OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
    #[cfg(windows)]
    return std::os::windows::ffi::OsStringExt::from_wide(&[0xd800]);
}

/// Defines tests that are reported as ignored, with the reason: those that this
/// platform cannot run.
#[macro_export]
macro_rules! ignored_tests {
    ($reason:literal: $($name:ident)+) => {
        $(#[test] #[ignore = $reason] fn $name() {})+
    };
}
