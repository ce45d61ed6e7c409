//! The public keys of one issuer, read from a JWK Set (RFC 7517).

use super::config::Algorithm;
use super::json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, crypto};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// The most keys of a set that are looked at; issuers publish a handful.
const MAX_KEYS: usize = 64;

/// The shortest and longest RSA modulus, in bits (RFC 7518, section 3.3 asks for at least 2048; over 8192 one
/// verification takes too long).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The usable keys of one issuer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
}

impl KeySet {
    /// The keys of a JWK Set that can verify a signature by one of `algorithms`. What does not fit is left
    /// out, as RFC 7517, section 5 asks: symmetric keys, encryption keys, unknown types, short keys. `None` if the
    /// text is no JWK Set, or a set of more than 64 keys.
    pub(super) fn read(text: &[u8], algorithms: &[Algorithm]) -> Option<Self> {
        let set = json::object(text)?;
        let jwks = set.get("keys")?.as_array().filter(|jwks| jwks.len() <= MAX_KEYS)?;
        let keys =
            jwks.iter().filter_map(|jwk| Key::read(jwk.as_object()?, algorithms)).map(Arc::new).collect();
        Some(Self { keys })
    }

    /// The one key that `kid` and `algorithm` name. Without a `kid` there must be only one that fits the
    /// algorithm; keys are never tried one after another.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let named = |key: &&Arc<Key>| kid.is_none() || key.kid.as_deref() == kid;
        let mut fitting = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm)).filter(named);
        let key = fitting.next()?;
        fitting.next().is_none().then(|| Arc::clone(key))
    }

    /// How many keys are usable.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

/// One public key and what it may verify.
#[derive(PartialEq, Eq)]
pub(super) struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: Material,
}

/// The parts of a public key, checked for their form.
#[derive(PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The uncompressed point: 4, x, y.
    Ec(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Key {
    /// The key, if it is a public key for signatures by one of `issuers`, the issuer's algorithms.
    fn read(jwk: &Map<String, Value>, issuers: &[Algorithm]) -> Option<Self> {
        // A private key that is published signs for everybody (RFC 7518, sections 6.2.2 and 6.3.2).
        if jwk.contains_key("d") || !is_for_signatures(jwk) {
            return None;
        }
        let (material, mut algorithms) = Material::read(jwk)?;
        algorithms.retain(|algorithm| issuers.contains(algorithm));
        if let Some(bound) = jwk.get("alg") {
            algorithms.retain(|algorithm| bound == algorithm.name());
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        (!algorithms.is_empty()).then_some(Self { kid, algorithms, material })
    }

    /// Whether `signature`, in base64url, is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &str, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
            && crypto::verify(signature, message, &self.material.decoding(), algorithm.into())
                .unwrap_or(false)
    }
}

impl Material {
    /// The key's parts and every algorithm that its type can do (RFC 7518, section 6; RFC 8037, section 2).
    fn read(jwk: &Map<String, Value>) -> Option<(Self, Vec<Algorithm>)> {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        match (text("kty")?, text("crv")) {
            ("RSA", None) => {
                let (modulus, exponent) = (bytes(text("n")?)?, bytes(text("e")?)?);
                RSA_BITS.contains(&bits(&modulus)).then_some((
                    Self::Rsa { modulus, exponent },
                    vec![Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
                ))
            }
            ("EC", Some("P-256")) => Some((Self::Ec(point(text("x")?, text("y")?, 32)?), vec![Es256])),
            ("EC", Some("P-384")) => Some((Self::Ec(point(text("x")?, text("y")?, 48)?), vec![Es384])),
            ("OKP", Some("Ed25519")) => {
                let public = bytes(text("x")?).filter(|public| public.len() == 32)?;
                Some((Self::Ed25519(public), vec![EdDsa]))
            }
            _ => None,
        }
    }

    fn decoding(&self) -> DecodingKey {
        match self {
            Self::Rsa { modulus, exponent } => DecodingKey::from_rsa_raw_components(modulus, exponent),
            Self::Ec(point) => DecodingKey::from_ec_der(point),
            Self::Ed25519(public) => DecodingKey::from_ed_der(public),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Key").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// `use` is absent or `sig`, and `key_ops` is absent or has `verify` (RFC 7517, sections 4.2 and 4.3).
fn is_for_signatures(jwk: &Map<String, Value>) -> bool {
    let purpose = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    };
    purpose && operations
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The uncompressed point of two coordinates of `size` bytes each (RFC 7518, section 6.2.1.2).
fn point(x: &str, y: &str, size: usize) -> Option<Vec<u8>> {
    let (x, y) = (bytes(x)?, bytes(y)?);
    (x.len() == size && y.len() == size).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
}

/// The bits of an unsigned big-endian number.
fn bits(number: &[u8]) -> usize {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let significant = number.get(start..).unwrap_or_default();
    let zeros = significant.first().map_or(0, |first| first.leading_zeros() as usize);
    significant.len().saturating_mul(8).saturating_sub(zeros)
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Rs384 => Self::RS384,
            Algorithm::Rs512 => Self::RS512,
            Algorithm::Ps256 => Self::PS256,
            Algorithm::Ps384 => Self::PS384,
            Algorithm::Ps512 => Self::PS512,
            Algorithm::Es256 => Self::ES256,
            Algorithm::Es384 => Self::ES384,
            Algorithm::EdDsa => Self::EdDSA,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
