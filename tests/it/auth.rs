//! Keys are fetched from a fake issuer: rotation, storms, outages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::support::issuer::{Answer, FakeIssuer, SigningKey, jwks};
use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use palisade::auth::config::{Issuer, IssuerFault, KeySource};
use palisade::auth::{KeyTiming, Trusted, Verifier};
use palisade::limits::Limits;
use palisade::rejection::TokenFault;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Nothing but the first fetch happens by itself during a test.
const QUIET: KeyTiming = KeyTiming {
    refresh: Duration::from_secs(600),
    retry: Duration::from_secs(600),
    interval: Duration::from_millis(300),
    absent: Duration::from_secs(600),
    timeout: Duration::from_secs(5),
    wait: Duration::from_secs(5),
};

/// Everything happens soon.
const SWIFT: KeyTiming =
    KeyTiming { refresh: Duration::from_millis(40), retry: Duration::from_millis(20), ..QUIET };

fn verifier(issuers: Vec<Issuer>, timing: KeyTiming) -> Verifier<()> {
    Verifier::start(Trusted { timing, ..Trusted::issuers(issuers) }, &Limits::default()).unwrap()
}

/// Why the token is refused; `None` if it is taken.
async fn fault(verifier: &Verifier<()>, token: &str) -> Option<TokenFault> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
    verifier.verify(&headers).await.err()
}

/// Waits for `what`; a test that waits for ever fails here.
async fn until(what: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !what().await {
        assert!(start.elapsed() < Duration::from_secs(20), "it never came to be");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ready(verifier: &Verifier<()>) {
    until(async || verifier.ready()).await;
}

/// Waits until a key that is not there may be looked for again.
async fn interval(timing: KeyTiming) {
    tokio::time::sleep(timing.interval + Duration::from_millis(50)).await;
}

/// A token of the issuer under the name of a key that it never had.
fn unknown(issuer: &FakeIssuer, number: usize) -> String {
    let mut header = issuer.key().header();
    header["kid"] = format!("unknown-{number}").into();
    issuer.key().mint(&header, &issuer.claims("acme-books"))
}

#[tokio::test]
async fn keys_are_discovered() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], QUIET);
    ready(&verifier).await;
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
    assert_eq!((issuer.discovery_requests(), issuer.jwks_requests(), issuer.other_requests()), (1, 1, 0));
}

/// A realm that is reached from here under another name than the one in its tokens.
#[tokio::test]
async fn keys_are_discovered_at_another_place_for_the_issuers_own_name() {
    let issuer = FakeIssuer::start().await;
    let (name, place) =
        ("https://sso.example.org/realms/acme", format!("{}/.well-known/openid-configuration", issuer.url()));
    let settings = Issuer { url: name.to_owned(), keys: KeySource::DiscoveryUrl(place), ..issuer.settings() };
    let mut claims = issuer.claims("acme-books");
    claims["iss"] = name.into();
    let token = issuer.key().token(&claims);
    // The document must say the issuer's name, wherever it lies.
    let other = verifier(vec![settings.clone()], QUIET);
    assert_eq!(fault(&other, &token).await, Some(TokenFault::KeysUnavailable));
    assert_eq!((issuer.discovery_requests(), issuer.jwks_requests()), (1, 0));
    issuer.answer_discovery(Answer::Json(json!({"issuer": name, "jwks_uri": issuer.jwks_url()})));
    let verifier = verifier(vec![settings], QUIET);
    assert_eq!(fault(&verifier, &token).await, None);
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, Some(TokenFault::Issuer));
}

/// How old an issuer's keys are says whether it can be reached, long before a token with a new key is refused.
#[tokio::test]
async fn the_age_of_keys_grows_while_they_cannot_be_fetched() {
    let issuer = FakeIssuer::start().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let fetched = Arc::new(move |url: &str, good: bool| teller.lock().unwrap().push((url.to_owned(), good)));
    let trusted = Trusted { timing: SWIFT, fetched, ..Trusted::issuers(vec![issuer.settings()]) };
    let verifier = Verifier::<()>::start(trusted, &Limits::default()).unwrap();
    let age = || verifier.ages().map(|(_, age)| age).next().unwrap();
    ready(&verifier).await;
    until(async || issuer.jwks_requests() > 5).await;
    assert!(age() < Duration::from_secs(5), "{:?}", age());
    assert!(told.lock().unwrap().iter().all(|(url, good)| url == issuer.url() && *good));
    issuer.answer_jwks(Answer::Status(503));
    until(async || told.lock().unwrap().iter().filter(|(_, good)| !good).count() > 1).await;
    let before = age();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(age() >= before + Duration::from_millis(200));
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
}

