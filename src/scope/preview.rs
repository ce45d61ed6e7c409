//! What a request would become, to be read instead of sent: for policy cases and explanations.

use super::call::{Argument, Draft, Sending};
use super::{Asked, Backend, Drafted, drafted, seal};
use crate::api::{Methods, Static};
use crate::limits::Limits;
use crate::policy::Grant;
use crate::rejection::Rejection;
use crate::span::Span;
use std::fmt;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preview {
    /// Answered without the backend.
    Answer(Static),
    /// Asked of the backend.
    Calls {
        /// The calls, in order.
        calls: Vec<ShownCall>,
        /// Whether the answers are decoded and cut to the scope.
        cut: bool,
    },
}

/// One call, decoded. Displayed as its first line, `POST /api/v1/query`, a line `name: value` for each header that
/// tells the backend the tenants, and a line `name=value` for each parameter; control characters are shown escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCall {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path below the backend's root, encoded as it is sent.
    pub path: String,
    /// The headers that tell the backend the tenants, decoded.
    pub headers: Vec<(&'static str, String)>,
    /// The parameters, in order.
    pub arguments: Vec<ShownArgument>,
    /// The body, where it is no form; shown as a line of its own.
    pub body: Option<String>,
}

/// One parameter of a call, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownArgument {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What of the value is ours, in order, in bytes.
    pub insertions: Vec<Span>,
}

/// What `asked` would become for the caller of `grant`: the same as [`super::scope`] does, seal and caps
/// included.
///
/// # Errors
/// As [`super::scope`].
pub fn preview(
    grant: &Grant,
    backend: &Backend,
    asked: &Asked,
    limits: &Limits,
) -> Result<Preview, Rejection> {
    let (drafts, cut) = match drafted(grant, backend, asked, limits, None)? {
        Drafted::Answer(answer) => return Ok(Preview::Answer(answer)),
        Drafted::Calls(drafts, cut) => (drafts, cut),
    };
    let endpoint = asked.matched.endpoint;
    let carried = backend.carried(grant, asked, limits)?;
    let headers = carried.tenancy.iter().flat_map(|tenancy| tenancy.iter());
    let decoded = |value| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
    let headers: Vec<_> = headers.map(|(name, value)| (name, decoded(value))).collect();
    let calls = drafts.iter().map(|draft| shown(endpoint.methods, &headers, draft)).collect();
    let is_cut = cut.is_some() && !grant.scope().is_unrestricted();
    seal::seal((grant, backend), endpoint, drafts, carried, cut, limits)?;
    Ok(Preview::Calls { calls, cut: is_cut })
}

fn shown(methods: Methods, headers: &[(&'static str, String)], draft: &Draft) -> ShownCall {
    let (method, body) = match (&draft.sending, methods) {
        (Sending::Get, _) | (Sending::AsRow, Methods::Get) => ("GET", None),
        (Sending::Delete, _) | (Sending::AsRow, Methods::Delete) => ("DELETE", None),
        (Sending::AsRow | Sending::Rpc(_), _) => ("POST", None),
        (Sending::Post(body), _) => ("POST", Some(body.shown())),
    };
    let path = match &draft.sending {
        Sending::Rpc(rpc) => rpc.path().to_owned(),
        _ => draft.path.clone(),
    };
    let argument = |argument: &Argument| match argument {
        Argument::Scoped(name, text) => {
            ShownArgument { name, value: text.as_str().to_owned(), insertions: text.insertions().to_vec() }
        }
        Argument::Read(name, text) => {
            ShownArgument { name, value: text.as_str().to_owned(), insertions: Vec::new() }
        }
        Argument::Plain(name, value) => ShownArgument { name, value: value.clone(), insertions: Vec::new() },
    };
    let arguments = draft.arguments.iter().map(argument).collect();
    ShownCall { method, path, headers: headers.to_vec(), arguments, body }
}

impl fmt::Display for ShownCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        for (name, value) in &self.headers {
            write!(f, "\n{name}: {}", OneLine(value))?;
        }
        for argument in &self.arguments {
            write!(f, "\n{}={}", argument.name, OneLine(&argument.value))?;
        }
        if let Some(body) = &self.body {
            write!(f, "\n{}", OneLine(body))?;
        }
        Ok(())
    }
}

/// A text with its control characters escaped, so that it stays on its line.
#[derive(Debug)]
pub struct OneLine<'t>(pub &'t str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}
