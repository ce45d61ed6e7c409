//! Keys made at test time, and tokens signed with them: honest, odd, or hostile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A private key with a name.
pub struct SigningKey {
    kid: String,
    kind: Kind,
}

enum Kind {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// An RSA key of 2048 bits.
    pub fn rsa(kid: &str) -> Self {
        Self { kid: kid.to_owned(), kind: Kind::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()) }
    }

    /// A key on P-256.
    pub fn p256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), kind: Kind::P256(pair) }
    }

    /// A key on P-384.
    pub fn p384(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), kind: Kind::P384(pair) }
    }

    /// An Ed25519 key.
    pub fn ed25519(kid: &str) -> Self {
        Self { kid: kid.to_owned(), kind: Kind::Ed25519(Ed25519KeyPair::generate().unwrap()) }
    }

    /// The key's name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as a JWK for signatures.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.kind {
            Kind::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": base64(public.n), "e": base64(public.e)})
            }
            Kind::P256(pair) => point("P-256", pair, 32),
            Kind::P384(pair) => point("P-384", pair, 48),
            Kind::Ed25519(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key())}),
        };
        jwk["kid"] = self.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A header that fits the key: its first algorithm, its name, `JWT`.
    pub fn header(&self) -> Value {
        let alg = match &self.kind {
            Kind::Rsa(_) => "RS256",
            Kind::P256(_) => "ES256",
            Kind::P384(_) => "ES384",
            Kind::Ed25519(_) => "EdDSA",
        };
        json!({"alg": alg, "typ": "JWT", "kid": self.kid})
    }

    /// A token of these claims, with the key's own header.
    pub fn token(&self, claims: &Value) -> String {
        self.mint(&self.header(), claims)
    }

    /// A token of this header and these claims. Where the key cannot do the header's `alg`, it signs with what
    /// it can.
    pub fn mint(&self, header: &Value, claims: &Value) -> String {
        self.mint_text(&header.to_string(), &claims.to_string())
    }

    /// A token of these texts, JSON or not.
    pub fn mint_text(&self, header: &str, claims: &str) -> String {
        let parsed: Value = serde_json::from_str(header).unwrap_or_default();
        let message = format!("{}.{}", base64(header), base64(claims));
        let signature = self.sign(parsed["alg"].as_str().unwrap_or(""), message.as_bytes());
        format!("{message}.{}", base64(signature))
    }

    fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        match &self.kind {
            Kind::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match alg {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Kind::P256(pair) | Kind::P384(pair) => {
                pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
            }
            Kind::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// Unpadded base64url.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key set of these keys.
pub fn jwks<'k>(keys: impl IntoIterator<Item = &'k SigningKey>) -> Value {
    json!({"keys": keys.into_iter().map(SigningKey::jwk).collect::<Vec<_>>()})
}

fn point(curve: &str, pair: &EcdsaKeyPair, size: usize) -> Value {
    let point = pair.public_key().as_ref();
    json!({"kty": "EC", "crv": curve, "x": base64(&point[1..=size]), "y": base64(&point[size + 1..])})
}
