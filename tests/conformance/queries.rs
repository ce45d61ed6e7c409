//! The query table: what tenants ask, sent through Palisade to FULL and
//! directly to the TWIN that holds those tenants' data only.

use std::collections::BTreeMap;

use palisade::api::Kind;
use serde::Deserialize;
use serde_json::Value;

use crate::compare::{Asked, Rules};
use crate::grpc::Call;
use crate::http::{Answer, Base, Request, with_query};
use crate::palisade::Palisade;
use crate::report::Report;
use crate::seed::{SPAN, tempo};
use crate::ways::Answers;
use crate::world::{Caller, Twin, World};

/// A family of answers of one shape: a route, and how it tells time.
struct Endpoint {
    name: &'static str,
    /// `{}` is the case's `of`: a label, a tag, a trace id.
    path: &'static str,
    time: Time,
}

/// Which time parameters a case gets that names none.
#[derive(Clone, Copy)]
enum Time {
    /// `time`, in seconds or nanoseconds.
    Instant(i64),
    /// `start`, `end` and a `step` in seconds.
    Steps(i64),
    /// `start` and `end`.
    Range(i64),
    None,
}

/// What answers the same whatever data there is; for shards Loki 3.7 has no answer.
const WITHOUT_DATA: [&str; 10] = [
    "buildinfo",
    "status",
    "echo",
    "format_query",
    "parse_query",
    "alertmanagers",
    "targets",
    "targets_metadata",
    "drilldown_limits",
    "shards",
];

const SECONDS: i64 = 1;
const NANOSECONDS: i64 = 1_000_000_000;

