//! Attributes and intrinsics of the bookstore's spans, and how their values compare.

use super::evaluate::unknown;
use crate::demo::data::trace_id_text;
use crate::demo::spans::{self, Kind, Span, Trace};
use crate::lang::traceql::intrinsic::Intrinsic;
use crate::lang::traceql::tree::{Attribute, AttributeScope, FieldOp, SpanKind, Static, Status};
use serde_json::{Value as Json, json};
use std::cmp::Ordering;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A floating point number.
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A status, by its word.
    Status(&'static str),
    /// A kind, by its word.
    Kind(&'static str),
}

impl Scalar {
    /// The value of a literal.
    ///
    /// # Errors
    /// Strings that are no UTF-8: no span here has such a value.
    pub fn of(literal: &Static<'_>) -> Result<Self, String> {
        Ok(match literal {
            Static::String(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| unknown("strings that are no UTF-8"))?;
                Self::Text(text.to_owned())
            }
            Static::Integer(n) => Self::Integer(*n),
            Static::Float(n) => Self::Float(*n),
            Static::Duration(n) => Self::Duration(*n),
            Static::Boolean(b) => Self::Boolean(*b),
            Static::Status(status) => Self::Status(match status {
                Status::Ok => "ok",
                Status::Error => "error",
                Status::Unset => "unset",
            }),
            Static::Kind(kind) => Self::Kind(match kind {
                SpanKind::Unspecified => "unspecified",
                SpanKind::Internal => "internal",
                SpanKind::Server => "server",
                SpanKind::Client => "client",
                SpanKind::Producer => "producer",
                SpanKind::Consumer => "consumer",
            }),
        })
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(n) | Self::Duration(n) => Some(*n as f64),
            Self::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// Whether `self op other`. Values of different types compare with nothing, but numbers and durations
    /// do with each other (`Type.isMatchingOperand`); only numbers and strings have an order.
    pub fn compares(&self, op: FieldOp, other: &Self) -> bool {
        let order = match (self, other) {
            (Self::Text(l), Self::Text(r)) => Some(l.cmp(r)),
            _ => match (self.number(), other.number()) {
                (Some(l), Some(r)) => l.partial_cmp(&r),
                _ => None,
            },
        };
        let comparable = order.is_some() || std::mem::discriminant(self) == std::mem::discriminant(other);
        match op {
            FieldOp::Equal => order.map_or(self == other, Ordering::is_eq),
            FieldOp::NotEqual => comparable && !order.map_or(self == other, Ordering::is_eq),
            FieldOp::Less => order.is_some_and(Ordering::is_lt),
            FieldOp::LessOrEqual => order.is_some_and(Ordering::is_le),
            FieldOp::Greater => order.is_some_and(Ordering::is_gt),
            FieldOp::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            _ => false,
        }
    }

    /// As an `AnyValue` in JSON (`Static.AsAnyValue`).
    pub fn any_value(&self) -> Json {
        match self {
            Self::Text(text) => json!({"stringValue": text}),
            Self::Integer(n) => json!({"intValue": n.to_string()}),
            Self::Float(n) => json!({"doubleValue": n}),
            Self::Boolean(b) => json!({"boolValue": b}),
            Self::Duration(n) => json!({"stringValue": format!("{n}ns")}),
            Self::Status(word) | Self::Kind(word) => json!({"stringValue": word}),
        }
    }

    /// Type and text, as in the values of a tag; a duration is not listed by Tempo.
    pub fn tag_value(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Self::Text(text) => ("string", text.clone()),
            Self::Integer(n) => ("int", n.to_string()),
            Self::Float(n) => ("float", n.to_string()),
            Self::Boolean(b) => ("bool", b.to_string()),
            Self::Status(word) | Self::Kind(word) => ("keyword", (*word).to_owned()),
            Self::Duration(_) => return None,
        })
    }
}

impl From<&spans::Attribute> for Scalar {
    fn from(attribute: &spans::Attribute) -> Self {
        match attribute {
            spans::Attribute::Text(text) => Self::Text((*text).to_owned()),
            spans::Attribute::Integer(n) => Self::Integer(*n),
        }
    }
}

