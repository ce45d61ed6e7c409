//! The metrics, registered once; on the hot path only handles are touched.

use super::{Outcome, TailEnd, TokenOutcome};
use crate::api::{Endpoint, Methods, Treatment, own};
use crate::rejection::TokenFault;
use crate::scope::Backend;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::formatting::{sanitize_label_value, write_help_line, write_type_line};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Upper bounds of the latency histograms, in seconds.
const BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// All metrics of one server.
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    backends: Vec<BackendMetrics>,
    no_mount: Vec<Counter>,
    own: BackendMetrics,
    token_cached: Counter,
    token_verified: Counter,
    token_refused: Vec<(TokenFault, Counter)>,
    scoped_query_hits: Counter,
    scoped_query_misses: Counter,
    disagreements: Counter,
    policy_faults: Counter,
    audit_dropped: Counter,
    reloads: [Counter; 2],
}

/// The metrics of one backend.
#[derive(Clone, Debug)]
pub struct BackendMetrics {
    endpoints: &'static [Endpoint],
    /// One an endpoint, and a last one for requests that match none.
    by_endpoint: Vec<EndpointMetrics>,
    /// Where some endpoint is a live tail.
    tails: Option<TailMetrics>,
}

/// The metrics of one backend's live tails.
#[derive(Clone, Debug)]
pub struct TailMetrics {
    open: Gauge,
    ended: Vec<Counter>,
}

/// The metrics of one endpoint.
#[derive(Clone, Debug)]
pub struct EndpointMetrics {
    outcomes: Vec<Counter>,
    duration: Histogram,
    upstream: Histogram,
    dropped: Counter,
    broken: Option<Counter>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Registers the metrics of `backends`, in their order.
    ///
    /// # Errors
    /// Never in practice: the buckets are a constant.
    pub fn new(backends: &[Backend]) -> Result<Self, metrics_exporter_prometheus::BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?
            .build_recorder();
        describe(&recorder);
        Ok(Self::registered(Arc::new(recorder), backends))
    }

    /// The same metrics with those of other `backends`: what both have counts on.
    pub fn renewed(&self, backends: &[Backend]) -> Self {
        Self::registered(Arc::clone(&self.recorder), backends)
    }

    fn registered(recorder: Arc<PrometheusRecorder>, backends: &[Backend]) -> Self {
        metrics::with_local_recorder(&*recorder, || {
            Self {
            recorder: Arc::clone(&recorder),
            handle: recorder.handle(),
            backends: backends.iter().map(BackendMetrics::register).collect(),
            no_mount: Outcome::ALL
                .into_iter()
                .map(|o| counter!("palisade_requests_total", "backend" => "", "endpoint" => "", "outcome" => o.name()))
                .collect(),
            own: BackendMetrics::of(own::NAME, own::ENDPOINTS),
            token_cached: counter!("palisade_token_total", "outcome" => "cached"),
            token_verified: counter!("palisade_token_total", "outcome" => "verified"),
            token_refused: TokenFault::ALL
                .into_iter()
                .map(|fault| (fault, counter!("palisade_token_total", "outcome" => fault.name())))
                .collect(),
            scoped_query_hits: counter!("palisade_scoped_query_total", "outcome" => "hit"),
            scoped_query_misses: counter!("palisade_scoped_query_total", "outcome" => "miss"),
            disagreements: counter!("palisade_scope_disagreement_total"),
            policy_faults: counter!("palisade_policy_faults_total"),
            audit_dropped: counter!("palisade_audit_dropped_total"),
            reloads: ["refused", "done"].map(|outcome| counter!("palisade_reload_total", "outcome" => outcome)),
        }
        })
    }

    /// Another snapshot was to be served, and is or is not.
    pub fn reloaded(&self, done: bool) {
        let [refused, taken] = &self.reloads;
        if done { taken } else { refused }.increment(1);
    }

    /// The metrics of the backend at `index` of those registered.
    pub fn backend(&self, index: usize) -> Option<&BackendMetrics> {
        self.backends.get(index)
    }

    /// The metrics of what Palisade answers itself.
    pub fn own(&self) -> &BackendMetrics {
        &self.own
    }

    /// A request ended before a backend was known.
    pub fn below_no_mount(&self, outcome: Outcome) {
        if let Some(counter) = self.no_mount.get(outcome as usize) {
            counter.increment(1);
        }
    }

    /// A token was looked at.
    pub fn token(&self, outcome: TokenOutcome) {
        match outcome {
            TokenOutcome::Cached => self.token_cached.increment(1),
            TokenOutcome::Verified => self.token_verified.increment(1),
            TokenOutcome::Refused(fault) => {
                if let Some((_, counter)) = self.token_refused.iter().find(|(f, _)| *f == fault) {
                    counter.increment(1);
                }
            }
        }
    }

    /// A query was looked for among those scoped before.
    pub fn scoped_query(&self, hit: bool) {
        let counter = if hit { &self.scoped_query_hits } else { &self.scoped_query_misses };
        counter.increment(1);
    }

    /// A scoped text did not stand its proof. Alert on it: it is a defect of Palisade.
    pub fn disagreement(&self) {
        self.disagreements.increment(1);
    }

    /// Policy expressions could not be evaluated: their rules did not apply.
    pub fn policy_faults(&self, faults: usize) {
        if faults > 0 {
            self.policy_faults.increment(faults as u64);
        }
    }

    /// Counts lines of the audit log that were not written.
    pub fn audit_dropped(&self) -> Counter {
        self.audit_dropped.clone()
    }

    /// There is such an issuer: its fetches are counted from zero on. Issuers are those of the configuration, so the
    /// label has few values.
    pub fn issuer(&self, issuer: &str) {
        for outcome in ["done", "failed"] {
            self.fetches(issuer, outcome).increment(0);
        }
    }

    /// An issuer's keys were fetched, or could not be.
    pub fn keys_fetched(&self, issuer: &str, done: bool) {
        self.fetches(issuer, if done { "done" } else { "failed" }).increment(1);
    }

    fn fetches(&self, issuer: &str, outcome: &'static str) -> Counter {
        metrics::with_local_recorder(
            &*self.recorder,
            || counter!("palisade_issuer_fetches_total", "issuer" => issuer.to_owned(), "outcome" => outcome),
        )
    }

    /// The page for Prometheus. `ages`: how long ago the keys of each issuer were last fetched.
    pub fn render<'a>(&self, ages: impl Iterator<Item = (&'a str, Duration)>) -> String {
        self.handle.run_upkeep();
        let mut page = self.handle.render();
        keys_ages(&mut page, ages);
        page
    }

    /// To be called every few seconds: histograms keep what they are given until then.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

