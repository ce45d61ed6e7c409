//! Numbers, durations and sizes, as Go and the libraries that Loki uses read them.

/// A number that stands for itself. `None` if it is no finite float.
///
/// `text` has been scanned: digits with underscores between them, a fraction, an exponent.
pub(super) fn literal(text: &str) -> Option<f64> {
    let value: f64 = if text.contains('_') {
        text.chars().filter(|&c| c != '_').collect::<String>().parse().ok()?
    } else {
        text.parse().ok()?
    };
    value.is_finite().then_some(value)
}

/// A duration in nanoseconds: Prometheus' form, or else Go's (`parseDuration` in Loki's lexer).
pub(super) fn duration(text: &str) -> Option<i64> {
    prometheus_duration(text).or_else(|| go_duration(text))
}

/// Units in the order in which they must stand, with nanoseconds.
const PROMETHEUS_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000_000_000),
    ("w", 7 * 24 * 3_600_000_000_000),
    ("d", 24 * 3_600_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// A duration in nanoseconds as `prometheus/common/model.ParseDuration` reads it: `1d2h`, `0`.
pub(super) fn prometheus_duration(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0_u64;
    let mut units = PROMETHEUS_UNITS.iter();
    while !rest.is_empty() {
        let (digits, after) = split(rest, |b| b.is_ascii_digit());
        let (unit, after) = split(after, |b| !b.is_ascii_digit());
        // Taking units from the iterator up to this one forbids any other order and any repetition.
        let (_, nanoseconds) = units.find(|(name, _)| *name == unit)?;
        let count: u64 = digits.parse().ok()?;
        total = total.checked_add(count.checked_mul(*nanoseconds)?)?;
        rest = after;
    }
    if text.is_empty() { None } else { i64::try_from(total).ok() }
}

/// A duration in nanoseconds as Go's `time.ParseDuration` reads it: `-1.5h`, `1h2m`, `-0`.
fn go_duration(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if unsigned == "0" {
        return Some(0);
    }
    let mut rest = unsigned;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (whole, after) = split(rest, |b| b.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split(after, |b| b.is_ascii_digit()),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, after) = split(after, |b| b != b'.' && !b.is_ascii_digit());
        total = total.checked_add(go_part(whole, fraction, go_unit(unit)?)?)?;
        if total > 1 << 63 {
            return None;
        }
        rest = after;
    }
    if unsigned.is_empty() {
        return None;
    }
    match (negative, i64::try_from(total)) {
        (true, Ok(total)) => Some(-total),
        (true, Err(_)) => Some(i64::MIN), // 2^63 exactly
        (false, total) => total.ok(),
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // as Go does
fn go_part(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut scale = 1_f64;
    let mut parts = 0_u64;
    for digit in fraction.bytes() {
        // Go ignores the digits that no longer fit.
        let Some(next) = parts.checked_mul(10).and_then(|p| p.checked_add(u64::from(digit - b'0'))) else {
            break;
        };
        if next > 1 << 63 {
            break;
        }
        parts = next;
        scale *= 10.0;
    }
    let fraction = (parts as f64 * (unit as f64 / scale)) as u64;
    whole.checked_mul(unit)?.checked_add(fraction).filter(|&part| part <= 1 << 63)
}

fn go_unit(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A size in bytes as `dustin/go-humanize.ParseBytes` reads it: `1.5kB`, `2MiB`, `3G`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // as Go does
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text, |b| b.is_ascii_digit() || b == b'.');
    let number: f64 = number.parse().ok()?;
    let (base, power): (u64, u32) = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => (1, 0),
        "k" | "kb" => (1000, 1),
        "m" | "mb" => (1000, 2),
        "g" | "gb" => (1000, 3),
        "t" | "tb" => (1000, 4),
        "ki" | "kib" => (1024, 1),
        "mi" | "mib" => (1024, 2),
        "gi" | "gib" => (1024, 3),
        "ti" | "tib" => (1024, 4),
        _ => return None,
    };
    let size = number * base.pow(power) as f64;
    (size < u64::MAX as f64).then_some(size as u64)
}

/// The longest start of `text` whose bytes are `wanted`, and what follows it.
fn split(text: &str, wanted: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !wanted(b)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_prometheus() {
        assert_eq!(prometheus_duration("1d2h"), Some(26 * 3_600_000_000_000));
        assert_eq!(prometheus_duration("0"), Some(0));
        assert_eq!(prometheus_duration("05m"), Some(300_000_000_000));
        for bad in ["", "5", "-5m", "1h1h", "1m2h", "1.5h", "5us", " 5m", "5m ", "m", "1y1y", "293y", "5µs"]
        {
            assert_eq!(prometheus_duration(bad), None, "{bad}");
        }
        assert!(prometheus_duration("292y").is_some());
    }

    #[test]
    fn durations_of_go() {
        assert_eq!(duration("-1.5h"), Some(-5_400_000_000_000));
        assert_eq!(duration("-0"), Some(0));
        assert_eq!(duration("5µs"), Some(5_000));
        assert_eq!(duration(".5s"), Some(500_000_000));
        assert_eq!(duration("5.m"), Some(300_000_000_000));
        assert_eq!(duration("1m1h"), Some(3_660_000_000_000));
        assert_eq!(duration("-9223372036854775808ns"), Some(i64::MIN));
        for bad in ["-", "-5", ".s", "5x", "5.5.5s", "9223372036854775808ns", "99999999999999999999ns", "-1d"]
        {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(duration("0.99999999999999999999s"), duration("0.9999999999999999999s"));
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("1.5kB"), Some(1_500));
        assert_eq!(bytes("2MiB"), Some(2 * 1024 * 1024));
        assert_eq!(bytes("3G"), Some(3_000_000_000));
        for bad in ["B", "1.5.5B", "5iB", "5BB", "99999999999TB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(literal("1_000.5e1"), Some(10_005.0));
        assert_eq!(literal("5."), Some(5.0));
        assert_eq!(literal(".5"), Some(0.5));
        assert_eq!(literal("1e999"), None);
    }
}
