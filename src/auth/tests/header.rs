//! Attacks through a token's header.

use super::*;
use crate::auth::signing::base64;

#[tokio::test]
async fn atk_30_every_configured_algorithm_is_taken() {
    let keys = [SigningKey::p256("p256"), SigningKey::p384("p384"), SigningKey::ed25519("ed")];
    let door = Door::with(vec![(settings(ISSUER), jwks(keys.iter().chain([&*KEY])))]).await;
    for key in &keys {
        assert_eq!(door.fault(&key.token(&claims(json!({})))).await, None, "{}", key.kid());
    }
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = KEY.mint(&header(json!({"alg": alg})), &claims(json!({})));
        assert_eq!(door.fault(&token).await, None, "{alg}");
    }
}

#[tokio::test]
async fn atk_30_an_unsigned_token_is_refused() {
    let door = Door::usual().await;
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "none\0"] {
        let message = format!(
            "{}.{}",
            base64(header(json!({"alg": alg})).to_string()),
            base64(claims(json!({})).to_string())
        );
        for signature in ["", "AAAA", &base64([0; 256])] {
            let token = format!("{message}.{signature}");
            assert_eq!(door.fault(&token).await, Some(TokenFault::Algorithm), "{alg:?}");
        }
    }
    let stripped = good().rsplit_once('.').unwrap().0.to_owned() + ".";
    assert_eq!(door.fault(&stripped).await, Some(TokenFault::Signature));
}

/// The public key is public: if it were taken for an HMAC secret, everybody could sign.
#[tokio::test]
async fn atk_3b_hmac_with_the_public_key_is_refused() {
    use aws_lc_rs::hmac::{self, HMAC_SHA256};
    let door = Door::usual().await;
    let jwk = KEY.jwk();
    let modulus = jwk["n"].as_str().unwrap();
    for secret in [modulus.to_owned(), jwk.to_string(), jwks([&*KEY]).to_string(), String::new()] {
        for alg in ["HS256", "hs256", "RS256"] {
            let header = base64(header(json!({"alg": alg})).to_string());
            let message = format!("{header}.{}", base64(claims(json!({})).to_string()));
            let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, secret.as_bytes()), message.as_bytes());
            let fault = door.fault(&format!("{message}.{}", base64(tag))).await;
            let expected = if alg == "RS256" { TokenFault::Signature } else { TokenFault::Algorithm };
            assert_eq!(fault, Some(expected), "{alg}");
        }
    }
}

#[tokio::test]
async fn atk_3b_a_symmetric_key_in_the_set_is_no_key() {
    use aws_lc_rs::hmac::{self, HMAC_SHA256};
    let secret = base64("a secret of at least 32 bytes, so it is");
    let oct = json!({"kty": "oct", "kid": "s1", "use": "sig", "alg": "HS256", "k": secret});
    let disguised = json!({"kty": "oct", "kid": "s2", "use": "sig", "alg": "RS256", "k": secret});
    let set = json!({"keys": [oct, disguised, KEY.jwk()]});
    let door = Door::with(vec![(settings(ISSUER), set)]).await;
    for (kid, alg, expected) in [
        ("s1", "HS256", TokenFault::Algorithm),
        ("s1", "RS256", TokenFault::Signature),
        ("s2", "RS256", TokenFault::Signature),
    ] {
        let header = base64(header(json!({"alg": alg, "kid": kid})).to_string());
        let message = format!("{header}.{}", base64(claims(json!({})).to_string()));
        let key = hmac::Key::new(HMAC_SHA256, b"a secret of at least 32 bytes, so it is");
        let token = format!("{message}.{}", base64(hmac::sign(&key, message.as_bytes())));
        assert_eq!(door.fault(&token).await, Some(expected), "{kid} {alg}");
    }
    assert_eq!(door.fault(&good()).await, None);
}

#[tokio::test]
async fn atk_30_only_the_listed_algorithms_are_taken() {
    let narrow = Issuer { algorithms: vec![Algorithm::Rs256], ..settings(ISSUER) };
    let door = Door::with(vec![(narrow, jwks([&*KEY]))]).await;
    assert_eq!(door.fault(&good()).await, None);
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RS256 ", "RSA-OAEP", "ES256K"] {
        let token = KEY.mint(&header(json!({"alg": alg})), &claims(json!({})));
        assert_eq!(door.fault(&token).await, Some(TokenFault::Algorithm), "{alg}");
    }
}