const ENDPOINTS: &[Endpoint] = &[
    row("prometheus.query", "/api/v1/query", Time::Instant(SECONDS)),
    row("prometheus.query_range", "/api/v1/query_range", Time::Steps(SECONDS)),
    row("prometheus.series", "/api/v1/series", Time::Range(SECONDS)),
    row("prometheus.labels", "/api/v1/labels", Time::Range(SECONDS)),
    row("prometheus.label_values", "/api/v1/label/{}/values", Time::Range(SECONDS)),
    row("prometheus.query_exemplars", "/api/v1/query_exemplars", Time::Range(SECONDS)),
    row("prometheus.rules", "/api/v1/rules", Time::None),
    row("prometheus.alerts", "/api/v1/alerts", Time::None),
    row("prometheus.targets", "/api/v1/targets", Time::None),
    row("prometheus.targets_metadata", "/api/v1/targets/metadata", Time::None),
    row("prometheus.alertmanagers", "/api/v1/alertmanagers", Time::None),
    row("prometheus.metadata", "/api/v1/metadata", Time::None),
    row("prometheus.format_query", "/api/v1/format_query", Time::None),
    row("prometheus.parse_query", "/api/v1/parse_query", Time::None),
    row("prometheus.search", "/api/v1/search/{}", Time::Range(SECONDS)),
    row("prometheus.federate", "/federate", Time::None),
    row("loki.format_query", "/loki/api/v1/format_query", Time::None),
    row("prometheus.buildinfo", "/api/v1/status/buildinfo", Time::None),
    row("loki.query", "/loki/api/v1/query", Time::Instant(NANOSECONDS)),
    row("loki.query_range", "/loki/api/v1/query_range", Time::Steps(NANOSECONDS)),
    row("loki.series", "/loki/api/v1/series", Time::Range(NANOSECONDS)),
    row("loki.labels", "/loki/api/v1/labels", Time::Range(NANOSECONDS)),
    row("loki.label_values", "/loki/api/v1/label/{}/values", Time::Range(NANOSECONDS)),
    row("loki.index_stats", "/loki/api/v1/index/stats", Time::Range(NANOSECONDS)),
    row("loki.label", "/loki/api/v1/label", Time::Range(NANOSECONDS)),
    row("loki.volume", "/loki/api/v1/index/volume", Time::Range(NANOSECONDS)),
    row("loki.volume_range", "/loki/api/v1/index/volume_range", Time::Steps(NANOSECONDS)),
    row("loki.shards", "/loki/api/v1/index/shards", Time::Range(NANOSECONDS)),
    row("loki.detected_labels", "/loki/api/v1/detected_labels", Time::Range(NANOSECONDS)),
    row("loki.detected_fields", "/loki/api/v1/detected_fields", Time::Range(NANOSECONDS)),
    row("loki.detected_field", "/loki/api/v1/detected_field/{}/values", Time::Range(NANOSECONDS)),
    row("loki.patterns", "/loki/api/v1/patterns", Time::Range(NANOSECONDS)),
    row("loki.rules", "/prometheus/api/v1/rules", Time::None),
    row("loki.alerts", "/prometheus/api/v1/alerts", Time::None),
    row("loki.drilldown_limits", "/loki/api/v1/drilldown-limits", Time::None),
    row("loki.buildinfo", "/loki/api/v1/status/buildinfo", Time::None),
    row("tempo.search", "/api/search", Time::Range(SECONDS)),
    row("tempo.trace_v1", "/api/traces/{}", Time::None),
    row("tempo.trace_v2", "/api/v2/traces/{}", Time::None),
    row("tempo.tag_values", "/api/v2/search/tag/{}/values", Time::Range(SECONDS)),
    row("tempo.tags_v1", "/api/search/tags", Time::Range(SECONDS)),
    row("tempo.tags_v2", "/api/v2/search/tags", Time::Range(SECONDS)),
    row("tempo.tag_values_v1", "/api/search/tag/{}/values", Time::Range(SECONDS)),
    // The search route; what is asked in the older way has answers of another shape.
    row("tempo.legacy", "/api/search", Time::Range(SECONDS)),
    row("tempo.instant", "/api/metrics/query", Time::Range(SECONDS)),
    row("tempo.metrics", "/api/metrics/query_range", Time::Steps(SECONDS)),
    // The same route; its answers have rules of their own.
    row("tempo.compare", "/api/metrics/query_range", Time::Steps(SECONDS)),
    row("tempo.echo", "/api/echo", Time::None),
    row("tempo.buildinfo", "/api/status/buildinfo", Time::None),
    row("alertmanager.alerts", "/api/v2/alerts", Time::None),
    row("alertmanager.groups", "/api/v2/alerts/groups", Time::None),
    row("alertmanager.silences", "/api/v2/silences", Time::None),
    row("alertmanager.receivers", "/api/v2/receivers", Time::None),
    row("alertmanager.status", "/api/v2/status", Time::None),
];

const fn row(name: &'static str, path: &'static str, time: Time) -> Endpoint {
    Endpoint { name, path, time }
}

/// The name of the endpoint that a target asks of a kind of backend, or the kind alone.
pub fn endpoint(kind: &'static str, target: &str) -> &'static str {
    let path = target.split('?').next().unwrap_or_default();
    let is = |asked: &&Endpoint| {
        let (start, end) = asked.path.split_once("{}").unwrap_or((asked.path, ""));
        let between = path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        asked.name.starts_with(kind) && between.is_some_and(|b| b.is_empty() != asked.path.contains("{}"))
    };
    ENDPOINTS.iter().find(is).map_or(kind, |asked| asked.name)
}

/// The cases of one file below `cases/`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// One question; it is asked as each of `callers`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    name: String,
    endpoint: String,
    /// What stands in the path: a label, a tag, a trace id.
    #[serde(default)]
    of: String,
    /// `{{600}}` in a value is the instant 600 s after the seed's start.
    #[serde(default)]
    params: Vec<(String, String)>,
    /// What TWIN is asked where the same question cannot be put to it, and
    /// `why` that is.
    twin: Option<Vec<(String, String)>>,
    why: Option<String>,
    #[serde(default = "get")]
    method: String,
    /// Parameters on the URL of a POST, while `params` are in its body.
    #[serde(default)]
    url: Vec<(String, String)>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// The mount; the endpoint's kind when not given.
    mount: Option<String>,
    #[serde(default = "everyone")]
    callers: Vec<String>,
    /// TWIN's answer may be an error or hold nothing.
    #[serde(default)]
    empty_ok: bool,
    /// Start and end of the default time range, seconds after the seed's start.
    window: Option<(i64, i64)>,
}

