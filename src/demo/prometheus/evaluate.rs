//! PromQL over the bookstore's series.
//!
//! Evaluated: selectors with `offset` and `@`, `rate`, `increase`, `delta`, `vector`, `time`, the
//! aggregations `sum`, `avg`, `count`, `min` and `max`, and every operator but many-to-one matching.
//! Anything else is refused by name. Semantics: Prometheus' `promql/engine.go` and `promql/functions.go`.

use crate::demo::data::{Bookstore, Labels, Series};
use crate::demo::select::Selection;
use crate::demo::vector::nameless;
use crate::demo::vector::{Aggregation, Binary, Grouping, Operator, Sample, Value, aggregate, distinct, map};
use crate::lang::matcher::MatchOp;
use crate::lang::promql::tree::{
    AggregateOp, At, BinaryOp, DurationId, Edges, Expr, NodeId, Number, Selector, SelectorId, Shift, Tree,
};

/// How old the last sample before a time may be: Prometheus' default look-back, in seconds.
pub const LOOKBACK: f64 = 300.0;
/// How deep an expression may be. Evaluation recurses where the tree does.
const MAX_DEPTH: usize = 200;

/// A text, ready to be evaluated at any time.
pub struct Evaluation<'t> {
    store: &'t Bookstore,
    tree: &'t Tree<'t>,
    /// For each selector, in order, the series that it selects.
    selected: Vec<Vec<Series>>,
    /// The first and last time of the query, in Unix seconds, and its step.
    window: (f64, f64, f64),
}

/// Each series with its samples in a window, and the window's ends.
struct Window {
    series: Vec<(Labels, Points)>,
    from: f64,
    until: f64,
}

/// The samples of one series.
pub type Points = Vec<(f64, f64)>;

