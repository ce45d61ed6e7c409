//! Streamed answers: each message is a part of one, and is cut by itself, just as the whole answer over HTTP.

use super::otlp::Empty;
use super::search::UNKNOWN_ROOT;
use super::tag_names::{flat, shown};
use super::tempopb::{
    QueryInstantResponse, QueryRangeResponse, SearchResponse, Span, SpanSet, TagValue, TagValuesResponse,
    TagValuesV2Response, TagsResponse, TagsV2Response, TagsV2Scope, TraceSearchMetadata,
};
use super::unlisted::Listing;
use super::{Confirm, Confirming, Cut, Listed, Mark, Sought, TagScope, Unlisted, Window};
use crate::api::{Rpc, Static};
use crate::rejection::{Rejection, UpstreamFault};
use crate::tenant::Values;
use prost::Message;
use prost::bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The cut of one streamed answer, with what must be known from message to message.
#[derive(Debug)]
pub struct Streamed {
    cut: Cut,
    rpc: Rpc,
    /// The values that were sent, where several calls can answer the same.
    sent: HashSet<TagValue>,
    /// What was found in shared traces, by its id. It is held until all is found: only then it is known which are
    /// shown.
    found: BTreeMap<Bytes, TraceSearchMetadata>,
    /// The names that were found, held until they are confirmed.
    names: Confirming,
    /// Bytes that `sent`, `found` and `names` may take, and those that they may still take.
    most: usize,
    room: usize,
    /// The values of the tag that is asked for, to find those that are not listed.
    listed: Listed,
}

impl Streamed {
    /// The cut of what answers a caller of `rpc`. It remembers at most `bytes`.
    pub fn new(cut: Cut, rpc: Rpc, bytes: usize) -> Self {
        Self {
            cut,
            rpc,
            sent: HashSet::new(),
            found: BTreeMap::new(),
            names: Confirming::default(),
            most: bytes,
            room: bytes,
            listed: Listed::default(),
        }
    }

    /// Cuts one message of the answer to the call of the number `call`; none where it is held until the answer
    /// ends.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if it does not decode, [`UpstreamFault::TooLarge`] if too much is to be
    /// remembered, [`Rejection::Defect`] if it is not how answers to the caller are cut.
    pub fn message(&mut self, call: usize, message: &Bytes) -> Result<Option<Vec<u8>>, Rejection> {
        if let (Cut::Search { marks, shared, spans }, Rpc::Search) = (&self.cut, self.rpc) {
            let found = search(marks, shared.as_ref(), *spans, message)?;
            if shared.is_none() {
                return Ok(Some(searched(found)));
            }
            self.room = self.room.checked_sub(message.len()).ok_or(UpstreamFault::TooLarge)?;
            // What is found again is told anew.
            self.found.extend(found.into_iter().map(|trace| (trace.trace_id.clone(), trace)));
            return Ok(None);
        }
        if self.cut.confirm().is_some() {
            self.room = self.room.checked_sub(message.len()).ok_or(UpstreamFault::TooLarge)?;
            let answer: TagsV2Response = decode(message)?;
            for scope in answer.scopes {
                let name = String::from_utf8_lossy(&scope.name);
                scope.tags.iter().for_each(|tag| self.names.add(&name, &String::from_utf8_lossy(tag)));
            }
            return Ok(None);
        }
        if self.cut.unlisted(call).is_some_and(|unlisted| unlisted.exact) {
            self.room = self.room.checked_sub(message.len()).ok_or(UpstreamFault::TooLarge)?;
            for value in decode::<TagValuesV2Response>(message)?.tag_values {
                self.listed.add(value.listing());
            }
            return Ok(None);
        }
        self.part(call, message).map(Some)
    }

