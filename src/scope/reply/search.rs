//! Searches. The scoped query limits the spans that are returned; what the answer says about whole
//! traces it does not limit.
//!
//! The shape is `SearchResponse` in `pkg/tempopb/tempo.proto`.

use super::json::{AnyValue, Attribute, Text, Unsigned, is_zero};
use super::list::{Raw, elements, read, there};
use super::made::{Account, JSON_TIMES, Made, Model, make, written};
use super::otlp::Empty;
use super::{Mark, Window};
use crate::rejection::{Rejection, UpstreamFault};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// What Tempo itself writes for a root it has not seen (`RootSpanNotYetReceivedText` in
/// `pkg/search/util.go`).
pub(super) const UNKNOWN_ROOT: &str = "<root span not yet received>";

#[derive(Deserialize)]
struct SearchAnswer<'a> {
    #[serde(borrow, default)]
    traces: Vec<Trace<'a>>,
}

/// The same, its traces as they are written.
#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow, default, deserialize_with = "there")]
    traces: Option<Raw<'a>>,
}

/// The answer without its traces.
#[derive(Serialize)]
struct SearchReply {
    /// Empty: the backend's counts are of everyone's data.
    metrics: Empty,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    #[serde(borrow, rename = "traceID", default, skip_serializing_if = "Text::is_empty")]
    trace_id: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    root_service_name: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    root_trace_name: Text<'a>,
    #[serde(default, skip_serializing_if = "is_zero")]
    start_time_unix_nano: Unsigned,
    #[serde(default, skip_serializing_if = "is_zero")]
    duration_ms: u32,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    span_set: Option<SpanSet<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    span_sets: Vec<SpanSet<'a>>,
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    service_stats: BTreeMap<Text<'a>, ServiceStats>,
}

#[derive(Deserialize, Serialize)]
struct SpanSet<'a> {
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Span<'a>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    matched: u32,
    /// Of `by(…)` and aggregates.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Attribute<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(borrow, rename = "spanID", default, skip_serializing_if = "Text::is_empty")]
    span_id: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Text::is_empty")]
    name: Text<'a>,
    #[serde(default, skip_serializing_if = "is_zero")]
    start_time_unix_nano: Unsigned,
    #[serde(default, skip_serializing_if = "is_zero")]
    duration_nanos: Unsigned,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Attribute<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStats {
    #[serde(default, skip_serializing_if = "is_zero")]
    span_count: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    error_count: u32,
}

/// How traces are cut.
struct Search {
    marks: Vec<Mark>,
    shared: Option<Window>,
    spans: bool,
}

impl Model for Search {
    type Form = ();
    const TIMES: usize = JSON_TIMES;

    fn write(&self, (): (), part: &[u8], out: &mut Vec<u8>) -> Result<bool, Rejection> {
        let mut trace: Trace<'_> = read(part)?;
        let left = self.keep(&mut trace);
        written(&trace, out).map(|()| left)
    }
}

impl Search {
    /// Leaves of the trace what is the caller's; whether anything is.
    fn keep(&self, trace: &mut Trace<'_>) -> bool {
        let sets = trace.span_set.iter_mut().chain(&mut trace.span_sets);
        sets.for_each(|set| set.keep_own(&self.marks));
        trace.span_set.take_if(|set| set.spans.is_empty());
        trace.span_sets.retain(|set| !set.spans.is_empty());
        let mut found = trace.spans().next().is_some();
        if let Some(window) = self.shared {
            found &= trace.forget_the_rest(&window);
        }
        if !self.spans {
            (trace.span_set, trace.span_sets) = (None, Vec::new());
            trace.service_stats.clear();
        }
        found
    }
}

