//! A second look at a scoped text that shares no code with the reader.
//!
//! It knows strings, braces and brackets, and the one word `absent_over_time`. The text is ours: there
//! is no comment in it, so anything that could begin one is a failure, as is all else that this scanner
//! does not know.

use crate::lang::core::after_matcher;
use crate::tenant::{Salt, ScopeMatcher, ScopeMatchers};

/// What a selector begins with that reads nothing, whatever follows.
const NOTHING: &str = r#"__nothing__=~".+",__nothing__!~".+","#;

/// What stands before the salt.
const SALT: &str = "__salt__!=\"";

/// How many stream selectors `text` has, if each carries `scope` and its salt directly after the brace. Within `absent_over_time` a dimension may instead be carried by an equality with one of its
/// values, and a selector may instead read nothing. `None` if one does not, or if the text is not understood.
pub(super) fn scoped_selectors(text: &str, scope: &ScopeMatchers) -> Option<usize> {
    let salt = scope.salt();
    let carried = (scope, salt.as_ref().map(Salt::as_str));
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0 };
    let mut selectors = 0;
    // The last word, as long as nothing but parentheses and spaces stands after it.
    let mut word = "";
    while let Some(&byte) = scanner.bytes.get(scanner.at) {
        match byte {
            b'{' => {
                scanner.selector(word.eq_ignore_ascii_case("absent_over_time"), carried)?;
                selectors += 1;
                word = "";
            }
            b'"' | b'`' => {
                scanner.string(byte)?;
                word = "";
            }
            b'[' => {
                scanner.range()?;
                word = "";
            }
            b'#' | b'\'' | b'}' | b']' | b'\\' | 0..=31 | 127.. if !scanner.micro() => return None,
            b'/' if matches!(scanner.bytes.get(scanner.at + 1), Some(b'/' | b'*')) => return None,
            b'(' | b' ' => scanner.at += 1,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => word = scanner.word(),
            _ => {
                scanner.at += 1;
                word = "";
            }
        }
    }
    Some(selectors)
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Takes a selector, which must carry the scope and its salt.
    fn selector(&mut self, absent: bool, (scope, salt): (&ScopeMatchers, Option<&str>)) -> Option<()> {
        let mut rest = self.text.get(self.at + 1..)?;
        let nothing = rest.strip_prefix(NOTHING).filter(|_| absent);
        rest = nothing.unwrap_or(rest);
        let mut missing = Vec::new();
        for matcher in scope.iter().filter(|_| nothing.is_none()) {
            match after_matcher(rest, matcher, absent).and_then(after_comma) {
                Some(after) => rest = after,
                None if absent => missing.push(matcher),
                None => return None,
            }
        }
        if let Some(salt) = salt {
            let after = rest.strip_prefix(SALT)?.strip_prefix(salt)?.strip_prefix('"')?;
            rest = after_comma(after)?;
        }
        self.at = self.text.len() - rest.len();
        let mut item = self.at;
        loop {
            match *self.bytes.get(self.at)? {
                b'}' => break,
                quote @ (b'"' | b'`') => {
                    let from = self.at;
                    self.string(quote)?;
                    let (name, value) = (self.text.get(item..from)?, self.text.get(from + 1..self.at - 1)?);
                    missing.retain(|matcher| !equals_one(name, value, matcher));
                }
                b',' => {
                    self.at += 1;
                    item = self.at;
                }
                b'{' | b'(' | b')' | b'[' | b']' | b'|' | b'#' | b'/' | b'\'' | b'\\' | 127.. => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        missing.is_empty().then_some(())
    }

    /// Takes a string literal that begins here.
    fn string(&mut self, quote: u8) -> Option<()> {
        self.at += 1;
        loop {
            match *self.bytes.get(self.at)? {
                b'\\' if quote == b'"' => self.at += 2,
                byte => {
                    self.at += 1;
                    if byte == quote {
                        return Some(());
                    }
                }
            }
        }
    }

    /// Takes `[…]`, in which a duration stands and nothing else.
    fn range(&mut self) -> Option<()> {
        self.at += 1;
        while self.bytes.get(self.at)?.is_ascii_alphanumeric() {
            self.at += 1;
        }
        (*self.bytes.get(self.at)? == b']').then(|| self.at += 1)
    }

    fn word(&mut self) -> &'a str {
        let from = self.at;
        while self.bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            self.at += 1;
        }
        self.text.get(from..self.at).unwrap_or("")
    }

    /// Whether `µ` of a duration stands here, the one character beyond ASCII outside strings.
    fn micro(&self) -> bool {
        let micro = [0xc2, 0xb5];
        self.bytes.get(self.at..self.at + 2) == Some(&micro)
            || self.at.checked_sub(1).and_then(|from| self.bytes.get(from..from + 2)) == Some(&micro)
    }
}

/// What follows a matcher: `text` without the comma between it and the next.
fn after_comma(text: &str) -> Option<&str> {
    text.strip_prefix(',').or_else(|| text.starts_with('}').then_some(text))
}

/// Whether `name` and the literal's inside `value` say that the label is one of the matcher's values.
fn equals_one(name: &str, value: &str, matcher: &ScopeMatcher) -> bool {
    let label = name.trim_end_matches(' ').strip_suffix('=').map(|l| l.trim_matches(' '));
    label == Some(&*matcher.label) && matcher.values.contains(value)
}

#[cfg(test)]
mod tests;
