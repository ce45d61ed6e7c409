//! The door: from a request's headers to its caller.

use super::account::{Accounts, ServiceAccount};
use super::caller::{Caller, Digest};
use super::config::{Issuer, IssuerFault, TokenHeader};
use super::credential::{Credential, Taken};
use super::fetch::Fetcher;
use super::keys::{Fetched, KeyTiming, Keys};
use super::token::Unverified;
use crate::limits::Limits;
use crate::rejection::TokenFault;
use crate::trust::{ClientTls, TrustFault};
use arc_swap::ArcSwapOption;
use http::HeaderMap;
use moka::Expiry;
use moka::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// What the cache of verified tokens may weigh: the bytes of the tokens, and [`ENTRY_BYTES`] for each. Some 20,000
/// tokens of the usual 2 kB.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// What an entry weighs beside its token.
const ENTRY_BYTES: usize = 1024;

/// Verifies credentials, and remembers those that it took.
///
/// `D` is what the policy layer decides for a caller; it is kept beside the caller in the cache, see
/// [`Verified::decision`].
pub struct Verifier<D> {
    trusts: Vec<Trust>,
    accounts: Accounts,
    taken: Taken,
    cache: Cache<Digest, Arc<Verified<D>>>,
    token_bytes: usize,
    /// The fetching tasks; they end with the verifier.
    _fetching: JoinSet<()>,
}

/// Whom a verifier believes.
#[derive(Clone)]
pub struct Trusted {
    /// Who signs tokens; at least one.
    pub issuers: Vec<Issuer>,
    /// Who shows a password; often none.
    pub accounts: Vec<ServiceAccount>,
    /// When keys are fetched.
    pub timing: KeyTiming,
    /// Is told of each fetch.
    pub fetched: Fetched,
}

impl Trusted {
    /// These issuers and no one else, at the usual times.
    pub fn issuers(issuers: Vec<Issuer>) -> Self {
        let timing = KeyTiming::default();
        Self { issuers, accounts: Vec::new(), timing, fetched: Arc::new(|_, _| {}) }
    }
}

/// One issuer, its name for callers, and its keys. Keys are only ever looked up here, so that no issuer's key can
/// vouch for another's token.
struct Trust {
    issuer: Arc<Issuer>,
    name: Arc<str>,
    keys: Arc<Keys>,
}

/// A verified credential: its caller, and the decision made for it.
pub struct Verified<D> {
    caller: Arc<Caller>,
    decision: ArcSwapOption<(u64, Arc<D>)>,
    /// A request ran under it already.
    used: AtomicBool,
    voucher: Voucher,
    /// From verification to `exp`.
    fresh_for: Duration,
    weight: u32,
}

/// What vouched for a credential.
#[derive(Clone, Copy)]
enum Voucher {
    /// A key of an issuer.
    Issuer {
        /// The issuer's place in the configuration.
        place: usize,
        /// The set of keys.
        keys: u64,
    },
    /// The list of service accounts, which lasts as long as the verifier.
    Account,
}

/// Why no verifier can be made.
#[derive(Debug, thiserror::Error)]
pub enum VerifierFault {
    /// No issuer: nobody could ever be let in.
    #[error("at least one issuer is needed")]
    NoIssuer,
    /// An issuer's settings cannot be used.
    #[error("issuer `{url}`: {fault}")]
    Issuer {
        /// The issuer.
        url: String,
        /// What is wrong.
        fault: IssuerFault,
    },
    /// Two issuers of one name, so that it would be open whose keys count.
    #[error("issuer `{0}` is there twice")]
    Twice(String),
    /// The authorities that an issuer's certificate is held to cannot be read.
    #[error("issuer `{url}`: {fault}")]
    Ca {
        /// The issuer.
        url: String,
        /// What is wrong.
        fault: TrustFault,
    },
    /// Not called within a tokio runtime.
    #[error("no runtime to fetch keys in")]
    NoRuntime,
}

