//! A backend's own tenancy as a second layer: headers by which it narrows a request itself, beside the scope
//! that the request carries anyway.
//!
//! `X-Scope-OrgID` names the tenant, or several joined by `|` where the backend federates (`tenant/tenant.go` of
//! `grafana/dskit`, which Loki, Tempo and Mimir use). `X-Prom-Label-Policy` holds `ORG:SELECTOR` for each, the
//! selector percent-encoded, several joined by commas (`pkg/labelaccess/propagation.go` of Loki, behind
//! `lbac.enabled`; Grafana Enterprise Metrics reads the same): a stream or series must match one selector of its
//! tenant. Without a policy for a tenant everything of it passes, so each tenant that is named has one.

use super::Backend;
use crate::lang::promql;
use crate::limits::Limits;
use crate::rejection::{Forbidden, Rejection};
use crate::tenant::{Scope, ScopeValue, Values};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::fmt;

/// The header that names tenants.
pub const ORG_ID: &str = "x-scope-orgid";
/// The header that narrows them.
pub const LABEL_POLICY: &str = "x-prom-label-policy";

/// The bytes of a tenant's id (`MaxTenantIDLength` of `tenant/tenant.go`).
const ID_BYTES: usize = 150;

/// All that RFC 3986 does not leave unreserved; a comma above all, which stands between policies.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The id of a tenant as a backend has it: `[A-Za-z0-9!._*'()-]{1,150}`, and no step in a path (`ValidTenantID` of
/// `tenant/tenant.go`). Nothing in it ends a header or stands between two ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgId(String);

impl OrgId {
    /// Reads an id.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let special = |b: u8| matches!(b, b'!' | b'-' | b'_' | b'.' | b'*' | b'\'' | b'(' | b')');
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || special(b));
        if fits && !matches!(text, "" | "." | "..") && text.len() <= ID_BYTES {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is no org id, which matches [A-Za-z0-9!._*'()-]{{1,150}}"))
        }
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An id for each value of a dimension: what stands before and after the value, or one id for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    before: String,
    /// `None`: the value does not matter.
    after: Option<String>,
}

impl Template {
    /// Reads a template, such as `store-{tenant}`, in which values of `dimension` stand.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub fn parse(text: &str, dimension: &str) -> Result<Self, String> {
        let template = match text.split_once(&format!("{{{dimension}}}")) {
            Some((before, after)) => Self { before: before.to_owned(), after: Some(after.to_owned()) },
            None => Self { before: text.to_owned(), after: None },
        };
        let longest = "a".repeat(if template.after.is_some() { ScopeValue::MAX_BYTES } else { 0 });
        let made = OrgId::parse(&template.of(&longest));
        made.map(|_| template).map_err(|_| {
            format!("`{text}` makes no org ids, write characters of [A-Za-z0-9!._*'()-], at most 150 in all, and `{{{dimension}}}`")
        })
    }

    fn of(&self, value: &str) -> String {
        match &self.after {
            Some(after) => [&self.before, value, after].concat(),
            None => self.before.clone(),
        }
    }
}

/// How a backend's own tenants follow from a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenancy {
    /// The dimension whose values have ids.
    pub dimension: String,
    /// The ids of some values.
    pub ids: BTreeMap<String, OrgId>,
    /// The ids of all other values; without it they have none.
    pub template: Option<Template>,
    /// Whether the backend takes several ids at once.
    pub federates: bool,
    /// The ids for callers who may see everything; none: the backend is closed to them.
    pub unrestricted: Vec<OrgId>,
    /// Whether the backend is also told the scope as a label policy.
    pub label_policy: bool,
}

/// The headers of one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenancyHeaders {
    org_id: String,
    label_policy: Option<String>,
}

impl TenancyHeaders {
    /// Of a Loki without tenants of its own, for a question about the server that wants one all the same
    /// (`tenantLimitsHandler` in `pkg/loki/config_handler.go`); `fake` is the name of its only tenant (`pkg/loki/fake_auth.go`).
    pub(super) fn of_the_only_tenant() -> Self {
        Self { org_id: "fake".to_owned(), label_policy: None }
    }

    /// Names and values, as they are sent.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let policy = self.label_policy.as_deref().map(|policy| (LABEL_POLICY, policy));
        [(ORG_ID, self.org_id.as_str())].into_iter().chain(policy)
    }
}

/// The ids of a scope, in order, each with the values that have it; no values: a caller who may see everything.
type Ids = BTreeMap<OrgId, Vec<ScopeValue>>;

impl Tenancy {
    /// Whether callers of `scope` can be told apart to this backend.
    ///
    /// # Errors
    /// [`Forbidden::ClosedBackend`] if no value has an id, [`Forbidden::NarrowerScope`] if some have none, or
    /// several ids are more than the backend takes.
    pub fn open_to(&self, scope: &Scope) -> Result<(), Forbidden> {
        self.ids(scope).map(drop)
    }

