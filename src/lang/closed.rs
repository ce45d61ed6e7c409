//! Names that an operator closes at once, for the day on which a backend has a bug: functions, aggregations, operators,
//! stages, intrinsics and hints, as they are written in queries.

use super::core::token::Token;
use super::{Language, QueryError, logql, promql, traceql};
use crate::limits::QueryLimits;
use std::sync::Arc;

/// The names that are closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed(Arc<[Box<str>]>);

impl Closed {
    /// These names, which [`is_known`].
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(String::into_boxed_str).collect())
    }

    /// Refuses `text` if it has a name that is closed. What is no text of the language passes: its reader says why.
    ///
    /// # Errors
    /// `unsupported`, with the name and its place.
    pub fn check(&self, language: Language, text: &str, limits: &QueryLimits) -> Result<(), QueryError> {
        if self.0.is_empty() {
            return Ok(());
        }
        match language {
            Language::PromQl => self.check_tokens(text, promql::lex::lex(text, limits), promql::lex::is_name),
            Language::LogQl => self.check_tokens(text, logql::lex::lex(text, limits), logql::lex::is_name),
            Language::TraceQl => {
                self.check_tokens(text, traceql::lex::lex(text, limits), traceql::lex::is_name)
            }
        }
    }

    fn check_tokens<K: Copy>(
        &self,
        text: &str,
        tokens: Result<Vec<Token<K>>, QueryError>,
        is_name: fn(text: &str, token: K, next: Option<K>) -> bool,
    ) -> Result<(), QueryError> {
        let tokens = tokens.unwrap_or_default();
        for (index, token) in tokens.iter().enumerate() {
            let word = token.span.of(text);
            let closed = self.0.iter().find(|name| is_same(name, word));
            let next = tokens.get(index + 1).map(|next| next.kind);
            if let Some(name) = closed.filter(|_| is_name(word, token.kind, next)) {
                let message = format!("`{name}` is closed here by the operator");
                return Err(QueryError::unsupported(token.span, message));
            }
        }
        Ok(())
    }
}

/// Whether two spellings name the same: languages that have keywords in any case have no names that differ in case
/// alone, and an intrinsic of TraceQL has two.
fn is_same(name: &str, word: &str) -> bool {
    let intrinsic = |text| traceql::intrinsic::Intrinsic::named(text);
    name.eq_ignore_ascii_case(word) || intrinsic(name).is_some() && intrinsic(name) == intrinsic(word)
}

/// Whether `name` is one that `language` has.
pub fn is_known(language: Language, name: &str) -> bool {
    let limits = QueryLimits::default();
    let whole = |tokens: Vec<crate::span::Span>| matches!(*tokens, [span] if span.of(name) == name);
    let spans = match language {
        Language::PromQl => promql::lex::lex(name, &limits).map(|t| t.iter().map(|t| t.span).collect()),
        Language::LogQl => logql::lex::lex(name, &limits).map(|t| t.iter().map(|t| t.span).collect()),
        Language::TraceQl => traceql::lex::lex(name, &limits).map(|t| t.iter().map(|t| t.span).collect()),
    };
    let is_word = match language {
        Language::PromQl => promql::lex::is_word(name),
        Language::LogQl => logql::lex::is_word(name),
        Language::TraceQl => traceql::lex::is_word(name),
    };
    let sign = |b: u8| b.is_ascii_punctuation() && !b"_.,:;\"'`(){}[]#".contains(&b);
    is_word || !name.is_empty() && name.bytes().all(sign) && spans.is_ok_and(whole)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use Language::{LogQl, PromQl, TraceQl};

    #[test]
    fn what_is_closed_is_refused_where_it_means_that() {
        for (language, name, text, refused) in [
            (PromQl, "rate", "sum(rate(x[5m]))", true),
            (PromQl, "rate", "rate + x{rate=\"y\"} + sum by (rate) (z)", false),
            (PromQl, "topk", "topk by (a) (3, x)", true),
            (PromQl, "topk", "TOPK(3, x)", true),
            (PromQl, "offset", "x offset 5m", true),
            (PromQl, "@", "x @ 5", true),
            (PromQl, "=~", "x{a=~\"b\"}", true),
            (PromQl, "=~", "x{a=\"=~\"}", false),
            (PromQl, "^", "x ^ 2", true),
            (LogQl, "json", "{a=\"b\"} | json", true),
            (LogQl, "json", "{a=\"json\"} |= \"json\"", false),
            (LogQl, "rate", "Rate({a=\"b\"}[1m])", true),
            (LogQl, "rate", "{rate=\"b\"} | rate = \"c\"", false),
            (LogQl, "|~", "{a=\"b\"} |~ \"c\"", true),
            (LogQl, "unwrap", "sum_over_time({a=\"b\"} | unwrap c [1m])", true),
            (TraceQl, "compare", "{} | compare({ .a })", true),
            (TraceQl, "compare", "{ .compare = \"compare\" }", false),
            (TraceQl, ">>", "{} >> {}", true),
            (TraceQl, ">>", "{} > {}", false),
            (TraceQl, "span:name", "{ name = \"a\" }", true),
            (TraceQl, "exemplars", "{} | rate() with(exemplars=1)", true),
            (TraceQl, "%", "{ .a % 2 = 1 }", true),
            (TraceQl, "by", "no \" text", false),
        ] {
            assert!(is_known(language, name), "{name}");
            let closed = Closed::new([name.to_owned()]);
            let outcome = closed.check(language, text, &QueryLimits::default());
            assert_eq!(outcome.is_err(), refused, "{name} in {text}");
            if let Err(error) = outcome {
                assert_eq!(error.message, format!("`{name}` is closed here by the operator"));
                assert!(is_same(name, error.span.unwrap().of(text)));
            }
            assert_eq!(Closed::default().check(language, text, &QueryLimits::default()), Ok(()));
        }
    }

    #[test]
    fn names_are_those_that_the_language_has() {
        for language in [PromQl, LogQl, TraceQl] {
            for name in ["", "nonsense", "(", "{", "5", "\"a\"", "a b", "rate(", ".a", "==="] {
                assert!(!is_known(language, name), "{name}");
            }
        }
        assert!(is_known(PromQl, "info") && !is_known(LogQl, "info") && !is_known(TraceQl, "offset"));
    }
}
