//! Claims that must not be believed, or not for us, or not now.

use super::*;

/// Why a token with these changed claims is refused.
async fn fault(changes: Value) -> Option<TokenFault> {
    Door::usual().await.fault(&KEY.token(&claims(changes))).await
}

/// Why a token with this claim, null included, is refused.
async fn fault_with(name: &str, value: Value) -> Option<TokenFault> {
    let mut claims = claims(json!({}));
    claims[name] = value;
    Door::usual().await.fault(&KEY.token(&claims)).await
}

#[tokio::test]
async fn atk_30_the_issuer_is_compared_byte_for_byte() {
    for iss in [
        json!(format!("{ISSUER}/")),
        json!(ISSUER.to_uppercase()),
        json!(ISSUER.replace("https", "http")),
        json!(format!("{ISSUER}#")),
        json!(format!(" {ISSUER}")),
        json!("https://sso.example.org/realms/acme-evil"),
        json!("https://sso.example.org/realms"),
        json!(""),
        json!([ISSUER]),
        json!({"iss": ISSUER}),
        json!(1),
        Value::Null,
    ] {
        assert_eq!(fault_with("iss", iss.clone()).await, Some(TokenFault::Issuer), "{iss}");
    }
    assert_eq!(fault(json!({"iss": null})).await, Some(TokenFault::Issuer));
}

#[tokio::test]
async fn atk_30_the_audience_must_be_ours() {
    for aud in [json!("palisade"), json!(["palisade"]), json!(["x", "palisade"])] {
        assert_eq!(fault(json!({"aud": aud})).await, None, "{aud}");
    }
    for aud in [
        json!("account"),
        json!(["account", "grafana"]),
        json!([]),
        json!(""),
        json!("Palisade"),
        json!("palisade "),
        json!("palisade,account"),
        json!("palisade-evil"),
        json!(["palisade-evil"]),
        Value::Null,
    ] {
        assert_eq!(fault(json!({"aud": aud})).await, Some(TokenFault::Audience), "{aud}");
    }
    for aud in
        [json!(1), json!({"palisade": true}), json!(["palisade", 1]), json!([["palisade"]]), json!([null])]
    {
        assert_eq!(fault(json!({"aud": aud})).await, Some(TokenFault::Claims), "{aud}");
    }
    assert_eq!(fault_with("aud", Value::Null).await, Some(TokenFault::Claims));
}

#[tokio::test]
async fn atk_30_azp_counts_only_where_it_is_listed() {
    let elsewhere = KEY.token(&claims(json!({"aud": "account", "azp": "grafana"})));
    assert_eq!(Door::usual().await.fault(&elsewhere).await, Some(TokenFault::Audience));
    // Not even if it is named like our audience.
    let named = KEY.token(&claims(json!({"aud": "account", "azp": "palisade"})));
    assert_eq!(Door::usual().await.fault(&named).await, Some(TokenFault::Audience));
    let listed = Issuer { authorized_parties: vec!["grafana".to_owned()], ..settings(ISSUER) };
    let door = Door::with(vec![(listed, jwks([&*KEY]))]).await;
    assert_eq!(door.fault(&elsewhere).await, None);
    assert_eq!(door.fault(&named).await, Some(TokenFault::Audience));
    assert_eq!(door.fault(&good()).await, None);
    for azp in [json!("Grafana"), json!("grafana "), json!("")] {
        let token = KEY.token(&claims(json!({"aud": "account", "azp": azp})));
        assert_eq!(door.fault(&token).await, Some(TokenFault::Audience), "{azp}");
    }
    for azp in [json!(["grafana"]), json!(1)] {
        let token = KEY.token(&claims(json!({"aud": "account", "azp": azp})));
        assert_eq!(door.fault(&token).await, Some(TokenFault::Claims), "{azp}");
    }
}

#[tokio::test]
async fn atk_30_only_access_tokens_are_taken() {
    assert_eq!(fault(json!({"typ": null})).await, None);
    for typ in [
        json!("ID"),
        json!("Refresh"),
        json!("Offline"),
        json!("Logout"),
        json!("DPoP"),
        json!("bearer"),
        json!("Bearer "),
        json!(["Bearer"]),
        json!(1),
        json!(""),
    ] {
        assert_eq!(fault(json!({"typ": typ})).await, Some(TokenFault::Kind), "{typ}");
    }
    assert_eq!(fault_with("typ", Value::Null).await, Some(TokenFault::Kind));
}

#[tokio::test]
async fn atk_30_a_token_bound_to_a_key_is_refused() {
    for cnf in [json!({"jkt": "x"}), json!({"x5t#S256": "x"}), json!({}), json!(""), Value::Null] {
        assert_eq!(fault_with("cnf", cnf.clone()).await, Some(TokenFault::Kind), "{cnf}");
    }
}

/// A token that never expires could never be taken back.
#[tokio::test]
async fn atk_30_a_token_without_exp_is_refused() {
    assert_eq!(fault(json!({"exp": null})).await, Some(TokenFault::Expired));
}

#[tokio::test]
async fn atk_30_an_exp_that_is_past_is_refused() {
    for exp in [0, -1, i64::MIN, NOW - 31, NOW - 30] {
        assert_eq!(fault(json!({"exp": exp})).await, Some(TokenFault::Expired), "{exp}");
    }
}

#[tokio::test]
async fn atk_30_an_exp_that_is_no_number_is_refused() {
    for exp in [json!("1800000300"), json!(true), json!([NOW + 300]), json!({}), Value::Null] {
        assert_eq!(fault_with("exp", exp.clone()).await, Some(TokenFault::Claims), "{exp}");
    }
}

