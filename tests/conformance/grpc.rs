//! Tempo's streaming: the questions of the query table once more, as calls of gRPC. What is streamed is put together
//! to the JSON that the same question has over HTTP, so that the same rules compare it.
//!
//! Messages are read by the tables below (`pkg/tempopb/tempo.proto` of Tempo 2.9), without the code under test.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Map, Value, json};

use crate::http::{Answer, Base};
use crate::protobuf;
use crate::report::Report;
use crate::seed::{canary, tempo};
use crate::world::World;

/// What a field is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// A 64-bit integer, which JSON has as a text.
    Integer,
    Number,
    Double,
    Bool,
    Bytes,
    One(&'static Shape),
    /// Entries of a map from texts.
    Map(&'static Shape),
}

/// A field: its number, its name, whether it is a list, and what it is.
type Field = (u64, &'static str, bool, Kind);

/// A message.
struct Shape(&'static [Field]);

static ANY_VALUE: Shape = Shape(&[
    (1, "stringValue", false, Kind::Text),
    (2, "boolValue", false, Kind::Bool),
    (3, "intValue", false, Kind::Integer),
    (4, "doubleValue", false, Kind::Double),
    (5, "arrayValue", false, Kind::One(&ARRAY)),
    (6, "kvlistValue", false, Kind::One(&KEY_VALUES)),
    (7, "bytesValue", false, Kind::Bytes),
]);
static ARRAY: Shape = Shape(&[(1, "values", true, Kind::One(&ANY_VALUE))]);
static KEY_VALUES: Shape = Shape(&[(1, "values", true, Kind::One(&KEY_VALUE))]);
static KEY_VALUE: Shape = Shape(&[(1, "key", false, Kind::Text), (2, "value", false, Kind::One(&ANY_VALUE))]);
static SPAN: Shape = Shape(&[
    (1, "spanID", false, Kind::Text),
    (2, "name", false, Kind::Text),
    (3, "startTimeUnixNano", false, Kind::Integer),
    (4, "durationNanos", false, Kind::Integer),
    (5, "attributes", true, Kind::One(&KEY_VALUE)),
]);
static SPAN_SET: Shape = Shape(&[
    (1, "spans", true, Kind::One(&SPAN)),
    (2, "matched", false, Kind::Number),
    (3, "attributes", true, Kind::One(&KEY_VALUE)),
]);
static STATS: Shape = Shape(&[(1, "spanCount", false, Kind::Number), (2, "errorCount", false, Kind::Number)]);
static STATS_ENTRY: Shape = Shape(&[(1, "key", false, Kind::Text), (2, "value", false, Kind::One(&STATS))]);
static TRACE: Shape = Shape(&[
    (1, "traceID", false, Kind::Text),
    (2, "rootServiceName", false, Kind::Text),
    (3, "rootTraceName", false, Kind::Text),
    (4, "startTimeUnixNano", false, Kind::Integer),
    (5, "durationMs", false, Kind::Number),
    (6, "spanSet", false, Kind::One(&SPAN_SET)),
    (7, "spanSets", true, Kind::One(&SPAN_SET)),
    (8, "serviceStats", false, Kind::Map(&STATS_ENTRY)),
]);
static COUNTS: Shape = Shape(&[
    (1, "inspectedTraces", false, Kind::Number),
    (2, "inspectedBytes", false, Kind::Integer),
    (3, "totalBlocks", false, Kind::Number),
    (7, "inspectedSpans", false, Kind::Integer),
]);
static SEARCH: Shape =
    Shape(&[(1, "traces", true, Kind::One(&TRACE)), (2, "metrics", false, Kind::One(&COUNTS))]);
static VALUE: Shape = Shape(&[(1, "type", false, Kind::Text), (2, "value", false, Kind::Text)]);
static VALUES_V2: Shape =
    Shape(&[(1, "tagValues", true, Kind::One(&VALUE)), (2, "metrics", false, Kind::One(&COUNTS))]);
static VALUES: Shape =
    Shape(&[(1, "tagValues", true, Kind::Text), (2, "metrics", false, Kind::One(&COUNTS))]);
static TAG_SCOPE: Shape = Shape(&[(1, "name", false, Kind::Text), (2, "tags", true, Kind::Text)]);
static TAGS_V2: Shape =
    Shape(&[(1, "scopes", true, Kind::One(&TAG_SCOPE)), (2, "metrics", false, Kind::One(&COUNTS))]);
static TAGS: Shape = Shape(&[(1, "tagNames", true, Kind::Text), (2, "metrics", false, Kind::One(&COUNTS))]);
static SAMPLE: Shape = Shape(&[(1, "value", false, Kind::Double), (2, "timestampMs", false, Kind::Integer)]);
static EXEMPLAR: Shape = Shape(&[
    (1, "labels", true, Kind::One(&KEY_VALUE)),
    (2, "value", false, Kind::Double),
    (3, "timestampMs", false, Kind::Integer),
]);
static SERIES: Shape = Shape(&[
    (1, "labels", true, Kind::One(&KEY_VALUE)),
    (2, "samples", true, Kind::One(&SAMPLE)),
    (4, "exemplars", true, Kind::One(&EXEMPLAR)),
]);
static RANGE: Shape = Shape(&[
    (1, "series", true, Kind::One(&SERIES)),
    (2, "metrics", false, Kind::One(&COUNTS)),
    (3, "status", false, Kind::Number),
    (4, "message", false, Kind::Text),
]);
static INSTANT_SERIES: Shape =
    Shape(&[(1, "labels", true, Kind::One(&KEY_VALUE)), (2, "value", false, Kind::Double)]);
static INSTANT: Shape = Shape(&[
    (1, "series", true, Kind::One(&INSTANT_SERIES)),
    (2, "metrics", false, Kind::One(&COUNTS)),
    (3, "status", false, Kind::Number),
    (4, "message", false, Kind::Text),
]);

/// How a question of some endpoints is asked as a call.
struct Method {
    endpoints: &'static [&'static str],
    name: &'static str,
    /// The parameters that the message has, with the numbers of their fields.
    fields: &'static [(&'static str, u64)],
    /// How many of the unit of the message a second is.
    seconds: u64,
    answer: &'static Shape,
    /// What the list of the answer is, and what tells its elements apart.
    list: (&'static str, &'static str),
}