#[tokio::test]
async fn keys_come_from_a_given_url() {
    let issuer = FakeIssuer::start().await;
    let settings = Issuer { keys: KeySource::JwksUrl(issuer.jwks_url()), ..issuer.settings() };
    let verifier = verifier(vec![settings], QUIET);
    ready(&verifier).await;
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
    assert_eq!((issuer.discovery_requests(), issuer.jwks_requests()), (0, 1));
}

#[tokio::test]
async fn a_key_file_is_read_again() {
    let issuer = FakeIssuer::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), jwks([&*issuer.key()]).to_string()).unwrap();
    let settings = Issuer { keys: KeySource::JwksFile(file.path().to_owned()), ..issuer.settings() };
    let verifier = verifier(vec![settings], SWIFT);
    ready(&verifier).await;
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
    issuer.rotate("second");
    std::fs::write(file.path(), jwks([&*issuer.key()]).to_string()).unwrap();
    until(async || fault(&verifier, &issuer.token("acme-books")).await.is_none()).await;
    assert_eq!(issuer.jwks_requests(), 0);
}

#[tokio::test]
async fn the_first_request_waits_for_the_keys() {
    let issuer = FakeIssuer::start().await;
    let set = jwks([&*issuer.key()]);
    issuer.answer_jwks(Answer::Later(Duration::from_millis(200), set));
    let verifier = verifier(vec![issuer.settings()], QUIET);
    assert!(!verifier.ready());
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
    assert_eq!(issuer.jwks_requests(), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], QUIET);
    ready(&verifier).await;
    interval(QUIET).await;
    issuer.rotate("second");
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
    assert_eq!(issuer.jwks_requests(), 2);
}

/// A key is withdrawn because it is no longer trusted: tokens that were verified with it are no longer either.
#[tokio::test]
async fn a_withdrawn_key_ends_the_remembered_tokens() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], SWIFT);
    ready(&verifier).await;
    let old = issuer.token("acme-books");
    assert_eq!(fault(&verifier, &old).await, None);
    issuer.rotate("second");
    until(async || fault(&verifier, &old).await == Some(TokenFault::Signature)).await;
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
}

#[tokio::test]
async fn an_unchanged_set_leaves_remembered_tokens_alone() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], SWIFT);
    ready(&verifier).await;
    let token = format!("Bearer {}", issuer.token("acme-books"));
    let headers = HeaderMap::from_iter([(AUTHORIZATION, token.parse().unwrap())]);
    let first = verifier.verify(&headers).await.unwrap();
    let fetched = issuer.jwks_requests();
    until(async || issuer.jwks_requests() > fetched + 2).await;
    assert!(Arc::ptr_eq(&first, &verifier.verify(&headers).await.unwrap()));
}

#[tokio::test]
async fn atk_3c_a_storm_of_unknown_keys_makes_one_fetch_per_interval() {
    let issuer = FakeIssuer::start().await;
    let verifier = Arc::new(verifier(vec![issuer.settings()], QUIET));
    ready(&verifier).await;
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < Duration::from_millis(1_500) {
        let storm = (0..20).map(|_| {
            number += 1;
            let (verifier, token) = (Arc::clone(&verifier), unknown(&issuer, number));
            tokio::spawn(async move { fault(&verifier, &token).await })
        });
        for refused in storm.collect::<Vec<_>>() {
            assert_eq!(refused.await.unwrap(), Some(TokenFault::Signature));
        }
    }
    let most = 1 + start.elapsed().as_millis().div_ceil(QUIET.interval.as_millis()) as usize;
    let fetched = issuer.jwks_requests();
    assert!((3..=most).contains(&fetched), "{fetched} fetches for {number} tokens, at most {most} allowed");
    assert_eq!(issuer.discovery_requests(), fetched);
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
}

