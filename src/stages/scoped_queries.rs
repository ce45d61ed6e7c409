//! Where scoped queries are kept: in memory, under a cap on bytes.
//!
//! A query is looked for and kept when it is asked the second time. To keep one takes as long as to scope one,
//! and most that are not a dashboard's are never asked again.

use crate::events::Metrics;
use crate::scope::{Memory, Remembered};
use moka::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The scoped queries of one server. Those asked most often stay.
pub struct ScopedQueries {
    cache: Cache<u64, Arc<Remembered>>,
    asked: Asked,
    metrics: Arc<Metrics>,
}

impl ScopedQueries {
    /// Keeps at most `bytes`, as [`Remembered::bytes`] counts them; `None` for 0, which keeps nothing.
    pub fn new(bytes: u64, metrics: Arc<Metrics>) -> Option<Arc<Self>> {
        let weigh = |_: &u64, entry: &Arc<Remembered>| u32::try_from(entry.bytes()).unwrap_or(u32::MAX);
        let cache = || Cache::builder().max_capacity(bytes).weigher(weigh).build();
        (bytes > 0).then(|| Arc::new(Self { cache: cache(), asked: Asked::new(), metrics }))
    }
}

impl Memory for ScopedQueries {
    fn met(&self, number: u64) -> bool {
        let again = self.asked.again(number);
        if !again {
            self.metrics.scoped_query(false);
        }
        again
    }

    fn recall(&self, number: u64) -> Option<Arc<Remembered>> {
        let entry = self.cache.get(&number);
        self.metrics.scoped_query(entry.is_some());
        entry
    }

    fn keep(&self, number: u64, entry: Arc<Remembered>) {
        self.cache.insert(number, entry);
    }
}

/// Which numbers were asked lately: one bit each, some sharing one.
struct Asked {
    words: Box<[AtomicU64]>,
    /// How many bits were set since all were cleared.
    set: AtomicUsize,
}

/// Bits of [`Asked`]: 128 KiB.
const BITS: usize = 1 << 20;
/// How many bits are set before all are cleared: at most one number in eight is taken for another.
const MOST_SET: usize = BITS / 8;

impl Asked {
    fn new() -> Self {
        Self { words: (0..BITS / 64).map(|_| AtomicU64::new(0)).collect(), set: AtomicUsize::new(0) }
    }

    /// Whether `number` was asked before; from now on it was. Where threads race, one may be forgotten:
    /// it is scoped once more.
    fn again(&self, number: u64) -> bool {
        let bit = 1 << (number % 64);
        let index = (number / 64) as usize % self.words.len().max(1);
        let Some(word) = self.words.get(index) else { return true };
        if word.load(Ordering::Relaxed) & bit != 0 {
            return true;
        }
        if self.set.fetch_add(1, Ordering::Relaxed) >= MOST_SET {
            self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            self.set.store(1, Ordering::Relaxed);
        }
        word.fetch_or(bit, Ordering::Relaxed);
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Keeps `query`, and says whether it is there then, and what it weighs.
    fn kept(queries: &ScopedQueries, query: &str) -> (bool, u64) {
        let (number, entry) = Remembered::sample(query);
        let weight = entry.bytes() as u64;
        queries.keep(number, entry);
        queries.cache.run_pending_tasks();
        (queries.recall(number).is_some(), weight)
    }

    fn queries(bytes: u64) -> ScopedQueries {
        Arc::into_inner(ScopedQueries::new(bytes, Arc::new(Metrics::new(&[]).unwrap())).unwrap()).unwrap()
    }

    #[test]
    fn as_many_bytes_are_kept_as_the_cap_and_no_more() {
        let (_, one) = kept(&queries(1 << 20), "up");
        assert_eq!(kept(&queries(one), "up"), (true, one));
        assert_eq!(kept(&queries(one - 1), "up"), (false, one));
    }

    #[test]
    fn however_much_is_asked_the_cap_holds() {
        let (_, one) = kept(&queries(1 << 20), "x100");
        let queries = queries(10 * one);
        for index in 100..400 {
            kept(&queries, &format!("x{index}"));
            assert!(queries.cache.weighted_size() <= 10 * one);
        }
        assert_eq!(queries.cache.entry_count(), 10);
    }

    #[test]
    fn hits_and_misses_are_counted() {
        let queries = queries(1 << 20);
        assert!(queries.recall(1).is_none());
        assert!(kept(&queries, "up").0);
        let page = queries.metrics.render(std::iter::empty());
        for (outcome, count) in [("hit", 1), ("miss", 1)] {
            let line = format!("palisade_scoped_query_total{{outcome=\"{outcome}\"}} {count}");
            assert!(page.contains(&line), "{page}");
        }
    }

    #[test]
    fn what_is_asked_twice_is_met() {
        let queries = queries(1 << 20);
        assert!(!queries.met(7));
        assert!(!queries.met(8));
        assert!(queries.met(7));
    }

    #[test]
    fn so_many_numbers_are_known_and_one_more_clears_them() {
        let asked = Asked::new();
        for number in 0..MOST_SET as u64 {
            assert!(!asked.again(number));
        }
        assert!(asked.again(0) && asked.again(MOST_SET as u64 - 1));
        assert!(!asked.again(MOST_SET as u64));
        assert!(!asked.again(0));
        assert!(asked.again(MOST_SET as u64) && asked.again(0));
    }

    #[test]
    fn no_bytes_is_no_memory() {
        assert!(ScopedQueries::new(0, Arc::new(Metrics::new(&[]).unwrap())).is_none());
    }
}
