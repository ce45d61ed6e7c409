//! The words of PromQL that are more than a name.

/// A keyword or aggregation. Read in any case, as Prometheus does (`promql/parser/lex.go`, `key`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the word it is named for
pub enum Word {
    And,
    Or,
    Unless,
    Atan2,
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

/// Longest keyword, in bytes: `count_values`.
const LONGEST: usize = 12;

impl Word {
    /// The keyword that `text` is, in whatever case.
    pub fn of(text: &str) -> Option<Self> {
        let mut buffer = [0; LONGEST];
        let lower = buffer.get_mut(..text.len())?;
        lower.copy_from_slice(text.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"or" => Self::Or,
            b"by" => Self::By,
            b"on" => Self::On,
            b"and" => Self::And,
            b"sum" => Self::Sum,
            b"avg" => Self::Avg,
            b"min" => Self::Min,
            b"max" => Self::Max,
            b"end" => Self::End,
            b"topk" => Self::Topk,
            b"bool" => Self::Bool,
            b"fill" => Self::Fill,
            b"step" => Self::Step,
            b"atan2" => Self::Atan2,
            b"count" => Self::Count,
            b"group" => Self::Group,
            b"start" => Self::Start,
            b"range" => Self::Range,
            b"unless" => Self::Unless,
            b"stddev" => Self::Stddev,
            b"stdvar" => Self::Stdvar,
            b"limitk" => Self::Limitk,
            b"offset" => Self::Offset,
            b"max_of" => Self::MaxOf,
            b"min_of" => Self::MinOf,
            b"bottomk" => Self::Bottomk,
            b"without" => Self::Without,
            b"quantile" => Self::Quantile,
            b"smoothed" => Self::Smoothed,
            b"anchored" => Self::Anchored,
            b"ignoring" => Self::Ignoring,
            b"fill_left" => Self::FillLeft,
            b"group_left" => Self::GroupLeft,
            b"fill_right" => Self::FillRight,
            b"limit_ratio" => Self::LimitRatio,
            b"group_right" => Self::GroupRight,
            b"count_values" => Self::CountValues,
            _ => return None,
        })
    }

    /// Whether a metric may be called so (`generated_parser.y`, `metric_identifier`).
    pub fn may_be_metric(self) -> bool {
        !matches!(
            self,
            Self::Bool | Self::On | Self::Ignoring | Self::GroupLeft | Self::GroupRight | Self::Atan2
        )
    }

    /// Whether a label in a grouping list may be called so (`maybe_label`): all words but `without`.
    pub fn may_be_label(self) -> bool {
        self != Self::Without
    }
}