fn get() -> String {
    "GET".into()
}

fn everyone() -> Vec<String> {
    vec!["alice".into(), "carol".into(), "rosa".into()]
}

impl Case {
    /// A question as text: an endpoint, what stands in its path, and its parameters, with `¦` between them.
    pub fn question(text: &str, mount: &str, window: (i64, i64)) -> Result<Self, String> {
        let mut parts = text.split('¦');
        let head = parts.next().unwrap_or_default();
        let (endpoint, of) = head.split_once(' ').unwrap_or((head, ""));
        let params = parts.map(|part| {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("no parameter: {part}"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        Ok(Self {
            name: "a random question".into(),
            endpoint: endpoint.into(),
            of: of.into(),
            params: params.collect::<Result<_, String>>()?,
            twin: None,
            why: None,
            method: get(),
            url: Vec::new(),
            headers: Vec::new(),
            mount: Some(mount.into()),
            callers: Vec::new(),
            empty_ok: true,
            window: Some(window),
        })
    }

    /// A question for people: `endpoint of name=value …`.
    pub fn shown(&self) -> String {
        let params: Vec<String> = self.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
        format!("{} {} {} in {:?}", self.endpoint, self.of, params.join(" "), self.window)
    }

    /// What is asked.
    pub fn asked(&self) -> Asked<'_> {
        Asked { endpoint: &self.endpoint, case: &self.name, mount: self.mount(), params: &self.params }
    }

    /// The value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// The question with another value of a parameter.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.params.iter_mut().filter(|(k, _)| k == name).for_each(|(_, v)| *v = value.to_owned());
        changed
    }

    /// The request without a token.
    pub fn plain(&self, start: i64) -> Result<Request, String> {
        self.request(start, &self.params)
    }

    fn mount(&self) -> &str {
        self.mount.as_deref().unwrap_or_else(|| self.kind())
    }

    fn kind(&self) -> &str {
        self.endpoint.split('.').next().unwrap_or_default()
    }

    fn endpoint(&self) -> Result<&'static Endpoint, String> {
        let found = ENDPOINTS.iter().find(|e| e.name == self.endpoint);
        found.ok_or_else(|| format!("no endpoint `{}`", self.endpoint))
    }

    /// The request for a seed that starts at `start`.
    fn request(&self, start: i64, params: &[(String, String)]) -> Result<Request, String> {
        let path = self.endpoint()?.path.replace("{}", &self.of());
        let params = self.parameters(start, params)?;
        let request = match self.method.as_str() {
            "POST" => Request::form(&with_query(&path, &self.url), &params),
            _ => Request::get(&path, &params),
        };
        Ok(self.headers.iter().fold(request, |request, (k, v)| request.header(k, v)))
    }

    /// The same as a call of gRPC; `None` if it is none.
    fn call(&self, start: i64, params: &[(String, String)]) -> Result<Option<Call>, String> {
        if self.method != "GET" || !self.headers.is_empty() {
            return Ok(None);
        }
        Ok(Call::of(&self.endpoint, &self.of(), &self.parameters(start, params)?))
    }

    /// The parameters, those of time among them.
    fn parameters(&self, start: i64, params: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        let endpoint = self.endpoint()?;
        let unit = match endpoint.time {
            Time::Instant(unit) | Time::Steps(unit) | Time::Range(unit) => unit,
            Time::None => SECONDS,
        };
        let mut params: Vec<(String, String)> =
            params.iter().map(|(k, v)| (k.clone(), instants(v, start, unit))).collect();
        let has = |name: &str| params.iter().any(|(k, _)| k == name);
        let (from, to) = self.window.unwrap_or((0, SPAN));
        let mut more: Vec<(&str, String)> = Vec::new();
        match endpoint.time {
            Time::Instant(unit) if !has("time") => {
                more.push(("time", ((start + to) * unit).to_string()));
            }
            Time::Steps(unit) | Time::Range(unit) if !has("start") => {
                more.push(("start", ((start + from) * unit).to_string()));
                more.push(("end", ((start + to) * unit).to_string()));
            }
            _ => {}
        }
        if matches!(endpoint.time, Time::Steps(_)) && !has("step") {
            more.push(("step", "60".into()));
        }
        params.extend(more.into_iter().map(|(k, v)| (k.to_owned(), v)));
        Ok(params)
    }

