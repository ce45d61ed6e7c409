//! ATK-30 to -3J: tokens and what they grant, with a real Keycloak's.

use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};

use super::{holds, leaked, send, shaped};
use crate::http::{Answer, Request};
use crate::keycloak::Keycloak;
use crate::seed::SPAN;
use crate::world::World;

type Test = fn(&World) -> Result<(), String>;

/// All of them, by name.
pub const ALL: [(&str, Test); 22] = [
    ("ATK-30 no token", no_token),
    ("ATK-30 token in the query", token_in_query),
    ("ATK-30 audience: another client's token", other_client),
    ("ATK-30 typ: ID and refresh tokens", other_types),
    ("ATK-30 alg: none", alg_none),
    ("ATK-30 alg, ATK-3B: a public key as a symmetric one", alg_hmac),
    ("ATK-30 iss, ATK-32 cross-trust-JWKS: another realm of the same server", other_issuer),
    ("ATK-30 signature: changed claims", changed_claims),
    ("ATK-31 missing-return", missing_return),
    ("ATK-33 user-group-confusion", user_named_like_tenant),
    ("ATK-34 group-merge: narrowing one's own scope", narrowing),
    ("ATK-35 ambiguous values in a claim", ambiguous_value),
    ("ATK-36 concurrent callers", concurrent),
    ("ATK-38 case-folding", case_folding),
    ("ATK-39 fall-through: several schemes", schemes),
    ("ATK-3A no-rule-sees-all", no_rule),
    ("ATK-3C unknown-kid-storm", unknown_kids),
    ("ATK-3E shared-result-cache", shared_cache),
    ("ATK-3H policy-on-the-wrong-route", every_route),
    ("ATK-3J token-in-logs", token_in_logs),
    ("ATK-05 a backend at the root of its own listener", own_listener),
    ("Keycloak: a user cannot choose the own tenant", own_tenant),
];

fn keycloak(world: &World) -> Result<&Keycloak, String> {
    world.keycloak.as_ref().ok_or_else(|| "Keycloak does not run".into())
}

/// The token of one of the world's callers.
pub fn token<'w>(world: &'w World, user: &str) -> Result<&'w str, String> {
    let caller = world.callers.get(user);
    caller.map(|c| c.token.as_str()).ok_or_else(|| format!("no token of {user}"))
}