impl<'t> Evaluation<'t> {
    /// Selects the series of every selector.
    ///
    /// # Errors
    /// Patterns that cannot be matched here as there.
    pub fn new(store: &'t Bookstore, tree: &'t Tree<'t>, window: (f64, f64, f64)) -> Result<Self, String> {
        let all = store.series();
        let select = |selector: &Selector<'_>| -> Result<Vec<Series>, String> {
            let selection = selection(tree, selector)?;
            Ok(all.iter().filter(|s| selection.takes(&s.labels)).cloned().collect())
        };
        let selected = tree.selectors().iter().map(select).collect::<Result<_, _>>()?;
        Ok(Self { store, tree, selected, window })
    }

    /// The value of the whole text at `time`.
    ///
    /// # Errors
    /// Why there is none, for the caller.
    pub fn at(&self, time: f64) -> Result<Value, String> {
        match self.value(self.tree.root(), time, 0)? {
            Value::Vector(samples) => Ok(Value::Vector(distinct(samples)?)),
            scalar => Ok(scalar),
        }
    }

    /// The samples of a range vector, if the whole text is one.
    pub fn range(&self, time: f64) -> Option<Vec<(Labels, Points)>> {
        match self.tree.node(self.tree.root()).expr {
            Expr::Range { selector, range } => Some(self.points(selector, range, time).ok()?.series),
            _ => None,
        }
    }

    fn value(&self, id: NodeId, time: f64, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("the demo does not evaluate expressions this deep".into());
        }
        let value = |id| self.value(id, time, depth + 1);
        match &self.tree.node(id).expr {
            Expr::Number(Number(number)) => Ok(Value::Scalar(*number)),
            Expr::Paren(inner) => value(*inner),
            Expr::Unary { negative: false, expr } => value(*expr),
            Expr::Unary { negative: true, expr } => Ok(match value(*expr)? {
                Value::Scalar(number) => Value::Scalar(-number),
                Value::Vector(samples) => Value::Vector(distinct(map(samples, |v| -v))?),
            }),
            Expr::Selector(selector) => Ok(Value::Vector(self.instant(*selector, time)?)),
            Expr::Call { function, arguments } => {
                self.call(function.name, self.tree.arguments(*arguments), time, depth)
            }
            Expr::Aggregate { op, parameter: None, expr, without, labels } => {
                let Value::Vector(samples) = value(*expr)? else { return Err(unknown("this aggregation")) };
                let grouping = self.grouping(*without, self.tree.labels(*labels));
                Ok(Value::Vector(aggregate(aggregation(*op)?, &grouping, samples)))
            }
            Expr::Binary { op, left, right, yields_bool, matching } => {
                let matching = matching.and_then(|m| self.tree.matching(m));
                let grouping = match matching {
                    None => Grouping { without: true, labels: Vec::new() },
                    Some(m) if m.group.is_some() || m.fill_left.is_some() || m.fill_right.is_some() => {
                        return Err(unknown("`group_left`, `group_right` and `fill`"));
                    }
                    Some(m) => self.grouping(!m.on, self.tree.labels(m.labels)),
                };
                let binary =
                    Binary { operator: operator(*op)?, yields_bool: *yields_bool, matching: grouping };
                match binary.apply(value(*left)?, value(*right)?)? {
                    Value::Vector(samples) => Ok(Value::Vector(distinct(samples)?)),
                    scalar => Ok(scalar),
                }
            }
            Expr::Aggregate { .. } => Err(unknown("aggregations with a parameter")),
            Expr::Text(_) => Err(unknown("strings")),
            Expr::Range { .. } => Err("a range vector has no value at one time".into()),
            Expr::Subquery { .. } => Err(unknown("subqueries")),
        }
    }

    fn grouping(&self, without: bool, labels: &[std::borrow::Cow<'_, str>]) -> Grouping {
        Grouping { without, labels: labels.iter().map(|l| l.clone().into_owned()).collect() }
    }

    fn call(&self, name: &str, arguments: &[NodeId], time: f64, depth: usize) -> Result<Value, String> {
        match (name, arguments) {
            ("time", []) => Ok(Value::Scalar(time)),
            ("vector", [number]) => match self.value(*number, time, depth + 1)? {
                Value::Scalar(value) => Ok(Value::Vector(vec![Sample { labels: Labels::new(), value }])),
                Value::Vector(_) => Err("`vector` takes a scalar".into()),
            },
            ("rate" | "increase" | "delta", [argument]) => {
                let Expr::Range { selector, range } = self.tree.node(*argument).expr else {
                    return Err(unknown("subqueries"));
                };
                let Window { series, from, until } = self.points(selector, range, time)?;
                let samples = series.into_iter().filter_map(|(labels, points)| {
                    let change = change(&points, from, until, name != "delta")?;
                    let value = if name == "rate" { change / (until - from) } else { change };
                    Some(Sample { labels: nameless(labels), value })
                });
                Ok(Value::Vector(distinct(samples.collect())?))
            }
            _ => Err(unknown(&format!("`{name}`"))),
        }
    }

    /// The last sample of each selected series that is not too old.
    fn instant(&self, id: SelectorId, time: f64) -> Result<Vec<Sample>, String> {
        let time = self.shifted(id, time)?;
        let series = self.series(id).iter();
        let last = series.filter_map(|s| {
            let (_, value) = *self.store.samples(s, time - LOOKBACK, time).last()?;
            Some(Sample { labels: s.labels.clone(), value })
        });
        Ok(last.collect())
    }

    /// The samples in `(time - range, time]` of each selected series, and these bounds.
    fn points(&self, id: SelectorId, range: DurationId, time: f64) -> Result<Window, String> {
        let until = self.shifted(id, time)?;
        let from = until - self.seconds(range);
        let series = self.series(id).iter().filter_map(|s| {
            let points: Points =
                self.store.samples(s, from, until).into_iter().map(|(t, v)| (t as f64, v)).collect();
            (!points.is_empty()).then(|| (s.labels.clone(), points))
        });
        Ok(Window { series: series.collect(), from, until })
    }

    fn series(&self, id: SelectorId) -> &[Series] {
        let position = self.tree.selectors().iter().zip(&self.selected);
        let wanted = self.tree.selector(id);
        // Both lists are in the order of the text, and the tree hands out references into its own.
        let found = position.into_iter().find(|(s, _)| wanted.is_some_and(|w| std::ptr::eq(*s, w)));
        found.map_or(&[], |(_, series)| series.as_slice())
    }

    /// The time that a selector looks at.
    fn shifted(&self, id: SelectorId, time: f64) -> Result<f64, String> {
        let Some(selector) = self.tree.selector(id) else { return Err(unknown("this selector")) };
        if selector.edges != Edges::Plain {
            return Err(unknown("`anchored` and `smoothed`"));
        }
        let Shift { offset, at } = selector.shift;
        let (start, end, _) = self.window;
        let time = match at {
            None => time,
            Some(At::Seconds(Number(seconds))) => seconds,
            Some(At::Start) => start,
            Some(At::End) => end,
        };
        Ok(time - offset.map_or(0.0, |o| self.seconds(o)))
    }

    fn seconds(&self, duration: DurationId) -> f64 {
        let (start, end, step) = self.window;
        self.tree.seconds(duration, step, end - start)
    }
}

