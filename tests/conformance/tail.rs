//! Loki's live tail: what is pushed while it is open reaches those whose it is, and it ends with its token.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message, WebSocket, client};

use crate::http::{Base, Request, encode};
use crate::report::Report;
use crate::seed::{Holds, REGIONS, TENANTS, canary};
use crate::world::World;

/// What only these tests push.
const QUERY: &str = r#"{service="tailed"}"#;
/// How long pushed lines may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing more may come after them.
const QUIET: Duration = Duration::from_secs(3);
/// How far the clocks may differ, unless it is configured.
const SKEW: Duration = Duration::from_secs(30);

const ENDING: &str = "loki.tail / ATK-26 a token of a minute ends it";

/// An open tail.
struct Tail(WebSocket<TcpStream>);

/// What comes of an open tail.
enum Heard {
    Text(String),
    Closed(u16, String),
    Nothing,
}

impl Tail {
    fn open(base: &Base, token: Option<&str>, categorized: bool) -> Result<Self, String> {
        let params = [("query".to_owned(), QUERY.to_owned())];
        let uri = format!("ws://{}{}/loki/api/v1/tail?{}", base.authority, base.prefix, encode(&params));
        let mut request = ClientRequestBuilder::new(uri.parse().map_err(|e| format!("{uri}: {e}"))?);
        if let Some(token) = token {
            request = request.with_header("Authorization", format!("Bearer {token}"));
        }
        if categorized {
            request = request.with_header("X-Loki-Response-Encoding-Flags", "categorize-labels");
        }
        let stream = TcpStream::connect(&base.authority).map_err(|e| e.to_string())?;
        let (socket, _) = client(request, stream).map_err(|e| format!("no tail at {uri}: {e}"))?;
        let timeout = socket.get_ref().set_read_timeout(Some(Duration::from_millis(500)));
        timeout.map_err(|e| e.to_string())?;
        Ok(Self(socket))
    }

    fn hear(&mut self) -> Result<Heard, String> {
        match self.0.read() {
            Ok(Message::Text(text)) => Ok(Heard::Text(text.as_str().to_owned())),
            Ok(Message::Close(frame)) => {
                let said = frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                let (code, reason) = said.unwrap_or((1005, String::new()));
                Ok(Heard::Closed(code, reason))
            }
            Ok(_) => Ok(Heard::Nothing),
            Err(Error::Io(error))
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                Ok(Heard::Nothing)
            }
            Err(error) => Err(format!("the tail breaks: {error}")),
        }
    }

    /// The entries that come, each with its stream, until there are `count` and then nothing more.
    fn entries(&mut self, count: usize) -> Result<BTreeSet<String>, String> {
        let mut entries = BTreeSet::new();
        let (begun, mut last) = (Instant::now(), Instant::now());
        while begun.elapsed() < PATIENCE && (entries.len() < count || last.elapsed() < QUIET) {
            match self.hear()? {
                Heard::Closed(code, reason) => return Err(format!("closed: {code} {reason}")),
                Heard::Nothing => {}
                Heard::Text(text) => {
                    last = Instant::now();
                    let message: Value = serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))?;
                    for stream in message["streams"].as_array().ok_or_else(|| text.clone())? {
                        for value in stream["values"].as_array().ok_or_else(|| text.clone())? {
                            entries.insert(json!([stream["stream"], value]).to_string());
                        }
                    }
                }
            }
        }
        Ok(entries)
    }
}

/// Opens a tail by a token of a minute, whose end is waited for beside all other cases.
pub fn begin(world: &World, only: &str) -> Option<JoinHandle<Result<(), String>>> {
    let (Some(keycloak), Some(palisade), Some(_)) =
        (&world.keycloak, &world.palisade, world.full.at.get("loki"))
    else {
        return None;
    };
    let (token, base) = (keycloak.token("a-minute", "alice"), palisade.base.under("/loki"));
    ENDING.contains(only).then(|| std::thread::spawn(move || ends(&base, &token?)))
}

/// The `exp` of a token.
fn expiry(token: &str) -> Result<u64, String> {
    let claims = B64.decode(token.split('.').nth(1).unwrap_or_default()).map_err(|e| e.to_string())?;
    let claims: Value = serde_json::from_slice(&claims).map_err(|e| e.to_string())?;
    claims["exp"].as_u64().ok_or_else(|| "no `exp`".into())
}

