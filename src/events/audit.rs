//! The audit log: one JSON line a decision, to a sink of its own.
//!
//! A line never holds a token, a body or a query: those are told by their digests only. Lines are written by
//! one thread; what happens when it cannot keep up is the operator's choice.

mod file;
mod otlp;

pub use otlp::OtlpSettings;

use crate::policy::Grant;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use file::Appended;
use http_body::{Body, Frame, SizeHint};
use metrics::Counter;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::Write;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context as Polling, Poll};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc::{self, OwnedPermit};

/// Where lines go, and what becomes of requests when they cannot.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Where lines go.
    pub sink: Sink,
    /// What is done while the queue is full.
    pub when_full: WhenFull,
    /// Lines that may wait to be written.
    pub queue: usize,
}

/// Where lines go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// The file that is appended to. If it is moved away a new one is begun.
    File(PathBuf),
    /// A collector of logs.
    Otlp(Box<OtlpSettings>),
}

/// What is done while the queue of lines is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Requests wait: none is answered without its line.
    Block,
    /// Lines are dropped, and counted.
    Drop,
}

/// Takes the lines of one server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    queue: mpsc::Sender<Box<Record>>,
    when_full: WhenFull,
    dropped: Counter,
}

/// A place in the queue, to be filled when the request has ended.
#[derive(Debug)]
pub struct Place(OwnedPermit<Box<Record>>);

/// The thread that writes; it ends when every [`Audit`] and [`Place`] is gone.
pub type Writer = std::thread::JoinHandle<()>;

/// One line.
#[derive(Debug, Serialize)]
pub struct Record {
    /// When the request was answered, in seconds since 1970.
    pub time: f64,
    /// Who issued the token.
    pub issuer: Option<String>,
    /// The token's `sub`.
    pub subject: Option<String>,
    /// The client that the token was issued to: its `azp`, or `client_id`.
    pub client: Option<String>,
    /// The scope that the request ran under, as the header `X-Palisade-Scope` would say it.
    pub scope: Option<String>,
    /// The tenants among it.
    pub tenants: Vec<String>,
    /// The rules that granted it.
    pub rules: Vec<String>,
    /// Whether a break-glass rule granted everything.
    pub unrestricted: bool,
    /// The backend's name.
    pub backend: Option<String>,
    /// The endpoint's name.
    pub endpoint: Option<&'static str>,
    /// How it ended, as in `palisade_requests_total`.
    pub outcome: &'static str,
    /// The status that was sent.
    pub status: u16,
    /// Why it was refused, if it was.
    pub refused: Option<&'static str>,
    /// SHA-256 of what was asked: the URL's query, a line feed, the form.
    pub asked_sha256: Option<Box<str>>,
    /// SHA-256 of what was sent to the backend: for each call its path and query, a line feed, its form, a line
    /// feed.
    pub sent_sha256: Option<Box<str>>,
    /// Bytes of the answer's body that were sent; of a live tail, of its messages.
    pub bytes: u64,
    /// Whether the whole of it was; else the caller went away, or it broke off.
    pub complete: bool,
    /// To the head of the answer, in seconds; of a live tail that ended, to its end.
    pub duration: f64,
    /// Why a live tail ended, in a line of its own; the line of its request was written when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// The trace it belongs to, if the caller said one.
    pub trace_id: Option<String>,
}

impl Record {
    /// A record that tells who asked, by the issuer and the claims of the token, and what was granted.
    pub fn of(issuer: Option<&str>, claims: Option<&Map<String, Value>>, grant: Option<&Grant>) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let claim = |name: &str| claims?.get(name)?.as_str().map(str::to_owned);
        let scope = grant.map(Grant::scope);
        let tenants = scope.and_then(|scope| scope.dimensions().get("tenant"));
        Self {
            time: since.as_secs_f64(),
            issuer: issuer.map(str::to_owned),
            subject: claim("sub"),
            client: claim("azp").or_else(|| claim("client_id")),
            scope: scope.map(ToString::to_string),
            tenants: tenants
                .map(|values| values.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            rules: grant.map(|grant| grant.rules().map(str::to_owned).collect()).unwrap_or_default(),
            unrestricted: scope.is_some_and(crate::tenant::Scope::is_unrestricted),
            backend: None,
            endpoint: None,
            outcome: "",
            status: 0,
            refused: None,
            asked_sha256: None,
            sent_sha256: None,
            bytes: 0,
            complete: false,
            duration: 0.0,
            ended: None,
            trace_id: None,
        }
    }

    /// The line, without its end.
    fn line(&self) -> String {
        // Strings and numbers: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// SHA-256 of `parts`, each with a line feed after it, in hexadecimal digits.
pub fn digest<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Box<str> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part.as_ref());
        context.update(b"\n");
    }
    let digest = context.finish();
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