#[tokio::test]
async fn atk_3c_requests_for_one_unknown_key_share_one_fetch() {
    let issuer = FakeIssuer::start().await;
    let verifier = Arc::new(verifier(vec![issuer.settings()], QUIET));
    ready(&verifier).await;
    interval(QUIET).await;
    issuer.rotate("second");
    issuer.answer_jwks(Answer::Later(Duration::from_millis(100), jwks([&*issuer.key()])));
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let (verifier, token) = (Arc::clone(&verifier), issuer.token("acme-books"));
            tokio::spawn(async move { fault(&verifier, &token).await })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), None);
    }
    assert_eq!(issuer.jwks_requests(), 2);
}

#[tokio::test]
async fn atk_3c_a_key_that_was_not_found_is_not_looked_for_again() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], QUIET);
    ready(&verifier).await;
    for _ in 0..3 {
        interval(QUIET).await;
        assert_eq!(fault(&verifier, &unknown(&issuer, 1)).await, Some(TokenFault::Signature));
    }
    assert_eq!(issuer.jwks_requests(), 2);
    assert_eq!(fault(&verifier, &unknown(&issuer, 2)).await, Some(TokenFault::Signature));
    assert_eq!(issuer.jwks_requests(), 3);
}

/// Right after a fetch the next one is not due: a token with a new key waits for it, and is good.
#[tokio::test]
async fn a_key_that_is_made_right_after_a_fetch_is_waited_for() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], QUIET);
    ready(&verifier).await;
    for kid in ["second", "third", "fourth"] {
        issuer.rotate(kid);
        assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None, "{kid}");
    }
    assert_eq!(issuer.jwks_requests(), 4);
}

/// What a fetch brings was asked for before the key was made, so it does not say that there is none.
#[tokio::test]
async fn a_key_that_is_made_during_a_fetch_is_looked_for_again() {
    let issuer = FakeIssuer::start().await;
    let verifier = Arc::new(verifier(vec![issuer.settings()], QUIET));
    ready(&verifier).await;
    interval(QUIET).await;
    issuer.answer_jwks(Answer::Later(Duration::from_millis(200), jwks([&*issuer.key()])));
    let (other, token) = (Arc::clone(&verifier), unknown(&issuer, 1));
    let first = tokio::spawn(async move { fault(&other, &token).await });
    until(async || issuer.jwks_requests() == 2).await;
    issuer.rotate("second");
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
    assert_eq!(first.await.unwrap(), Some(TokenFault::Signature));
    assert_eq!(issuer.jwks_requests(), 3);
}

#[tokio::test]
async fn atk_3c_256_requests_wait_for_a_fetch_at_once_and_no_more() {
    let issuer = FakeIssuer::start().await;
    let verifier = Arc::new(verifier(vec![issuer.settings()], QUIET));
    ready(&verifier).await;
    interval(QUIET).await;
    issuer.answer_jwks(Answer::Later(Duration::from_secs(3), jwks([&*issuer.key()])));
    let tokens: Vec<_> = (0..257).map(|number| unknown(&issuer, number)).collect();
    let asking = tokens.into_iter().map(|token| {
        let verifier = Arc::clone(&verifier);
        tokio::spawn(async move { fault(&verifier, &token).await })
    });
    let mut faults = Vec::new();
    for asked in asking.collect::<Vec<_>>() {
        faults.push(asked.await.unwrap().unwrap());
    }
    let count = |fault| faults.iter().filter(|other| **other == fault).count();
    assert_eq!((count(TokenFault::Signature), count(TokenFault::KeysUnavailable)), (256, 1));
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
}

#[tokio::test]
async fn a_request_that_gives_up_does_not_stop_the_fetch() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], QUIET);
    ready(&verifier).await;
    interval(QUIET).await;
    issuer.rotate("second");
    issuer.answer_jwks(Answer::Later(Duration::from_millis(100), jwks([&*issuer.key()])));
    let token = issuer.token("acme-books");
    let given_up = tokio::time::timeout(Duration::from_millis(30), fault(&verifier, &token)).await;
    assert!(given_up.is_err());
    assert_eq!(fault(&verifier, &token).await, None);
    assert_eq!(issuer.jwks_requests(), 2);
}

