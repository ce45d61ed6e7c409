//! An issuer that answers as Keycloak does: discovery, keys, and a token endpoint with the password grant.
//!
//! Shapes and error texts are those of Keycloak 26 (`TokenEndpoint.java`, `ResourceOwnerPasswordCredentialsGrantType.java`,
//! `ValidateUsername.java`, `ValidatePassword.java` of its `services` module).

use super::http::{Reply, Request, Service};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The realm.
pub const REALM: &str = "bookstore-platform";
/// The client that may use the password grant.
pub const CLIENT: &str = "storefront";
/// A client that only logs in through a browser: it is refused the password grant.
const BROWSER_CLIENT: &str = "grafana";
/// What tokens are for.
pub const AUDIENCE: &str = "palisade";
/// How long a token lives, in seconds: Keycloak's default.
const LIFE: u64 = 300;

/// Who can log in. The passwords are documented and worth nothing outside the demo.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// The user name.
    pub name: &'static str,
    /// The password.
    pub password: &'static str,
    /// The `tenant` claim.
    pub tenant: &'static str,
}

/// A reader of `acme-books`.
pub const ALICE: User = User { name: "alice", password: "alice-reads-acme", tenant: "acme-books" };
/// A reader of `globex-lit`.
pub const BOB: User = User { name: "bob", password: "bob-reads-globex", tenant: "globex-lit" };

/// The issuer, with the key that it made when it started.
pub struct Issuer {
    url: String,
    key: KeyPair,
    kid: String,
    jwk: Value,
}

/// Why an issuer cannot start.
#[derive(Debug, thiserror::Error)]
#[error("the issuer's key cannot be made")]
pub struct KeyError;

impl Issuer {
    /// An issuer whose realm is at `origin` (scheme, host and port), with a new 2,048-bit RSA key.
    ///
    /// # Errors
    /// [`KeyError`] if the system gives no key.
    pub fn new(origin: &str) -> Result<Self, KeyError> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError)?;
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyError)?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki.as_ref());
        let kid = URL_SAFE_NO_PAD.encode(digest.as_ref());
        // RFC 8017 A.1.1: RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }.
        let (modulus, exponent) = der_integers(key.public_key().as_ref()).ok_or(KeyError)?;
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        let jwk = json!({"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": e});
        Ok(Self { url: format!("{origin}/realms/{REALM}"), key, kid, jwk })
    }

    /// The issuer's identifier: the realm's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A token for `user`, alive for five minutes.
    ///
    /// # Errors
    /// [`KeyError`] if it cannot be signed.
    pub fn token(&self, user: &User, scope: &str) -> Result<String, KeyError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let claims = json!({
            "exp": now + LIFE, "iat": now, "jti": random_id()?, "iss": self.url, "aud": [AUDIENCE],
            "sub": format!("demo-{}", user.name), "typ": "Bearer", "azp": CLIENT, "scope": scope,
            "preferred_username": user.name, "tenant": user.tenant,
        });
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.kid});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
            .map_err(|_| KeyError)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// OpenID Connect Discovery 1.0 §3, with the endpoints that exist here.
    fn discovery(&self) -> Value {
        let under = |path: &str| format!("{}/protocol/openid-connect/{path}", self.url);
        json!({
            "issuer": self.url,
            "token_endpoint": under("token"),
            "jwks_uri": under("certs"),
            "grant_types_supported": ["password"],
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    /// The token endpoint (RFC 6749 §4.3, §5).
    fn grant(&self, request: &Request) -> Reply {
        if request.method != "POST" {
            return error(405, "invalid_request", "Method not allowed");
        }
        match request.first("grant_type") {
            Some("password") => {}
            None => return error(400, "invalid_request", "Missing form parameter: grant_type"),
            Some(_) => return error(400, "unsupported_grant_type", "Unsupported grant_type"),
        }
        match request.first("client_id") {
            Some(CLIENT) => {}
            Some(BROWSER_CLIENT) => {
                return error(400, "unauthorized_client", "Client not allowed for direct access grants");
            }
            _ => return error(401, "invalid_client", "Invalid client or Invalid client credentials"),
        }
        let Some(name) = request.first("username") else {
            return error(401, "invalid_request", "Missing parameter: username");
        };
        let known = [ALICE, BOB].into_iter().find(|u| u.name == name);
        let Some(user) = known.filter(|u| request.first("password") == Some(u.password)) else {
            return error(401, "invalid_grant", "Invalid user credentials");
        };
        // Keycloak grants the client's default scopes whatever is asked; `openid` would add an ID token,
        // which this issuer does not make.
        let scope = "email profile";
        match self.token(&user, scope) {
            // Without refresh tokens, a setting of the client, Keycloak says 0 and gives none.
            Ok(token) => Reply::json(
                200,
                &json!({
                    "access_token": token, "expires_in": LIFE, "refresh_expires_in": 0,
                    "token_type": "Bearer", "not-before-policy": 0, "scope": scope,
                }),
            ),
            Err(KeyError) => error(500, "server_error", "the token could not be signed"),
        }
    }
}

impl Service for Issuer {
    fn answer(&self, request: &Request) -> Reply {
        let realm = format!("/realms/{REALM}");
        let Some(path) = request.path.strip_prefix(&realm) else {
            return Reply::json(404, &json!({"error": "Realm does not exist"}));
        };
        match path {
            "/.well-known/openid-configuration" => Reply::json(200, &self.discovery()),
            "/protocol/openid-connect/certs" => Reply::json(200, &json!({"keys": [self.jwk]})),
            "/protocol/openid-connect/token" => self.grant(request),
            _ => Reply::json(404, &json!({"error": "HTTP 404 Not Found"})),
        }
    }
}

/// RFC 6749 §5.2.
fn error(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, &json!({"error": error, "error_description": description}))
}

/// 128 random bits.
fn random_id() -> Result<String, KeyError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The two unsigned integers of a DER sequence, without their leading zero.
fn der_integers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, rest) = der_value(der, 0x30)?;
    let (modulus, after) = der_value(sequence, 0x02)?;
    let (exponent, end) = der_value(after, 0x02)?;
    let unsigned = |bytes| <[u8]>::strip_prefix(bytes, &[0]).unwrap_or(bytes);
    (rest.is_empty() && end.is_empty()).then(|| (unsigned(modulus), unsigned(exponent)))
}

