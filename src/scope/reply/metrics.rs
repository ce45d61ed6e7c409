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
    series.retain(|one| marks.iter().all(|mark| one.may_show(mark)));
    for one in &mut series {
        one.exemplars
            .retain_mut(|exemplar| !marks.is_empty() && marks.iter().all(|mark| exemplar.show(mark)));
    }
    Filtered::json(&MetricsReply { series, metrics: Empty {}, status: answer.status })
}

/// What Tempo writes for an attribute that a span does not have (`Static.EncodeToString` in `pkg/traceql/ast.go`).
const NIL: &str = "nil";

impl Series<'_> {
    /// Whether no label says that the series is of another's spans. `compare` makes series of spans without an
    /// attribute as well; the scope lets through none that lacks the mark's.
    fn may_show(&self, mark: &Mark) -> bool {
        let mut said =
            self.labels.iter().filter(|label| label.key.0 == mark.label() && label.value.is_some());
        said.all(|label| label.string().is_some_and(|value| value == NIL || mark.values().contains(value)))
    }
}

impl Exemplar<'_> {
    /// Whether the exemplar's span shows `mark`. Takes the label away that showed it unless the caller's
    /// query names it. Labels carry their scope, so no attribute of a span is mistaken for the
    /// resource's.
    fn show(&mut self, mark: &Mark) -> bool {
        let is_mark = |label: &Attribute<'_>| label.key.0 == mark.label();
        let shown = mark.shows(self.labels.iter().filter(|l| is_mark(l)).map(Attribute::string));
        if shown && !mark.named.on_resource {
            self.labels.retain(|label| !is_mark(label));
        }
        shown
    }
}
