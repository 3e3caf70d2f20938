//! The manual, chapter by chapter.
//!
//! To sign users in: [signing in safely](signing_in), [proof of a sign-in](proof),
//! [web programs](web), [checklist of a login page](web_checklist), [login
//! helpers](login_helpers), [async programs](async_programs).
//!
//! To call the API: [first call](first_call), [configuration], [users by
//! name](users_by_name), [versions], [endpoints], [errors],
//! [retries and timeouts](retries_and_timeouts), [the access token](token),
//! [many processes](fleet), [what a fleet costs](fleet_costs).
//!
//! To test: [testing your login](testing), [other languages](other_languages).
//!
//! To run it: [TLS and proxies](tls_and_proxies), [logging and
//! secrets](logging), [your own transport](transport), [threads, async and
//! fork](threads), [platforms, compilers, versions](platforms).
//!
//! To administer users and machines: [the program](program), [finding out what is
//! wrong](doctor), [for administrators](administrators), [PAM and
//! ssh](pam_and_ssh).
//!
//! And: [what is unverified](unverified).

/// One module for each chapter. The chapters name the items of the crate as a
/// program would after `use autharmor::*`.
macro_rules! chapters {
    ($($name:ident $file:literal)*) => {$(
        pub mod $name {
            #![doc = include_str!($file)]
            #[allow(unused_imports)]
            use crate::*;
        }
    )*};
}

chapters! {
    first_call "first-call.md"
    configuration "configuration.md"
    users_by_name "users-by-name.md"
    versions "versions.md"
    endpoints "endpoints.md"
    signing_in "signing-in.md"
    web "web.md"
    web_checklist "web-checklist.md"
    login_helpers "login-helpers.md"
    async_programs "async.md"
    errors "errors.md"
    retries_and_timeouts "retries-and-timeouts.md"
    token "token.md"
    fleet "fleet.md"
    fleet_costs "fleet-costs.md"
    tls_and_proxies "tls-and-proxies.md"
    logging "logging.md"
    transport "transport.md"
    threads "threads.md"
    platforms "platforms.md"
    program "program.md"
    doctor "doctor.md"
    administrators "administrators.md"
    pam_and_ssh "pam-and-ssh.md"
    unverified "unverified.md"
}

#[cfg(feature = "emulator")]
pub mod testing {
    #![doc = include_str!("testing.md")]
    #![doc = "```no_run"]
    #![doc = include_str!("../../examples/tested_login.rs")]
    #![doc = "```"]
    #![doc = include_str!("testing-more.md")]
    #[allow(unused_imports)]
    use crate::*;
}

#[cfg(not(feature = "emulator"))]
#[doc = include_str!("testing-off.md")]
pub mod testing {}

#[cfg(feature = "emulator")]
pub mod other_languages {
    #![doc = include_str!("other-languages.md")]
    #[allow(unused_imports)]
    use crate::*;
}

#[cfg(feature = "proof")]
pub mod proof {
    #![doc = include_str!("proof.md")]
    #[allow(unused_imports)]
    use crate::*;
}

#[cfg(not(feature = "proof"))]
#[doc = include_str!("proof-off.md")]
pub mod proof {}
