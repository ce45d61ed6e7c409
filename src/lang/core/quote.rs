//! Go string literals: read, and written.
//!
//! Prometheus and Loki unquote with `prometheus/util/strutil.Unquote`, Tempo with Go's
//! `strconv.Unquote`. The two differ in what [`Dialect`] says.

use std::borrow::Cow;

/// Which of the two unquoting functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `prometheus/util/strutil.Unquote`: `'…'` is a string like `"…"`, and a raw string is taken as it
    /// stands.
    Prometheus,
    /// `strconv.Unquote`: a raw string loses its carriage returns. `'…'` is a character there and
    /// refused here, as no query language takes it.
    Go,
}

/// A literal that the backend would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed string literal")]
pub struct BadLiteral;

/// The bytes that `literal`, quotes included, stands for. They need not be UTF-8: `\xff` is one byte.
///
/// Borrows unless there is an escape. Linear.
///
/// # Errors
/// [`BadLiteral`] if there are no matching quotes around it, an escape is unknown or names no Unicode
/// scalar value (`\ud800`) or no byte (`\400`), or a line feed stands in a literal that is not raw.
pub fn unquote(literal: &str, dialect: Dialect) -> Result<Cow<'_, [u8]>, BadLiteral> {
    let quote = *literal.as_bytes().first().ok_or(BadLiteral)?;
    let rest = literal.as_bytes().get(1..).ok_or(BadLiteral)?;
    let (&last, inner) = rest.split_last().ok_or(BadLiteral)?;
    if last != quote {
        return Err(BadLiteral);
    }
    match (quote, dialect) {
        (b'`', _) => raw(inner, dialect),
        (b'"', _) | (b'\'', Dialect::Prometheus) => interpreted(inner, quote),
        _ => Err(BadLiteral),
    }
}

fn raw(inner: &[u8], dialect: Dialect) -> Result<Cow<'_, [u8]>, BadLiteral> {
    if inner.contains(&b'`') {
        return Err(BadLiteral);
    }
    if dialect == Dialect::Go && inner.contains(&b'\r') {
        return Ok(Cow::Owned(inner.iter().copied().filter(|&b| b != b'\r').collect()));
    }
    Ok(Cow::Borrowed(inner))
}

fn interpreted(inner: &[u8], quote: u8) -> Result<Cow<'_, [u8]>, BadLiteral> {
    let mut escapes = false;
    for &byte in inner {
        escapes |= byte == b'\\' || byte == quote;
        if byte == b'\n' {
            return Err(BadLiteral);
        }
    }
    if !escapes {
        return Ok(Cow::Borrowed(inner));
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match byte {
            b'\\' => escape(after, quote, &mut value)?,
            _ if byte == quote => return Err(BadLiteral),
            _ => {
                value.push(byte);
                after
            }
        };
    }
    Ok(Cow::Owned(value))
}

/// Decodes one escape, `after` its backslash, into `value`; gives what follows it.
fn escape<'a>(after: &'a [u8], quote: u8, value: &mut Vec<u8>) -> Result<&'a [u8], BadLiteral> {
    let (&letter, rest) = after.split_first().ok_or(BadLiteral)?;
    let byte = match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' => b'\\',
        _ if letter == quote => quote,
        b'x' => {
            let (code, rest) = digits(rest, 2, 16)?;
            value.push(u8::try_from(code).map_err(|_| BadLiteral)?);
            return Ok(rest);
        }
        b'0'..=b'7' => {
            let (code, rest) = digits(after, 3, 8)?;
            value.push(u8::try_from(code).map_err(|_| BadLiteral)?);
            return Ok(rest);
        }
        b'u' | b'U' => {
            let (code, rest) = digits(rest, if letter == b'u' { 4 } else { 8 }, 16)?;
            let scalar = char::from_u32(code).ok_or(BadLiteral)?;
            value.extend_from_slice(scalar.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(rest);
        }
        _ => return Err(BadLiteral),
    };
    value.push(byte);
    Ok(rest)
}

