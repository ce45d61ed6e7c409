//! What must hold of any bytes that are taken for a token.

use super::config::{DEFAULT_ALGORITHMS, DEFAULT_SKEW, Issuer, KeySource, TokenHeader};
use super::credential::{Credential, Taken};
use super::json;
use super::token::{Signed, Unverified};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Reads `bytes` as a token, as the claims of one, and as an `Authorization` header.
pub fn check(bytes: &[u8]) {
    well_formed(bytes);
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    well_formed(format!("{header}.{}.AAAA", URL_SAFE_NO_PAD.encode(bytes)).as_bytes());
    well_formed(format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(bytes)).as_bytes());
    accepted(bytes);
    if let Ok(value) = http::HeaderValue::from_bytes(bytes) {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        for basic in [false, true] {
            let taken = Taken { grafana_id: true, basic };
            let Ok(found) = Credential::of(&headers, taken, 64) else { continue };
            let (scheme, found) = match found {
                Credential::Token(_, token) => ("bearer ", token),
                Credential::Basic(pair) => ("basic ", pair),
            };
            assert!((1..=64).contains(&found.len()), "a credential of no or too many bytes");
            assert!(bytes.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme.as_bytes())));
            assert!(basic || scheme == "bearer ");
        }
    }
}

/// A token has one spelling only: three parts, each in canonical base64, two of them JSON objects.
fn well_formed(bytes: &[u8]) {
    let Ok(read) = Unverified::read(bytes) else { return };
    assert!(read.issuer().is_none_or(|issuer| !issuer.is_empty() || bytes.len() > 1));
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'.').collect();
    assert_eq!(parts.len(), 3, "a token has three parts");
    for (index, part) in parts.into_iter().enumerate() {
        let decoded = URL_SAFE_NO_PAD.decode(part).expect("base64");
        assert_eq!(URL_SAFE_NO_PAD.encode(&decoded).as_bytes(), part, "base64 of one spelling");
        assert!(index == 2 || json::object(&decoded).is_some(), "a JSON object");
    }
}

/// Claims that are accepted are the issuer's, for us, and alive.
fn accepted(bytes: &[u8]) {
    let issuer = Issuer {
        url: "i".to_owned(),
        keys: KeySource::Discovery,
        audiences: vec!["a".to_owned()],
        header: TokenHeader::default(),
        authorized_parties: vec!["p".to_owned()],
        required_claims: BTreeMap::new(),
        validation_rules: Vec::new(),
        algorithms: DEFAULT_ALGORITHMS.to_vec(),
        skew: DEFAULT_SKEW,
        insecure_http: false,
        ca: None,
    };
    let Some(claims) = json::object(bytes) else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let Ok(caller) = Signed::unproven(claims.clone()).accept(&issuer, &"i".into(), now, [0; 32]) else {
        return;
    };
    assert_eq!(claims.get("iss").and_then(|iss| iss.as_str()), Some("i"));
    assert!(caller.expires() + DEFAULT_SKEW > now, "an expired token");
    let says = |name: &str, text: &str| claims.get(name).is_some_and(|v| v.to_string().contains(text));
    assert!(says("aud", "\"a\"") || says("azp", "\"p\""), "a token for others");
    assert!(!claims.contains_key("cnf") && claims.get("typ").is_none_or(|typ| typ == "Bearer"));
}
