//! One call to a backend, built from typed parts.

use crate::api::{Endpoint, Form, Methods};
use crate::lang::ScopedText;
use crate::limits::Limits;
use crate::rejection::Rejection;
use std::sync::Arc;

/// One parameter of a call.
#[derive(Debug)]
pub enum Argument {
    /// A text that carries the scope.
    Scoped(&'static str, Arc<ScopedText>),
    /// What concerns scoped data only.
    Plain(&'static str, String),
}

/// The media type a backend is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// `application/json`.
    Json,
    /// `application/protobuf`.
    Protobuf,
}

impl Accept {
    /// As the header writes it.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/protobuf",
        }
    }
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
}

/// A sealed call, encoded. Made by [`super::seal`] only.
#[derive(Debug)]
pub struct Call {
    target: String,
    form: Option<String>,
    accept: Accept,
}

impl Draft {
    /// Encodes the call as the endpoint is asked: by POST where it has one, so that no long query meets a
    /// limit on URLs.
    ///
    /// # Errors
    /// [`Rejection::TooLarge`] over the caps, [`Rejection::Defect`] for an unscoped text in the place
    /// of a scoped one.
    pub(super) fn encode(self, endpoint: &Endpoint, limits: &Limits) -> Result<Call, Rejection> {
        // Twice the text holds what most texts become; longer ones grow.
        let length = |argument: &Argument| match argument {
            Argument::Scoped(name, text) => name.len() + 2 * text.as_str().len(),
            Argument::Plain(name, value) => name.len() + 2 * value.len(),
        };
        let room = self.arguments.iter().map(|argument| length(argument) + 2).sum();
        let mut encoded = Vec::with_capacity(room);
        for argument in &self.arguments {
            match argument {
                Argument::Scoped(name, text) => push_pair(&mut encoded, name, text.as_str()),
                Argument::Plain(name, value) if is_plain(endpoint, name) => {
                    push_pair(&mut encoded, name, value);
                }
                Argument::Plain(name, _) => {
                    return Err(Rejection::Defect(format!("`{name}` of `{}` is not scoped", endpoint.name)));
                }
            }
        }
        let encoded = String::from_utf8(encoded).map_err(|_| Rejection::Defect("a form is text".into()))?;
        let call = match endpoint.methods {
            Methods::GetPost => Call { target: self.path, form: Some(encoded), accept: self.accept },
            Methods::Get if encoded.is_empty() => Call { target: self.path, form: None, accept: self.accept },
            Methods::Get => {
                let target = format!("{}?{encoded}", self.path);
                Call { target, form: None, accept: self.accept }
            }
        };
        call.within(limits)
    }
}

impl Call {
    /// Path and query below the backend's root.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The form of a POST.
    pub fn form(&self) -> Option<&str> {
        self.form.as_deref()
    }

    /// The form of a POST, taken out; `None`: a GET.
    pub fn take_form(&mut self) -> Option<String> {
        self.form.take()
    }

    /// The media type that is asked for.
    pub fn accept(&self) -> Accept {
        self.accept
    }

    fn within(self, limits: &Limits) -> Result<Self, Rejection> {
        if self.target.len() > limits.outbound_url_bytes {
            let what = "bytes of the scoped request's URL";
            return Err(Rejection::TooLarge { what, max: limits.outbound_url_bytes });
        }
        if self.form.as_ref().is_some_and(|f| f.len() > limits.outbound_body_bytes) {
            let what = "bytes of the scoped request's body";
            return Err(Rejection::TooLarge { what, max: limits.outbound_body_bytes });
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
    row.is_some_and(|p| matches!(p.form, Form::Plain | Form::Time))
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