/// The value of a DER element of type `tag`, and what follows it (X.690 §8.1: lengths of up to two bytes
/// are enough for keys).
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, value) = match der {
        [t, 0x82, high, low, value @ ..] if *t == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), value)
        }
        [t, 0x81, length, value @ ..] if *t == tag => (usize::from(*length), value),
        [t, length @ 0..=0x7f, value @ ..] if *t == tag => (usize::from(*length), value),
        _ => return None,
    };
    value.split_at_checked(length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn ask(issuer: &Issuer, method: &str, pairs: &[(&str, &str)]) -> (u16, Value) {
        let reply = issuer.answer(&Request {
            method: method.into(),
            path: "/realms/bookstore-platform/protocol/openid-connect/token".into(),
            pairs: pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
            accept: String::new(),
            body: Vec::new(),
        });
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    #[test]
    fn the_token_of_a_password_grant_is_signed_with_the_published_key() {
        let issuer = Issuer::new("http://127.0.0.1:1").unwrap();
        let right = [
            ("grant_type", "password"),
            ("client_id", "storefront"),
            ("username", "alice"),
            ("password", ALICE.password),
        ];
        let (status, body) = ask(&issuer, "POST", &right);
        assert_eq!((status, &body["token_type"], &body["expires_in"]), (200, &json!("Bearer"), &json!(300)));
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(issuer.jwk.clone()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        rules.set_audience(&["palisade"]);
        rules.set_issuer(&["http://127.0.0.1:1/realms/bookstore-platform"]);
        let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        let token = body["access_token"].as_str().unwrap();
        let claims = jsonwebtoken::decode::<Value>(token, &key, &rules).unwrap().claims;
        assert_eq!(
            (&claims["tenant"], &claims["typ"], &claims["azp"]),
            (&json!("acme-books"), &json!("Bearer"), &json!("storefront"))
        );
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
        // Another issuer's key does not verify it.
        let other = Issuer::new("http://127.0.0.1:1").unwrap();
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(other.jwk).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        assert!(jsonwebtoken::decode::<Value>(token, &key, &rules).is_err());
    }

    #[test]
    fn refusals_are_keycloaks() {
        let issuer = Issuer::new("http://127.0.0.1:1").unwrap();
        let grant = |pairs: &[(&str, &str)]| {
            let (status, body) = ask(&issuer, "POST", pairs);
            (status, body["error"].as_str().unwrap().to_owned())
        };
        let user = [("username", "alice"), ("password", "wrong")];
        let of = |client, grant_type| {
            let mut pairs = vec![("grant_type", grant_type), ("client_id", client)];
            pairs.extend(user);
            pairs
        };
        assert_eq!(grant(&of("storefront", "password")), (401, "invalid_grant".into()));
        assert_eq!(grant(&of("grafana", "password")), (400, "unauthorized_client".into()));
        assert_eq!(grant(&of("nobody", "password")), (401, "invalid_client".into()));
        assert_eq!(grant(&of("storefront", "client_credentials")), (400, "unsupported_grant_type".into()));
        assert_eq!(grant(&user), (400, "invalid_request".into()));
        assert_eq!(ask(&issuer, "GET", &[]).0, 405);
    }
}
