//! The keys of one issuer, kept fresh.
//!
//! One task per issuer does all the fetching, so two fetches can never be under way at once: on a schedule with
//! jitter, after a failure with growing pauses, and when a token names a key that is not there. The last is asked
//! for by anybody who can send a request, so it happens at most once in [`KeyTiming::interval`], and a name that
//! was not found is not looked for again during [`KeyTiming::absent`].
//!
//! A token that names a key which the issuer has just made is good, so its request waits for a fetch that began
//! after it came, and is refused only by what that one brings. Only so many wait at once.

use super::caller::Digest;
use super::config::{Algorithm, Issuer};
use super::fetch::{FetchFault, Fetcher};
use super::jwks::{Key, KeySet};
use crate::rejection::TokenFault;
use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, watch};

/// The most names of absent keys that are remembered.
const MAX_ABSENT: u64 = 1024;

/// The most requests that wait for a fetch at once: of those that are served at once a quarter, so that tokens of
/// made-up keys cannot take all places.
const MAX_WAITING: usize = 256;

/// When keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTiming {
    /// Between two scheduled fetches, give or take a tenth.
    pub refresh: Duration,
    /// After a first failure; it doubles with every further one, up to 30 s.
    pub retry: Duration,
    /// At least this long between the start of a fetch and one that an unknown key asks for.
    pub interval: Duration,
    /// How long a key that was not found is not looked for again.
    pub absent: Duration,
    /// The longest that one fetch takes, discovery included.
    pub timeout: Duration,
    /// The longest that a request waits for a fetch.
    pub wait: Duration,
}

impl Default for KeyTiming {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(300),
            retry: Duration::from_secs(1),
            interval: Duration::from_secs(5),
            absent: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            // An interval, and time for the fetch after it.
            wait: Duration::from_secs(8),
        }
    }
}

/// Is told after each fetch: of which issuer, and whether it went well.
pub type Fetched = Arc<dyn Fn(&str, bool) + Send + Sync>;

/// The longest pause after failures.
const MAX_RETRY: Duration = Duration::from_secs(30);

/// The keys of one issuer.
pub(super) struct Keys {
    issuer: Arc<Issuer>,
    timing: KeyTiming,
    current: ArcSwapOption<KeySet>,
    /// Counts the changes of `current`, so that what was verified with an older set can be told.
    generation: AtomicU64,
    absent: Cache<Digest, ()>,
    progress: watch::Sender<Progress>,
    wanted: Notify,
    /// The number of the latest fetch that some request waits for.
    wished: AtomicU64,
    waiting: Semaphore,
    fetched: Fetched,
    since: Instant,
}

/// What the fetching task has done so far.
#[derive(Clone, Copy, Default)]
struct Progress {
    started: u64,
    finished: u64,
    /// When the latest fetch started.
    latest: Option<Instant>,
    /// When a fetch last went well.
    good: Option<Instant>,
    /// Whether the latest finished fetch failed.
    failed: bool,
}

/// A key, and the generation of the set that it was found in.
pub(super) struct FoundKey {
    /// The key.
    pub(super) key: Arc<Key>,
    /// See [`Keys::generation`].
    pub(super) generation: u64,
}

impl Keys {
    pub(super) fn new(issuer: Arc<Issuer>, timing: KeyTiming, fetched: Fetched) -> Self {
        Self {
            issuer,
            timing,
            current: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            absent: Cache::builder().max_capacity(MAX_ABSENT).time_to_live(timing.absent).build(),
            progress: watch::Sender::default(),
            wanted: Notify::new(),
            wished: AtomicU64::new(0),
            waiting: Semaphore::new(MAX_WAITING),
            fetched,
            since: Instant::now(),
        }
    }

    /// Takes over the keys of `before`, unless there are some of its own by now.
    pub(super) fn begin_with(&self, before: &Self) {
        let theirs = before.current.load_full();
        self.current.rcu(|own| own.clone().or_else(|| theirs.clone()));
        let good = before.progress.borrow().good;
        self.progress.send_modify(|progress| progress.good = progress.good.or(good));
    }

    /// Which set of keys is current. It changes whenever a key comes or goes.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether there is a usable key.
    pub(super) fn ready(&self) -> bool {
        self.current.load().as_ref().is_some_and(|set| set.len() > 0)
    }

    /// Whether a first fetch has ended, well or badly.
    pub(super) fn tried(&self) -> bool {
        self.progress.borrow().finished > 0
    }

    /// How long ago the keys were last fetched; if they never were, since when that is so.
    pub(super) fn age(&self) -> Duration {
        self.progress.borrow().good.unwrap_or(self.since).elapsed()
    }

