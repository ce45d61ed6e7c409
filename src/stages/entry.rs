//! The entry of one request: it is opened with the head of the request and made when the last byte of the answer is
//! gone, or whoever asked is. It makes the log line, the metrics and the line of the audit log, however the request
//! ends: what is given up is dropped, and what is dropped is entered.

use super::conclude::Conclude;
use super::{Left, Told};
use crate::api::{Endpoint, own};
use crate::auth::Caller;
use crate::budget::Permit;
use crate::events::audit::{Place, Record};
use crate::events::{Outcome, RequestFinished};
use crate::rejection::Rejection;
use crate::respond::{self, Body};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body::{Body as _, Frame, SizeHint};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

/// Bytes of a path that are told.
const PATH_BYTES: usize = 1024;

/// What is known of a request, to be told once. Whatever counts as long as the request lasts is in it.
#[derive(Debug)]
pub(super) struct Entry {
    stage: Arc<Conclude>,
    /// Among the requests that are worked on.
    pub permit: Option<Permit>,
    /// For the line of the audit log, if it has one.
    pub place: Option<Place>,
    method: Method,
    uri: Uri,
    address: IpAddr,
    started: Instant,
    told: Told,
    left: Left,
    answered: Option<Answered>,
    bytes: u64,
    /// How the answer ended, once that is known.
    end: Option<End>,
    /// Whether what it began lasts for longer than its answer, as a live tail does.
    lasting: bool,
    /// Why that ended, if it did.
    reason: Option<&'static str>,
    /// Whether its events have been told.
    counted: bool,
}

/// The head of an answer.
#[derive(Debug)]
struct Answered {
    outcome: Outcome,
    status: StatusCode,
    rejection: Option<Box<Rejection>>,
    duration: Duration,
}

/// How an answer ended.
#[derive(Debug)]
enum End {
    /// All of it was given.
    Whole,
    /// It broke off.
    Broken(String),
}

impl Entry {
    /// The entry of a request that begins.
    pub fn open(stage: &Arc<Conclude>, method: Method, uri: Uri, address: IpAddr) -> Self {
        Self {
            stage: Arc::clone(stage),
            permit: None,
            place: None,
            method,
            uri,
            address,
            started: Instant::now(),
            told: Told::default(),
            left: Left(Some(Arc::new(Mutex::new(None)))),
            answered: None,
            bytes: 0,
            end: None,
            lasting: false,
            reason: None,
            counted: false,
        }
    }

    /// What goes with the request, and comes back however it ends.
    pub fn told(&self) -> Told {
        let mut told = Told::default();
        told.left = self.left.shared();
        told.address = Some(self.address);
        told
    }

    /// What was told of a request that was given up.
    pub fn left(&self) -> Told {
        self.left.take().unwrap_or_default()
    }

    /// The answer has begun.
    pub fn answered(
        &mut self,
        mut told: Told,
        outcome: Outcome,
        status: StatusCode,
        rejection: Option<Box<Rejection>>,
    ) {
        told.left = Left(None);
        self.told = told;
        self.answered = Some(Answered { outcome, status, rejection, duration: self.started.elapsed() });
    }

    /// What it began lasts for longer than its answer: it is no request any more that is worked on, and its line is
    /// written at the end.
    pub fn lasts(&mut self) {
        self.told.place = None;
        self.permit = None;
        self.lasting = true;
        self.count();
    }

    /// What lasted has ended, for this reason, and had so many bytes.
    pub fn ended(mut self, reason: &'static str, bytes: u64) {
        self.bytes = bytes;
        self.reason = Some(reason);
        self.end = Some(End::Whole);
        if let Some(answered) = &mut self.answered {
            answered.duration = self.started.elapsed();
        }
    }

    /// How it ended, as far as that is known.
    fn outcome(&self) -> Outcome {
        match (&self.answered, &self.end) {
            (Some(answered), Some(End::Whole)) => answered.outcome,
            (Some(answered), _) if self.lasting || answered.rejection.is_some() => answered.outcome,
            (Some(_), Some(End::Broken(_))) => Outcome::Broken,
            (Some(_), None) | (None, _) => Outcome::Cancelled,
        }
    }

    fn path(&self) -> &str {
        let path = self.uri.path();
        path.get(..path.floor_char_boundary(PATH_BYTES)).unwrap_or_default()
    }

