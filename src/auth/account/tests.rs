//! What a check of a password costs, and whom.

use super::*;

const PASSWORD: &str = "palisade-test-password";
/// The hash of [`PASSWORD`], see `password`.
const HASH: &str =
    "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODw$nyZVqCpy3DI3m8YMbjRmzTqkk07dcLzDWZcFBGhcTPs";

fn accounts() -> Accounts {
    let account = ServiceAccount { name: "job".to_owned(), hash: HASH.parse().unwrap(), claims: Map::new() };
    Accounts::new(vec![account])
}

async fn ask(accounts: &Accounts, pair: &str) -> Result<Caller, TokenFault> {
    let coded = STANDARD.encode(pair);
    let mut digest = Digest::default();
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, coded.as_bytes()).as_ref());
    accounts.caller(coded.as_bytes(), digest, SystemTime::now()).await
}

fn left(accounts: &Accounts, name: &str) -> u32 {
    let group = usize::try_from(accounts.hasher.hash_one(name) % GROUPS as u64).unwrap();
    accounts.groups[group].lock().unwrap().left
}

#[tokio::test]
async fn what_was_right_is_not_checked_again() {
    let accounts = accounts();
    for _ in 0..20 {
        assert!(ask(&accounts, &format!("job:{PASSWORD}")).await.is_ok());
    }
    assert_eq!(left(&accounts, "job"), AT_ONCE - 1);
}

#[tokio::test]
async fn what_was_wrong_is_not_checked_again() {
    let accounts = accounts();
    for _ in 0..20 {
        for pair in ["job:wrong", "nobody:wrong"] {
            assert_eq!(ask(&accounts, pair).await.err(), Some(TokenFault::Credentials));
        }
    }
    assert!(left(&accounts, "job") >= AT_ONCE - 2);
}

/// The panels of a dashboard ask together, with a password that nobody has shown yet.
#[tokio::test]
async fn requests_that_ask_together_share_one_check() {
    let accounts = Arc::new(accounts());
    let asking = (0..50).map(|_| {
        let accounts = Arc::clone(&accounts);
        tokio::spawn(async move { ask(&accounts, &format!("job:{PASSWORD}")).await.is_ok() })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert!(asked.await.unwrap());
    }
    assert_eq!(left(&accounts, "job"), AT_ONCE - 1);
}

#[tokio::test]
async fn four_passwords_can_be_tried_at_once_and_a_fifth_is_not_looked_at() {
    let accounts = accounts();
    for attempt in 0..4 {
        let fault = ask(&accounts, &format!("job:wrong-{attempt}")).await.err();
        assert_eq!(fault, Some(TokenFault::Credentials), "{attempt}");
    }
    // However long those took, no pause is over.
    let group = usize::try_from(accounts.hasher.hash_one("job") % GROUPS as u64).unwrap();
    *accounts.groups[group].lock().unwrap() = Budget { left: 0, since: Instant::now() };
    assert_eq!(ask(&accounts, "job:wrong-4").await.err(), Some(TokenFault::Attempts));
    assert_eq!(ask(&accounts, &format!("job:{PASSWORD}")).await.err(), Some(TokenFault::Attempts));
}

/// Who is known is not shut out by those who guess.
#[tokio::test]
async fn an_account_that_was_right_stays_right_while_others_guess() {
    let accounts = accounts();
    assert!(ask(&accounts, &format!("job:{PASSWORD}")).await.is_ok());
    for attempt in 0..4 {
        let _ = ask(&accounts, &format!("job:wrong-{attempt}")).await;
    }
    assert!(ask(&accounts, &format!("job:{PASSWORD}")).await.is_ok());
}

#[test]
fn a_budget_grows_by_one_in_each_pause_up_to_its_most() {
    let start = Instant::now();
    let mut budget = Budget { left: AT_ONCE, since: start };
    let mut takes =
        |seconds: u64| (0..10).take_while(|_| budget.take(start + Duration::from_secs(seconds))).count();
    assert_eq!((takes(100), takes(109)), (4, 0));
    assert_eq!((takes(110), takes(110), takes(119)), (1, 0, 0));
    assert_eq!(takes(145), 3);
    assert_eq!(takes(100_000), 4);
}

#[test]
fn a_name_has_64_characters_at_most_and_no_colon() {
    for good in ["job", "0", "grafana-alerting@acme.example_1", &"n".repeat(64)] {
        assert!(is_account_name(good), "{good}");
    }
    for bad in ["", "-a", ".a", "a:b", "a b", "a/b", "ä", "a\n", &"n".repeat(65)] {
        assert!(!is_account_name(bad), "{bad}");
    }
}

/// The same name or another, right or wrong: as many rounds, so as long.
#[test]
fn a_check_takes_as_long_for_a_name_that_is_not_there() {
    let accounts = accounts();
    let account = &accounts.known[0].account;
    let fastest = |account: Option<&ServiceAccount>| {
        let one = |_| {
            let start = Instant::now();
            assert!(!is_right(account, accounts.rounds, b"wrong"));
            start.elapsed()
        };
        (0..3).map(one).min().unwrap()
    };
    let (known, unknown) = (fastest(Some(account)), fastest(None));
    assert!(known < unknown * 2 && unknown < known * 2, "{known:?} and {unknown:?}");
}
