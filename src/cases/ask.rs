//! One request through policy and scoping, without a server: what the server does with it, by the same functions
//! ([`crate::request`]), less what only a connection has.

use crate::api::parameters::Parameters;
use crate::api::{Class, Method, Methods};
use crate::limits::Limits;
use crate::policy::{Grant, Judgement, Policies};
use crate::rejection::Rejection;
use crate::request::{Headers as _, admit, per_tenant, read};
use crate::scope::preview::{Preview, preview};
use crate::scope::{Accept, Asked, Backend, Carried, Site};
use serde_json::{Map, Value};

/// A request to a backend, below its mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path below the mount, or the whole path if it names a tenant, `/t/TENANT/MOUNT/…`.
    pub path: String,
    /// The query of the URL. Characters that no URL may hold stand for themselves.
    pub query: Option<String>,
    /// Headers in any case.
    pub headers: Vec<(String, String)>,
    /// The form of a POST, or its JSON where the endpoint takes that.
    pub form: Option<String>,
}

impl Request {
    /// Reads `METHOD PATH?QUERY`, such as `GET /api/v1/query?query=up`.
    ///
    /// # Errors
    /// What is wrong, for whoever wrote it.
    pub fn parse(line: &str) -> Result<Self, String> {
        let (method, target) =
            line.trim().split_once(' ').ok_or("a request is written as `GET /path?query`")?;
        let target = target.trim_start();
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) || !target.starts_with('/') {
            return Err("a request is written as `GET /path?query`".to_owned());
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Ok(Self { method: method.to_owned(), path: path.to_owned(), query, ..Self::default() })
    }
}

/// What a request is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The rules.
    pub policies: &'a Policies,
    /// The backends that are asked: one, or all of a mount.
    pub site: &'a Site<'a>,
    /// The caps.
    pub limits: &'a Limits,
}

/// What becomes of a request, with the reasons.
#[derive(Debug)]
pub struct Heard {
    /// The request.
    pub request: Request,
    /// What policy says of the caller.
    pub judgement: Judgement,
    /// What the request runs under, if anything.
    pub grant: Option<Grant>,
    /// The backend that it goes to, where several share the mount.
    pub chosen: Option<String>,
    /// What would be sent, or why nothing is.
    pub result: Result<Preview, Rejection>,
}

/// Judges the claims of a verified token, and what its bearer asks.
pub fn ask(asking: &Asking<'_>, claims: &Map<String, Value>, request: &Request) -> Heard {
    let judgement = asking.policies.judge(claims);
    let (grant, chosen, result) = match asking.grant(&judgement, request) {
        Ok((asked, backend, grant)) => {
            let result = asking.preview(&asked, backend, &grant, request);
            let chosen = (asking.site.backends.len() > 1).then(|| backend.name.clone());
            (Some(grant), chosen, result)
        }
        Err(rejection) => (None, None, Err(rejection)),
    };
    Heard { request: request.clone(), judgement, grant, chosen, result }
}

impl Asking<'_> {
    fn grant<'r>(&'r self, judgement: &Judgement, request: &'r Request) -> Result<Granted<'r>, Rejection> {
        let asked = self.asked(request)?;
        let grants = judgement.grants.as_ref().map_err(|forbidden| *forbidden)?;
        let (backend, grant) = asked.grant(grants, &self.site.backends, |backend| backend)?;
        Ok((asked, backend, grant))
    }

    /// What a decision must know of the request. Its path may be whole, with a tenant before the mount.
    fn asked<'r>(&'r self, request: &'r Request) -> Result<admit::Asked<'r, Lines>, Rejection> {
        let (mount, kind) = (self.site.mount, self.site.kind);
        let (tenant, path) = per_tenant(&request.path);
        let below = || path.strip_prefix('/')?.strip_prefix(mount).filter(|below| below.starts_with('/'));
        let path = if tenant.is_none() { path } else { below().ok_or(Rejection::UnknownMount)? };
        Ok(admit::Asked { mount, kind, method: method(request), path, headers: &request.headers, tenant })
    }

    /// What kind of endpoint is asked; `None` if there is none.
    pub(super) fn class(&self, request: &Request) -> Option<Class> {
        self.asked(request).ok()?.class()
    }

    fn preview(
        &self,
        asked: &admit::Asked<'_, Lines>,
        backend: &Backend,
        grant: &Grant,
        request: &Request,
    ) -> Result<Preview, Rejection> {
        let matched = read::find(backend, asked.path, false)?.by(backend.kind, asked.method)?;
        let (endpoint, form) = (matched.endpoint, request.form.as_deref());
        let is_call = matches!(endpoint.methods, Methods::Grpc(_));
        read::check_form(endpoint, asked.method, asked.headers, (is_call, form.is_some()))?;
        let url = request.query.as_deref();
        let asked = if is_call {
            // A message's fields are written as a form: there is no wire here.
            let parameters = Parameters::read(endpoint, url, form, self.limits)?;
            Asked { matched, parameters, body: None, accept: Accept::Protobuf, carried: Carried::default() }
        } else {
            let mut headers = request.headers.clone();
            // A body whose type the case does not say is of the type that the endpoint takes.
            if form.is_some() && headers.text("content-type").is_none() {
                let typed = read::typed(endpoint).into_iter();
                headers.extend(typed.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            let mut body = None;
            if asked.method == Some(Method::Post) {
                let given = form.unwrap_or_default();
                let taken = read::body(endpoint, &headers, given.is_empty(), self.limits)?;
                body = match taken {
                    Some((max, too_large)) if given.len() > max => return Err(too_large),
                    taken => taken.map(|_| given.as_bytes().to_vec()),
                };
            }
            read::read(matched, url, &mut body, &headers, self.limits)?
        };
        preview(grant, backend, &asked, self.limits)
    }
}

/// The headers of a request.
type Lines = Vec<(String, String)>;

/// What was granted, and the backend that holds it.
type Granted<'r> = (admit::Asked<'r, Lines>, &'r Backend, Grant);

fn method(request: &Request) -> Option<Method> {
    match request.method.as_str() {
        "GET" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "DELETE" => Some(Method::Delete),
        _ => None,
    }
}