/// One request for canaries per mount.
fn asks(world: &World) -> [(&'static str, Request); 5] {
    let (start, end) = (world.start.to_string(), (world.start + SPAN).to_string());
    let range = |more: &[(&str, &str)]| {
        let mut all = super::pairs(more);
        all.extend(super::pairs(&[("start", &start), ("end", &end)]));
        all
    };
    let canaries = super::pairs(&[("query", "canary"), ("time", &end)]);
    let notes = "/api/v2/search/tag/span.note/values";
    [
        ("prometheus", Request::get("/api/v1/query", &canaries)),
        (
            "loki",
            Request::get(
                "/loki/api/v1/query_range",
                &range(&[("query", r#"{service="canary"}"#), ("step", "60")]),
            ),
        ),
        ("tempo", Request::get(notes, &range(&[]))),
        ("tempo-mixed", Request::get(notes, &range(&[]))),
        ("alertmanager", Request::get("/api/v2/alerts", &super::pairs(&[("active", "true")]))),
    ]
}

/// Every mount refuses these tokens with 401, a hint how to do better, and
/// nothing of anybody's.
fn all_refuse(world: &World, token: Option<&str>) -> Result<(), String> {
    for (mount, request) in asks(world) {
        let answer = send(world, token, mount, request)?;
        if answer.status != 401 {
            return Err(format!("{mount}: {} {}", answer.status, answer.text()));
        }
        let hint = answer.header("www-authenticate").unwrap_or_default();
        if !hint.starts_with("Bearer") {
            return Err(format!("{mount}: `WWW-Authenticate: {hint}`"));
        }
        if let Some(canary) = leaked(&answer, "nobody") {
            return Err(format!("{mount}: LEAK of {canary}"));
        }
        shaped(&answer, mount.trim_end_matches("-mixed"))?;
    }
    Ok(())
}

/// Every mount answers 403.
fn all_forbid(world: &World, token: &str) -> Result<(), String> {
    for (mount, request) in asks(world) {
        let answer = send(world, Some(token), mount, request)?;
        if answer.status != 403 {
            return Err(format!("{mount}: {} {}", answer.status, answer.text()));
        }
        shaped(&answer, mount.trim_end_matches("-mixed"))?;
    }
    Ok(())
}

/// Every mount shows this canary and no one else's.
fn all_show(world: &World, token: &str, caller: &str, own: &str) -> Result<(), String> {
    for (mount, request) in asks(world) {
        shows(&send(world, Some(token), mount, request)?, caller, own)
            .map_err(|why| format!("{mount}: {why}"))?;
    }
    Ok(())
}

fn shows(answer: &Answer, caller: &str, own: &str) -> Result<(), String> {
    if let Some(canary) = leaked(answer, caller) {
        // The documented gap: a list-valued tenant shows among tag values.
        let gap = ["canary-array", "canary-repeated", "canary-turned"];
        if !gap.contains(&canary.as_str()) {
            return Err(format!("LEAK of {canary}: {}", answer.text()));
        }
    }
    if answer.status == 200 && holds(&answer.text(), own) {
        Ok(())
    } else {
        Err(format!("{} without {own}: {}", answer.status, answer.text()))
    }
}

fn no_token(world: &World) -> Result<(), String> {
    all_refuse(world, None)?;
    all_refuse(world, Some(""))?;
    all_refuse(world, Some("x.y.z"))?;
    // The control: with a token the same requests are answered.
    all_show(world, token(world, "alice")?, "alice", "canary-acme-books")
}

fn token_in_query(world: &World) -> Result<(), String> {
    let token = token(world, "alice")?;
    for (mount, mut request) in asks(world) {
        request.target.push_str(&format!("&access_token={token}&token={token}"));
        let answer = send(world, None, mount, request)?;
        if answer.status != 401 {
            return Err(format!("{mount}: {}", answer.status));
        }
    }
    Ok(())
}

fn other_client(world: &World) -> Result<(), String> {
    let token = keycloak(world)?.token("loyalty-app", "alice")?;
    let claims = claims(&token)?;
    if claims["tenant"] != json!(["acme-books"]) || holds(&claims["aud"].to_string(), "palisade") {
        return Err(format!("the control fails: {claims}"));
    }
    all_refuse(world, Some(&token))
}

fn other_types(world: &World) -> Result<(), String> {
    let grant = keycloak(world)?.grant("storefront", "alice")?;
    for kind in ["id_token", "refresh_token"] {
        let token = grant[kind].as_str().ok_or_else(|| format!("no {kind}"))?;
        all_refuse(world, Some(token)).map_err(|why| format!("{kind}: {why}"))?;
    }
    Ok(())
}

fn claims(token: &str) -> Result<Value, String> {
    part(token, 1)
}

fn part(token: &str, at: usize) -> Result<Value, String> {
    let part = token.split('.').nth(at).ok_or("not a token")?;
    let bytes = B64.decode(part).map_err(|e| e.to_string())?;
    serde_json::from_slice(&bytes).map_err(|e| e.to_string())
}

/// A token of these parts with a signature of these bytes.
fn forge(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let text = |value: &Value| B64.encode(value.to_string());
    format!("{}.{}.{}", text(header), text(claims), B64.encode(signature))
}

fn alg_none(world: &World) -> Result<(), String> {
    let real = claims(token(world, "alice")?)?;
    for alg in ["none", "None", "NONE", ""] {
        let header = json!({ "alg": alg, "typ": "JWT" });
        all_refuse(world, Some(&forge(&header, &real, b"")))?;
    }
    Ok(())
}

fn alg_hmac(world: &World) -> Result<(), String> {
    let real = token(world, "alice")?;
    let kid = part(real, 0)?["kid"].clone();
    let certs = Request::get("/protocol/openid-connect/certs", &[]).send(&keycloak(world)?.realm)?;
    let keys = certs.json().ok_or("no key set")?;
    let modulus = keys["keys"][0]["n"].as_str().unwrap_or_default().as_bytes().to_vec();
    for alg in ["HS256", "HS512"] {
        let header = json!({ "alg": alg, "typ": "JWT", "kid": kid });
        let unsigned = forge(&header, &claims(real)?, b"");
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &modulus);
        let tag = aws_lc_rs::hmac::sign(&key, unsigned.trim_end_matches('.').as_bytes());
        all_refuse(world, Some(&forge(&header, &claims(real)?, tag.as_ref())))?;
    }
    Ok(())
}

/// The `master` realm's token for the bootstrap administrator: same server,
/// other issuer, other keys.
fn other_issuer(world: &World) -> Result<(), String> {
    let token = keycloak(world)?.admin_token()?;
    all_refuse(world, Some(&token))
}

fn changed_claims(world: &World) -> Result<(), String> {
    let real = token(world, "alice")?;
    let signature = real.rsplit('.').next().unwrap_or_default();
    let mut changed = claims(real)?;
    changed["tenant"] = json!(["globex-lit"]);
    let header = part(real, 0)?;
    let forged = forge(&header, &changed, &B64.decode(signature).map_err(|e| e.to_string())?);
    all_refuse(world, Some(&forged))?;
    all_refuse(world, Some(real.trim_end_matches(signature)))
}

/// A refused request has a refusal as its whole body.
fn missing_return(world: &World) -> Result<(), String> {
    for (mount, request) in asks(world) {
        for token in [None, Some("x.y.z")] {
            let answer = send(world, token, mount, request.clone())?;
            let text = answer.text();
            if ["\"success\"", "resultType", "tagValues"].iter().any(|t| text.contains(t)) {
                return Err(format!("{mount}: {text}"));
            }
        }
    }
    Ok(())
}

/// `globex-lit` is also a user's name; it grants nothing.
fn user_named_like_tenant(world: &World) -> Result<(), String> {
    all_forbid(world, &keycloak(world)?.token("storefront", "globex-lit")?)
}

fn narrowing(world: &World) -> Result<(), String> {
    let carol = token(world, "carol")?;
    for (mount, request) in asks(world) {
        let both = send(world, Some(carol), mount, request.clone())?;
        shows(&both, "carol", "canary-acme-books")?;
        shows(&both, "carol", "canary-globex-lit")?;
        for (name, value) in [("X-Palisade-Tenant", "globex-lit"), ("X-Palisade-Scope", "tenant=globex-lit")]
        {
            let one = request.clone().header(name, value);
            shows(&send(world, Some(carol), mount, one)?, "bob", "canary-globex-lit")
                .map_err(|why| format!("{mount} {name}: {why}"))?;
        }
    }
    Ok(())
}

/// A claim whose value is a pattern of two tenants refuses the whole token.
fn ambiguous_value(world: &World) -> Result<(), String> {
    all_forbid(world, &keycloak(world)?.token("storefront", "mallory")?)
}

/// Two callers at once, many times: each sees the own data, and Palisade lives.
fn concurrent(world: &World) -> Result<(), String> {
    let callers = [
        ("alice", "canary-acme-books", token(world, "alice")?),
        ("bob", "canary-globex-lit", token(world, "bob")?),
    ];
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (caller, own, token) = callers[n % 2];
                scope.spawn(move || (0..6).try_for_each(|_| all_show(world, token, caller, own)))
            })
            .collect();
        threads.into_iter().try_for_each(|t| t.join().map_err(|_| "a thread panicked".to_owned())?)
    })
}

