//! Instant vectors, and what PromQL and LogQL both compute over them.
//!
//! Semantics: Prometheus' `promql/engine.go` (`aggregation`, `VectorBinop`, `VectorscalarBinop`,
//! `resultMetric`); Loki's `pkg/logql/engine.go` follows it.

use super::data::Labels;
use std::collections::{BTreeMap, BTreeSet};

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The labels.
    pub labels: Labels,
    /// The value.
    pub value: f64,
}

/// What an expression yields at one time.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// Samples with distinct labels.
    Vector(Vec<Sample>),
}

/// The label that holds a metric's name.
const NAME: &str = "__name__";

/// Labels that are kept, or left out.
#[derive(Clone, Debug, Default)]
pub struct Grouping {
    /// Whether `labels` are those left out.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

impl Grouping {
    /// What is left of `labels`. What leaves labels out leaves the name out, too.
    fn of(&self, labels: &Labels) -> Labels {
        let listed = |name: &String| self.labels.contains(name);
        let kept = labels.iter().filter(|(n, _)| match self.without {
            true => !listed(n) && n.as_str() != NAME,
            false => listed(n),
        });
        kept.map(|(n, v)| (n.clone(), v.clone())).collect()
    }
}

/// An aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the word it is named for
pub enum Aggregation {
    Sum,
    Avg,
    Count,
    Min,
    Max,
}

/// Aggregates `samples` by group.
pub fn aggregate(aggregation: Aggregation, grouping: &Grouping, samples: Vec<Sample>) -> Vec<Sample> {
    let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
    for sample in samples {
        groups.entry(grouping.of(&sample.labels)).or_default().push(sample.value);
    }
    let of = |values: &[f64]| {
        let sum = values.iter().sum::<f64>();
        match aggregation {
            Aggregation::Sum => sum,
            Aggregation::Avg => sum / values.len() as f64,
            Aggregation::Count => values.len() as f64,
            Aggregation::Min => values.iter().copied().fold(f64::NAN, f64::min),
            Aggregation::Max => values.iter().copied().fold(f64::NAN, f64::max),
        }
    };
    groups.into_iter().map(|(labels, values)| Sample { labels, value: of(&values) }).collect()
}

/// Each sample with a new value and without a name, as functions and arithmetic leave it.
pub fn map(samples: Vec<Sample>, value: impl Fn(f64) -> f64) -> Vec<Sample> {
    samples.into_iter().map(|s| Sample { labels: nameless(s.labels), value: value(s.value) }).collect()
}

/// `labels` without the metric's name.
pub fn nameless(mut labels: Labels) -> Labels {
    labels.remove(NAME);
    labels
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the sign or word it is named for
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Unless,
}

/// What an operator does with two numbers.
enum Outcome {
    /// It computes one.
    Number(f64),
    /// It compares them.
    Holds(bool),
}

impl Operator {
    fn apply(self, left: f64, right: f64) -> Outcome {
        match self {
            Self::Add => Outcome::Number(left + right),
            Self::Subtract => Outcome::Number(left - right),
            Self::Multiply => Outcome::Number(left * right),
            Self::Divide => Outcome::Number(left / right),
            Self::Modulo => Outcome::Number(left % right),
            Self::Power => Outcome::Number(left.powf(right)),
            Self::Equal => Outcome::Holds(left == right),
            Self::NotEqual => Outcome::Holds(left != right),
            Self::Less => Outcome::Holds(left < right),
            Self::LessOrEqual => Outcome::Holds(left <= right),
            Self::Greater => Outcome::Holds(left > right),
            Self::GreaterOrEqual => Outcome::Holds(left >= right),
            // Sets are not computed with numbers: see `sets`.
            Self::And | Self::Or | Self::Unless => Outcome::Holds(false),
        }
    }
}

/// How two operands are combined.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The operator.
    pub operator: Operator,
    /// `bool`: comparisons yield 0 and 1.
    pub yields_bool: bool,
    /// The labels that must be equal.
    pub matching: Grouping,
}

