//! What callers share of this process, and the parts of it that one tenant and one backend may have: so that whoever
//! takes all they can leaves others what they need.

use super::Mount;
use crate::budget::{Budget, Holder, Part, Permit};
use crate::policy::{Grant, Share};
use crate::rejection::Rejection;
use crate::tenant::Scope;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// The dimension of a scope whose values have parts of their own.
const TENANT: &str = "tenant";
/// How many tenants of one scope are counted each; one of more is counted as a holder of its own.
const COUNTED_TENANTS: usize = 8;
/// Seconds after which to try again where too many tails are open: nobody knows when one ends.
const TAIL_RETRY_AFTER: u64 = 10;

/// What callers share. A clone shares the same, and so does what a reload makes of it.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Bytes that callers can make large: bodies, answers that are cut, what waits to be sent.
    pub memory: Budget,
    /// Requests, whoever asks them, each until the last byte of its answer is gone.
    pub arrived: Budget,
    /// The same of those whose tenant and backend are known, for each of these.
    pub requests: Budget,
    /// Live tails.
    pub tails: Budget,
    /// The part of each that one tenant may have, in percent.
    pub tenant_percent: u8,
    /// The part of the requests that one backend may have, in percent.
    pub backend_percent: u8,
}

impl Shares {
    /// A permit for memory under `grant`, which has taken none yet.
    pub(super) fn memory(&self, grant: &Grant) -> Permit {
        self.memory.permit(self.tenants(grant.scope()).collect())
    }

    /// Counts one more request under `grant` to `mount`.
    ///
    /// # Errors
    /// [`Rejection::RateLimited`] if a tenant or a rule has its part already, [`Rejection::Overloaded`] if the backend has.
    pub(super) fn request(&self, grant: &Grant, mount: &Mount) -> Result<Permit, Rejection> {
        // No name of a tenant or of rules begins with a tab.
        let name = format!("\t{}", mount.backend.name).into();
        let backend = Holder { name, part: Part::Percent(self.backend_percent) };
        let limited = limited(grant.shares(), |share| share.limits.concurrent_requests);
        let mut holders: Vec<_> = self.tenants(grant.scope()).collect();
        let of_tenants = holders.len();
        holders.extend([backend].into_iter().chain(limited));
        self.requests.take(holders.into(), 1).map_err(|spent| {
            let max = u32::try_from(spent.most).unwrap_or(u32::MAX);
            let limited = |key| Rejection::RateLimited { max, key, retry_after: 1 };
            match spent.holder {
                Some(tenant) if tenant < of_tenants => limited("`limits.tenant_share`, at once"),
                Some(rules) if rules > of_tenants => limited("`concurrent_requests`, at once"),
                // The backend's part, or all.
                _ => Rejection::Overloaded,
            }
        })
    }

    /// Counts one more tail under `grant`.
    ///
    /// # Errors
    /// [`Rejection::TooManyTails`].
    pub(super) fn tail(&self, grant: &Grant) -> Result<Permit, Rejection> {
        let of_tenants = self.tenants(grant.scope()).count();
        self.tails.take(self.tail_holders(grant), 1).map_err(|spent| {
            let key = match spent.holder {
                None => "`limits.concurrent_tails`",
                Some(tenant) if tenant < of_tenants => "`limits.tenant_share`",
                Some(_) => "`tails` of your policy rules",
            };
            Rejection::TooManyTails { max: spent.most, key, retry_after: TAIL_RETRY_AFTER }
        })
    }

    /// For whom a tail under `grant` is counted.
    pub(super) fn tail_holders(&self, grant: &Grant) -> Arc<[Holder]> {
        let limited = limited(grant.shares(), |share| share.limits.tails);
        self.tenants(grant.scope()).chain(limited).collect()
    }

    fn tenants<'s>(&self, scope: &'s Scope) -> impl Iterator<Item = Holder> + use<'s> {
        let part = Part::Percent(self.tenant_percent);
        let tenants = scope.dimensions().get(TENANT).filter(|tenants| tenants.len() <= COUNTED_TENANTS);
        let other = tenants.is_none().then(|| {
            let mut hasher = DefaultHasher::new();
            scope.hash(&mut hasher);
            format!("\r{:016x}", hasher.finish()).into()
        });
        let names = tenants.into_iter().flat_map(|tenants| tenants.iter().map(|tenant| tenant.shared()));
        names.chain(other).map(move |name| Holder { name, part })
    }
}

/// Those of `shares` that have a limit of their own.
fn limited(shares: &[Arc<Share>], limit: impl Fn(&Share) -> Option<u32>) -> impl Iterator<Item = Holder> {
    shares.iter().filter_map(move |share| {
        let units = usize::try_from(limit(share)?).unwrap_or(usize::MAX);
        // No rule is named so that this is the name of a tenant.
        Some(Holder { name: format!("\n{}", share.key).into(), part: Part::Units(units) })
    })
}