const NANOSECONDS: u64 = 1_000_000_000;

const METHODS: [Method; 7] = [
    Method {
        endpoints: &["tempo.search", "tempo.legacy"],
        name: "Search",
        fields: &[("limit", 4), ("start", 5), ("end", 6), ("q", 8), ("spss", 9)],
        seconds: 1,
        answer: &SEARCH,
        list: ("traces", "traceID"),
    },
    Method {
        endpoints: &["tempo.metrics", "tempo.compare"],
        name: "MetricsQueryRange",
        fields: &[("q", 1), ("start", 2), ("end", 3), ("step", 4), ("exemplars", 16), ("maxSeries", 17)],
        seconds: NANOSECONDS,
        answer: &RANGE,
        list: ("series", "labels"),
    },
    Method {
        endpoints: &["tempo.instant"],
        name: "MetricsQueryInstant",
        fields: &[("q", 1), ("start", 2), ("end", 3)],
        seconds: NANOSECONDS,
        answer: &INSTANT,
        list: ("series", "labels"),
    },
    Method {
        endpoints: &["tempo.tag_values"],
        name: "SearchTagValuesV2",
        fields: VALUES_FIELDS,
        seconds: 1,
        answer: &VALUES_V2,
        list: ("tagValues", ""),
    },
    Method {
        endpoints: &["tempo.tag_values_v1"],
        name: "SearchTagValues",
        fields: VALUES_FIELDS,
        seconds: 1,
        answer: &VALUES,
        list: ("tagValues", ""),
    },
    Method {
        endpoints: &["tempo.tags_v2"],
        name: "SearchTagsV2",
        fields: TAGS_FIELDS,
        seconds: 1,
        answer: &TAGS_V2,
        list: ("scopes", "name"),
    },
    Method {
        endpoints: &["tempo.tags_v1"],
        name: "SearchTags",
        fields: TAGS_FIELDS,
        seconds: 1,
        answer: &TAGS,
        list: ("tagNames", ""),
    },
];

const VALUES_FIELDS: &[(&str, u64)] =
    &[("tag", 1), ("q", 2), ("start", 4), ("end", 5), ("limit", 6), ("maxStaleValues", 7)];
const TAGS_FIELDS: &[(&str, u64)] =
    &[("scope", 1), ("q", 2), ("start", 3), ("end", 4), ("limit", 5), ("maxStaleValues", 6)];

/// A call.
#[derive(Clone)]
pub struct Call {
    method: &'static Method,
    message: Vec<u8>,
}

