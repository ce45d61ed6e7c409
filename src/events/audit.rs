//! The audit log: one JSON line a decision, to a sink of its own.
//!
//! A line never holds a token; queries and bodies are told by their digests, and as they are only where the operator
//! asks for that. Lines are written by one thread; what happens when it cannot keep up is the operator's choice.

mod file;
mod lines;
mod otlp;

pub use otlp::OtlpSettings;

use crate::policy::Grant;
use aws_lc_rs::digest::{Context, SHA256};
use file::Appended;
use lines::Lines;
use metrics::Counter;
use serde::Serialize;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc::{self, OwnedPermit};

/// Where lines go, and what becomes of requests when they cannot.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Where lines go.
    pub sink: Sink,
    /// What is done while the queue is full.
    pub when_full: WhenFull,
    /// Lines that may wait to be written, those of requests that are answered among them.
    pub queue: usize,
    /// What is told of each request.
    pub told: Detail,
}

/// What a line tells that not every operator wants to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The claim that names a user as people know them, if it is to be told.
    pub user_claim: Option<String>,
    /// Whether what was asked is told as it is.
    pub queries: bool,
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
    /// Requests wait, and are refused where that takes too long: none is answered without its line.
    Block,
    /// Lines are dropped, and counted.
    Drop,
}

/// Takes the lines of one server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit {
    queue: mpsc::Sender<Box<Record>>,
    when_full: WhenFull,
    /// Whether a line waits that cannot be written.
    stuck: Arc<AtomicBool>,
    told: Arc<Detail>,
    dropped: Counter,
}

/// How long a request waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(5);

/// A place in the queue, to be filled when the request has ended.
#[derive(Debug)]
pub struct Place(OwnedPermit<Box<Record>>);

/// The thread that writes; it ends when every [`Audit`] and [`Place`] is gone.
pub type Writer = std::thread::JoinHandle<()>;

/// One line.
#[derive(Debug, Default, Serialize)]
pub struct Record {
    /// When the request ended, in seconds since 1970.
    pub time: f64,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// How it was asked.
    pub method: String,
    /// What was asked for, without parameters.
    pub path: String,
    /// Who issued the token.
    pub issuer: Option<String>,
    /// The token's `sub`.
    pub subject: Option<String>,
    /// The claim that names the user, if one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The token's `jti`.
    pub token_id: Option<String>,
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
    /// The status that was sent, if one was.
    pub status: Option<u16>,
    /// Why it was refused, if it was.
    pub refused: Option<&'static str>,
    /// What was asked, if that is to be told: the URL's query, a line feed, the form; its first 16 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Box<str>>,
    /// SHA-256 of what was asked: the URL's query, a line feed, the form.
    pub asked_sha256: Option<Box<str>>,
    /// SHA-256 of what was sent to the backend: for each call its path and query, a line feed, its form, a line
    /// feed.
    pub sent_sha256: Option<Box<str>>,
    /// Bytes of the answer's body that were sent; of a live tail, of its messages.
    pub bytes: u64,
    /// Whether the whole of it was; else the caller went away, or it broke off.
    pub complete: bool,
    /// To the head of the answer, in seconds; without one, and of a live tail, to the end.
    pub duration: f64,
    /// Why a live tail ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// The trace it belongs to, if the caller said one.
    pub trace_id: Option<String>,
}

