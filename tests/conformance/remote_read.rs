//! Remote read, asked through Palisade and of TWIN: both forms of the answer, read without the code under test.

use serde_json::Value;

use crate::http::{Answer, Base, Request};
use crate::protobuf;
use crate::report::Report;
use crate::seed::{SPAN, TENANTS, canary};
use crate::world::{Caller, Twin, World};

/// `name op value`, by the numbers of `LabelMatcher.Type`.
type Matcher = (&'static str, u8, &'static str);

const EQUAL: u8 = 0;
const NOT_EQUAL: u8 = 1;
const PATTERN: u8 = 2;

/// What is asked; each list of matchers is a query.
const CASES: [(&str, &[&[Matcher]]); 10] = [
    ("one metric", &[&[("__name__", EQUAL, "canary")]]),
    ("a pattern", &[&[("__name__", PATTERN, "http_.*|up")]]),
    (
        "two queries",
        &[&[("__name__", EQUAL, "cart_items")], &[("__name__", EQUAL, "up"), ("job", NOT_EQUAL, "catalog")]],
    ),
    ("everything", &[&[("__name__", PATTERN, ".+")]]),
    ("without matchers", &[&[]]),
    ("a matcher without name and value", &[&[("", EQUAL, "")], &[("__name__", EQUAL, "up")]]),
    ("another tenant's", &[&[("__name__", EQUAL, "canary"), ("tenant", EQUAL, "initech-press")]]),
    ("all but the own", &[&[("__name__", EQUAL, "canary"), ("tenant", NOT_EQUAL, "acme-books")]]),
    ("without a tenant", &[&[("__name__", EQUAL, "canary"), ("tenant", EQUAL, "")]]),
    ("a shield", &[&[("tenant", EQUAL, "acme-books")], &[("__name__", EQUAL, "canary")]]),
];

/// Runs all cases whose name holds `only`.
pub fn run(world: &World, only: &str, report: &mut Report) {
    let (Some(palisade), Some(full)) = (&world.palisade, world.full.at.get("prometheus")) else { return };
    let base = palisade.base.under("/prometheus");
    for (name, queries) in CASES {
        for (form, chunks) in [("samples", false), ("chunks", true)] {
            for user in ["alice", "carol", "rosa"] {
                let name = format!("prometheus.remote_read / {name}, {form} / {user}");
                let (Some(caller), true) = (world.callers.get(user), name.contains(only)) else { continue };
                let Some(twin) = world.twin(caller).at.get("prometheus") else { continue };
                let request = request(queries, chunks, world.start);
                let beside = world.beside(caller).map(|palisade| palisade.base.under("/prometheus"));
                report.case(&name, compare(&request, chunks, [&base, twin], beside.as_ref(), caller));
            }
        }
    }
    let name = "prometheus.remote_read / control: FULL shows everyone's";
    if name.contains(only) {
        let everything = request(&[&[("__name__", EQUAL, "canary")]], false, world.start);
        report.case(name, control(&everything, full));
    }
    for (name, body) in [
        ("ATK-0K a remote read that is not compressed", read_request(&[&[]], false, world.start)),
        (
            "ATK-60 a matcher without name and value beside another's",
            block(&read_request(
                &[&[("note", EQUAL, "canary-globex-lit"), ("", EQUAL, "")]],
                false,
                world.start,
            )),
        ),
        (
            "ATK-56 a pattern that is none",
            block(&read_request(&[&[("a", PATTERN, "(")]], false, world.start)),
        ),
        (
            "ATK-0K a type of matcher that is none",
            block(&read_request(&[&[("a", 9, "b")]], false, world.start)),
        ),
    ] {
        let Some(caller) = world.callers.get("alice").filter(|_| name.contains(only)) else { continue };
        let answer = post(body).bearer(Some(&caller.token)).send(&base);
        let outcome = answer
            .and_then(|a| if a.status == 400 { Ok(()) } else { Err(format!("{} {}", a.status, a.text())) });
        report.case(name, outcome);
    }
}