impl Call {
    /// The call that asks what a request to `endpoint`, with `tag` in its path and `params`, asks; `None` if there
    /// is none.
    pub fn of(endpoint: &str, tag: &str, params: &[(String, String)]) -> Option<Self> {
        let method = METHODS.iter().find(|method| method.endpoints.contains(&endpoint))?;
        let mut message = Vec::new();
        let tag = (!tag.is_empty()).then(|| ("tag".to_owned(), tag.to_owned()));
        for (name, value) in tag.iter().chain(params) {
            let (_, number) = method.fields.iter().find(|(field, _)| field == name)?;
            match name.as_str() {
                "q" | "tag" | "scope" => {
                    push_varint(&mut message, number << 3 | 2);
                    push_varint(&mut message, value.len() as u64);
                    message.extend_from_slice(value.as_bytes());
                }
                "start" | "end" | "step" => {
                    let seconds: u64 = value.trim_end_matches('s').parse().ok()?;
                    push_varint(&mut message, number << 3);
                    push_varint(&mut message, seconds * method.seconds);
                }
                _ => {
                    push_varint(&mut message, number << 3);
                    push_varint(&mut message, value.parse().ok()?);
                }
            }
        }
        Some(Self { method, message })
    }

    /// Calls the server at the root of `base`, and puts together what it streams.
    pub fn send(&self, base: &Base, token: Option<&str>) -> Result<Answer, String> {
        let path = format!("/tempopb.StreamingQuerier/{}", self.method.name);
        let streamed = call(base, &path, token, &self.message)?;
        let mut answer = Answer { status: streamed.status(), headers: Vec::new(), body: Vec::new() };
        if streamed.code == 0 {
            let mut whole = json!({});
            for part in &streamed.messages {
                let part = read(part, self.method.answer).ok_or("a message cannot be read")?;
                self.merge(&mut whole, part);
            }
            answer.headers = vec![("content-type".into(), "application/json".into())];
            answer.body = whole.to_string().into_bytes();
        } else {
            answer.body = streamed.text.into_bytes();
        }
        Ok(answer)
    }

    /// A part tells of each element what is new of it: a trace as it is now, the samples that have changed.
    fn merge(&self, whole: &mut Value, mut part: Value) {
        let (list, key) = self.method.list;
        let elements = part[list].as_array().cloned().unwrap_or_default();
        if let Value::Object(fields) = &mut part {
            fields.remove(list);
            for (name, value) in std::mem::take(fields) {
                whole[name] = value;
            }
        }
        if !whole[list].is_array() {
            whole[list] = json!([]);
        }
        let Some(all) = whole[list].as_array_mut() else { return };
        for mut element in elements {
            // Values are told apart by all they are.
            let same =
                |known: &Value| if key.is_empty() { *known == element } else { known[key] == element[key] };
            match all.iter_mut().find(|known| same(known)) {
                None => all.push(element),
                Some(known) if known["tags"].is_array() => {
                    let more = element["tags"].as_array().cloned().unwrap_or_default();
                    if let Some(tags) = known["tags"].as_array_mut() {
                        tags.extend(more);
                    }
                }
                Some(_) if key.is_empty() => {}
                Some(known) => {
                    let mut samples = known["samples"].as_array().cloned().unwrap_or_default();
                    for sample in element["samples"].as_array().into_iter().flatten() {
                        samples.retain(|known| known["timestampMs"] != sample["timestampMs"]);
                        samples.push(sample.clone());
                    }
                    samples.sort_by_key(|s| s["timestampMs"].as_str().and_then(|t| t.parse::<i64>().ok()));
                    if !samples.is_empty() {
                        element["samples"] = samples.into();
                    }
                    *known = element;
                }
            }
        }
    }
}

/// What came of a call.
pub struct Streamed {
    /// The code of its outcome.
    pub code: u16,
    /// The text of its outcome.
    pub text: String,
    /// The messages.
    pub messages: Vec<Vec<u8>>,
}

impl Streamed {
    /// The status that HTTP has for the outcome. Tempo says UNKNOWN where its handlers refuse what they read.
    fn status(&self) -> u16 {
        match self.code {
            0 => 200,
            2 | 3 => 400,
            other => 600 + other,
        }
    }
}

/// Calls `path` at the root of `base` with one message.
pub fn call(base: &Base, path: &str, token: Option<&str>, message: &[u8]) -> Result<Streamed, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let calling = tokio::time::timeout(Duration::from_secs(60), calling(base, path, token, message));
        calling.await.map_err(|_| format!("{path}: no answer"))?
    })
}

async fn calling(base: &Base, path: &str, token: Option<&str>, message: &[u8]) -> Result<Streamed, String> {
    let told = |e: &dyn std::fmt::Display| format!("{} {path}: {e}", base.authority);
    let stream = tokio::net::TcpStream::connect(&base.authority).await.map_err(|e| told(&e))?;
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|e| told(&e))?;
    let connection = tokio::spawn(connection);
    let length = u32::try_from(message.len()).map_err(|e| told(&e))?.to_be_bytes();
    let body = [&[0], length.as_slice(), message].concat();
    let mut request = hyper::Request::post(format!("http://{}{path}", base.authority))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|e| told(&e))?;
    let (head, body) = sender.send_request(request).await.map_err(|e| told(&e))?.into_parts();
    let body = body.collect().await.map_err(|e| told(&e))?;
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let text = |name| trailers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let code =
        text("grpc-status").parse().map_err(|_| format!("{path}: {} without an outcome", head.status))?;
    let bytes = body.to_bytes();
    let (mut rest, mut messages) = (&bytes[..], Vec::new());
    while let Some((prefix, after)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        let (message, after) = after.split_at_checked(length).ok_or("a message is cut off")?;
        messages.push(message.to_vec());
        rest = after;
    }
    connection.abort();
    Ok(Streamed { code, text: text("grpc-message"), messages })
}

