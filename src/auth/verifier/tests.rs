//! What is remembered, and for how long.

use super::*;
use crate::auth::tests::{Door, KEY, NOW, at, claims, good};
use proptest::prelude::*;
use serde_json::{Map, json};

fn remembered(door: &Door) -> u64 {
    door.verifier.cache.run_pending_tasks();
    door.verifier.cache.entry_count()
}

#[tokio::test]
async fn a_token_is_verified_once_until_exp_and_every_time_from_then_on() {
    let door = Door::usual().await;
    let first = door.take(&good()).await.unwrap();
    let hit = door.at(&good(), 299).await.unwrap();
    assert!(Arc::ptr_eq(&first, &hit));
    let late = door.at(&good(), 300).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &late));
    let later = door.at(&good(), 300).await.unwrap();
    assert!(!Arc::ptr_eq(&late, &later));
    let latest = door.at(&good(), 329).await.unwrap();
    assert!(!Arc::ptr_eq(&later, &latest));
    assert_eq!(door.at(&good(), 330).await.err(), Some(TokenFault::Expired));
}

#[tokio::test]
async fn a_token_past_exp_is_not_remembered() {
    let door = Door::usual().await;
    door.at(&good(), 300).await.unwrap();
    assert_eq!(remembered(&door), 0);
    door.at(&good(), 299).await.unwrap();
    assert_eq!(remembered(&door), 1);
}

#[tokio::test]
async fn a_refused_token_is_not_remembered() {
    let door = Door::usual().await;
    let early = KEY.token(&claims(json!({"nbf": NOW + 100})));
    assert_eq!(door.take(&early).await.err(), Some(TokenFault::NotYetValid));
    assert_eq!(remembered(&door), 0);
    assert!(door.at(&early, 100).await.is_ok());
    assert_eq!(remembered(&door), 1);
}

#[tokio::test]
async fn entries_leave_at_exp() {
    let door = Door::usual().await;
    // The cache's own clock is the real one.
    let soon = KEY.token(&claims(json!({"exp": NOW + 1})));
    door.take(&soon).await.unwrap();
    assert_eq!(remembered(&door), 1);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(remembered(&door), 0);
}

#[tokio::test]
async fn the_cache_is_bounded_by_what_it_holds() {
    let door = Door::usual().await;
    let entry = |number: u32| {
        let digest = [number.to_be_bytes(); 8].concat().try_into().unwrap();
        let caller = Caller::verified("i".into(), Map::new(), at(300), Duration::ZERO, digest);
        Arc::new(Verified {
            caller: Arc::new(caller),
            decision: ArcSwapOption::empty(),
            voucher: Voucher::Issuer { place: 0, keys: 1 },
            fresh_for: Duration::from_secs(300),
            weight: 1024 * 1024,
            used: AtomicBool::new(false),
        })
    };
    for number in 0..200 {
        let entry = entry(number);
        door.verifier.cache.insert(*entry.caller.digest(), entry);
    }
    assert!((1..=64).contains(&remembered(&door)));
    let token = good();
    assert_eq!(door.take(&token).await.unwrap().weight as usize, token.len() + ENTRY_BYTES);
}

/// ATK-3D: access that a new policy takes away ends with the reload, not with the token.
#[tokio::test]
async fn atk_3d_a_decision_is_kept_for_its_policies_only() {
    let door = Door::usual().await;
    let token = good();
    let decide = |generation: u64, answer: &str| {
        let (door, token, answer) = (&door, token.clone(), answer.to_owned());
        async move {
            let verified = door.take(&token).await.unwrap();
            verified
                .decision(generation, |caller| format!("{answer} {}", caller.claims()["tenant"]))
                .to_string()
        }
    };
    assert_eq!(decide(1, "granted").await, "granted \"acme-books\"");
    assert_eq!(decide(1, "asked again").await, "granted \"acme-books\"");
    assert_eq!(decide(2, "denied").await, "denied \"acme-books\"");
    assert_eq!(decide(2, "asked again").await, "denied \"acme-books\"");
    // A request that is still under way with the old policies spoils nothing.
    assert_eq!(decide(1, "late").await, "late \"acme-books\"");
    assert_eq!(decide(2, "denied").await, "denied \"acme-books\"");
}

#[tokio::test]
async fn the_first_use_of_a_token_is_told_once() {
    let door = Door::usual().await;
    assert!(door.take(&good()).await.unwrap().first_use());
    assert!(!door.take(&good()).await.unwrap().first_use());
}

/// Credentials of all sorts: good for long, for a short time, later, and never.
fn tokens() -> Vec<String> {
    let changes = [
        json!({}),
        json!({"exp": NOW + 60}),
        json!({"nbf": NOW + 120, "tenant": ["acme-books", "globex-lit"]}),
        json!({"aud": "account"}),
        json!({"exp": NOW - 31}),
        json!({"iss": "https://elsewhere.example.org"}),
    ];
    changes.into_iter().map(|changes| KEY.token(&claims(changes))).collect()
}

/// What a caller is told: the decision of these policies, or the fault.
async fn told(door: &Door, token: &str, seconds: i64, policies: u64) -> Result<String, TokenFault> {
    let verified = door.at(token, seconds).await?;
    let decide = |caller: &Caller| format!("{policies} {} {:?}", caller.claims()["tenant"], caller.expires());
    Ok(verified.decision(policies, decide).to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whoever asks what in whatever order and under whichever policies, as time goes by: a door that remembers says
    /// what a door says that has never been asked.
    #[test]
    fn caching_never_changes_a_decision(
        steps in prop::collection::vec((0_usize..6, 0_i64..90, 1_u64..3), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (door, tokens, mut seconds) = (Door::usual().await, tokens(), -60);
            for (token, pause, policies) in steps {
                seconds += pause;
                let fresh = Door::usual().await;
                let expected = told(&fresh, &tokens[token], seconds, policies).await;
                prop_assert_eq!(told(&door, &tokens[token], seconds, policies).await, expected);
            }
            Ok(())
        })?;
    }
}
