//! The JSON of `jsonpb` (gogo/protobuf), written and read.

use prost::bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Display;

/// Whether `value` is its type's default, which is left out.
pub(super) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Text; what is no UTF-8 in it becomes U+FFFD, as Go's `encoding/json` does it.
pub(super) fn text<S: Serializer>(text: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(text))
}

/// A 64-bit integer: a string of its digits.
pub(super) fn decimal<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A double: whole numbers without a point, what is no number as a string.
pub(super) fn double<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const WHOLE: f64 = 9_007_199_254_740_992.0; // 2^53: all whole numbers up to it are exact
    let value = *value;
    if value.is_nan() {
        serializer.serialize_str("NaN")
    } else if value.is_infinite() {
        serializer.serialize_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else if value.fract() == 0.0 && value.abs() <= WHOLE && !(value == 0.0 && value.is_sign_negative()) {
        #[allow(clippy::cast_possible_truncation)] // whole and within 2^53
        serializer.serialize_i64(value as i64)
    } else {
        serializer.serialize_f64(value)
    }
}

/// Bytes: base64 of the standard alphabet, padded (RFC 4648, section 4).
pub(super) fn base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_base64(bytes))
}

fn to_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4_usize {
            let sextet = (bits >> (18 - 6 * i) & 63) as usize;
            let letter = ALPHABET.get(sextet).copied().map_or('=', char::from);
            text.push(if i <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

/// An enum by name, or by number if Tempo does not know it.
fn enumeration<S: Serializer>(names: &[&'static str], value: i32, serializer: S) -> Result<S::Ok, S::Error> {
    match usize::try_from(value).ok().and_then(|i| names.get(i)) {
        Some(name) => serializer.serialize_str(name),
        None => serializer.serialize_i32(value),
    }
}

/// `Span.SpanKind` of OTLP.
pub(super) fn span_kind<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    const NAMES: &[&str] = &[
        "SPAN_KIND_UNSPECIFIED",
        "SPAN_KIND_INTERNAL",
        "SPAN_KIND_SERVER",
        "SPAN_KIND_CLIENT",
        "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ];
    enumeration(NAMES, *value, serializer)
}

/// `Status.StatusCode` of OTLP.
pub(super) fn status_code<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    enumeration(&["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"], *value, serializer)
}

/// `tempopb.PartialStatus`.
pub(super) fn partial_status<S: Serializer>(value: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    enumeration(&["COMPLETE", "PARTIAL"], *value, serializer)
}

/// A 64-bit unsigned integer, written as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unsigned(pub u64);

/// A 64-bit signed integer, written as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signed(pub i64);

impl<'de> Deserialize<'de> for Unsigned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Text::deserialize(deserializer)?;
        digits.0.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = Text::deserialize(deserializer)?;
        digits.0.parse().map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Unsigned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        decimal(&self.0, serializer)
    }
}

impl Serialize for Signed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        decimal(&self.0, serializer)
    }
}

/// A text, borrowed from the answer where it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Text<'_> {
    /// Whether it has no character.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A double in the answer's own digits, so that none is lost on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Double<'a>(&'a RawValue);

impl<'de: 'a, 'a> Deserialize<'de> for Double<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if number || matches!(text, r#""NaN""# | r#""Infinity""# | r#""-Infinity""#) {
            Ok(Self(raw))
        } else {
            Err(D::Error::custom("not a double"))
        }
    }
}

impl Double<'_> {
    /// The number; none for what is none.
    fn number(self) -> Option<f64> {
        self.0.get().parse().ok()
    }
}

impl Serialize for Double<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// `KeyValue` of OTLP, as it stands in answers to searches and metrics queries.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Attribute<'a> {
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    pub key: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub value: Option<AnyValue<'a>>,
}

impl Attribute<'_> {
    /// The value, if it is a plain string.
    pub(super) fn string(&self) -> Option<&str> {
        self.value.as_ref().and_then(AnyValue::string)
    }
}

/// `AnyValue` of OTLP. Nesting is bounded by serde_json, which reads at most 128 levels.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnyValue<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    string_value: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bool_value: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    int_value: Option<Signed>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    double_value: Option<Double<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    array_value: Option<ArrayValue<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    kvlist_value: Option<KeyValueList<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    bytes_value: Option<Text<'a>>,
}

