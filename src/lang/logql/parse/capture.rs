//! What `regexp` and `pattern` capture: Loki refuses those that capture nothing.

use super::{At, Output, string};
use crate::lang::QueryError;
use crate::lang::logql::tree::Text;

/// The pattern of `| regexp`: RE2, with a named group at least (`NewRegexpParser` in `pkg/logql/log`).
/// That a group is named where it seems to be is left to Loki.
pub(super) fn regexp<'a>(at: &mut At<'_>, out: &Output<'a>) -> Result<Text<'a>, QueryError> {
    let span = at.here();
    let pattern = super::pattern(at, out)?;
    let named = |group: &[u8]| pattern.windows(group.len()).any(|found| found == group);
    if !named(b"(?P<") && !named(b"(?<") {
        return Err(QueryError::syntax(span, "at least one named capture must be supplied"));
    }
    Ok(pattern)
}

/// The expression of `| pattern`.
pub(super) fn pattern<'a>(at: &mut At<'_>, out: &Output<'a>) -> Result<Text<'a>, QueryError> {
    let span = at.here();
    let pattern = string(at, out)?;
    match wrong_pattern(&pattern) {
        Some(problem) => Err(QueryError::syntax(span, problem)),
        None => Ok(pattern),
    }
}

/// What Loki refuses of a pattern expression (`pkg/logql/log/pattern`, `lexer.rl` and `expr.validate`).
fn wrong_pattern(pattern: &[u8]) -> Option<&'static str> {
    if std::str::from_utf8(pattern).is_err() {
        return Some("a pattern must be UTF-8");
    }
    let mut names = Vec::new();
    let mut rest = pattern;
    let mut beside = false;
    while let Some((_, after)) = rest.split_first() {
        let Some((name, following)) = capture(rest) else {
            beside = false;
            rest = after;
            continue;
        };
        if beside {
            return Some("two captures must not stand side by side");
        }
        if name != b"_" {
            names.push(name);
        }
        beside = true;
        rest = following;
    }
    if names.is_empty() {
        return Some("at least one capture is required");
    }
    names.sort_unstable();
    (!names.is_sorted_by(|a, b| a < b)).then_some("a capture is named twice")
}

/// `<name>` at the start of `text`: the name, and what follows.
fn capture(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.strip_prefix(b"<")?;
    let end = inside.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_'))?;
    let (name, after) = inside.split_at_checked(end)?;
    let first = name.first().is_some_and(|b| !b.is_ascii_digit());
    after.strip_prefix(b">").filter(|_| first).map(|after| (name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_capture() {
        for good in
            ["<a>", "<_> <a> <_>", "<<a>>", "<a> <b>", "<1> <a>", "<a b> <a>", "<_a>", "é<a>\n<", "<a><"]
        {
            assert_eq!(wrong_pattern(good.as_bytes()), None, "{good}");
        }
    }

    #[test]
    fn patterns_that_loki_refuses() {
        for bad in ["", "a", "<_>", "<a><b>", "<_><a>", "<a> <a>", "<1>", "< a>", "<a"] {
            assert!(wrong_pattern(bad.as_bytes()).is_some(), "{bad}");
        }
        assert!(wrong_pattern(b"<a>\xff").is_some());
    }

    #[test]
    fn time_is_linear() {
        let start = std::time::Instant::now();
        assert!(wrong_pattern("<a".repeat(60_000).as_bytes()).is_some());
        let many: String = (0..8_000).map(|i| format!("<a{i}> ")).collect();
        assert_eq!(wrong_pattern(many.as_bytes()), None);
        assert!(start.elapsed().as_secs() < 20);
    }
}
