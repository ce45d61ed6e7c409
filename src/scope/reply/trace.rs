//! Traces by id. No query narrows them: the answer holds every tenant's spans, and only the resource
//! spans that are the caller's without a doubt are left.
//!
//! What cannot be undone here: where a server's span has the id of another tenant's client span, Tempo
//! has given it a new id before we see it (`trace_by_id_deduper.go` in `modules/frontend/combiner`).

use super::list::fields;
use super::made::{Account, Made, Model, PROTOBUF_TIMES, Plan, make, written};
use super::otlp::{
    Empty, Head, HeadAttribute, HeadVariant, InstrumentationScope, Resource, ResourceSpans, ScopeSpans, Span,
    Trace, TraceByIdResponse,
};
use super::redact::{Hidden, resource};
use super::{Envelope, Mark};
use crate::rejection::{Rejection, UpstreamFault};
use crate::scope::Accept;
use prost::Message;
use prost::bytes::Bytes;
use prost::encoding::message;
use std::cmp::Ordering;

/// How spans are written.
struct Written {
    json: bool,
    /// Others', without content.
    hidden: Hidden,
}

#[derive(Clone, Copy)]
enum Form {
    /// A `ResourceSpans` of the caller's.
    Resource,
    /// A span of one.
    Span,
    /// Places of others' spans.
    Hidden,
}

/// Fields of `Trace`, `ResourceSpans` and `ScopeSpans`, and of the envelope.
const RESOURCE_SPANS: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SPANS: u32 = 2;
const TRACE: u32 = 1;

impl Model for Written {
    type Form = Form;
    const TIMES: usize = PROTOBUF_TIMES;

    fn write(&self, form: Form, part: &[u8], out: &mut Vec<u8>) -> Result<bool, Rejection> {
        match form {
            Form::Resource => {
                let mut spans: ResourceSpans = decode(part)?;
                by_start(&mut spans);
                if self.json {
                    written(&spans, out)?;
                } else {
                    message::encode(RESOURCE_SPANS, &spans, out);
                }
            }
            Form::Span => self.span(&decode(part)?, out)?,
            Form::Hidden => {
                for (index, span) in Hidden::spans(part).enumerate() {
                    if self.json && index > 0 {
                        out.push(b',');
                    }
                    self.span(&span, out)?;
                }
            }
        }
        Ok(true)
    }

    fn aside(&self, form: Form) -> Option<&[u8]> {
        matches!(form, Form::Hidden).then_some(self.hidden.bytes())
    }
}

impl Written {
    fn span(&self, span: &Span, out: &mut Vec<u8>) -> Result<(), Rejection> {
        if self.json {
            return written(span, out);
        }
        message::encode(SPANS, span, out);
        Ok(())
    }
}

fn decode<M: Message + Default>(part: &[u8]) -> Result<M, UpstreamFault> {
    M::decode(part).map_err(|_| UpstreamFault::Undecodable)
}

/// When a span starts, and its id: spans are ordered by these, and what they are in by the first, as Tempo does where
/// it combines parts of a trace (`SortTrace` in `pkg/model/trace/sort.go`). Else their order told whether there are others'.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
struct Start {
    #[prost(fixed64, tag = "7")]
    at: u64,
    #[prost(bytes = "bytes", tag = "2")]
    id: Bytes,
}

/// The first start in a `ScopeSpans`.
fn first_of_scope(scope: &[u8]) -> Result<Option<Start>, Rejection> {
    let mut first = None;
    fields(scope, &[SPANS], |_, span| {
        let start: Start = decode(span)?;
        first = first.take().into_iter().chain([start]).min();
        Ok(())
    })?;
    Ok(first)
}

/// The first start in a `ResourceSpans`.
fn first_of(resource_spans: &[u8]) -> Result<Option<Start>, Rejection> {
    let mut first: Option<Start> = None;
    fields(resource_spans, &[SCOPE_SPANS], |_, scope| {
        first = first.take().into_iter().chain(first_of_scope(scope)?).min();
        Ok(())
    })?;
    Ok(first)
}

/// Orders the spans of a resource.
fn by_start(spans: &mut ResourceSpans) {
    let start = |span: &Span| Start { at: span.start_time_unix_nano, id: span.span_id.clone() };
    for scope in &mut spans.scope_spans {
        scope.spans.sort_by_cached_key(start);
    }
    spans.scope_spans.sort_by_cached_key(|scope| scope.spans.first().map(start));
}

