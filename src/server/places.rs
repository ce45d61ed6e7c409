//! Places for connections: so many and no more, and who must go when another comes.
//!
//! A connection that a request is worked on keeps its place. One that waits for a request may lose it when all are
//! taken: first those that never had one, oldest first, so that who opens connections and says nothing
//! shuts out nobody.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many more may be there for a moment than there are places, until those told to go are gone.
const LEAVING: usize = 16;

/// The places of one worker. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Places {
    most: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    count: usize,
    next: u64,
    /// Who waits for a request: who had one before, and since when.
    waiting: BTreeMap<(bool, u64), Arc<Line>>,
}

/// What a connection and its requests share.
#[derive(Debug)]
struct Line {
    state: Mutex<State>,
    /// Tells the connection that it must go.
    go: Notify,
    /// Whether the client does not take what is written to it.
    blocked: AtomicBool,
}

#[derive(Debug)]
struct State {
    waits: Option<(bool, u64)>,
    /// Requests that are worked on.
    busy: usize,
    /// Requests that there were.
    begun: u64,
}

/// A connection's place; free when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    line: Arc<Line>,
}

/// A request that keeps its connection's place until it's dropped.
#[derive(Debug)]
pub(super) struct Busy(Option<Arc<Place>>);

impl Busy {
    /// The connection will have no other request: it became one of another protocol (RFC 9110, section 7.8), and keeps
    /// its place to its end.
    pub fn for_good(mut self) {
        self.0 = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    /// `most` places, all free.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), open: Arc::default() }
    }

    /// A place for a connection that was just opened. If all are taken, one that waits is told to go; `None`: none
    /// does.
    pub fn enter(&self) -> Option<Place> {
        let mut open = lock(&self.open);
        if open.count >= self.most {
            let idle = |(_, line): &(_, &Arc<Line>)| !line.blocked.load(Ordering::Relaxed);
            let (key, line) = open.waiting.iter().find(idle).map(|(key, line)| (*key, Arc::clone(line)))?;
            if open.count >= self.most.saturating_add(LEAVING) {
                return None;
            }
            open.waiting.remove(&key);
            line.go.notify_one();
        }
        let key = (false, open.next);
        let state = State { waits: Some(key), busy: 0, begun: 0 };
        let line = Line { state: Mutex::new(state), go: Notify::new(), blocked: AtomicBool::new(false) };
        let line = Arc::new(line);
        open.waiting.insert(key, Arc::clone(&line));
        open.next = open.next.saturating_add(1);
        open.count = open.count.saturating_add(1);
        Some(Place { places: self.clone(), line })
    }
}

impl Place {
    /// Returns when the connection must go.
    pub async fn gone(&self) {
        self.line.go.notified().await;
    }

    /// Whether no request is worked on, and nothing waits to be taken by the client.
    pub fn is_idle(&self) -> bool {
        lock(&self.line.state).busy == 0 && !self.line.blocked.load(Ordering::Relaxed)
    }

    /// How many requests there were, if none is worked on.
    pub fn waiting(&self) -> Option<u64> {
        let state = lock(&self.line.state);
        (state.busy == 0).then_some(state.begun)
    }

    /// Whether the client does not take what is written to it.
    pub fn blocked(&self, blocked: bool) {
        self.line.blocked.store(blocked, Ordering::Relaxed);
    }

    /// A request begins.
    pub fn begin(self: &Arc<Self>) -> Busy {
        let mut state = lock(&self.line.state);
        (state.busy, state.begun) = (state.busy.saturating_add(1), state.begun.saturating_add(1));
        if let Some(key) = state.waits.take() {
            lock(&self.places.open).waiting.remove(&key);
        }
        Busy(Some(Arc::clone(self)))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(place) = &self.0 else { return };
        let mut state = lock(&place.line.state);
        state.busy = state.busy.saturating_sub(1);
        if state.busy == 0 {
            let mut open = lock(&place.places.open);
            let key = (true, open.next);
            open.next = open.next.saturating_add(1);
            open.waiting.insert(key, Arc::clone(&place.line));
            state.waits = Some(key);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waits = lock(&self.line.state).waits.take();
        let mut open = lock(&self.places.open);
        open.count = open.count.saturating_sub(1);
        if let Some(key) = waits {
            open.waiting.remove(&key);
        }
    }
}

/// How many connections each address has open, of so many at most. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    most: Option<usize>,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of an address; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    /// `most` connections of each address, or as many as it likes.
    pub fn new(most: Option<usize>) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Counts one more, if there may be one.
    pub fn enter(&self, address: IpAddr) -> Result<Option<Counted>, TooMany> {
        let Some(most) = self.most else { return Ok(None) };
        let mut open = lock(&self.open);
        let count = open.entry(address).or_default();
        if *count >= most {
            return Err(TooMany);
        }
        *count = count.saturating_add(1);
        Ok(Some(Counted { addresses: self.clone(), address }))
    }
}

/// An address has as many connections as it may have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = lock(&self.addresses.open);
        match open.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn told(place: &Place) -> bool {
        place.gone().now_or_never().is_some()
    }

    #[test]
    fn there_are_so_many_places_and_who_waits_longest_without_a_request_goes_first() {
        let places = Places::new(3);
        let [first, second, third] = [(); 3].map(|()| Arc::new(places.enter().unwrap()));
        drop(first.begin());
        // The first had a request; so the second, which had none, goes before it.
        let fourth = Arc::new(places.enter().unwrap());
        assert_eq!([&first, &second, &third, &fourth].map(|place| told(place)), [false, true, false, false]);
        drop(second);
        let busy = (third.begin(), fourth.begin());
        let fifth = Arc::new(places.enter().unwrap());
        assert!(told(&first));
        let sixth = fifth.begin();
        assert!(places.enter().is_none(), "a request is worked on in each");
        drop((busy, sixth));
        third.blocked(true);
        let _seventh = places.enter().unwrap();
        assert_eq!([&third, &fourth].map(|place| told(place)), [false, true]);
    }

    #[test]
    fn those_that_are_to_go_are_waited_for_up_to_a_number() {
        let places = Places::new(1);
        let all: Vec<_> = (0..=LEAVING).map(|_| places.enter().unwrap()).collect();
        assert!(places.enter().is_none());
        drop(all);
        assert!(places.enter().is_some());
        assert_eq!(lock(&places.open).waiting.len(), 0);
    }

    #[test]
    fn an_address_has_so_many_connections_and_not_one_more() {
        let addresses = Addresses::new(Some(2));
        let [one, other] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        let held = [addresses.enter(one).unwrap(), addresses.enter(one).unwrap()];
        assert_eq!(addresses.enter(one).unwrap_err(), TooMany);
        assert!(addresses.enter(other).is_ok());
        drop(held);
        assert!(addresses.enter(one).is_ok() && lock(&addresses.open).is_empty());
        assert!(Addresses::new(None).enter(one).unwrap().is_none());
    }
}
