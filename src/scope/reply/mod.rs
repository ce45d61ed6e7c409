//! Cutting an answer to what its caller may see.
//!
//! Answers that no query narrows to the caller's data: of Tempo, of Alertmanager, of Prometheus' rules. An answer is
//! decoded into a closed model, element by element, cut, and printed from what is left; what the model does not know
//! is not passed. An answer that cannot be decoded is refused, never passed: all of it is decoded before any of it is
//! given out (`made`).

mod about;
mod alerts;
mod confirmed;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::expect_used, clippy::panic)]
mod invariants;
mod json;
mod list;
mod made;
mod mark;
mod metadata;
mod metrics;
pub(crate) mod otlp;
mod redact;
mod remote_read;
mod rules;
mod search;
mod silences;
mod streamed;
pub(crate) mod tag_names;
mod tag_values;
mod tempopb;
mod trace;
mod unlisted;
mod window;

pub use about::{About, Question};
pub use alerts::Shown;
pub use confirmed::{Confirm, Confirming};
#[cfg(any(test, feature = "fuzzing"))]
pub use invariants::check as check_invariants;
pub use made::{Made, PART_BYTES};
pub use mark::{Mark, Named};
pub use metadata::Families;
pub use rules::Page;
pub use silences::{OwnedSilence, Silence};
pub use streamed::{Streamed, known, listing};
pub use tag_names::TagScope;
pub use tag_values::Sought;
pub use unlisted::{Found, Listed, Listing, SEARCHES, Unlisted};
pub use window::{FURTHER_TRACES, Window};

use super::Accept;
use crate::budget::Permit;
use crate::rejection::{Rejection, UpstreamFault};
use crate::tenant::ScopeMatchers;
use made::{Account, LARGE_BYTES};
use std::time::Duration;

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
        /// Whether others' spans are left as well, without content.
        redacts: bool,
    },
    /// A search: spans that do not show every mark go, and what the scope's condition added to the
    /// others.
    Search {
        /// What tells the caller's spans.
        marks: Vec<Mark>,
        /// What was asked for, where traces may hold spans of several tenants: then facts about whole traces go,
        /// and what is found is decided again by the spans that are left.
        shared: Option<Window>,
        /// Whether the spans are shown: not where the search was asked for in the older way.
        spans: bool,
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
    /// Names of tags.
    TagNames {
        /// Where they were asked for.
        scope: TagScope,
        /// What confirms that they are the caller's; none where everyone's are.
        confirm: Option<Confirm>,
        /// Whether they are answered in one list.
        flat: bool,
        /// How many of a list are shown.
        most: usize,
    },
    /// Tag values: what each call seeks.
    TagValues(Vec<Sought>),
    /// The same, answered as texts.
    FlatTagValues(Vec<Sought>),
    /// Series that a remote read found: refused unless all are the caller's.
    RemoteRead {
        /// What tells the caller's.
        owned: ScopeMatchers,
        /// The form that was asked for.
        accept: Accept,
        /// How many queries there are.
        queries: usize,
        /// The longest time that one asks for.
        longest: Duration,
    },
    /// Metadata of Prometheus, from two answers: the caller's names, and what the caller's targets say.
    Metadata(Families),
    /// Rules of Prometheus or Loki.
    Rules {
        /// What tells the caller's.
        owned: ScopeMatchers,
        /// Whether their alerts are left out once the cut is made.
        exclude_alerts: bool,
        /// Which of the groups that are left.
        page: Option<Page>,
    },
    /// Alerts of Prometheus or Loki.
    FiringAlerts {
        /// What tells the caller's.
        owned: ScopeMatchers,
    },
    /// Alerts, from three answers: those that were asked for, all of the scope's, the silences in force.
    Alerts {
        /// What tells the caller's.
        owned: ScopeMatchers,
        /// Which states are shown.
        shown: Shown,
        /// Whether they are in groups.
        grouped: bool,
    },
    /// What the backend says of itself.
    About(About),
    /// The receivers of the caller's alerts.
    Receivers {
        /// What tells the caller's.
        owned: ScopeMatchers,
    },
    /// A list of silences.
    Silences {
        /// What tells the caller's.
        owned: ScopeMatchers,
    },
    /// A silence by its id.
    Silence {
        /// What tells the caller's.
        owned: ScopeMatchers,
    },
    /// A silence that was posted.
    SilenceWritten {
        /// What tells the caller's.
        owned: ScopeMatchers,
        /// Whether it changes another, which is looked at first.
        changes: bool,
    },
    /// A silence that was looked at and then expired.
    SilenceExpired {
        /// What tells the caller's.
        owned: ScopeMatchers,
    },
}

