//! Times, steps and numbers as the backends' APIs write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in Unix seconds.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0))
}

/// A time that cannot be read here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse `{0}` to a valid {1}")]
pub struct TimeError(String, &'static str);

/// Unix seconds with a fraction: Prometheus' API. Its other form, RFC 3339, is not read here.
///
/// # Errors
/// [`TimeError`] for what is no such number.
pub fn seconds(text: &str) -> Result<f64, TimeError> {
    text.parse().ok().filter(|s: &f64| s.is_finite()).ok_or_else(|| TimeError(text.into(), "timestamp"))
}

/// Unix nanoseconds: Loki's API takes nanoseconds, and seconds up to ten digits or with a fraction
/// (`pkg/loghttp/params.go`, `parseTimestamp`). Tempo's takes seconds.
///
/// # Errors
/// [`TimeError`] for what is neither.
pub fn nanoseconds(text: &str) -> Result<i64, TimeError> {
    if text.contains('.') {
        return Ok((seconds(text)? * 1e9) as i64);
    }
    let number: i64 = text.parse().map_err(|_| TimeError(text.into(), "timestamp"))?;
    Ok(if text.len() <= 10 { number.saturating_mul(1_000_000_000) } else { number })
}

/// A step in seconds: a number of them, or `1h30m`, `500ms`. It is positive.
///
/// # Errors
/// [`TimeError`] for anything else.
pub fn step(text: &str) -> Result<f64, TimeError> {
    let error = || TimeError(text.into(), "positive duration");
    let plain = text.parse::<f64>().ok();
    let total = plain.or_else(|| units(text)).ok_or_else(error)?;
    if total.is_finite() && total > 0.0 { Ok(total) } else { Err(error()) }
}

/// The sum of numbers with units.
fn units(mut text: &str) -> Option<f64> {
    let mut total = 0.0;
    while !text.is_empty() {
        let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        text = rest;
    }
    Some(total)
}

/// A sample's value: Go's `strconv.FormatFloat(v, 'f', -1, 64)`.
pub fn sample(value: f64) -> String {
    match value {
        v if v == f64::INFINITY => "+Inf".into(),
        v if v == f64::NEG_INFINITY => "-Inf".into(),
        v => v.to_string(),
    }
}

/// A sample's time in an answer: seconds, with a fraction only if there is one.
pub fn stamp(seconds: f64) -> serde_json::Value {
    let milliseconds = (seconds * 1e3).round();
    if milliseconds % 1e3 == 0.0 { ((milliseconds / 1e3) as i64).into() } else { (milliseconds / 1e3).into() }
}

/// Unix seconds as RFC 3339 in UTC, `2026-11-23T02:08:24Z`: days become a date by H. Hinnant's `civil_from_days`.
pub fn rfc3339(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // March is the first month.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The most steps that Prometheus and Loki take (`web/api/v1/api.go`, `pkg/loghttp/query.go`).
pub const MAX_STEPS: f64 = 11_000.0;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_seconds_or_durations() {
        assert_eq!(step("15"), Ok(15.0));
        assert_eq!(step("1h30m"), Ok(5_400.0));
        assert_eq!(step("250ms"), Ok(0.25));
        for bad in ["", "0", "-1", "5x", "m", "1m2"] {
            assert!(step(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lokis_times_are_nanoseconds_unless_short() {
        assert_eq!(nanoseconds("1700000000"), Ok(1_700_000_000_000_000_000));
        assert_eq!(nanoseconds("1700000000000000001"), Ok(1_700_000_000_000_000_001));
        assert_eq!(nanoseconds("1700000000.5"), Ok(1_700_000_000_500_000_000));
        assert!(nanoseconds("yesterday").is_err());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let dates = [0, 951_782_399, 951_782_400, 1_700_000_000, 4_102_444_799].map(rfc3339);
        let expected = [
            "1970-01-01T00:00:00Z",
            "2000-02-28T23:59:59Z",
            "2000-02-29T00:00:00Z",
            "2023-11-14T22:13:20Z",
            "2099-12-31T23:59:59Z",
        ];
        assert_eq!(dates, expected);
    }

    #[test]
    fn values_are_written_as_go_writes_them() {
        assert_eq!(
            [2.0, 0.5, 1e21, f64::INFINITY].map(sample),
            ["2", "0.5", "1000000000000000000000", "+Inf"]
        );
        assert_eq!((stamp(1_700_000_000.0), stamp(1.5)), (1_700_000_000.into(), 1.5.into()));
    }
}
