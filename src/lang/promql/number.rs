//! Numbers and durations: where they end, and what they are worth.
//!
//! After `scanNumber` of `promql/parser/lex.go`, `ParseInt` (base 0) and `ParseFloat` of Go's strconv,
//! and `ParseDuration` of `prometheus/common/model`.

use super::lex::continues_name;

/// Nanoseconds of each unit of a duration, from the largest. A duration has each at most once, in
/// this order.
const UNITS: [(&[u8], u64); 7] = [
    (b"y", 365 * 24 * 3_600 * 1_000_000_000),
    (b"w", 7 * 24 * 3_600 * 1_000_000_000),
    (b"d", 24 * 3_600 * 1_000_000_000),
    (b"h", 3_600 * 1_000_000_000),
    (b"m", 60 * 1_000_000_000),
    (b"s", 1_000_000_000),
    (b"ms", 1_000_000),
];

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

/// The length of the duration that `text` begins with, if it begins with one.
pub fn duration_length(text: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        let rest = text.get(length..)?;
        let number = digits(rest);
        let unit = rest.get(number..)?.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        if number == 0 || unit == 0 {
            break;
        }
        length += number + unit;
    }
    let ends = text.get(length).is_none_or(|&b| !continues_name(b));
    (length > 0 && ends && seconds(text.get(..length)?).is_some()).then_some(length)
}

/// The seconds of a duration. `None` if it is none, or longer than an `i64` of nanoseconds.
pub fn seconds(text: &[u8]) -> Option<f64> {
    let mut units = UNITS.iter();
    let mut nanoseconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at_checked(digits(rest))?;
        let unit = after.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let (unit, after) = after.split_at_checked(unit)?;
        let (_, each) = units.find(|(name, _)| *name == unit)?;
        let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
        nanoseconds = nanoseconds.checked_add(number.checked_mul(*each)?)?;
        rest = after;
    }
    let nanoseconds = i64::try_from(nanoseconds).ok()?;
    #[allow(clippy::cast_precision_loss)] // as Go's Duration.Seconds does
    let seconds = (nanoseconds / 1_000_000_000) as f64 + (nanoseconds % 1_000_000_000) as f64 / 1e9;
    Some(seconds)
}

/// The length of the number that `text` begins with; it must be one that [`number`] can read, and not
/// run into a letter.
pub fn number_length(text: &[u8]) -> Option<usize> {
    let length = if text.starts_with(b"0x") || text.starts_with(b"0X") {
        hexadecimal_length(text)?
    } else {
        decimal_length(text)
    };
    let ends = text.get(length).is_none_or(|&b| !continues_name(b) && b != b'.');
    (ends && number(text.get(..length)?).is_some()).then_some(length)
}

/// Prometheus' scanner takes an `e` that is the second digit, or stands after an underscore, for an
/// exponent: then a sign belongs to the number, which nothing reads, and neither the end of the text nor
/// another `e` may follow.
fn hexadecimal_length(text: &[u8]) -> Option<usize> {
    let digits = text.get(2..)?.iter().take_while(|b| b.is_ascii_hexdigit() || **b == b'_').count();
    let length = 2 + digits;
    let from = if text.get(2) == Some(&b'_') { 3 } else { 2 };
    let is_e = |at: usize| matches!(text.get(at), Some(b'e' | b'E'));
    let exponent = is_e(from + 1).then_some(from + 2);
    let bad = exponent.is_some_and(|after| match text.get(after) {
        Some(b'e' | b'E' | b'_' | b'+' | b'-') => true,
        _ => text.get(after..).is_none_or(|rest| rest.trim_ascii_start().first().is_none_or(|b| *b == b'#')),
    });
    let underscored = (from..length).any(|at| text.get(at) == Some(&b'_') && is_e(at + 1));
    (!bad && !underscored).then_some(length)
}

fn decimal_length(text: &[u8]) -> usize {
    let mut length = 0;
    while let Some(&byte) = text.get(length) {
        let exponent_before = length > 0 && matches!(text.get(length - 1), Some(b'e' | b'E'));
        match byte {
            b'0'..=b'9' | b'.' | b'_' | b'e' | b'E' => {}
            b'+' | b'-' if exponent_before => {}
            _ => break,
        }
        length += 1;
    }
    length
}

