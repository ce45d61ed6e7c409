//! Times and durations, as the backends read them in parameters. What is not surely read is none.

use crate::api::Kind;
use std::time::Duration;

/// Seconds since 1970 of a time: a number, or RFC 3339.
///
/// Prometheus reads a number as seconds, perhaps with a fraction (`parseTime` in `web/api/v1/api.go`). Loki and
/// Tempo read whole numbers of more than ten digits as nanoseconds (`parseTimestamp` in
/// `pkg/loghttp/params.go`, `pkg/api/http.go`).
pub(super) fn instant(kind: Kind, text: &str) -> Option<f64> {
    let whole = text.bytes().all(|b| b.is_ascii_digit());
    if whole && text.len() > 10 && matches!(kind, Kind::Loki | Kind::Tempo) {
        return text.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9);
    }
    number(text).or_else(|| rfc3339(text))
}

/// A duration: a number of seconds, or numbers with units such as `1h30m`.
pub(super) fn span(text: &str) -> Option<Duration> {
    let seconds = number(text).or_else(|| {
        let mut total = 0.0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
            let (value, after) = rest.split_at_checked(digits)?;
            let letters = after.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
            let (unit, after) = after.split_at_checked(letters)?;
            total += number(value)? * unit_seconds(unit)?;
            rest = after;
        }
        (!text.is_empty()).then_some(total)
    })?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        "y" => 31_536_000.0,
        _ => return None,
    })
}

/// A decimal number. Exponents and the names of infinities are for no honest time.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().next().is_some_and(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|_| plain)
}

/// `2026-11-23T02:08:24.5Z`, or with an offset such as `+01:00` (RFC 3339, section 5.6).
fn rfc3339(text: &str) -> Option<f64> {
    let field = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let shape = |at: usize, expected: u8| text.as_bytes().get(at) == Some(&expected);
    if !(shape(4, b'-') && shape(7, b'-') && shape(10, b'T') && shape(13, b':') && shape(16, b':')) {
        return None;
    }
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let zone = rest.find(['Z', '+', '-'])?;
    let (fraction, zone) = rest.split_at_checked(zone)?;
    let fraction: f64 = match fraction {
        "" => 0.0,
        some => {
            let digits = some.strip_prefix('.')?;
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| format!("0.{digits}").parse().ok())??
        }
    };
    let whole = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    // A whole number of seconds of four-digit years is exact.
    Some(whole as f64 + fraction - offset(zone)?)
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<f64> {
    if zone == "Z" {
        return Some(0.0);
    }
    let sign = if zone.starts_with('-') { -1.0 } else { 1.0 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<f64>().ok().filter(|_| plain)
    };
    Some(sign * (two(hours)? * 3600.0 + two(minutes)? * 60.0))
}

/// Days from 1970-01-01, in the proleptic Gregorian calendar, for years from 0 on: days of whole
/// four-hundred-year eras, with March as the first month of a year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_each_backend_reads_them() {
        for (kind, text, seconds) in [
            (Kind::Prometheus, "1700000000", 1_700_000_000.0),
            (Kind::Prometheus, "1700000000.5", 1_700_000_000.5),
            (Kind::Prometheus, "17000000000", 17_000_000_000.0),
            (Kind::Loki, "1700000000000000000", 1_700_000_000.0),
            (Kind::Loki, "1700000000", 1_700_000_000.0),
            (Kind::Tempo, "1700000000", 1_700_000_000.0),
            (Kind::Prometheus, "1970-01-01T00:00:00Z", 0.0),
            (Kind::Prometheus, "2000-02-29T12:00:00.25+01:30", 951_820_200.25),
            (Kind::Loki, "2023-11-14T22:13:20Z", 1_700_000_000.0),
            (Kind::Loki, "1969-12-31T23:59:59-00:00", -1.0),
        ] {
            assert_eq!(instant(kind, text), Some(seconds), "{text}");
        }
        for bad in [
            "",
            "now",
            "1e9",
            "inf",
            "NaN",
            "+1",
            "1.2.3",
            "2023-11-14",
            "2023-11-14 22:13:20Z",
            "2023-13-14T22:13:20Z",
        ]
        .into_iter()
        .chain([
            "2023-11-14T22:13:20",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+1:00",
            "2023-11-1äT22:13:20Z",
            "--1",
        ]) {
            assert_eq!(instant(Kind::Prometheus, bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_are_seconds_or_have_units() {
        for (text, seconds) in [
            ("15", 15.0),
            ("0.5", 0.5),
            ("1h30m", 5400.0),
            ("1.5h", 5400.0),
            ("2d", 172_800.0),
            ("250ms", 0.25),
        ] {
            assert_eq!(span(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for bad in ["", "h", "1x", "1h30", "-5", "1e3", "1 h", "m1"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
