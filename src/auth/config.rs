//! The settings of one token issuer, and what makes them acceptable.

use crate::policy::Condition;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The skew taken when the configuration names none.
pub const DEFAULT_SKEW: Duration = Duration::from_secs(30);

/// The largest skew that can be configured: a token lives at most this much longer than its issuer said.
pub const MAX_SKEW: Duration = Duration::from_secs(120);

/// The signature algorithms used when the configuration names none: what Keycloak signs with by default.
pub const DEFAULT_ALGORITHMS: &[Algorithm] = &[Algorithm::Rs256];

/// A token issuer that is trusted, and how far.
///
/// Plain data, filled by the configuration file. [`Issuer::check`] says whether it can be used;
/// `Verifier::new` calls it too, so that nothing unchecked is ever trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What the `iss` claim must be, byte for byte; with [`KeySource::Discovery`] also the URL below which
    /// the discovery document lies.
    pub url: String,
    /// Where the keys come from.
    pub keys: KeySource,
    /// The file of the authorities that are trusted when keys are fetched over HTTPS, PEM, and no others; `None`:
    /// the platform's. Read again at every fetch.
    pub ca: Option<PathBuf>,
    /// The header that its tokens come in, and no other.
    pub header: TokenHeader,
    /// A token is taken if one of these is in its `aud` claim.
    pub audiences: Vec<String>,
    /// A token is also taken if its `azp` claim is one of these. Empty: `azp` does not count.
    pub authorized_parties: Vec<String>,
    /// Claims that a token must have with exactly these values.
    pub required_claims: BTreeMap<String, Value>,
    /// Conditions that must hold of a token's claims.
    pub validation_rules: Vec<Condition>,
    /// The signature algorithms that are taken.
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from ours, at most [`MAX_SKEW`].
    pub skew: Duration,
    /// Whether keys may be fetched over plain HTTP from a host that is not loopback.
    pub insecure_http: bool,
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The `jwks_uri` of `/.well-known/openid-configuration` below the issuer's URL (OpenID Connect
    /// Discovery 1.0, section 4).
    Discovery,
    /// As [`KeySource::Discovery`], with the document at this URL: the issuer has another name than the one under
    /// which it is reached from here. What the document says its issuer is must be the issuer's URL all the same.
    DiscoveryUrl(String),
    /// This URL of a JWK Set (RFC 7517, section 5).
    JwksUrl(String),
    /// This file, a JWK Set. Read again at every refresh.
    JwksFile(PathBuf),
}

/// The header in which an issuer's tokens come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenHeader {
    /// `Authorization: Bearer TOKEN` (RFC 6750, section 2.1).
    #[default]
    Authorization,
    /// `X-Grafana-Id: TOKEN`: who is signed in to Grafana, signed by Grafana itself
    /// (`pkg/services/pluginsintegration/clientmiddleware/forward_id_middleware.go`).
    GrafanaId,
}

impl TokenHeader {
    /// The header's name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::GrafanaId => "x-grafana-id",
        }
    }
}

impl FromStr for TokenHeader {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = [Self::Authorization, Self::GrafanaId];
        let found = known.into_iter().find(|header| name.eq_ignore_ascii_case(header.name()));
        found.ok_or_else(|| format!("`{name}` is no header of tokens, use `authorization` or `x-grafana-id`"))
    }
}

/// A signature algorithm (RFC 7518, section 3.1; RFC 8037). The list is closed and has public-key
/// algorithms only: with a symmetric one whoever can verify can also sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519 (RFC 8037, section 3.1).
    EdDsa,
}

/// Why an issuer's settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerFault {
    /// An algorithm that is not in the closed list.
    #[error("algorithm `{0}` is not known, use one of RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA")]
    UnknownAlgorithm(String),
    /// A symmetric algorithm.
    #[error("algorithm `{0}` is symmetric or unsigned and never accepted")]
    UnsafeAlgorithm(String),
    /// No algorithm at all.
    #[error("an issuer needs at least one algorithm")]
    NoAlgorithm,
    /// An empty issuer name.
    #[error("an issuer needs a url")]
    NoUrl,
    /// Neither an audience nor an authorized party, so every token of the issuer would be taken.
    #[error("an issuer needs at least one audience or authorized party")]
    NoAudience,
    /// An empty audience or authorized party.
    #[error("an audience or authorized party must not be empty")]
    EmptyAudience,
    /// The skew is over [`MAX_SKEW`].
    #[error("skew over the limit of 120s")]
    Skew,
    /// Not an absolute URL that keys can be fetched from.
    #[error("`{0}` is not an absolute http or https URL without user, query and fragment")]
    Url(String),
    /// Plain HTTP to a host that is not loopback.
    #[error("`{0}` is plain http to a host that is not loopback, use https or set insecure_http")]
    PlainHttp(String),
}