    fn of(&self) -> String {
        match self.of.split_once(':') {
            Some(("own", rest)) => {
                let (tenant, trace) = rest.split_once('/').unwrap_or((rest, "1"));
                tempo::own_id(tenant, trace.parse().unwrap_or(1))
            }
            Some(("infra", tenant)) => tempo::infra_id(tenant),
            Some(("shared", trace)) => tempo::shared_id(trace.parse().unwrap_or(1)),
            _ => match self.of.as_str() {
                "mixed" => tempo::MIXED_ID.into(),
                "forged" => tempo::FORGED_ID.into(),
                other => other.into(),
            },
        }
    }
}

/// Replaces each `{{n}}` by the instant n seconds after `start`.
fn instants(text: &str, start: i64, unit: i64) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        match after.split_once("}}") {
            Some((digits, tail)) if digits.parse::<i64>().is_ok() => {
                let seconds: i64 = digits.parse().unwrap_or_default();
                out.push_str(&((start + seconds) * unit).to_string());
                rest = tail;
            }
            _ => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out + rest
}

/// Reads the cases that are compiled in, those whose name holds `only`.
pub fn load(only: &str) -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    for (name, text) in [
        ("prometheus", include_str!("cases/prometheus.toml")),
        ("loki", include_str!("cases/loki.toml")),
        ("tempo", include_str!("cases/tempo.toml")),
        ("alertmanager", include_str!("cases/alertmanager.toml")),
        ("grafana", include_str!("cases/grafana.toml")),
    ] {
        let cases: Cases = toml::from_str(text).map_err(|e| format!("cases/{name}.toml: {e}"))?;
        all.extend(cases.case);
    }
    if let Some(case) = all.iter().find(|c: &&Case| c.twin.is_some() != c.why.is_some()) {
        return Err(format!("`{}` needs both `twin` and `why`, or neither", case.name));
    }
    all.retain(|case| format!("{} / {}", case.endpoint, case.name).contains(only));
    Ok(all)
}

/// What is no plain question: other files ask it.
const ASKED_ELSEWHERE: [&str; 3] = ["/loki/api/v1/tail", "/api/v1/read", "/api/v2/silence/{silence}"];

/// Whether each endpoint that Palisade serves over HTTP has a case.
fn every_endpoint(cases: &[Case]) -> Result<(), String> {
    // `{}` is in the table what has a name, or several, in Palisade's rows.
    let is_of = |asked: &Endpoint, kind: Kind, path: &str| {
        let (start, end) = asked.path.split_once("{}").unwrap_or((asked.path, ""));
        asked.name.starts_with(&format!("{kind}."))
            && path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some_and(|between| {
                between.is_empty() != asked.path.contains("{}") && !between.contains('/')
            })
    };
    let asked = |kind: Kind, path: &str| {
        let mut found = ENDPOINTS.iter().filter(|asked| is_of(asked, kind, path));
        found.any(|asked| cases.iter().any(|case| case.endpoint == asked.name))
    };
    let rows =
        Kind::ALL.into_iter().flat_map(|kind| kind.endpoints().iter().map(move |row| (kind, row.path)));
    let rows = rows.filter(|(_, path)| !path.starts_with("/tempopb.") && !ASKED_ELSEWHERE.contains(path));
    let missing: Vec<String> =
        rows.filter(|(kind, path)| !asked(*kind, path)).map(|(kind, path)| format!("{kind}{path}")).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("without a case: {missing:?}")) }
}

