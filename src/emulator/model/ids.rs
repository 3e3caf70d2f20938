//! Ids and tokens, from a seed or random.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use uuid::Uuid;

/// The purpose of an id. Every kind has a counter of its own, so that one more
/// token fetch does not change the ids of later users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    User = 1,
    Credential,
    AuthRequest,
    History,
    ValidationToken,
    AccessToken,
    Registration,
    RegistrationToken,
    Signature,
    Challenge,
    QrCode,
    Link,
    Tracking,
    VisualVerify,
    Project,
}

#[derive(Debug)]
pub(crate) struct Ids {
    seed: Option<u64>,
    counters: BTreeMap<Kind, u64>,
}

impl Ids {
    /// Ids from a seed, or random ones.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            seed,
            counters: BTreeMap::new(),
        }
    }

    /// The next 16 bytes of a kind.
    fn bytes(&mut self, kind: Kind) -> [u8; 16] {
        let count = self.counters.entry(kind).or_insert(0);
        *count = count.wrapping_add(1);
        let mut bytes = [0; 16];
        let Some(seed) = self.seed else {
            // It does not fail in practice. Even then, ids have to be unique.
            if SystemRandom::new().fill(&mut bytes).is_ok() {
                return bytes;
            }
            return u128::from(*count).to_le_bytes();
        };
        let start = mix(seed ^ mix((kind as u64) << 56 ^ *count));
        for (half, salt) in bytes.chunks_exact_mut(8).zip([0x5eed_u64, 0xf00d]) {
            half.copy_from_slice(&mix(start ^ salt).to_le_bytes());
        }
        bytes
    }

    pub(crate) fn uuid(&mut self, kind: Kind) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes(kind)).into_uuid()
    }

    /// 32 bytes.
    pub(crate) fn secret_bytes(&mut self, kind: Kind) -> Vec<u8> {
        let mut bytes = self.bytes(kind).to_vec();
        bytes.extend_from_slice(&self.bytes(kind));
        bytes
    }

    /// 32 bytes as unpadded base64url.
    pub(crate) fn token(&mut self, kind: Kind) -> String {
        URL_SAFE_NO_PAD.encode(self.secret_bytes(kind))
    }

    /// A two-digit number for visual verification.
    pub(crate) fn two_digits(&mut self) -> String {
        let byte = self.bytes(Kind::VisualVerify).first().copied().unwrap_or(0);
        format!("{}", 10 + byte % 90)
    }
}

/// The finaliser of `SplitMix64`. Ids have to be unique and repeatable, not
/// secret.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (mut a, mut b, mut c) = (Ids::new(Some(1)), Ids::new(Some(1)), Ids::new(Some(2)));
        for _ in 0..50 {
            let id = a.uuid(Kind::User);
            assert_eq!(id, b.uuid(Kind::User));
            assert_ne!(id, c.uuid(Kind::User));
        }
    }

    #[test]
    fn kinds_are_independent() {
        let (mut a, mut b) = (Ids::new(Some(7)), Ids::new(Some(7)));
        a.token(Kind::AccessToken);
        assert_eq!(a.uuid(Kind::User), b.uuid(Kind::User));
    }

    #[test]
    fn ids_are_unique() {
        for seed in [Some(0), None] {
            let mut ids = Ids::new(seed);
            let all: HashSet<_> = (0..10_000).map(|_| ids.uuid(Kind::AuthRequest)).collect();
            assert_eq!(all.len(), 10_000);
        }
    }

    #[test]
    fn without_a_seed_no_run_is_like_another() {
        let (mut a, mut b) = (Ids::new(None), Ids::new(None));
        assert_ne!(a.token(Kind::Link), b.token(Kind::Link));
    }
}