impl Algorithm {
    /// The name in a token's header (RFC 7518).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl FromStr for Algorithm {
    type Err = IssuerFault;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "RS256" => Ok(Self::Rs256),
            "RS384" => Ok(Self::Rs384),
            "RS512" => Ok(Self::Rs512),
            "PS256" => Ok(Self::Ps256),
            "PS384" => Ok(Self::Ps384),
            "PS512" => Ok(Self::Ps512),
            "ES256" => Ok(Self::Es256),
            "ES384" => Ok(Self::Es384),
            "EdDSA" => Ok(Self::EdDsa),
            "HS256" | "HS384" | "HS512" | "none" => Err(IssuerFault::UnsafeAlgorithm(name.to_owned())),
            _ => Err(IssuerFault::UnknownAlgorithm(name.to_owned())),
        }
    }
}

impl Issuer {
    /// Whether these settings can be used.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with them.
    pub fn check(&self) -> Result<(), IssuerFault> {
        if self.url.is_empty() {
            return Err(IssuerFault::NoUrl);
        }
        if self.algorithms.is_empty() {
            return Err(IssuerFault::NoAlgorithm);
        }
        if self.audiences.is_empty() && self.authorized_parties.is_empty() {
            return Err(IssuerFault::NoAudience);
        }
        if self.audiences.iter().chain(&self.authorized_parties).any(String::is_empty) {
            return Err(IssuerFault::EmptyAudience);
        }
        if self.skew > MAX_SKEW {
            return Err(IssuerFault::Skew);
        }
        match &self.keys {
            // The issuer identifier has neither query nor fragment (OpenID Connect Discovery 1.0, section 2).
            KeySource::Discovery if self.url.contains('?') => Err(IssuerFault::Url(self.url.clone())),
            KeySource::Discovery => self.fetchable(&self.url).map(drop),
            KeySource::DiscoveryUrl(url) | KeySource::JwksUrl(url) => self.fetchable(url).map(drop),
            KeySource::JwksFile(_) => Ok(()),
        }
    }

    /// Whether both get the same keys from the same place. A file is not such a place: what it holds now is what counts.
    pub(in crate::auth) fn has_keys_of(&self, other: &Self) -> bool {
        self.url == other.url
            && self.keys == other.keys
            && self.ca == other.ca
            && self.algorithms == other.algorithms
            && !matches!(self.keys, KeySource::JwksFile(_))
    }

    /// Whether the claims are what this issuer's tokens must say.
    pub(in crate::auth) fn is_satisfied_by(&self, claims: &Map<String, Value>) -> bool {
        self.required_claims.iter().all(|(name, value)| claims.get(name) == Some(value))
            && self.validation_rules.iter().all(|rule| rule.holds(claims))
    }

    /// The URL, if keys may be fetched from there under this issuer's transport rules.
    pub(in crate::auth) fn fetchable(&self, url: &str) -> Result<http::Uri, IssuerFault> {
        let bad = || IssuerFault::Url(url.to_owned());
        // `http::Uri` drops a fragment in silence.
        if url.contains('#') {
            return Err(bad());
        }
        let uri: http::Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(bad());
        }
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if self.insecure_http || is_loopback(authority.host()) => Ok(uri),
            Some("http") => Err(IssuerFault::PlainHttp(url.to_owned())),
            _ => Err(bad()),
        }
    }
}

