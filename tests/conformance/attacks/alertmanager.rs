//! ATK-50 to -53, -56 and -57 at Alertmanager: alerts, silences, and what tells of its configuration.

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
pub const WRITING: [Writing; 4] = [
    ("ATK-50 silence-isEqual: nobody else's is shown, changed or expired", others),
    ("ATK-50 silence-isEqual: none that mutes others is made", outward),
    ("ATK-50 an own silence is made, changed and expired, and mutes nobody else", own),
    ("ATK-57 alerts are not made", made),
];

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

/// Labels and states of everyone's alerts but those of `tenant`.
fn states(world: &World, tenant: &str) -> Result<Vec<(Value, Value)>, String> {
    let alerts = full(world, "/api/v2/alerts")?;
    let others = alerts.into_iter().filter(|alert| alert["labels"]["tenant"] != tenant);
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

fn others(world: &World) -> Result<(), String> {
    let before = full(world, "/api/v2/silences")?;
    let is_own = |silence: &Value| {
        let all = silence["matchers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let plain = |m: &&Value| m["name"] == "tenant" && m["isEqual"] == true && m["isRegex"] == false;
        let values: Vec<&Value> = all.iter().filter(plain).map(|m| &m["value"]).collect();
        values == ["acme-books"]
    };
    let others: Vec<&Value> = before.iter().filter(|silence| !is_own(silence)).collect();
    if others.len() < 10 {
        return Err(format!("FULL has only {} silences of others", others.len()));
    }
    let mut answers = Vec::new();
    let unknown = json!("00000000-0000-4000-8000-000000000000");
    for id in others.iter().map(|silence| &silence["id"]).chain([&unknown]) {
        let path = format!("/api/v2/silence/{}", id.as_str().unwrap_or_default());
        let mut taken = silence(world, json!([matcher("tenant", "acme-books", true, false)]));
        taken["id"] = id.clone();
        for request in [
            Request::get(&path, &[]),
            Request { method: "DELETE".into(), target: path.clone(), ..Request::default() },
            json_request("POST", "/api/v2/silences", &taken),
        ] {
            let answer = ask(world, "alice", request)?;
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

fn own(world: &World) -> Result<(), String> {
    let before = states(world, "globex-lit")?;
    let everything = matcher("alertname", ".+", true, true);
    let mut posted = silence(world, json!([everything]));
    let answer = ask(world, "bob", json_request("POST", "/api/v2/silences", &posted))?;
    expect(&answer, 200, "a silence")?;
    let id = answer.json().map(|v| v["silenceID"].clone()).unwrap_or_default();
    let path = format!("/api/v2/silence/{}", id.as_str().unwrap_or_default());
    let answer = ask(world, "bob", Request::get(&path, &[]))?;
    let matchers = answer.json().map(|v| v["matchers"].clone());
    if matchers != Some(json!([everything, matcher("tenant", "globex-lit", true, false)])) {
        return Err(format!("the silence is {}", answer.text()));
    }
    let suppressed = |world: &World| -> Result<bool, String> {
        let alerts = full(world, "/api/v2/alerts?filter=tenant%3D%22globex-lit%22")?;
        Ok(!alerts.is_empty() && alerts.iter().all(|alert| alert["status"]["state"] == "suppressed"))
    };
    if !suppressed(world)? {
        return Err("it mutes nothing".into());
    }
    if states(world, "globex-lit")? != before {
        return Err("it mutes others".into());
    }
    posted["id"] = id;
    posted["endsAt"] = json!(time(world.start + 95_000));
    let answer = ask(world, "bob", json_request("POST", "/api/v2/silences", &posted))?;
    expect(&answer, 200, "a change")?;
    let changed = answer.json().and_then(|v| v["silenceID"].as_str().map(str::to_owned)).unwrap_or_default();
    let path = format!("/api/v2/silence/{changed}");
    let gone = Request { method: "DELETE".into(), target: path.clone(), ..Request::default() };
    expect(&ask(world, "alice", gone.clone())?, 404, "another's hand")?;
    expect(&ask(world, "bob", gone)?, 200, "the end")?;
    let answer = ask(world, "bob", Request::get(&path, &[]))?;
    if answer.json().is_some_and(|v| v["status"]["state"] == "expired") && !suppressed(world)? {
        Ok(())
    } else {
        Err(format!("it does not end: {}", answer.text()))
    }
}

fn made(world: &World) -> Result<(), String> {
    let before = states(world, "")?;
    let forged = json!([{ "labels": { "alertname": "Forged", "tenant": "globex-lit" } }]);
    let answer = ask(world, "alice", json_request("POST", "/api/v2/alerts", &forged))?;
    expect(&answer, 405, "an alert")?;
    if states(world, "")? == before { Ok(()) } else { Err("an alert was made".into()) }
}
