//! The salt of a scope: letters and digits in each text that a backend may keep under a hash.
//!
//! Tempo and Loki keep some results under a short hash of the query that has no key of its own. Who knows both texts can
//! make one that has the hash of another's. A salt in each text, different for each scope, takes that away: who knows
//! his own cannot tell another's.

use super::ScopeMatcher;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;

/// The secret that salts are made of. Replicas that share one make the same salts, so that they share what a backend
/// keeps.
#[derive(Clone, PartialEq, Eq)]
pub struct SaltKey(Arc<[u8]>);

/// Shows nothing of the secret.
impl fmt::Debug for SaltKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltKey")
    }
}

impl SaltKey {
    /// Least length of a secret, in bytes: that of SHA-256, below which RFC 2104, section 3, discourages keys.
    pub const MIN_BYTES: usize = 32;

    /// The key of this secret; `None` if it is shorter than [`Self::MIN_BYTES`].
    pub fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= Self::MIN_BYTES).then(|| Self(secret.into()))
    }

    /// The salt of a scope: HMAC-SHA-256 (RFC 2104) over its labels and values, each with its length before it.
    /// Everything, which has none, has a salt as well.
    pub(super) fn salt(&self, scope: &[ScopeMatcher]) -> Option<Salt> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        let mut add = |text: &str| {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        };
        for matcher in scope {
            add(&matcher.label);
            add(&matcher.values.len().to_string());
            matcher.values.iter().for_each(|value| add(value.as_str()));
        }
        let digest = mac.finalize().into_bytes();
        let letters = digest.iter().take(Salt::BYTES).filter_map(|byte| ALPHABET.get(usize::from(byte & 31)));
        Some(Salt(letters.map(|letter| char::from(*letter)).collect()))
    }
}

/// As RFC 4648 has it for base 32, in lower case: five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The salt of one scope: lower case letters and digits, 80 bits that only its key tells.
///
/// Callers of that scope may learn it, since a backend's errors can quote queries: it helps only against others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt(String);

impl Salt {
    /// Its length, in bytes.
    pub const BYTES: usize = 16;

    /// The salt as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Scope, ScopeMatchers, ScopeValue, Values};
    use super::*;

    fn matchers(dimensions: &[(&str, &[&str])]) -> ScopeMatchers {
        let values = |texts: &[&str]| {
            Values::new(texts.iter().map(|text| ScopeValue::parse(text).unwrap()).collect()).unwrap()
        };
        let said = dimensions.iter().map(|(name, texts)| ((*name).to_owned(), values(texts))).collect();
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let label = |dimension: &str| names.iter().find(|name| **name == dimension).copied();
        Scope::new(said).map_or_else(
            || Scope::unrestricted().in_labels(|_| None).unwrap(),
            |scope| scope.in_labels(label).unwrap(),
        )
    }

    fn key(byte: u8) -> SaltKey {
        SaltKey::new(&[byte; SaltKey::MIN_BYTES]).unwrap()
    }

    #[test]
    fn atk_61_each_scope_has_a_salt_of_its_own() {
        let scopes: [&[(&str, &[&str])]; 8] = [
            &[],
            &[("tenant", &["a"])],
            &[("tenant", &["b"])],
            &[("tenant", &["a", "b"])],
            &[("tenant", &["ab"])],
            &[("region", &["a"])],
            &[("region", &["a"]), ("tenant", &["b"])],
            &[("region", &["b"]), ("tenant", &["a"])],
        ];
        let mut salts: Vec<String> = Vec::new();
        for scope in scopes {
            let salt = |byte: u8| matchers(scope).salted(Some(key(byte))).salt().unwrap();
            assert_eq!(salt(1), salt(1), "the same key makes the same salt");
            for salt in [salt(1), salt(2)] {
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
                assert!(salt.as_str().len() == Salt::BYTES && salt.as_str().bytes().all(plain));
                salts.push(salt.as_str().to_owned());
            }
            assert_eq!(matchers(scope).salt(), None, "without a key there is none");
        }
        let made = salts.len();
        salts.sort();
        salts.dedup();
        assert_eq!(salts.len(), made);
    }

    #[test]
    fn a_secret_has_32_bytes_and_not_one_less() {
        assert!(SaltKey::new(&[7; 32]).is_some());
        assert!(SaltKey::new(&[7; 31]).is_none());
    }

    #[test]
    fn nothing_of_the_secret_is_in_debug_output() {
        assert_eq!(format!("{:?}", key(65)), "SaltKey");
    }
}
