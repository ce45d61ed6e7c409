//! ATK-50 to -53, -56, -57 and -6C at Alertmanager: alerts, silences, and what tells of its configuration.

use serde_json::{Value, json};

use super::identity::token;
use super::{Attack, leaked, pairs, send, shaped};
use crate::http::{Answer, Request};
use crate::seed::alertmanager::{matcher, time};
use crate::world::World;

const A: &str = "alertmanager";

/// Attacks that read.
pub fn all() -> Vec<Attack> {
    let get = |path: &str, params: &[(&str, &str)]| Request::get(path, &pairs(params));
    let everything = || get("/api/v2/alerts", &[]);
    let mut all = vec![
        Attack::twin("ATK-57 alerts of all tenants", A, "alertmanager.alerts", everything()),
        Attack::twin(
            "ATK-57 groups of all tenants",
            A,
            "alertmanager.groups",
            get("/api/v2/alerts/groups", &[]),
        ),
        Attack::twin(
            "ATK-51 silences of all tenants",
            A,
            "alertmanager.silences",
            get("/api/v2/silences", &[]),
        ),
        Attack::refused("ATK-52 status-leaks-config", A, get("/api/v2/status", &[]), &[200]),
        Attack::refused("ATK-52 receivers", A, get("/api/v2/receivers", &[]), &[200]),
    ];
    for filter in [
        r#"tenant="globex-lit""#,
        r#"tenant!="acme-books""#,
        r#"tenant=~".+""#,
        r#"tenant="""#,
        r#"tenant=~"acme-books|globex-lit""#,
    ] {
        let params = [("filter", filter)];
        let alerts = get("/api/v2/alerts", &params);
        all.push(
            Attack::twin(format!("ATK-57 a filter {filter}"), A, "alertmanager.alerts", alerts)
                .control(everything()),
        );
        let silences = get("/api/v2/silences", &params);
        let shown = get("/api/v2/silences", &[]);
        let name = format!("ATK-51 silence filter semantics {filter}");
        all.push(Attack::twin(name, A, "alertmanager.silences", silences).control(shown));
    }
    for filter in [
        r#"{tenant="globex-lit"}"#,
        r#"severity="page",tenant="globex-lit""#,
        r#"severity="page"},{tenant="globex-lit""#,
        r#"tenant="\x67lobex-lit""#,
        r#"tenant="globex-lit"#,
        "tenant='globex-lit'",
        "tenant==globex-lit",
        "",
    ] {
        for path in ["/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/silences"] {
            let name = format!("ATK-53 matcher parser modes {path} {filter}");
            let request = get(path, &[("filter", filter)]);
            all.push(Attack::refused(name, A, request, &[400]).control(get(path, &[])));
        }
    }
    for route in [
        "/api/v1/alerts",
        "/api/v1/silences",
        "/api/v1/status",
        "/api/v2/swagger.json",
        "/api/v2/",
        "/api/v2/silence",
        "/alertmanager/api/v2/status",
        "/metrics",
        "/-/healthy",
        "/-/ready",
        "/-/reload",
        "/debug/pprof/heap",
        "/favicon.ico",
        "/",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let request = Request { method: method.into(), target: route.into(), ..Request::default() };
            all.push(
                Attack::refused(format!("ATK-06 {method} {A}{route}"), A, request, &[404]).uncontrolled(),
            );
        }
    }
    all
}

