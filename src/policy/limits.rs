//! What a rule allows its callers to ask for.

use std::time::Duration;

/// How often may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, sustained; at least 1.
    pub per_second: u32,
    /// Requests at once, after a pause; at least 1.
    pub burst: u32,
}

/// The `limits` of a rule, or of several that apply together. What is `None` is not limited by the rule; the
/// configuration's caps hold beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    /// How often may be asked.
    pub rate: Option<Rate>,
    /// Requests that may be worked on at once.
    pub concurrent_requests: Option<u32>,
    /// Bytes of a query text.
    pub query_bytes: Option<usize>,
    /// Selectors of a query text.
    pub selectors: Option<usize>,
    /// Between `start` and `end`.
    pub range: Option<Duration>,
    /// Steps between `start` and `end`.
    pub points: Option<u64>,
    /// What `limit` may be: entries, series, values, traces.
    pub entries: Option<u64>,
}

impl RuleLimits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The limits of a caller for whom both apply: the larger of each, so that a further rule never takes
    /// anything away.
    pub(super) fn union(self, other: &Self) -> Self {
        fn larger<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            a.zip(b).map(|(a, b)| a.max(b))
        }
        let rate = self
            .rate
            .zip(other.rate)
            .map(|(a, b)| Rate { per_second: a.per_second.max(b.per_second), burst: a.burst.max(b.burst) });
        Self {
            rate,
            concurrent_requests: larger(self.concurrent_requests, other.concurrent_requests),
            query_bytes: larger(self.query_bytes, other.query_bytes),
            selectors: larger(self.selectors, other.selectors),
            range: larger(self.range, other.range),
            points: larger(self.points, other.points),
            entries: larger(self.entries, other.entries),
        }
    }
}

/// What callers who are granted the same through the same rules share: their limits, and the count of what
/// they ask.
#[derive(Debug, PartialEq, Eq)]
pub struct Share {
    /// Names the rules and all that they grant; equal for callers who share.
    pub key: String,
    /// The limits.
    pub limits: RuleLimits,
}
