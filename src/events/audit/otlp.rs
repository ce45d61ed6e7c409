//! Lines to an OpenTelemetry collector: OTLP over HTTP, as JSON (OTLP 1.9, "OTLP/HTTP" and "JSON Protobuf
//! Encoding"). Each line is the body of one log record, the same text that a file would have.

use super::Record;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use metrics::Counter;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// Records of one request at most: while one is on its way, more come together.
const BATCH: usize = 512;
/// How long the collector may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long is waited after the first fault; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a server that stops may take to get rid of its last records.
const LAST_TRIES: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES: usize = 64 * 1024;

/// The collector.
#[derive(Clone, Debug)]
pub struct OtlpSettings {
    /// Where logs are posted, such as `http://127.0.0.1:4318/v1/logs`.
    pub url: Uri,
    /// Whom we trust to be it, where the URL has `https`.
    pub tls: Option<rustls::ClientConfig>,
}

/// Why records were not taken.
enum Refused {
    /// For now.
    Later(String, Option<Duration>),
    /// For ever.
    Never(String),
}

/// Sends what comes until nothing more does; `lost` counts records that were not taken.
pub(super) async fn send(settings: OtlpSettings, records: mpsc::Receiver<Box<Record>>, lost: Counter) {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let builder = Client::builder(TokioExecutor::new());
    match settings.tls {
        Some(tls) => {
            let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1();
            let client = builder.build(https.wrap_connector(tcp));
            Sender { client, url: settings.url, lost }.run(records).await;
        }
        None => Sender { client: builder.build(tcp), url: settings.url, lost }.run(records).await,
    }
}

struct Sender<C> {
    client: Client<C, Full<Bytes>>,
    url: Uri,
    lost: Counter,
}

impl<C: Connect + Clone + Send + Sync + 'static> Sender<C> {
    async fn run(self, mut records: mpsc::Receiver<Box<Record>>) {
        let mut batch = Vec::with_capacity(BATCH);
        while records.recv_many(&mut batch, BATCH).await > 0 {
            let payload = Bytes::from(payload(&batch));
            self.deliver(payload, batch.len() as u64, || records.is_closed()).await;
            batch.clear();
        }
    }

    /// Posts until it is taken, or refused for ever, or the server stops and it takes too long.
    async fn deliver(&self, payload: Bytes, count: u64, stops: impl Fn() -> bool) {
        let (mut pause, mut given_up_at) = (FIRST_PAUSE, None);
        loop {
            let (fault, wait) = match self.post(payload.clone()).await {
                Ok(0) => return,
                Ok(rejected) => {
                    self.lost.increment(rejected);
                    return tracing::error!(rejected, "the collector does not take all of the audit log");
                }
                Err(Refused::Never(fault)) => {
                    self.lost.increment(count);
                    return tracing::error!(fault, "the collector does not take the audit log");
                }
                Err(Refused::Later(fault, wait)) => (fault, wait.unwrap_or(pause).min(LONGEST_PAUSE)),
            };
            tracing::warn!(fault, "the audit log cannot be sent, trying again");
            let until = stops().then(|| *given_up_at.get_or_insert_with(|| Instant::now() + LAST_TRIES));
            if until.is_some_and(|until| Instant::now() + wait > until) {
                self.lost.increment(count);
                return tracing::error!("the end of the audit log is lost");
            }
            sleep(wait).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// How many records of the payload were rejected.
    async fn post(&self, payload: Bytes) -> Result<u64, Refused> {
        let mut request = Request::post(self.url.clone())
            .body(Full::new(payload))
            .map_err(|error| Refused::Never(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("palisade/", env!("CARGO_PKG_VERSION"))));
        let later = |fault: String| Refused::Later(fault, None);
        let answer = timeout(ANSWER_TIMEOUT, self.client.request(request)).await;
        let answer = answer.map_err(|_| later("timed out".to_owned()))?.map_err(|e| later(chain(&e)))?;
        match answer.status() {
            StatusCode::OK => Ok(rejected(answer).await),
            // OTLP 1.9, "Failures": these and no others are asked again.
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => {
                let after = answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
                Err(Refused::Later(status.to_string(), after.map(Duration::from_secs)))
            }
            status => Err(Refused::Never(status.to_string())),
        }
    }
}

/// What a success says of records that were not taken (OTLP 1.9, "Partial Success").
async fn rejected(answer: Response<Incoming>) -> u64 {
    let body = timeout(ANSWER_TIMEOUT, Limited::new(answer.into_body(), ANSWER_BYTES).collect()).await;
    let Ok(Ok(body)) = body else { return 0 };
    let told: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let rejected = told.pointer("/partialSuccess/rejectedLogRecords");
    // A 64-bit number, which JSON of protobuf writes as a text.
    rejected.and_then(|n| n.as_u64().or_else(|| n.as_str()?.parse().ok())).unwrap_or(0)
}

fn payload(records: &[Box<Record>]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let resource = [attribute("service.name", "palisade"), attribute("service.version", version)];
    let records: Vec<Value> = records.iter().map(|record| log_record(record)).collect();
    let scope = json!({ "scope": { "name": "palisade.audit", "version": version }, "logRecords": records });
    let logs = json!({ "resourceLogs": [{ "resource": { "attributes": resource }, "scopeLogs": [scope] }] });
    logs.to_string().into_bytes()
}

fn log_record(record: &Record) -> Value {
    let time = Duration::try_from_secs_f64(record.time).unwrap_or_default().as_nanos().to_string();
    // Everything that a break-glass rule lets through is a warning, as in the log.
    let (number, text) = if record.unrestricted { (13, "WARN") } else { (9, "INFO") };
    let mut told = json!({
        "timeUnixNano": time,
        "observedTimeUnixNano": time,
        "severityNumber": number,
        "severityText": text,
        "eventName": "palisade.audit",
        "body": { "stringValue": record.line() },
    });
    if let (Some(trace_id), Some(told)) = (&record.trace_id, told.as_object_mut()) {
        told.insert("traceId".to_owned(), json!(trace_id));
    }
    told
}

/// An error with its causes: the client's own text leaves them out.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_body_of_a_log_record() {
        let trace_id = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
        let plain = Record { time: 1_700_000_000.25, ..Record::default() };
        let traced = Record { trace_id, unrestricted: true, ..Record::default() };
        let line = plain.line();
        let told: Value = serde_json::from_slice(&payload(&[Box::new(plain), Box::new(traced)])).unwrap();
        assert_eq!(told["resourceLogs"][0]["resource"]["attributes"][0]["value"]["stringValue"], "palisade");
        let records = &told["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
        assert_eq!(records[0]["timeUnixNano"], "1700000000250000000");
        assert_eq!(records[0]["body"]["stringValue"], line.as_str());
        assert_eq!((&records[0]["severityText"], records[0].get("traceId")), (&json!("INFO"), None));
        assert_eq!(
            (&records[1]["severityNumber"], &records[1]["traceId"]),
            (&json!(13), &json!("0af7651916cd43dd8448eb211c80319c"))
        );
    }
}
