//! Values of literals: numbers, durations, quoted names.

use std::borrow::Cow;

/// Nanoseconds of a duration such as `1m30s`, `1.5h` or `2d`: Prometheus' `model.ParseDuration` first,
/// then Go's `time.ParseDuration`, as Tempo's lexer does. `None` if neither reads it, or it is over
/// `i64`.
pub(super) fn duration(text: &str) -> Option<i64> {
    prometheus(text).or_else(|| go(text))
}

/// Whole numbers, each with a unit, from the largest unit to the smallest.
fn prometheus(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let unit = match unit {
            "y" => 365 * 24 * HOUR,
            "w" => 7 * 24 * HOUR,
            "d" => 24 * HOUR,
            other => unit_of(other).filter(|&u| u >= MILLISECOND)?,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = after;
    }
    i64::try_from(total).ok()
}

/// Nanoseconds of Go's `time.ParseDuration`, without a sign: numbers with fractions, each with a unit, in any
/// order. `None` if it does not read it, or it is over `i64`.
pub(crate) fn go(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) =
            after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let unit = unit_of(unit)?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?.checked_add(part(fraction, unit))?;
        rest = after;
    }
    i64::try_from(total).ok()
}

/// `0.fraction` of `unit`, in Go's own floating-point steps; digits that no longer fit are ignored.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn part(fraction: &str, unit: u64) -> u64 {
    let (mut value, mut scale) = (0_u64, 1.0_f64);
    for digit in fraction.bytes() {
        let next = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0')));
        let Some(next) = next.filter(|v| i64::try_from(*v).is_ok()) else { break };
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;

/// Nanoseconds of the units that both functions know, and of those that only Go's knows.
fn unit_of(name: &str) -> Option<u64> {
    Some(match name {
        "h" => HOUR,
        "m" => 60_000 * MILLISECOND,
        "s" => 1_000 * MILLISECOND,
        "ms" => MILLISECOND,
        "us" => 1_000,
        "ns" => 1,
        _ => return None,
    })
}

/// The name that `quoted`, quotes included, stands for.
pub(super) fn quoted_name(quoted: &str) -> Cow<'_, str> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or("");
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut name = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        name.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    Cow::Owned(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_tempo_reads_them() {
        for (text, nanoseconds) in [
            ("1s", 1_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1h1h", 7_200_000_000_000),
            ("30s1m", 90_000_000_000),
            ("2d", 172_800_000_000_000),
            ("1y2w", (365 + 14) * 86_400_000_000_000),
            ("10us", 10_000),
            ("10ns", 10),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0s", 0),
            ("9223372036854775807ns", i64::MAX),
        ] {
            assert_eq!(duration(text), Some(nanoseconds), "{text}");
        }
        for bad in ["1", "1x", "1.5d", "1h1", "1..5s", ".s", "9223372036854775808ns", "400y", "1ss", "1S"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn quoted_names_lose_their_escapes() {
        assert_eq!(quoted_name(r#""a b""#), "a b");
        assert_eq!(quoted_name(r#""a\"b\\c""#), r#"a"b\c"#);
    }
}