#[tokio::test]
async fn atk_30_an_exp_beyond_all_time_is_refused() {
    for exp in [json!(1e300), json!(253_402_300_800_u64), json!(u64::MAX)] {
        assert_eq!(fault_with("exp", exp.clone()).await, Some(TokenFault::Claims), "{exp}");
    }
    for exp in [json!(NOW + 300), json!(1_800_000_300.5), json!(253_402_300_799_u64)] {
        assert_eq!(fault(json!({"exp": exp})).await, None, "{exp}");
    }
}

#[tokio::test]
async fn atk_30_the_skew_is_exact_to_the_second_after_exp() {
    for skew in [0, 30, 120] {
        let issuer = Issuer { skew: Duration::from_secs(skew), ..settings(ISSUER) };
        let door = Door::with(vec![(issuer, jwks([&*KEY]))]).await;
        let skew = i64::try_from(skew).unwrap();
        let fault = async |seconds| door.at(&good(), 300 + seconds).await.err();
        assert_eq!(fault(skew - 1).await, None, "{skew}");
        assert_eq!(fault(skew).await, Some(TokenFault::Expired), "{skew}");
        assert_eq!(fault(skew + 1).await, Some(TokenFault::Expired), "{skew}");
    }
}

#[tokio::test]
async fn atk_30_the_skew_is_exact_to_the_second_before_nbf_and_iat() {
    for name in ["nbf", "iat"] {
        assert_eq!(fault(json!({name: NOW + 29})).await, None, "{name}");
        assert_eq!(fault(json!({name: NOW + 30})).await, None, "{name}");
        assert_eq!(fault(json!({name: NOW + 31})).await, Some(TokenFault::NotYetValid), "{name}");
        assert_eq!(fault(json!({name: 0})).await, None, "{name}");
        assert_eq!(fault(json!({name: null})).await, None, "{name}");
        for date in [json!("0"), json!(false), json!([]), json!(1e300)] {
            assert_eq!(fault(json!({name: date})).await, Some(TokenFault::Claims), "{name} {date}");
        }
    }
}

#[tokio::test]
async fn required_claims_must_be_there_with_just_that_value() {
    let required = [("acr", json!("2")), ("email_verified", json!(true)), ("level", json!(3))];
    let required_claims = required.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let strict = Issuer { required_claims, ..settings(ISSUER) };
    let door = Door::with(vec![(strict, jwks([&*KEY]))]).await;
    let fault = async |changes: Value| {
        let mut said = claims(json!({"acr": "2", "email_verified": true, "level": 3}));
        said.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        door.fault(&KEY.token(&said)).await
    };
    assert_eq!(fault(json!({})).await, None);
    for changes in [
        json!({"acr": 2}),
        json!({"acr": "3"}),
        json!({"acr": ["2"]}),
        json!({"acr": null}),
        json!({"email_verified": "true"}),
        json!({"email_verified": false}),
        json!({"level": "3"}),
        json!({"level": 3.5}),
    ] {
        assert_eq!(fault(changes.clone()).await, Some(TokenFault::Claims), "{changes}");
    }
    assert_eq!(door.fault(&good()).await, Some(TokenFault::Claims));
}

#[tokio::test]
async fn validation_rules_must_hold_of_the_claims() {
    let rule = |text: &str| crate::policy::Condition::compile(text).unwrap();
    let validation_rules =
        vec![rule("claims.tenant != 'evil'"), rule("claims.groups.exists(g, g == '/staff')")];
    let strict = Issuer { validation_rules, ..settings(ISSUER) };
    let door = Door::with(vec![(strict, jwks([&*KEY]))]).await;
    let fault = async |changes: Value| door.fault(&KEY.token(&claims(changes))).await;
    assert_eq!(fault(json!({"groups": ["/a", "/staff"]})).await, None);
    for changes in [
        json!({"groups": ["/staff"], "tenant": "evil"}),
        json!({"groups": ["/staffs"]}),
        json!({"groups": "/staff"}),
        // What cannot be evaluated does not hold.
        json!({}),
        json!({"groups": ["/staff"], "tenant": null}),
    ] {
        assert_eq!(fault(changes.clone()).await, Some(TokenFault::Claims), "{changes}");
    }
}

#[tokio::test]
async fn a_subject_is_text_or_absent() {
    let door = Door::usual().await;
    let without = door.take(&KEY.token(&claims(json!({"sub": null})))).await.unwrap();
    assert_eq!(without.caller().subject(), None);
    for sub in [json!(1), json!(["u-1"]), json!({})] {
        assert_eq!(fault(json!({"sub": sub})).await, Some(TokenFault::Claims), "{sub}");
    }
}

#[tokio::test]
async fn atk_30_a_repeated_claim_is_refused() {
    let door = Door::usual().await;
    let usual = claims(json!({})).to_string();
    let open = usual.trim_end_matches('}');
    for more in [
        r#""tenant":"victim""#,
        r#""\u0074enant":"victim""#,
        r#""iss":"x""#,
        r#""exp":1"#,
        r#""a":{"b":1,"b":1}"#,
    ] {
        let text = format!("{open},{more}}}");
        let token = KEY.mint_text(&header(json!({})).to_string(), &text);
        assert_eq!(door.fault(&token).await, Some(TokenFault::Malformed), "{more}");
    }
    for text in ["[]", "null", "", "{", "\"x\"", &format!("{usual}{usual}"), &format!("\u{feff}{usual}")] {
        let token = KEY.mint_text(&header(json!({})).to_string(), text);
        assert_eq!(door.fault(&token).await, Some(TokenFault::Malformed), "{text}");
    }
}
