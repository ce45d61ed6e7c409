//! Metrics stages, what may follow them, and hints.

use super::super::lex::Kind;
use super::super::tree::{
    Attribute, AttributeScope, FieldOp, Hint, List, MetricsFunction, NodeId, NodeKind, Static,
};
use super::super::with;
use super::{Class, Cursor, Parser, field};
use crate::lang::QueryError;
use crate::lang::core::token::shortened;
use crate::span::Span;

/// Most attributes in the `by` of a metrics stage (`maxGroupBys` of Tempo's `engine_metrics.go`).
const MAX_GROUP_BY: usize = 5;

/// A first stage.
#[derive(Clone, Copy, Debug)]
pub(super) enum First {
    Stage(MetricsFunction),
    Compare,
}

impl<'a> Parser<'a> {
    /// The metrics stage that is next, if one is.
    pub(super) fn peek_metrics(&self, c: &Cursor<'_>) -> Option<First> {
        Some(First::Stage(match self.peek_word(c)? {
            "rate" => MetricsFunction::Rate,
            "count_over_time" => MetricsFunction::CountOverTime,
            "min_over_time" => MetricsFunction::MinOverTime,
            "max_over_time" => MetricsFunction::MaxOverTime,
            "avg_over_time" => MetricsFunction::AvgOverTime,
            "sum_over_time" => MetricsFunction::SumOverTime,
            "quantile_over_time" => MetricsFunction::QuantileOverTime,
            "histogram_over_time" => MetricsFunction::HistogramOverTime,
            "compare" => return Some(First::Compare),
            _ => return None,
        }))
    }

    /// The first stage and those after it.
    pub(super) fn metrics(
        &mut self,
        c: &mut Cursor<'_>,
        from: Span,
        pipeline: NodeId,
        first: First,
    ) -> Result<NodeId, QueryError> {
        let (node, compares) = match first {
            First::Stage(function) => (self.metrics_stage(c, function)?, false),
            First::Compare => (self.compare(c)?, true),
        };
        let at = c.here();
        let second = self.second_stages(c)?;
        if compares && !second.is_empty() {
            return Err(QueryError::syntax(at, "nothing can follow `compare()`"));
        }
        Ok(self.push(NodeKind::Metrics { pipeline, first: node, second }, from.join(c.before())))
    }

    fn metrics_stage(&mut self, c: &mut Cursor<'_>, function: MetricsFunction) -> Result<NodeId, QueryError> {
        let from = c.here();
        c.bump();
        c.expect(Kind::OpenParen, "`(`")?;
        let of = match function {
            MetricsFunction::Rate | MetricsFunction::CountOverTime => None,
            _ => Some(self.attribute(c)?),
        };
        let mut quantiles = Vec::new();
        if function == MetricsFunction::QuantileOverTime {
            while quantiles.is_empty() || c.peek() == Some(Kind::Comma) {
                c.expect(Kind::Comma, "`,` and a quantile")?;
                quantiles.push(self.quantile(c)?);
            }
        }
        let quantiles = self.list(&quantiles);
        c.expect(Kind::CloseParen, "`)`")?;
        let mut by = self.list(&[]);
        if self.peek_word(c) == Some("by") {
            let at = c.here();
            c.bump();
            by = self.attribute_list(c)?;
            if function == MetricsFunction::AvgOverTime {
                self.check_averages(by)?;
            }
            let reserved = matches!(
                function,
                MetricsFunction::QuantileOverTime
                    | MetricsFunction::HistogramOverTime
                    | MetricsFunction::AvgOverTime
            );
            if by.len() > MAX_GROUP_BY - usize::from(reserved) {
                return Err(QueryError::syntax(at, "too many attributes to group by"));
            }
        }
        let kind = NodeKind::MetricsStage { function, of, quantiles, by };
        Ok(self.push(kind, from.join(c.before())))
    }

    /// Averages are taken by what is never a list, which no version up to 3.1 is known to stand there. Names of services
    /// have a column of texts, and intrinsics are no attributes.
    fn check_averages(&self, by: List) -> Result<(), QueryError> {
        let by = self.lists.get(by.from as usize..by.to as usize).unwrap_or_default();
        for node in by.iter().filter_map(|id| self.nodes.get(id.0 as usize)) {
            let NodeKind::Attribute(Attribute::Named { scope, name }) = &node.kind else { continue };
            if !(*scope == AttributeScope::Resource && name == "service.name") {
                return Err(QueryError::unsupported(
                    node.position.0,
                    "`avg_over_time` is grouped by resource.service.name and intrinsics only, whose values are never lists",
                ));
            }
        }
        Ok(())
    }