/// Cuts the search in `body`, which is JSON. `shared`: what was asked for, where traces may hold others' spans;
/// `spans`: whether they are shown, beside what is said of their traces.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if it does not decode.
pub(super) fn cut(
    marks: &[Mark],
    shared: Option<Window>,
    spans: bool,
    body: Vec<u8>,
    account: Account,
) -> Result<Option<Made>, Rejection> {
    let search = Search { marks: marks.to_vec(), shared, spans };
    make(search, body, account, |plan, body| {
        let traces = read::<Found<'_>>(body)?.traces.map_or(&b"[]"[..], Raw::bytes);
        plan.text(br#"{"traces":["#)?;
        let mut any = false;
        match shared {
            None => elements(traces, |raw: Raw<'_>| {
                any |= plan.part((), raw.bytes(), any)?;
                Ok(())
            })?,
            Some(window) => {
                let mut found: Vec<(u64, Text<'_>, &[u8])> = Vec::new();
                elements(traces, |raw: Raw<'_>| {
                    let raw = raw.bytes();
                    plan.account.need(raw.len().saturating_mul(JSON_TIMES))?;
                    let mut trace: Trace<'_> = read(raw)?;
                    if plan.model.keep(&mut trace) {
                        plan.account.keep(2 * size_of::<(u64, Text<'_>, &[u8])>())?;
                        found.push((trace.start_time_unix_nano.0, trace.trace_id, raw));
                    }
                    Ok(())
                })?;
                window.chosen(&mut found, |(start, ..)| *start, |(_, id, _)| id.0.as_bytes());
                for (_, _, raw) in found {
                    any |= plan.part((), raw, any)?;
                }
            }
        }
        plan.text(b"]")?;
        plan.close(&SearchReply { metrics: Empty {} }).map(|()| true)
    })
}

/// What the spans of `body`, an answer that was cut, say under `key`, or their names if there is none: each its type
/// and its text.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if it does not decode.
pub(super) fn values(key: Option<&str>, body: &[u8]) -> Result<Values, UpstreamFault> {
    let answer: SearchAnswer<'_> = serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable)?;
    let shows_all = |set: &SpanSet<'_>| set.spans.len() as u64 == u64::from(set.matched);
    let sets = answer.traces.iter().flat_map(|trace| trace.span_set.iter().chain(&trace.span_sets));
    let (traces, all_spans) = (answer.traces.len(), sets.into_iter().all(shows_all));
    let (mut values, mut elements) = (BTreeSet::new(), BTreeSet::new());
    for span in answer.traces.iter().flat_map(Trace::spans) {
        let Some(key) = key else {
            values.insert(("string".to_owned(), span.name.0.to_string()));
            continue;
        };
        let said = span.attributes.iter().filter(|attribute| attribute.key.0 == key);
        let owned = |(kind, text): (&str, String)| (kind.to_owned(), text);
        for value in said.filter_map(|attribute| attribute.value.as_ref()) {
            values.extend(value.listed().map(owned));
            elements.extend(value.elements().filter_map(AnyValue::listed).map(owned));
        }
    }
    Ok(Values { values, elements, traces, all_spans })
}

/// What the spans of a search say.
pub(super) struct Values {
    /// Each value: its type and its text.
    pub values: BTreeSet<(String, String)>,
    /// Each element of a list.
    pub elements: BTreeSet<(String, String)>,
    /// How many traces there are.
    pub traces: usize,
    /// Whether every span that matched in them is shown.
    pub all_spans: bool,
}

/// The keys under which the spans of `body`, an answer that was cut, show anything; none where there is no span.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if it does not decode.
pub(super) fn keys(body: &[u8]) -> Result<Option<BTreeSet<String>>, UpstreamFault> {
    let answer: SearchAnswer<'_> = serde_json::from_slice(body).map_err(|_| UpstreamFault::Undecodable)?;
    let mut spans = answer.traces.iter().flat_map(Trace::spans).peekable();
    if spans.peek().is_none() {
        return Ok(None);
    }
    let shown = spans.flat_map(|span| &span.attributes);
    Ok(Some(shown.map(|attribute| attribute.key.0.to_string()).collect()))
}

impl<'a> Trace<'a> {
    fn spans(&self) -> impl Iterator<Item = &Span<'a>> {
        self.span_set.iter().chain(&self.span_sets).flat_map(|set| &set.spans)
    }

    /// Leaves of the trace what its returned spans tell, and of these as many as are shown. Whether they touch the
    /// range.
    fn forget_the_rest(&mut self, window: &Window) -> bool {
        let start = self.spans().map(|s| s.start_time_unix_nano.0).min().unwrap_or(0);
        let end = self.spans().map(Span::end).max().unwrap_or(0);
        self.root_service_name = Text(Cow::Borrowed(UNKNOWN_ROOT));
        self.root_trace_name = Text(Cow::Borrowed(UNKNOWN_ROOT));
        self.start_time_unix_nano = Unsigned(start);
        self.duration_ms = u32::try_from(end.saturating_sub(start) / 1_000_000).unwrap_or(u32::MAX);
        self.service_stats.clear();
        let sets = self.span_set.iter_mut().chain(&mut self.span_sets);
        for set in sets {
            window.shown(&mut set.spans, |s| s.start_time_unix_nano.0, |s| s.span_id.0.as_bytes());
        }
        window.has(start, end)
    }
}

impl SpanSet<'_> {
    /// Drops the spans that do not show every mark, and from the others what the scope's condition
    /// added. Of the spans that matched and were not returned nothing is known; they stay counted.
    fn keep_own(&mut self, marks: &[Mark]) {
        let returned = self.spans.len();
        self.spans.retain_mut(|span| {
            !marks.is_empty() && marks.iter().all(|mark| mark.shown_by_span(&mut span.attributes))
        });
        let dropped = returned.saturating_sub(self.spans.len());
        self.matched = self.matched.saturating_sub(u32::try_from(dropped).unwrap_or(u32::MAX));
    }
}

impl Span<'_> {
    fn end(&self) -> u64 {
        self.start_time_unix_nano.0.saturating_add(self.duration_nanos.0)
    }
}
