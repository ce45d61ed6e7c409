//! One token: read strictly, then verified against its issuer.
//!
//! The order is the point. [`Unverified::read`] takes it apart without believing anything,
//! [`Unverified::signed_by`] proves the signature, and only [`Signed::accept`] looks at what the claims grant.

use super::caller::{Caller, Digest};
use super::config::{Algorithm, Issuer};
use super::json;
use super::jwks::Key;
use crate::rejection::TokenFault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The last second of the year 9999: no honest token lives longer, and sums with it cannot overflow.
const LAST_DATE: f64 = 253_402_300_799.0;

/// A well-formed token of which nothing is proven.
pub(super) struct Unverified<'t> {
    /// The bytes that the signature is over.
    message: &'t str,
    signature: &'t str,
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Map<String, Value>,
}

impl<'t> Unverified<'t> {
    /// Takes the token apart (RFC 7515, section 5.2; RFC 7519, section 7.2).
    pub(super) fn read(token: &'t [u8]) -> Result<Self, TokenFault> {
        let token = str::from_utf8(token).map_err(|_| TokenFault::Malformed)?;
        let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        // Five parts are an encrypted token. The decoder refuses padding, other alphabets, trailing bits
        // and also a further dot.
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed);
        decode(signature)?;
        let header = json::object(&decode(header)?).ok_or(TokenFault::Malformed)?;
        let claims = json::object(&decode(claims)?).ok_or(TokenFault::Malformed)?;
        kind(&header)?;
        let algorithm = match header.get("alg") {
            Some(Value::String(name)) => name.parse().map_err(|_| TokenFault::Algorithm)?,
            _ => return Err(TokenFault::Malformed),
        };
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(TokenFault::Malformed),
        };
        Ok(Self { message, signature, algorithm, kid, claims })
    }

    /// Who the token says issued it. To find the issuer by, not to believe.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// A claim, to tell what it says.
    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// The header's `alg`, of the closed list but not yet known to be the issuer's.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The header's `kid`.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The claims, if `key` signed them.
    pub(super) fn signed_by(self, key: &Key) -> Result<Signed, TokenFault> {
        if !key.verifies(self.message.as_bytes(), self.signature, self.algorithm) {
            return Err(TokenFault::Signature);
        }
        Ok(Signed { claims: self.claims })
    }
}

/// The claims of a token whose signature is good.
pub(super) struct Signed {
    claims: Map<String, Value>,
}

impl Signed {
    /// Claims that nobody signed, to fuzz what comes after.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn unproven(claims: Map<String, Value>) -> Self {
        Self { claims }
    }

    /// The caller, if the claims are of `issuer`, an access token's, meant for us, and of this time.
    pub(super) fn accept(
        self,
        issuer: &Issuer,
        name: &Arc<str>,
        now: SystemTime,
        digest: Digest,
    ) -> Result<Caller, TokenFault> {
        let claims = self.claims;
        if claims.get("iss").and_then(Value::as_str) != Some(issuer.url.as_str()) {
            return Err(TokenFault::Issuer);
        }
        // Keycloak's ID, refresh, offline and logout tokens say so here. `cnf` (RFC 7800) binds the token to a
        // key that the bearer must prove to have, which is not checked here.
        if claims.get("typ").is_some_and(|kind| kind != "Bearer") || claims.contains_key("cnf") {
            return Err(TokenFault::Kind);
        }
        if claims.get("sub").is_some_and(|subject| !subject.is_string()) {
            return Err(TokenFault::Claims);
        }
        audience(&claims, issuer)?;
        let expires = lifetime(&claims, issuer.skew, now)?;
        if !issuer.is_satisfied_by(&claims) {
            return Err(TokenFault::Claims);
        }
        Ok(Caller::verified(Arc::clone(name), claims, expires, issuer.skew, digest))
    }
}

/// Whether the header is that of a plain signed access token.
fn kind(header: &Map<String, Value>) -> Result<(), TokenFault> {
    // `crit` lists what must be understood (RFC 7515, section 4.1.11); nothing is, so not even `b64`, which
    // changes what is signed (RFC 7797). `cty` tells of a token nested in this one (RFC 7519, section 5.2).
    if ["crit", "b64", "cty"].iter().any(|name| header.contains_key(*name)) {
        return Err(TokenFault::Kind);
    }
    match header.get("typ") {
        None => Ok(()),
        Some(Value::String(kind)) if is_access_token(kind) => Ok(()),
        Some(_) => Err(TokenFault::Kind),
    }
}

/// `JWT` (RFC 7519, section 5.1) or `at+jwt` (RFC 9068, section 2.1); a media type, so in any case, and
/// `application/` may be left out (RFC 7515, section 4.1.9).
fn is_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

/// Whether the token is meant for us, or for a client whose tokens are taken.
fn audience(claims: &Map<String, Value>, issuer: &Issuer) -> Result<(), TokenFault> {
    let wanted = |audience: &Value| issuer.audiences.iter().any(|ours| audience == ours.as_str());
    let meant = match claims.get("aud") {
        None => false,
        Some(audience @ Value::String(_)) => wanted(audience),
        Some(Value::Array(audiences)) if audiences.iter().all(Value::is_string) => {
            audiences.iter().any(wanted)
        }
        Some(_) => return Err(TokenFault::Claims),
    };
    let listed = match claims.get("azp") {
        None => false,
        Some(Value::String(party)) => issuer.authorized_parties.contains(party),
        Some(_) => return Err(TokenFault::Claims),
    };
    if meant || listed {
        return Ok(());
    }
    let (found, party) = (claims.get("aud").map(Value::to_string), claims.get("azp").map(Value::to_string));
    let expected = issuer.audiences.join(", ");
    let (found, party) = (found.as_deref().unwrap_or("none"), party.as_deref().unwrap_or("none"));
    tracing::info!(issuer = %issuer.url, expected, found, azp = party, "token audience not accepted");
    Err(TokenFault::Audience)
}

/// When the token expires, if it is valid at `now` (RFC 7519, sections 4.1.4 to 4.1.6).
fn lifetime(claims: &Map<String, Value>, skew: Duration, now: SystemTime) -> Result<SystemTime, TokenFault> {
    let date = |name: &str| claims.get(name).map(date).transpose();
    // A token that never expires could never be taken back.
    let expires = date("exp")?.ok_or(TokenFault::Expired)?;
    if expires.checked_add(skew).is_none_or(|end| now >= end) {
        return Err(TokenFault::Expired);
    }
    let latest = now.checked_add(skew).ok_or(TokenFault::NotYetValid)?;
    for start in [date("nbf")?, date("iat")?].into_iter().flatten() {
        if start > latest {
            return Err(TokenFault::NotYetValid);
        }
    }
    Ok(expires)
}

/// A NumericDate: seconds since 1970, perhaps with a fraction (RFC 7519, section 2). Before 1970 is 1970.
fn date(value: &Value) -> Result<SystemTime, TokenFault> {
    let seconds = value.as_f64().filter(|seconds| *seconds <= LAST_DATE).ok_or(TokenFault::Claims)?;
    let since = Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| TokenFault::Claims)?;
    SystemTime::UNIX_EPOCH.checked_add(since).ok_or(TokenFault::Claims)
}
