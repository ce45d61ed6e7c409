//! What becomes of one request, asked by whoever operates the server: by a command, a call or a page.

use crate::auth::Verifier;
use crate::auth::config::TokenHeader;
use crate::cases::{Asking, Explanation, Request, case, explain};
use crate::limits::Limits;
use crate::policy::Policies;
use crate::rejection::{Rejection, TokenFault};
use crate::respond;
use crate::scope::{Backend, Site};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fmt;

/// A request to be explained, and whose it is: one of `token` and `claims` is needed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// A token; it is verified as a request's would be that has it in the header of its issuer.
    pub token: Option<String>,
    /// Claims, instead of a token.
    pub claims: Option<Map<String, Value>>,
    /// The name of the backend that is asked.
    pub backend: String,
    /// `METHOD /path?query`, below the backend's mount.
    pub request: String,
    /// Headers of the request, each as `Name: value`.
    #[serde(default)]
    pub headers: Vec<String>,
    /// The form of a POST, or its JSON where the endpoint takes that.
    pub form: Option<String>,
}

/// What requests are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judges<'a> {
    /// The rules.
    pub policies: &'a Policies,
    /// The backends.
    pub backends: &'a [Backend],
    /// The caps.
    pub limits: &'a Limits,
}

/// What becomes of a request. Displayed as text.
#[derive(Clone, Debug, PartialEq)]
pub enum Explained {
    /// The token is not taken; with what an operator is told beside what its caller is.
    Token(TokenFault, Option<String>),
    /// Its claims were judged.
    Judged {
        /// Where the claims are from, if there was a token.
        source: Option<Source>,
        /// What came of it.
        explanation: Box<Explanation>,
    },
}

/// Where verified claims are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Who issued the token.
    pub issuer: String,
    /// The header that its tokens come in.
    pub header: TokenHeader,
}

impl Question {
    /// What becomes of the request; a token is verified by `verifier`.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub async fn answer<D: Send + Sync + 'static>(
        &self,
        judges: Judges<'_>,
        verifier: &Verifier<D>,
    ) -> Result<Explained, String> {
        let site = Site::find(judges.backends, &self.backend);
        let names = || judges.backends.iter().map(|b| format!("`{}`", b.name)).collect::<Vec<_>>().join(", ");
        let site =
            site.ok_or_else(|| format!("no backend `{}`, the configuration has {}", self.backend, names()))?;
        let request = self.request()?;
        let asking = Asking { policies: judges.policies, site: &site, limits: judges.limits };
        let judged = |source, claims: &Map<String, Value>| Explained::Judged {
            source,
            explanation: Box::new(explain(&asking, claims, &request)),
        };
        match (&self.token, &self.claims) {
            (Some(token), None) => {
                let token = token.trim();
                let token = token.strip_prefix("Bearer ").unwrap_or(token);
                let header = verifier.header_of(token);
                match verifier.verify(&headers(header, token)?).await {
                    Ok(verified) => {
                        let caller = verified.caller();
                        let source = Source { issuer: caller.issuer().to_owned(), header };
                        Ok(judged(Some(source), caller.claims()))
                    }
                    Err(fault) => {
                        let told =
                            (fault == TokenFault::Audience).then(|| verifier.audiences(token)).flatten();
                        Ok(Explained::Token(fault, told))
                    }
                }
            }
            (None, Some(claims)) => Ok(judged(None, claims)),
            _ => Err("either a token or claims are needed".to_owned()),
        }
    }

    /// The request of a caller with these claims, and what becomes of it, as an entry of a file of cases.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub fn case(&self, judges: Judges<'_>, claims: &Map<String, Value>) -> Result<String, String> {
        let site = Site::find(judges.backends, &self.backend)
            .ok_or_else(|| format!("no backend `{}`", self.backend))?;
        let asking = Asking { policies: judges.policies, site: &site, limits: judges.limits };
        Ok(case(&asking, &self.backend, claims, &self.request()?))
    }

    fn request(&self) -> Result<Request, String> {
        let mut request = Request::parse(&self.request)?;
        for header in &self.headers {
            let (name, value) = header.split_once(':').ok_or("a header is written as `Name: value`")?;
            request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        request.form.clone_from(&self.form);
        Ok(request)
    }
}

/// What is told beside what the caller is.
fn aside(told: &Option<String>) -> String {
    told.as_ref().map_or(String::new(), |told| format!(" ({told})"))
}

/// The headers of a request with this token in this one.
fn headers(header: TokenHeader, token: &str) -> Result<HeaderMap, String> {
    let value = match header {
        TokenHeader::Authorization => format!("Bearer {token}"),
        TokenHeader::GrafanaId => token.to_owned(),
    };
    let value: HeaderValue =
        value.parse().map_err(|_| "the token has characters that no header can have".to_owned())?;
    Ok(HeaderMap::from_iter([(HeaderName::from_static(header.name()), value)]))
}

impl Explained {
    /// As JSON: the fields of an [`Explanation`], with `issuer` and `header`; of a token that is not taken, its
    /// `outcome` alone.
    pub fn json(&self) -> Value {
        match self {
            Self::Token(fault, told) => {
                let text = Rejection::from(*fault).to_string() + &aside(told);
                json!({ "outcome": { "outcome": "refused", "kind": fault.name(), "text": text } })
            }
            Self::Judged { source, explanation } => {
                let mut fields = json!(explanation);
                if let Some(fields) = fields.as_object_mut() {
                    let source = source.as_ref();
                    fields.insert("issuer".to_owned(), json!(source.map(|s| &s.issuer)));
                    fields.insert("header".to_owned(), json!(source.map(|s| s.header.name())));
                }
                fields
            }
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(fault, told) => {
                let rejection = Rejection::from(*fault);
                let status = respond::status(&rejection).as_u16();
                writeln!(f, "refused\n  {status} {}: {rejection}{}", rejection.kind(), aside(told))
            }
            Self::Judged { source, explanation } => {
                if let Some(Source { issuer, header }) = source {
                    write!(f, "caller\n  issued by {issuer}\n  with the token in {}\n\n", header.name())?;
                }
                write!(f, "{explanation}")
            }
        }
    }
}
