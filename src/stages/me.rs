//! What a caller may know of itself: `GET /palisade/v1/me`. No backend is asked, and nothing is told but what the
//! caller's own token grants at the backends of this listener.

use super::scope::method;
use super::{Arrived, Authenticate, Authorize, Refused, Reply, Site};
use crate::api::{Class, Kind, own};
use crate::auth::{Caller, SERVICE_ACCOUNTS};
use crate::events::Outcome;
use crate::policy::{Grant, Grants, Narrowing, RuleLimits, Share, united};
use crate::rejection::{Forbidden, Rejection};
use crate::request::admit::wish;
use crate::respond::{answer, full};
use crate::scope::holder;
use crate::tenant::{Scope, ScopeValue};
use http::header::HeaderValue;
use http::{Request, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Answers what is asked of Palisade itself.
#[derive(Clone)]
pub struct Me {
    /// Who is asking.
    pub authenticate: Authenticate,
    /// What they may see.
    pub authorize: Authorize,
    /// What the listener serves.
    pub sites: Arc<[Arc<Site>]>,
}

impl Me {
    /// The answer to a request for `below`, a path below [`own::NAME`]; `tenant` is that of the path before it.
    /// Refused in the order of all requests: token, policy, path, method.
    pub(super) async fn answer<B>(
        self: Arc<Self>,
        arrived: Arrived<B>,
        tenant: Option<String>,
        below: String,
    ) -> Result<Reply, Refused> {
        let Arrived { request, mut told, .. } = arrived;
        // The body, which may not be shared by threads, is not needed.
        let (head, _) = request.into_parts();
        let request = Request::from_parts(head, ());
        let verified = match self.authenticate.verify(request.headers(), &mut told).await {
            Ok(verified) => verified,
            Err(fault) => return Err(told.refuse(fault)),
        };
        let decision = self.authorize.decision(&verified);
        let wish = wish(request.headers(), tenant.as_deref());
        let seen = match (&*decision, &wish) {
            (Err(forbidden), _) | (_, Err(forbidden)) => Err(Rejection::from(*forbidden)),
            (Ok(grants), Ok(wish)) => self.seen(grants, wish.as_ref()),
        };
        let seen = match seen {
            Ok(seen) => seen,
            Err(rejection) => return Err(told.refuse(rejection)),
        };
        told.grant = seen.only();
        let Some(endpoint) = own::route(&below) else {
            return Err(told.refuse(Rejection::UnknownEndpoint));
        };
        told.endpoint = Some(endpoint);
        if !method(request.method()).is_some_and(|method| endpoint.methods.has(method)) {
            return Err(told.refuse(Rejection::Method { allow: endpoint.methods.allow() }));
        }
        let body = full(format!("{}\n", seen.told(verified.caller())));
        let response = answer(StatusCode::OK, HeaderValue::from_static("application/json"), body);
        Ok(told.reply(response, Outcome::Static))
    }

    /// What is granted at the backends of this listener. It counts as a request of those who share it.
    fn seen(&self, grants: &Grants, wish: Option<&Narrowing>) -> Result<Seen, Rejection> {
        let mut sites = Vec::new();
        for site in self.sites.iter() {
            let access = access(grants, site, wish)?;
            if !access.is_empty() {
                sites.push((Arc::clone(site), access));
            }
        }
        let seen = Seen(sites);
        if seen.0.is_empty() {
            let refused = if wish.is_some() { Forbidden::Narrowing } else { Forbidden::NoRule };
            return Err(refused.into());
        }
        self.authorize.gates.enter(&seen.shares())?;
        Ok(seen)
    }
}

/// A conjunction, and the classes of endpoints at which it is granted.
type Access = (Grant, Vec<Class>);

/// What is granted at each site.
struct Seen(Vec<(Arc<Site>, Vec<Access>)>);

impl Seen {
    fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter().flat_map(|(_, access)| access.iter().map(|(grant, _)| grant))
    }

    /// The grant, if it is the same everywhere.
    fn only(&self) -> Option<Grant> {
        let mut grants = self.grants();
        let first = grants.next()?;
        grants.all(|grant| grant.scope() == first.scope()).then(|| first.clone())
    }

    /// Among which requests it is counted, among each once.
    fn shares(&self) -> Vec<Arc<Share>> {
        let shares = self.grants().flat_map(Grant::shares);
        let named: BTreeMap<&str, &Arc<Share>> = shares.map(|share| (share.key.as_str(), share)).collect();
        named.into_values().cloned().collect()
    }

    fn told(&self, caller: &Caller) -> Value {
        let backends = self.0.iter().map(|(site, access)| {
            let access = access.iter().map(|(grant, classes)| {
                let classes: Vec<&str> = classes.iter().map(|class| class.name()).collect();
                let limits = grant.limits().map_or_else(Map::new, limits);
                json!({ "scope": scope(grant.scope()), "endpoints": classes, "limits": limits })
            });
            json!({ "name": site.name, "kind": site.kind.name(), "access": access.collect::<Value>() })
        });
        // The name and password of a service account have no end.
        let expires = (caller.issuer() != SERVICE_ACCOUNTS)
            .then(|| caller.expires().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
        json!({
            "subject": caller.subject(),
            "issuer": caller.issuer(),
            "expires": expires,
            "scope": united(self.grants()).iter().map(scope).collect::<Value>(),
            "backends": backends.collect::<Value>(),
        })
    }
}

/// Each conjunction that is granted at `site` and can be asked for there, with the classes at which it is.
fn access(grants: &Grants, site: &Site, wish: Option<&Narrowing>) -> Result<Vec<Access>, Forbidden> {
    let mut access: Vec<Access> = Vec::new();
    for class in classes(site, grants) {
        let granted = match grants.conjunctions(&site.name, Some(class), wish) {
            Ok(granted) => granted,
            // It may be granted elsewhere.
            Err(Forbidden::Narrowing) => continue,
            Err(refused) => return Err(refused),
        };
        for grant in granted.into_iter().filter(|grant| is_held(site, grant)) {
            match access.iter_mut().find(|(known, _)| *known == grant) {
                Some((_, classes)) => classes.push(class),
                None => access.push((grant, vec![class])),
            }
        }
    }
    Ok(access)
}

/// Whether something of the scope is held at the site, by a backend that can say it.
fn is_held(site: &Site, grant: &Grant) -> bool {
    match holder(&site.mounts, |mount| &mount.backend, grant) {
        Ok(mount) => mount.backend.open_to(grant).is_ok(),
        // Spread over several, of which the caller chooses.
        Err(refused) => refused == Forbidden::NarrowerScope,
    }
}

/// The classes of the endpoints that the site has.
fn classes(site: &Site, grants: &Grants) -> impl Iterator<Item = Class> {
    Class::ALL.into_iter().filter(move |class| match class {
        // Granted by name, so never where no rule names classes.
        Class::TracesRedacted => {
            grants.by_class() && site.mounts.iter().any(|mount| mount.backend.redacts_traces)
        }
        class => site.mounts.iter().any(|mount| {
            let backend = &mount.backend;
            let open = |path| !backend.closed_endpoints.contains(&path);
            let mut rows = Kind::endpoints(site.kind).iter();
            rows.any(|row| row.class() == *class && row.served(backend.features) && open(row.path))
        }),
    })
}

/// A conjunction: for each dimension the values, one of which must hold. Without any it is everything.
fn scope(scope: &Scope) -> Value {
    let values = scope.dimensions().iter().map(|(dimension, values)| {
        (dimension.clone(), values.iter().map(ScopeValue::as_str).collect::<Value>())
    });
    Value::Object(values.collect())
}

/// What is limited, under the names that policy files have for it; times in seconds.
fn limits(limits: &RuleLimits) -> Map<String, Value> {
    let RuleLimits {
        rate,
        concurrent_requests,
        tails,
        query_bytes,
        selectors,
        range,
        points,
        entries,
        answer_bytes,
    } = limits;
    let limited: [(&str, Option<Value>); 10] = [
        ("requests_per_second", rate.map(|rate| rate.per_second.into())),
        ("burst", rate.map(|rate| rate.burst.into())),
        ("concurrent_requests", concurrent_requests.map(Value::from)),
        ("tails", tails.map(Value::from)),
        ("query_bytes", query_bytes.map(Value::from)),
        ("selectors", selectors.map(Value::from)),
        ("range", range.map(|range| range.as_secs_f64().into())),
        ("points", points.map(Value::from)),
        ("entries", entries.map(Value::from)),
        ("answer_bytes", answer_bytes.map(Value::from)),
    ];
    limited.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
