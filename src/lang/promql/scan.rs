//! The proof by a second reader, which shares nothing with the first.
//!
//! It knows strings, braces and words, and no grammar. Every opening brace must be followed by the
//! scope, byte for byte; a word that stands alone must be one that is no metric.

use crate::lang::core::after_matcher;
use crate::tenant::{ScopeMatcher, ScopeMatchers};

/// Words whose parentheses hold labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Other words that may stand with neither `{` nor `(` after them.
const BARE: [&str; 10] =
    ["and", "or", "unless", "atan2", "offset", "anchored", "smoothed", "bool", "inf", "nan"];

/// Finds every selector of `scoped` and requires `scope` in it; there must be `selectors` of them.
///
/// # Errors
/// What is wrong, without naming the scope.
pub(super) fn scan(scoped: &str, selectors: usize, scope: &ScopeMatchers) -> Result<(), &'static str> {
    let mut rest = scoped;
    let (mut found, mut in_list) = (0, false);
    // By bytes: beyond ASCII nothing stands outside strings.
    while let Some(&first) = rest.as_bytes().first() {
        let after = rest.get(1..).unwrap_or_default();
        rest = match first {
            b'"' | b'\'' | b'`' => after_string(rest).ok_or("a string does not end")?,
            b'{' => {
                found += 1;
                let before = scoped.get(..scoped.len() - rest.len()).unwrap_or_default();
                selector(after, scope, in_absent(before)).ok_or("a selector lacks the scope")?
            }
            _ if is_word(first) => {
                // Only a number has a dot: `offset.5` is two words.
                let dots = first.is_ascii_digit() || first == b'.';
                let end = rest.bytes().position(|b| !is_word(b) || b == b'.' && !dots);
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                let next = after.trim_start_matches(' ');
                if !in_list && !may_stand(word, next) {
                    return Err("a metric without braces");
                }
                in_list |= next.starts_with('(') && is_one_of(word, &LISTS);
                after
            }
            b')' => {
                in_list = false;
                after
            }
            b' '..=b'~' if !matches!(first, b'#' | b'}' | b'\\') => after,
            _ => return Err("a character that no scoped text has"),
        };
    }
    if found == selectors { Ok(()) } else { Err("another number of selectors") }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.')
}

fn is_in_word(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_word)
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// Whether `word` may stand before `next`: as a number, a name that something opens after, a keyword,
/// or an aggregation with its labels first. The colon of a subquery sticks to what follows it.
fn may_stand(word: &str, next: &str) -> bool {
    let first = word.strip_prefix(':').unwrap_or(word).chars().next();
    let next_word = next.split(|c| !is_in_word(c)).next().unwrap_or_default();
    first.is_none_or(|c| c.is_ascii_digit() || c == '.')
        || next.starts_with(['(', '{'])
        || is_one_of(word, &BARE)
        || is_one_of(word, &LISTS)
        || is_one_of(next_word, &["by", "without"])
}

/// Whether the selector whose brace follows `before` is all that `absent(` holds up to there.
fn in_absent(before: &str) -> bool {
    let unnamed = before.trim_end_matches(' ').trim_end_matches(is_in_word);
    let called = unnamed.trim_end_matches([' ', '(']);
    let function = called.get(called.trim_end_matches(is_in_word).len()..);
    unnamed.get(called.len()..).is_some_and(|between| between.contains('('))
        && matches!(function, Some("absent" | "absent_over_time"))
}

/// What follows the string that `text` begins with.
fn after_string(text: &str) -> Option<&str> {
    let mut bytes = text.bytes().enumerate();
    let (_, quote) = bytes.next()?;
    while let Some((at, byte)) = bytes.next() {
        if byte == quote {
            return text.get(at + 1..);
        }
        if byte == b'\\' && quote != b'`' {
            bytes.next();
        }
    }
    None
}

/// What a selector begins with that reads nothing, whatever follows.
const NOTHING: &str = "__nothing__=~\".+\",__nothing__!~\".+\",";

