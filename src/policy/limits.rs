//! What a rule allows its callers to ask for, and what may be asked for of a tenant.

use crate::tenant::{Scope, Values};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, sustained; at least 1.
    pub per_second: u32,
    /// Requests at once, after a pause; at least 1.
    pub burst: u32,
}

/// The `limits` of a rule, of several that apply together, or of a tenant. What is `None` is not limited; the
/// configuration's caps hold beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleLimits {
    /// How often may be asked.
    pub rate: Option<Rate>,
    /// Requests that may be worked on at once.
    pub concurrent_requests: Option<u32>,
    /// Live tails that may be open at once.
    pub tails: Option<u32>,
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
    /// Bytes of an answer's body, before compression.
    pub answer_bytes: Option<u64>,
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
            tails: larger(self.tails, other.tails),
            query_bytes: larger(self.query_bytes, other.query_bytes),
            selectors: larger(self.selectors, other.selectors),
            range: larger(self.range, other.range),
            points: larger(self.points, other.points),
            entries: larger(self.entries, other.entries),
            answer_bytes: larger(self.answer_bytes, other.answer_bytes),
        }
    }

    /// The limits of a request for which both hold: the smaller of each.
    pub(super) fn both(self, other: &Self) -> Self {
        fn smaller<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (one, None) | (None, one) => one,
            }
        }
        let rate = match (self.rate, other.rate) {
            (Some(a), Some(b)) => {
                Some(Rate { per_second: a.per_second.min(b.per_second), burst: a.burst.min(b.burst) })
            }
            (one, None) | (None, one) => one,
        };
        Self {
            rate,
            concurrent_requests: smaller(self.concurrent_requests, other.concurrent_requests),
            tails: smaller(self.tails, other.tails),
            query_bytes: smaller(self.query_bytes, other.query_bytes),
            selectors: smaller(self.selectors, other.selectors),
            range: smaller(self.range, other.range),
            points: smaller(self.points, other.points),
            entries: smaller(self.entries, other.entries),
            answer_bytes: smaller(self.answer_bytes, other.answer_bytes),
        }
    }
}

/// Requests that are counted together, and their limits: those of callers who are granted the same through the
/// same rules, or those for one tenant.
#[derive(Debug, PartialEq, Eq)]
pub struct Share {
    /// Names the rules and all that they grant, or the tenant; equal for requests that are counted together.
    pub key: String,
    /// The limits.
    pub limits: RuleLimits,
}

/// What may be asked under a grant: the limits of the rules and of each tenant hold at once.
#[derive(Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The smallest of each.
    pub limits: RuleLimits,
    /// Among which requests one is counted.
    pub shares: Vec<Arc<Share>>,
}

/// The dimension of a scope whose values have limits of their own.
const TENANT: &str = "tenant";

/// The limits of tenants, whoever asks for them.
#[derive(Debug, Default)]
pub(super) struct TenantLimits {
    /// By name.
    pub named: BTreeMap<String, Arc<Share>>,
    /// Of each that has no name here.
    pub others: Option<RuleLimits>,
}

impl TenantLimits {
    /// The share of `tenant`, if it is limited.
    fn of(&self, tenant: &str) -> Option<Arc<Share>> {
        match (self.named.get(tenant), &self.others) {
            (Some(share), _) => Some(Arc::clone(share)),
            (None, Some(limits)) => Some(Arc::new(Share { key: tenant_key(tenant), limits: limits.clone() })),
            (None, None) => None,
        }
    }

    /// What may be asked for under `scope`, of which `rules` is the rules' own part; `None`: nothing is limited.
    /// Each tenant of the scope counts: a caller of two tenants asks for both.
    pub fn allow(&self, rules: Option<&Arc<Share>>, scope: &Scope) -> Option<Arc<Allowed>> {
        let tenants = scope.dimensions().get(TENANT).into_iter().flat_map(Values::iter);
        let tenants = tenants.filter_map(|tenant| self.of(tenant.as_str()));
        let shares: Vec<Arc<Share>> = rules.cloned().into_iter().chain(tenants).collect();
        let limits = shares.iter().map(|share| share.limits.clone()).reduce(|a, b| a.both(&b))?;
        Some(Arc::new(Allowed { limits, shares }))
    }
}

/// What requests for a tenant are counted under. No key of rules starts with a line feed.
pub(super) fn tenant_key(tenant: &str) -> String {
    format!("\n{tenant}")
}