    fn ids(&self, scope: &Scope) -> Result<Ids, Forbidden> {
        if scope.is_unrestricted() {
            let ids: Ids = self.unrestricted.iter().map(|id| (id.clone(), Vec::new())).collect();
            return if ids.is_empty() { Err(Forbidden::ClosedBackend) } else { Ok(ids) };
        }
        let values = scope.dimensions().get(&self.dimension).ok_or(Forbidden::ClosedBackend)?;
        let mut ids = Ids::new();
        let mut known = 0;
        for value in values.iter() {
            if let Some(id) = self.id(value) {
                ids.entry(id).or_default().push(value.clone());
                known += 1;
            }
        }
        match (known, ids.len()) {
            (0, _) => Err(Forbidden::ClosedBackend),
            (all, one) if all == values.len() && (one == 1 || self.federates) => Ok(ids),
            _ => Err(Forbidden::NarrowerScope),
        }
    }

    fn id(&self, value: &ScopeValue) -> Option<OrgId> {
        let listed = self.ids.get(value.as_str()).cloned();
        listed.or_else(|| self.template.as_ref().map(|template| OrgId(template.of(value.as_str()))))
    }

    /// The headers of calls to `backend` for callers of `scope`.
    ///
    /// # Errors
    /// As [`Self::open_to`]; [`Rejection::TooLarge`] over the cap; what makes a selector refuse.
    pub(super) fn headers(
        &self,
        backend: &Backend,
        scope: &Scope,
        limits: &Limits,
    ) -> Result<TenancyHeaders, Rejection> {
        let ids = self.ids(scope)?;
        let org_id = ids.keys().map(|id| id.0.as_str()).collect::<Vec<_>>().join("|");
        let narrowed = self.label_policy && !scope.is_unrestricted();
        let label_policy = narrowed.then(|| self.label_policy(backend, scope, ids, limits)).transpose()?;
        let max = limits.outbound_header_bytes;
        if [Some(&org_id), label_policy.as_ref()].into_iter().flatten().any(|value| value.len() > max) {
            let key = "`limits.outbound_header_bytes`";
            return Err(Rejection::TooLarge { what: "bytes of a header that names the tenants", max, key });
        }
        Ok(TenancyHeaders { org_id, label_policy })
    }

