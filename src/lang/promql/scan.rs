//! The proof by a second reader, which shares nothing with the first.
//!
//! It knows strings, braces, parentheses and words, and no grammar. Every opening brace must be
//! followed by the scope, byte for byte; a word that stands alone must be one that is no metric.

use crate::tenant::{ScopeMatcher, ScopeMatchers};

/// Words that may stand with neither `{` nor `(` after them.
const BARE: [&str; 16] = [
    "and",
    "or",
    "unless",
    "atan2",
    "offset",
    "anchored",
    "smoothed",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "inf",
    "nan",
];

/// Words whose parentheses hold labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Finds every selector of `scoped` and requires `scope` in it; there must be `selectors` of them.
///
/// # Errors
/// What is wrong, without naming the scope.
pub(super) fn scan(scoped: &str, selectors: usize, scope: &ScopeMatchers) -> Result<(), &'static str> {
    let mut rest = scoped;
    let mut found = 0;
    let mut word = ""; // the word directly before, over spaces
    let mut absent = vec![false]; // for each open parenthesis: only `absent(` stands around
    let mut opened = false; // a parenthesis was opened directly before
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        let (next_word, next_opened) = match first {
            ' ' => {
                rest = after;
                continue;
            }
            '"' | '\'' | '`' => {
                rest = after_string(rest).ok_or("a string does not end")?;
                ("", false)
            }
            '{' => {
                found += 1;
                let inside = absent.last() == Some(&true);
                rest = selector(after, scope, inside).ok_or("a selector lacks the scope")?;
                ("", false)
            }
            '(' if LISTS.iter().any(|list| word.eq_ignore_ascii_case(list)) => {
                rest = after_list(after).ok_or("a list does not end")?;
                ("", false)
            }
            '(' => {
                let direct = opened && word.is_empty() && absent.last() == Some(&true);
                absent.push(direct || matches!(word, "absent" | "absent_over_time"));
                rest = after;
                ("", true)
            }
            ')' => {
                absent.pop();
                rest = after;
                ("", false)
            }
            _ if is_word(first) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let (this, after) = rest.split_at(end);
                if !may_stand(this, after.trim_start_matches(' ')) {
                    return Err("a metric without braces");
                }
                rest = after;
                (this, false)
            }
            _ if first.is_ascii_graphic() && !"#}\\".contains(first) => {
                rest = after;
                ("", false)
            }
            _ => return Err("a character that no scoped text has"),
        };
        (word, opened) = (next_word, next_opened);
    }
    if found == selectors { Ok(()) } else { Err("another number of selectors") }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')
}

/// Whether `word` may stand before `after`.
fn may_stand(word: &str, after: &str) -> bool {
    // The colon of a subquery sticks to what follows it.
    let number = match word.strip_prefix(':').unwrap_or(word).chars().next() {
        Some(first) => first.is_ascii_digit() || first == '.',
        None => true,
    };
    let grouped =
        || ["by", "without"].iter().any(|w| after.get(..w.len()).is_some_and(|a| a.eq_ignore_ascii_case(w)));
    number
        || after.starts_with(['(', '{'])
        || BARE.iter().any(|bare| word.eq_ignore_ascii_case(bare))
        || grouped()
}

/// What follows the string that `text` begins with.
fn after_string(text: &str) -> Option<&str> {
    let quote = text.chars().next()?;
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        if c == quote {
            return text.get(at + 1..);
        }
        if c == '\\' && quote != '`' {
            characters.next();
        }
    }
    None
}

/// What follows the list of labels whose parenthesis was just opened.
fn after_list(mut text: &str) -> Option<&str> {
    loop {
        match text.chars().next()? {
            ')' => return text.get(1..),
            '"' | '\'' | '`' => text = after_string(text)?,
            c => text = text.get(c.len_utf8()..)?,
        }
    }
}

/// What follows the selector whose brace was just opened, if it carries `scope`.
fn selector<'t>(text: &'t str, scope: &ScopeMatchers, absent: bool) -> Option<&'t str> {
    let mut rest = text;
    let mut own = Vec::new();
    for matcher in scope.iter() {
        let written = after_matcher(rest, matcher, false);
        match written.or_else(|| after_matcher(rest, matcher, true).filter(|_| absent)) {
            Some(after) => rest = after.strip_prefix(',').unwrap_or(after),
            None if absent => own.push(matcher),
            None => return None,
        }
    }
    // The caller's matchers, up to the brace; each `label="value"` among them ticks one off.
    let mut start = rest;
    loop {
        let separator = matches!(rest.chars().next()?, ',' | '}');
        if separator {
            let matcher = start.get(..start.len() - rest.len())?;
            own.retain(|expected| !is_own(matcher, expected));
        }
        match rest.chars().next()? {
            '}' => return rest.get(1..).filter(|_| own.is_empty()),
            ',' => {
                rest = rest.get(1..)?;
                start = rest;
            }
            '"' | '\'' | '`' => rest = after_string(rest)?,
            '{' => return None,
            c => rest = rest.get(c.len_utf8()..)?,
        }
    }
}

/// What follows `matcher` as it is written for a scope, if `text` begins with it and it ends there.
fn after_matcher<'t>(text: &'t str, matcher: &ScopeMatcher, pattern: bool) -> Option<&'t str> {
    let mut rest = text.strip_prefix(&*matcher.label)?;
    if matcher.values.len() == 1 && !pattern {
        rest = rest.strip_prefix("=\"")?.strip_prefix(matcher.values.single()?.as_str())?;
    } else {
        rest = rest.strip_prefix("=~\"")?;
        for (index, value) in matcher.values.iter().enumerate() {
            rest = if index > 0 { rest.strip_prefix('|')? } else { rest };
            for (index, part) in value.as_str().split('.').enumerate() {
                rest = if index > 0 { rest.strip_prefix(r"\\.")? } else { rest };
                rest = rest.strip_prefix(part)?;
            }
        }
    }
    rest.strip_prefix('"').filter(|rest| rest.starts_with([',', '}']))
}

/// Whether `text` is `label="value"` with a value of `matcher`.
fn is_own(text: &str, matcher: &ScopeMatcher) -> bool {
    let value = text.trim_matches(' ').strip_prefix(&*matcher.label).and_then(|rest| {
        rest.trim_start_matches(' ')
            .strip_prefix('=')?
            .trim_start_matches(' ')
            .strip_prefix('"')?
            .strip_suffix('"')
    });
    value.is_some_and(|value| matcher.values.contains(value))
}
