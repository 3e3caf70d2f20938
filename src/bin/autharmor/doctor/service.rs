//! Checks that call the service with the library.

use std::io;
use std::time::{Duration, Instant};

use autharmor::{
    Error, ErrorKind, PageQuery, RetryPolicy, Secret, StoredToken, TokenKey, TokenStore,
};

use super::Doctor;
use super::report::{Finding, Kind};
use crate::failure::Failure;

/// Keeps nothing, so that the token file stays as it is.
struct NoStore;

impl TokenStore for NoStore {
    fn load(&self, _: &TokenKey) -> io::Result<Option<StoredToken>> {
        Ok(None)
    }

    fn save(&self, _: &TokenKey, _: &StoredToken) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &TokenKey, _: &Secret) -> io::Result<()> {
        Ok(())
    }
}

/// Fetches a token with the library.
pub(super) fn credentials(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "credentials";
    // The token endpoint is the last route.
    let (Some(settings), Some(route)) = (&doctor.settings, doctor.routes.last()) else {
        return vec![Finding::skipped(NAME, "the proxy setting is wrong")];
    };
    if !doctor.can_reach(route) {
        return vec![Finding::skipped(
            NAME,
            "no connection to the token endpoint",
        )];
    }
    let client = settings.builder().and_then(|builder| {
        let builder = builder.token_store(NoStore).retry(RetryPolicy::off());
        Ok(builder.timeout(remaining(doctor.limit())).build()?)
    });
    let client = match client {
        Ok(client) => client,
        Err(failure) => {
            let advice = "Correct the setting.";
            return vec![Finding::fail(
                NAME,
                Failure::Config,
                failure.to_string(),
                advice,
            )];
        }
    };
    let began = Instant::now();
    vec![match client.check_credentials() {
        Ok(()) => {
            doctor.client = Some(client);
            let took = began.elapsed().as_millis();
            Finding::ok(NAME, format!("accepted, in {took} ms"))
        }
        Err(error) => refused(NAME, &error),
    }]
}

/// Reads one page of the user list.
pub(super) fn read(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "read";
    let Some(client) = &doctor.client else {
        return vec![Finding::skipped(NAME, "there is no token")];
    };
    if !doctor
        .routes
        .first()
        .is_none_or(|route| doctor.can_reach(route))
    {
        return vec![Finding::skipped(NAME, "no connection to the API")];
    }
    let client = client.with_timeout(remaining(doctor.limit()));
    let began = Instant::now();
    vec![match client.list_users(PageQuery::new().page_size(1)) {
        Ok(_) => {
            let took = began.elapsed().as_millis();
            Finding::ok(NAME, format!("read a page of the user list, in {took} ms"))
        }
        Err(error) => refused(NAME, &error),
    }]
}

fn remaining(limit: Instant) -> Duration {
    // Zero would be refused as a setting.
    let left = limit.saturating_duration_since(Instant::now());
    left.max(Duration::from_millis(1))
}

/// A call of the library that failed.
fn refused(check: &'static str, error: &Error) -> Finding {
    let kind: Kind = match Failure::from(error.clone()) {
        Failure::Config(_) => Failure::Config,
        Failure::Unreachable(_) => Failure::Unreachable,
        _ => Failure::Failed,
    };
    let advice = match error.kind() {
        ErrorKind::Auth => {
            "Compare client id and client secret with the API client in the project's dashboard. \
             A rotated secret must be replaced here, too."
        }
        ErrorKind::Unauthorized => {
            "The API does not accept the token: do api_url and login_url belong to the same \
             environment?"
        }
        ErrorKind::Forbidden => "The API client may not make this call: check its scopes.",
        ErrorKind::NotFound => {
            "Correct api_url, or set api_version to the other version: v3 or v4."
        }
        ErrorKind::Decode | ErrorKind::Protocol | ErrorKind::Mismatch => {
            "Something else than the service responds. Compare api_url and login_url; a proxy or \
             a captive portal may answer in its place."
        }
        ErrorKind::RateLimited | ErrorKind::Unavailable => {
            "The service has a problem or wants fewer calls. Try again later."
        }
        ErrorKind::Timeout => "It takes too long. Try again; a firewall may swallow packets.",
        ErrorKind::Proxy => "Check the proxy's rules, and user and password in its URL.",
        _ => "Try again, and compare with the checks above.",
    };
    Finding::fail(check, kind, error.to_string(), advice)
}