/// What Tempo wraps a trace in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `/api/traces/{trace}`: `tempopb.Trace`, with `batches` in JSON.
    Trace,
    /// `/api/v2/traces/{trace}`: `tempopb.TraceByIDResponse`. A trace that is not there is one of no spans, with 200
    /// (`NewTraceByIDV2` in `modules/frontend/combiner/trace_by_id_v2.go` of Tempo 2.7 to 3.1).
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
#[derive(Debug)]
pub enum Reply {
    /// 200 with this.
    Found {
        /// The content type.
        content_type: &'static str,
        /// The body.
        made: Made,
        /// Whether it is sent as a block of snappy.
        snappy: bool,
    },
    /// 200 without a body.
    Done,
    /// Nothing of the caller's is in it: 404, as for an unknown silence, or trace at the older endpoint; or there is no such
    /// endpoint.
    NotFound,
}

impl Cut {
    /// The same, with others' spans of a trace left without content if `redacts`.
    pub(super) fn redacting(self, redacts: bool) -> Self {
        match self {
            Self::Trace { envelope, marks, accept, .. } => Self::Trace { envelope, marks, accept, redacts },
            other => other,
        }
    }

    /// The same for a caller who is shown at most `most` entries.
    pub(super) fn at_most(self, most: u64) -> Self {
        match self {
            Self::Search { marks, shared: Some(window), spans } => {
                Self::Search { marks, shared: Some(window.at_most(most)), spans }
            }
            Self::TagNames { scope, confirm, flat, most: asked } => {
                let most = asked.min(usize::try_from(most).unwrap_or(usize::MAX));
                Self::TagNames { scope, confirm, flat, most }
            }
            other => other,
        }
    }

    /// Whether the next call may be made, after these answers to those before it. Where one may not, the
    /// answer is [`Reply::NotFound`].
    ///
    /// # Errors
    /// As [`Cut::make`].
    pub fn admits(&self, answers: &[Option<Answer>]) -> Result<bool, Rejection> {
        match (self, answers) {
            (Self::SilenceWritten { owned, changes: true } | Self::SilenceExpired { owned }, [looked_at]) => {
                let Some(silence) = looked_at else { return Ok(false) };
                silences::is_own(owned, silence.body_of(Accept::Json)?)
            }
            _ => Ok(true),
        }
    }

    /// What the answer to the call of the number `call` may leave out, where it may.
    pub fn unlisted(&self, call: usize) -> Option<&Unlisted> {
        match self {
            Self::TagValues(sought) | Self::FlatTagValues(sought) => sought.get(call)?.unlisted.as_ref(),
            _ => None,
        }
    }

    /// What confirms that names of tags are the caller's, where that is asked.
    pub fn confirm(&self) -> Option<&Confirm> {
        match self {
            Self::TagNames { confirm, .. } => confirm.as_ref(),
            _ => None,
        }
    }