/// `ACME-BOOKS` is another tenant than `acme-books`.
fn case_folding(world: &World) -> Result<(), String> {
    let token = keycloak(world)?.token("storefront", "frank")?;
    for (mount, request) in asks(world) {
        let answer = send(world, Some(&token), mount, request)?;
        if answer.status != 200 {
            return Err(format!("{mount}: {} {}", answer.status, answer.text()));
        }
        if let Some(canary) = leaked(&answer, "frank") {
            return Err(format!("{mount}: LEAK of {canary}"));
        }
    }
    Ok(())
}

fn schemes(world: &World) -> Result<(), String> {
    let alice = token(world, "alice")?;
    let bob = token(world, "bob")?;
    for value in [
        format!("Basic {}", B64.encode("alice:alice-password")),
        format!("Token {alice}"),
        format!("Bearer {alice}, Bearer {bob}"),
        format!("Bearer {alice} {bob}"),
        alice.to_owned(),
    ] {
        for (mount, request) in asks(world) {
            let answer = send(world, None, mount, request.header("Authorization", &value))?;
            if answer.status != 401 {
                return Err(format!("{mount} `{value:.12}`: {}", answer.status));
            }
        }
    }
    for (mount, request) in asks(world) {
        let twice = request.header("Authorization", &format!("Bearer {bob}")).bearer(Some(alice));
        let answer = send(world, None, mount, twice)?;
        if answer.status < 400 {
            return Err(format!("{mount}: two headers: {}", answer.status));
        }
    }
    Ok(())
}

/// Dave has no tenant, so no rule is for him.
fn no_rule(world: &World) -> Result<(), String> {
    let dave = keycloak(world)?.token("storefront", "dave")?;
    all_forbid(world, &dave)?;
    let answer = send(world, Some(&dave), "prometheus", Request::get("/api/v1/status/config", &[]))?;
    // The policy comes before the path, so that nothing is learned.
    if answer.status == 403 { Ok(()) } else { Err(format!("an unlisted path: {}", answer.status)) }
}

