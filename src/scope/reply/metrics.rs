//! TraceQL metrics. The scoped query limits what is counted; exemplars show the scope's condition, and
//! the answer tells how much of everyone's data was read.
//!
//! The shapes are `QueryRangeResponse` and `QueryInstantResponse` in `pkg/tempopb/tempo.proto`; `promLabels` is of versions before
//! 2.9. A partial answer stays one: it is over the cap on series, which are the caller's.

use super::json::{Attribute, Double, Signed, Text, is_zero};
use super::otlp::Empty;
use super::{Filtered, Mark};
use crate::rejection::{Rejection, UpstreamFault};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct MetricsAnswer<'a> {
    #[serde(borrow, default)]
    series: Vec<Series<'a>>,
    #[serde(default)]
    status: Status,
}

#[derive(Serialize)]
struct MetricsReply<'a> {
    series: Vec<Series<'a>>,
    metrics: Empty,
    #[serde(skip_serializing_if = "is_zero")]
    status: Status,
}

/// `tempopb.PartialStatus`.
#[derive(Clone, Copy, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    #[default]
    Complete,
    Partial,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Series<'a> {
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<Attribute<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    samples: Vec<Sample<'a>>,
    /// Of an instant query, which has no samples.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<Double<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    prom_labels: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    exemplars: Vec<Exemplar<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sample<'a> {
    #[serde(default, skip_serializing_if = "is_zero")]
    timestamp_ms: Signed,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<Double<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Exemplar<'a> {
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<Attribute<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    value: Option<Double<'a>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    timestamp_ms: Signed,
}

/// Cuts the metrics in `body`, which is JSON.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if it does not decode.
pub(super) fn cut(marks: &[Mark], body: &[u8]) -> Result<Filtered, Rejection> {
    let answer: MetricsAnswer<'_> = serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable)?;
    let mut series = answer.series;
    series.retain(|one| marks.iter().all(|mark| mark.allows_series(&one.labels)));
    for one in &mut series {
        one.exemplars.retain_mut(|exemplar| {
            !marks.is_empty() && marks.iter().all(|mark| mark.shown_by_exemplar(&mut exemplar.labels))
        });
    }
    Filtered::json(&MetricsReply { series, metrics: Empty {}, status: answer.status })
}