/// Whether a URL's host can only be this machine: the name `localhost` (RFC 6761, section 6.3) or a
/// loopback address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> Issuer {
        Issuer {
            url: "https://sso.example.org/realms/acme".to_owned(),
            keys: KeySource::Discovery,
            ca: None,
            audiences: vec!["palisade".to_owned()],
            header: TokenHeader::default(),
            authorized_parties: Vec::new(),
            required_claims: BTreeMap::new(),
            validation_rules: Vec::new(),
            algorithms: DEFAULT_ALGORITHMS.to_vec(),
            skew: DEFAULT_SKEW,
            insecure_http: false,
        }
    }

    #[test]
    fn the_usual_settings_are_fine() {
        assert_eq!(issuer().check(), Ok(()));
    }

    #[test]
    fn atk_30_an_issuer_without_audience_is_refused() {
        let open = Issuer { audiences: Vec::new(), ..issuer() };
        assert_eq!(open.check(), Err(IssuerFault::NoAudience));
        let by_party = Issuer { authorized_parties: vec!["grafana".to_owned()], ..open };
        assert_eq!(by_party.check(), Ok(()));
        let empty = Issuer { audiences: vec![String::new()], ..issuer() };
        assert_eq!(empty.check(), Err(IssuerFault::EmptyAudience));
    }

    #[test]
    fn atk_30_an_issuer_without_algorithm_is_refused() {
        assert_eq!(Issuer { algorithms: Vec::new(), ..issuer() }.check(), Err(IssuerFault::NoAlgorithm));
    }

    #[test]
    fn atk_3b_symmetric_and_unsigned_algorithms_cannot_be_configured() {
        for name in ["HS256", "HS384", "HS512", "none"] {
            assert_eq!(name.parse::<Algorithm>(), Err(IssuerFault::UnsafeAlgorithm(name.to_owned())));
        }
        for name in ["rs256", "ES512", "ES256K", "RSA-OAEP", "None", ""] {
            assert_eq!(name.parse::<Algorithm>(), Err(IssuerFault::UnknownAlgorithm(name.to_owned())));
        }
    }

    #[test]
    fn every_algorithm_is_found_by_its_name() {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        for algorithm in [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, EdDsa] {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
    }

    #[test]
    fn skew_ends_at_two_minutes() {
        assert_eq!(Issuer { skew: Duration::from_secs(120), ..issuer() }.check(), Ok(()));
        assert_eq!(Issuer { skew: Duration::from_secs(121), ..issuer() }.check(), Err(IssuerFault::Skew));
    }

    #[test]
    fn plain_http_is_for_loopback_or_by_choice() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:8080"] {
            let url = format!("http://{host}/realms/acme");
            assert_eq!(Issuer { url, ..issuer() }.check(), Ok(()), "{host}");
        }
        for host in ["sso.example.org", "127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "[::2]"]
        {
            let plain = Issuer { url: format!("http://{host}/realms/acme"), ..issuer() };
            assert_eq!(plain.check(), Err(IssuerFault::PlainHttp(plain.url.clone())), "{host}");
            assert_eq!(Issuer { insecure_http: true, ..plain }.check(), Ok(()), "{host}");
        }
    }

    #[test]
    fn only_plain_absolute_urls_are_fetched() {
        for url in [
            "sso.example.org",
            "/realms/acme",
            "ftp://sso.example.org/",
            "file:///keys.json",
            "https://user:pass@sso.example.org/",
            "https://sso.example.org/#x",
            "https://sso.example.org/?x=1",
            "https://",
        ] {
            let bad = Issuer { url: url.to_owned(), ..issuer() };
            assert_eq!(bad.check(), Err(IssuerFault::Url(url.to_owned())), "{url}");
        }
    }

    #[test]
    fn with_given_keys_the_issuer_is_only_a_name() {
        let named = Issuer { url: "kubernetes/serviceaccount".to_owned(), ..issuer() };
        assert!(named.check().is_err());
        let file = Issuer { keys: KeySource::JwksFile("keys.json".into()), ..named };
        assert_eq!(file.check(), Ok(()));
        let url = KeySource::JwksUrl("https://sso.example.org/certs?kind=all".to_owned());
        assert_eq!(Issuer { keys: url, ..file.clone() }.check(), Ok(()));
        let elsewhere = |url: &str| KeySource::DiscoveryUrl(url.to_owned());
        let document = "https://keycloak.internal/realms/acme/.well-known/openid-configuration";
        assert_eq!(Issuer { keys: elsewhere(document), ..file.clone() }.check(), Ok(()));
        let plain = "http://keycloak.internal/realms/acme/.well-known/openid-configuration";
        let fault = Issuer { keys: elsewhere(plain), ..file }.check();
        assert_eq!(fault, Err(IssuerFault::PlainHttp(plain.to_owned())));
    }

    #[test]
    fn keys_are_taken_over_from_the_very_same_place_only() {
        let same = issuer();
        let audiences = vec!["another".to_owned()];
        assert!(same.has_keys_of(&Issuer { audiences, ..issuer() }), "which callers it is for is not where");
        for other in [
            Issuer { url: "https://sso.example.org/realms/other".to_owned(), ..issuer() },
            Issuer { keys: KeySource::DiscoveryUrl(same.url.clone()), ..issuer() },
            Issuer { keys: KeySource::JwksUrl(same.url.clone()), ..issuer() },
            Issuer { ca: Some("ca.pem".into()), ..issuer() },
            Issuer { algorithms: Vec::new(), ..issuer() },
        ] {
            assert!(!same.has_keys_of(&other) && !other.has_keys_of(&same), "{other:?}");
        }
        let file = Issuer { keys: KeySource::JwksFile("jwks.json".into()), ..issuer() };
        assert!(!file.has_keys_of(&file), "a file says now what it holds");
    }

    #[test]
    fn a_header_of_tokens_is_one_of_two() {
        assert_eq!("X-Grafana-Id".parse(), Ok(TokenHeader::GrafanaId));
        assert_eq!("authorization".parse(), Ok(TokenHeader::Authorization));
        for other in ["cookie", "x-id-token", "proxy-authorization", ""] {
            assert!(other.parse::<TokenHeader>().is_err(), "{other}");
        }
    }
}