    /// The message of `values`, once they are settled.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn settled(&mut self, call: usize, values: Listed) -> Result<Vec<u8>, Rejection> {
        self.part(call, &listing(values.values()))
    }

    /// Bytes of messages and values that are remembered.
    pub fn remembered(&self) -> usize {
        self.most.saturating_sub(self.room)
    }

    /// The names that were found, with what confirms them, where they are to be.
    pub fn names(&mut self) -> Option<(Confirm, Confirming)> {
        Some((self.cut.confirm()?.clone(), std::mem::take(&mut self.names)))
    }

    /// The message of `names`, once they are confirmed.
    ///
    /// # Errors
    /// As [`Self::message`].
    pub fn named(&mut self, names: &Confirming) -> Result<Vec<u8>, Rejection> {
        let mut scopes: Vec<TagsV2Scope> = Vec::new();
        for (scope, name) in names.listed() {
            scopes.push(TagsV2Scope { name: scope.to_string().into(), tags: vec![name.clone().into()] });
        }
        self.part(0, &TagsV2Response { scopes, metrics: None }.encode_to_vec().into())
    }

    /// What was held until the answer to a call has ended, if anything was to be.
    pub fn held(&mut self) -> Option<Vec<u8>> {
        let Cut::Search { shared: Some(window), .. } = &self.cut else { return None };
        let mut traces: Vec<_> = std::mem::take(&mut self.found).into_values().collect();
        window.chosen(&mut traces, |trace| trace.start_time_unix_nano, |trace| &trace.trace_id);
        Some(searched(traces))
    }

    /// A message that is answered at once.
    fn part(&mut self, call: usize, message: &Bytes) -> Result<Vec<u8>, Rejection> {
        match (&self.cut, self.rpc) {
            (Cut::Whole { .. }, _) => Ok(message.to_vec()),
            (Cut::Metrics { marks }, Rpc::MetricsQueryRange) => metrics(marks, message),
            (Cut::Metrics { marks }, Rpc::MetricsQueryInstant) => instant(marks, message),
            (Cut::TagValues(sought), Rpc::SearchTagValuesV2) => {
                let several = sought.len() > 1;
                let mut tag_values = values(sought, &mut self.listed, call, message)?;
                if several {
                    self.leave_new(&mut tag_values)?;
                }
                Ok(TagValuesV2Response { tag_values, metrics: Some(Empty {}) }.encode_to_vec())
            }
            (Cut::FlatTagValues(sought), Rpc::SearchTagValues) => {
                let mut found = values(sought, &mut self.listed, call, message)?;
                // A text is one, of whatever type it is.
                found.iter_mut().for_each(|value| value.kind.clear());
                self.leave_new(&mut found)?;
                let tag_values = found.into_iter().map(|value| value.value).collect();
                Ok(TagValuesResponse { tag_values, metrics: Some(Empty {}) }.encode_to_vec())
            }
            (&Cut::TagNames { scope, flat: false, most, .. }, Rpc::SearchTagsV2) => {
                let mut found = names(scope, false, most, message)?;
                self.leave_new(&mut found)?;
                let mut scopes: Vec<TagsV2Scope> = Vec::new();
                for TagValue { kind: name, value } in found {
                    match scopes.last_mut().filter(|last| last.name == name) {
                        Some(last) => last.tags.push(value),
                        None => scopes.push(TagsV2Scope { name, tags: vec![value] }),
                    }
                }
                Ok(TagsV2Response { scopes, metrics: Some(Empty {}) }.encode_to_vec())
            }
            (&Cut::TagNames { scope, flat: true, most, .. }, Rpc::SearchTags) => {
                let mut found = names(scope, true, most, message)?;
                self.leave_new(&mut found)?;
                let tag_names = found.into_iter().map(|name| name.value).collect();
                Ok(TagsResponse { tag_names, metrics: Some(Empty {}) }.encode_to_vec())
            }
            _ => Err(Rejection::Defect(format!("no cut of {}", self.rpc.path()))),
        }
    }

    /// What the call of the number `call`, whose answer has ended, may have left out, with what it listed.
    pub fn unlisted(&mut self, call: usize) -> Option<(Unlisted, Listed)> {
        let listed = std::mem::take(&mut self.listed);
        Some((self.cut.unlisted(call)?.clone(), listed))
    }

    /// Leaves of `values` those that were not sent before.
    fn leave_new(&mut self, values: &mut Vec<TagValue>) -> Result<(), UpstreamFault> {
        for value in values.iter().filter(|value| !self.sent.contains(*value)) {
            let bytes = value.value.len().saturating_add(size_of::<TagValue>());
            self.room = self.room.checked_sub(bytes).ok_or(UpstreamFault::TooLarge)?;
        }
        // In a copy of its own: a value must not keep its message.
        let copied = |value: &TagValue| TagValue {
            kind: Bytes::copy_from_slice(&value.kind),
            value: Bytes::copy_from_slice(&value.value),
        };
        values.retain(|value| self.sent.insert(copied(value)));
        Ok(())
    }
}