    fn quantile(&mut self, c: &mut Cursor<'_>) -> Result<NodeId, QueryError> {
        let token = c
            .token()
            .filter(|t| matches!(t.kind, Kind::Integer | Kind::Float))
            .ok_or_else(|| c.unexpected("a quantile"))?;
        c.bump();
        let quantile = match self.number(token)? {
            Static::Float(q) if (0.0..=1.0).contains(&q) => q,
            Static::Integer(0) => 0.0,
            Static::Integer(1) => 1.0,
            _ => return Err(QueryError::syntax(token.span, "a quantile must be between 0 and 1")),
        };
        Ok(self.push_static(Static::Float(quantile), token.span))
    }

    /// `compare({…}[, top[, start, end]])`.
    fn compare(&mut self, c: &mut Cursor<'_>) -> Result<NodeId, QueryError> {
        let from = c.here();
        c.bump();
        self.sites.shared.push(from);
        c.expect(Kind::OpenParen, "`(`")?;
        let selection = c.deeper(|c| self.filter(c))?;
        let mut numbers = Vec::new();
        while numbers.len() < 3 && c.eat(Kind::Comma).is_some() {
            numbers.push(self.integer(c)?);
        }
        c.expect(Kind::CloseParen, "`,` or `)`")?;
        let whole = from.join(c.before());
        let (top, window) = match *numbers {
            [] => (10, None),
            [top] => (top, None),
            [top, 0, 0] => (top, None),
            [top, start, end] if start > 0 && end > start => (top, Some((start, end))),
            _ => {
                return Err(QueryError::syntax(whole, "`compare` takes a start and a later end"));
            }
        };
        if top <= 0 {
            return Err(QueryError::syntax(whole, "`compare` takes a number of values greater than 0"));
        }
        Ok(self.push(NodeKind::Compare { selection, top, window }, whole))
    }

    fn integer(&mut self, c: &mut Cursor<'_>) -> Result<i64, QueryError> {
        let token = c.expect(Kind::Integer, "an integer")?;
        match self.number(token)? {
            Static::Integer(value) => Ok(value),
            _ => Err(QueryError::syntax(token.span, "expected an integer")),
        }
    }

    /// `| topk(n)`; in Tempo 3 also `> n`, and any number of both.
    fn second_stages(&mut self, c: &mut Cursor<'_>) -> Result<List, QueryError> {
        let mut stages = Vec::new();
        loop {
            let from = c.here();
            if let Some(op) = field::comparison(c.peek()) {
                self.require_tempo3(from, "comparing metrics")?;
                c.bump();
                let value = self.scalar(c)?;
                stages.push(self.push(NodeKind::MetricsFilter { op, value }, from.join(c.before())));
            } else if c.peek() == Some(Kind::Pipe) {
                if !stages.is_empty() {
                    self.require_tempo3(from, "a third stage of metrics")?;
                }
                c.bump();
                stages.push(self.top(c)?);
            } else {
                return Ok(self.list(&stages));
            }
        }
    }

    fn top(&mut self, c: &mut Cursor<'_>) -> Result<NodeId, QueryError> {
        let from = c.here();
        let bottom = match self.peek_word(c) {
            Some("topk") => false,
            Some("bottomk") => true,
            Some(word) => {
                let message = format!("unknown or misplaced metrics stage `{}`", shortened(word));
                return Err(QueryError::unsupported(from, message));
            }
            None => return Err(c.unexpected("`topk(n)` or `bottomk(n)`")),
        };
        c.bump();
        c.expect(Kind::OpenParen, "`(`")?;
        let limit = self.integer(c)?;
        c.expect(Kind::CloseParen, "`)`")?;
        let whole = from.join(c.before());
        if limit <= 0 {
            return Err(QueryError::syntax(whole, "the number of series must be greater than 0"));
        }
        Ok(self.push(NodeKind::Top { bottom, limit }, whole))
    }

    fn require_tempo3(&self, at: Span, what: &str) -> Result<(), QueryError> {
        if self.tempo3 {
            return Ok(());
        }
        Err(QueryError::unsupported(at, format!("{what} needs feature `tempo-3`")))
    }