#[tokio::test]
async fn the_last_good_keys_stay_while_the_issuer_is_down() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], SWIFT);
    ready(&verifier).await;
    let good = jwks([&*issuer.key()]);
    let oversized = json!({"keys": [], "x": "y".repeat(256 * 1024)});
    for broken in [
        Answer::Status(500),
        Answer::Status(404),
        Answer::Status(204),
        Answer::Bytes(Bytes::from_static(b"<html>maintenance</html>")),
        Answer::Bytes(Bytes::new()),
        Answer::Json(json!({"keys": "none"})),
        Answer::Json(oversized),
        Answer::Redirect(format!("{}/elsewhere", issuer.url())),
    ] {
        issuer.answer_jwks(broken);
        let fetched = issuer.jwks_requests();
        until(async || issuer.jwks_requests() > fetched + 1).await;
        assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
        assert!(verifier.ready());
    }
    assert_eq!(issuer.other_requests(), 0, "a redirect was followed");
    assert_eq!(fault(&verifier, &unknown(&issuer, 1)).await, Some(TokenFault::KeysUnavailable));
    issuer.answer_jwks(Answer::Json(good));
    until(async || fault(&verifier, &unknown(&issuer, 1)).await == Some(TokenFault::Signature)).await;
}

#[tokio::test]
async fn an_issuer_that_empties_its_set_withdraws_its_keys() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], SWIFT);
    ready(&verifier).await;
    issuer.answer_jwks(Answer::Json(json!({"keys": []})));
    until(async || fault(&verifier, &issuer.token("acme-books")).await == Some(TokenFault::Signature)).await;
    assert!(!verifier.ready());
}

#[tokio::test]
async fn the_cap_on_a_key_set_is_256_kib() {
    let issuer = FakeIssuer::start().await;
    let sized = |size: usize| {
        let mut set = jwks([&*issuer.key()]);
        set["x"] = "".into();
        let missing = size - set.to_string().len();
        set["x"] = "y".repeat(missing).into();
        assert_eq!(set.to_string().len(), size);
        Answer::Json(set)
    };
    for (size, expected) in [(256 * 1024, None), (256 * 1024 + 1, Some(TokenFault::KeysUnavailable))] {
        issuer.answer_jwks(sized(size));
        let verifier = verifier(vec![issuer.settings()], QUIET);
        assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, expected, "{size}");
    }
}

#[tokio::test]
async fn a_dead_issuer_does_not_hold_up_the_start() {
    let issuer = FakeIssuer::start().await;
    issuer.answer_discovery(Answer::Never);
    let timing = KeyTiming {
        timeout: Duration::from_millis(1_500),
        wait: Duration::from_millis(100),
        retry: Duration::from_millis(20),
        ..QUIET
    };
    let start = Instant::now();
    let verifier = verifier(vec![issuer.settings()], timing);
    assert!(start.elapsed() < timing.timeout, "the start took {:?}", start.elapsed());
    assert!(!verifier.ready());
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, Some(TokenFault::KeysUnavailable));
    assert!(start.elapsed() < timing.timeout, "the request waited {:?}", start.elapsed());
    issuer.answer_discovery(Answer::Json(json!({"issuer": issuer.url(), "jwks_uri": issuer.jwks_url()})));
    ready(&verifier).await;
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, None);
}

#[tokio::test]
async fn a_dead_issuer_keeps_no_other_issuers_callers_out() {
    let (dead, alive) = (FakeIssuer::start().await, FakeIssuer::start().await);
    dead.answer_discovery(Answer::Status(503));
    let verifier = verifier(vec![dead.settings(), alive.settings()], QUIET);
    ready(&verifier).await;
    assert_eq!(fault(&verifier, &alive.token("acme-books")).await, None);
    assert_eq!(fault(&verifier, &dead.token("acme-books")).await, Some(TokenFault::KeysUnavailable));
}

