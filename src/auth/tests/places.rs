//! Where a credential may stand: `Authorization: Bearer` alone, unless the configuration opens another place.

use super::*;
use crate::auth::password::PasswordHash;
use http::HeaderName;

const GRAFANA: &str = "https://grafana.example.org/";
/// The hash of `palisade-test-password`, see `password`.
const HASH: &str =
    "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODw$nyZVqCpy3DI3m8YMbjRmzTqkk07dcLzDWZcFBGhcTPs";

/// A realm, and Grafana as an issuer of its own with a key of its own.
async fn beside_grafana(key: &SigningKey) -> Door {
    let grafana = Issuer {
        header: TokenHeader::GrafanaId,
        audiences: vec!["org:2".to_owned()],
        algorithms: vec![Algorithm::Es256],
        ..settings(GRAFANA)
    };
    Door::with(vec![(settings(ISSUER), jwks([&*KEY])), (grafana, jwks([key]))]).await
}

/// A token as Grafana signs it: `SignIdentity` in `pkg/services/auth/idimpl/service.go`, the header's `typ` by
/// `authn.TokenTypeID` of grafana/authlib.
fn grafana_id(key: &SigningKey, changes: Value) -> String {
    let mut claims = json!({
        "iss": GRAFANA, "aud": ["org:2"], "sub": "user:ce1v", "exp": NOW + 600, "iat": NOW,
        "namespace": "org-2", "identifier": "ce1v", "type": "user", "email": "alice@bookstore.example",
        "email_verified": true, "authenticatedBy": "oauth_generic_oauth", "username": "alice",
        "displayName": "Alice",
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    key.mint(&json!({"alg": "ES256", "typ": "jwt", "kid": key.kid()}), &claims)
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    lines.iter().map(line).collect()
}

async fn fault(door: &Door, lines: &[(&str, &str)]) -> Option<TokenFault> {
    door.verifier.verify_at(&headers(lines), at(0)).await.err()
}

#[tokio::test]
async fn grafanas_signed_header_is_an_issuer_of_its_own() {
    let key = SigningKey::p256("id");
    let door = beside_grafana(&key).await;
    let token = grafana_id(&key, json!({}));
    let taken = door.verifier.verify_at(&headers(&[("x-grafana-id", &token)]), at(0)).await.unwrap();
    assert_eq!((taken.caller().issuer(), taken.caller().subject()), (GRAFANA, Some("user:ce1v")));
    assert_eq!(fault(&door, &[("authorization", &format!("Bearer {}", good()))]).await, None);
    for (changes, expected) in [
        (json!({"aud": ["org:1"]}), TokenFault::Audience),
        (json!({"exp": NOW - 60}), TokenFault::Expired),
        (json!({"iss": "https://grafana.example.org"}), TokenFault::Issuer),
    ] {
        let token = grafana_id(&key, changes.clone());
        assert_eq!(fault(&door, &[("x-grafana-id", &token)]).await, Some(expected), "{changes}");
    }
    let forged = grafana_id(&SigningKey::p256("id"), json!({}));
    assert_eq!(fault(&door, &[("x-grafana-id", &forged)]).await, Some(TokenFault::Signature));
}

/// ATK-32: a token counts in its issuer's own place only, also after it was taken there.
#[tokio::test]
async fn atk_32_a_token_in_another_issuers_place_is_refused() {
    let key = SigningKey::p256("id");
    let door = beside_grafana(&key).await;
    let (id, token) = (grafana_id(&key, json!({})), good());
    for _ in 0..2 {
        assert_eq!(fault(&door, &[("x-grafana-id", &id)]).await, None);
        assert_eq!(fault(&door, &[("authorization", &format!("Bearer {token}"))]).await, None);
        assert_eq!(fault(&door, &[("x-grafana-id", &token)]).await, Some(TokenFault::Issuer));
        let elsewhere = format!("Bearer {id}");
        assert_eq!(fault(&door, &[("authorization", &elsewhere)]).await, Some(TokenFault::Issuer));
    }
}

#[tokio::test]
async fn atk_39_of_two_credentials_none_is_chosen() {
    let key = SigningKey::p256("id");
    let door = beside_grafana(&key).await;
    let (id, bearer) = (grafana_id(&key, json!({})), format!("Bearer {}", good()));
    for authorization in [&bearer, "Basic dTpw", "", "Negotiate x"] {
        let both = [("authorization", authorization), ("x-grafana-id", id.as_str())];
        assert_eq!(fault(&door, &both).await, Some(TokenFault::Ambiguous), "{authorization}");
    }
    let empty = [("authorization", bearer.as_str()), ("x-grafana-id", "")];
    assert_eq!(fault(&door, &empty).await, Some(TokenFault::Ambiguous));
    let twice = [("x-grafana-id", id.as_str()), ("x-grafana-id", id.as_str())];
    assert_eq!(fault(&door, &twice).await, Some(TokenFault::Malformed));
    for malformed in ["", "x", &format!("Bearer {id}"), &format!("{id}, {id}"), &format!("{id} ")] {
        assert_eq!(fault(&door, &[("x-grafana-id", malformed)]).await, Some(TokenFault::Malformed));
    }
}

/// Grafana sends the header along with every datasource's own credential: where nobody asked for it, it is nothing.
#[tokio::test]
async fn a_header_that_no_issuer_opens_is_not_looked_at() {
    let door = Door::usual().await;
    let bearer = format!("Bearer {}", good());
    for other in ["", "x.y.z", &good()] {
        let both = [("authorization", bearer.as_str()), ("x-grafana-id", other)];
        assert_eq!(fault(&door, &both).await, None, "{other}");
        assert_eq!(fault(&door, &[("x-grafana-id", other)]).await, Some(TokenFault::Missing), "{other}");
    }
    assert_eq!(
        fault(&door, &[("authorization", "Basic am9iOnBhbGlzYWRlLXRlc3QtcGFzc3dvcmQ=")]).await,
        Some(TokenFault::Missing)
    );
}

async fn with_accounts() -> Door {
    let hash: PasswordHash = HASH.parse().unwrap();
    let claims = json!({"tenant": ["acme-books"]}).as_object().unwrap().clone();
    let account =
        |name: &str| ServiceAccount { name: name.to_owned(), hash: hash.clone(), claims: claims.clone() };
    Door::trusting(vec![(settings(ISSUER), jwks([&*KEY]))], vec![account("job"), account("other")]).await
}

fn basic(pair: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

#[tokio::test]
async fn a_service_account_is_a_caller_with_the_claims_of_the_list() {
    let door = with_accounts().await;
    let value = basic("job:palisade-test-password");
    let taken = door.verifier.verify_at(&authorization(&[&value]), at(0)).await.unwrap();
    let caller = taken.caller();
    assert_eq!((caller.issuer(), caller.subject()), ("service-accounts", Some("job")));
    assert_eq!(Value::Object(caller.claims().clone()), json!({"sub": "job", "tenant": ["acme-books"]}));
    assert_eq!(caller.ends(), at(3600));
    // Remembered like a token, with its decision; and afterwards known without another check.
    let again = door.verifier.verify_at(&authorization(&[&value.replace("Basic", "bAsIc")]), at(3599)).await;
    assert!(Arc::ptr_eq(&taken, &again.unwrap()));
    let later = door.verifier.verify_at(&authorization(&[&value]), at(3600)).await.unwrap();
    assert!(!Arc::ptr_eq(&taken, &later));
    assert_eq!(door.fault(&good()).await, None, "tokens are taken beside");
}

#[tokio::test]
async fn a_wrong_name_or_password_is_refused_alike() {
    let door = with_accounts().await;
    let fault = async |value: &str| fault(&door, &[("authorization", value)]).await;
    for pair in ["job:wrong", "job:palisade-test-password ", "nobody:palisade-test-password"] {
        assert_eq!(fault(&basic(pair)).await, Some(TokenFault::Credentials), "{pair}");
    }
    // A bearer token is no password, and a password no token.
    assert_eq!(fault(&basic(&good())).await, Some(TokenFault::Malformed));
    let token = basic("job:palisade-test-password").replace("Basic", "Bearer");
    assert_eq!(fault(&token).await, Some(TokenFault::Malformed));
}

#[tokio::test]
async fn name_and_password_have_one_spelling() {
    let door = with_accounts().await;
    let value = basic("job:palisade-test-password");
    for value in [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        value.trim_end_matches('=').to_owned(),
        format!("{value}="),
        format!("{value} "),
        value.replace("Basic ", "Basic  "),
        format!("{value}, {value}"),
        value.replace("cmQ=", "cmR="),
        basic("job"),
        basic("job:"),
        basic(":palisade-test-password"),
        basic("JOB\n:palisade-test-password"),
        basic("job\u{0}:palisade-test-password"),
        basic(&format!("job:{}", "x".repeat(1025))),
        basic(&format!("{}:x", "j".repeat(65))),
    ] {
        assert_eq!(
            fault(&door, &[("authorization", &value)]).await,
            Some(TokenFault::Malformed),
            "{value:.60}"
        );
    }
    for most in [format!("job:{}", "x".repeat(1024)), format!("{}:x", "j".repeat(64))] {
        let value = basic(&most);
        assert_eq!(fault(&door, &[("authorization", &value)]).await, Some(TokenFault::Credentials));
    }
}
