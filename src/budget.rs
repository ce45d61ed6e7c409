//! What all callers share, and how much of it is taken: memory, requests, live tails.
//!
//! There is so much in all, and each holder, a tenant or a backend, may have a part of it. What is taken is given back
//! when its [`Permit`] is dropped, and a permit can be bound to the bytes that it counts, so that it lives as long as
//! they do. A budget outlives the configuration that made it: a reload only changes how much there is.

use prost::bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something that all callers share. A clone is the same budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Mutex<Books>>);

#[derive(Debug)]
struct Books {
    most: usize,
    taken: usize,
    /// By the holder's name; never 0.
    by_holder: HashMap<Arc<str>, usize>,
}

/// Who takes of a budget, and how much it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Tells it from all others.
    pub name: Arc<str>,
    /// What it may have at once.
    pub part: Part,
}

/// A part of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Of all there is, rounded up to a whole unit.
    Percent(u8),
    /// So many units.
    Units(usize),
}

impl Part {
    /// How many units it is, where there are `most` in all.
    fn of(self, most: usize) -> usize {
        match self {
            Self::Percent(percent) => {
                let (whole, rest) = (most / 100, most % 100);
                let part = whole.saturating_mul(percent.into());
                part.saturating_add(rest.saturating_mul(percent.into()).div_ceil(100)).min(most)
            }
            Self::Units(units) => units,
        }
    }
}

/// There is not enough left, in all or for one of the holders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is left")]
pub struct Spent {
    /// How many units there are: for the holder, or in all.
    pub most: usize,
    /// Which of the holders has its part already; `None`: there is nothing left of all.
    pub holder: Option<usize>,
}

impl Budget {
    /// `most` units, of which none is taken.
    pub fn of(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Books { most, taken: 0, by_holder: HashMap::new() })))
    }

    /// From now on there are `most` units. What is taken stays taken.
    pub fn resize(&self, most: usize) {
        self.books().most = most;
    }

    /// A permit for `holders`, which has taken nothing yet.
    pub fn permit(&self, holders: Arc<[Holder]>) -> Permit {
        Permit { budget: self.clone(), holders, units: 0 }
    }

    /// `units` for `holders`.
    ///
    /// # Errors
    /// [`Spent`]; then nothing is taken.
    pub fn take(&self, holders: Arc<[Holder]>, units: usize) -> Result<Permit, Spent> {
        let mut permit = self.permit(holders);
        permit.hold(units).map(|()| permit)
    }

    /// How many units are taken.
    pub fn taken(&self) -> usize {
        self.books().taken
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // What panics while it has the books has not changed them yet, or wholly.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn take(&mut self, holders: &[Holder], units: usize) -> Result<(), Spent> {
        let most = self.most;
        let fits = |taken: usize, most: usize| taken.checked_add(units).is_some_and(|sum| sum <= most);
        if !fits(self.taken, most) {
            return Err(Spent { most, holder: None });
        }
        for (index, holder) in holders.iter().enumerate() {
            let part = holder.part.of(most);
            if !fits(self.by_holder.get(&holder.name).copied().unwrap_or(0), part) {
                return Err(Spent { most: part, holder: Some(index) });
            }
        }
        self.taken = self.taken.saturating_add(units);
        for holder in holders {
            let taken = self.by_holder.entry(Arc::clone(&holder.name)).or_default();
            *taken = taken.saturating_add(units);
        }
        Ok(())
    }

    fn give_back(&mut self, holders: &[Holder], units: usize) {
        self.taken = self.taken.saturating_sub(units);
        for holder in holders {
            if let Some(taken) = self.by_holder.get_mut(&holder.name) {
                *taken = taken.saturating_sub(units);
                if *taken == 0 {
                    self.by_holder.remove(&holder.name);
                }
            }
        }
    }
}

/// What one thing takes of a budget, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
    holders: Arc<[Holder]>,
    units: usize,
}

impl Permit {
    /// Grows to `units`, unless it has more. Never waits: two that wait for each other would do so for ever.
    ///
    /// # Errors
    /// [`Spent`]; then it is as it was.
    pub fn hold(&mut self, units: usize) -> Result<(), Spent> {
        let more = units.saturating_sub(self.units);
        if more > 0 {
            self.budget.books().take(&self.holders, more)?;
            self.units = units;
        }
        Ok(())
    }

    /// Gives back what it has over `units`.
    pub fn shrink(&mut self, units: usize) {
        let less = self.units.saturating_sub(units);
        if less > 0 {
            self.budget.books().give_back(&self.holders, less);
            self.units = units;
        }
    }

    /// How much it has taken.
    pub fn units(&self) -> usize {
        self.units
    }

    /// Is counted for `holders` from now on.
    ///
    /// # Errors
    /// [`Spent`] if one of them has no part left for it; then it has taken nothing any more.
    pub fn pass_to(&mut self, holders: Arc<[Holder]>) -> Result<(), Spent> {
        let mut books = self.budget.books();
        let units = std::mem::take(&mut self.units);
        books.give_back(&self.holders, units);
        self.holders = holders;
        books.take(&self.holders, units)?;
        self.units = units;
        Ok(())
    }

    /// A permit for the same holders, which has taken nothing yet.
    pub fn another(&self) -> Self {
        self.budget.permit(Arc::clone(&self.holders))
    }

