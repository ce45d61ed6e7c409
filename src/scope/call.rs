//! One call to a backend, built from typed parts.

use super::remote_read::ScopedRead;
use super::reply::OwnedSilence;
use super::{grpc, snappy};
use crate::api::{Accept, Endpoint, Form, Methods, Rpc};
use crate::lang::{ReadText, ScopedText};
use crate::limits::Limits;
use crate::rejection::Rejection;
use crate::tenant::ScopeMatchers;
use std::sync::Arc;

const FORM: &str = "application/x-www-form-urlencoded";
/// The content type of gRPC with messages in protobuf.
pub const GRPC: &str = "application/grpc";

/// The content type of a remote read, whose body is compressed with snappy.
pub const REMOTE_READ: &str = "application/x-protobuf";

/// One parameter of a call.
#[derive(Debug)]
pub enum Argument {
    /// A text that carries the scope.
    Scoped(&'static str, Arc<ScopedText>),
    /// A text without the scope, for an endpoint that reads nothing stored.
    Read(&'static str, ReadText),
    /// What concerns scoped data only.
    Plain(&'static str, String),
}

/// A body written here, in which everything that needs the scope has it.
#[derive(Debug)]
pub struct ScopedBody {
    content_type: &'static str,
    bytes: Vec<u8>,
    /// What it says, where its bytes are no text.
    said: Option<String>,
    /// The scope that it carries.
    scope: ScopeMatchers,
}

impl ScopedBody {
    /// A silence, as JSON.
    ///
    /// # Errors
    /// [`Rejection::Defect`] if it cannot be written.
    pub(super) fn silence(owned: &OwnedSilence<'_>) -> Result<Self, Rejection> {
        let bytes = owned.json().map_err(|e| Rejection::Defect(e.to_string()))?;
        Ok(Self { content_type: "application/json", bytes, said: None, scope: owned.scope().clone() })
    }

    /// A remote read, as a block of snappy.
    ///
    /// # Errors
    /// [`Rejection::Defect`] if it is too long to be one.
    pub(super) fn remote_read(read: &ScopedRead<'_>) -> Result<Self, Rejection> {
        let block = snappy::compress(read.bytes());
        let bytes = block.ok_or_else(|| Rejection::Defect("a block is too long".into()))?;
        Ok(Self { content_type: REMOTE_READ, bytes, said: Some(read.shown()), scope: read.scope().clone() })
    }

    /// The body to be read instead of sent.
    pub(super) fn shown(&self) -> String {
        self.said.clone().unwrap_or_else(|| String::from_utf8_lossy(&self.bytes).into_owned())
    }
}

/// How a call is sent.
#[derive(Debug)]
pub enum Sending {
    /// As the endpoint's row says: a form where it has POST, else a GET.
    AsRow,
    /// A GET beside it, whose answer decides about the rest.
    Get,
    /// A DELETE.
    Delete,
    /// Another call of gRPC than the row's.
    Rpc(Rpc),
    /// A POST of this.
    Post(ScopedBody),
}

/// A call that is not sealed yet.
#[derive(Debug)]
pub struct Draft {
    /// The path below the backend's root, encoded.
    pub path: String,
    /// The parameters.
    pub arguments: Vec<Argument>,
    /// What is asked for.
    pub accept: Accept,
    /// How it is sent.
    pub sending: Sending,
}

/// A sealed call, encoded. Made by [`super::seal`] only.
#[derive(Debug)]
pub struct Call {
    target: String,
    outgoing: Outgoing,
    accept: Accept,
}

/// Method and body of a call.
#[derive(Debug)]
pub enum Outgoing {
    /// GET.
    Get,
    /// DELETE.
    Delete,
    /// POST.
    Post {
        /// Of the body.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
}

impl Outgoing {
    /// Whether it may be sent a second time, where it is not known what became of the first: a form asks and
    /// a remote read does, any other body makes something. What was deleted cannot be deleted again.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Get => true,
            Self::Delete => false,
            Self::Post { content_type, .. } => matches!(*content_type, FORM | REMOTE_READ),
        }
    }
}

impl Draft {
    /// Whether it has a text that carries the scope.
    pub(super) fn is_scoped(&self) -> bool {
        self.arguments.iter().any(|argument| matches!(argument, Argument::Scoped(..)))
    }

    /// Whether each of its texts, and its body, carries just `scope`.
    fn carries_only(&self, scope: &ScopeMatchers) -> bool {
        let texts = self.arguments.iter().all(|argument| match argument {
            Argument::Scoped(_, text) => text.scope() == scope,
            Argument::Read(..) | Argument::Plain(..) => true,
        });
        texts && !matches!(&self.sending, Sending::Post(body) if body.scope != *scope)
    }

    /// Whether it has a text that does not.
    pub(super) fn is_only_read(&self) -> bool {
        self.arguments.iter().any(|argument| matches!(argument, Argument::Read(..)))
    }

    /// Encodes the call as the endpoint is asked: by a form where it takes one, so that no long query
    /// meets a limit on URLs.
    ///
    /// # Errors
    /// [`Rejection::TooLarge`] over the caps, [`Rejection::Defect`] for an unscoped text in the place
    /// of a scoped one, for one of another scope than `scope`, and for a method that is not the row's.
    pub(super) fn encode(
        self,
        endpoint: &Endpoint,
        scope: &ScopeMatchers,
        limits: &Limits,
    ) -> Result<Call, Rejection> {
        if !self.carries_only(scope) {
            return Err(Rejection::Defect(format!("`{}` has a text of another scope", endpoint.name)));
        }
        if let Methods::Grpc(rpc) = endpoint.methods {
            return self.message(endpoint, rpc)?.within(limits);
        }
        let encoded = self.form(endpoint)?;
        if let (Sending::AsRow, Methods::GetPost) = (&self.sending, endpoint.methods) {
            let outgoing = Outgoing::Post { content_type: FORM, body: encoded.into_bytes() };
            return Call { target: self.path, outgoing, accept: self.accept }.within(limits);
        }
        let outgoing = match (self.sending, endpoint.methods) {
            (Sending::Get, _) | (Sending::AsRow, Methods::Get) => Outgoing::Get,
            (Sending::Delete, Methods::Delete) => Outgoing::Delete,
            (
                Sending::Post(ScopedBody { content_type, bytes, .. }),
                Methods::PostJson | Methods::PostSnappy,
            ) => Outgoing::Post { content_type, body: bytes },
            _ => return Err(Rejection::Defect(format!("`{}` is not sent like that", endpoint.name))),
        };
        let target = match encoded.is_empty() {
            true => self.path,
            false => format!("{}?{encoded}", self.path),
        };
        Call { target, outgoing, accept: self.accept }.within(limits)
    }

    /// The parameters as a message of gRPC.
    fn message(self, endpoint: &Endpoint, rpc: Rpc) -> Result<Call, Rejection> {
        let rpc = match self.sending {
            Sending::AsRow => rpc,
            Sending::Rpc(other) => other,
            _ => return Err(Rejection::Defect(format!("`{}` is not sent like that", endpoint.name))),
        };
        for argument in &self.arguments {
            passes(endpoint, argument)?;
        }
        let outgoing = Outgoing::Post { content_type: GRPC, body: grpc::write(rpc, &self.arguments)? };
        Ok(Call { target: rpc.path().to_owned(), outgoing, accept: Accept::Protobuf })
    }

    /// The parameters as a form.
    fn form(&self, endpoint: &Endpoint) -> Result<String, Rejection> {
        // Twice the text holds what most texts become; longer ones grow.
        let length = |argument: &Argument| match argument {
            Argument::Scoped(name, text) => name.len() + 2 * text.as_str().len(),
            Argument::Read(name, text) => name.len() + 2 * text.as_str().len(),
            Argument::Plain(name, value) => name.len() + 2 * value.len(),
        };
        let room = self.arguments.iter().map(|argument| length(argument) + 2).sum();
        let mut encoded = Vec::with_capacity(room);
        for argument in &self.arguments {
            passes(endpoint, argument)?;
            match argument {
                Argument::Scoped(name, text) => push_pair(&mut encoded, name, text.as_str()),
                Argument::Read(name, text) => push_pair(&mut encoded, name, text.as_str()),
                Argument::Plain(name, value) => push_pair(&mut encoded, name, value),
            }
        }
        String::from_utf8(encoded).map_err(|_| Rejection::Defect("a form is text".into()))
    }
}

/// Only a scoped text stands in the place of one.
fn passes(endpoint: &Endpoint, argument: &Argument) -> Result<(), Rejection> {
    let passes = match argument {
        Argument::Plain(name, _) => is_plain(endpoint, name),
        Argument::Read(name, _) => is_read(endpoint, name),
        Argument::Scoped(..) => true,
    };
    let (Argument::Plain(name, _) | Argument::Read(name, _) | Argument::Scoped(name, _)) = argument;
    let defect = || Rejection::Defect(format!("`{name}` of `{}` is not scoped", endpoint.name));
    if passes { Ok(()) } else { Err(defect()) }
}

impl Call {
    /// Path and query below the backend's root.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The body of a POST; else none.
    pub fn body(&self) -> &[u8] {
        match &self.outgoing {
            Outgoing::Get | Outgoing::Delete => &[],
            Outgoing::Post { body, .. } => body,
        }
    }

    /// Method and body, taken out: what is left is a GET.
    pub fn take_outgoing(&mut self) -> Outgoing {
        std::mem::replace(&mut self.outgoing, Outgoing::Get)
    }

    /// The media type that is asked for.
    pub fn accept(&self) -> Accept {
        self.accept
    }

    fn within(self, limits: &Limits) -> Result<Self, Rejection> {
        if self.target.len() > limits.outbound_url_bytes {
            let what = "bytes of the scoped request's URL";
            let (max, key) = (limits.outbound_url_bytes, "`limits.outbound_url_bytes`");
            return Err(Rejection::TooLarge { what, max, key });
        }
        if matches!(&self.outgoing, Outgoing::Post { body, .. } if body.len() > limits.outbound_body_bytes) {
            let what = "bytes of the scoped request's body";
            let (max, key) = (limits.outbound_body_bytes, "`limits.outbound_body_bytes`");
            return Err(Rejection::TooLarge { what, max, key });
        }
        Ok(self)
    }
}

/// Appends `name=value`, encoded, to a form.
fn push_pair(form: &mut Vec<u8>, name: &str, value: &str) {
    if !form.is_empty() {
        form.push(b'&');
    }
    push_encoded(form, name);
    form.push(b'=');
    push_encoded(form, value);
}

/// Appends `text` as the serializer of `application/x-www-form-urlencoded` in the URL standard writes it. Byte
/// by byte, because nearly every second one of a query is encoded.
fn push_encoded(form: &mut Vec<u8>, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value & 0xf)).copied().unwrap_or_default();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'*' | b'-' | b'.' | b'_' => form.push(byte),
            b' ' => form.push(b'+'),
            _ => form.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]),
        }
    }
}