/// The matchers of `selector`, ready to be tried.
///
/// # Errors
/// Patterns that cannot be matched here as there.
pub fn selection(tree: &Tree<'_>, selector: &Selector<'_>) -> Result<Selection, String> {
    let name = selector.name.as_deref().map(|n| ("__name__", MatchOp::Equal, n.as_bytes()));
    let matchers = tree.matchers(selector).iter().map(|m| (&*m.name, m.op, &*m.value));
    Selection::new(name.into_iter().chain(matchers)).map_err(|e| e.to_string())
}

/// The change over `(from, until]`, extrapolated to its edges (`extrapolatedRate`).
fn change(points: &[(f64, f64)], from: f64, until: f64, counter: bool) -> Option<f64> {
    let (&(first_time, first), &(last_time, last)) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let mut change = last - first;
    if counter {
        // What a counter had before it was reset.
        change += points
            .iter()
            .zip(points.iter().skip(1))
            .filter(|(a, b)| b.1 < a.1)
            .map(|(a, _)| a.1)
            .sum::<f64>();
    }
    let sampled = last_time - first_time;
    let average = sampled / (points.len() - 1) as f64;
    let edge = |gap: f64| if gap >= average * 1.1 { average / 2.0 } else { gap };
    let (mut before, after) = (edge(first_time - from), edge(until - last_time));
    if counter && change > 0.0 && first >= 0.0 {
        // No further back than to where the counter was 0.
        before = before.min(sampled * (first / change));
    }
    Some(change * (sampled + before + after) / sampled)
}

fn unknown(what: &str) -> String {
    format!("the demo does not evaluate {what}")
}

fn aggregation(op: AggregateOp) -> Result<Aggregation, String> {
    Ok(match op {
        AggregateOp::Sum => Aggregation::Sum,
        AggregateOp::Avg => Aggregation::Avg,
        AggregateOp::Count => Aggregation::Count,
        AggregateOp::Min => Aggregation::Min,
        AggregateOp::Max => Aggregation::Max,
        other => return Err(unknown(&format!("the aggregation {other:?}"))),
    })
}

fn operator(op: BinaryOp) -> Result<Operator, String> {
    Ok(match op {
        BinaryOp::Add => Operator::Add,
        BinaryOp::Sub => Operator::Subtract,
        BinaryOp::Mul => Operator::Multiply,
        BinaryOp::Div => Operator::Divide,
        BinaryOp::Mod => Operator::Modulo,
        BinaryOp::Pow => Operator::Power,
        BinaryOp::Equals => Operator::Equal,
        BinaryOp::Differs => Operator::NotEqual,
        BinaryOp::Less => Operator::Less,
        BinaryOp::LessOrEqual => Operator::LessOrEqual,
        BinaryOp::Greater => Operator::Greater,
        BinaryOp::GreaterOrEqual => Operator::GreaterOrEqual,
        BinaryOp::And => Operator::And,
        BinaryOp::Or => Operator::Or,
        BinaryOp::Unless => Operator::Unless,
        other => return Err(unknown(&format!("the operator {other:?}"))),
    })
}

#[cfg(test)]
mod tests;