/// A message as JSON, as Tempo's HTTP endpoints print it.
fn read(mut bytes: &[u8], shape: &Shape) -> Option<Value> {
    let mut fields: Map<String, Value> = Map::new();
    while !bytes.is_empty() {
        let tag = protobuf::varint(&mut bytes)?;
        let field = shape.0.iter().find(|(number, ..)| *number == tag >> 3);
        let value = match (tag & 7, field.map(|(.., kind)| *kind)) {
            (0, Some(Kind::Integer)) => (protobuf::varint(&mut bytes)? as i64).to_string().into(),
            (0, Some(Kind::Bool)) => (protobuf::varint(&mut bytes)? != 0).into(),
            (0, _) => protobuf::varint(&mut bytes)?.into(),
            (1, _) => double(f64::from_le_bytes(protobuf::take(&mut bytes, 8)?.try_into().ok()?)),
            (2, kind) => {
                let size = usize::try_from(protobuf::varint(&mut bytes)?).ok()?;
                let inner = protobuf::take(&mut bytes, size)?;
                match kind {
                    Some(Kind::One(shape) | Kind::Map(shape)) => read(inner, shape)?,
                    Some(Kind::Bytes) => format!("{inner:02x?}").into(),
                    _ => String::from_utf8_lossy(inner).into(),
                }
            }
            _ => return None,
        };
        match field {
            Some((_, name, true, _)) => {
                let list = fields.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut()?.push(value);
            }
            Some((_, name, _, Kind::Map(_))) => {
                let map = fields.entry(*name).or_insert_with(|| json!({})).as_object_mut()?;
                map.insert(value["key"].as_str().unwrap_or_default().to_owned(), value["value"].clone());
            }
            Some((_, name, false, _)) => drop(fields.insert((*name).to_owned(), value)),
            // A field that nobody knows of is to be seen.
            None => drop(fields.insert(format!("field {}", tag >> 3), value)),
        }
    }
    Some(Value::Object(fields))
}

fn double(value: f64) -> Value {
    if value.is_finite() { value.into() } else { value.to_string().into() }
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// ATK-4A: what else a Tempo serves on its port is not to be had, with a good token and the id of another's trace.
/// The control has that trace from FULL.
pub fn attacks(world: &World, only: &str, report: &mut Report) {
    const NAME: &str = "ATK-4A other services of gRPC";
    if !NAME.contains(only) {
        return;
    }
    let (Some(full), Some(palisade), Some(alice)) =
        (world.full.at.get("tempo"), &world.palisade, world.callers.get("alice"))
    else {
        return;
    };
    let id = tempo::own_id("globex-lit", 1);
    let digits = format!("{id:0>32}");
    let bytes = (0..16).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap_or_default());
    let mut message = vec![0x0a, 16];
    message.extend(bytes);
    let control = || {
        let streamed = call(full, "/tempopb.Querier/FindTraceByID", None, &message)?;
        let shown =
            streamed.messages.iter().any(|m| String::from_utf8_lossy(m).contains(&canary("globex-lit")));
        if shown {
            Ok(())
        } else {
            Err(format!("the control meets no canary: {} {}", streamed.code, streamed.text))
        }
    };
    let refused = |path: &str| {
        let streamed = call(&palisade.tempo, path, Some(&alice.token), &message)?;
        if streamed.code == 12 && streamed.messages.is_empty() {
            return Ok(());
        }
        Err(format!("{path}: {} {}, {} messages", streamed.code, streamed.text, streamed.messages.len()))
    };
    let paths = [
        "/tempopb.Querier/FindTraceByID",
        "/tempopb.Querier/SearchRecent",
        "/tempopb.Querier/SearchTagValuesV2",
        "/tempopb.Metrics/QueryRange",
        "/tempopb.MetricsGenerator/QueryRange",
        "/tempopb.Pusher/PushBytesV2",
        "/tempopb.StreamingQuerier/Unheard",
        "/grpc.health.v1.Health/Check",
    ];
    report.case(NAME, control().and_then(|()| paths.into_iter().try_for_each(refused)));
}
