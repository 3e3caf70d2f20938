//! [`Certificate`]: names and expiry of an X.509 certificate, for a person to
//! read. Nothing is verified here.

use time::{Date, Month, OffsetDateTime, Time};

const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXPLICIT_VERSION: u8 = 0xa0;

/// The attributes to show of a name, the best first: common name,
/// organisation.
const ATTRIBUTES: [&[u8]; 2] = [&[0x55, 4, 3], &[0x55, 4, 10]];

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) not_after: OffsetDateTime,
}

impl Certificate {
    /// Reads a certificate in DER. `None` if it is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Elements(Elements(der).expect(SEQUENCE)?);
        let mut content = Elements(certificate.expect(SEQUENCE)?);
        if content.0.first() == Some(&EXPLICIT_VERSION) {
            content.next()?;
        }
        content.expect(INTEGER)?;
        content.expect(SEQUENCE)?;
        let issuer = name(content.expect(SEQUENCE)?);
        let mut validity = Elements(content.expect(SEQUENCE)?);
        validity.next()?;
        let (kind, end) = validity.next()?;
        let subject = name(content.expect(SEQUENCE)?);
        Some(Self {
            subject,
            issuer,
            not_after: date(kind, end)?,
        })
    }
}

/// DER elements, one after the other.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Returns tag and content of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes.iter().try_fold(0usize, |length, byte| {
                length.checked_mul(256)?.checked_add(usize::from(*byte))
            });
            (length?, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, content)| content)
    }
}

/// Returns one attribute of a distinguished name.
fn name(content: &[u8]) -> String {
    let mut found = [None, None];
    let mut names = Elements(content);
    while let Some(set) = names.expect(SET) {
        let Some(pair) = Elements(set).expect(SEQUENCE) else {
            continue;
        };
        let mut pair = Elements(pair);
        let (Some(oid), Some((_, value))) = (pair.expect(OID), pair.next()) else {
            continue;
        };
        for (place, attribute) in found.iter_mut().zip(ATTRIBUTES) {
            if oid == attribute {
                *place = Some(String::from_utf8_lossy(value).into_owned());
            }
        }
    }
    let [common_name, organisation] = found;
    common_name
        .or(organisation)
        .unwrap_or_else(|| "(no name)".to_owned())
}

/// Reads `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn date(kind: u8, text: &[u8]) -> Option<OffsetDateTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let pair = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let month = Month::try_from(pair(0)?).ok()?;
    let date = Date::from_calendar_date(year, month, pair(2)?).ok()?;
    let time = Time::from_hms(pair(4)?, pair(6)?, pair(8)?).ok()?;
    Some(date.with_time(time).assume_utc())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(name: (DnType, &str), year: i32) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(name.0, name.1);
        params.not_after = date_time_ymd(year, 2, 3);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_expiry_are_read() {
        for (name, year) in [
            ((DnType::CommonName, "api.example"), 2031),
            // Generalized time.
            ((DnType::OrganizationName, "Ünternehmen"), 2051),
        ] {
            let text = name.1;
            let found = Certificate::read(&certificate(name, year)).unwrap();
            assert_eq!((&*found.subject, &*found.issuer), (text, text));
            assert_eq!(
                found.not_after.to_string(),
                format!("{year}-02-03 0:00:00.0 +00:00:00")
            );
        }
    }

    #[test]
    fn a_cut_certificate_is_none_and_never_a_panic() {
        let whole = certificate((DnType::CommonName, "api.example"), 2031);
        for length in 0..whole.len() {
            assert_eq!(Certificate::read(&whole[..length]), None, "{length}");
        }
    }
}