impl Audit {
    /// Opens the sink and starts to write. `dropped` counts lines that were not.
    ///
    /// # Errors
    /// If the file cannot be opened, or there is no thread.
    pub fn start(settings: &AuditSettings, dropped: Counter) -> std::io::Result<(Self, Writer)> {
        let (queue, records) = mpsc::channel(settings.queue.max(1));
        let lost = dropped.clone();
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let writer = match &settings.sink {
            Sink::Stdout => thread.spawn(move || write(records, std::io::stdout(), &lost))?,
            Sink::File(path) => {
                let file = Appended::open(path)?;
                thread.spawn(move || write(records, file, &lost))?
            }
            Sink::Otlp(collector) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let collector = (**collector).clone();
                thread.spawn(move || runtime.block_on(otlp::send(collector, records, lost)))?
            }
        };
        Ok((Self { queue, when_full: settings.when_full, dropped }, writer))
    }

    /// A place for one line. Waits for one where requests are to wait; `None`: the line is dropped.
    pub async fn place(&self) -> Option<Place> {
        let queue = self.queue.clone();
        let place = match self.when_full {
            WhenFull::Block => queue.reserve_owned().await.ok(),
            WhenFull::Drop => queue.try_reserve_owned().ok(),
        };
        if place.is_none() {
            self.dropped.increment(1);
        }
        place.map(Place)
    }
}

impl Place {
    /// Writes the line.
    pub fn fill(self, record: Box<Record>) {
        self.0.send(record);
    }
}

/// Writes whole lines, and flushes each.
fn write(mut records: mpsc::Receiver<Box<Record>>, mut sink: impl Write, lost: &Counter) {
    while let Some(record) = records.blocking_recv() {
        let mut line = record.line();
        line.push('\n');
        if let Err(error) = sink.write_all(line.as_bytes()).and_then(|()| sink.flush()) {
            lost.increment(1);
            tracing::error!(%error, "the audit log cannot be written");
        }
    }
}

/// A body that writes its request's line when it ends, or is given up.
#[derive(Debug)]
pub struct Audited<B> {
    body: B,
    sent: u64,
    /// Whether all of it was sent, once that is known.
    whole: Option<bool>,
    pending: Option<(Place, Box<Record>)>,
}

impl<B: Body> Audited<B> {
    /// `record` is written to `place` when `body` has ended.
    pub fn new(body: B, place: Place, record: Box<Record>) -> Self {
        // A body of nothing is never asked for anything.
        let whole = body.is_end_stream().then_some(true);
        Self { body, sent: 0, whole, pending: Some((place, record)) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Audited<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Polling<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.sent = self.sent.saturating_add(bytes);
                // After trailers nothing more is asked for; those of a call of gRPC tell its outcome.
                let outcome = frame.trailers_ref().map(|trailers| trailers.get("grpc-status"));
                let told = outcome.map(|outcome| outcome.is_none_or(|outcome| outcome == "0"));
                self.whole = told.or_else(|| self.body.is_end_stream().then_some(true));
            }
            Poll::Ready(None) => self.whole = self.whole.or(Some(true)),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
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

impl<B> Drop for Audited<B> {
    fn drop(&mut self) {
        if let Some((place, mut record)) = self.pending.take() {
            record.bytes = self.sent;
            record.complete = self.whole == Some(true);
            place.0.send(record);
        }
    }
}

/// What is digested of a request on its way; none where nothing is audited.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    /// Of what was asked.
    pub asked: Option<Box<str>>,
    /// Of what was sent.
    pub sent: Option<Box<str>>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn settings(when_full: WhenFull, queue: usize) -> (AuditSettings, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        (AuditSettings { sink: Sink::File(file.path().to_owned()), when_full, queue }, file)
    }

    fn lines(file: &tempfile::NamedTempFile) -> Vec<Value> {
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn every_place_is_one_line() {
        let (settings, file) = settings(WhenFull::Block, 2);
        let (audit, writer) = Audit::start(&settings, Counter::noop()).unwrap();
        for bytes in 0..5 {
            let record = Box::new(Record { bytes, outcome: "passed\n", ..Record::of(None, None, None) });
            let none = http_body_util::Empty::<Bytes>::new();
            let mut body = Audited::new(none, audit.place().await.unwrap(), record);
            body.sent = bytes;
        }
        drop(audit);
        writer.join().unwrap();
        let lines = lines(&file);
        assert_eq!(lines.len(), 5);
        assert_eq!((lines[4]["bytes"].as_u64(), lines[4]["outcome"].as_str()), (Some(4), Some("passed\n")));
    }

    #[tokio::test]
    async fn a_full_queue_holds_requests_up_or_drops_their_lines() {
        let (settings, _file) = settings(WhenFull::Drop, 1);
        let (audit, _) = Audit::start(&settings, Counter::noop()).unwrap();
        let first = audit.place().await;
        assert!(first.is_some() && audit.place().await.is_none());
        let blocking = Audit { when_full: WhenFull::Block, ..audit.clone() };
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, blocking.place()).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(soon, blocking.place()).await.unwrap().is_some());
    }

    #[test]
    fn digests_tell_parts_apart() {
        assert_eq!(&*digest::<&str>([]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_ne!(digest(["a", "b"]), digest(["ab"]));
    }
}