/// An attack that writes, with its name.
type Writing = (&'static str, fn(&World) -> Result<(), String>);

/// Attacks that write.
pub const WRITING: [Writing; 7] = [
    ("ATK-6C guard satisfied by ours: none that silences everything is made", everything),
    ("ATK-50 silence-isEqual: nobody else's is shown, changed or expired", |world| {
        others(world, &ALICE).and_then(|()| others(world, &ROSA))
    }),
    ("ATK-50 silence-isEqual: none that mutes others is made", outward),
    ("ATK-50 an own silence is made, changed and expired, and mutes nobody else", |world| own(world, &BOB)),
    ("ATK-50 an own silence of one region mutes no other region / rosa", |world| own(world, &ROSA)),
    ("ATK-50 silence-isEqual: none that leaves the region is made / rosa", abroad),
    ("ATK-57 alerts are not made", made),
];

/// Who writes, and the labels that tell what is theirs.
struct Writer {
    user: &'static str,
    scope: &'static [(&'static str, &'static str)],
}

const ALICE: Writer = Writer { user: "alice", scope: &[("tenant", "acme-books")] };
const BOB: Writer = Writer { user: "bob", scope: &[("tenant", "globex-lit")] };
/// As Palisade writes them: by the names of dimensions.
const ROSA: Writer = Writer { user: "rosa", scope: &[("region", "us-east"), ("tenant", "acme-books")] };

impl Writer {
    /// The matchers of a silence of theirs.
    fn matchers(&self) -> Vec<Value> {
        self.scope.iter().map(|(name, value)| matcher(name, value, true, false)).collect()
    }

    /// Whether a silence has just these, each once, beside others.
    fn owns(&self, silence: &Value) -> bool {
        let all = silence["matchers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let plain = |m: &&Value| m["isEqual"] == true && m["isRegex"] == false;
        self.scope.iter().all(|(name, value)| {
            let mut values = all.iter().filter(plain).filter(|m| m["name"] == *name).map(|m| &m["value"]);
            values.next().is_some_and(|first| first == value) && values.next().is_none()
        })
    }

    /// Whether an alert is theirs.
    fn has(&self, alert: &Value) -> bool {
        self.scope.iter().all(|(name, value)| alert["labels"][name] == *value)
    }
}

fn json_request(method: &str, path: &str, body: &Value) -> Request {
    let body = body.to_string().into_bytes();
    Request { method: method.into(), target: path.into(), body, ..Request::default() }
        .header("Content-Type", "application/json")
}

fn silence(world: &World, matchers: Value) -> Value {
    json!({
        "matchers": matchers, "startsAt": time(world.start), "endsAt": time(world.start + 90_000),
        "createdBy": "an attack", "comment": "made by an attack",
    })
}

/// What FULL itself has at `path`.
fn full(world: &World, path: &str) -> Result<Vec<Value>, String> {
    let base = world.full.at.get(A).ok_or("no Alertmanager")?;
    let answer = Request::get(path, &[]).send(base)?;
    match answer.json() {
        Some(Value::Array(list)) => Ok(list),
        other => Err(format!("FULL answers {other:?}")),
    }
}

/// Labels and states of everyone's alerts but `writer`'s.
fn states(world: &World, writer: Option<&Writer>) -> Result<Vec<(Value, Value)>, String> {
    let alerts = full(world, "/api/v2/alerts")?;
    let others = alerts.into_iter().filter(|alert| writer.is_none_or(|writer| !writer.has(alert)));
    Ok(others.map(|alert| (alert["labels"].clone(), alert["status"].clone())).collect())
}

fn ask(world: &World, user: &str, request: Request) -> Result<Answer, String> {
    let answer = send(world, Some(token(world, user)?), A, request)?;
    match leaked(&answer, user) {
        Some(canary) => Err(format!("LEAK of {canary}: {}", answer.text())),
        None => shaped(&answer, A).map(|()| answer),
    }
}

fn expect(answer: &Answer, status: u16, of: &str) -> Result<(), String> {
    if answer.status == status {
        Ok(())
    } else {
        Err(format!("{of}: {} instead of {status}: {}", answer.status, answer.text()))
    }
}

fn others(world: &World, writer: &Writer) -> Result<(), String> {
    let before = full(world, "/api/v2/silences")?;
    let others: Vec<&Value> = before.iter().filter(|silence| !writer.owns(silence)).collect();
    if others.len() < 10 {
        return Err(format!("FULL has only {} silences of others", others.len()));
    }
    let mut answers = Vec::new();
    let unknown = json!("00000000-0000-4000-8000-000000000000");
    for id in others.iter().map(|silence| &silence["id"]).chain([&unknown]) {
        let path = format!("/api/v2/silence/{}", id.as_str().unwrap_or_default());
        let mut taken = silence(world, writer.matchers().into());
        taken["id"] = id.clone();
        for request in [
            Request::get(&path, &[]),
            Request { method: "DELETE".into(), target: path.clone(), ..Request::default() },
            json_request("POST", "/api/v2/silences", &taken),
        ] {
            let answer = ask(world, writer.user, request)?;
            expect(&answer, 404, &path)?;
            answers.push(answer.text());
        }
    }
    answers.dedup();
    if answers.len() != 1 {
        return Err(format!("others' and unknown ones are told apart: {answers:?}"));
    }
    if full(world, "/api/v2/silences")? == before { Ok(()) } else { Err("something was changed".into()) }
}

/// What would mute another region, or every one.
fn abroad(world: &World) -> Result<(), String> {
    let before = full(world, "/api/v2/silences")?;
    let is = |name: &str, value: &str, is_equal, is_regex| matcher(name, value, is_equal, is_regex);
    let page = is("severity", "page", true, false);
    for matchers in [
        json!([page, is("region", "eu-west", true, false)]),
        json!([page, is("region", "us-east", false, false)]),
        json!([page, is("region", "none", false, false), is("region", "us-east", true, false)]),
        json!([page, is("region", "", true, false)]),
        json!([page, is("region", "us-east", true, false), is("region", "eu-west", true, false)]),
        json!([page, is("region", "us-east", true, false), is("tenant", "globex-lit", true, false)]),
    ] {
        let request = json_request("POST", "/api/v2/silences", &silence(world, matchers.clone()));
        expect(&ask(world, "rosa", request)?, 400, &matchers.to_string())?;
    }
    if full(world, "/api/v2/silences")? == before { Ok(()) } else { Err("something was changed".into()) }
}

fn outward(world: &World) -> Result<(), String> {
    let before = full(world, "/api/v2/silences")?;
    let own = || matcher("tenant", "acme-books", true, false);
    for matchers in [
        json!([matcher("tenant", "acme-books", false, false)]),
        json!([matcher("tenant", "acme-books", false, true)]),
        json!([matcher("tenant", "none", false, false), own()]),
        json!([matcher("tenant", "globex-lit", true, false)]),
        json!([matcher("tenant", "globex-lit", true, false), own()]),
        json!([matcher("tenant", "", true, false)]),
        json!("x"),
        json!([{ "name": "tenant" }]),
    ] {
        let request = json_request("POST", "/api/v2/silences", &silence(world, matchers.clone()));
        expect(&ask(world, "alice", request)?, 400, &matchers.to_string())?;
    }
    // Of several tenants one must be chosen, and a pattern is no choice.
    for matchers in [
        json!([matcher("alertname", "HighErrorRate", true, false)]),
        json!([matcher("tenant", "initech-press|press.one", true, true)]),
    ] {
        let request = json_request("POST", "/api/v2/silences", &silence(world, matchers.clone()));
        let answer = ask(world, "erin", request)?;
        expect(&answer, 400, &matchers.to_string())?;
        if !answer.text().contains("initech-press") {
            return Err(format!("the choice is not named: {}", answer.text()));
        }
    }
    if full(world, "/api/v2/silences")? == before { Ok(()) } else { Err("something was changed".into()) }
}

fn own(world: &World, writer: &Writer) -> Result<(), String> {
    let before = states(world, Some(writer))?;
    // A pattern stays beside what is put in, and widens nothing.
    let patterns = writer.scope.iter().map(|(name, _)| matcher(name, ".+", true, true));
    let everything = [vec![matcher("alertname", ".+", true, true)], patterns.collect()].concat();
    let mut posted = silence(world, json!(everything));
    let answer = ask(world, writer.user, json_request("POST", "/api/v2/silences", &posted))?;
    expect(&answer, 200, "a silence")?;
    let id = answer.json().map(|v| v["silenceID"].clone()).unwrap_or_default();
    let path = format!("/api/v2/silence/{}", id.as_str().unwrap_or_default());
    let answer = ask(world, writer.user, Request::get(&path, &[]))?;
    let made = answer.json().and_then(|v| v["matchers"].as_array().cloned()).unwrap_or_default();
    let expected = [everything, writer.matchers()].concat();
    if made.len() != expected.len() || !expected.iter().all(|matcher| made.contains(matcher)) {
        return Err(format!("the silence is {}", answer.text()));
    }
    let suppressed = |world: &World| -> Result<bool, String> {
        let alerts = full(world, "/api/v2/alerts")?;
        let own: Vec<&Value> = alerts.iter().filter(|alert| writer.has(alert)).collect();
        Ok(!own.is_empty() && own.iter().all(|alert| alert["status"]["state"] == "suppressed"))
    };
    if !suppressed(world)? {
        return Err("it mutes nothing".into());
    }
    if states(world, Some(writer))? != before {
        return Err("it mutes others".into());
    }
    posted["id"] = id;
    posted["endsAt"] = json!(time(world.start + 95_000));
    let answer = ask(world, writer.user, json_request("POST", "/api/v2/silences", &posted))?;
    expect(&answer, 200, "a change")?;
    let changed = answer.json().and_then(|v| v["silenceID"].as_str().map(str::to_owned)).unwrap_or_default();
    let path = format!("/api/v2/silence/{changed}");
    let gone = Request { method: "DELETE".into(), target: path.clone(), ..Request::default() };
    expect(&ask(world, "erin", gone.clone())?, 404, "another's hand")?;
    expect(&ask(world, writer.user, gone)?, 200, "the end")?;
    let answer = ask(world, writer.user, Request::get(&path, &[]))?;
    if answer.json().is_some_and(|v| v["status"]["state"] == "expired") && !suppressed(world)? {
        Ok(())
    } else {
        Err(format!("it does not end: {}", answer.text()))
    }
}

/// What Alertmanager refuses of anybody: TWIN refuses the same, with the same status.
fn everything(world: &World) -> Result<(), String> {
    let before = full(world, "/api/v2/silences")?;
    let twin = world.twin_a.at.get(A).ok_or("no TWIN")?;
    let any = |value: &str| matcher("job", value, true, true);
    for matchers in [
        json!([]),
        json!([any(".*")]),
        json!([any("")]),
        json!([any("a|")]),
        json!([matcher("x", "", true, false)]),
        json!([matcher("x", "", true, false), any("(a*)+"), matcher("tenant", ".*", true, true)]),
        json!([any("(")]),
    ] {
        let request = json_request("POST", "/api/v2/silences", &silence(world, matchers.clone()));
        let expected = request.clone().send(twin)?;
        if !(400..500).contains(&expected.status) {
            return Err(format!("TWIN takes {matchers}: {} {}", expected.status, expected.text()));
        }
        expect(&ask(world, "alice", request)?, expected.status, &matchers.to_string())?;
    }
    // Far more than a silence ever has.
    let many = silence(world, json!(vec![matcher("x", "y", true, false); 5_000]));
    expect(&ask(world, "alice", json_request("POST", "/api/v2/silences", &many))?, 413, "5,000 matchers")?;
    if full(world, "/api/v2/silences")? == before { Ok(()) } else { Err("something was changed".into()) }
}

fn made(world: &World) -> Result<(), String> {
    let before = states(world, None)?;
    let forged = json!([{ "labels": { "alertname": "Forged", "tenant": "globex-lit" } }]);
    let answer = ask(world, "alice", json_request("POST", "/api/v2/alerts", &forged))?;
    expect(&answer, 405, "an alert")?;
    if states(world, None)? == before { Ok(()) } else { Err("an alert was made".into()) }
}