/// Reads `count` digits of `radix`; at most eight of base 16, which fit.
fn digits(text: &[u8], count: usize, radix: u32) -> Result<(u32, &[u8]), BadLiteral> {
    let (digits, rest) = text.split_at_checked(count).ok_or(BadLiteral)?;
    let mut code = 0_u32;
    for &digit in digits {
        let digit = char::from(digit).to_digit(radix).ok_or(BadLiteral)?;
        code = code.wrapping_mul(radix).wrapping_add(digit);
    }
    Ok((code, rest))
}

/// Writes `value` as a `"…"` literal that both dialects read back.
///
/// For text without control characters, which is all that is ever injected: only the backslash and
/// the quote are escaped.
pub fn push_quoted(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Writes `value` so that, as an RE2 pattern, it matches just itself.
///
/// The set is that of Go's `regexp.QuoteMeta`.
pub fn push_pattern(out: &mut String, value: &str) {
    for c in value.chars() {
        if escapes()
            && matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$')
        {
            out.push('\\');
        }
        out.push(c);
    }
}

/// Whether patterns are escaped: always, but where a test breaks it to see the proofs refuse.
#[cfg(not(test))]
const fn escapes() -> bool {
    true
}

#[cfg(test)]
use broken::escapes;

#[cfg(test)]
pub(crate) mod broken {
    use std::cell::Cell;

    thread_local!(static ESCAPES: Cell<bool> = const { Cell::new(true) });

    pub(super) fn escapes() -> bool {
        ESCAPES.get()
    }

    /// What `run` gives where nothing escapes patterns.
    pub(crate) fn without_escapes<T>(run: impl FnOnce() -> T) -> T {
        ESCAPES.set(false);
        let outcome = run();
        ESCAPES.set(true);
        outcome
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn prometheus(literal: &str) -> Result<Vec<u8>, BadLiteral> {
        unquote(literal, Dialect::Prometheus).map(Cow::into_owned)
    }

    #[test]
    fn every_escape_of_go() {
        let all = r#""\a\b\f\n\r\t\v\\\"\x41\101\u00e4\U0001F600""#;
        assert_eq!(prometheus(all).unwrap(), "\x07\x08\x0c\n\r\t\x0b\\\"AAä😀".as_bytes());
        assert_eq!(prometheus(r#""\xff\377""#).unwrap(), [0xff, 0xff]);
        assert_eq!(prometheus(r"'it\'s'").unwrap(), b"it's");
        assert_eq!(prometheus("`\\d+\n`").unwrap(), b"\\d+\n");
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for bad in [
            "",
            "\"",
            "'\"",
            "a",
            "\"a",
            "\"a\"b\"",
            "\"a\nb\"",
            "`a`b`",
            r#""\"#,
            r#""\""#,
            r#""\'""#,
            r#"'\"'"#,
            r#""\q""#,
            r#""\x4""#,
            r#""\xg0""#,
            r#""\400""#,
            r#""\08x""#,
            r#""\ud800""#,
            r#""\U00110000""#,
            r#""\Uffffffff""#,
        ] {
            assert_eq!(prometheus(bad), Err(BadLiteral), "{bad}");
        }
    }

    #[test]
    fn the_two_dialects_differ_in_single_quotes_and_raw_returns() {
        assert_eq!(unquote("'a'", Dialect::Go), Err(BadLiteral));
        assert_eq!(*unquote("`a\r\nb`", Dialect::Go).unwrap(), *b"a\nb");
        assert_eq!(*unquote("`a\r\nb`", Dialect::Prometheus).unwrap(), *b"a\r\nb");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut literal = String::new();
        push_quoted(&mut literal, r#"a\.b"c"#);
        assert_eq!(literal, r#""a\\.b\"c""#);
        assert_eq!(prometheus(&literal).unwrap(), br#"a\.b"c"#);
        let mut pattern = String::new();
        push_pattern(&mut pattern, "a.b-c_d|(");
        assert_eq!(pattern, r"a\.b-c_d\|\(");
    }
}