    /// Counts what `other` has taken, of the same budget for the same holders, as its own.
    pub fn merge(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.budget.0, &other.budget.0) && self.holders == other.holders);
        self.units = self.units.saturating_add(std::mem::take(&mut other.units));
    }

    /// `bytes`, with which this permit is dropped: when no clone and no part of them is left.
    pub fn bind(mut self, bytes: Vec<u8>) -> Bytes {
        self.shrink(bytes.len());
        Bytes::from_owner(Counted { bytes, _permit: self })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

/// Bytes and what they take.
struct Counted {
    bytes: Vec<u8>,
    _permit: Permit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn holders(names: &[(&str, u8)]) -> Arc<[Holder]> {
        let holder =
            |(name, percent): &(&str, u8)| Holder { name: (*name).into(), part: Part::Percent(*percent) };
        names.iter().map(holder).collect()
    }

    fn is_clear(budget: &Budget) -> bool {
        let books = budget.books();
        books.taken == 0 && books.by_holder.is_empty()
    }

    #[test]
    fn there_is_so_much_and_not_one_more() {
        let budget = Budget::of(10);
        let nobody = holders(&[]);
        let mut first = budget.take(nobody.clone(), 4).unwrap();
        assert!(budget.take(nobody.clone(), 7).is_err());
        let second = budget.take(nobody.clone(), 6).unwrap();
        assert_eq!(first.hold(5), Err(Spent { most: 10, holder: None }));
        assert_eq!((first.units(), budget.taken()), (4, 10));
        drop(second);
        assert_eq!(first.hold(10), Ok(()));
        first.hold(3).unwrap();
        assert_eq!(first.units(), 10, "it does not shrink by itself");
        first.shrink(3);
        assert_eq!(budget.taken(), 3);
        drop(first);
        assert!(is_clear(&budget));
    }

    #[test]
    fn no_holder_takes_more_than_its_part_and_others_have_theirs() {
        let budget = Budget::of(9);
        let (one, other) = (holders(&[("one", 50)]), holders(&[("other", 50)]));
        let half = budget.take(one.clone(), 5).unwrap();
        assert!(budget.take(one.clone(), 1).is_err(), "half of nine is five");
        let rest = budget.take(other.clone(), 4).unwrap();
        assert!(budget.take(other.clone(), 1).is_err(), "nothing is left");
        drop(half);
        assert!(budget.take(one, 5).is_ok());
        drop(rest);
        assert!(budget.take(holders(&[("all", 100)]), 9).is_ok());
        assert!(is_clear(&budget));
        assert!(Budget::of(1).take(holders(&[("x", 1)]), 1).is_ok(), "everyone may have one");
    }

    #[test]
    fn what_is_for_several_holders_is_taken_of_each_or_of_none() {
        let budget = Budget::of(10);
        let both = holders(&[("tenant", 50), ("backend", 20)]);
        let two = budget.take(both.clone(), 2).unwrap();
        assert_eq!(budget.take(both, 1).unwrap_err(), Spent { most: 2, holder: Some(1) });
        assert!(budget.take(holders(&[("tenant", 50)]), 3).is_ok(), "what was refused took nothing");
        drop(two);
        assert!(is_clear(&budget));
    }

    #[test]
    fn what_is_taken_outlives_a_change_of_how_much_there_is() {
        let budget = Budget::of(4);
        let four = budget.take(holders(&[]), 4).unwrap();
        budget.resize(6);
        assert!(budget.take(holders(&[]), 3).is_err());
        budget.resize(2);
        assert!(budget.take(holders(&[]), 1).is_err());
        drop(four);
        assert!(budget.take(holders(&[]), 2).is_ok());
        assert!(budget.take(holders(&[]), 3).is_err());
    }

    #[test]
    fn bytes_are_counted_until_the_last_part_of_them_is_gone() {
        let budget = Budget::of(10);
        let permit = budget.take(holders(&[("one", 100)]), 9).unwrap();
        let mut bytes = permit.bind(vec![1; 6]);
        assert_eq!(budget.taken(), 6);
        let last = bytes.split_off(5);
        drop(bytes);
        assert_eq!((last.len(), budget.taken()), (1, 6));
        drop(last);
        assert!(is_clear(&budget));
    }

    #[test]
    fn a_part_can_be_so_many_units() {
        let budget = Budget::of(10);
        let two: Arc<[Holder]> = [Holder { name: "two".into(), part: Part::Units(2) }].into();
        let first = budget.take(two.clone(), 2).unwrap();
        assert!(budget.take(two.clone(), 1).is_err());
        drop(first);
        assert!(budget.take(two, 1).is_ok());
        for (percent, most, part) in
            [(50, 9, 5), (50, 1, 1), (1, 250, 3), (100, 7, 7), (50, usize::MAX, usize::MAX / 2 + 1)]
        {
            assert_eq!(Part::Percent(percent).of(most), part, "{percent} % of {most}");
        }
    }

    #[test]
    fn what_is_taken_passes_to_other_holders_or_is_lost() {
        let budget = Budget::of(10);
        let (old, new) = (holders(&[("old", 50)]), holders(&[("new", 50)]));
        let mut one = budget.take(old.clone(), 5).unwrap();
        one.pass_to(new.clone()).unwrap();
        assert!(budget.take(new.clone(), 1).is_err() && budget.take(old.clone(), 5).is_ok());
        let mut other = budget.take(old, 1).unwrap();
        assert!(other.pass_to(new).is_err());
        assert_eq!((other.units(), budget.taken()), (0, 5));
        drop((one, other));
        assert!(is_clear(&budget));
    }

    #[test]
    fn permits_for_the_same_holders_become_one() {
        let budget = Budget::of(10);
        let mut one = budget.take(holders(&[("one", 100)]), 2).unwrap();
        let mut other = one.another();
        other.hold(3).unwrap();
        one.merge(other);
        assert_eq!((one.units(), budget.taken()), (5, 5));
        drop(one);
        assert!(is_clear(&budget));
    }
}