/// No route forgets the policy: without a tenant each is closed, by GET and POST.
fn every_route(world: &World) -> Result<(), String> {
    let dave = keycloak(world)?.token("storefront", "dave")?;
    for (mount, path) in [
        ("prometheus", "/api/v1/query"),
        ("prometheus", "/api/v1/query_range"),
        ("prometheus", "/api/v1/series"),
        ("prometheus", "/api/v1/labels"),
        ("prometheus", "/api/v1/label/note/values"),
        ("prometheus", "/api/v1/status/buildinfo"),
        ("loki", "/loki/api/v1/query"),
        ("loki", "/loki/api/v1/query_range"),
        ("loki", "/loki/api/v1/series"),
        ("loki", "/loki/api/v1/labels"),
        ("loki", "/loki/api/v1/label/note/values"),
        ("loki", "/loki/api/v1/index/stats"),
        ("loki", "/loki/api/v1/status/buildinfo"),
        ("tempo", "/api/search"),
        ("tempo", "/api/traces/1"),
        ("tempo", "/api/v2/traces/1"),
        ("tempo", "/api/v2/search/tag/span.note/values"),
        ("tempo", "/api/metrics/query_range"),
        ("tempo", "/api/echo"),
    ] {
        for request in [Request::get(path, &[]), Request::form(path, &[])] {
            let method = request.method.clone();
            let answer = send(world, Some(&dave), mount, request)?;
            if answer.status != 403 {
                return Err(format!("{method} {mount}{path}: {} {}", answer.status, answer.text()));
            }
            shaped(&answer, mount)?;
        }
    }
    Ok(())
}

/// Tokens of made-up keys are refused, and real ones go on being taken.
fn unknown_kids(world: &World) -> Result<(), String> {
    let alice = token(world, "alice")?;
    let real = claims(alice)?;
    // At once, as each may wait for a fetch of the keys.
    let ask = |n: usize| {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": format!("made-up-{n}") });
        let forged = forge(&header, &real, &[7; 256]);
        let asks = asks(world);
        let (mount, request) = asks[n % asks.len()].clone();
        let answer = send(world, Some(&forged), mount, request)?;
        if answer.status == 401 { Ok(()) } else { Err(format!("{}: {}", answer.status, answer.text())) }
    };
    let ask = &ask;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..60).map(|n| scope.spawn(move || ask(n))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a panic".to_owned())?)
    })?;
    all_show(world, alice, "alice", "canary-acme-books")
}

/// The same text by different callers, in turn.
fn shared_cache(world: &World) -> Result<(), String> {
    for _ in 0..3 {
        all_show(world, token(world, "alice")?, "alice", "canary-acme-books")?;
        all_show(world, token(world, "bob")?, "bob", "canary-globex-lit")?;
        all_show(world, token(world, "carol")?, "carol", "canary-globex-lit")?;
    }
    Ok(())
}

/// No token, and no part of one that could be replayed, is in the log.
fn token_in_logs(world: &World) -> Result<(), String> {
    let log = world.palisade.as_ref().map(|p| p.log()).unwrap_or_default();
    for (user, caller) in &world.callers {
        let signature = caller.token.rsplit('.').next().unwrap_or_default();
        let claims = caller.token.split('.').nth(1).unwrap_or_default();
        if log.contains(signature) || log.contains(claims) {
            return Err(format!("the token of {user} is in the log"));
        }
    }
    Ok(())
}

/// The listener that serves Tempo at its root scopes as the mount does, and has
/// no mounts.
fn own_listener(world: &World) -> Result<(), String> {
    let base = world.palisade.as_ref().map(|p| &p.tempo).ok_or("Palisade does not run")?;
    let alice = Some(token(world, "alice")?);
    for (mount, request) in asks(world) {
        if mount == "tempo" {
            let answer = request.clone().bearer(alice).send(base)?;
            shows(&answer, "alice", "canary-acme-books")?;
            let answer = request.clone().send(base)?;
            if answer.status != 401 {
                return Err(format!("without a token: {}", answer.status));
            }
        }
        let below = base.under(&format!("/{mount}"));
        let answer = request.bearer(alice).send(&below)?;
        if answer.status != 404 {
            return Err(format!("/{mount}: {} {}", answer.status, answer.text()));
        }
    }
    Ok(())
}

/// The account API changes a user's name but not the tenant, so the next token
/// says what the last one said.
fn own_tenant(world: &World) -> Result<(), String> {
    let keycloak = keycloak(world)?;
    let before = keycloak.token("storefront", "bob")?;
    let refused = keycloak.change_account(&before, "bob", "Reader", "acme-books")?;
    if !(400..500).contains(&refused) {
        return Err(format!("the account API answered {refused}"));
    }
    // The control: the same call without the change of tenant is taken.
    let taken = keycloak.change_account(&before, "bob", "Changed", "globex-lit")?;
    let after = keycloak.token("storefront", "bob")?;
    let claims = claims(&after)?;
    if taken != 204 || claims["family_name"] != "Changed" {
        return Err(format!("the control fails: {taken} {claims}"));
    }
    if claims["tenant"] != json!(["globex-lit"]) {
        return Err(format!("the next token says {}", claims["tenant"]));
    }
    all_show(world, &after, "bob", "canary-globex-lit")
}
