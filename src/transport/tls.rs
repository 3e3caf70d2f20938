//! TLS: root certificates, the client certificate, and handshakes.

use std::io;
use std::sync::Arc;

use rustls::client::ClientConnection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, Error as TlsError, InvalidMessage, RootCertStore};
use zeroize::Zeroizing;

use super::stream::{ReadAhead, Stream};
use super::target::without_brackets;
use super::{TransportError, TransportErrorKind};
use crate::error::Error;

/// The root certificates to trust. Own ones are PEM, each text with one
/// certificate or more.
#[derive(Clone)]
pub(crate) enum Roots {
    /// Mozilla's roots, which are compiled in.
    Bundled,
    /// Mozilla's roots and these.
    BundledAnd(Vec<Vec<u8>>),
    /// Only these.
    Only(Vec<Vec<u8>>),
    /// The roots that the operating system trusts.
    #[cfg(feature = "platform-verifier")]
    Platform,
}

/// The certificate for a server that asks for one.
#[derive(Clone)]
pub(crate) struct ClientCertificate {
    /// PEM, the client's own certificate first.
    pub(crate) chain: Vec<u8>,
    /// PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub(crate) key: Zeroizing<Vec<u8>>,
}

/// Makes the settings for all handshakes of a transport. They also hold the
/// tickets for session resumption, so a transport needs one and keeps it.
pub(super) fn client_config(
    roots: &Roots,
    identity: Option<&ClientCertificate>,
) -> Result<Arc<ClientConfig>, Error> {
    // The process-wide default may be missing, or be set by another crate.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| rejected("TLS cannot be set up", e))?;
    let builder = match roots {
        Roots::Bundled => builder.with_root_certificates(root_store(true, &[])?),
        Roots::BundledAnd(pems) => builder.with_root_certificates(root_store(true, pems)?),
        Roots::Only(pems) => builder.with_root_certificates(root_store(false, pems)?),
        #[cfg(feature = "platform-verifier")]
        Roots::Platform => builder
            .dangerous()
            .with_custom_certificate_verifier(platform_verifier(provider)?),
    };
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(
                certificates(&identity.chain, "the client certificate")?,
                private_key(&identity.key)?,
            )
            .map_err(|e| rejected("the client certificate or its key cannot be used", e))?,
    };
    Ok(Arc::new(config))
}

#[cfg(feature = "platform-verifier")]
fn platform_verifier(
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<rustls_platform_verifier::Verifier>, Error> {
    rustls_platform_verifier::Verifier::new(provider)
        .map(Arc::new)
        .map_err(|e| rejected("the platform's certificate verifier cannot be used", e))
}

fn root_store(bundled: bool, pems: &[Vec<u8>]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    if bundled {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for pem in pems {
        for certificate in certificates(pem, "a root certificate")? {
            store
                .add(certificate)
                .map_err(|e| rejected("a root certificate cannot be used", e))?;
        }
    }
    if store.is_empty() {
        return Err(Error::config("there is no root certificate to trust"));
    }
    Ok(store)
}

/// The parser's error is left out, because it quotes its input.
fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| Error::config(format!("{what} is not PEM, or has no certificate in it")))
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        Error::config("the client certificate's key is not PEM, or has no unencrypted key in it")
    })
}

fn rejected(detail: &'static str, error: TlsError) -> Error {
    Error::config(detail).with_source(Arc::new(error))
}

/// Makes `stream` a TLS connection with `host`. After a failure nothing of the
/// request was sent.
pub(super) fn handshake(
    config: &Arc<ClientConfig>,
    host: &str,
    stream: Stream,
) -> Result<Stream, TransportError> {
    let name = ServerName::try_from(without_brackets(host).to_owned()).map_err(|_| {
        TransportError::new(TransportErrorKind::Tls, false)
            .with_detail("no certificate can be for such a host name")
    })?;
    let mut tls = ClientConnection::new(config.clone(), name).map_err(|e| refused(e, false))?;
    let mut stream = ReadAhead::new(stream);
    match tls.complete_io(&mut stream) {
        Ok(_) => Ok(Stream::tls(tls, stream)),
        Err(error) => Err(match as_tls_error(error) {
            Ok(error) => refused(error, false),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                TransportError::new(TransportErrorKind::Timeout, false)
                    .with_detail("during the TLS handshake")
            }
            Err(error) => TransportError::new(TransportErrorKind::Connect, false)
                .with_detail("it was cut during the TLS handshake")
                .with_source(error),
        }),
    }
}

/// Unwraps an error of rustls from the `io::Error` that carries it.
pub(super) fn as_tls_error(error: io::Error) -> Result<TlsError, io::Error> {
    error.downcast()
}

/// Describes a failed handshake or a TLS error after it.
pub(super) fn refused(error: TlsError, may_have_been_sent: bool) -> TransportError {
    use CertificateError as Bad;
    let hint = match &error {
        TlsError::InvalidCertificate(Bad::UnknownIssuer) => {
            "the certificate's issuer is not trusted; where a proxy inspects TLS, use the \
             platform's roots or add the proxy's own"
        }
        TlsError::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "the certificate has expired, or the local clock is wrong"
        }
        TlsError::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            "the certificate is not valid yet, or the local clock is wrong"
        }
        TlsError::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "the certificate is for another host"
        }
        TlsError::InvalidCertificate(_) => "the certificate is not acceptable",
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS"
        }
        TlsError::AlertReceived(_) => "the server refused it",
        _ => "",
    };
    TransportError::new(TransportErrorKind::Tls, may_have_been_sent)
        .with_detail(hint)
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;
    use crate::error::Error;

    #[test]
    fn each_failure_has_a_hint() {
        use CertificateError as Bad;
        for (error, hint) in [
            (
                TlsError::InvalidCertificate(Bad::UnknownIssuer),
                "issuer is not trusted",
            ),
            (TlsError::InvalidCertificate(Bad::Expired), "has expired"),
            (
                TlsError::InvalidCertificate(Bad::NotValidYet),
                "not valid yet",
            ),
            (
                TlsError::InvalidCertificate(Bad::NotValidForName),
                "for another host",
            ),
            (
                TlsError::InvalidCertificate(Bad::BadEncoding),
                "is not acceptable",
            ),
            (
                TlsError::InvalidCertificate(Bad::Revoked),
                "is not acceptable",
            ),
            (
                InvalidMessage::InvalidContentType.into(),
                "does not speak TLS",
            ),
            (
                TlsError::AlertReceived(AlertDescription::HandshakeFailure),
                "the server refused it",
            ),
        ] {
            let text = Error::from(refused(error, false)).to_string();
            assert!(text.contains(hint), "{text}");
        }
    }
}
