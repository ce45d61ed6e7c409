//! Cutting an answer to what its caller may see.
//!
//! Every filtered answer is Tempo's: other backends are scoped by the query alone. An answer is
//! decoded whole into a closed model, cut, and printed from what is left; what the model does not know
//! is not passed. An answer that cannot be decoded is refused, never passed.

#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::expect_used, clippy::panic)]
mod invariants;
mod json;
mod mark;
mod metrics;
pub(crate) mod otlp;
mod search;
mod tag_values;
mod trace;

#[cfg(any(test, feature = "fuzzing"))]
pub use invariants::check as check_invariants;
pub use mark::{Mark, Named};

use super::Accept;
use crate::rejection::{Rejection, UpstreamFault};
use crate::tenant::Values;
use serde::Serialize;

/// How one request's answers are cut.
#[derive(Clone, Debug)]
pub enum Cut {
    /// A trace by id: the resource spans that carry every mark are left.
    Trace {
        /// The envelope, of the backend's answer and of ours.
        envelope: Envelope,
        /// What tells the caller's resources.
        marks: Vec<Mark>,
        /// The form the caller is answered in.
        accept: Accept,
    },
    /// A search: spans that do not show every mark go, and what the scope's condition added to the
    /// others.
    Search {
        /// What tells the caller's spans.
        marks: Vec<Mark>,
        /// Whether traces may hold spans of several tenants: then facts about whole traces go.
        mixed: bool,
    },
    /// A metrics query: the same for exemplars; statistics of the backend's work go.
    Metrics {
        /// What tells the caller's exemplars.
        marks: Vec<Mark>,
    },
    /// Not cut: the caller may see everything. Sealed for a break-glass rule only.
    Whole {
        /// The form that the backend was asked for.
        accept: Accept,
    },
    /// Tag values: for each call, the only values that may be left; `None`: all.
    TagValues(Vec<Option<Values>>),
}

/// What Tempo wraps a trace in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `/api/traces/{trace}`: `tempopb.Trace`, with `batches` in JSON.
    Trace,
    /// `/api/v2/traces/{trace}`: `tempopb.TraceByIDResponse`.
    Response,
}

/// One answer of the backend with status 200, its body whole and not compressed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its content type, lower case, without parameters.
    pub content_type: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// What the caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// 200 with this.
    Found {
        /// The content type.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// Nothing of the caller's is in it: 404, as for an unknown trace.
    NotFound,
}

impl Cut {
    /// Cuts `answers`, one a call, in the order of the calls; `None` for a call that was answered 404.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if an answer is not what the backend is known to send;
    /// [`UpstreamFault::Unexpected`] for a 404 where only a trace can be unknown.
    pub fn apply(&self, answers: &[Option<Answer>]) -> Result<Filtered, Rejection> {
        match (self, answers) {
            (Self::Trace { .. } | Self::Whole { .. }, [None]) => Ok(Filtered::NotFound),
            (Self::Whole { accept }, [Some(answer)]) => {
                let body = answer.body_of(*accept)?.to_owned();
                Ok(Filtered::Found { content_type: accept.media_type(), body })
            }
            (Self::Trace { envelope, marks, accept }, [Some(answer)]) => {
                trace::cut(*envelope, marks, *accept, answer.body_of(Accept::Protobuf)?)
            }
            (Self::Search { marks, mixed }, [Some(answer)]) => {
                search::cut(marks, *mixed, answer.body_of(Accept::Json)?)
            }
            (Self::Metrics { marks }, [Some(answer)]) => metrics::cut(marks, answer.body_of(Accept::Json)?),
            (Self::TagValues(kept), answers) if kept.len() == answers.len() => {
                let bodies = answers.iter().map(|answer| match answer {
                    Some(answer) => answer.body_of(Accept::Json),
                    None => Err(UpstreamFault::Unexpected),
                });
                tag_values::cut(kept, &bodies.collect::<Result<Vec<_>, _>>()?)
            }
            _ => Err(UpstreamFault::Unexpected.into()),
        }
    }
}

impl Answer {
    /// The body, if it is in the form that was asked for. Tempo names these types without variations
    /// (`pkg/api/http.go`).
    fn body_of(&self, asked: Accept) -> Result<&[u8], UpstreamFault> {
        if self.content_type == asked.media_type() { Ok(&self.body) } else { Err(UpstreamFault::Undecodable) }
    }
}

impl Filtered {
    /// JSON printed from `answer`.
    fn json<T: Serialize>(answer: &T) -> Result<Self, Rejection> {
        let body = serde_json::to_vec(answer).map_err(|e| Rejection::Defect(e.to_string()))?;
        Ok(Self::Found { content_type: Accept::Json.media_type(), body })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