    /// Cuts `answers`, one a call, in the order of the calls; `None` for a call that was answered 404. `memory` takes what
    /// that needs, and keeps it as long as there is anything to give out.
    ///
    /// # Errors
    /// [`UpstreamFault::Undecodable`] if an answer is not what the backend is known to send;
    /// [`UpstreamFault::Unexpected`] for a 404 where nothing can be unknown; [`Rejection::NoMemory`].
    pub fn make(&self, answers: Vec<Option<Answer>>, memory: Permit) -> Result<Reply, Rejection> {
        self.make_apart(answers, memory, LARGE_BYTES)
    }

    /// The same, where elements of more than `large` bytes are taken apart. With none, nothing is put together before it
    /// is given out.
    fn make_apart(
        &self,
        answers: Vec<Option<Answer>>,
        memory: Permit,
        large: usize,
    ) -> Result<Reply, Rejection> {
        let bytes = answers.iter().flatten().map(|answer| answer.body.len()).sum();
        let account = Account::new(memory, bytes, large);
        let json = |made: Result<Option<Made>, Rejection>| Ok(found(Accept::Json.media_type(), made?));
        match (self, <[Option<Answer>; 1]>::try_from(answers)) {
            (Self::Trace { envelope: Envelope::Response, accept, .. }, Ok([None])) => {
                Ok(found(accept.media_type(), Some(account.whole(trace::none(*accept)?))))
            }
            // A Loki without a ruler has no rules to ask for.
            (
                Self::Trace { .. } | Self::Whole { .. } | Self::Rules { .. } | Self::FiringAlerts { .. },
                Ok([None]),
            )
            // Gone, or never there.
            | (Self::Silence { .. }, Ok([None])) => Ok(Reply::NotFound),
            (Self::About(about), Ok([None])) => json(about::unknown(about, account)),
            (Self::Whole { accept }, Ok([Some(answer)])) => {
                Ok(found(accept.media_type(), Some(account.whole(answer.into_body_of(*accept)?))))
            }
            (Self::Trace { envelope, marks, accept, redacts }, Ok([Some(answer)])) => {
                let body = answer.into_body_of(Accept::Protobuf)?;
                let other = account.another();
                let made = trace::cut(*envelope, marks, *accept, *redacts, body, account)?;
                Ok(match made {
                    None if *envelope == Envelope::Response => {
                        found(accept.media_type(), Some(other.whole(trace::none(*accept)?)))
                    }
                    made => found(accept.media_type(), made),
                })
            }
            (Self::RemoteRead { owned, accept, queries, .. }, Ok([Some(answer)])) => {
                let body = answer.into_body_of(*accept)?;
                if *accept == Accept::ReadChunks {
                    let made = remote_read::chunks(owned, *queries, body, account)?;
                    return Ok(found(remote_read::CHUNKS, made));
                }
                let made = remote_read::samples(owned, *queries, body, account)?;
                let found = |made| Reply::Found {
                    content_type: Accept::ReadSamples.media_type(),
                    made,
                    snappy: true,
                };
                Ok(made.map_or(Reply::NotFound, found))
            }
            (cut, Ok([Some(answer)])) => {
                let body = answer.into_body_of(Accept::Json)?;
                json(match cut {
                    Self::Search { marks, shared, spans } => {
                        search::cut(marks, *shared, *spans, body, account)
                    }
                    Self::TagNames { scope, flat, most, .. } => {
                        tag_names::cut(*scope, *flat, *most, &body, account)
                    }
                    Self::Metrics { marks } => metrics::cut(marks, body, account),
                    Self::TagValues(sought) | Self::FlatTagValues(sought) if sought.len() == 1 => {
                        let flat = matches!(cut, Self::FlatTagValues(_));
                        tag_values::cut(sought, flat, &[&body], account)
                    }
                    Self::Rules { owned, exclude_alerts, page } => {
                        rules::cut(owned, *exclude_alerts, page.as_ref(), body, account)
                    }
                    Self::FiringAlerts { owned } => rules::alerts(owned, body, account),
                    Self::About(about) => about::cut(about, &body, account),
                    Self::Receivers { owned } => alerts::receivers(owned, body, account),
                    Self::Silences { owned } => silences::cut(owned, body, account),
                    Self::Silence { owned } => silences::one(owned, &body, account),
                    Self::SilenceWritten { changes: false, .. } => silences::written(&body, account),
                    _ => Err(UpstreamFault::Unexpected.into()),
                })
            }
            (cut, Ok([None])) => cut.several(vec![None], account),
            (cut, Err(answers)) => cut.several(answers, account),
        }
    }

