//! [`Identity`]: the certificate of one emulator, signed by an authority of its own.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{
    RootCertStore, ServerConfig,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
        pem::PemObject as _,
    },
};
use time::OffsetDateTime;

/// The TLS settings of the server and the certificate that a client has to
/// trust.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The files of an authority that is kept: its certificate and its key.
pub(crate) struct CaFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The subject of the authority. Kept authorities rely on it.
const CA_NAME: &str = "Auth Armor emulator CA";
/// Some verifiers refuse server certificates that are valid for years.
const LEAF_DAYS: i64 = 365;
/// The life of an authority. One that is kept has to be trusted once only.
const CA_DAYS: i64 = 3650;

struct Authority {
    key: KeyPair,
    /// Parameters of the certificate, from which it was made.
    params: CertificateParams,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn params() -> CertificateParams {
        let mut params = params(CA_NAME, CA_DAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn generate() -> Result<Self> {
        let key = KeyPair::generate()?;
        let params = Self::params();
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self {
            key,
            params,
            certificate,
        })
    }

    /// Reads the authority from its files, or makes it and writes them if
    /// neither exists.
    fn kept(files: &CaFiles) -> Result<Self> {
        let (certificate, key) = (files.certificate.try_exists()?, files.key.try_exists()?);
        if !certificate && !key {
            let made = Self::generate()?;
            write_secret(&files.key, &pem("PRIVATE KEY", made.key.serialized_der()))?;
            fs::write(&files.certificate, pem("CERTIFICATE", &made.certificate))?;
            return Ok(made);
        }
        let key = PrivatePkcs8KeyDer::from_pem_slice(&fs::read(&files.key)?)?;
        Ok(Self {
            key: KeyPair::try_from(&key)?,
            params: Self::params(),
            certificate: CertificateDer::from_pem_slice(&fs::read(&files.certificate)?)?,
        })
    }
}

/// Writes a new file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

impl Identity {
    /// Makes a certificate for the loopback addresses, `localhost`, the listening
    /// address and the given names. Without files its authority is new, and the
    /// authority's key is dropped at once.
    pub(crate) fn new(listen: IpAddr, names: &[String], ca: Option<&CaFiles>) -> io::Result<Self> {
        let Some(files) = ca else {
            return Authority::generate()
                .and_then(|authority| Self::signed_by(authority, listen, names, false))
                .map_err(io::Error::other);
        };
        Authority::kept(files)
            .and_then(|authority| Self::signed_by(authority, listen, names, true))
            .map_err(|error| {
                let (certificate, key) = (files.certificate.display(), files.key.display());
                let text = format!("cannot use the authority in {certificate} and {key}: {error}");
                io::Error::new(io::ErrorKind::InvalidData, text)
            })
    }

    fn signed_by(
        authority: Authority,
        listen: IpAddr,
        names: &[String],
        check: bool,
    ) -> Result<Self> {
        let ca_certificate = authority.certificate;
        let issuer = Issuer::new(authority.params, authority.key);

        let key = KeyPair::generate()?;
        let mut leaf = params("localhost", LEAF_DAYS);
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        if !listen.is_unspecified() {
            leaf.subject_alt_names.push(SanType::IpAddress(listen));
        }
        for name in names {
            leaf.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            });
        }
        let certificate = leaf.signed_by(&key, &issuer)?;
        if check {
            check_chain(&ca_certificate, certificate.der())?;
        }

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            ca_pem: pem("CERTIFICATE", &ca_certificate),
        })
    }
}

/// Checks what a client checks: a kept authority may have expired, and its files
/// may not belong together.
fn check_chain(ca: &CertificateDer<'_>, certificate: &CertificateDer<'_>) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build()?;
    let name = ServerName::try_from("localhost")?;
    verifier
        .verify_server_cert(certificate, &[], &name, &[], UnixTime::now())
        .map_err(|error| format!("clients would refuse its certificates: {error}"))?;
    Ok(())
}

fn params(name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let now = OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::days(1);
    params.not_after = now + time::Duration::days(days);
    params
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem.push_str("-----END ");
    pem.push_str(label);
    pem.push_str("-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ca_is_one_pem_block_of_short_lines() {
        let identity = Identity::new(Ipv4Addr::LOCALHOST.into(), &[], None).unwrap();
        let lines: Vec<&str> = identity.ca_pem.lines().collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN CERTIFICATE-----"));
        assert_eq!(lines.last(), Some(&"-----END CERTIFICATE-----"));
        assert!(lines.iter().all(|line| line.len() <= 64));
    }
}