fn decode<M: Message + Default>(message: &Bytes) -> Result<M, UpstreamFault> {
    M::decode(message.clone()).map_err(|_| UpstreamFault::Undecodable)
}

/// The caller's traces of a message.
fn search(
    marks: &[Mark],
    shared: Option<&Window>,
    spans: bool,
    message: &Bytes,
) -> Result<Vec<TraceSearchMetadata>, UpstreamFault> {
    let mut answer: SearchResponse = decode(message)?;
    answer.traces.retain_mut(|trace| {
        let sets = trace.span_set.iter_mut().chain(&mut trace.span_sets);
        sets.for_each(|set| set.keep_own(marks));
        trace.span_set.take_if(|set| set.spans.is_empty());
        trace.span_sets.retain(|set| !set.spans.is_empty());
        let mut found = trace.spans().next().is_some();
        if let Some(window) = shared {
            found &= trace.forget_the_rest(window);
        }
        if !spans {
            (trace.span_set, trace.span_sets) = (None, Vec::new());
            trace.service_stats.clear();
        }
        found
    });
    Ok(answer.traces)
}

fn searched(traces: Vec<TraceSearchMetadata>) -> Vec<u8> {
    SearchResponse { traces, metrics: Some(Empty {}) }.encode_to_vec()
}

impl TraceSearchMetadata {
    fn spans(&self) -> impl Iterator<Item = &Span> {
        self.span_set.iter().chain(&self.span_sets).flat_map(|set| &set.spans)
    }

    /// As for whole answers: see `search`.
    fn forget_the_rest(&mut self, window: &Window) -> bool {
        let end = |span: &Span| span.start_time_unix_nano.saturating_add(span.duration_nanos);
        let start = self.spans().map(|span| span.start_time_unix_nano).min().unwrap_or(0);
        let end = self.spans().map(end).max().unwrap_or(0);
        self.root_service_name = Bytes::from_static(UNKNOWN_ROOT.as_bytes());
        self.root_trace_name = Bytes::from_static(UNKNOWN_ROOT.as_bytes());
        self.start_time_unix_nano = start;
        self.duration_ms = u32::try_from(end.saturating_sub(start) / 1_000_000).unwrap_or(u32::MAX);
        self.service_stats.clear();
        let sets = self.span_set.iter_mut().chain(&mut self.span_sets);
        for set in sets {
            window.shown(&mut set.spans, |s| s.start_time_unix_nano, |s| &s.span_id);
        }
        window.has(start, end)
    }
}

impl SpanSet {
    /// Drops the spans that do not show every mark, and from the others what the scope's condition added.
    fn keep_own(&mut self, marks: &[Mark]) {
        let returned = self.spans.len();
        self.spans.retain_mut(|span| {
            !marks.is_empty() && marks.iter().all(|mark| mark.shown_by_span(&mut span.attributes))
        });
        let dropped = returned.saturating_sub(self.spans.len());
        self.matched = self.matched.saturating_sub(u32::try_from(dropped).unwrap_or(u32::MAX));
    }
}

fn metrics(marks: &[Mark], message: &Bytes) -> Result<Vec<u8>, Rejection> {
    let mut answer: QueryRangeResponse = decode(message)?;
    answer.series.retain(|one| marks.iter().all(|mark| mark.allows_series(&one.labels)));
    for one in &mut answer.series {
        one.exemplars.retain_mut(|exemplar| {
            !marks.is_empty() && marks.iter().all(|mark| mark.shown_by_exemplar(&mut exemplar.labels))
        });
    }
    answer.metrics = Some(Empty {});
    Ok(answer.encode_to_vec())
}