    /// Cuts the answers to several calls.
    fn several(&self, answers: Vec<Option<Answer>>, account: Account) -> Result<Reply, Rejection> {
        let json = |made: Result<Option<Made>, Rejection>| Ok(found(Accept::Json.media_type(), made?));
        match (self, answers.as_slice()) {
            (Self::TagValues(sought) | Self::FlatTagValues(sought), answers)
                if sought.len() == answers.len() =>
            {
                let bodies = answers.iter().map(|answer| match answer {
                    Some(answer) => answer.body_of(Accept::Json),
                    None => Err(UpstreamFault::Unexpected),
                });
                let flat = matches!(self, Self::FlatTagValues(_));
                json(tag_values::cut(sought, flat, &bodies.collect::<Result<Vec<_>, _>>()?, account))
            }
            (Self::Alerts { owned, shown, grouped }, [Some(_), Some(_), Some(_)]) => {
                let bodies = answers.into_iter().flatten().map(|answer| answer.into_body_of(Accept::Json));
                let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
                let bodies = <[_; 3]>::try_from(bodies).map_err(|_| UpstreamFault::Unexpected)?;
                json(alerts::cut(owned, *shown, *grouped, bodies, account))
            }
            (Self::Metadata(families), [Some(names), Some(answer)]) => {
                let (names, answer) = (names.body_of(Accept::Json)?, answer.body_of(Accept::Json)?);
                json(metadata::cut(families, names, answer, account))
            }
            // Others than Prometheus have no list by target.
            (Self::Metadata(_), [Some(_), None]) => {
                json(Ok(Some(account.whole(br#"{"status":"success","data":{}}"#.to_vec()))))
            }
            (Self::SilenceWritten { changes: true, .. }, [Some(_), Some(answer)]) => {
                json(silences::written(answer.body_of(Accept::Json)?, account))
            }
            (Self::SilenceExpired { .. }, [Some(_), Some(_)]) => Ok(Reply::Done),
            // Gone since it was looked at.
            (Self::SilenceWritten { changes: true, .. } | Self::SilenceExpired { .. }, [Some(_), None]) => {
                Ok(Reply::NotFound)
            }
            _ => Err(UpstreamFault::Unexpected.into()),
        }
    }
}

fn found(content_type: &'static str, made: Option<Made>) -> Reply {
    made.map_or(Reply::NotFound, |made| Reply::Found { content_type, made, snappy: false })
}

impl Answer {
    /// The body, if it is in the form that was asked for. The backends name these types without variations
    /// (`pkg/api/http.go` of Tempo, `api/v2` of Alertmanager).
    fn body_of(&self, asked: Accept) -> Result<&[u8], UpstreamFault> {
        if self.content_type == asked.media_type() { Ok(&self.body) } else { Err(UpstreamFault::Undecodable) }
    }

    /// The same without a copy.
    fn into_body_of(self, asked: Accept) -> Result<Vec<u8>, UpstreamFault> {
        self.body_of(asked).map(drop)?;
        Ok(self.body)
    }
}

/// What the caller gets, put together.
#[cfg(any(test, feature = "fuzzing"))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // as in `Reply`
pub enum Filtered {
    Found { content_type: &'static str, body: Vec<u8> },
    Snappy { content_type: &'static str, body: Vec<u8> },
    Done,
    NotFound,
}

#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::expect_used, clippy::panic)]
mod put_together;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;