impl Binary {
    /// `left op right`.
    ///
    /// # Errors
    /// A message if there is more than one partner: many-to-one is not evaluated here.
    pub fn apply(&self, left: Value, right: Value) -> Result<Value, String> {
        Ok(match (left, right) {
            (Value::Scalar(l), Value::Scalar(r)) => Value::Scalar(match self.operator.apply(l, r) {
                Outcome::Number(number) => number,
                Outcome::Holds(holds) => f64::from(u8::from(holds)),
            }),
            (Value::Vector(l), Value::Scalar(r)) => {
                Value::Vector(l.into_iter().filter_map(|s| self.one(s, |v| (v, r))).collect())
            }
            (Value::Scalar(l), Value::Vector(r)) => {
                Value::Vector(r.into_iter().filter_map(|s| self.one(s, |v| (l, v))).collect())
            }
            (Value::Vector(l), Value::Vector(r)) => match self.operator {
                Operator::And | Operator::Or | Operator::Unless => Value::Vector(self.sets(l, r)),
                _ => Value::Vector(self.pairs(l, r)?),
            },
        })
    }

    /// One sample beside a number. A comparison keeps the sample as it is, or drops it.
    fn one(&self, sample: Sample, operands: impl Fn(f64) -> (f64, f64)) -> Option<Sample> {
        let (left, right) = operands(sample.value);
        match self.operator.apply(left, right) {
            Outcome::Number(value) => Some(Sample { labels: nameless(sample.labels), value }),
            Outcome::Holds(holds) if self.yields_bool => {
                Some(Sample { labels: nameless(sample.labels), value: f64::from(u8::from(holds)) })
            }
            Outcome::Holds(holds) => holds.then_some(sample),
        }
    }

    fn sets(&self, left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
        let keys = |side: &[Sample]| -> BTreeSet<Labels> {
            side.iter().map(|s| self.matching.of(&s.labels)).collect()
        };
        let (in_left, in_right) = (keys(&left), keys(&right));
        let there = |keys: &BTreeSet<Labels>, s: &Sample| keys.contains(&self.matching.of(&s.labels));
        match self.operator {
            Operator::And => left.into_iter().filter(|s| there(&in_right, s)).collect(),
            Operator::Unless => left.into_iter().filter(|s| !there(&in_right, s)).collect(),
            _ => {
                let added: Vec<_> = right.into_iter().filter(|s| !there(&in_left, s)).collect();
                left.into_iter().chain(added).collect()
            }
        }
    }

    fn pairs(&self, left: Vec<Sample>, right: Vec<Sample>) -> Result<Vec<Sample>, String> {
        let mut partners = BTreeMap::new();
        for sample in right {
            if partners.insert(self.matching.of(&sample.labels), sample.value).is_some() {
                return Err(
                    "found duplicate series for the match group on the right hand-side of the operation"
                        .into(),
                );
            }
        }
        let mut matched = BTreeSet::new();
        let mut results = Vec::new();
        for sample in left {
            let key = self.matching.of(&sample.labels);
            let Some(partner) = partners.get(&key) else { continue };
            if !matched.insert(key.clone()) {
                return Err("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)".into());
            }
            let outcome = self.operator.apply(sample.value, *partner);
            // What is left of the labels is the key, but for the name, which a comparison keeps unless
            // `on` leaves it out.
            let mut labels = key;
            let compared = matches!(outcome, Outcome::Holds(_)) && !self.yields_bool;
            if let (true, true, Some(name)) = (compared, self.matching.without, sample.labels.get(NAME)) {
                labels.insert(NAME.into(), name.clone());
            }
            match outcome {
                Outcome::Number(value) => results.push(Sample { labels, value }),
                Outcome::Holds(holds) if self.yields_bool => {
                    results.push(Sample { labels, value: f64::from(u8::from(holds)) });
                }
                Outcome::Holds(true) => results.push(Sample { labels, value: sample.value }),
                Outcome::Holds(false) => {}
            }
        }
        Ok(results)
    }
}