/// Whether an answer holds no data, by the shape of its body.
pub fn empty(answer: &Answer) -> bool {
    if answer.status != 200 {
        return true;
    }
    let Some(body) = answer.json() else {
        return answer.body.len() < 8;
    };
    let nothing = |v: &Value| match v {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Null => true,
        _ => false,
    };
    if nothing(&body) {
        return true;
    }
    if body.is_array() {
        return false;
    }
    const LISTS: [&str; 13] = [
        "/data/result",
        "/data/groups",
        "/data/alerts",
        "/data",
        "/traces",
        "/tagValues",
        "/tagNames",
        "/scopes",
        "/series",
        "/batches",
        "/detectedLabels",
        "/fields",
        "/values",
    ];
    for place in LISTS {
        if let Some(value) = body.pointer(place) {
            return nothing(value);
        }
    }
    match body.pointer("/trace") {
        Some(trace) => nothing(trace),
        None => body.get("streams").is_some_and(|n| n == 0),
    }
}

/// Runs every case as each of its callers, with the controls that keep the
/// comparison from being blind: TWIN equals itself, TWIN's answer holds data,
/// and FULL, asked the same without Palisade, differs in every family.
///
/// With a part of the cases only, the last control is left out: its family may
/// differ in the others.
pub fn run(world: &World, rules: &Rules, cases: &[Case], whole: bool, report: &mut Report) {
    let mut unequal: BTreeMap<String, bool> = BTreeMap::new();
    let mut regional = Regional::default();
    for case in cases {
        for caller in &case.callers {
            let name = format!("{} / {} / {caller}", case.endpoint, case.name);
            let Some(caller) = world.callers.get(caller.as_str()) else {
                report.case(&name, Err("no such caller".into()));
                continue;
            };
            let (Some(full), Some(twin)) =
                (world.full.at.get(case.kind()), world.twin(caller).at.get(case.kind()))
            else {
                continue;
            };
            match asking(world, case, caller, [full, twin]) {
                Ok(asking) => {
                    let outcome = one(rules, case, &asking, caller, (&mut unequal, report));
                    if caller.twin == Twin::East {
                        regional.count(&outcome);
                    }
                    report.case(&name, outcome.map(drop));
                }
                Err(why) => report.case(&name, Err(why)),
            }
            match calling(world, case, caller, [full, twin]) {
                Ok(None) => {}
                Ok(Some(calling)) => {
                    let outcome = one(rules, case, &calling, caller, (&mut unequal, report));
                    report.case(&format!("{name} / gRPC"), outcome.map(drop));
                }
                Err(why) => report.case(&name, Err(why)),
            }
        }
    }
    if whole {
        report.case("control / a scope of two dimensions", regional.enough());
        report.case("control / every endpoint is asked", every_endpoint(cases));
    }
    for (family, differs) in unequal {
        if !whole || WITHOUT_DATA.iter().any(|name| family.ends_with(name)) {
            continue;
        }
        let outcome =
            if differs { Ok(()) } else { Err("FULL answers as TWIN does; the family is blind".into()) };
        report.case(&format!("control / {family}: FULL differs from TWIN"), outcome);
    }
}

/// What the answers to the caller of a tenant in one region held.
#[derive(Default)]
struct Regional {
    asked: usize,
    held: usize,
}

impl Regional {
    fn count(&mut self, outcome: &Result<bool, String>) {
        self.asked += 1;
        self.held += usize::from(*outcome == Ok(true));
    }

    /// Cases are made for callers who see more: not all of them hold data of one region, but most do.
    fn enough(&self) -> Result<(), String> {
        let Self { asked, held } = self;
        println!("{held} of {asked} answers to the caller of one region hold data");
        if held * 3 >= asked * 2 { Ok(()) } else { Err(format!("only {held} of {asked} answers hold data")) }
    }
}

/// Asks one of those that can be asked.
pub type Ask<'a> = Box<dyn Fn() -> Result<Answer, String> + 'a>;

