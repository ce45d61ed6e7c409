//! Words of the grammar: keywords, and functions, which are functions only where one is called.

use super::lex::Kind;
use super::tree::{Conversion, RangeFunction, VectorFunction};

/// What a word may be, apart from a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Never a label.
    Keyword(Kind),
    /// A function where a call follows, elsewhere a label.
    Function(Kind),
}

/// Bytes of the longest word, `quantile_over_time`.
const LONGEST: usize = 18;

/// Looks `word` up without regard to case, as Loki does (`pkg/logql/syntax/lex.go`, maps `tokens` and
/// `functionTokens`). Only ASCII: words that Loki would lower from other scripts are refused before.
pub(super) fn lookup(word: &str) -> Option<Word> {
    let mut lower = [0_u8; LONGEST];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    keyword(lower).map(Word::Keyword).or_else(|| function(lower).map(Word::Function))
}

fn keyword(lower: &[u8]) -> Option<Kind> {
    Some(match lower {
        b"by" => Kind::By,
        b"without" => Kind::Without,
        b"bool" => Kind::Bool,
        b"on" => Kind::On,
        b"ignoring" => Kind::Ignoring,
        b"group_left" => Kind::GroupLeft,
        b"group_right" => Kind::GroupRight,
        b"or" => Kind::Or,
        b"and" => Kind::And,
        b"unless" => Kind::Unless,
        b"offset" => Kind::Offset,
        b"unwrap" => Kind::Unwrap,
        b"json" => Kind::Json,
        b"logfmt" => Kind::Logfmt,
        b"regexp" => Kind::Regexp,
        b"pattern" => Kind::Pattern,
        b"unpack" => Kind::Unpack,
        b"line_format" => Kind::LineFormat,
        b"label_format" => Kind::LabelFormat,
        b"decolorize" => Kind::Decolorize,
        b"drop" => Kind::Drop,
        b"keep" => Kind::Keep,
        b"variants" => Kind::Variants,
        b"of" => Kind::Of,
        _ => return None,
    })
}

fn function(lower: &[u8]) -> Option<Kind> {
    range_function(lower)
        .map(Kind::RangeFunction)
        .or_else(|| vector_function(lower).map(Kind::VectorFunction))
        .or(match lower {
            b"label_replace" => Some(Kind::LabelReplace),
            b"vector" => Some(Kind::Vector),
            b"ip" => Some(Kind::Ip),
            b"bytes" => Some(Kind::Conversion(Conversion::Bytes)),
            b"duration" => Some(Kind::Conversion(Conversion::Duration)),
            b"duration_seconds" => Some(Kind::Conversion(Conversion::DurationSeconds)),
            _ => None,
        })
}

fn range_function(lower: &[u8]) -> Option<RangeFunction> {
    Some(match lower {
        b"rate" => RangeFunction::Rate,
        b"rate_counter" => RangeFunction::RateCounter,
        b"count_over_time" => RangeFunction::Count,
        b"bytes_rate" => RangeFunction::BytesRate,
        b"bytes_over_time" => RangeFunction::Bytes,
        b"avg_over_time" => RangeFunction::Avg,
        b"sum_over_time" => RangeFunction::Sum,
        b"min_over_time" => RangeFunction::Min,
        b"max_over_time" => RangeFunction::Max,
        b"stdvar_over_time" => RangeFunction::Stdvar,
        b"stddev_over_time" => RangeFunction::Stddev,
        b"quantile_over_time" => RangeFunction::Quantile,
        b"first_over_time" => RangeFunction::First,
        b"last_over_time" => RangeFunction::Last,
        b"absent_over_time" => RangeFunction::Absent,
        _ => return None,
    })
}

fn vector_function(lower: &[u8]) -> Option<VectorFunction> {
    Some(match lower {
        b"sum" => VectorFunction::Sum,
        b"avg" => VectorFunction::Avg,
        b"max" => VectorFunction::Max,
        b"min" => VectorFunction::Min,
        b"count" => VectorFunction::Count,
        b"stddev" => VectorFunction::Stddev,
        b"stdvar" => VectorFunction::Stdvar,
        b"bottomk" => VectorFunction::BottomK,
        b"topk" => VectorFunction::TopK,
        b"approx_topk" => VectorFunction::ApproxTopK,
        b"sort" => VectorFunction::Sort,
        b"sort_desc" => VectorFunction::SortDesc,
        _ => return None,
    })
}

/// Whether `label` can be the label of a scope: written bare in a selector, it is a label and nothing
/// else. For checks of the configuration.
pub fn label_usable(label: &str) -> bool {
    let first = label.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && rest && label != "__name__" && !matches!(lookup(label), Some(Word::Keyword(_)))
}

/// Whether a call follows a function's word: `(`, or `by` or `without` and `(`.
///
/// As `isFunction` in Loki's lexer, which skips white space here but no comment.
pub(super) fn call_follows(rest: &str) -> bool {
    let rest = skip_space(rest);
    if rest.starts_with('(') {
        return true;
    }
    ["by", "without"].into_iter().any(|word| {
        let found = rest.get(..word.len()).is_some_and(|r| r.eq_ignore_ascii_case(word));
        found && rest.get(word.len()..).is_some_and(|after| skip_space(after).starts_with('('))
    })
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case() {
        assert_eq!(lookup("by"), Some(Word::Keyword(Kind::By)));
        assert_eq!(lookup("WithOut"), Some(Word::Keyword(Kind::Without)));
        assert_eq!(lookup("SUM"), Some(Word::Function(Kind::VectorFunction(VectorFunction::Sum))));
        assert_eq!(lookup("app"), None);
        assert_eq!(lookup("quantile_over_time_"), None);
        assert_eq!(lookup(&"q".repeat(1000)), None);
    }

    #[test]
    fn a_scope_label_is_an_identifier_and_no_keyword() {
        for good in ["tenant", "_t", "T9", "sum", "rate", "namespace"] {
            assert!(label_usable(good), "{good}");
        }
        for bad in ["", "9t", "a.b", "a b", "tënant", "by", "OFFSET", "json", "of", "__name__", "a\""] {
            assert!(!label_usable(bad), "{bad}");
        }
    }

    #[test]
    fn a_call_is_a_parenthesis_or_a_grouping() {
        for call in ["(", " \n(", "by(", " by (a)", " WITHOUT\t("] {
            assert!(call_follows(call), "{call:?}");
        }
        for none in ["", "=", "byte(", "by", "by #c\n(", "#c\n(", "without x"] {
            assert!(!call_follows(none), "{none:?}");
        }
    }
}