/// Whether the row lets `name` pass as the caller wrote it.
fn is_plain(endpoint: &Endpoint, name: &str) -> bool {
    let row = endpoint.parameters.iter().find(|p| p.name == name);
    row.is_some_and(|p| match p.form {
        Form::Plain
        | Form::AtMost(_)
        | Form::Time
        | Form::Matchers
        | Form::ReadSelectors(_)
        | Form::List
        | Form::TargetLabels
        | Form::Shards
        | Form::Variable => true,
        Form::Query(_)
        | Form::OptionalQuery(_)
        | Form::SelectorOrAll(_)
        | Form::Selectors(_)
        | Form::OptionalSelectors(_)
        | Form::SelectorsOr(..)
        | Form::Read(_)
        | Form::Alias(_)
        | Form::Hint
        | Form::Translated(_)
        | Form::Applied
        | Form::Dropped
        | Form::Refused(_) => false,
    })
}

/// Whether the row says that `name` is a text which is evaluated on nothing.
fn is_read(endpoint: &Endpoint, name: &str) -> bool {
    endpoint.parameters.iter().any(|p| p.name == name && matches!(p.form, Form::Read(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_encoded_as_the_standard_has_it() {
        let every: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        let mut form = Vec::new();
        push_pair(&mut form, "match[]", &every);
        push_pair(&mut form, "b", "");
        let mut standard = form_urlencoded::Serializer::new(String::new());
        standard.append_pair("match[]", &every).append_pair("b", "");
        assert_eq!(form, standard.finish().into_bytes());
    }
}
