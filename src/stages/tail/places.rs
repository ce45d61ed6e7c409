//! How many live tails are open: in all, and for those who share a rule's grant.

use crate::policy::Share;
use crate::rejection::Rejection;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Seconds after which to try again where too many are open: nobody knows when one ends.
const RETRY_AFTER: u64 = 10;

/// The tails that are open. Unlike what is counted of requests, it is never forgotten while they are.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By the name of the share; never 0.
    by_share: BTreeMap<String, u32>,
}

/// The place of one open tail; it is free when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    /// The names of the shares in which it is counted.
    shares: Vec<String>,
}

impl Places {
    /// A place for one more tail, of `most` in all and as many as each of `shares` allows.
    pub fn take(&self, shares: &[Arc<Share>], most: usize) -> Result<Place, Rejection> {
        let mut taken = self.lock();
        if taken.all >= most {
            return Err(too_many(most, "`limits.concurrent_tails`"));
        }
        let shares = taken.count(shares)?;
        taken.all = taken.all.saturating_add(1);
        Ok(Place { places: self.clone(), shares })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The refusal of a tail over `max`, which `key` sets.
const fn too_many(max: usize, key: &'static str) -> Rejection {
    Rejection::TooManyTails { max, key, retry_after: RETRY_AFTER }
}

impl Taken {
    /// Counts one more in each of `shares` that limits its tails, or in none; gives their names.
    fn count(&mut self, shares: &[Arc<Share>]) -> Result<Vec<String>, Rejection> {
        let counted: Vec<_> =
            shares.iter().filter_map(|share| Some((&share.key, share.limits.tails?))).collect();
        let open = |key: &str| self.by_share.get(key).copied().unwrap_or(0);
        if let Some((_, most)) = counted.iter().find(|(key, most)| open(key) >= *most) {
            let most = usize::try_from(*most).unwrap_or(usize::MAX);
            return Err(too_many(most, "`tails` of your policy rules"));
        }
        for (key, _) in &counted {
            let open = self.by_share.entry((*key).clone()).or_default();
            *open = open.saturating_add(1);
        }
        Ok(counted.into_iter().map(|(key, _)| key.clone()).collect())
    }

    /// Counts one less in each of the shares of these names.
    fn forget(&mut self, shares: &[String]) {
        for key in shares {
            match self.by_share.get_mut(key) {
                Some(open) if *open > 1 => *open -= 1,
                _ => {
                    self.by_share.remove(key);
                }
            }
        }
    }
}

impl Place {
    /// Counts this tail in `shares` from now on.
    pub fn renew(&mut self, shares: &[Arc<Share>]) -> Result<(), Rejection> {
        let mut taken = self.places.lock();
        taken.forget(&std::mem::take(&mut self.shares));
        self.shares = taken.count(shares)?;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        taken.forget(&self.shares);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::RuleLimits;

    fn share(key: &str, tails: Option<u32>) -> Arc<Share> {
        Arc::new(Share { key: key.to_owned(), limits: RuleLimits { tails, ..RuleLimits::default() } })
    }

    #[test]
    fn there_are_so_many_places_and_not_one_more() {
        let places = Places::default();
        let two = [share("two", Some(2))];
        let (first, second) = (places.take(&two, 3).unwrap(), places.take(&two, 3).unwrap());
        assert_eq!(places.take(&two, 3).unwrap_err(), too_many(2, "`tails` of your policy rules"));
        let third = places.take(&[share("other", Some(1))], 3).unwrap();
        assert!(places.take(&[], 3).is_err());
        drop(first);
        assert!(places.take(&two, 3).is_ok());
        drop((second, third));
        let taken = places.lock();
        assert!(taken.all == 0 && taken.by_share.is_empty());
    }

    #[test]
    fn a_tail_is_counted_in_each_of_its_shares_or_in_none() {
        let places = Places::default();
        let (rule, tenant) = (share("rule", Some(9)), share("tenant", Some(1)));
        let both = [rule.clone(), tenant.clone(), share("free", None)];
        let one = places.take(&both, 9).unwrap();
        assert!(places.take(&both, 9).is_err() && places.take(&[tenant], 9).is_err());
        assert_eq!(places.lock().by_share.get("rule"), Some(&1));
        assert!(places.take(&[rule], 9).is_ok());
        drop(one);
        assert!(places.lock().by_share.is_empty());
    }

    #[test]
    fn a_tail_moves_to_what_is_counted_after_a_reload() {
        let places = Places::default();
        let (old, new) = ([share("old", Some(1))], [share("new", Some(1))]);
        let mut one = places.take(&old, 9).unwrap();
        let mut free = places.take(&[share("old", None)], 9).unwrap();
        one.renew(&new).unwrap();
        assert!(places.take(&old, 9).is_ok() && places.take(&new, 9).is_err());
        assert!(free.renew(&new).is_err());
        one.renew(&new).unwrap();
        one.renew(&[]).unwrap();
        assert!(places.lock().by_share.is_empty());
        drop((one, free));
        assert_eq!(places.lock().all, 0);
    }
}
