//! What each stream selector must carry: the matchers of the scope, and its salt.

use super::parse::can_be_pasted;
use super::tree::MatchOperator;
use crate::lang::core::quote::{push_pattern, push_quoted};
use crate::tenant::{ScopeMatchers, Values};

/// The label of the salt, which no stream has.
///
/// The salt is what it must not be, so nothing is left out. To Loki 3.6 to 3.8 that costs one look-up of a name that is
/// not there: its index takes the streams of the value away from those found (`PostingsForMatchers` in
/// `pkg/storage/stores/shipper/indexshipper/tsdb/querier.go`), an ingester compares it with the labels of the streams
/// found (`forMatchingStreams` in `pkg/ingester/instance.go`), and the newer engine takes a column that is not there
/// for the empty text (`buildLabelPredicate` in `pkg/dataobj/metastore/iter.go`).
pub(super) const SALT: &str = "__salt__";

/// The label of the pair of matchers that no stream meets.
pub(super) const NOTHING: &str = "__nothing__";

/// One matcher that a selector must carry.
pub(super) struct Demand<'s> {
    /// The label.
    pub label: &'s str,
    /// The values of the scope, each of which suffices; none for the salt.
    pub values: Option<&'s Values>,
    /// As it usually is: `tenant="a.b"`, `tenant=~"a\\.b|c"`, `__salt__!="…"`.
    pub plain: Said,
    /// As it is within `absent_over_time`, which would make a label of an equality.
    pub absent: Said,
}

/// One matcher, as it is written.
#[derive(Clone)]
pub(super) struct Said {
    label: String,
    value: String,
    /// The matcher's text.
    pub text: String,
}

impl Said {
    fn new(label: &str, operator: MatchOperator, value: &str) -> Self {
        let sign = match operator {
            MatchOperator::Equal => "=",
            MatchOperator::NotEqual => "!=",
            MatchOperator::Match => "=~",
            MatchOperator::NotMatch => "!~",
        };
        let mut text = String::with_capacity(label.len() + value.len() + 4);
        text.push_str(label);
        text.push_str(sign);
        push_quoted(&mut text, value);
        Self { label: label.to_owned(), value: value.to_owned(), text }
    }

    /// Whether Loki may write it into a query of its own.
    fn can_be_pasted(&self) -> bool {
        can_be_pasted(&self.label, self.value.as_bytes())
    }
}

/// What the selectors of one text must carry.
pub(super) struct Demands<'s> {
    list: Vec<Demand<'s>>,
    /// What a selector has that reads nothing: `__nothing__=~".+",__nothing__!~".+"`.
    nothing: [Said; 2],
}

impl<'s> Demands<'s> {
    pub fn of(scope: &'s ScopeMatchers) -> Self {
        let mut list: Vec<Demand<'s>> = Vec::with_capacity(scope.iter().len() + 1);
        for matcher in scope.iter() {
            let (label, values) = (&*matcher.label, &matcher.values);
            let mut pattern = String::new();
            for value in values.iter() {
                if !pattern.is_empty() {
                    pattern.push('|');
                }
                push_pattern(&mut pattern, value.as_str());
            }
            let absent = Said::new(label, MatchOperator::Match, &pattern);
            let plain = match values.single() {
                Some(value) => Said::new(label, MatchOperator::Equal, value.as_str()),
                None => absent.clone(),
            };
            list.push(Demand { label, values: Some(values), plain, absent });
        }
        if let Some(salt) = scope.salt() {
            let said = || Said::new(SALT, MatchOperator::NotEqual, salt.as_str());
            list.push(Demand { label: SALT, values: None, plain: said(), absent: said() });
        }
        let some = |operator| Said::new(NOTHING, operator, ".+");
        Self { list, nothing: [some(MatchOperator::Match), some(MatchOperator::NotMatch)] }
    }

    /// The dimensions of the scope, without the salt.
    pub fn dimensions(&self) -> impl Iterator<Item = (&Demand<'s>, &'s Values)> {
        self.list.iter().filter_map(|demand| Some((demand, demand.values?)))
    }

    pub fn can_be_pasted(&self) -> bool {
        self.list.iter().all(|demand| demand.plain.can_be_pasted())
    }

    /// The matchers that `planned` inserts, in order.
    pub fn inserted<'d>(&'d self, planned: &Planned) -> Vec<&'d Said> {
        match planned {
            Planned::Plain => self.list.iter().map(|demand| &demand.plain).collect(),
            Planned::Absent { kept } => {
                let left =
                    self.list.iter().filter(|demand| !kept.iter().any(|label| *label == *demand.label));
                left.map(|demand| &demand.absent).collect()
            }
            Planned::Nothing => {
                let salt = self.list.iter().filter(|demand| demand.values.is_none());
                self.nothing.iter().chain(salt.map(|demand| &demand.plain)).collect()
            }
        }
    }
}

/// What one selector gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// Each demand.
    Plain,
    /// It is the one of an `absent_over_time`: each demand but those on the labels `kept`, which the caller's own
    /// matchers carry already.
    Absent {
        /// The labels.
        kept: Vec<String>,
    },
    /// It is the one of an `absent_over_time`, and asks for a value outside of the scope: what it can find is nothing,
    /// and a matcher of the scope beside the caller's own would take that label away from the result. So it gets
    /// matchers that contradict each other.
    Nothing,
}