fn ends(base: &Base, token: &str) -> Result<(), String> {
    let expires = expiry(token)?;
    let mut tail = Tail::open(base, Some(token), false)?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    loop {
        if let Heard::Closed(code, reason) = tail.hear()? {
            let at = now();
            let due = Duration::from_secs(expires) + SKEW;
            if (code, reason.as_str()) != (1008, "token expired") || at < due || at > due + 2 * QUIET {
                return Err(format!("closed with {code} `{reason}` at {at:?}, due at {due:?}"));
            }
            break;
        }
        if now() > Duration::from_secs(expires) + SKEW + PATIENCE {
            return Err("still open a minute after its token".into());
        }
    }
    let again = Request::get("/loki/api/v1/labels", &[]).bearer(Some(token)).send(base)?;
    if again.status == 401 { Ok(()) } else { Err(format!("the token still reads: {}", again.status)) }
}

/// The lines that come through Palisade are those that TWIN gives, and FULL without Palisade gives others' too.
pub fn run(world: &World, ending: Option<JoinHandle<Result<(), String>>>, only: &str, report: &mut Report) {
    for (user, categorized) in [("alice", false), ("alice", true), ("carol", false), ("rosa", false)] {
        let shape = if categorized { "categorized" } else { "plain" };
        let name = format!("loki.tail / new lines, {shape} / {user}");
        if name.contains(only) && world.full.at.contains_key("loki") {
            report.case(&name, new_lines(world, user, categorized));
        }
    }
    if let Some(ending) = ending {
        report.case(ENDING, ending.join().unwrap_or_else(|_| Err("panicked".into())));
    }
}

fn new_lines(world: &World, user: &str, categorized: bool) -> Result<(), String> {
    let caller = world.callers.get(user).ok_or("no such caller")?;
    let (full, twins) = (&world.full, world.twin(caller));
    let (Some(all), Some(own)) = (full.at.get("loki"), twins.at.get("loki")) else {
        return Err("no Loki".into());
    };
    let palisade = world.palisade.as_ref().ok_or("no Palisade")?.base.under("/loki");
    let mut through = Tail::open(&palisade, Some(&caller.token), categorized)?;
    let mut control = Tail::open(all, None, categorized)?;
    let mut expected = Tail::open(own, None, categorized)?;
    // A line that comes while a tail opens may be told as one from before, with its metadata among the labels.
    std::thread::sleep(QUIET);
    // What earlier cases pushed comes first.
    let start = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?.as_nanos();
    let pushed = [push(all, full.holds, start)?, push(own, twins.holds, start)?];
    let after = |tail: &mut Tail, count| {
        let mut entries = tail.entries(count)?;
        entries.retain(|entry| entry.contains(&start.to_string()));
        Ok::<_, String>(entries)
    };
    let expected = after(&mut expected, pushed[1])?;
    let control = after(&mut control, pushed[0])?;
    let entries = after(&mut through, pushed[1])?;
    let tenants = TENANTS.iter().filter(|tenant| !twins.holds.tenant(tenant));
    let regions = REGIONS.iter().filter(|region| !twins.holds.region(Some(region)));
    let marks = tenants.map(|tenant| canary(tenant)).chain(regions.map(|region| (*region).to_owned()));
    for mark in marks.map(|mark| format!("\"{mark}\"")) {
        let shows = |entries: &BTreeSet<String>| entries.iter().any(|entry| entry.contains(&mark));
        if !shows(&control) {
            return Err(format!("the control does not meet {mark}: {control:?}"));
        }
        if shows(&entries) {
            return Err(format!("LEAK of {mark}: {entries:?}"));
        }
    }
    if expected.len() < pushed[1] || entries != expected {
        return Err(format!("Palisade / TWIN {entries:?} / {expected:?}"));
    }
    Ok(())
}

/// Pushes a line of each tenant and region that is held; gives how many. One by one: of many at once Loki tails a
/// part, and tells which it drops (`pkg/ingester/tailer.go`).
fn push(base: &Base, holds: Holds, start: u128) -> Result<usize, String> {
    let tenants = TENANTS.iter().filter(|tenant| holds.tenant(tenant));
    let of = |tenant| REGIONS.into_iter().map(move |region| (tenant, region));
    let mut count = 0;
    for (tenant, region) in tenants.flat_map(of).filter(|(_, region)| holds.region(Some(region))) {
        let note = canary(tenant);
        let line = format!("level=info {start} {region} {note}");
        let body = json!({ "streams": [{
            "stream": { "tenant": tenant, "region": region, "service": "tailed", "note": note },
            "values": [[start.to_string(), line, { "trace_id": "0af7" }]],
        }] });
        let request = Request {
            method: "POST".into(),
            target: "/loki/api/v1/push".into(),
            body: body.to_string().into_bytes(),
            ..Request::default()
        };
        let answer = request.header("Content-Type", "application/json").send(base)?;
        if answer.status != 204 {
            return Err(format!("{} {}", answer.status, answer.text()));
        }
        count += 1;
    }
    Ok(count)
}
