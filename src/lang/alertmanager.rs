//! Matchers as Alertmanager's `filter` parameters hold them: one each, all must hold.
//!
//! Alertmanager has two parsers that read some texts differently, and its flags and version decide
//! which one wins (`matcher/parse`, `pkg/labels/parse.go`, `matcher/compat/parse.go` of its source). So
//! a matcher is read here, refused where the two would differ, and written anew in a spelling that both
//! read alike.

use super::core::{is_pattern, quote};
use super::matcher::MatchOp;
use super::promql::scope::push_pattern;
use super::{QueryError, ScopedText};
use crate::span::Span;
use crate::tenant::{ScopeMatcher, ScopeMatchers};

/// One matcher, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    name: String,
    op: MatchOp,
    value: String,
}

/// Why a text is no matcher that can be sent. Lower case, for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// Not a label name, an operator and a value.
    #[error("is no matcher, write `label=\"value\"`")]
    Shape,
    /// A value without quotes that holds what only one of the two parsers takes.
    #[error("has a value that must be written in double quotes")]
    Unquoted,
    /// A quote, or an escape that is read as two different texts.
    #[error("has a quote or an escape that is read in two ways, write `\\\\` for a backslash")]
    Escape,
}

impl Filter {
    /// Reads one matcher: `name="value"` with `=`, `!=`, `=~` or `!~`, spaces around each part. The name
    /// may be in quotes, the value without.
    ///
    /// # Errors
    /// [`BadFilter`], also for what only one of Alertmanager's parsers takes.
    pub fn read(text: &str) -> Result<Self, BadFilter> {
        let text = trimmed(text);
        let (name, rest) = name(text)?;
        let rest = trimmed(rest);
        let (op, rest) = operator(rest).ok_or(BadFilter::Shape)?;
        Ok(Self { name, op, value: value(trimmed(rest))? })
    }

    /// Whether it is the scope's `matcher`.
    fn says(&self, matcher: &ScopeMatcher) -> bool {
        let valued = match matcher.values.single() {
            Some(value) => self.op == MatchOp::Equal && *self.value == *value.as_str(),
            None => self.op == MatchOp::Regex && is_pattern(self.value.as_bytes(), &matcher.values),
        };
        valued && *self.name == *matcher.label
    }

    /// Its label, comparison and value.
    pub fn parts(&self) -> (&str, MatchOp, &str) {
        (&self.name, self.op, &self.value)
    }

    /// The matcher, written so that both parsers read it back. A name that is no identifier is quoted:
    /// the older parser refuses it.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.name.len() + self.value.len() + 8);
        if is_classic(&self.name) {
            text.push_str(&self.name)
        } else {
            push_quoted(&mut text, &self.name)
        }
        text.push_str(self.op.as_str());
        push_quoted(&mut text, &self.value);
        text
    }
}

/// The scope as matchers, one a dimension, each proven by reading it back.
///
/// # Errors
/// `defect` if one does not read back.
pub fn scope(matchers: &ScopeMatchers) -> Result<Vec<ScopedText>, QueryError> {
    matchers.iter().map(|matcher| scope_one(matcher, matchers)).collect()
}

fn scope_one(matcher: &ScopeMatcher, scope: &ScopeMatchers) -> Result<ScopedText, QueryError> {
    let (op, value) = match matcher.values.single() {
        Some(value) => (MatchOp::Equal, value.as_str().to_owned()),
        None => {
            let mut pattern = String::new();
            push_pattern(&mut pattern, matcher);
            (MatchOp::Regex, pattern)
        }
    };
    let filter = Filter { name: matcher.label.as_ref().to_owned(), op, value };
    let text = filter.text();
    let again = Filter::read(&text).ok().filter(|again| again.says(matcher));
    if !is_identifier(&matcher.label) || again.is_none() {
        return Err(QueryError::defect("a matcher of the scope does not read back"));
    }
    let span = Span::new(0, text.len());
    Ok(ScopedText::proven(text, 1, vec![span], scope))
}

/// Without the spaces around it. Those beyond ASCII are left: the two parsers differ on them.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\u{c}'])
}

fn name(text: &str) -> Result<(String, &str), BadFilter> {
    if text.starts_with('"') {
        let (quoted, rest) = split_quoted(text).ok_or(BadFilter::Escape)?;
        let name = unescaped(quoted)?;
        return if name.is_empty() { Err(BadFilter::Shape) } else { Ok((name, rest)) };
    }
    // Without quotes, the newer parser takes all that is not reserved, and the older one identifiers: what is none
    // is an error there, and no other name.
    let (name, rest) = text.split_at(text.find(is_reserved).unwrap_or(text.len()));
    if name.is_empty() { Err(BadFilter::Shape) } else { Ok((name.to_owned(), rest)) }
}

/// `isReserved` in `matcher/parse/token.go`, and control characters, which no name and few values have.
fn is_reserved(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "{}!=~,\\\"'`".contains(c)
}

fn operator(text: &str) -> Option<(MatchOp, &str)> {
    [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)]
        .into_iter()
        .find_map(|(spelling, op)| Some((op, text.strip_prefix(spelling)?)))
}

fn value(text: &str) -> Result<String, BadFilter> {
    if text.starts_with('"') {
        let (quoted, rest) = split_quoted(text).ok_or(BadFilter::Escape)?;
        return if rest.is_empty() { unescaped(quoted) } else { Err(BadFilter::Escape) };
    }
    if text.contains(is_reserved) { Err(BadFilter::Unquoted) } else { Ok(text.to_owned()) }
}