    /// The key that a token names. The set is fetched anew if it is not there and that is allowed now.
    ///
    /// # Errors
    ///
    /// [`TokenFault::Signature`] if the issuer has no such key, [`TokenFault::KeysUnavailable`] if it could not
    /// be asked.
    pub(super) async fn find_or_fetch(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<FoundKey, TokenFault> {
        match self.find(kid, algorithm) {
            Some(found) => Ok(found),
            None => self.seek(kid, algorithm).await,
        }
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<FoundKey> {
        // Read before the set: if the set changes between the two, the older number only means that the
        // token is verified once more.
        let generation = self.generation();
        let key = self.current.load().as_ref()?.find(kid, algorithm)?;
        Some(FoundKey { key, generation })
    }

    /// Waits for a fetch that may bring the key, and asks for one.
    async fn seek(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<FoundKey, TokenFault> {
        let name = name(kid, algorithm);
        let seen = *self.progress.borrow();
        let running = seen.started > seen.finished;
        // While the issuer cannot be reached nobody waits for it to be asked again.
        if self.absent.contains_key(&name) || (!running && seen.failed && self.too_early(seen)) {
            return Err(self.absence(seen));
        }
        let _place = self.waiting.try_acquire().map_err(|_| TokenFault::KeysUnavailable)?;
        let brought = tokio::time::timeout(self.timing.wait, async {
            // One that is under way may have begun before the key was made: it can bring it, not deny it.
            if running {
                self.ended(seen.started).await;
                if let Some(found) = self.find(kid, algorithm) {
                    return Some(found);
                }
            }
            let next = seen.started.saturating_add(1);
            self.wished.fetch_max(next, Ordering::AcqRel);
            self.wanted.notify_one();
            self.ended(next).await;
            self.find(kid, algorithm)
        });
        match brought.await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => {
                let seen = *self.progress.borrow();
                if !seen.failed {
                    self.absent.insert(name, ());
                }
                Err(self.absence(seen))
            }
            Err(_) => Err(TokenFault::KeysUnavailable),
        }
    }

    /// Waits until the fetch of this number has ended.
    async fn ended(&self, number: u64) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.progress.subscribe().wait_for(|now| now.finished >= number).await;
    }

    fn too_early(&self, seen: Progress) -> bool {
        seen.latest.is_some_and(|latest| latest.elapsed() < self.timing.interval)
    }

    /// A key that is not there is no key, unless the issuer could not be asked.
    fn absence(&self, seen: Progress) -> TokenFault {
        if seen.failed || self.current.load().is_none() {
            TokenFault::KeysUnavailable
        } else {
            TokenFault::Signature
        }
    }

    /// Fetches for ever. To be run once.
    pub(super) async fn keep(self: Arc<Self>, fetcher: Arc<Fetcher>) {
        let mut failures = 0;
        loop {
            failures = if self.fetch(&fetcher).await { 0 } else { failures + 1 };
            let next = tokio::time::sleep(self.pause(failures));
            tokio::select! {
                () = next => {}
                () = self.wish() => {}
            }
        }
    }

    /// Waits until somebody waits for a fetch and it is not too early for one.
    async fn wish(&self) {
        loop {
            self.wanted.notified().await;
            let seen = *self.progress.borrow();
            // The wish may have been fulfilled by a fetch that has just ended.
            if self.wished.load(Ordering::Acquire) > seen.started {
                let since = seen.latest.map_or(self.timing.interval, |latest| latest.elapsed());
                return tokio::time::sleep(self.timing.interval.saturating_sub(since)).await;
            }
        }
    }

    /// One fetch; whether it went well. The last good keys stay if not.
    async fn fetch(&self, fetcher: &Fetcher) -> bool {
        self.progress.send_modify(|progress| {
            progress.started += 1;
            progress.latest = Some(Instant::now());
        });
        let fetched = tokio::time::timeout(self.timing.timeout, fetcher.keys(&self.issuer)).await;
        let fetched = fetched.unwrap_or(Err(FetchFault::Timeout));
        let failed = fetched.is_err();
        match fetched {
            Ok(set) => self.replace(set),
            Err(fault) => {
                let kept = self.current.load().as_ref().map_or(0, |set| set.len());
                tracing::warn!(issuer = self.issuer.url, error = %fault, kept, "issuer's keys could not be fetched");
            }
        }
        self.progress.send_modify(|progress| {
            progress.finished = progress.started;
            progress.failed = failed;
            if !failed {
                progress.good = Some(Instant::now());
            }
        });
        (self.fetched)(&self.issuer.url, !failed);
        !failed
    }

    fn replace(&self, set: KeySet) {
        if self.current.load().as_ref().is_some_and(|current| **current == set) {
            return;
        }
        tracing::info!(issuer = self.issuer.url, keys = set.len(), "issuer's keys changed");
        // In this order, see `find`.
        self.current.store(Some(Arc::new(set)));
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// How long to wait for the next scheduled fetch: 0.9 to 1.1 times the plan, so that replicas that started
    /// together do not ask together.
    fn pause(&self, failures: u32) -> Duration {
        let plan = match failures.checked_sub(1) {
            None => self.timing.refresh,
            Some(doublings) => {
                let longest = MAX_RETRY.min(self.timing.refresh);
                self.timing.retry.saturating_mul(1 << doublings.min(16)).min(longest)
            }
        };
        // A fresh `RandomState` is seeded at random, and this needs no more than that.
        let random = RandomState::new().hash_one(failures) % 201;
        plan.saturating_mul(900 + u32::try_from(random).unwrap_or(100)) / 1000
    }
}

/// A short name for what was looked for, since a `kid` can be as long as a token.
fn name(kid: Option<&str>, algorithm: Algorithm) -> Digest {
    let text = [algorithm.name(), if kid.is_some() { "+" } else { "-" }, kid.unwrap_or("")].concat();
    let mut name = Digest::default();
    name.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    name
}