impl<D: Send + Sync + 'static> Verifier<D> {
    /// A verifier that trusts `issuers`, and starts to fetch their keys. It does not wait for them.
    ///
    /// # Errors
    ///
    /// If an issuer's settings cannot be used, or there is no tokio runtime.
    pub fn new(issuers: Vec<Issuer>, limits: &Limits) -> Result<Self, VerifierFault> {
        Self::start(Trusted::issuers(issuers), limits)
    }

    /// As [`Verifier::new`], of all that can be trusted.
    ///
    /// # Errors
    ///
    /// As [`Verifier::new`].
    pub fn start(trusted: Trusted, limits: &Limits) -> Result<Self, VerifierFault> {
        let runtime = Handle::try_current().map_err(|_| VerifierFault::NoRuntime)?;
        let accounts = Accounts::new(trusted.accounts);
        let trusts = trusts(trusted.issuers, trusted.timing, &trusted.fetched)?;
        let grafana_id = trusts.iter().any(|trust| trust.issuer.header == TokenHeader::GrafanaId);
        let taken = Taken { grafana_id, basic: !accounts.is_empty() };
        let fetcher = Arc::new(Fetcher::new());
        let mut fetching = JoinSet::new();
        for trust in &trusts {
            fetching.spawn_on(Arc::clone(&trust.keys).keep(Arc::clone(&fetcher)), &runtime);
        }
        let cache = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, entry: &Arc<Verified<D>>| entry.weight)
            .expire_after(UntilExpiry)
            .build();
        let token_bytes = limits.token_bytes;
        Ok(Self { trusts, accounts, taken, cache, token_bytes, _fetching: fetching })
    }

    /// A verifier to replace this one: as [`Verifier::start`], and until it has fetched an issuer's keys itself it has
    /// those of this one, where they come from the same place. So an issuer that is down while something else of the
    /// configuration changes shuts nobody out.
    ///
    /// # Errors
    ///
    /// As [`Verifier::new`].
    pub fn next(&self, trusted: Trusted, limits: &Limits) -> Result<Self, VerifierFault> {
        let next = Self::start(trusted, limits)?;
        for trust in &next.trusts {
            let same = |before: &&Trust| before.issuer.has_keys_of(&trust.issuer);
            if let Some(before) = self.trusts.iter().find(same) {
                trust.keys.begin_with(&before.keys);
            }
        }
        Ok(next)
    }

    /// How long ago each issuer's keys were last fetched; if they never were, since when that is so.
    pub fn ages(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.trusts.iter().map(|trust| (&*trust.name, trust.keys.age()))
    }

    /// Whether tokens can be verified: every issuer was asked for its keys once, and one at least has some. An
    /// issuer that is down does not keep the others' callers out.
    pub fn ready(&self) -> bool {
        self.trusts.iter().all(|trust| trust.keys.tried())
            && self.trusts.iter().any(|trust| trust.keys.ready())
    }

    /// The caller whose credential `headers` has.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub async fn verify(&self, headers: &HeaderMap) -> Result<Arc<Verified<D>>, TokenFault> {
        self.verify_at(headers, SystemTime::now()).await
    }

    /// As [`Verifier::verify`], as if it were `now`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub async fn verify_at(
        &self,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<Arc<Verified<D>>, TokenFault> {
        let credential = Credential::of(headers, self.taken, self.token_bytes)?;
        let name = credential.digest();
        match self.find(&name, now) {
            Some(entry) => Ok(entry),
            None => self.verify_anew(credential, name, now).await,
        }
    }

    /// The header in which the tokens of this one's issuer come: it is what the token says, and not believed.
    /// `Authorization` for what no issuer here signs.
    pub fn header_of(&self, token: &str) -> TokenHeader {
        let unverified = Unverified::read(token.as_bytes()).ok();
        let said = unverified.as_ref().and_then(Unverified::issuer);
        let its = self.trusts.iter().find(|trust| said == Some(&trust.issuer.url));
        its.map(|trust| trust.issuer.header).unwrap_or_default()
    }

    /// The audiences that `token` has, and those that its issuer's tokens must have one of, for an explanation; the
    /// token is not verified.
    pub fn audiences(&self, token: &str) -> Option<String> {
        let unverified = Unverified::read(token.as_bytes()).ok()?;
        let issuer = &self.trusts.iter().find(|trust| unverified.issuer() == Some(&trust.issuer.url))?.issuer;
        let found = unverified.claim("aud").map_or("none".to_owned(), ToString::to_string);
        Some(format!("expected one of {:?}, found {found}", issuer.audiences))
    }

    /// What [`Verifier::verify`] gives, if the credential is remembered; `None` also for headers without one.
    pub fn remembered(&self, headers: &HeaderMap) -> Option<Arc<Verified<D>>> {
        let credential = Credential::of(headers, self.taken, self.token_bytes).ok()?;
        self.find(&credential.digest(), SystemTime::now())
    }

    fn find(&self, name: &Digest, now: SystemTime) -> Option<Arc<Verified<D>>> {
        self.cache.get(name).filter(|entry| self.is_fresh(entry, now))
    }

    /// Whether the entry still stands: `exp` is not reached, and the issuer has withdrawn no key since.
    fn is_fresh(&self, entry: &Verified<D>, now: SystemTime) -> bool {
        let vouched = match entry.voucher {
            Voucher::Issuer { place, keys } => {
                self.trusts.get(place).is_some_and(|trust| trust.keys.generation() == keys)
            }
            Voucher::Account => true,
        };
        vouched && now < entry.caller.expires()
    }

    async fn verify_anew(
        &self,
        credential: Credential<'_>,
        digest: Digest,
        now: SystemTime,
    ) -> Result<Arc<Verified<D>>, TokenFault> {
        let (caller, voucher, bytes) = match credential {
            Credential::Token(header, token) => {
                let (caller, voucher) = self.signed(header, token, digest, now).await?;
                (caller, voucher, token)
            }
            Credential::Basic(pair) => {
                (self.accounts.caller(pair, digest, now).await?, Voucher::Account, pair)
            }
        };
        let entry = Arc::new(Verified {
            fresh_for: caller.expires().duration_since(now).unwrap_or_default(),
            caller: Arc::new(caller),
            decision: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            voucher,
            weight: u32::try_from(bytes.len().saturating_add(ENTRY_BYTES)).unwrap_or(u32::MAX),
        });
        if !entry.fresh_for.is_zero() {
            self.cache.insert(digest, Arc::clone(&entry));
        }
        Ok(entry)
    }

    /// The caller of a token that came in `header`, if an issuer whose tokens come there signed it.
    async fn signed(
        &self,
        header: TokenHeader,
        token: &[u8],
        digest: Digest,
        now: SystemTime,
    ) -> Result<(Caller, Voucher), TokenFault> {
        let unverified = Unverified::read(token)?;
        let said = unverified.issuer();
        let is_its = |trust: &Trust| said == Some(&trust.issuer.url) && trust.issuer.header == header;
        let place = self.trusts.iter().position(is_its).ok_or(TokenFault::Issuer)?;
        let trust = self.trusts.get(place).ok_or(TokenFault::Issuer)?;
        let algorithm = unverified.algorithm();
        if !trust.issuer.algorithms.contains(&algorithm) {
            return Err(TokenFault::Algorithm);
        }
        let kid = unverified.kid().map(str::to_owned);
        let found = trust.keys.find_or_fetch(kid.as_deref(), algorithm).await?;
        let caller = unverified.signed_by(&found.key)?.accept(&trust.issuer, &trust.name, now, digest)?;
        Ok((caller, Voucher::Issuer { place, keys: found.generation }))
    }
}