    /// Tells the events, once.
    fn count(&mut self) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        if self.answered.is_none() {
            self.told = self.left();
            self.told.left = Left(None);
        }
        let told = &mut self.told;
        if told.endpoint.is_none() {
            // Refused before that was looked at.
            told.endpoint = endpoint(told, self.uri.path());
        }
        let (told, outcome) = (&self.told, self.outcome());
        let metrics = &self.stage.metrics;
        let (answerer, counted) = (told.answerer(), told.counted(metrics));
        if answerer.is_none() {
            metrics.below_no_mount(outcome);
        }
        let broken = match &self.end {
            Some(End::Broken(why)) => Some(why.as_str()),
            _ => None,
        };
        let finished = RequestFinished {
            backend: answerer,
            endpoint: told.endpoint,
            outcome,
            status: self.answered.as_ref().map(|answered| answered.status),
            duration: self.duration(),
            method: &self.method,
            path: self.path(),
            address: Some(self.address),
            bytes: self.bytes,
            subject: told.caller.as_ref().and_then(|caller| caller.subject()),
            trace_id: told.trace_id.as_deref().unwrap_or("-"),
            grant: told.grant.as_ref(),
            rejection: self.answered.as_ref().and_then(|answered| answered.rejection.as_deref()),
            broken,
        };
        finished.emit(counted.and_then(|backend| backend.endpoint(told.endpoint)));
    }

    fn duration(&self) -> Duration {
        self.answered.as_ref().map_or_else(|| self.started.elapsed(), |answered| answered.duration)
    }

    /// The line of the audit log.
    fn record(&mut self) -> Option<Record> {
        let detail = self.stage.audit.as_ref()?.told();
        let digests = std::mem::take(&mut self.told.digests);
        let told = &self.told;
        let caller = told.caller.as_deref();
        let (issuer, claims) = (caller.map(Caller::issuer), caller.map(Caller::claims));
        let answered = self.answered.as_ref();
        Some(Record {
            address: Some(self.address),
            method: self.method.as_str().to_owned(),
            path: self.path().to_owned(),
            backend: self.told.answerer().map(str::to_owned),
            endpoint: self.told.endpoint.map(|endpoint| endpoint.name),
            outcome: self.outcome().name(),
            status: answered.map(|answered| answered.status.as_u16()),
            refused: answered.and_then(|answered| answered.rejection.as_deref()).map(Rejection::kind),
            asked: digests.text,
            asked_sha256: digests.asked,
            sent_sha256: digests.sent,
            bytes: self.bytes,
            complete: matches!(self.end, Some(End::Whole)),
            duration: self.duration().as_secs_f64(),
            ended: self.reason,
            trace_id: self.told.trace_id.as_deref().map(str::to_owned),
            ..Record::of(issuer, claims, self.told.grant.as_ref(), detail)
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.count();
        if let Some(place) = self.place.take()
            && let Some(record) = self.record()
        {
            place.fill(Box::new(record));
        }
    }
}

/// The endpoint of a path, where some backend of the site has it.
fn endpoint(told: &Told, path: &str) -> Option<&'static Endpoint> {
    let below = path.get(told.mounted..)?;
    if told.own {
        return own::route(below);
    }
    let mounts = &told.site.as_ref()?.mounts;
    mounts.iter().find_map(|mount| mount.backend.route(below).ok()).map(|matched| matched.endpoint)
}

/// The body of an answer, as the connection that gives it knows it.
pub trait Timed:
    http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + Send + 'static
{
    /// When it must be over.
    fn ends(&self) -> Option<SystemTime> {
        None
    }

    /// It is given up for this reason, whether all of it was given or not.
    fn broke_off(&mut self, _why: &'static str) {}
}

impl Timed for Body {}

/// That of a service whose panics are caught.
impl Timed for tower_http::body::UnsyncBoxBody<Bytes, tower_http::BoxError> {}

/// The body of an answer, which makes the entry of its request when it ends, or is given up.
#[derive(Debug)]
pub struct Answering {
    body: Body,
    entry: Option<Box<Entry>>,
}

impl Answering {
    /// `response`, whose end is the end of the request.
    pub(super) fn new(response: Response<Body>, entry: Entry) -> Response<Self> {
        response.map(|body| {
            let mut answering = Self { body, entry: Some(Box::new(entry)) };
            if answering.body.is_end_stream() {
                // A body of nothing is never asked for anything.
                answering.end(End::Whole);
            }
            answering
        })
    }

    /// `response`, of whose request another tells.
    pub(super) fn untold(response: Response<Body>) -> Response<Self> {
        response.map(|body| Self { body, entry: None })
    }

    /// It has ended for us; what was given of it may still be given up.
    fn end(&mut self, end: End) {
        if let Some(entry) = &mut self.entry {
            entry.end = Some(end);
        }
    }
}

impl Timed for Answering {
    /// Nothing of a token lasts longer after its end than a request that began then.
    fn ends(&self) -> Option<SystemTime> {
        let entry = self.entry.as_ref()?;
        entry.told.caller.as_ref()?.ends().checked_add(entry.stage.timeout)
    }

    fn broke_off(&mut self, why: &'static str) {
        self.end(End::Broken(why.to_owned()));
    }
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(data), Some(entry)) = (frame.data_ref(), &mut self.entry) {
                    entry.bytes = entry.bytes.saturating_add(data.len() as u64);
                }
                // After trailers nothing more is asked for; those of a call of gRPC tell its outcome.
                match frame.trailers_ref().map(broken) {
                    Some(Some(code)) => self.end(End::Broken(code)),
                    Some(None) => self.end(End::Whole),
                    None if self.body.is_end_stream() => self.end(End::Whole),
                    None => {}
                }
            }
            Poll::Ready(None) => self.end(End::Whole),
            Poll::Ready(Some(Err(error))) => {
                let why = error.to_string();
                self.end(End::Broken(why));
            }
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What trailers say of an answer that is not all that was asked for.
fn broken(trailers: &HeaderMap) -> Option<String> {
    let status = trailers.get(respond::grpc::STATUS)?.to_str().unwrap_or("-");
    (status != "0").then(|| format!("grpc-status {status}"))
}
