//! Character classes and escapes of RE2, as `parseClass`, `parseUnicodeClass` and `parseEscape` of Go's
//! `regexp/syntax` read them.

/// What an escape stands for.
pub(super) enum Escape {
    /// One character, by its number: an escape may also name a surrogate.
    Character(u32),
    /// A set of characters: `\d`, `\pL`.
    Class,
}

/// After `[`: what follows the character class. `None` if it is malformed.
pub(super) fn class(after: &str) -> Option<&str> {
    let mut rest = after.strip_prefix('^').unwrap_or(after);
    let mut first = true; // a first bracket is itself
    loop {
        if let Some(after) = rest.strip_prefix(']').filter(|_| !first) {
            return Some(after);
        }
        first = false;
        if let Some((name, after)) = rest.strip_prefix("[:").and_then(|named| named.split_once(":]")) {
            if !is_posix_class(name.strip_prefix('^').unwrap_or(name)) {
                return None;
            }
            rest = after;
            continue;
        }
        let (low, after) = member(rest)?;
        rest = after;
        let Escape::Character(low) = low else { continue };
        if let Some(after) = rest.strip_prefix('-').filter(|after| !after.starts_with(']')) {
            let (Escape::Character(high), after) = member(after)? else { return None };
            if high < low {
                return None;
            }
            rest = after;
        }
    }
}

/// A character or escape of a class.
fn member(text: &str) -> Option<(Escape, &str)> {
    if let Some(after) = text.strip_prefix('\\') {
        return escape(after);
    }
    let first = text.chars().next()?;
    Some((Escape::Character(u32::from(first)), text.get(first.len_utf8()..)?))
}

fn is_posix_class(name: &str) -> bool {
    matches!(
        name,
        "alnum"
            | "alpha"
            | "ascii"
            | "blank"
            | "cntrl"
            | "digit"
            | "graph"
            | "lower"
            | "print"
            | "punct"
            | "space"
            | "upper"
            | "word"
            | "xdigit"
    )
}

/// After `\`: an escape that may also stand in a class. `None` if there is no such.
pub(super) fn escape(after: &str) -> Option<(Escape, &str)> {
    let letter = after.chars().next()?;
    let rest = after.get(letter.len_utf8()..)?;
    let character = |c: char| Some((Escape::Character(u32::from(c)), rest));
    match letter {
        'd' | 's' | 'w' | 'D' | 'S' | 'W' => Some((Escape::Class, rest)),
        'p' | 'P' => Some((Escape::Class, unicode_class(rest)?)),
        'a' => character('\x07'),
        'f' => character('\x0c'),
        'n' => character('\n'),
        'r' => character('\r'),
        't' => character('\t'),
        'v' => character('\x0b'),
        'x' => hexadecimal(rest),
        // One octal digit other than zero would be a reference back, which RE2 has not.
        '1'..='7' if !rest.starts_with(|c| matches!(c, '0'..='7')) => None,
        '0'..='7' => {
            let digits = after.bytes().take(3).take_while(|b| matches!(b, b'0'..=b'7')).count();
            let (octal, rest) = after.split_at_checked(digits)?;
            Some((Escape::Character(u32::from_str_radix(octal, 8).ok()?), rest))
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => character(c),
        _ => None,
    }
}

/// After `\x`: two digits, or any number of them in braces.
fn hexadecimal(rest: &str) -> Option<(Escape, &str)> {
    let (digits, rest) = match rest.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => rest.split_at_checked(2)?,
    };
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let number = if significant.is_empty() { 0 } else { u32::from_str_radix(significant, 16).ok()? };
    (!digits.is_empty() && number <= u32::from(char::MAX)).then_some((Escape::Character(number), rest))
}

/// After `\p`: a category of one letter, or a name in braces. Which names there are is left to the
/// backend.
fn unicode_class(rest: &str) -> Option<&str> {
    if let Some(braced) = rest.strip_prefix('{') {
        let (name, after) = braced.split_once('}')?;
        let name = name.strip_prefix('^').unwrap_or(name);
        return (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            .then_some(after);
    }
    rest.strip_prefix(['C', 'L', 'M', 'N', 'P', 'S', 'Z'])
}