/// The scoped query limits what is counted, and there are no exemplars.
fn instant(marks: &[Mark], message: &Bytes) -> Result<Vec<u8>, Rejection> {
    let mut answer: QueryInstantResponse = decode(message)?;
    answer.series.retain(|one| marks.iter().all(|mark| mark.allows_series(&one.labels)));
    answer.metrics = Some(Empty {});
    Ok(answer.encode_to_vec())
}

/// The values of a message, which are `listed` then as long as others may be asked for.
fn values(
    sought: &[Sought],
    listed: &mut Listed,
    call: usize,
    message: &Bytes,
) -> Result<Vec<TagValue>, UpstreamFault> {
    let sought = sought.get(call).ok_or(UpstreamFault::Unexpected)?;
    let mut values = decode::<TagValuesV2Response>(message)?.tag_values;
    values.retain(|value| value.is_kept(sought.kept.as_ref()));
    if sought.unlisted.as_ref().is_some_and(|unlisted| !unlisted.exact) {
        let mut listings = values.iter().map(TagValue::listing);
        while let Some(listing) = listings.next().filter(|_| !listed.is_full()) {
            listed.add(listing);
        }
    }
    Ok(values)
}

/// The names of tags as values of their scope, which is none where they are `in_one` list.
fn names(
    asked: TagScope,
    in_one: bool,
    most: usize,
    message: &Bytes,
) -> Result<Vec<TagValue>, UpstreamFault> {
    let answer: TagsV2Response = decode(message)?;
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let found = answer.scopes.iter().map(|scope| (text(&scope.name), scope.tags.iter().map(text).collect()));
    let found: Vec<(String, Vec<String>)> = found.collect();
    let borrowed = found.iter().map(|(name, tags)| (name.as_str(), tags.iter().map(String::as_str)));
    let names = shown(asked, borrowed);
    let value = |kind: &str, tag: &str| TagValue {
        kind: Bytes::copy_from_slice(kind.as_bytes()),
        value: Bytes::copy_from_slice(tag.as_bytes()),
    };
    if in_one {
        return Ok(flat(asked, &names).into_iter().take(most).map(|tag| value("", tag)).collect());
    }
    let of_scope = |(scope, tags): (&TagScope, &BTreeSet<&str>)| {
        let name = scope.to_string();
        tags.iter().take(most).map(|tag| value(&name, tag)).collect::<Vec<_>>()
    };
    Ok(names.iter().flat_map(of_scope).collect())
}

/// `values` as a message of Tempo's.
pub fn listing(values: Vec<Listing>) -> Bytes {
    let value = |(kind, value): Listing| TagValue { kind: kind.into(), value: value.into() };
    let tag_values = values.into_iter().map(value).collect();
    TagValuesV2Response { tag_values, metrics: None }.encode_to_vec().into()
}

/// What is known of a tag's values without the backend, as a message: the texts that the JSON of `answer` lists.
///
/// # Errors
/// [`Rejection::Defect`] if it lists none.
pub fn known(answer: &Static) -> Result<Vec<u8>, Rejection> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Known {
        tag_values: Vec<String>,
    }
    let known: Known =
        serde_json::from_str(answer.body).map_err(|_| Rejection::Defect("no list of values".to_owned()))?;
    let tag_values = known.tag_values.into_iter().map(Bytes::from).collect();
    Ok(TagValuesResponse { tag_values, metrics: Some(Empty {}) }.encode_to_vec())
}

impl TagValue {
    /// Its type and its text.
    fn listing(&self) -> Listing {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        (text(&self.kind), text(&self.value))
    }

    /// As for whole answers: see `tag_values`.
    fn is_kept(&self, kept: Option<&Values>) -> bool {
        let text = std::str::from_utf8(&self.value);
        let allowed = |kept: &Values| self.kind == "string" && text.is_ok_and(|text| kept.contains(text));
        !self.kind.is_empty() && kept.is_none_or(allowed)
    }
}