    /// A number or duration, perhaps negated. Tempo 3 also takes arithmetic of such; here it is refused.
    pub(super) fn scalar(&mut self, c: &mut Cursor<'_>) -> Result<NodeId, QueryError> {
        let from = c.here();
        let minus = c.eat(Kind::Sub).is_some();
        let token = c
            .token()
            .filter(|t| matches!(t.kind, Kind::Integer | Kind::Float | Kind::Duration))
            .ok_or_else(|| c.unexpected("a number or duration"))?;
        c.bump();
        let value = self.number(token)?;
        let mut node = self.push_static(value, token.span);
        if minus {
            node = self.push(NodeKind::Negate(node), from.join(c.before()));
        }
        Ok(node)
    }

    /// Checks that metrics just read may stand in parentheses.
    pub(super) fn wrapped_metrics(&self, c: &Cursor<'_>, node: NodeId) -> Result<Class, QueryError> {
        self.require_tempo3(c.before(), "a metrics query in parentheses")?;
        let kind = |id: NodeId| self.nodes.get(id.0 as usize).map(|n| &n.kind);
        if let Some(NodeKind::Metrics { first, .. }) = kind(node)
            && matches!(kind(*first), Some(NodeKind::Compare { .. }))
        {
            return Err(QueryError::syntax(c.before(), "`compare()` cannot be an operand"));
        }
        Ok(Class::WrappedMetrics)
    }

    /// `left + right …` over metrics in parentheses, or a number on the right (Tempo 3).
    pub(super) fn arithmetic(
        &mut self,
        c: &mut Cursor<'_>,
        from: Span,
        mut left: NodeId,
        min: u8,
    ) -> Result<NodeId, QueryError> {
        while let Some((op, precedence)) = arithmetic(c.peek()).filter(|(_, p)| *p >= min) {
            c.bump();
            let at = c.here();
            let right = if c.peek() == Some(Kind::OpenParen) {
                let (right, class) = self.spanset(c)?;
                if class != Class::WrappedMetrics {
                    return Err(QueryError::syntax(at, "expected metrics in parentheses"));
                }
                self.arithmetic(c, at, right, precedence + 1)?
            } else {
                let number = self.scalar(c)?;
                if arithmetic(c.peek()).is_some_and(|(_, next)| next > precedence) {
                    return Err(QueryError::unsupported(
                        c.here(),
                        "arithmetic between numbers is not supported, write the number that it gives",
                    ));
                }
                number
            };
            left = self.push(NodeKind::MetricsArithmetic { op, left, right }, from.join(c.before()));
        }
        Ok(left)
    }

    /// The second stages after arithmetic of metrics.
    pub(super) fn more_stages(
        &mut self,
        c: &mut Cursor<'_>,
        from: Span,
        metrics: NodeId,
    ) -> Result<NodeId, QueryError> {
        let second = self.second_stages(c)?;
        if second.is_empty() {
            return Ok(metrics);
        }
        Ok(self.push(NodeKind::MetricsStages { metrics, second }, from.join(c.before())))
    }

    /// `with(name=value, …)`.
    pub(super) fn with_hints(&mut self, c: &mut Cursor<'_>) -> Result<(), QueryError> {
        // A list replaces those before it.
        self.hints.clear();
        self.sites.hints.hints.clear();
        self.sites.hints.lists.push(c.index());
        c.bump();
        c.expect(Kind::OpenParen, "`(`")?;
        loop {
            let from = c.index();
            let token = c.expect(Kind::Word, "a hint")?;
            let name = self.word(token);
            if with::is_kept(name).is_none() {
                let message = format!("hint `{}` is not known", shortened(name));
                return Err(QueryError::unsupported(token.span, message));
            }
            c.expect(Kind::Eq, "`=`")?;
            let (value, _) = self.opt_static(c)?.ok_or_else(|| c.unexpected("the hint's value"))?;
            if name == "exemplars"
                && matches!(value, Static::Integer(n) if usize::try_from(n).is_ok_and(|n| n > with::MAX_EXEMPLARS))
            {
                return Err(QueryError::limit("exemplars", with::MAX_EXEMPLARS, Some(c.before())));
            }
            self.hints.push(Hint { name, value });
            self.sites.hints.hints.push((from, c.index()));
            if c.eat(Kind::Comma).is_none() {
                break;
            }
        }
        c.expect(Kind::CloseParen, "`,` or `)`")?;
        Ok(())
    }
}

/// The arithmetic of metrics (Tempo 3), and its precedence.
fn arithmetic(kind: Option<Kind>) -> Option<(FieldOp, u8)> {
    Some(match kind? {
        Kind::Add => (FieldOp::Add, 1),
        Kind::Sub => (FieldOp::Subtract, 1),
        Kind::Mul => (FieldOp::Multiply, 2),
        Kind::Div => (FieldOp::Divide, 2),
        _ => return None,
    })
}