impl Record {
    /// A record of now that tells who asked, by the issuer and the claims of the token, and what was granted.
    pub fn of(
        issuer: Option<&str>,
        claims: Option<&Map<String, Value>>,
        grant: Option<&Grant>,
        told: &Detail,
    ) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let claim = |name: &str| claims?.get(name)?.as_str().map(str::to_owned);
        let scope = grant.map(Grant::scope);
        let tenants = scope.and_then(|scope| scope.dimensions().get("tenant"));
        Self {
            time: since.as_secs_f64(),
            issuer: issuer.map(str::to_owned),
            subject: claim("sub"),
            user: told.user_claim.as_deref().and_then(claim),
            token_id: claim("jti"),
            client: claim("azp").or_else(|| claim("client_id")),
            scope: scope.map(ToString::to_string),
            tenants: tenants
                .map(|values| values.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            rules: grant.map(|grant| grant.rules().map(str::to_owned).collect()).unwrap_or_default(),
            unrestricted: scope.is_some_and(crate::tenant::Scope::is_unrestricted),
            ..Self::default()
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

/// Bytes of what was asked that are told.
const ASKED_BYTES: usize = 16 * 1024;

impl Audit {
    /// Opens the sink and starts to write. `dropped` counts lines that were not.
    ///
    /// # Errors
    /// If the file cannot be opened, or there is no thread.
    pub fn start(settings: &AuditSettings, dropped: Counter) -> std::io::Result<(Self, Writer)> {
        let (queue, records) = mpsc::channel(settings.queue.max(1));
        let (when_full, stuck) = (settings.when_full, Arc::new(AtomicBool::new(false)));
        let told = Arc::new(settings.told.clone());
        let audit = Self { queue, when_full, stuck: Arc::clone(&stuck), told, dropped: dropped.clone() };
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let writer = match &settings.sink {
            Sink::Stdout => {
                let mut lines = Lines::new(std::io::stdout(), when_full, stuck, dropped);
                thread.spawn(move || lines.write(records))?
            }
            Sink::File(path) => {
                let mut lines = Lines::new(Appended::open(path)?, when_full, stuck, dropped);
                thread.spawn(move || lines.write(records))?
            }
            Sink::Otlp(collector) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let collector = (**collector).clone();
                thread.spawn(move || runtime.block_on(otlp::send(collector, records, dropped)))?
            }
        };
        Ok((audit, writer))
    }

    /// What is told of each request.
    pub fn told(&self) -> &Detail {
        &self.told
    }

    /// Whether requests are to be refused because a line cannot be written.
    pub fn is_stuck(&self) -> bool {
        self.when_full == WhenFull::Block && self.stuck.load(Ordering::Relaxed)
    }

    /// A place for one line, if there is one now.
    pub fn place(&self) -> Option<Place> {
        self.queue.clone().try_reserve_owned().ok().map(Place)
    }

    /// Whether a request without a place must be refused after some waiting. Else its line is lost, which is counted.
    pub async fn wait(&self) -> Result<Option<Place>, Unwritable> {
        match self.when_full {
            WhenFull::Block => {
                let place = tokio::time::timeout(PATIENCE, self.queue.clone().reserve_owned()).await;
                place.map(|place| place.ok().map(Place)).map_err(|_| Unwritable)
            }
            WhenFull::Drop => {
                self.dropped.increment(1);
                Ok(None)
            }
        }
    }
}

/// No line can be had.
#[derive(Debug, PartialEq, Eq)]
pub struct Unwritable;

impl Place {
    /// Writes the line.
    pub fn fill(self, record: Box<Record>) {
        self.0.send(record);
    }
}

/// What of `parts` is told as it is, with line feeds between them; a part that is no text ends it.
pub fn asked(parts: [&[u8]; 2]) -> Box<str> {
    let texts: Vec<&str> = parts.into_iter().map_while(|part| std::str::from_utf8(part).ok()).collect();
    let mut text = texts.join("\n");
    text.truncate(text.floor_char_boundary(ASKED_BYTES));
    text.into()
}

/// What is digested of a request on its way; none where nothing is audited.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    /// What was asked, where that is told as it is.
    pub text: Option<Box<str>>,
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
        let sink = Sink::File(file.path().to_owned());
        (AuditSettings { sink, when_full, queue, told: Detail::default() }, file)
    }

    #[test]
    fn every_place_is_one_line() {
        let (settings, file) = settings(WhenFull::Block, 8);
        let (audit, writer) = Audit::start(&settings, Counter::noop()).unwrap();
        for bytes in 0..5 {
            let record = Record { bytes, outcome: "passed\n", ..Record::default() };
            audit.place().unwrap().fill(Box::new(record));
        }
        drop(audit);
        writer.join().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 5);
        assert_eq!((lines[4]["bytes"].as_u64(), lines[4]["outcome"].as_str()), (Some(4), Some("passed\n")));
    }

    #[tokio::test]
    async fn a_full_queue_holds_requests_up_or_drops_their_lines() {
        let (settings, _file) = settings(WhenFull::Drop, 1);
        let (audit, _) = Audit::start(&settings, Counter::noop()).unwrap();
        let first = audit.place();
        assert!(first.is_some() && audit.place().is_none());
        assert!(audit.wait().await.unwrap().is_none());
        let blocking = Audit { when_full: WhenFull::Block, ..audit.clone() };
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, blocking.wait()).await.is_err());
        drop(first);
        assert!(blocking.wait().await.unwrap().is_some());
    }

    #[test]
    fn what_was_asked_is_told_up_to_a_cap_and_as_far_as_it_is_text() {
        assert_eq!(&*asked([b"query=up", b"a=b"]), "query=up\na=b");
        assert_eq!(&*asked([b"query=up", b"\xff"]), "query=up");
        let long = "\u{e4}".repeat(ASKED_BYTES);
        for (bytes, told) in [(ASKED_BYTES, ASKED_BYTES), (ASKED_BYTES + 2, ASKED_BYTES)] {
            assert_eq!(asked([&long.as_bytes()[..bytes - 2], b"\xff"]).len(), told.min(bytes - 2));
        }
    }

    #[test]
    fn digests_tell_parts_apart() {
        assert_eq!(&*digest::<&str>([]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_ne!(digest(["a", "b"]), digest(["ab"]));
    }
}
