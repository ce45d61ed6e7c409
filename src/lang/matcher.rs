//! A label matcher, as PromQL and LogQL selectors hold it.

use crate::lang::core::nullable;
use std::borrow::Cow;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the pattern matches the whole value.
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// How it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One matcher, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher<'a> {
    /// The label, without quotes.
    pub name: Cow<'a, str>,
    /// How it compares.
    pub op: MatchOp,
    /// The value or pattern, unquoted. Bytes, because an escape can make what is no UTF-8.
    pub value: Cow<'a, [u8]>,
}

impl Matcher<'_> {
    /// Whether its pattern, if it is one, is surely no pattern of RE2.
    pub fn is_malformed(&self) -> bool {
        matches!(self.op, MatchOp::Regex | MatchOp::NotRegex) && nullable::is_malformed(&self.value)
    }

    /// Whether a series without the label matches. A pattern that RE2 refuses counts as one that
    /// matches nothing empty ([`nullable::matches_empty`]).
    pub fn matches_empty(&self) -> bool {
        match self.op {
            MatchOp::Equal => self.value.is_empty(),
            MatchOp::NotEqual => !self.value.is_empty(),
            MatchOp::Regex => nullable::matches_empty(&self.value),
            MatchOp::NotRegex => !nullable::matches_empty(&self.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_matchers_take_series_without_the_label() {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        for (op, value, empty) in [
            (Equal, "", true),
            (Equal, "a", false),
            (NotEqual, "", false),
            (NotEqual, "a", true),
            (Regex, ".*", true),
            (Regex, ".+", false),
            (NotRegex, ".*", false),
            (NotRegex, ".+", true),
        ] {
            let matcher = Matcher { name: "a".into(), op, value: value.as_bytes().into() };
            assert_eq!(matcher.matches_empty(), empty, "{matcher:?}");
        }
    }
}
