//! How often may be asked: counted for all callers who share a rule's grant, and for each tenant. How much at once
//! is counted by [`super::shares`].

use crate::policy::{Rate, Share};
use crate::rejection::Rejection;
use moka::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many different grants are counted at once; beyond that the least used begin anew.
const MAX_GATES: u64 = 100_000;
/// How long a count is kept that nobody adds to. A burst is over long before.
const IDLE: Duration = Duration::from_secs(3600);

/// The counts of all shares. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gates(Cache<String, Arc<Gate>>);

/// The counts of one share.
#[derive(Debug)]
struct Gate {
    rate: Rate,
    pace: Pace,
}

impl Gates {
    /// No counts yet.
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_GATES).time_to_idle(IDLE).build())
    }

    /// Counts one request among each of `shares`, or among none.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`] over a limit of one of them.
    pub(super) fn enter(&self, shares: &[Arc<Share>]) -> Result<(), Rejection> {
        let counted = shares.iter().filter_map(|share| Some(self.gate(&share.key, share.limits.rate?)));
        let gates: Vec<_> = counted.collect();
        for (index, gate) in gates.iter().enumerate() {
            if let Err(wait) = gate.pace.take(gate.pace.start.elapsed()) {
                // The request is not asked after all.
                gates.iter().take(index).for_each(|gate| gate.pace.give_back());
                let (max, key) = (gate.rate.per_second, "`requests_per_second`");
                let retry_after = wait.as_secs().saturating_add(1);
                return Err(Rejection::RateLimited { max, key, retry_after });
            }
        }
        Ok(())
    }

    fn gate(&self, key: &str, rate: Rate) -> Arc<Gate> {
        let fresh = || Arc::new(Gate { rate, pace: Pace::new(rate) });
        let known = self.0.get(key).filter(|gate| gate.rate == rate);
        known.unwrap_or_else(|| {
            // Another rate under the same name is that before a reload: it counts no more.
            self.0.entry_by_ref(key).or_insert_with_if(fresh, |gate| gate.rate != rate).into_value()
        })
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self::new()
    }
}

/// A rate with a burst, by the generic cell rate algorithm (ITU-T I.371, annex A): one number, the time at which
/// the requests so far would all have been due.
#[derive(Debug)]
struct Pace {
    start: Instant,
    /// Nanoseconds from `start`.
    due: AtomicU64,
    /// Nanoseconds that one request takes up.
    interval: u64,
    /// How far ahead of the time `due` may be.
    ahead: u64,
}

impl Pace {
    fn new(rate: Rate) -> Self {
        let interval = NANOSECONDS / u64::from(rate.per_second.max(1));
        let ahead = interval.saturating_mul(u64::from(rate.burst));
        Self { start: Instant::now(), due: AtomicU64::new(0), interval, ahead }
    }

    /// Takes one request at `now` from the start, or tells how long it is too early.
    fn take(&self, now: Duration) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut early = 0;
        let next = |due: u64| {
            let next = due.max(now).saturating_add(self.interval);
            early = next.saturating_sub(now).saturating_sub(self.ahead);
            (early == 0).then_some(next)
        };
        match self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(()),
            Err(_) => Err(Duration::from_nanos(early)),
        }
    }

    fn give_back(&self) {
        let before = |due: u64| Some(due.saturating_sub(self.interval));
        let _ = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, before);
    }
}

const NANOSECONDS: u64 = 1_000_000_000;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::RuleLimits;

    fn share(key: &str, limits: RuleLimits) -> [Arc<Share>; 1] {
        [Arc::new(Share { key: key.to_owned(), limits })]
    }

    fn rate(per_second: u32, burst: u32) -> RuleLimits {
        RuleLimits { rate: Some(Rate { per_second, burst }), ..RuleLimits::default() }
    }

    #[test]
    fn a_burst_is_taken_whole_and_one_request_more_is_refused() {
        let gates = Gates::new();
        let one = share("one", rate(1, 3));
        for _ in 0..3 {
            assert!(gates.enter(&one).is_ok());
        }
        assert!(matches!(gates.enter(&one), Err(Rejection::RateLimited { retry_after: 1, .. })));
        assert!(gates.enter(&share("two", rate(1, 3))).is_ok(), "another share is another count");
        assert!(gates.enter(&share("one", rate(1, 4))).is_ok(), "new limits begin anew");
        assert!(gates.enter(&share("one", RuleLimits::default())).is_ok());
    }

    #[test]
    fn a_rate_is_sustained_and_no_more() {
        let pace = Pace::new(Rate { per_second: 10, burst: 2 });
        let at = |millis: u64| pace.take(Duration::from_millis(millis));
        assert_eq!((at(0), at(0)), (Ok(()), Ok(())));
        assert_eq!(at(0), Err(Duration::from_millis(100)));
        assert_eq!(at(99), Err(Duration::from_millis(1)));
        assert_eq!((at(100), at(100)), (Ok(()), Err(Duration::from_millis(100))));
        // A pause gives back the burst and not more.
        assert_eq!((at(10_000), at(10_000)), (Ok(()), Ok(())));
        assert!(at(10_000).is_err());
        let taken = (10_001..20_001).filter(|millis| at(*millis).is_ok()).count();
        assert_eq!(taken, 100);
    }

    #[test]
    fn a_request_counts_among_each_of_its_shares_or_among_none() {
        let gates = Gates::new();
        let [rules, tenant] =
            [share("rules", rate(1, 3)), share("\ntenant", rate(1, 1))].map(|[share]| share);
        let both = [Arc::clone(&rules), tenant];
        assert!(gates.enter(&both).is_ok());
        for _ in 0..5 {
            assert!(gates.enter(&both).is_err(), "the tenant's count is full");
        }
        // What was refused for the tenant took nothing of the rules' burst.
        let alone = [rules];
        assert!(gates.enter(&alone).is_ok() && gates.enter(&alone).is_ok());
        assert!(gates.enter(&alone).is_err());
    }
}
