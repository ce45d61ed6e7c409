//! Tokens that must be taken and tokens that must not, all through the one door, [`Verifier`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod claims;
mod header;
mod places;
mod transport;
mod trust;

use super::config::{Algorithm, DEFAULT_SKEW, Issuer, KeySource, TokenHeader};
use super::signing::{SigningKey, jwks};
use super::{ServiceAccount, Trusted, Verified, Verifier};
use crate::limits::Limits;
use crate::rejection::TokenFault;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};
use tempfile::NamedTempFile;

/// The issuer of these tests.
pub(super) const ISSUER: &str = "https://sso.example.org/realms/acme";

/// Its key for most tests. RSA keys take long to make, so all tests share it.
pub(super) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa("k1"));

/// When these tests happen, in seconds since 1970.
pub(super) const NOW: i64 = 1_800_000_000;

/// `seconds` after [`NOW`].
pub(super) fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs((NOW + seconds).try_into().unwrap())
}

/// A verifier whose issuers have their keys in files.
pub(super) struct Door {
    pub(super) verifier: Verifier<String>,
    _files: Vec<NamedTempFile>,
}

impl Door {
    /// The issuer with [`KEY`] and all algorithms.
    pub(super) async fn usual() -> Self {
        Self::with(vec![(settings(ISSUER), jwks([&*KEY]))]).await
    }

    /// These issuers with these key sets.
    pub(super) async fn with(issuers: Vec<(Issuer, Value)>) -> Self {
        Self::trusting(issuers, Vec::new()).await
    }

    /// These issuers with these key sets, and these service accounts.
    pub(super) async fn trusting(issuers: Vec<(Issuer, Value)>, accounts: Vec<ServiceAccount>) -> Self {
        let mut files = Vec::new();
        let issuers = issuers.into_iter().map(|(issuer, jwks)| {
            let file = NamedTempFile::new().unwrap();
            std::fs::write(file.path(), jwks.to_string()).unwrap();
            let keys = KeySource::JwksFile(file.path().to_owned());
            files.push(file);
            Issuer { keys, ..issuer }
        });
        let trusted = Trusted { accounts, ..Trusted::issuers(issuers.collect()) };
        let verifier = Verifier::start(trusted, &Limits::default()).unwrap();
        while !verifier.ready() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { verifier, _files: files }
    }

    /// What becomes of the token at `seconds` after [`NOW`].
    pub(super) async fn at(&self, token: &str, seconds: i64) -> Result<Arc<Verified<String>>, TokenFault> {
        self.verifier.verify_at(&bearing(token), at(seconds)).await
    }

    /// What becomes of the token at [`NOW`].
    pub(super) async fn take(&self, token: &str) -> Result<Arc<Verified<String>>, TokenFault> {
        self.at(token, 0).await
    }

    /// Why the token is refused at [`NOW`]; `None` if it is taken.
    pub(super) async fn fault(&self, token: &str) -> Option<TokenFault> {
        self.take(token).await.err()
    }
}

/// Settings with the audience `palisade` and every algorithm. The source of keys is to be set.
pub(super) fn settings(url: &str) -> Issuer {
    use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    Issuer {
        url: url.to_owned(),
        keys: KeySource::Discovery,
        audiences: vec!["palisade".to_owned()],
        header: TokenHeader::default(),
        authorized_parties: Vec::new(),
        required_claims: BTreeMap::new(),
        validation_rules: Vec::new(),
        algorithms: vec![Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, EdDsa],
        skew: DEFAULT_SKEW,
        insecure_http: false,
        ca: None,
    }
}

/// Claims as Keycloak writes them, for five minutes from [`NOW`], with `changes` made: null removes a claim.
pub(super) fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "sub": "u-1", "aud": ["palisade", "account"], "azp": "grafana", "typ": "Bearer",
        "iat": NOW, "exp": NOW + 300, "tenant": "acme-books",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// [`KEY`]'s header with `changes` made: null removes a parameter.
pub(super) fn header(changes: Value) -> Value {
    let mut header = KEY.header();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(header.as_object_mut().unwrap().remove(name)),
            value => header[name] = value.clone(),
        }
    }
    header
}

/// A good token.
pub(super) fn good() -> String {
    KEY.token(&claims(json!({})))
}

/// Headers with this token.
pub(super) fn bearing(token: &str) -> HeaderMap {
    authorization(&[&format!("Bearer {token}")])
}

/// Headers with these `Authorization` values.
pub(super) fn authorization(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
}