#[tokio::test]
async fn atk_30_a_key_serves_only_the_algorithms_of_its_type() {
    let (p256, ed) = (SigningKey::p256("p256"), SigningKey::ed25519("ed"));
    let door = Door::with(vec![(settings(ISSUER), jwks([&p256, &ed, &KEY]))]).await;
    for (key, alg) in [(&p256, "RS256"), (&p256, "ES384"), (&p256, "EdDSA"), (&ed, "ES256"), (&*KEY, "ES256")]
    {
        let header = json!({"alg": alg, "typ": "JWT", "kid": key.kid()});
        let token = key.mint(&header, &claims(json!({})));
        assert_eq!(door.fault(&token).await, Some(TokenFault::Signature), "{} {alg}", key.kid());
    }
    // A good RS256 signature under the name of PS256.
    let token = KEY.mint_text(r#"{"alg":"RS256","kid":"k1"}"#, &claims(json!({})).to_string());
    let (_, rest) = token.split_once('.').unwrap();
    let renamed = format!("{}.{rest}", base64(r#"{"alg":"PS256","kid":"k1"}"#));
    assert_eq!(door.fault(&renamed).await, Some(TokenFault::Signature));
}

#[tokio::test]
async fn atk_30_alg_must_be_text() {
    let door = Door::usual().await;
    for alg in [json!(null), json!(256), json!(["RS256"]), json!({"alg": "RS256"})] {
        // `header` takes null for removal, so null is written here by hand.
        let text = json!({"alg": alg, "kid": "k1"}).to_string();
        let token = KEY.mint_text(&text, &claims(json!({})).to_string());
        assert_eq!(door.fault(&token).await, Some(TokenFault::Malformed), "{text}");
    }
    let token = KEY.mint(&header(json!({"alg": null})), &claims(json!({})));
    assert_eq!(door.fault(&token).await, Some(TokenFault::Malformed));
}

#[tokio::test]
async fn atk_30_keys_that_a_token_brings_are_never_used() {
    let door = Door::usual().await;
    let theirs = SigningKey::p256("k1");
    for (name, value) in [
        ("jwk", theirs.jwk()),
        ("jku", json!("http://127.0.0.1:9/keys")),
        ("x5u", json!("http://127.0.0.1:9/cert")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
    ] {
        let mut header = theirs.header();
        header[name] = value.clone();
        let forged = theirs.mint(&header, &claims(json!({})));
        assert_eq!(door.fault(&forged).await, Some(TokenFault::Signature), "{name}");
        let honest = KEY.mint(&super::header(json!({name: value})), &claims(json!({})));
        assert_eq!(door.fault(&honest).await, None, "{name}");
    }
}

#[tokio::test]
async fn atk_30_a_kid_is_compared_and_nothing_else() {
    let door = Door::usual().await;
    let long = "k".repeat(40_000);
    // At once, as each may wait for a fetch of the keys.
    let refused = [
        "",
        "K1",
        " k1",
        "k1 ",
        "k1\0",
        "k2",
        "*",
        "%6b1",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "k1' UNION SELECT 'x",
        "http://127.0.0.1:9/k1",
        "$(id)",
        "{{k1}}",
        &long,
    ]
    .map(|kid| {
        let door = &door;
        async move {
            let token = KEY.mint(&header(json!({"kid": kid})), &claims(json!({})));
            assert_eq!(door.fault(&token).await, Some(TokenFault::Signature), "{kid:.20}");
        }
    });
    futures_util::future::join_all(refused).await;
    for kid in [json!(1), json!(["k1"]), json!({"kid": "k1"}), json!(true)] {
        let token = KEY.mint(&header(json!({"kid": kid})), &claims(json!({})));
        assert_eq!(door.fault(&token).await, Some(TokenFault::Malformed), "{kid}");
    }
}

#[tokio::test]
async fn atk_30_without_a_kid_one_fitting_key_must_be_the_only_one() {
    let unnamed = KEY.mint(&header(json!({"kid": null})), &claims(json!({})));
    assert_eq!(Door::usual().await.fault(&unnamed).await, None);
    let other = SigningKey::rsa("k2");
    let door = Door::with(vec![(settings(ISSUER), jwks([&*KEY, &other]))]).await;
    assert_eq!(door.fault(&unnamed).await, Some(TokenFault::Signature));
    assert_eq!(door.fault(&good()).await, None);
}

#[tokio::test]
async fn atk_30_whatever_is_critical_is_refused() {
    let door = Door::usual().await;
    for changes in [
        json!({"crit": []}),
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": "exp"}),
        json!({"crit": false}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"cty": "json"}),
    ] {
        let token = KEY.mint(&header(changes.clone()), &claims(json!({})));
        assert_eq!(door.fault(&token).await, Some(TokenFault::Kind), "{changes}");
    }
    let null = KEY.mint_text(r#"{"alg":"RS256","kid":"k1","crit":null}"#, &claims(json!({})).to_string());
    assert_eq!(door.fault(&null).await, Some(TokenFault::Kind));
}

#[tokio::test]
async fn atk_30_typ_is_that_of_an_access_token() {
    let door = Door::usual().await;
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/jwt", "Application/AT+jwt"] {
        let token = KEY.mint(&header(json!({"typ": typ})), &claims(json!({})));
        assert_eq!(door.fault(&token).await, None, "{typ}");
    }
    assert_eq!(door.fault(&KEY.mint(&header(json!({"typ": null})), &claims(json!({})))).await, None);
    for typ in [
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!("secevent+jwt"),
        json!("JOSE"),
        json!("JWS"),
        json!(""),
        json!("application/application/jwt"),
        json!("text/jwt"),
        json!("jwt "),
        json!(1),
        json!(["JWT"]),
    ] {
        let token = KEY.mint(&header(json!({"typ": typ})), &claims(json!({})));
        assert_eq!(door.fault(&token).await, Some(TokenFault::Kind), "{typ}");
    }
}

#[tokio::test]
async fn atk_30_a_repeated_header_parameter_is_refused() {
    let door = Door::usual().await;
    let claims = claims(json!({})).to_string();
    for header in [
        r#"{"alg":"none","alg":"RS256","kid":"k1"}"#,
        r#"{"alg":"RS256","kid":"k1","kid":"k1"}"#,
        r#"{"alg":"RS256","kid":"k1","\u006bid":"k2"}"#,
        r#"[{"alg":"RS256","kid":"k1"}]"#,
        r#"{"alg":"RS256","kid":"k1"} x"#,
        r#""RS256""#,
        "",
    ] {
        let token = KEY.mint_text(header, &claims);
        assert_eq!(door.fault(&token).await, Some(TokenFault::Malformed), "{header}");
    }
}