/// What follows the selector whose brace was just opened, if it carries `scope`. In `absent` one
/// value is a pattern, `label="value"` of the caller's own stands for ours, and a selector may read nothing instead.
fn selector<'t>(text: &'t str, scope: &ScopeMatchers, absent: bool) -> Option<&'t str> {
    let nothing = text.strip_prefix(NOTHING).filter(|_| absent);
    let mut rest = nothing.unwrap_or(text);
    let mut missing: Vec<&ScopeMatcher> = Vec::new();
    for matcher in scope.iter().filter(|_| nothing.is_none()) {
        let written = after(rest, matcher, false);
        match written.or_else(|| after(rest, matcher, true).filter(|_| absent)) {
            Some(after) => rest = after.strip_prefix(',').unwrap_or(after),
            None if absent => missing.push(matcher),
            None => return None,
        }
    }
    let mut start = rest;
    loop {
        let &first = rest.as_bytes().first()?;
        let after = rest.get(1..)?;
        if matches!(first, b',' | b'}') {
            let own = start.get(..start.len() - rest.len())?;
            missing.retain(|matcher| !is_own(own, matcher));
            start = after;
        }
        rest = match first {
            b'}' => return Some(after).filter(|_| missing.is_empty()),
            b'{' => return None,
            b'"' | b'\'' | b'`' => after_string(rest)?,
            _ => after,
        };
    }
}

/// What follows `matcher` as it is written for a scope, if `text` begins with it and it ends there.
fn after<'t>(text: &'t str, matcher: &ScopeMatcher, pattern: bool) -> Option<&'t str> {
    after_matcher(text, matcher, pattern).filter(|rest| rest.trim_start_matches(' ').starts_with([',', '}']))
}

/// Whether `text` is `label="value"`, in any quotes, with a value of `matcher`.
fn is_own(text: &str, matcher: &ScopeMatcher) -> bool {
    let after = text.trim_matches(' ').strip_prefix(&*matcher.label).map(|rest| rest.trim_start_matches(' '));
    let value = after.and_then(|rest| rest.strip_prefix('=')).map(|rest| rest.trim_start_matches(' '));
    let inside = |quote| value?.strip_prefix(quote)?.strip_suffix(quote);
    ['"', '\'', '`'].into_iter().find_map(inside).is_some_and(|value| matcher.values.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::corpus_tests::matchers;

    #[test]
    fn what_carries_the_scope_passes() {
        for (selectors, scoped) in [
            (1, r#"up{tenant="a"}"#),
            (
                2,
                r#"sum by (x, "y") (up{tenant="a",b="}"} offset 5m) > bool on(z) {tenant="a", c='d'}[5m:1m]"#,
            ),
            (1, r#"absent((x{tenant=~"a"}))"#),
            (1, r#"absent_over_time(x {b="c", tenant = "a" }[5m])"#),
            (1, r#"absent(x{b="c",tenant='a'})"#),
            (1, r#"absent(x{tenant=`a`})"#),
            (1, r#"absent(x{__nothing__=~".+",__nothing__!~".+",tenant="b"})"#),
            (0, "vector(1e+5 + 0x1F) or inf"),
            (1, r#"or{tenant="a"} @ end()"#),
        ] {
            assert_eq!(scan(scoped, selectors, &matchers("tenant=a")), Ok(()), "{scoped}");
        }
        assert_eq!(scan(r#"x{tenant=~"a\\.b|c"}"#, 1, &matchers("tenant=a.b,c")), Ok(()));
    }

    #[test]
    fn what_does_not_is_found() {
        for scoped in [
            "up",
            "up{}",
            r#"up{tenant="b"}"#,
            r#"up{tenant="a" or b="c"}"#,
            r#"up{tenant!="a"}"#,
            r#"up{tenant=~"a"}"#,
            r#"up{tenant="a|b"}"#,
            r#"up{tenant="ab"}"#,
            r#"up{b="tenant=\"a\","}"#,
            r#"up{b="c",tenant="a"}"#,
            r#"up{ tenant="a"}"#,
            r#"up{xtenant="a"}"#,
            r#"absent(-x{tenant=~"a"})"#,
            r#"absent(x{tenant="b"})"#,
            r#"absent(x{tenant="a b"})"#,
            r#"absent(x{atenant="a"})"#,
            r#"x{__nothing__=~".+",__nothing__!~".+",tenant="b"}"#,
            r#"absent(x{__nothing__=~".+",__nothing__=~".+",tenant="b"})"#,
            r#"absent(x{tenant="a'})"#,
            r#"sum(x{tenant="a"}) + up"#,
            r#"{tenant="a"} # comment"#,
            r#"{tenant="a"} and {tenant="a"}"#,
            r#"{tenant="a",b="{"#,
            "é",
        ] {
            assert!(scan(scoped, 1, &matchers("tenant=a")).is_err(), "{scoped}");
        }
        for value in ["a.b", "axb", r"a\.b|c|d", "c", r"a\.b"] {
            let scoped = format!("x{{tenant=~\"{value}\"}}");
            assert!(scan(&scoped, 1, &matchers("tenant=a.b,c")).is_err(), "{scoped}");
        }
    }
}