impl AnyValue<'_> {
    fn string(&self) -> Option<&str> {
        let only = self.bool_value.is_none()
            && self.int_value.is_none()
            && self.double_value.is_none()
            && self.array_value.is_none()
            && self.kvlist_value.is_none()
            && self.bytes_value.is_none();
        self.string_value.as_ref().filter(|_| only).map(|t| &*t.0)
    }

    /// Whether it is one value, and no list.
    pub(super) fn is_single(&self) -> bool {
        self.array_value.is_none() && self.kvlist_value.is_none() && self.bytes_value.is_none()
    }

    /// Type and text, as Tempo lists values of tags (`MakeCollectTagValueFunc` in `pkg/traceql/util.go`); none for
    /// lists and what else is no plain value.
    pub(super) fn listed(&self) -> Option<(&'static str, String)> {
        match (&self.string_value, self.bool_value, self.int_value, self.double_value) {
            (Some(text), None, None, None) => Some(("string", text.0.to_string())),
            (None, Some(value), None, None) => Some(("bool", value.to_string())),
            (None, None, Some(value), None) => Some(("int", value.0.to_string())),
            (None, None, None, Some(value)) => Some(("float", go_float(value.number()?))),
            _ => None,
        }
    }

    /// The elements of a list; none of what is no list.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.array_value.iter().flat_map(|list| &list.values)
    }
}

/// A double as Tempo writes it: as short as it can be, with an exponent below 1e-4 and from 1e6 on as Go's `%g`
/// does, and told from whole numbers by a point (`Static.EncodeToString` in `pkg/traceql/ast_stringer.go`).
fn go_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..=5).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let plain = value.to_string();
    if plain.contains('.') { plain } else { plain + ".0" }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct ArrayValue<'a> {
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<AnyValue<'a>>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct KeyValueList<'a> {
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<Attribute<'a>>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\0\u{7f}>", "AH8+"),
        ] {
            assert_eq!(to_base64(bytes.as_bytes()), text);
        }
        assert_eq!(to_base64(&[0xff, 0xff, 0xff, 0xfb]), "////+w==");
    }

    #[test]
    fn doubles_are_printed_as_go_does() {
        #[derive(Serialize)]
        struct D(#[serde(serialize_with = "double")] f64);
        for (value, text) in [
            (14.5, "14.5"),
            (1.0, "1"),
            (0.0, "0"),
            (-3.0, "-3"),
            (1e-7, "1e-7"),
            (f64::NAN, r#""NaN""#),
            (f64::INFINITY, r#""Infinity""#),
            (f64::NEG_INFINITY, r#""-Infinity""#),
        ] {
            assert_eq!(serde_json::to_string(&D(value)).unwrap(), text);
        }
        let negative_zero = serde_json::to_string(&D(-0.0)).unwrap();
        assert!(negative_zero.parse::<f64>().unwrap().is_sign_negative());
    }

    #[test]
    fn a_double_keeps_its_digits_and_is_nothing_else() {
        for text in ["0.18333333333333332", "-1e+21", "4", r#""NaN""#, r#""-Infinity""#] {
            let read: Double<'_> = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        for text in ["null", "true", r#""1""#, "[1]", "{}", r#""x""#] {
            assert!(serde_json::from_str::<Double<'_>>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn doubles_are_listed_as_tempo_does() {
        for (value, text) in [
            (12.5, "12.5"),
            (-3.0, "-3.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100_000.5, "100000.5"),
            (999_999.0, "999999.0"),
            (1_000_000.0, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (0.0001, "0.0001"),
            (0.000_012, "1.2e-05"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(go_float(value), text);
        }
    }

    #[test]
    fn only_a_lone_string_is_a_plain_string() {
        let string = |text: &str| {
            let read: Attribute<'_> = serde_json::from_str(text).unwrap();
            read.string().map(str::to_owned)
        };
        assert_eq!(string(r#"{"key":"a","value":{"stringValue":"x"}}"#), Some("x".into()));
        for other in [
            r#"{"key":"a"}"#,
            r#"{"key":"a","value":{}}"#,
            r#"{"key":"a","value":{"arrayValue":{"values":[{"stringValue":"x"}]}}}"#,
            r#"{"key":"a","value":{"stringValue":"x","intValue":"1"}}"#,
            r#"{"key":"a","value":{"bytesValue":"eA=="}}"#,
        ] {
            assert_eq!(string(other), None, "{other}");
        }
    }
}
