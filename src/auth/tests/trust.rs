//! Whose keys vouch for what.

use super::*;
use crate::auth::VerifierFault;
use crate::auth::signing::base64;

const ALERTING: &str = "https://sso.example.org/realms/alerting";

/// ATK-32: the keys of one issuer say nothing about the users of another.
#[tokio::test]
async fn atk_32_an_issuers_key_vouches_for_its_own_tokens_only() {
    let (theirs, same_name) = (SigningKey::p256("alerting"), SigningKey::rsa("k1"));
    let other = Issuer { audiences: vec!["alerts".to_owned()], ..settings(ALERTING) };
    let set = jwks([&theirs, &same_name]);
    let door = Door::with(vec![(settings(ISSUER), jwks([&*KEY])), (other, set)]).await;
    for key in [&theirs, &same_name] {
        let forged = key.token(&claims(json!({"tenant": "victim"})));
        assert_eq!(door.fault(&forged).await, Some(TokenFault::Signature), "{}", key.kid());
        let own = key.token(&claims(json!({"iss": ALERTING, "aud": "alerts"})));
        assert_eq!(door.take(&own).await.unwrap().caller().issuer(), ALERTING);
        // Their own token, for our audience: each issuer has its own.
        let ours = key.token(&claims(json!({"iss": ALERTING})));
        assert_eq!(door.fault(&ours).await, Some(TokenFault::Audience));
    }
    let reverse = KEY.token(&claims(json!({"iss": ALERTING, "aud": "alerts"})));
    assert_eq!(door.fault(&reverse).await, Some(TokenFault::Signature));
}

#[tokio::test]
async fn atk_32_each_issuer_has_its_own_algorithms() {
    let other = Issuer { algorithms: vec![Algorithm::Ps256], ..settings(ALERTING) };
    let rs256 = Issuer { algorithms: vec![Algorithm::Rs256], ..settings(ISSUER) };
    let door = Door::with(vec![(rs256, jwks([&*KEY])), (other, jwks([&*KEY]))]).await;
    assert_eq!(door.fault(&good()).await, None);
    assert_eq!(door.fault(&KEY.token(&claims(json!({"iss": ALERTING})))).await, Some(TokenFault::Algorithm));
}

#[tokio::test]
async fn atk_30_a_changed_byte_anywhere_breaks_the_signature() {
    let door = Door::usual().await;
    let good = good();
    door.take(&good).await.unwrap();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let mut raised: Value = super::claims(json!({}));
    raised["tenant"] = "victim".into();
    let raised = format!("{header}.{}.{signature}", base64(raised.to_string()));
    assert_eq!(door.fault(&raised).await, Some(TokenFault::Signature));
    let reordered = base64(r#"{"kid":"k1","alg":"RS256","typ":"JWT"}"#);
    assert_eq!(door.fault(&format!("{reordered}.{claims}.{signature}")).await, Some(TokenFault::Signature));
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let flipped = format!("{message}.{flipped}{}", &signature[1..]);
    assert_eq!(door.fault(&flipped).await, Some(TokenFault::Signature));
    for signature in ["", "AAAA", &base64([0; 256]), &base64([0xff; 256]), &base64([1; 2048])] {
        assert_eq!(door.fault(&format!("{message}.{signature}")).await, Some(TokenFault::Signature));
    }
}

/// Two zeros once passed for an ECDSA signature over anything.
#[tokio::test]
async fn atk_30_an_ecdsa_signature_of_zeros_is_refused() {
    let key = SigningKey::p256("p");
    let door = Door::with(vec![(settings(ISSUER), jwks([&key]))]).await;
    let token = key.token(&claims(json!({})));
    assert_eq!(door.fault(&token).await, None);
    let message = token.rsplit_once('.').unwrap().0;
    for size in [64, 63, 65, 72, 96] {
        let zeros = format!("{message}.{}", base64(vec![0; size]));
        assert_eq!(door.fault(&zeros).await, Some(TokenFault::Signature), "{size}");
    }
}

#[tokio::test]
async fn a_verifier_needs_issuers_that_can_be_told_apart() {
    let new = |issuers| Verifier::<()>::new(issuers, &Limits::default()).err();
    assert!(matches!(new(vec![]), Some(VerifierFault::NoIssuer)));
    let twice = vec![settings(ISSUER), settings(ISSUER)];
    assert!(matches!(new(twice), Some(VerifierFault::Twice(url)) if url == ISSUER));
    let open = Issuer { audiences: vec![], ..settings(ISSUER) };
    assert!(matches!(new(vec![open]), Some(VerifierFault::Issuer { .. })));
}

#[test]
fn a_verifier_needs_a_runtime() {
    let made = Verifier::<()>::new(vec![settings(ISSUER)], &Limits::default());
    assert!(matches!(made.err(), Some(VerifierFault::NoRuntime)));
}
