//! TraceQL metrics. The scoped query limits what is counted; exemplars show the scope's condition, and
//! the answer tells how much of everyone's data was read.
//!
//! The shapes are `QueryRangeResponse` and `QueryInstantResponse` in `pkg/tempopb/tempo.proto`; `promLabels` is of versions before
//! 2.9. A partial answer stays one: it is over the cap on series, which are the caller's.

use super::Mark;
use super::json::{Attribute, Double, Signed, Text, is_zero};
use super::list::{Raw, elements, read, there};
use super::made::{Account, JSON_TIMES, Made, Model, make, written};
use super::otlp::Empty;
use crate::rejection::Rejection;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct MetricsAnswer<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    series: Option<Raw<'a>>,
    #[serde(default)]
    status: Status,
}

/// The answer without its series.
#[derive(Serialize)]
struct MetricsReply {
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

/// What tells the caller's exemplars.
struct Marks(Vec<Mark>);

impl Model for Marks {
    type Form = ();
    const TIMES: usize = JSON_TIMES;

    fn write(&self, (): (), part: &[u8], out: &mut Vec<u8>) -> Result<bool, Rejection> {
        let Self(marks) = self;
        let mut one: Series<'_> = read(part)?;
        one.exemplars.retain_mut(|exemplar| {
            !marks.is_empty() && marks.iter().all(|mark| mark.shown_by_exemplar(&mut exemplar.labels))
        });
        let left = marks.iter().all(|mark| mark.allows_series(&one.labels));
        written(&one, out).map(|()| left)
    }
}

/// Cuts the metrics in `body`, which is JSON.
///
/// # Errors
/// [`crate::rejection::UpstreamFault::Undecodable`] if it does not decode.
pub(super) fn cut(marks: &[Mark], body: Vec<u8>, account: Account) -> Result<Option<Made>, Rejection> {
    make(Marks(marks.to_vec()), body, account, |plan, body| {
        let answer: MetricsAnswer<'_> = read(body)?;
        plan.text(br#"{"series":["#)?;
        let mut any = false;
        if let Some(series) = answer.series {
            elements(series.bytes(), |raw: Raw<'_>| {
                any |= plan.part((), raw.bytes(), any)?;
                Ok(())
            })?;
        }
        plan.text(b"]")?;
        plan.close(&MetricsReply { metrics: Empty {}, status: answer.status }).map(|()| true)
    })
}
