//! One request through policy and scoping, without a server: the stages of the request path in their
//! order, less what only a connection has.

use crate::api::parameters::Parameters;
use crate::api::path::{Matched, route};
use crate::api::{Class, Method, Methods};
use crate::limits::Limits;
use crate::policy::{Grant, Judgement, Narrowing, Policies, SCOPE_HEADER, TENANT_HEADER};
use crate::rejection::{Forbidden, Rejection};
use crate::scope::preview::{Preview, preview};
use crate::scope::{Accept, Asked, Backend, Carried, Site};
use serde_json::{Map, Value};

/// A request to a backend, below its mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path below the mount.
    pub path: String,
    /// The query of the URL. Characters that no URL may hold stand for themselves.
    pub query: Option<String>,
    /// Headers in any case; those that narrow a scope are looked at.
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

    fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_bytes())
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
    match asking.grant(&judgement, request) {
        Ok((backend, grant)) => {
            let result = asking.preview(backend, &grant, request);
            let chosen = (asking.site.backends.len() > 1).then(|| backend.name.clone());
            Heard { request: request.clone(), judgement, grant: Some(grant), chosen, result }
        }
        Err(forbidden) => {
            let result = Err(forbidden.into());
            Heard { request: request.clone(), judgement, grant: None, chosen: None, result }
        }
    }
}

impl Asking<'_> {
    fn grant(&self, judgement: &Judgement, request: &Request) -> Result<(&Backend, Grant), Forbidden> {
        let grants = judgement.grants.as_ref().map_err(|forbidden| *forbidden)?;
        let wish = Narrowing::from_headers(request.header(SCOPE_HEADER), request.header(TENANT_HEADER))?;
        let class = self.class(request);
        let grant = grants.choose(self.site.mount, class, wish.as_ref())?;
        self.site.open_to(&grant).map(|backend| (backend, grant))
    }

    /// What kind of endpoint is asked; `None` if there is none.
    pub(super) fn class(&self, request: &Request) -> Option<Class> {
        let matched = self.matched(request).ok()?.by(self.site.kind, method(request));
        matched.ok().map(|matched| matched.endpoint.class())
    }

    fn matched(&self, request: &Request) -> Result<Matched, Rejection> {
        route(self.site.kind, &request.path)
    }

    /// Path, method, size, parameters: the order in which a server refuses.
    fn preview(&self, backend: &Backend, grant: &Grant, request: &Request) -> Result<Preview, Rejection> {
        let matched = self.matched(request)?.by(backend.kind, method(request))?;
        match request.method.as_str() {
            "GET" if request.form.is_some() => return Err(Rejection::Malformed("a GET has no body")),
            "DELETE" if request.form.is_some() => return Err(Rejection::Malformed("a DELETE has no body")),
            _ => {}
        }
        if request.form.as_ref().is_some_and(|form| form.len() > self.limits.body_bytes) {
            return Err(Rejection::body_too_large(self.limits.body_bytes));
        }
        let (url, given) = (request.query.as_deref(), request.form.as_deref());
        let (form, body) = match matched.endpoint.methods {
            Methods::PostJson | Methods::PostSnappy => (None, given.map(|body| body.as_bytes().to_vec())),
            // A message's fields are written as a form: there is no wire here.
            Methods::Get | Methods::GetPost | Methods::Delete | Methods::Grpc(_) => (given, None),
        };
        let parameters = Parameters::read(matched.endpoint, url, form, self.limits)?;
        let asked = Asked { matched, parameters, body, accept: Accept::Json, carried: Carried::default() };
        preview(grant, backend, &asked, self.limits)
    }
}

fn method(request: &Request) -> Option<Method> {
    match request.method.as_str() {
        "GET" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "DELETE" => Some(Method::Delete),
        _ => None,
    }
}
