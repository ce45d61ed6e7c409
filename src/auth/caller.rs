//! Who was proven to be asking.

use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The SHA-256 digest of a whole token: its name in caches.
pub type Digest = [u8; 32];

/// The bearer of a verified token.
///
/// The fields are private and the only constructor belongs to `auth`, so whoever holds a `Caller` holds
/// the proof that a configured issuer said so. It shows none of its claims in `Debug`.
pub struct Caller {
    issuer: Arc<str>,
    claims: Map<String, Value>,
    expires: SystemTime,
    skew: Duration,
    digest: Digest,
}

impl Caller {
    /// To be called with the claims of a token that passed every check.
    pub(super) fn verified(
        issuer: Arc<str>,
        claims: Map<String, Value>,
        expires: SystemTime,
        skew: Duration,
        digest: Digest,
    ) -> Self {
        Self { issuer, claims, expires, skew, digest }
    }

    /// The issuer, as configured.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `sub` claim. Keycloak leaves it out where the client has no `basic` scope. Unique per issuer
    /// only.
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }

    /// Every claim of the token.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The `exp` claim. From here on nothing derived from the token may come from a cache.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// When even an open stream of this caller must close: `exp` and the issuer's skew.
    pub fn ends(&self) -> SystemTime {
        // `exp` is bounded and the skew is at most two minutes, so this cannot overflow.
        self.expires.checked_add(self.skew).unwrap_or(self.expires)
    }

    /// The digest of the token, for cache keys.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Caller").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_3j_debug_shows_no_claim() {
        let claims =
            Map::from_iter([("sub".to_owned(), "u-1234".into()), ("tenant".to_owned(), "acme-books".into())]);
        let caller = Caller::verified(
            "https://sso".into(),
            claims,
            SystemTime::UNIX_EPOCH,
            Duration::ZERO,
            [0xab; 32],
        );
        assert_eq!(caller.subject(), Some("u-1234"));
        assert_eq!(format!("{caller:?}"), r#"Caller { issuer: "https://sso", .. }"#);
    }

    #[test]
    fn a_stream_ends_after_the_skew() {
        let second = Duration::from_secs(1);
        let caller =
            Caller::verified("i".into(), Map::new(), SystemTime::UNIX_EPOCH + second, 30 * second, [0; 32]);
        assert_eq!(caller.ends(), SystemTime::UNIX_EPOCH + 31 * second);
    }
}