#[tokio::test]
async fn atk_32_a_discovery_document_of_another_issuer_is_refused() {
    let (issuer, other) = (FakeIssuer::start().await, FakeIssuer::start().await);
    for named in [json!(other.url()), json!(format!("{}/", issuer.url())), json!([issuer.url()]), json!(null)]
    {
        issuer.answer_discovery(Answer::Json(json!({"issuer": named, "jwks_uri": issuer.jwks_url()})));
        let verifier = verifier(vec![issuer.settings()], QUIET);
        assert_eq!(
            fault(&verifier, &issuer.token("acme-books")).await,
            Some(TokenFault::KeysUnavailable),
            "{named}"
        );
        assert!(!verifier.ready());
    }
    assert_eq!(issuer.jwks_requests(), 0);
}

#[tokio::test]
async fn the_discovered_key_set_must_be_fetchable() {
    let issuer = FakeIssuer::start().await;
    for place in [
        "http://keys.example.org/certs",
        "file:///etc/passwd",
        "/realms/acme/protocol/openid-connect/certs",
        "ftp://127.0.0.1/certs",
        "http://user@127.0.0.1/certs",
        "",
    ] {
        issuer.answer_discovery(Answer::Json(json!({"issuer": issuer.url(), "jwks_uri": place})));
        let verifier = verifier(vec![issuer.settings()], QUIET);
        let fault = fault(&verifier, &issuer.token("acme-books")).await;
        assert_eq!(fault, Some(TokenFault::KeysUnavailable), "{place}");
    }
}

#[tokio::test]
async fn a_redirected_discovery_is_not_followed() {
    let (issuer, theirs) = (FakeIssuer::start().await, FakeIssuer::start().await);
    let place = format!("{}/.well-known/openid-configuration", theirs.url());
    issuer.answer_discovery(Answer::Redirect(place));
    let verifier = verifier(vec![issuer.settings()], QUIET);
    assert_eq!(fault(&verifier, &issuer.token("acme-books")).await, Some(TokenFault::KeysUnavailable));
    assert_eq!(theirs.discovery_requests(), 0);
}

#[tokio::test]
async fn atk_30_a_url_in_a_header_is_never_asked() {
    let (issuer, theirs) = (FakeIssuer::start().await, FakeIssuer::start().await);
    let verifier = verifier(vec![issuer.settings()], QUIET);
    ready(&verifier).await;
    interval(QUIET).await;
    let key = SigningKey::p256("theirs");
    theirs.answer_jwks(Answer::Json(jwks([&key])));
    let mut header = key.header();
    header["jku"] = theirs.jwks_url().into();
    header["x5u"] = theirs.jwks_url().into();
    header["kid"] = theirs.jwks_url().into();
    let token = key.mint(&header, &issuer.claims("victim"));
    assert_eq!(fault(&verifier, &token).await, Some(TokenFault::Signature));
    assert_eq!((theirs.discovery_requests(), theirs.jwks_requests(), theirs.other_requests()), (0, 0, 0));
}

#[tokio::test]
async fn atk_32_an_issuer_that_is_not_configured_is_never_asked() {
    let (issuer, theirs) = (FakeIssuer::start().await, FakeIssuer::start().await);
    let verifier = verifier(vec![issuer.settings()], QUIET);
    ready(&verifier).await;
    assert_eq!(fault(&verifier, &theirs.token("victim")).await, Some(TokenFault::Issuer));
    assert_eq!((theirs.discovery_requests(), theirs.jwks_requests()), (0, 0));
}

#[tokio::test]
async fn fetching_ends_with_the_verifier() {
    let issuer = FakeIssuer::start().await;
    let verifier = verifier(vec![issuer.settings()], SWIFT);
    ready(&verifier).await;
    drop(verifier);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let fetched = issuer.jwks_requests();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(issuer.jwks_requests(), fetched);
}

#[tokio::test]
async fn plain_http_to_another_machine_is_refused_before_any_fetch() {
    let issuer = FakeIssuer::start().await;
    let settings = Issuer { url: "http://sso.example.org/realms/acme".to_owned(), ..issuer.settings() };
    assert!(matches!(settings.check(), Err(IssuerFault::PlainHttp(_))));
    assert!(Verifier::<()>::new(vec![settings], &Limits::default()).is_err());
}