impl BackendMetrics {
    fn register(backend: &Backend) -> Self {
        Self::of(&backend.name, backend.kind.endpoints())
    }

    fn of(name: &str, endpoints: &'static [Endpoint]) -> Self {
        let streams = |e: &Endpoint| matches!(e.methods, Methods::Grpc(_));
        let rows = endpoints.iter().map(|e| (e.name, streams(e))).chain([("unknown", false)]);
        let register = |(endpoint, streams)| EndpointMetrics::register(name, endpoint, streams);
        let by_endpoint = rows.map(register).collect();
        let tails = endpoints.iter().any(|endpoint| endpoint.treatment == Treatment::Tail);
        Self { endpoints, by_endpoint, tails: tails.then(|| TailMetrics::register(name)) }
    }

    /// The metrics of live tails, if this backend has them.
    pub fn tails(&self) -> Option<&TailMetrics> {
        self.tails.as_ref()
    }

    /// The metrics of `endpoint`, or of requests that match none.
    pub fn endpoint(&self, endpoint: Option<&'static Endpoint>) -> Option<&EndpointMetrics> {
        let index = endpoint.and_then(|e| self.endpoints.iter().position(|row| std::ptr::eq(row, e)));
        self.by_endpoint.get(index.unwrap_or(self.endpoints.len()))
    }
}

impl EndpointMetrics {
    /// `streams`: whether its answers are streams of messages.
    fn register(backend: &str, endpoint: &'static str, streams: bool) -> Self {
        let backend = backend.to_owned();
        let outcome = |o: Outcome| counter!("palisade_requests_total", "backend" => backend.clone(), "endpoint" => endpoint, "outcome" => o.name());
        Self {
            outcomes: Outcome::ALL.into_iter().map(outcome).collect(),
            duration: histogram!("palisade_request_duration_seconds", "backend" => backend.clone(), "endpoint" => endpoint),
            upstream: histogram!("palisade_upstream_duration_seconds", "backend" => backend.clone(), "endpoint" => endpoint),
            dropped: counter!("palisade_parameters_dropped_total", "backend" => backend.clone(), "endpoint" => endpoint),
            broken: streams.then(|| counter!("palisade_streams_broken_total", "backend" => backend.clone(), "endpoint" => endpoint)),
        }
    }

