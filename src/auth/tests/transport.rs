//! The `Authorization` header and the three parts of a token.

use super::*;
use crate::auth::signing::base64;

async fn fault(headers: HeaderMap) -> Option<TokenFault> {
    Door::usual().await.verifier.verify_at(&headers, at(0)).await.err()
}

#[tokio::test]
async fn a_good_token_is_taken() {
    let taken = Door::usual().await.take(&good()).await.unwrap();
    let caller = taken.caller();
    assert_eq!((caller.issuer(), caller.subject()), (ISSUER, Some("u-1")));
    assert_eq!(caller.claims()["tenant"], "acme-books");
    assert_eq!((caller.expires(), caller.ends()), (at(300), at(330)));
}

#[tokio::test]
async fn atk_30_the_scheme_is_read_in_any_case_and_is_no_other() {
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        assert_eq!(fault(authorization(&[&format!("{scheme} {}", good())])).await, None, "{scheme}");
    }
}

#[tokio::test]
async fn without_a_bearer_token_the_fault_is_its_absence() {
    assert_eq!(fault(HeaderMap::new()).await, Some(TokenFault::Missing));
    for value in ["", "Basic dTpw", "Basic", &good(), &format!("Bearer\t{}", good()), "DPoP x", "Bearerx y"] {
        assert_eq!(fault(authorization(&[value])).await, Some(TokenFault::Missing), "{value}");
    }
}

#[tokio::test]
async fn atk_39_no_other_header_is_an_identity() {
    for name in [
        "x-id-token",
        "x-ds-authorization",
        "x-grafana-id",
        "x-grafana-user",
        "proxy-authorization",
        "cookie",
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, format!("Bearer {}", good()).parse().unwrap());
        assert_eq!(fault(headers).await, Some(TokenFault::Missing), "{name}");
    }
}

#[tokio::test]
async fn atk_39_two_authorization_headers_are_refused_even_if_equal() {
    let (good, other) = (format!("Bearer {}", good()), "Basic dTpw".to_owned());
    for pair in [[&good, &good], [&good, &other], [&other, &good]] {
        let headers = authorization(&pair.map(String::as_str));
        assert_eq!(fault(headers).await, Some(TokenFault::Malformed));
    }
}

#[tokio::test]
async fn atk_30_bytes_around_the_token_are_refused() {
    let good = good();
    for value in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer  {good}"),
        format!("Bearer {good} "),
        format!("Bearer {good}\t"),
        format!("Bearer {good} {good}"),
        format!("Bearer {good},{good}"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer {good}."),
        format!("Bearer .{good}"),
        format!("Bearer {good}="),
        format!("Bearer {good}\u{e9}"),
        format!("Bearer \"{good}\""),
    ] {
        assert_eq!(fault(authorization(&[&value])).await, Some(TokenFault::Malformed), "{value}");
    }
}

#[tokio::test]
async fn atk_30_a_token_has_exactly_three_parts() {
    let door = Door::usual().await;
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    for token in [
        header.to_owned(),
        format!("{header}.{claims}"),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}.{claims}.{claims}.{signature}"),
        "..".to_owned(),
        ".".to_owned(),
    ] {
        assert_eq!(door.fault(&token).await, Some(TokenFault::Malformed), "{token}");
    }
}

/// The same bytes said by another text: a second text for one token would pass a list of revoked ones.
#[tokio::test]
async fn atk_30_base64_is_canonical_in_every_part() {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let door = Door::usual().await;
    // Each part's length leaves trailing bits: 256 bytes of signature do, for the others the padding claim sees to it.
    let pad = |part: &str| {
        (0..3).map(|n| format!(r#"{part},"x":"{}"}}"#, "y".repeat(n))).find(|t| t.len() % 3 != 0)
    };
    let header = pad(header(json!({})).to_string().trim_end_matches('}')).unwrap();
    let claims = pad(claims(json!({})).to_string().trim_end_matches('}')).unwrap();
    let token = KEY.mint_text(&header, &claims);
    assert_eq!(door.fault(&token).await, None);
    let parts: Vec<&str> = token.split('.').collect();
    for changed in 0..3 {
        let (rest, last) = parts[changed].split_at(parts[changed].len() - 1);
        let place = ALPHABET.iter().position(|byte| *byte == last.as_bytes()[0]).unwrap();
        let twin = format!("{rest}{}", ALPHABET[place + 1] as char);
        for part in [
            twin,
            format!("{}=", parts[changed]),
            format!("{rest}\n{last}"),
            format!("{rest}+"),
            format!("{rest}/"),
        ] {
            let mut parts = parts.clone();
            parts[changed] = &part;
            // A line feed cannot be in a header at all.
            let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", parts.join("."))) else { continue };
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            let fault = door.verifier.verify_at(&headers, at(0)).await.err();
            assert_eq!(fault, Some(TokenFault::Malformed), "part {changed}");
        }
    }
}

#[tokio::test]
async fn atk_30_a_token_of_64_kib_is_taken_and_one_byte_more_is_not() {
    let door = Door::usual().await;
    let sized = |size: usize| {
        // The header's padding finds the lengths that the claims' padding alone cannot make.
        let token = |h: usize, c: usize| {
            let header = header(json!({"x": "y".repeat(h)}));
            KEY.mint(&header, &claims(json!({"x": "y".repeat(c)})))
        };
        let missing = (size - token(0, 0).len()) / 4 * 3;
        let mut tries = (0..8).flat_map(|h| (missing - 24..missing + 8).map(move |c| (h, c)));
        let length = |h: usize, c: usize| {
            let coded = |n: usize| (n * 4).div_ceil(3);
            let header = header(json!({"x": "y".repeat(h)})).to_string().len();
            let claims = claims(json!({"x": "y".repeat(c)})).to_string().len();
            coded(header) + coded(claims) + coded(256) + 2
        };
        let (h, c) = tries.find(|(h, c)| length(*h, *c) == size).unwrap();
        token(h, c)
    };
    let (most, over) = (sized(64 * 1024), sized(64 * 1024 + 1));
    assert_eq!((most.len(), over.len()), (65_536, 65_537));
    assert_eq!(door.fault(&most).await, None);
    assert_eq!(door.fault(&over).await, Some(TokenFault::Malformed));
}

#[tokio::test]
async fn atk_30_encrypted_and_nested_tokens_are_refused() {
    let door = Door::usual().await;
    let nested = KEY.mint_text(&header(json!({})).to_string(), &good());
    assert_eq!(door.fault(&nested).await, Some(TokenFault::Malformed));
    let said_so = KEY.mint_text(&header(json!({"cty": "JWT"})).to_string(), &claims(json!({})).to_string());
    assert_eq!(door.fault(&said_so).await, Some(TokenFault::Kind));
    let encrypted = ["{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}", "key", "iv", "text", "tag"].map(base64);
    assert_eq!(door.fault(&encrypted.join(".")).await, Some(TokenFault::Malformed));
}