fn trusts(issuers: Vec<Issuer>, timing: KeyTiming, fetched: &Fetched) -> Result<Vec<Trust>, VerifierFault> {
    let mut trusts: Vec<Trust> = Vec::with_capacity(issuers.len());
    for issuer in issuers {
        issuer.check().map_err(|fault| VerifierFault::Issuer { url: issuer.url.clone(), fault })?;
        if let Some(ca) = issuer.ca.clone() {
            let settings = ClientTls { ca: Some(ca), ..ClientTls::default() }.settings();
            settings.map_err(|fault| VerifierFault::Ca { url: issuer.url.clone(), fault })?;
        }
        if trusts.iter().any(|trust| trust.issuer.url == issuer.url) {
            return Err(VerifierFault::Twice(issuer.url));
        }
        let (issuer, name) = (Arc::new(issuer.clone()), Arc::from(issuer.url));
        let keys = Arc::new(Keys::new(Arc::clone(&issuer), timing, Arc::clone(fetched)));
        trusts.push(Trust { issuer, name, keys });
    }
    if trusts.is_empty() { Err(VerifierFault::NoIssuer) } else { Ok(trusts) }
}

impl<D> Verified<D> {
    /// The caller.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// Whether this is the first request under this verification, true once: later ones come from the
    /// cache.
    pub fn first_use(&self) -> bool {
        !self.used.load(Ordering::Relaxed) && !self.used.swap(true, Ordering::Relaxed)
    }

    /// Whether [`Verified::decision`] is remembered.
    pub fn is_decided(&self, generation: u64) -> bool {
        self.decision.load().as_deref().is_some_and(|decided| decided.0 == generation)
    }

    /// What `decide` says about the caller, remembered as long as the token is, and only for policies of this
    /// `generation`: after a reload the caller's next request is decided by the new ones.
    pub fn decision(&self, generation: u64, decide: impl FnOnce(&Caller) -> D) -> Arc<D> {
        if let Some(decided) = self.decision.load().as_deref()
            && decided.0 == generation
        {
            return Arc::clone(&decided.1);
        }
        let decision = Arc::new(decide(&self.caller));
        self.decision.store(Some(Arc::new((generation, Arc::clone(&decision)))));
        decision
    }
}

/// Entries leave the cache at `exp`. What decides whether one counts is [`Verifier::is_fresh`]; this frees the memory.
struct UntilExpiry;

impl<D> Expiry<Digest, Arc<Verified<D>>> for UntilExpiry {
    fn expire_after_create(&self, _: &Digest, entry: &Arc<Verified<D>>, _: Instant) -> Option<Duration> {
        Some(entry.fresh_for)
    }

    fn expire_after_update(
        &self,
        _: &Digest,
        entry: &Arc<Verified<D>>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.fresh_for)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