/// How one question is asked.
pub struct Asking<'a> {
    /// What stands in the name of its family of answers.
    family: String,
    /// Of Palisade before FULL, if it runs.
    pub ours: Option<Ask<'a>>,
    /// Of Palisade before TWIN.
    pub beside: Option<Ask<'a>>,
    /// Of TWIN.
    pub twin: Ask<'a>,
    /// Of FULL, without Palisade.
    full: Ask<'a>,
}

/// A case over HTTP.
pub fn asking<'a>(
    world: &'a World,
    case: &Case,
    caller: &'a Caller,
    [full, twin]: [&'a Base; 2],
) -> Result<Asking<'a>, String> {
    let request = case.request(world.start, &case.params)?.bearer(Some(&caller.token));
    let twins = case.request(world.start, case.twin.as_ref().unwrap_or(&case.params))?;
    let again = twins.clone();
    let through = |palisade: &Palisade| -> Ask<'a> {
        let (request, mount) = (request.clone(), palisade.base.under(&format!("/{}", case.mount())));
        Box::new(move || request.send(&mount))
    };
    Ok(Asking {
        family: case.endpoint.clone(),
        ours: world.palisade.as_ref().map(through),
        beside: world.beside(caller).map(through),
        twin: Box::new(move || twins.send(twin)),
        full: Box::new(move || again.send(full)),
    })
}

/// A case as a call of gRPC, if it is one.
pub fn calling<'a>(
    world: &'a World,
    case: &Case,
    caller: &'a Caller,
    [full, twin]: [&'a Base; 2],
) -> Result<Option<Asking<'a>>, String> {
    let theirs = case.twin.as_ref().unwrap_or(&case.params);
    let call = |params| case.call(world.start, params);
    let (Some(request), Some(twins), Some(again)) = (call(&case.params)?, call(theirs)?, call(theirs)?)
    else {
        return Ok(None);
    };
    let mixed = case.mount() == "tempo-mixed";
    let through = |palisade: &'a Palisade| -> Ask<'a> {
        let root = if mixed { &palisade.mixed } else { &palisade.tempo };
        let request = request.clone();
        Box::new(move || request.send(root, Some(&caller.token)))
    };
    Ok(Some(Asking {
        family: format!("{} / gRPC", case.endpoint),
        ours: world.palisade.as_ref().map(through),
        beside: world.beside(caller).map(through),
        twin: Box::new(move || twins.send(twin, None)),
        full: Box::new(move || again.send(full, None)),
    }))
}

/// One case; says whether TWIN's answer held data, and notes whether FULL without Palisade answers otherwise than TWIN.
fn one(
    rules: &Rules,
    case: &Case,
    asking: &Asking<'_>,
    caller: &Caller,
    (unequal, report): (&mut BTreeMap<String, bool>, &mut Report),
) -> Result<bool, String> {
    let fixed = WITHOUT_DATA.iter().any(|name| case.endpoint.ends_with(name));
    let asked = case.asked();
    let expected = (asking.twin)()?;
    let held = !empty(&expected);
    let may_be_empty = case.empty_ok || caller.twin == Twin::East;
    if !may_be_empty && !fixed && !held {
        return Err(format!(
            "TWIN's answer holds nothing: {} {}",
            expected.status,
            expected.text().chars().take(300).collect::<String>()
        ));
    }
    if let Some(where_) = rules.differ(asked, &(asking.twin)()?, &expected, true) {
        return Err(format!("TWIN differs from itself {where_}"));
    }
    let unscoped = (asking.full)()?;
    let differs = rules.differ(asked, &unscoped, &expected, true).is_some();
    *unequal.entry(asking.family.clone()).or_default() |= differs;
    if let Some(ours) = &asking.ours {
        let full = ours()?;
        let beside = asking.beside.as_ref().map(|ask| ask()).transpose()?;
        let answers =
            Answers { full: &full, beside: beside.as_ref(), twin: &expected, otherwise: case.twin.is_some() };
        report.ways.compare(rules, case.kind(), asked, &answers)?;
    }
    Ok(held)
}
