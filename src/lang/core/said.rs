//! What a scope's values look like in a text that is read again.
//!
//! The proofs compare with this, and the writers with nothing of it: [`super::quote`] escapes, and here escapes are
//! read. A mistake in one of the two is a difference, and the text is refused.

use crate::tenant::{ScopeMatcher, Values};

/// Whether `pattern` is the values in order, joined by `|`, with each dot escaped and nothing else in it.
pub(crate) fn is_pattern(pattern: &[u8], values: &Values) -> bool {
    let pattern = std::str::from_utf8(pattern).ok();
    pattern.and_then(|pattern| after_values(pattern, values, r"\.")) == Some("")
}

/// What follows the values that `text` begins with, joined by `|`. Of a value's bytes the dot alone is written otherwise,
/// as `dot`.
fn after_values<'t>(text: &'t str, values: &Values, dot: &str) -> Option<&'t str> {
    let mut rest = text;
    for (index, value) in values.iter().enumerate() {
        rest = if index > 0 { rest.strip_prefix('|')? } else { rest };
        let value = value.as_str();
        if !value.contains('.') {
            rest = rest.strip_prefix(value)?;
            continue;
        }
        let mut parts = value.split('.');
        rest = rest.strip_prefix(parts.next()?)?;
        for part in parts {
            rest = rest.strip_prefix(dot)?.strip_prefix(part)?;
        }
    }
    Some(rest)
}

/// What follows the matcher of a scope that `text` begins with: `label="value"`, or `label=~"value|value"` where there
/// are several values or a `pattern` is wanted. `None` for anything else. For scanners, which know bytes and no
/// tokens.
pub(in crate::lang) fn after_matcher<'t>(
    text: &'t str,
    matcher: &ScopeMatcher,
    pattern: bool,
) -> Option<&'t str> {
    let rest = text.strip_prefix(&*matcher.label)?;
    let rest = match matcher.values.single().filter(|_| !pattern) {
        Some(value) => rest.strip_prefix("=\"")?.strip_prefix(value.as_str())?,
        None => after_values(rest.strip_prefix("=~\"")?, &matcher.values, r"\\.")?,
    };
    rest.strip_prefix('"')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::lang::corpus_tests::matchers;

    #[test]
    fn the_values_and_nothing_else_are_their_pattern() {
        let scope = matchers("tenant=a.b,c,d-e");
        let values = &scope.iter().next().unwrap().values;
        assert!(is_pattern(br"a\.b|c|d-e", values));
        for other in [
            r"a.b|c|d-e",
            r"a\.b|c",
            r"a\.b|c|d-e|f",
            r"c|a\.b|d-e",
            r"a\.b|c|d\-e",
            r"a\\.b|c|d-e",
            "a.*",
            "",
        ] {
            assert!(!is_pattern(other.as_bytes(), values), "{other}");
        }
    }
}
