//! Field expressions: what stands in `{ }`, in `by( )` and in aggregates.

use super::super::intrinsic::{Intrinsic, Type};
use super::super::lex::Kind;
use super::super::literal;
use super::super::tree::{Attribute, FieldOp, NodeId, NodeKind, SpanKind, Static, Status};
use super::{Cursor, Parser};
use crate::lang::QueryError;
use crate::lang::core::nullable;
use crate::lang::core::quote::{self, Dialect};
use crate::lang::core::token::{Token, shortened};
use std::borrow::Cow;

/// A field expression that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub id: NodeId,
    pub ty: Type,
    /// It names an attribute or intrinsic (`referencesSpan`).
    pub spans: bool,
    /// It may be a whole number: of two such Tempo makes a whole number again, of others a float.
    pub whole: bool,
}

/// Precedence of the comparisons, of `-` before an operand, and of `!`, as `expr.y` lists them.
const COMPARISON: u8 = 2;
const SUBTRACTION: u8 = 3;
const NOT: u8 = 4;
const POWER: u8 = 6;

/// The operator that `kind` is, and its precedence. All bind to the left but `^`.
fn operator(kind: Option<Kind>) -> Option<(FieldOp, u8)> {
    Some(match kind? {
        Kind::Or => (FieldOp::Or, 1),
        Kind::And => (FieldOp::And, 1),
        Kind::Re => (FieldOp::Matches, COMPARISON),
        Kind::Nre => (FieldOp::NotMatches, COMPARISON),
        Kind::Add => (FieldOp::Add, SUBTRACTION),
        Kind::Sub => (FieldOp::Subtract, SUBTRACTION),
        Kind::Mul => (FieldOp::Multiply, 5),
        Kind::Div => (FieldOp::Divide, 5),
        Kind::Mod => (FieldOp::Modulo, 5),
        Kind::Pow => (FieldOp::Power, POWER),
        other => return comparison(Some(other)).map(|op| (op, COMPARISON)),
    })
}