/// What a number is worth. `None` if it is none or too large: Go's `ParseFloat` refuses `1e400`.
pub fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.eq_ignore_ascii_case("inf") {
        return Some(f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let plain;
    let text = if text.contains('_') {
        if !underscores_separate_digits(text.as_bytes()) {
            return None;
        }
        plain = text.replace('_', "");
        &plain
    } else {
        text
    };
    integer(text).or_else(|| {
        let decimal =
            text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        text.parse::<f64>().ok().filter(|value| decimal && value.is_finite())
    })
}

/// An integer as Go's `ParseInt` with base 0 reads it: `0x` is hexadecimal, a leading zero octal.
fn integer(text: &str) -> Option<f64> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    #[allow(clippy::cast_precision_loss)] // as Go's conversion to float64
    let value = i64::from_str_radix(digits, radix).ok()? as f64;
    Some(value)
}

/// Whether each underscore stands between two digits; the prefix `0x` counts as one.
fn underscores_separate_digits(text: &[u8]) -> bool {
    let hexadecimal = text.starts_with(b"0x") || text.starts_with(b"0X");
    let digit = |b: Option<&u8>| {
        b.is_some_and(|b| if hexadecimal { b.is_ascii_hexdigit() } else { b.is_ascii_digit() })
    };
    text.iter().enumerate().filter(|(_, b)| **b == b'_').all(|(at, _)| {
        let before = at.checked_sub(1);
        let prefix = hexadecimal && at == 2;
        (prefix || digit(before.and_then(|i| text.get(i)))) && digit(text.get(at + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_reads_them() {
        for (text, value) in [
            ("0", 0.0),
            ("1", 1.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("1.5E-1", 0.15),
            ("1.e2", 100.0),
            ("0x1F", 31.0),
            ("0X_1f", 31.0),
            ("0xe", 14.0),
            ("017", 15.0),
            ("08", 8.0),
            ("1_000", 1000.0),
            ("1_0.2_5", 10.25),
            ("0_7", 7.0),
            ("99999999999999999999", 1e20),
            ("9223372036854775807", 9_223_372_036_854_775_807.0),
        ] {
            assert_eq!(number(text.as_bytes()), Some(value), "{text}");
            assert_eq!(number_length(text.as_bytes()), Some(text.len()), "{text}");
        }
        for (text, length) in [("0x1e5", 5), ("0x1e)", 4), ("0x1e + 5", 4), ("0x11e+5", 5), ("0xe+5", 3)] {
            assert_eq!(number_length(text.as_bytes()), Some(length), "{text}");
        }
        assert!(number(b"NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "1_",
            "1__0",
            "1e",
            "1e+",
            "1e5.3",
            "1.2.3",
            "1e5e5",
            "0x",
            "0x1.5",
            "0x1p3",
            "1e400",
            "1._5",
            "1_.5",
            "1e_5",
            "5x",
            "0xFFFFFFFFFFFFFFFFFF",
            "1a",
            "0b1",
            "0o7",
            "1.2.",
            "1..2",
            "0x1e",
            "0x1e \n",
            "0x1e # a",
            "0x1e+5",
            "0x_1e-5",
            "0x1ee",
            "0x1_e",
        ] {
            assert_eq!(number_length(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, value) in [
            ("5m", 300.0),
            ("1h30m", 5400.0),
            ("1y2w3d4h5m6s7ms", 33_019_506.007),
            ("0s", 0.0),
            ("1500ms", 1.5),
            ("292y", 292.0 * 365.0 * 86_400.0),
        ] {
            assert_eq!(duration_length(text.as_bytes()), Some(text.len()), "{text}");
            assert_eq!(seconds(text.as_bytes()), Some(value), "{text}");
        }
        for text in
            ["5", "m", "5mm", "5m5m", "5s1m", "1.5h", "1e3s", "5m_", "5m1", "300y", "5µs", "5us", "1_0m", ""]
        {
            assert_eq!(duration_length(text.as_bytes()), None, "{text}");
        }
        assert_eq!(duration_length(b"5m]"), Some(2));
    }
}