/// Refuses a vector in which two samples have the same labels, as both engines do.
///
/// # Errors
/// Their message.
pub fn distinct(samples: Vec<Sample>) -> Result<Vec<Sample>, String> {
    let labels: BTreeSet<&Labels> = samples.iter().map(|s| &s.labels).collect();
    if labels.len() == samples.len() {
        return Ok(samples);
    }
    Err("vector cannot contain metrics with the same labelset".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        Sample { labels, value }
    }

    fn requests() -> Vec<Sample> {
        vec![
            sample(&[(NAME, "r"), ("service", "a"), ("code", "200")], 3.0),
            sample(&[(NAME, "r"), ("service", "a"), ("code", "500")], 1.0),
            sample(&[(NAME, "r"), ("service", "b"), ("code", "200")], 5.0),
        ]
    }

    fn binary(operator: Operator, yields_bool: bool, on: Option<&[&str]>) -> Binary {
        let labels = on.unwrap_or_default().iter().map(|l| l.to_string()).collect();
        Binary { operator, yields_bool, matching: Grouping { without: on.is_none(), labels } }
    }

    #[test]
    fn groups_keep_their_labels_and_never_the_name() {
        let by = Grouping { without: false, labels: vec!["service".into(), "absent".into()] };
        assert_eq!(
            aggregate(Aggregation::Sum, &by, requests()),
            [sample(&[("service", "a")], 4.0), sample(&[("service", "b")], 5.0)]
        );
        let without = Grouping { without: true, labels: vec!["service".into()] };
        assert_eq!(
            aggregate(Aggregation::Count, &without, requests()),
            [sample(&[("code", "200")], 2.0), sample(&[("code", "500")], 1.0)]
        );
        assert_eq!(aggregate(Aggregation::Max, &Grouping::default(), requests()), [sample(&[], 5.0)]);
        assert_eq!(aggregate(Aggregation::Min, &Grouping::default(), Vec::new()), []);
    }

    #[test]
    fn comparisons_filter_or_yield_bool() {
        let vector = |v| Value::Vector(v);
        let filtered = binary(Operator::Greater, false, None).apply(vector(requests()), Value::Scalar(4.0));
        assert_eq!(filtered, Ok(vector(vec![requests()[2].clone()])));
        let bools = binary(Operator::Greater, true, None).apply(Value::Scalar(4.0), vector(requests()));
        let Ok(Value::Vector(bools)) = bools else { panic!("{bools:?}") };
        assert_eq!(bools.iter().map(|s| s.value).collect::<Vec<_>>(), [1.0, 1.0, 0.0]);
        assert!(bools.iter().all(|s| !s.labels.contains_key(NAME)));
    }

    #[test]
    fn pairs_match_on_all_labels_but_the_name_and_refuse_two_partners() {
        let other = vec![sample(&[(NAME, "q"), ("service", "a"), ("code", "500")], 2.0)];
        let vector = |v| Value::Vector(v);
        let ratio = binary(Operator::Divide, false, None).apply(vector(requests()), vector(other.clone()));
        assert_eq!(ratio, Ok(vector(vec![sample(&[("service", "a"), ("code", "500")], 0.5)])));
        let many = binary(Operator::Divide, false, Some(&["service"]));
        assert!(many.apply(vector(requests()), vector(other.clone())).is_err());
        assert!(many.apply(vector(other), vector(requests())).is_err());
    }

    #[test]
    fn sets_match_by_labels() {
        let all = requests();
        let (first, rest) = (vec![all[0].clone()], vec![all[1].clone(), all[2].clone()]);
        let of = |operator, l: &[Sample], r: &[Sample]| {
            let values =
                binary(operator, false, None).apply(Value::Vector(l.to_vec()), Value::Vector(r.to_vec()));
            let Ok(Value::Vector(values)) = values else { panic!("{values:?}") };
            values
        };
        assert_eq!(of(Operator::Or, &first, &all), all);
        assert_eq!(of(Operator::And, &all, &rest), rest);
        assert_eq!(of(Operator::Unless, &all, &rest), first);
    }
}
