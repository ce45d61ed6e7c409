//! Service accounts: a static list of names, hashes of passwords, and claims.
//!
//! Checking a password is made to take long, so it is made rare: one at a time, each combination of name and
//! password once, and only so many in a while. A name that is not in the list costs what one that is does.

use super::caller::{Caller, Digest};
use super::password::{MAX_PASSWORD_BYTES, PasswordHash};
use crate::rejection::TokenFault;
use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use moka::sync::Cache;
use serde_json::{Map, Value};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;

/// What is said to be the issuer of a service account's claims.
pub const SERVICE_ACCOUNTS: &str = "service-accounts";
/// The most service accounts.
pub const MAX_ACCOUNTS: usize = 256;
/// Bytes of a name.
const MAX_NAME_BYTES: usize = 64;
/// Bytes of name and password as they are coded in a header.
const MAX_CODED_BYTES: usize = (MAX_NAME_BYTES + 1 + MAX_PASSWORD_BYTES).div_ceil(3) * 4;
/// How long a check counts. What follows needs no work: what was right stays right as long as the list does.
const LIFE: Duration = Duration::from_secs(3600);
/// The longest that a request waits for others' checks.
const WAIT: Duration = Duration::from_secs(5);
/// The most combinations that are remembered as wrong, and for how long.
const MAX_WRONG: u64 = 1024;
const WRONG_FOR: Duration = Duration::from_secs(300);
/// Names fall into so many groups, whether they are in the list or not. Each has as many checks at once, and one
/// more in each pause: at some tenths of a second each, all groups together keep a core busy a third of the time.
const GROUPS: usize = 16;
const AT_ONCE: u32 = 4;
const PAUSE: Duration = Duration::from_secs(10);

/// A caller that is known by a name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its name.
    pub name: String,
    /// What is kept of its password.
    pub hash: PasswordHash,
    /// What policies see as its claims. `sub` is its name, unless it is here.
    pub claims: Map<String, Value>,
}

/// Whether a service account can have this name: `[A-Za-z0-9][A-Za-z0-9._@-]{0,63}`, so without the colon that ends
/// it in a header (RFC 7617, section 2).
pub fn is_account_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-');
    first && name.len() <= MAX_NAME_BYTES && name.bytes().all(plain)
}

/// The list, and what was found out so far.
pub(super) struct Accounts {
    known: Vec<Arc<Known>>,
    /// The rounds that each check takes.
    rounds: u32,
    issuer: Arc<str>,
    wrong: Cache<Digest, ()>,
    turn: Arc<Semaphore>,
    groups: [Mutex<Budget>; GROUPS],
    /// Seeded at random, so that nobody can choose a name of another's group.
    hasher: RandomState,
}

/// One account, and the digest of the right credentials once they were shown.
struct Known {
    account: ServiceAccount,
    right: ArcSwapOption<Digest>,
}

/// The checks that are left to a group.
#[derive(Clone, Copy)]
struct Budget {
    left: u32,
    since: Instant,
}