fn compare(
    request: &Request,
    chunks: bool,
    [base, twin]: [&Base; 2],
    beside: Option<&Base>,
    caller: &Caller,
) -> Result<(), String> {
    let ours = request.clone().bearer(Some(&caller.token)).send(base)?;
    let theirs = request.send(twin)?;
    if (ours.status, ours.header("content-type")) != (theirs.status, theirs.header("content-type"))
        || ours.header("content-encoding") != theirs.header("content-encoding")
    {
        return Err(format!(
            "{} {:?} instead of {} {:?}; {}",
            ours.status,
            ours.headers,
            theirs.status,
            theirs.headers,
            ours.text()
        ));
    }
    let (ours, theirs) = (series(&ours, chunks)?, series(&theirs, chunks)?);
    if let Some(beside) = beside {
        let beside = series(&request.clone().bearer(Some(&caller.token)).send(beside)?, chunks)?;
        if ours != beside {
            return Err(format!("INTERFERENCE {} series, before TWIN {}", ours.len(), beside.len()));
        }
    }
    if ours != theirs {
        return Err(format!("{} series instead of {}", ours.len(), theirs.len()));
    }
    let own = if caller.twin == Twin::Two { &["acme-books", "globex-lit"][..] } else { &["acme-books"] };
    let text = format!("{ours:?}");
    let foreign =
        TENANTS.iter().filter(|t| !own.contains(t)).find(|t| text.contains(&format!("{:?}", canary(t))));
    foreign.map_or(Ok(()), |tenant| Err(format!("LEAK of {tenant}")))
}

/// Without Palisade, FULL answers everyone's.
fn control(request: &Request, full: &Base) -> Result<(), String> {
    let text = format!("{:?}", series(&request.send(full)?, false)?);
    let missing = TENANTS.iter().find(|tenant| !text.contains(&canary(tenant)));
    missing.map_or(Ok(()), |tenant| Err(format!("nothing of {tenant}")))
}

/// The series of an answer, each with the index of its query, in an order of their own.
fn series(answer: &Answer, chunks: bool) -> Result<Vec<String>, String> {
    let undecodable = || format!("undecodable: {} {}", answer.status, answer.text());
    let mut found = Vec::new();
    let mut add = |index: String, list: Option<&Value>| {
        let all = list.and_then(Value::as_array).into_iter().flatten();
        found.extend(all.map(|one| format!("{index} {one}")));
    };
    if chunks {
        let mut rest = &*answer.body;
        while !rest.is_empty() {
            let frame = protobuf::frame(&mut rest).ok_or_else(undecodable)?;
            let message = protobuf::chunks(frame).ok_or_else(undecodable)?;
            add(message.get("2").map_or_else(String::new, Value::to_string), message.get("1"));
        }
    } else {
        let body = snap::raw::Decoder::new().decompress_vec(&answer.body).map_err(|_| undecodable())?;
        let message = protobuf::samples(&body).ok_or_else(undecodable)?;
        let results = message.get("1").and_then(Value::as_array).into_iter().flatten();
        for (index, result) in results.enumerate() {
            add(index.to_string(), result.get("1"));
        }
    }
    found.sort();
    Ok(found)
}

fn request(queries: &[&[Matcher]], chunks: bool, start: i64) -> Request {
    post(block(&read_request(queries, chunks, start)))
}

fn post(body: Vec<u8>) -> Request {
    let request =
        Request { method: "POST".into(), target: "/api/v1/read".into(), body, ..Request::default() };
    request.header("Content-Type", "application/x-protobuf").header("Content-Encoding", "snappy")
}

fn block(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap_or_default()
}

/// A `ReadRequest` over the whole seed.
fn read_request(queries: &[&[Matcher]], chunks: bool, start: i64) -> Vec<u8> {
    let mut request = Vec::new();
    for matchers in queries {
        let mut query = Vec::new();
        number(&mut query, 1, (start * 1000) as u64);
        number(&mut query, 2, ((start + SPAN) * 1000) as u64);
        for (name, kind, value) in *matchers {
            let mut matcher = Vec::new();
            number(&mut matcher, 1, u64::from(*kind));
            bytes(&mut matcher, 2, name.as_bytes());
            bytes(&mut matcher, 3, value.as_bytes());
            bytes(&mut query, 3, &matcher);
        }
        bytes(&mut request, 1, &query);
    }
    if chunks {
        number(&mut request, 2, 1);
    }
    request
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}