/// Cuts the trace in `body`, which is protobuf. `redacts`: of others' spans their places are left. None where the caller
/// has no span in it.
///
/// # Errors
/// [`UpstreamFault::Undecodable`] if the envelope, a resource, or a span of the caller's does not
/// decode.
pub(super) fn cut(
    envelope: Envelope,
    marks: &[Mark],
    accept: Accept,
    redacts: bool,
    body: Vec<u8>,
    account: Account,
) -> Result<Option<Made>, Rejection> {
    let json = match accept {
        Accept::Json => true,
        Accept::Protobuf => false,
        Accept::JsonLines | Accept::Text | Accept::ReadSamples | Accept::ReadChunks => {
            return Err(Rejection::Defect("a trace has no such form".into()));
        }
    };
    make(Written { json, hidden: Hidden::default() }, body, account, |plan, body| {
        let (traces, status) = open(envelope, body)?;
        let all = |plan: &mut Plan<Written>| -> Result<bool, Rejection> {
            let (mut own, mut others) = (Vec::new(), Vec::new());
            for trace in traces {
                fields(trace, &[RESOURCE_SPANS], |_, part| {
                    if is_own(marks, part)? {
                        plan.account.keep(2 * size_of::<(Start, &[u8])>())?;
                        own.push((first_of(part)?, part));
                    } else if redacts {
                        plan.account.keep(2 * size_of::<&[u8]>())?;
                        others.push(part);
                    }
                    Ok(())
                })?;
            }
            own.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (index, (_, part)) in own.iter().enumerate() {
                resource_spans(plan, part, index > 0)?;
            }
            // Who has no span in it must not learn that there is such a trace.
            if !own.is_empty() {
                hidden(plan, &others)?;
            }
            Ok(!own.is_empty())
        };
        let mut any = false;
        // The message of a partial answer is not kept: it tells sizes.
        let rest = TraceByIdResponse { trace: None, metrics: Some(Empty {}), status };
        match (envelope, json) {
            (Envelope::Trace, true) => {
                // `MarshalToJSONV1` in `pkg/tempopb/trace_utils.go`.
                plan.text(br#"{"batches":["#)?;
                any = all(plan)?;
                plan.text(b"]}")?;
            }
            (Envelope::Trace, false) => any = all(plan)?,
            (Envelope::Response, true) => {
                plan.text(br#"{"trace":{"resourceSpans":["#)?;
                any = all(plan)?;
                plan.text(b"]}")?;
                plan.close(&rest)?;
            }
            (Envelope::Response, false) => {
                plan.message(TRACE, |plan| {
                    any = all(plan)?;
                    Ok(())
                })?;
                plan.text(&rest.encode_to_vec())?;
            }
        }
        Ok(any)
    })
}

/// A trace without spans, in the newer envelope.
pub(super) fn none(accept: Accept) -> Result<Vec<u8>, Rejection> {
    let answer = TraceByIdResponse { trace: Some(Trace::default()), metrics: None, status: 0 };
    if accept != Accept::Json {
        return Ok(answer.encode_to_vec());
    }
    let mut out = Vec::new();
    written(&answer, &mut out).map(|()| out)
}

/// The bytes of the trace in an answer, which are one message if they are several, and the status.
fn open(envelope: Envelope, body: &[u8]) -> Result<(Vec<&[u8]>, i32), Rejection> {
    /// What is not the trace.
    #[derive(Clone, PartialEq, Message)]
    struct Rest {
        #[prost(int32, tag = "3")]
        status: i32,
    }
    if envelope == Envelope::Trace {
        return Ok((vec![body], 0));
    }
    let mut traces = Vec::new();
    fields(body, &[TRACE], |_, trace| {
        traces.push(trace);
        Ok(())
    })?;
    Ok((traces, decode::<Rest>(body)?.status))
}

/// Puts a `ResourceSpans` of the caller's.
fn resource_spans(plan: &mut Plan<Written>, part: &[u8], more: bool) -> Result<(), Rejection> {
    let more = more && plan.model.json;
    if !plan.is_large(part) {
        return plan.part(Form::Resource, part, more).map(drop);
    }
    // Without what is put after it.
    let mut resource_spans = ResourceSpans::default();
    let mut scopes = Vec::new();
    fields(part, &[1, SCOPE_SPANS, 3], |tag, field| {
        match tag {
            1 => merge(resource_spans.resource.get_or_insert_with(Resource::default), field)?,
            SCOPE_SPANS => {
                plan.account.keep(2 * size_of::<(Start, &[u8])>())?;
                scopes.push((first_of_scope(field)?, field));
            }
            _ => resource_spans.schema_url = Bytes::copy_from_slice(field),
        }
        Ok(())
    })?;
    scopes.sort_by(|(a, _), (b, _)| a.cmp(b));
    if !plan.model.json {
        return plan.message(RESOURCE_SPANS, |plan| {
            plan.text(&resource_spans.encode_to_vec())?;
            scopes.iter().try_for_each(|(_, scope)| {
                plan.message(SCOPE_SPANS, |plan| {
                    let spans = scope_spans(plan, scope)?;
                    plan.text(&spans.encode_to_vec())
                })
            })
        });
    }
    plan.open(&resource_spans, more)?;
    plan.text(br#""scopeSpans":["#)?;
    for (index, (_, scope)) in scopes.iter().enumerate() {
        plan.text(if index > 0 { br#",{"spans":["# } else { br#"{"spans":["# })?;
        let spans = scope_spans(plan, scope)?;
        plan.text(b"]")?;
        plan.close(&spans)?;
    }
    plan.text(b"]}")
}

/// Puts the spans of a `ScopeSpans`, and gives what else it says.
fn scope_spans(plan: &mut Plan<Written>, scope: &[u8]) -> Result<ScopeSpans, Rejection> {
    let mut rest = ScopeSpans::default();
    // Counted first: what grows step by step takes more than it holds.
    let mut count: usize = 0;
    fields(scope, &[SPANS], |_, _| {
        count = count.saturating_add(1);
        Ok(())
    })?;
    plan.account.keep(count.saturating_mul(size_of::<Spot>()))?;
    let mut spans = Vec::with_capacity(count);
    fields(scope, &[1, SPANS, 3], |tag, field| {
        match tag {
            1 => merge(rest.scope.get_or_insert_with(InstrumentationScope::default), field)?,
            SPANS => spans.push(Spot::new(scope, field)?),
            _ => rest.schema_url = Bytes::copy_from_slice(field),
        }
        Ok(())
    })?;
    spans.sort_unstable_by(|a, b| a.order(b, scope));
    for (index, spot) in spans.iter().enumerate() {
        plan.part(Form::Span, spot.of(scope), index > 0 && plan.model.json)?;
    }
    Ok(rest)
}

/// When a span starts, and where it is in its `ScopeSpans`: there can be very many.
struct Spot {
    at: u64,
    from: u32,
    length: u32,
}

impl Spot {
    /// Of `span`, which is a part of `scope`.
    fn new(scope: &[u8], span: &[u8]) -> Result<Self, UpstreamFault> {
        let from = span.as_ptr().addr().checked_sub(scope.as_ptr().addr());
        let from = from.and_then(|from| u32::try_from(from).ok()).ok_or(UpstreamFault::Undecodable)?;
        let length = u32::try_from(span.len()).map_err(|_| UpstreamFault::Undecodable)?;
        Ok(Self { at: decode::<At>(span)?.at, from, length })
    }

    fn of<'s>(&self, scope: &'s [u8]) -> &'s [u8] {
        let (from, length) = (self.from as usize, self.length as usize);
        scope.get(from..from.saturating_add(length)).unwrap_or_default()
    }

    /// As [`Start`] orders; what is equal stays in its order.
    fn order(&self, other: &Self, scope: &[u8]) -> Ordering {
        self.at
            .cmp(&other.at)
            .then_with(|| self.id(scope).cmp(other.id(scope)))
            .then_with(|| self.from.cmp(&other.from))
    }

    /// The span's id.
    fn id<'s>(&self, scope: &'s [u8]) -> &'s [u8] {
        let mut id: &[u8] = &[];
        // What does not decode is found where the span is read whole.
        let _ = fields(self.of(scope), &[2], |_, found| {
            id = found;
            Ok(())
        });
        id
    }
}

#[derive(Message)]
struct At {
    #[prost(fixed64, tag = "7")]
    at: u64,
}

/// What a message says in several fields is one.
fn merge(message: &mut impl Message, field: &[u8]) -> Result<(), UpstreamFault> {
    message.merge(field).map_err(|_| UpstreamFault::Undecodable)
}

/// Puts others' spans, without content.
fn hidden(plan: &mut Plan<Written>, others: &[&[u8]]) -> Result<(), Rejection> {
    let hidden = Hidden::read(others, &mut plan.account)?;
    if hidden.bytes().is_empty() {
        return Ok(());
    }
    // In a copy, since the model has them from now on.
    let parts: Vec<_> = hidden.parts().collect();
    plan.model.hidden = hidden;
    let json = plan.model.json;
    let resource = ResourceSpans { resource: Some(resource()), ..ResourceSpans::default() };
    let spans = |plan: &mut Plan<Written>| {
        for (index, range) in parts.iter().enumerate() {
            plan.aside_part(Form::Hidden, range.clone(), json && index > 0)?;
        }
        Ok(())
    };
    if json {
        plan.open(&resource, true)?;
        plan.text(br#""scopeSpans":[{"spans":["#)?;
        spans(plan)?;
        return plan.text(b"]}]}");
    }
    plan.message(RESOURCE_SPANS, |plan| {
        plan.text(&resource.encode_to_vec())?;
        plan.message(SCOPE_SPANS, spans)
    })
}

/// Whether the resource in `part` bears every mark. A missing resource bears none.
fn is_own(marks: &[Mark], part: &[u8]) -> Result<bool, UpstreamFault> {
    let head: Head = decode(part)?;
    let attributes = head.resource.unwrap_or_default().attributes;
    let bears = |mark: &Mark| {
        let found = attributes.iter().filter(|a| a.key == mark.key().as_bytes());
        mark.shows(found.map(string))
    };
    Ok(!marks.is_empty() && marks.iter().all(bears))
}

fn string(attribute: &HeadAttribute) -> Option<&str> {
    match attribute.value.as_ref()?.variant.as_ref()? {
        HeadVariant::String(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}
