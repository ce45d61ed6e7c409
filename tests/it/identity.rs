//! Credentials beside tokens, and what is told of issuers, through the whole server.

use crate::support::issuer::FakeIssuer;
use crate::support::proxy::{Proxy, exchange};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// The hash of `palisade-test-password`.
const HASH: &str =
    "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODw$nyZVqCpy3DI3m8YMbjRmzTqkk07dcLzDWZcFBGhcTPs";
/// `job:palisade-test-password`.
const JOB: &str = "Authorization: Basic am9iOnBhbGlzYWRlLXRlc3QtcGFzc3dvcmQ=";
/// `job:wrong`.
const WRONG: &str = "Authorization: Basic am9iOndyb25n";

fn accounts() -> String {
    format!("service_accounts: [{{ name: job, hash: '{HASH}', claims: {{ tenant: acme-books }} }}]")
}

#[tokio::test]
async fn a_service_account_asks_as_its_claims_say() {
    let proxy = Proxy::start_with(&accounts()).await;
    let target = "/prometheus/api/v1/query?query=up";
    for _ in 0..3 {
        assert_eq!(proxy.raw("GET", target, &[JOB], "").await.status, 200);
        let received = proxy.prometheus.take_one();
        assert_eq!(received.body, "query=up%7Btenant%3D%22acme-books%22%7D");
        assert!(!received.headers.iter().any(|header| header.starts_with("authorization")), "{received:?}");
    }
    let refused = proxy.raw("GET", target, &[WRONG], "").await;
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some("Bearer error=\"invalid_token\""))
    );
    assert_eq!(refused.json()["error"], "name or password not accepted");
    assert_eq!(proxy.raw("GET", target, &[JOB, JOB], "").await.status, 401);
    assert_eq!(proxy.get(target).await.status, 200, "tokens are taken beside");
}

/// Guessing costs the guesser time, and the server no more than it has decided.
#[tokio::test]
async fn guesses_are_refused_unseen_after_a_few() {
    let proxy = Proxy::start_with(&accounts()).await;
    let started = Instant::now();
    // `job:0` and so on, all at once.
    let guesses = ["OjA=", "OjE=", "OjI=", "OjM=", "OjQ=", "OjU=", "OjY=", "Ojc=", "Ojg=", "Ojk="];
    let asking = guesses.map(|guess| {
        let (address, guess) = (proxy.running.addresses[0], format!("Authorization: Basic am9i{guess}"));
        tokio::spawn(async move {
            exchange(&address.to_string(), "GET", "/loki/loki/api/v1/labels", &[&guess], "").await
        })
    });
    let (mut seen, mut unseen) = (0, 0);
    for asked in asking {
        let refused = asked.await.unwrap();
        match refused.status {
            401 => seen += 1,
            429 => {
                unseen += 1;
                assert_eq!(refused.header("retry-after"), Some("10"));
            }
            other => panic!("{other}"),
        }
    }
    let most = 4 + started.elapsed().as_secs() / 10;
    assert!(seen <= most && unseen > 0, "{seen} of {most} and {unseen}");
    assert!(proxy.loki.take().is_empty());
    let page = proxy.admin("/metrics").await.text();
    assert!(page.contains(&format!("palisade_token_total{{outcome=\"credentials\"}} {seen}\n")), "{page}");
    assert!(page.contains(&format!("palisade_token_total{{outcome=\"attempts\"}} {unseen}\n")), "{page}");
}

#[tokio::test]
async fn without_a_list_there_is_no_basic_authentication() {
    let proxy = Proxy::start().await;
    let refused = proxy.raw("GET", "/prometheus/api/v1/query?query=up", &[JOB], "").await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
}

#[tokio::test]
async fn grafanas_header_is_taken_where_an_issuer_opens_it_and_beside_no_other() {
    let (grafana, issuer) = FakeIssuer::grafana().await;
    let proxy = Proxy::start_trusting(&issuer, "").await;
    let id = format!("X-Grafana-Id: {}", grafana.grafana_id("acme-books"));
    let target = "/prometheus/api/v1/query?query=up";
    // The second issuer's keys may still be on their way.
    assert_eq!(proxy.raw("GET", target, &[&id], "").await.status, 200);
    assert!(proxy.prometheus.take_one().body.contains("acme-books"));
    let both = proxy.send("GET", target, &[&id], "").await;
    assert_eq!(
        (both.status, both.json()["error"].as_str().unwrap()),
        (401, "more than one credential, send one")
    );
    assert!(proxy.prometheus.take().is_empty());
    assert_eq!(proxy.get(target).await.status, 200);
}

#[tokio::test]
async fn metrics_tell_how_old_an_issuers_keys_are() {
    let proxy = Proxy::start().await;
    let page = proxy.admin("/metrics").await.text();
    let issuer = proxy.issuer.url();
    let age = format!("palisade_issuer_keys_age_seconds{{issuer=\"{issuer}\"}} ");
    let age: f64 = page.lines().find_map(|line| line.strip_prefix(&age)).unwrap().parse().unwrap();
    assert!((0.0..60.0).contains(&age), "{age}");
    for (outcome, count) in [("done", 1), ("failed", 0)] {
        let line =
            format!("palisade_issuer_fetches_total{{issuer=\"{issuer}\",outcome=\"{outcome}\"}} {count}\n");
        assert!(page.contains(&line), "{page}");
    }
}

fn hash(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.arg("hash").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended already, without a look at its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn the_hash_command_hashes_one_line_of_standard_input() {
    use palisade::auth::password::PasswordHash;
    for input in ["pass word", "pass word\n"] {
        let output = hash(&[], input);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        let made: PasswordHash = text.trim_end().parse().unwrap();
        assert!(made.is_of(b"pass word") && !made.is_of(b"pass word\n"));
    }
    let generated = String::from_utf8(hash(&["--generate"], "").stdout).unwrap();
    let lines: Vec<&str> = generated.lines().collect();
    assert_eq!((lines.len(), lines[0].len()), (2, 43));
    assert!(lines[1].parse::<PasswordHash>().unwrap().is_of(lines[0].as_bytes()));
}

#[test]
fn what_is_no_password_is_not_hashed() {
    let long = "x".repeat(1024);
    assert_eq!(hash(&[], &long).status.code(), Some(0));
    for bad in ["", "\n", "a\nb", "a\r\n", &format!("{long}x")] {
        let output = hash(&[], bad);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{bad:.10}");
    }
}
