//! Random secrets.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::secret::Secret;

/// Returns 32 bytes of the TLS provider's secure random source, as base64url.
pub(crate) fn random_secret() -> Result<Secret, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut *bytes)
        .map_err(|_| Error::config("the system has no secure random source"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(*bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_long_and_differ() {
        let (a, b) = (random_secret().unwrap(), random_secret().unwrap());
        assert_eq!(a.expose().len(), 43);
        assert_ne!(a, b);
    }
}