/// An attribute or intrinsic of a span.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// An attribute.
    Named(AttributeScope, String),
    /// An intrinsic, one of those that [`Field::new`] takes.
    Intrinsic(Intrinsic),
}

impl Field {
    /// The field that `attribute` names.
    ///
    /// # Errors
    /// Intrinsics that are not evaluated here.
    pub fn new(attribute: &Attribute<'_>) -> Result<Self, String> {
        match attribute {
            Attribute::Named { scope, name } => Ok(Self::Named(*scope, name.clone().into_owned())),
            Attribute::Intrinsic(intrinsic) => Self::intrinsic(*intrinsic),
        }
    }

    /// The field of an intrinsic.
    ///
    /// # Errors
    /// Those that are not evaluated here.
    pub fn intrinsic(intrinsic: Intrinsic) -> Result<Self, String> {
        match intrinsic {
            Intrinsic::Duration
            | Intrinsic::Name
            | Intrinsic::Status
            | Intrinsic::Kind
            | Intrinsic::RootName
            | Intrinsic::RootService
            | Intrinsic::TraceDuration
            | Intrinsic::TraceId => Ok(Self::Intrinsic(intrinsic)),
            other => Err(unknown(&format!("`{}`", other.canonical()))),
        }
    }

    /// Its value on `span` of `trace`, if it has one.
    pub fn of(&self, trace: &Trace, span: &Span) -> Option<Scalar> {
        let intrinsic = match self {
            Self::Named(scope, name) => return attribute(span, *scope, name).map(|(_, value)| value),
            Self::Intrinsic(intrinsic) => *intrinsic,
        };
        let root = trace.spans.first()?;
        match intrinsic {
            Intrinsic::Duration => Some(Scalar::Duration(span.duration)),
            Intrinsic::Name => Some(Scalar::Text(span.name.clone())),
            Intrinsic::Status => Some(Scalar::Status(if span.failed { "error" } else { "unset" })),
            Intrinsic::Kind => Some(Scalar::Kind(match span.kind {
                Kind::Server => "server",
                Kind::Client => "client",
            })),
            Intrinsic::RootName => Some(Scalar::Text(root.name.clone())),
            Intrinsic::RootService => attribute(root, AttributeScope::Resource, "service.name").map(|a| a.1),
            Intrinsic::TraceDuration => Some(Scalar::Duration(trace.end() - trace.start())),
            Intrinsic::TraceId => Some(Scalar::Text(trace_id_text(trace.id))),
            _ => None,
        }
    }

    /// What a search shows of it with a span: key without scope, and where it was found. Names and times
    /// have fields of their own (`asTraceSearchMetadata` in `pkg/traceql/engine.go`).
    pub fn shown(&self, trace: &Trace, span: &Span) -> Option<(AttributeScope, String, Scalar)> {
        match self {
            Self::Named(scope, name) => {
                attribute(span, *scope, name).map(|(found, value)| (found, name.clone(), value))
            }
            Self::Intrinsic(intrinsic @ (Intrinsic::Status | Intrinsic::Kind)) => {
                let value = self.of(trace, span)?;
                Some((AttributeScope::Any, intrinsic.canonical().to_owned(), value))
            }
            Self::Intrinsic(_) => None,
        }
    }
}

/// An attribute of `span` and where it was found: without a scope, at the span before its resource. The
/// spans here have no events, links or instrumentation scopes.
fn attribute(span: &Span, scope: AttributeScope, name: &str) -> Option<(AttributeScope, Scalar)> {
    let own = span.attributes.iter().map(|(n, v)| (AttributeScope::Span, *n, v));
    let resource = span.resource.iter().map(|(n, v)| (AttributeScope::Resource, *n, v));
    let wanted = |found: AttributeScope| scope == found || scope == AttributeScope::Any;
    let found = own.chain(resource).find(|(found, n, _)| wanted(*found) && *n == name);
    found.map(|(found, _, value)| (found, value.into()))
}
