//! LogQL over the bookstore's log streams.
//!
//! Evaluated: log queries (see `pipeline`), `count_over_time`, `rate`, `bytes_over_time` and `bytes_rate`
//! over them, `vector`, the aggregations `sum`, `avg`, `count`, `min` and `max`, and every operator but
//! many-to-one matching. Anything else is refused by name. Semantics: Loki's `pkg/logql/engine.go` and
//! `range_vector.go`.

use super::pipeline::{Pipeline, selection, unknown};
use crate::demo::data::{Bookstore, Entry, Labels, Stream};
use crate::demo::vector::{Aggregation, Binary, Grouping, Operator, Sample, Value, aggregate, distinct};
use crate::lang::logql::tree::{
    self, BinaryOperator, Expr, ExprId, LogQuery, LogRange, RangeFunction, Tree, VectorFunction,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// How deep an expression may be. Evaluation recurses where the tree does.
const MAX_DEPTH: usize = 200;

/// A text, ready to be evaluated at any time.
pub struct Evaluation<'t> {
    store: &'t Bookstore,
    tree: &'t Tree<'t>,
    streams: Vec<Stream>,
}

impl<'t> Evaluation<'t> {
    /// An evaluation of `tree` over `store`.
    ///
    /// # Errors
    /// Selectors and stages that are not evaluated here.
    pub fn new(store: &'t Bookstore, tree: &'t Tree<'t>) -> Result<Self, String> {
        Ok(Self { store, tree, streams: store.streams() })
    }

    /// The lines that pass `query` in `range`, in Unix nanoseconds, with their labels.
    ///
    /// # Errors
    /// Why there is no answer, for the caller.
    pub fn lines(&self, query: &LogQuery, range: Range<i64>) -> Result<Vec<(Labels, Entry)>, String> {
        let selector = self.tree.selector(query.selector).ok_or_else(|| unknown("this selector"))?;
        let selection = selection(self.tree, selector)?;
        let pipeline = Pipeline::new(self.tree, query)?;
        let mut lines = Vec::new();
        for stream in self.streams.iter().filter(|s| selection.takes(&s.labels)) {
            for entry in self.store.entries(stream, range.clone()) {
                if let Some(labels) = pipeline.run(&stream.labels, &entry.line)? {
                    lines.push((labels, entry));
                }
            }
        }
        Ok(lines)
    }

    /// The value of the whole text at `time`, in Unix nanoseconds. The text is no log query.
    ///
    /// # Errors
    /// Why there is none, for the caller.
    pub fn at(&self, time: i64) -> Result<Value, String> {
        self.value(self.tree.root(), time, 0)
    }

    fn value(&self, id: ExprId, time: i64, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(unknown("expressions this deep"));
        }
        let value = |id| self.value(id, time, depth + 1);
        match self.tree.expr(id) {
            Some(Expr::Number(number)) => Ok(Value::Scalar(*number)),
            Some(Expr::Vector(value)) => {
                Ok(Value::Vector(vec![Sample { labels: Labels::new(), value: *value }]))
            }
            Some(Expr::RangeAggregation { function, parameter: None, range, grouping: None }) => {
                Ok(Value::Vector(self.over_time(*function, range, time)?))
            }
            Some(Expr::VectorAggregation { function, parameter: None, inner, grouping }) => {
                let Value::Vector(samples) = value(*inner)? else {
                    return Err(unknown("aggregations of a number"));
                };
                let grouping = grouping.map(|g| self.grouping(g.without, g.labels)).unwrap_or_default();
                Ok(Value::Vector(aggregate(aggregation(*function)?, &grouping, samples)))
            }
            Some(Expr::Binary { operator, bool, matching, left, right }) => {
                let matching = match matching {
                    None => Grouping { without: true, labels: Vec::new() },
                    Some(m) if m.group.is_some() => return Err(unknown("`group_left` and `group_right`")),
                    Some(m) => self.grouping(!m.on, m.labels),
                };
                let binary = Binary { operator: sign(*operator), yields_bool: *bool, matching };
                match binary.apply(value(*left)?, value(*right)?)? {
                    Value::Vector(samples) => Ok(Value::Vector(distinct(samples)?)),
                    scalar => Ok(scalar),
                }
            }
            Some(Expr::RangeAggregation { .. }) => {
                Err(unknown("range aggregations with a parameter or grouping"))
            }
            Some(Expr::VectorAggregation { .. }) => Err(unknown("aggregations with a parameter")),
            Some(Expr::LabelReplace { .. }) => Err(unknown("`label_replace`")),
            Some(Expr::Variants { .. }) => Err(unknown("`variants`")),
            Some(Expr::Log(_)) | None => Err("a log query has no value".into()),
        }
    }

    /// What `function` makes of the lines in `(time - interval, time]`.
    fn over_time(
        &self,
        function: RangeFunction,
        range: &LogRange<'_>,
        time: i64,
    ) -> Result<Vec<Sample>, String> {
        if range.unwrap.is_some() {
            return Err(unknown("`unwrap`"));
        }
        let seconds = range.interval as f64 / 1e9;
        let (bytes, per) = match function {
            RangeFunction::Count => (false, 1.0),
            RangeFunction::Rate => (false, seconds),
            RangeFunction::Bytes => (true, 1.0),
            RangeFunction::BytesRate => (true, seconds),
            other => return Err(unknown(&format!("the range aggregation {other:?}"))),
        };
        let until = time.saturating_sub(range.offset);
        let window = until.saturating_sub(range.interval).saturating_add(1)..until.saturating_add(1);
        let mut sums: BTreeMap<Labels, usize> = BTreeMap::new();
        for (labels, entry) in self.lines(&range.query, window)? {
            *sums.entry(labels).or_default() += if bytes { entry.line.len() } else { 1 };
        }
        Ok(sums.into_iter().map(|(labels, sum)| Sample { labels, value: sum as f64 / per }).collect())
    }

    fn grouping(&self, without: bool, labels: tree::Slice) -> Grouping {
        Grouping { without, labels: self.tree.names(labels).iter().map(|l| (*l).to_owned()).collect() }
    }
}

fn aggregation(function: VectorFunction) -> Result<Aggregation, String> {
    Ok(match function {
        VectorFunction::Sum => Aggregation::Sum,
        VectorFunction::Avg => Aggregation::Avg,
        VectorFunction::Count => Aggregation::Count,
        VectorFunction::Min => Aggregation::Min,
        VectorFunction::Max => Aggregation::Max,
        other => return Err(unknown(&format!("the aggregation {other:?}"))),
    })
}

fn sign(operator: BinaryOperator) -> Operator {
    match operator {
        BinaryOperator::Or => Operator::Or,
        BinaryOperator::And => Operator::And,
        BinaryOperator::Unless => Operator::Unless,
        BinaryOperator::Equal => Operator::Equal,
        BinaryOperator::NotEqual => Operator::NotEqual,
        BinaryOperator::Greater => Operator::Greater,
        BinaryOperator::GreaterOrEqual => Operator::GreaterOrEqual,
        BinaryOperator::Less => Operator::Less,
        BinaryOperator::LessOrEqual => Operator::LessOrEqual,
        BinaryOperator::Add => Operator::Add,
        BinaryOperator::Subtract => Operator::Subtract,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::Power => Operator::Power,
    }
}

#[cfg(test)]
mod tests;
