//! The headers that differ from call to call, as typed parts. All others of the caller's are dropped.

use super::tenancy::TenancyHeaders;
use std::time::Duration;

/// What is carried from a caller's headers, and what its scope adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The W3C trace context.
    pub traceparent: Option<Traceparent>,
    /// The caller takes gzip. Only asked of the backend where the answer passes as it is.
    pub gzip: bool,
    /// Loki's `X-Loki-Response-Encoding-Flags: categorize-labels`: entries tell structured metadata and
    /// parsed labels apart. The only value that is passed. `X-Query-Tags` is not: beside the log it opens streams
    /// of Loki's own (`pkg/util/httpreq/tags.go`), which no scope finds.
    pub categorize_labels: bool,
    /// `escaping=allow-utf-8` in `Accept`: Prometheus' text format may have names beyond `[a-zA-Z0-9_:]` as
    /// they are (`NegotiateAccept` in `expfmt/encode.go` of its common library).
    pub utf8_names: bool,
    /// How long the caller of gRPC waits.
    pub patience: Option<Duration>,
    /// What tells the backend the tenants. Never the caller's: made from the scope.
    pub tenancy: Option<TenancyHeaders>,
}

/// What `grpc-timeout` says: up to eight digits and a unit (`PROTOCOL-HTTP2.md` of gRPC).
pub fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| plain)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// A `traceparent` of version 00 (W3C Trace Context, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traceparent(String);

impl Traceparent {
    /// Reads `00-TRACE-PARENT-FLAGS` with 32, 16 and 2 lower-case hexadecimal digits, ids not all zero.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |s: &str, len| s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let some = |s: &str| s.bytes().any(|b| b != b'0');
        let well_formed = version == "00" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
        (well_formed && some(trace) && some(parent) && parts.next().is_none()).then(|| Self(text.to_owned()))
    }

    /// As the header writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trace's id, for the log.
    pub fn trace_id(&self) -> &str {
        self.0.get(3..35).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_timeout_has_eight_digits_and_not_nine() {
        assert_eq!(grpc_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(grpc_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(grpc_timeout("0n"), Some(Duration::ZERO));
        for bad in ["", "S", "999999999H", "1", "1s", "-1S", "+1S", "1.5S", "1\u{b5}", "\u{b5}"] {
            assert_eq!(grpc_timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_a_well_formed_traceparent_is_carried() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(Traceparent::parse(good).is_some_and(|t| t.trace_id() == "0af7651916cd43dd8448eb211c80319c"));
        for bad in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(Traceparent::parse(bad), None, "{bad}");
        }
    }
}