/// The text between the quotes that `text` starts with, and what comes after them.
fn split_quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let (quoted, rest) = inner.split_at(end);
    Some((quoted, rest.strip_prefix('"')?))
}

/// What `quoted` stands for. The older parser knows `\n`, `\"` and `\\` and takes any other backslash
/// for itself; the newer one reads Go's escapes and refuses all others. Where Go knows more, they differ.
fn unescaped(quoted: &str) -> Result<String, BadFilter> {
    let mut value = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        // The newer parser takes no line feed in quotes.
        if c == '\n' {
            return Err(BadFilter::Escape);
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => value.push('\n'),
            Some(same @ ('"' | '\\')) => value.push(same),
            Some('a' | 'b' | 'f' | 'r' | 't' | 'v' | 'x' | 'u' | 'U' | '0'..='7' | '\n') | None => {
                return Err(BadFilter::Escape);
            }
            Some(other) => value.extend(['\\', other]),
        }
    }
    Ok(value)
}

/// As [`quote::push_quoted`], with a line feed as `\n`.
fn push_quoted(out: &mut String, value: &str) {
    let mut quoted = String::with_capacity(value.len() + 2);
    quote::push_quoted(&mut quoted, value);
    out.push_str(&quoted.replace('\n', "\\n"));
}

/// A name that the older parser takes, which it does without quotes only (`re` in `pkg/labels/parse.go`).
fn is_classic(name: &str) -> bool {
    is_identifier(&name.replace(':', "_"))
}

fn is_identifier(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tenant::{Scope, ScopeValue, Values};

    fn rewritten(text: &str) -> Result<String, BadFilter> {
        Filter::read(text).map(|f| f.text())
    }

    #[test]
    fn a_matcher_is_written_anew() {
        for (text, expected) in [
            (r#"alertname="HighErrorRate""#, r#"alertname="HighErrorRate""#),
            ("alertname=HighErrorRate", r#"alertname="HighErrorRate""#),
            (" severity =~ \"page|ticket\" ", r#"severity=~"page|ticket""#),
            ("severity!~page|.*", r#"severity!~"page|.*""#),
            ("severity!=", r#"severity!="""#),
            (r#"severity="""#, r#"severity="""#),
            (r#"instance=~"10\.0\.0\..*""#, r#"instance=~"10\\.0\\.0\\..*""#),
            (r#"a="b\"c\\d\ne""#, r#"a="b\"c\\d\ne""#),
            (r#""service.name"="x""#, r#""service.name"="x""#),
            (r#""plain"="x""#, r#"plain="x""#),
            ("a=ü", r#"a="ü""#),
            (r#"host.name="mine""#, r#""host.name"="mine""#),
            ("foo🙂=bar", r#""foo🙂"="bar""#),
            ("9x =~ b.*", r#""9x"=~"b.*""#),
            ("a:b!=c", r#"a:b!="c""#),
            (r#""a:b"="c""#, r#"a:b="c""#),
            ("ü\t=1", r#""ü"="1""#),
        ] {
            assert_eq!(rewritten(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(Filter::read(expected), Filter::read(text), "{text}");
        }
    }

    /// Neither a second matcher nor another reading gets through (ATK-53).
    #[test]
    fn atk_53_what_two_parsers_read_differently_is_refused() {
        for text in [
            "",
            "a",
            "=b",
            "{a=b}",
            "a=b,",
            "a=b,c=d",
            r#"a="b",tenant="victim""#,
            r#"a="b" tenant="victim""#,
            "a=b c",
            "a=b\\",
            "a='b'",
            "a==b",
            "a=\"b",
            "a=b\"",
            "a=\"b\"\"",
            r#"a="\t""#,
            r#"a="\x41""#,
            r#"a="\u0041""#,
            r#"a=~"\bword\b""#,
            "a=\"b\nc\"",
            "a=\u{a0}b",
            "\"\"=b",
            "=b",
            "a~b=c",
            "a b=c",
            "ü\u{a0}=b",
        ] {
            assert!(rewritten(text).is_err(), "{text}");
        }
    }

    fn scoped(dimensions: &[(&str, &[&str])]) -> Vec<String> {
        let values = |texts: &[&str]| {
            Values::new(texts.iter().map(|t| ScopeValue::parse(t).unwrap()).collect()).unwrap()
        };
        let dimensions = dimensions.iter().map(|(d, texts)| ((*d).to_owned(), values(texts)));
        let matchers = Scope::new(dimensions.collect()).unwrap().in_labels(|_| Some("tenant")).unwrap();
        scope(&matchers).unwrap().into_iter().map(ScopedText::into_string).collect()
    }

    #[test]
    fn the_scope_is_one_matcher_a_dimension() {
        assert_eq!(scoped(&[("tenant", &["acme-books"])]), [r#"tenant="acme-books""#]);
        assert_eq!(scoped(&[("tenant", &["press.one", "a"])]), [r#"tenant=~"a|press\\.one""#]);
        assert_eq!(scoped(&[("region", &["eu"]), ("tenant", &["a"])]).len(), 2);
    }

    #[test]
    fn a_label_that_is_no_identifier_is_a_defect() {
        let values = Values::new(vec![ScopeValue::parse("a").unwrap()]).unwrap();
        let all = Scope::new([("tenant".to_owned(), values)].into()).unwrap();
        assert!(scope(&all.in_labels(|_| Some("ten ant")).unwrap()).is_err());
    }
}