/// The comparison that `kind` is.
pub(super) fn comparison(kind: Option<Kind>) -> Option<FieldOp> {
    Some(match kind? {
        Kind::Eq => FieldOp::Equal,
        Kind::Neq => FieldOp::NotEqual,
        Kind::Lt => FieldOp::Less,
        Kind::Lte => FieldOp::LessOrEqual,
        Kind::Gt => FieldOp::Greater,
        Kind::Gte => FieldOp::GreaterOrEqual,
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    /// An expression of operators of at least the precedence `min`.
    pub(super) fn field(&mut self, c: &mut Cursor<'_>, min: u8) -> Result<Field, QueryError> {
        let from = c.here();
        let mut left = self.operand(c)?;
        while let Some((op, precedence)) = operator(c.peek()).filter(|(_, p)| *p >= min) {
            let at = c.here();
            c.bump();
            if matches!(op, FieldOp::NotEqual | FieldOp::Equal) && self.peek_word(c) == Some("nil") {
                c.bump();
                left = self.nil(left, op, from.join(c.before()))?;
                continue;
            }
            let right = if op == FieldOp::Power {
                c.deeper(|c| self.field(c, POWER))?
            } else {
                self.field(c, precedence + 1)?
            };
            self.check_types(op, left, right, at)?;
            let ty = match op {
                _ if precedence <= COMPARISON => Type::Boolean,
                _ if left.ty == Type::Attribute => right.ty,
                _ => left.ty,
            };
            let id =
                self.push(NodeKind::Binary { op, left: left.id, right: right.id }, from.join(c.before()));
            left = Field { id, ty, spans: left.spans || right.spans, whole: left.whole && right.whole };
        }
        Ok(left)
    }

    /// `operand != nil` or `operand = nil`.
    fn nil(&mut self, operand: Field, op: FieldOp, at: crate::span::Span) -> Result<Field, QueryError> {
        if op == FieldOp::NotEqual {
            let id = self.push(NodeKind::Exists(operand.id), at);
            return Ok(Field { id, ty: Type::Boolean, spans: operand.spans, whole: false });
        }
        if !self.tempo3 {
            return Err(QueryError::unsupported(at, "`= nil` needs feature `tempo-3`"));
        }
        // Tempo refuses it where there is always a value.
        let always = match self.nodes.get(operand.id.0 as usize).map(|n| &n.kind) {
            Some(NodeKind::Attribute(Attribute::Intrinsic(_))) => true,
            Some(NodeKind::Attribute(Attribute::Named { scope, name })) => {
                *scope == super::super::tree::AttributeScope::Resource && name == "service.name"
            }
            _ => false,
        };
        if always {
            return Err(QueryError::syntax(at, "this always has a value and cannot be nil"));
        }
        let id = self.push(NodeKind::Absent(operand.id), at);
        Ok(Field { id, ty: Type::Boolean, spans: operand.spans, whole: false })
    }

    fn operand(&mut self, c: &mut Cursor<'_>) -> Result<Field, QueryError> {
        let from = c.here();
        match c.peek() {
            Some(Kind::OpenParen) => {
                c.bump();
                let inner = c.deeper(|c| self.field(c, 0))?;
                c.expect(Kind::CloseParen, "`)` or an operator")?;
                Ok(inner)
            }
            Some(Kind::Sub) => {
                c.bump();
                let of = c.deeper(|c| self.field(c, SUBTRACTION + 1))?;
                if !matches!(of.ty, Type::Attribute | Type::Number) {
                    return Err(QueryError::syntax(from, "`-` must be before a number"));
                }
                let id = self.push(NodeKind::Negate(of.id), from.join(c.before()));
                Ok(Field { id, ..of })
            }
            Some(Kind::Not) => {
                c.bump();
                let of = c.deeper(|c| self.field(c, NOT + 1))?;
                if !matches!(of.ty, Type::Attribute | Type::Boolean) {
                    return Err(QueryError::syntax(from, "`!` must be before a condition"));
                }
                let id = self.push(NodeKind::Not(of.id), from.join(c.before()));
                Ok(Field { id, ..of })
            }
            Some(Kind::Word) if self.peek_word(c) == Some("nil") => {
                c.bump();
                let op = match c.peek() {
                    Some(Kind::Neq) => FieldOp::NotEqual,
                    Some(Kind::Eq) => FieldOp::Equal,
                    _ => return Err(c.unexpected("`!=` after nil")),
                };
                c.bump();
                if self.peek_word(c) == Some("nil") {
                    // `NIL EQ NIL` and `NIL NEQ NIL` of the grammar: never true.
                    c.bump();
                    let id = self.push_static(Static::Boolean(false), from.join(c.before()));
                    return Ok(Field { id, ty: Type::Boolean, spans: false, whole: false });
                }
                let of = c.deeper(|c| self.field(c, COMPARISON + 1))?;
                self.nil(of, op, from.join(c.before()))
            }
            _ => self.leaf(c),
        }
    }

    fn leaf(&mut self, c: &mut Cursor<'_>) -> Result<Field, QueryError> {
        let from = c.here();
        if let Some((value, ty)) = self.opt_static(c)? {
            let whole = matches!(value, Static::Integer(_));
            return Ok(Field { id: self.push_static(value, from), ty, spans: false, whole });
        }
        if let Some(attribute) = self.opt_attribute(c)? {
            let (ty, whole) = match &attribute {
                Attribute::Intrinsic(intrinsic) => (intrinsic.implied_type(), intrinsic.is_integer()),
                Attribute::Named { .. } => (Type::Attribute, true),
            };
            return Ok(Field { id: self.push_attribute(attribute, from), ty, spans: true, whole });
        }
        match c.token() {
            Some(token) if token.kind == Kind::Word => {
                let word = shortened(self.word(token));
                Err(QueryError::unsupported(
                    token.span,
                    format!(
                        "unknown intrinsic `{word}`, write attributes with their scope, such as `.{word}` or `span.{word}`"
                    ),
                ))
            }
            _ => Err(c.unexpected("an attribute, a literal or `(`")),
        }
    }

    /// A literal, if one is next.
    pub(super) fn opt_static(
        &mut self,
        c: &mut Cursor<'_>,
    ) -> Result<Option<(Static<'a>, Type)>, QueryError> {
        let Some(token) = c.token() else { return Ok(None) };
        let found = match token.kind {
            Kind::String => (Static::String(self.unquoted(token)?), Type::String),
            Kind::Integer | Kind::Float | Kind::Duration => (self.number(token)?, Type::Number),
            Kind::Word => match self.word(token) {
                "true" => (Static::Boolean(true), Type::Boolean),
                "false" => (Static::Boolean(false), Type::Boolean),
                "ok" => (Static::Status(Status::Ok), Type::Status),
                "error" => (Static::Status(Status::Error), Type::Status),
                "unset" => (Static::Status(Status::Unset), Type::Status),
                "unspecified" => (Static::Kind(SpanKind::Unspecified), Type::Kind),
                "internal" => (Static::Kind(SpanKind::Internal), Type::Kind),
                "server" => (Static::Kind(SpanKind::Server), Type::Kind),
                "client" => (Static::Kind(SpanKind::Client), Type::Kind),
                "producer" => (Static::Kind(SpanKind::Producer), Type::Kind),
                "consumer" => (Static::Kind(SpanKind::Consumer), Type::Kind),
                word @ ("minInt" | "maxInt") => {
                    if !self.tempo3 {
                        let message = format!("`{word}` needs feature `tempo-3`");
                        return Err(QueryError::unsupported(token.span, message));
                    }
                    let value = if word == "minInt" { i64::MIN } else { i64::MAX };
                    (Static::Integer(value), Type::Number)
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        c.bump();
        Ok(Some(found))
    }

    fn unquoted(&self, token: Token<Kind>) -> Result<Cow<'a, [u8]>, QueryError> {
        quote::unquote(self.word(token), Dialect::Go)
            .map_err(|_| QueryError::syntax(token.span, "malformed string literal"))
    }

    /// The value of a number's token.
    pub(super) fn number(&self, token: Token<Kind>) -> Result<Static<'a>, QueryError> {
        let text = self.word(token);
        let value = match token.kind {
            Kind::Integer => text.parse().ok().map(Static::Integer),
            Kind::Duration => literal::duration(text).map(Static::Duration),
            _ => text.parse().ok().filter(|f: &f64| f.is_finite()).map(Static::Float),
        };
        value.ok_or_else(|| QueryError::syntax(token.span, "number out of range"))
    }

    /// An attribute or intrinsic, if one is next. What reads other spans of the trace is noted.
    pub(super) fn opt_attribute(&mut self, c: &mut Cursor<'_>) -> Result<Option<Attribute<'a>>, QueryError> {
        let Some(token) = c.token() else { return Ok(None) };
        let text = self.word(token);
        let attribute = match token.kind {
            Kind::Attribute(scope) => {
                let name = text.get(scope.prefix().len()..).unwrap_or("");
                Attribute::Named { scope, name: Cow::Borrowed(name) }
            }
            Kind::QuotedAttribute(scope) => {
                let quoted = text.get(scope.prefix().len()..).unwrap_or("");
                Attribute::Named { scope, name: literal::quoted_name(quoted) }
            }
            Kind::Word if matches!(text, "parent" | "childCount") => {
                let message = format!("intrinsic `{text}` is not supported");
                return Err(QueryError::unsupported(token.span, message));
            }
            Kind::Word | Kind::ScopedIntrinsic => match Intrinsic::named(text) {
                Some(Intrinsic::ChildCount) if !self.tempo3 => {
                    let message = "`span:childCount` needs feature `tempo-3`";
                    return Err(QueryError::unsupported(token.span, message));
                }
                Some(intrinsic) => {
                    if intrinsic.is_trace_level() {
                        self.sites.shared.push(token.span);
                    }
                    Attribute::Intrinsic(intrinsic)
                }
                None if token.kind == Kind::ScopedIntrinsic => {
                    let message = format!("unknown intrinsic `{}`", shortened(text));
                    return Err(QueryError::unsupported(token.span, message));
                }
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        c.bump();
        Ok(Some(attribute))
    }

    /// What Tempo's validation asks of the operands of `op`, at `at`.
    fn check_types(
        &self,
        op: FieldOp,
        left: Field,
        right: Field,
        at: crate::span::Span,
    ) -> Result<(), QueryError> {
        let alike = left.ty == Type::Attribute || right.ty == Type::Attribute || left.ty == right.ty;
        if !alike || !takes(op, left.ty) || !takes(op, right.ty) {
            return Err(QueryError::syntax(at, "the operator does not take operands of these types"));
        }
        let constant = self.nodes.get(right.id.0 as usize).map(|n| &n.kind);
        match op {
            FieldOp::Matches | FieldOp::NotMatches => match constant {
                Some(NodeKind::Static(Static::String(pattern))) if nullable::is_malformed(pattern) => {
                    Err(QueryError::syntax(at, "the pattern is malformed"))
                }
                Some(NodeKind::Static(Static::String(_))) => Ok(()),
                _ => Err(QueryError::unsupported(at, "a pattern must be a string literal")),
            },
            // Tempo computes constants while it parses: an integer division by zero is an error there,
            // and a power takes as many steps as its exponent says.
            FieldOp::Divide | FieldOp::Modulo | FieldOp::Power if !left.spans && !right.spans => {
                match constant {
                    Some(NodeKind::Static(Static::Integer(1..=1000) | Static::Float(_))) => Ok(()),
                    Some(NodeKind::Static(Static::Integer(1001..) | Static::Duration(1..)))
                        if op != FieldOp::Power =>
                    {
                        Ok(())
                    }
                    _ => Err(QueryError::unsupported(
                        at,
                        "between constants only a small positive number may follow",
                    )),
                }
            }
            FieldOp::Divide | FieldOp::Modulo | FieldOp::Power => self.check_arithmetic(op, left, right, at),
            _ => Ok(()),
        }
    }

    /// Before 3.0 Tempo does not stand whole numbers divided by zero, nor large ones raised to a power (its changes 6580
    /// and 6581).
    fn check_arithmetic(
        &self,
        op: FieldOp,
        left: Field,
        right: Field,
        at: crate::span::Span,
    ) -> Result<(), QueryError> {
        let integer = |field: Field| match self.nodes.get(field.id.0 as usize).map(|n| &n.kind) {
            Some(NodeKind::Static(Static::Integer(value))) => Some(*value),
            _ => None,
        };
        let harmless = match op {
            FieldOp::Power => integer(left).is_some_and(|base| base <= 1000),
            _ => integer(right).is_some_and(|divisor| divisor != 0),
        };
        if self.checks_arithmetic || harmless || !(left.whole && right.whole) {
            return Ok(());
        }
        let sign = at.of(self.text);
        Err(QueryError::unsupported(
            at,
            format!(
                "`{sign}` of what can be any whole number is not taken before Tempo 3.0: multiply one side by 1.0, or have the operator set the backend's `version`"
            ),
        ))
    }
}

/// Whether `op` takes an operand of `ty` (`binaryTypeValid` of `enum_operators.go`).
fn takes(op: FieldOp, ty: Type) -> bool {
    let equality = matches!(op, FieldOp::Equal | FieldOp::NotEqual);
    let order =
        matches!(op, FieldOp::Less | FieldOp::LessOrEqual | FieldOp::Greater | FieldOp::GreaterOrEqual);
    match ty {
        Type::Attribute => true,
        Type::Boolean => equality || matches!(op, FieldOp::And | FieldOp::Or),
        Type::Number => !matches!(op, FieldOp::And | FieldOp::Or | FieldOp::Matches | FieldOp::NotMatches),
        Type::String => equality || order || matches!(op, FieldOp::Matches | FieldOp::NotMatches),
        Type::Status | Type::Kind => equality,
    }
}