    /// For each id the scope of its values, and no others.
    fn label_policy(
        &self,
        backend: &Backend,
        scope: &Scope,
        ids: Ids,
        limits: &Limits,
    ) -> Result<String, Rejection> {
        let policy = |(id, values): (OrgId, Vec<ScopeValue>)| {
            let mut dimensions = scope.dimensions().clone();
            dimensions.insert(self.dimension.clone(), Values::new(values)?);
            Some((id, Scope::new(dimensions)?))
        };
        let mut policies = Vec::with_capacity(ids.len());
        for id in ids {
            let (id, scope) = policy(id).ok_or_else(|| Rejection::Defect("a policy of nothing".into()))?;
            let matchers = backend.said(&scope)?;
            // Loki reads it as PromQL, too.
            let selector = promql::scope_selector(&matchers, &limits.query);
            let selector =
                selector.map_err(|error| Rejection::query(crate::lang::Language::PromQl, error, ""))?;
            policies.push(format!("{id}:{}", utf8_percent_encode(selector.as_str(), ENCODED)));
        }
        Ok(policies.join(","))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::api::Kind;

    fn scope(dimensions: &[(&str, &[&str])]) -> Scope {
        let values = |texts: &[&str]| {
            Values::new(texts.iter().map(|text| ScopeValue::parse(text).unwrap()).collect()).unwrap()
        };
        Scope::new(dimensions.iter().map(|(name, texts)| ((*name).to_owned(), values(texts))).collect())
            .unwrap()
    }

    fn tenants(texts: &[&str]) -> Scope {
        scope(&[("tenant", texts)])
    }

    fn backend() -> Backend {
        let labels = [("tenant", "tenant"), ("region", "place")];
        let labels = labels.map(|(dimension, label)| (dimension.to_owned(), label.to_owned())).into();
        Backend::new("loki", Kind::Loki, labels)
    }

    fn tenancy() -> Tenancy {
        Tenancy {
            dimension: "tenant".into(),
            ids: [("acme-books".to_owned(), OrgId::parse("1001").unwrap())].into(),
            template: None,
            federates: false,
            unrestricted: Vec::new(),
            label_policy: false,
        }
    }

    fn with(template: &str, federates: bool) -> Tenancy {
        let template = Some(Template::parse(template, "tenant").unwrap());
        Tenancy { template, federates, ..tenancy() }
    }

    fn org(tenancy: &Tenancy, scope: &Scope) -> Result<String, Rejection> {
        tenancy.headers(&backend(), scope, &Limits::default()).map(|headers| headers.org_id)
    }

    #[test]
    fn an_id_is_what_the_backends_take_and_150_bytes_long_at_most() {
        for good in ["a", "A-9_.", "!*'()", "...", &"a".repeat(150)] {
            assert!(OrgId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a|b", "a,b", "a:b", "a/b", "a b", "a\r\nx: y", "ä", &"a".repeat(151)] {
            assert!(OrgId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_template_makes_ids_of_every_value_or_is_refused() {
        for (text, made) in [("{tenant}", "acme"), ("s-{tenant}.x", "s-acme.x"), ("shared", "shared")] {
            assert_eq!(Template::parse(text, "tenant").unwrap().of("acme"), made);
        }
        for bad in ["", "{region}", "{tenant}{tenant}", "a|{tenant}", "a,b", "{}", ".", "{tenant", "a b"] {
            assert!(Template::parse(bad, "tenant").is_err(), "{bad}");
        }
        let long = |bytes: usize| Template::parse(&format!("{}{{tenant}}", "a".repeat(bytes)), "tenant");
        assert!(long(150 - 63).is_ok() && long(150 - 62).is_err());
    }

    #[test]
    fn a_value_has_the_id_that_is_listed_or_made_or_the_backend_is_closed() {
        assert_eq!(org(&tenancy(), &tenants(&["acme-books"])).unwrap(), "1001");
        assert_eq!(tenancy().open_to(&tenants(&["globex-lit"])), Err(Forbidden::ClosedBackend));
        assert_eq!(tenancy().open_to(&scope(&[("region", &["eu"])])), Err(Forbidden::ClosedBackend));
        let made = with("s-{tenant}", false);
        assert_eq!(org(&made, &tenants(&["acme-books"])).unwrap(), "1001");
        assert_eq!(org(&made, &tenants(&["globex-lit"])).unwrap(), "s-globex-lit");
    }

    #[test]
    fn several_ids_are_for_backends_that_federate() {
        let both = tenants(&["globex-lit", "acme-books"]);
        assert_eq!(with("s-{tenant}", false).open_to(&both), Err(Forbidden::NarrowerScope));
        assert_eq!(org(&with("s-{tenant}", true), &both).unwrap(), "1001|s-globex-lit");
        // A part of a scope is never silently left out.
        let part = Tenancy { federates: true, ..tenancy() };
        assert_eq!(part.open_to(&both), Err(Forbidden::NarrowerScope));
        let shared = Tenancy { ids: BTreeMap::new(), ..with("shared", false) };
        assert_eq!(org(&shared, &both).unwrap(), "shared");
    }

    #[test]
    fn who_may_see_everything_needs_ids_of_his_own() {
        let everything = Scope::unrestricted();
        assert_eq!(with("{tenant}", true).open_to(&everything), Err(Forbidden::ClosedBackend));
        let unrestricted = vec![OrgId::parse("globex-lit").unwrap(), OrgId::parse("1001").unwrap()];
        let open = Tenancy { unrestricted, label_policy: true, ..with("{tenant}", true) };
        let headers = open.headers(&backend(), &everything, &Limits::default()).unwrap();
        assert_eq!(headers.iter().collect::<Vec<_>>(), [(ORG_ID, "1001|globex-lit")]);
    }

    #[test]
    fn a_label_policy_says_the_scope_of_each_id() {
        let headers = |tenancy: &Tenancy, scope: &Scope| {
            let headers = tenancy.headers(&backend(), scope, &Limits::default()).unwrap();
            headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        let one = Tenancy { label_policy: true, ..tenancy() };
        assert_eq!(
            headers(&one, &scope(&[("tenant", &["acme-books"]), ("region", &["eu-west"])])),
            [
                "x-scope-orgid: 1001",
                "x-prom-label-policy: 1001:%7Bplace%3D%22eu-west%22%2Ctenant%3D%22acme-books%22%7D"
            ]
        );
        let several = Tenancy { label_policy: true, ..with("s-{tenant}", true) };
        assert_eq!(
            headers(&several, &tenants(&["acme-books", "globex.lit"]))[1],
            "x-prom-label-policy: 1001:%7Btenant%3D%22acme-books%22%7D,s-globex.lit:%7Btenant%3D%22globex.lit%22%7D"
        );
        let shared = Tenancy { ids: BTreeMap::new(), label_policy: true, ..with("shared", false) };
        assert_eq!(
            headers(&shared, &tenants(&["acme-books", "globex.lit"]))[1],
            "x-prom-label-policy: shared:%7Btenant%3D~%22acme-books%7Cglobex%5C%5C.lit%22%7D"
        );
    }

    #[test]
    fn a_header_ends_at_its_cap() {
        let scope = tenants(&["a", "bc"]);
        let at = |max: usize, label_policy: bool| {
            let limits = Limits { outbound_header_bytes: max, ..Limits::default() };
            let tenancy = Tenancy { label_policy, ..with("{tenant}", true) };
            tenancy.headers(&backend(), &scope, &limits).map(drop).map_err(|rejection| rejection.kind())
        };
        assert_eq!((at(4, false), at(3, false)), (Ok(()), Err("too_large")));
        let policy = "a:%7Btenant%3D%22a%22%7D,bc:%7Btenant%3D%22bc%22%7D".len();
        assert_eq!((at(policy, true), at(policy - 1, true)), (Ok(()), Err("too_large")));
    }
}
