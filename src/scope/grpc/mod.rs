//! Calls of gRPC: their requests, from messages to parameters and back. What a message has beside the fields
//! that a row lists is dropped.
//!
//! A field at its default is none, as in protobuf. Tempo reads a start of 0 beside an end as the beginning of
//! time, so that one is said.

pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::expect_used)]
mod invariants;
mod messages;

#[cfg(any(test, feature = "fuzzing"))]
pub use invariants::check as check_invariants;

use super::call::Argument;
use crate::api::Rpc;
use crate::rejection::Rejection;
use messages::{
    QueryInstantRequest, QueryRangeRequest, SearchRequest, SearchTagsRequest, Tag, TagValuesRequest,
};
use prost::Message;

/// The fields of a request of `rpc` in `message`, under the names of its row; those at their default are
/// empty.
///
/// # Errors
/// [`Rejection::Malformed`] if it does not decode.
pub fn read(rpc: Rpc, message: &[u8]) -> Result<Vec<(&'static str, String)>, Rejection> {
    Ok(match rpc {
        Rpc::Search => {
            let search: SearchRequest = decode(message)?;
            let milliseconds = |n: u32| if n == 0 { String::new() } else { format!("{n}ms") };
            vec![
                ("q", search.query),
                ("limit", text(search.limit.into())),
                ("spss", text(search.spans_per_span_set.into())),
                ("start", start(search.start.into(), search.end.into())),
                ("end", text(search.end.into())),
                ("tags", logfmt(&search.tags)),
                ("minDuration", milliseconds(search.min_duration_ms)),
                ("maxDuration", milliseconds(search.max_duration_ms)),
            ]
        }
        Rpc::SearchTags | Rpc::SearchTagsV2 => {
            let tags: SearchTagsRequest = decode(message)?;
            vec![
                ("scope", tags.scope),
                ("q", tags.query),
                ("start", start(tags.start.into(), tags.end.into())),
                ("end", text(tags.end.into())),
                ("limit", text(tags.max_tags_per_scope.into())),
                ("maxStaleValues", text(tags.stale_values_threshold.into())),
            ]
        }
        Rpc::SearchTagValues | Rpc::SearchTagValuesV2 => {
            let values: TagValuesRequest = decode(message)?;
            vec![
                ("tag", values.tag_name),
                ("q", values.query),
                ("start", start(values.start.into(), values.end.into())),
                ("end", text(values.end.into())),
                ("limit", text(values.max_tag_values.into())),
                ("maxStaleValues", text(values.stale_value_threshold.into())),
            ]
        }
        Rpc::MetricsQueryRange => {
            let metrics: QueryRangeRequest = decode(message)?;
            let step = if metrics.step == 0 { String::new() } else { format!("{}{STEP_UNIT}", metrics.step) };
            vec![
                ("q", metrics.query),
                ("start", start(metrics.start, metrics.end)),
                ("end", text(metrics.end)),
                ("step", step),
                ("exemplars", text(metrics.exemplars.into())),
                ("maxSeries", text(metrics.max_series.into())),
            ]
        }
        Rpc::MetricsQueryInstant => {
            let metrics: QueryInstantRequest = decode(message)?;
            vec![
                ("q", metrics.query),
                ("start", start(metrics.start, metrics.end)),
                ("end", text(metrics.end)),
            ]
        }
    })
}

/// A request of `rpc` with `arguments`, framed.
///
/// # Errors
/// [`Rejection::Defect`] if one is no number where the message has one, or is not of the message.
pub(super) fn write(rpc: Rpc, arguments: &[Argument]) -> Result<Vec<u8>, Rejection> {
    let given = Given(arguments);
    Ok(match rpc {
        Rpc::Search => frame::of(&SearchRequest {
            tags: Vec::new(),
            min_duration_ms: 0,
            max_duration_ms: 0,
            limit: given.small("limit")?,
            start: given.small("start")?,
            end: given.small("end")?,
            query: given.text("q"),
            spans_per_span_set: given.small("spss")?,
        }),
        Rpc::SearchTags | Rpc::SearchTagsV2 => frame::of(&SearchTagsRequest {
            scope: given.text("scope"),
            query: given.text("q"),
            start: given.small("start")?,
            end: given.small("end")?,
            max_tags_per_scope: given.small("limit")?,
            stale_values_threshold: given.small("maxStaleValues")?,
        }),
        Rpc::SearchTagValues | Rpc::SearchTagValuesV2 => frame::of(&TagValuesRequest {
            tag_name: given.text("tag"),
            query: given.text("q"),
            start: given.small("start")?,
            end: given.small("end")?,
            max_tag_values: given.small("limit")?,
            stale_value_threshold: given.small("maxStaleValues")?,
        }),
        Rpc::MetricsQueryRange => frame::of(&QueryRangeRequest {
            query: given.text("q"),
            start: given.large("start")?,
            end: given.large("end")?,
            step: given.large("step")?,
            exemplars: given.small("exemplars")?,
            max_series: given.small("maxSeries")?,
        }),
        Rpc::MetricsQueryInstant => frame::of(&QueryInstantRequest {
            query: given.text("q"),
            start: given.large("start")?,
            end: given.large("end")?,
        }),
    })
}

/// The unit of a step in messages.
const STEP_UNIT: &str = "ns";

/// The map of tags as `tags` of a URL has it; what no key can be there is refused there.
fn logfmt(tags: &[Tag]) -> String {
    let quoted = |value: &str| serde_json::Value::from(value).to_string();
    let pairs: Vec<_> = tags.iter().map(|tag| format!("{}={}", tag.key, quoted(&tag.value))).collect();
    pairs.join(" ")
}

fn decode<M: Message + Default>(message: &[u8]) -> Result<M, Rejection> {
    M::decode(message).map_err(|_| Rejection::Malformed("the message cannot be decoded"))
}

fn text(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

fn start(start: u64, end: u64) -> String {
    if start == 0 && end == 0 { String::new() } else { start.to_string() }
}

/// The arguments of a call, to be written as fields.
struct Given<'a>(&'a [Argument]);

impl Given<'_> {
    fn get(&self, name: &str) -> &str {
        let named = |argument: &Argument| match argument {
            Argument::Scoped(given, _) | Argument::Read(given, _) | Argument::Plain(given, _) => {
                *given == name
            }
        };
        match self.0.iter().find(|argument| named(argument)) {
            Some(Argument::Scoped(_, text)) => text.as_str(),
            Some(Argument::Read(_, text)) => text.as_str(),
            Some(Argument::Plain(_, value)) => value,
            None => "",
        }
    }

    fn text(&self, name: &str) -> String {
        self.get(name).to_owned()
    }

    fn large(&self, name: &str) -> Result<u64, Rejection> {
        let text = self.get(name);
        let digits = text.strip_suffix(STEP_UNIT).unwrap_or(text);
        let unreadable = || Rejection::Defect(format!("`{name}` of a message is no number"));
        if digits.is_empty() { Ok(0) } else { digits.parse().map_err(|_| unreadable()) }
    }

    fn small(&self, name: &str) -> Result<u32, Rejection> {
        Ok(u32::try_from(self.large(name)?).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