impl Accounts {
    pub(super) fn new(accounts: Vec<ServiceAccount>) -> Self {
        let rounds = accounts.iter().map(|account| account.hash.rounds()).max().unwrap_or(0);
        let known = |account| Arc::new(Known { account, right: ArcSwapOption::empty() });
        let full = || Mutex::new(Budget { left: AT_ONCE, since: Instant::now() });
        Self {
            known: accounts.into_iter().map(known).collect(),
            rounds,
            issuer: Arc::from(SERVICE_ACCOUNTS),
            wrong: Cache::builder().max_capacity(MAX_WRONG).time_to_live(WRONG_FOR).build(),
            turn: Arc::new(Semaphore::new(1)),
            groups: std::array::from_fn(|_| full()),
            hasher: RandomState::new(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The account whose name and password `coded` are, which has `digest`.
    ///
    /// # Errors
    /// [`TokenFault::Malformed`], [`TokenFault::Credentials`] if the name or the password is wrong,
    /// [`TokenFault::Attempts`] if that cannot be found out now.
    pub(super) async fn caller(
        &self,
        coded: &[u8],
        digest: Digest,
        now: SystemTime,
    ) -> Result<Caller, TokenFault> {
        let pair = Pair::read(coded)?;
        let known = self.known.iter().find(|known| known.account.name == pair.name);
        if let Some(account) = self.remembered(known, &digest)? {
            return self.accept(account, now, digest);
        }
        let turn = Arc::clone(&self.turn).acquire_owned();
        let turn = tokio::time::timeout(WAIT, turn).await.ok().and_then(Result::ok);
        let turn = turn.ok_or(TokenFault::Attempts)?;
        // Whoever had the turn before may have found it out: the panels of a dashboard ask together.
        if let Some(account) = self.remembered(known, &digest)? {
            return self.accept(account, now, digest);
        }
        self.afford(&pair.name)?;
        // Off the worker's thread. The turn ends when what was found out is noted, even if nobody waits for it.
        let (checked, wrong, rounds) = (known.cloned(), self.wrong.clone(), self.rounds);
        let check = tokio::task::spawn_blocking(move || {
            let right = is_right(checked.as_deref().map(|known| &known.account), rounds, &pair.password);
            match checked {
                Some(known) if right => known.right.store(Some(Arc::new(digest))),
                _ => wrong.insert(digest, ()),
            }
            drop(turn);
            right
        });
        match (known, check.await) {
            (Some(known), Ok(true)) => self.accept(&known.account, now, digest),
            (_, Ok(_)) => Err(TokenFault::Credentials),
            (_, Err(_)) => Err(TokenFault::Attempts),
        }
    }

    /// The account if these credentials are known to be right; `None` if that is not known.
    fn remembered<'a>(
        &self,
        known: Option<&'a Arc<Known>>,
        digest: &Digest,
    ) -> Result<Option<&'a ServiceAccount>, TokenFault> {
        match known {
            Some(known) if known.right.load().as_deref() == Some(digest) => Ok(Some(&known.account)),
            _ if self.wrong.contains_key(digest) => Err(TokenFault::Credentials),
            _ => Ok(None),
        }
    }

    /// Takes one check from the budget of the name's group.
    fn afford(&self, name: &str) -> Result<(), TokenFault> {
        let group = usize::try_from(self.hasher.hash_one(name) % GROUPS as u64).unwrap_or_default();
        let budget = self.groups.get(group).ok_or(TokenFault::Attempts)?;
        let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.take(Instant::now()).then_some(()).ok_or(TokenFault::Attempts)
    }

    fn accept(
        &self,
        account: &ServiceAccount,
        now: SystemTime,
        digest: Digest,
    ) -> Result<Caller, TokenFault> {
        let mut claims = account.claims.clone();
        claims.entry("sub").or_insert_with(|| account.name.clone().into());
        let expires = now.checked_add(LIFE).ok_or(TokenFault::Expired)?;
        Ok(Caller::verified(Arc::clone(&self.issuer), claims, expires, Duration::ZERO, digest))
    }
}

/// Whether it is the account's password. It takes as many rounds for every account, and for none.
fn is_right(account: Option<&ServiceAccount>, rounds: u32, password: &[u8]) -> bool {
    let own = account.map_or(0, |account| account.hash.rounds());
    PasswordHash::work(rounds.saturating_sub(own), password);
    account.is_some_and(|account| account.hash.is_of(password))
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        while self.left < AT_ONCE && now.duration_since(self.since) >= PAUSE {
            self.left += 1;
            self.since += PAUSE;
        }
        if self.left == AT_ONCE {
            self.since = now;
        }
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }
}

/// Name and password.
struct Pair {
    name: String,
    password: Vec<u8>,
}

impl Pair {
    /// Reads what follows `Basic ` (RFC 7617, section 2): one spelling only.
    fn read(coded: &[u8]) -> Result<Self, TokenFault> {
        if coded.len() > MAX_CODED_BYTES {
            return Err(TokenFault::Malformed);
        }
        let pair = STANDARD.decode(coded).map_err(|_| TokenFault::Malformed)?;
        let colon = pair.iter().position(|byte| *byte == b':').ok_or(TokenFault::Malformed)?;
        let (name, password) = pair.split_at_checked(colon).ok_or(TokenFault::Malformed)?;
        let password = password.get(1..).unwrap_or_default();
        let name = str::from_utf8(name).ok().filter(|name| is_account_name(name));
        if password.is_empty() || password.len() > MAX_PASSWORD_BYTES {
            return Err(TokenFault::Malformed);
        }
        Ok(Self { name: name.ok_or(TokenFault::Malformed)?.to_owned(), password: password.to_vec() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
