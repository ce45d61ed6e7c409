//! What is told of live tails.

use super::TailMetrics;
use std::time::Duration;

/// Why a live tail ended; the label `reason` of `palisade_tails_ended_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailEnd {
    /// The client closed it, or went away.
    Client,
    /// The client took nothing, or answered nothing, for too long.
    Stalled,
    /// The backend closed it, or its connection broke.
    Backend,
    /// A message of the backend was over the cap.
    TooLarge,
    /// No memory was left for a message of the backend.
    NoMemory,
    /// The token expired.
    Expired,
    /// What is served after a reload would not open it any more.
    Policy,
    /// The server ends.
    Shutdown,
}

impl TailEnd {
    /// Every reason, in order.
    pub const ALL: [Self; 8] = [
        Self::Client,
        Self::Stalled,
        Self::Backend,
        Self::TooLarge,
        Self::NoMemory,
        Self::Expired,
        Self::Policy,
        Self::Shutdown,
    ];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Stalled => "stalled",
            Self::Backend => "backend",
            Self::TooLarge => "too_large",
            Self::NoMemory => "no_memory",
            Self::Expired => "expired",
            Self::Policy => "policy",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A live tail has ended.
#[derive(Debug)]
pub struct TailEnded<'a> {
    /// The backend's name.
    pub backend: &'a str,
    /// Why.
    pub reason: TailEnd,
    /// How long it was open.
    pub duration: Duration,
    /// Bytes of the messages that were passed.
    pub bytes: u64,
    /// Who asked, if known: the token's subject.
    pub subject: Option<&'a str>,
    /// The trace it belongs to, if the caller said one.
    pub trace_id: &'a str,
}

impl TailEnded<'_> {
    /// Counts and logs it.
    pub fn emit(&self, metrics: Option<&TailMetrics>) {
        if let Some(metrics) = metrics {
            metrics.ended(self.reason);
        }
        let Self { backend, bytes, trace_id, .. } = *self;
        let (reason, seconds) = (self.reason.name(), self.duration.as_secs_f64());
        let subject = self.subject.unwrap_or("-");
        tracing::info!(backend, reason, seconds, bytes, subject, trace_id, "tail ended");
    }
}
