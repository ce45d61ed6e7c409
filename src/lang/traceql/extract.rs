//! A second reader of hints, for their proof only: picks conditions as Tempo's pattern does. It shares no code
//! with the first.
//!
//! `singleFilterRegexp` and `matchersRegexp` of `pkg/traceql/extractmatcher.go`, for visible ASCII and spaces.
//! Go's `regexp` takes the leftmost match, and of several ways there the first.

/// The conditions that are picked from `text`; `None` if it is taken for no single filter, and so for no hint,
/// or has other characters.
pub(super) fn conditions(text: &str) -> Option<Vec<&str>> {
    if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) || !is_single_filter(text) {
        return None;
    }
    let mut picked = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let name = rest.bytes().take_while(|b| is_name_byte(*b)).count();
        match rest.get(name..).filter(|_| name > 0).and_then(comparison) {
            Some(length) => {
                picked.push(rest.get(..name + length)?.trim());
                at += name + length;
            }
            None => at += name.max(1),
        }
    }
    Some(picked)
}

/// What a plain name in a hint consists of.
pub(super) fn is_plain_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// `^(\{[^|{}]*[^|{}]}?|\{[^|{}]*=~[^{}]*})$`, with the brace at the end.
fn is_single_filter(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) else { return false };
    if inner.is_empty() || inner.contains(['{', '}']) {
        return false;
    }
    match inner.split_once('|') {
        None => true,
        // A bar stands behind a pattern's operator.
        Some((before, _)) => before.contains("=~"),
    }
}

/// `[\p{L}\p{N}._\-:" ]`
fn is_name_byte(byte: u8) -> bool {
    is_plain_name(byte) || matches!(byte, b':' | b'"' | b' ')
}

/// The length of operator and value at the start of `text`.
fn comparison(text: &str) -> Option<usize> {
    const OPERATORS: [&str; 8] = ["=", "<=", ">=", "=~", "!=", ">", "<", "!~"];
    OPERATORS.iter().filter(|op| text.starts_with(**op)).find_map(|op| {
        let after = text.get(op.len()..)?;
        let spaces = after.bytes().take_while(|b| *b == b' ').count();
        Some(op.len() + spaces + value(after.get(spaces..)?)?)
    })
}

/// The length of the value at the start of `text`.
fn value(text: &str) -> Option<usize> {
    let run = |takes: fn(&u8) -> bool| Some(text.bytes().take_while(takes).count()).filter(|n| *n > 0);
    if let Some(quoted) = text.strip_prefix('"') {
        // Up to the last quote before a space, over at least one character.
        let visible = quoted.bytes().take_while(u8::is_ascii_graphic).count();
        let last = quoted.get(..visible)?.rfind('"').filter(|last| *last > 0)?;
        return Some(last + 2);
    }
    for keyword in ["true", "false"] {
        if text.starts_with(keyword) {
            return Some(keyword.len());
        }
    }
    run(u8::is_ascii_lowercase).or_else(|| run(|b| matches!(b, b'0'..=b'9' | b's' | b'm' | b'h')))
}

#[cfg(test)]
mod tests {
    use super::conditions;

    #[test]
    fn conditions_are_picked_as_the_pattern_does() {
        for (text, picked) in [
            (r#"{ resource.a = "b" }"#, Some(&[r#"resource.a = "b""#][..])),
            (r#"{resource.a="b"&&name=~"c|d"}"#, Some(&[r#"resource.a="b"&&name=~"c|d""#])),
            (
                r#"{ a.b = "c" && name =~ "c|d" && x >= 5 }"#,
                Some(&[r#"a.b = "c""#, r#"name =~ "c|d""#, "x >= 5"]),
            ),
            ("{ status = error && duration > 1m30s }", Some(&["status = error", "duration > 1m30s"])),
            // A space ends a string, and what is in it is picked.
            (r#"{ a = "b c=1 d" }"#, Some(&["\"b c=1"])),
            ("{ x > 1.5 }", Some(&["x > 1"])),
            ("{ x = true }", Some(&["x = true"])),
            (r#"{ x = "" }"#, Some(&[])),
            ("{ x != nil }", Some(&["x != nil"])),
            (r#"{ a = "b|c" }"#, None),
            ("{ a = 1 || b = 2 }", None),
            ("{ a = 1 } | rate()", None),
            ("{}", None),
            ("{ a = 1", None),
            ("{ ä = 1 }", None),
            ("{ a = 1 && { b = 2 } }", None),
        ] {
            assert_eq!(conditions(text).as_deref(), picked, "{text}");
        }
    }
}