    /// A request ended.
    pub(super) fn finished(&self, outcome: Outcome, duration: Duration) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.increment(1);
        }
        self.duration.record(duration);
    }

    /// The backend answered one call.
    pub fn upstream(&self, duration: Duration) {
        self.upstream.record(duration);
    }

    /// A stream of messages ended before its end.
    pub(super) fn broken(&self) {
        if let Some(counter) = &self.broken {
            counter.increment(1);
        }
    }

    /// Parameters that the endpoint does not list were dropped.
    pub fn dropped(&self, pairs: usize) {
        if pairs > 0 {
            self.dropped.increment(pairs as u64);
        }
    }
}

impl TailMetrics {
    fn register(backend: &str) -> Self {
        let backend = backend.to_owned();
        let ended = |reason: TailEnd| counter!("palisade_tails_ended_total", "backend" => backend.clone(), "reason" => reason.name());
        Self {
            ended: TailEnd::ALL.into_iter().map(ended).collect(),
            open: gauge!("palisade_tails_open", "backend" => backend.clone()),
        }
    }

    /// A tail is open from now on.
    pub fn opened(&self) {
        self.open.increment(1.0);
    }

    /// It is no more.
    pub fn closed(&self) {
        self.open.decrement(1.0);
    }

    /// Why it is no more.
    pub(super) fn ended(&self, reason: TailEnd) {
        if let Some(counter) = self.ended.get(reason as usize) {
            counter.increment(1);
        }
    }
}

/// The recorder never forgets a gauge. These are written beside it, so that an issuer that a reload removes is gone.
fn keys_ages<'a>(page: &mut String, ages: impl Iterator<Item = (&'a str, Duration)>) {
    const NAME: &str = "palisade_issuer_keys_age_seconds";
    let help = "How long ago an issuer's keys were last fetched; if never, since the start.";
    write_help_line(page, NAME, None, None, help);
    write_type_line(page, NAME, None, None, "gauge");
    for (issuer, age) in ages {
        // A string can always be written to.
        let _ = writeln!(page, "{NAME}{{issuer=\"{}\"}} {}", sanitize_label_value(issuer), age.as_secs_f64());
    }
    page.push('\n');
}

fn describe(recorder: &PrometheusRecorder) {
    metrics::with_local_recorder(recorder, || {
        metrics::describe_counter!("palisade_requests_total", "Requests by backend, endpoint and outcome.");
        metrics::describe_counter!(
            "palisade_parameters_dropped_total",
            "Parameters that no endpoint lists, not forwarded."
        );
        metrics::describe_counter!(
            "palisade_streams_broken_total",
            "Streams of messages that ended before their end; they began, and are counted as requests by that."
        );
        metrics::describe_counter!("palisade_token_total", "Bearer tokens by what became of them.");
        metrics::describe_counter!(
            "palisade_scoped_query_total",
            "Queries by whether what they become was still known."
        );
        metrics::describe_counter!(
            "palisade_scope_disagreement_total",
            "Scoped queries that did not stand their proof. Always 0; alert on it."
        );
        metrics::describe_counter!(
            "palisade_audit_dropped_total",
            "Lines of the audit log that were not written."
        );
        metrics::describe_counter!(
            "palisade_reload_total",
            "Snapshots that were read to replace the one that is served, by whether they did."
        );
        metrics::describe_counter!(
            "palisade_issuer_fetches_total",
            "Fetches of issuers' keys, by whether they went well."
        );
        metrics::describe_counter!(
            "palisade_policy_faults_total",
            "Policy expressions that could not be evaluated for a token; their rules did not apply."
        );
        metrics::describe_gauge!("palisade_tails_open", "Live tails that are open.");
        metrics::describe_counter!("palisade_tails_ended_total", "Live tails that ended, by why.");
        metrics::describe_histogram!(
            "palisade_request_duration_seconds",
            "From the head of a request to the head of its answer."
        );
        metrics::describe_histogram!(
            "palisade_upstream_duration_seconds",
            "From a call to the head of the backend's answer."
        );
    });
}
