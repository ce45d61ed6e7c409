//! What the demo shows: requests with a comment, printed as `curl` lines and checked as they stand.
//!
//! `own` is a tenant that asks, `other` the one whose data it must not see.

mod alerting;

use super::data::{SHOPS, Shop, shared_trace_id, trace_id, trace_id_text};
use super::facts;
use super::issuer::CLIENT;
use serde_json::Value as Json;

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Through Palisade to the backend of that kind.
    Palisade(Backend),
    /// To the embedded backend itself: what a caller could do without Palisade.
    Direct(Backend),
    /// To the issuer.
    Issuer,
    /// To Palisade's control, which needs no token: whoever reaches it is an operator.
    Control,
}

/// A kind of backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the backend it is named after
pub enum Backend {
    Prometheus,
    Loki,
    Tempo,
    Alertmanager,
}

impl Backend {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::Loki, Self::Tempo, Self::Alertmanager];

    /// Its mount, without the slash.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Loki => "loki",
            Self::Tempo => "tempo",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// Whose token a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Tenant A's, `$TOKEN_A`.
    A,
    /// Tenant B's, `$TOKEN_B`.
    B,
    /// Tenant A's with tenant B in its claims, `$FORGED`.
    Forger,
    /// Nobody's.
    Nobody,
}

/// What the answer must be.
#[derive(Clone, Debug)]
pub enum Expect {
    /// This status, and nothing of another tenant.
    Status(u16),
    /// 200, and in the answer exactly these facts, which the function reads from it.
    Facts(fn(&Json) -> Vec<String>, Vec<String>),
    /// 200, and the text in the answer: the control, which shows that there is something to protect.
    Leak(&'static str),
}

/// How a request sends what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sends {
    /// A GET, with the pairs in the URL.
    Url,
    /// A POST, with the pairs in a form.
    Form,
    /// A POST of this JSON.
    Json(String),
    /// A DELETE.
    Delete,
    /// The handshake of a WebSocket, of which the first message is the answer.
    Tail,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it shows.
    pub says: &'static str,
    /// Whose token it carries.
    pub who: Who,
    /// Where it goes.
    pub place: Place,
    /// The path there.
    pub path: String,
    /// The parameters, in the URL or, if `post`, in a form.
    pub pairs: Vec<(&'static str, String)>,
    /// How they are sent.
    pub sends: Sends,
    /// A further header.
    pub header: Option<(&'static str, String)>,
    /// What the answer must be.
    pub expect: Expect,
    /// Whether it is worth asking of the embedded backend only: it names a trace there, or is a control.
    pub embedded: bool,
}

impl Line {
    fn new(says: &'static str, who: Who, place: Place, path: impl Into<String>, expect: Expect) -> Self {
        let (pairs, path, embedded) = (Vec::new(), path.into(), false);
        Self { says, who, place, path, pairs, sends: Sends::Url, header: None, expect, embedded }
    }

    /// An instant query of a Prometheus, of what is now.
    pub fn query(says: &'static str, who: Who, place: Place, text: &str) -> Self {
        Self::new(says, who, place, "/api/v1/query", Expect::Status(200)).with("query", text)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.pairs.push((name, value.into()));
        self
    }

    fn posted(self) -> Self {
        Self { sends: Sends::Form, ..self }
    }

    fn only_embedded(self) -> Self {
        Self { embedded: true, ..self }
    }
}

const METRICS: Place = Place::Palisade(Backend::Prometheus);
const LOGS: Place = Place::Palisade(Backend::Loki);
const TRACES: Place = Place::Palisade(Backend::Tempo);
/// How far the lines look back, in seconds.
const WINDOW: i64 = 600;

fn exactly(read: fn(&Json) -> Vec<String>, facts: &[&str]) -> Expect {
    Expect::Facts(read, facts.iter().map(|f| (*f).to_owned()).collect())
}

/// The lines about the ten minutes before the last multiple of them, so that what is printed keeps its
/// answer.
pub fn lines(now: i64) -> Vec<Line> {
    let until = now.div_euclid(WINDOW) * WINDOW;
    let [a, b] = SHOPS;
    let mut all = metrics(&b, until);
    all.extend(logs(&b, until));
    all.extend(traces(&a, &b, until));
    all.extend(alerting::lines(&a, &b, until));
    all.extend(identity(&b, until));
    all.extend(controls(&b, until));
    all
}

fn metrics(other: &Shop, until: i64) -> Vec<Line> {
    let at = until.to_string();
    let from = (until - WINDOW).to_string();
    let query = |says, who, query: String, expect| {
        Line::new(says, who, METRICS, "/api/v1/query", expect).with("query", query).with("time", &at)
    };
    let vector = |facts: &[&str]| exactly(facts::vector, facts);
    let foreign = format!("books_in_stock{{tenant=\"{}\"}}", other.tenant);
    let get = |says, path: &str, expect| Line::new(says, Who::A, METRICS, path, expect);
    vec![
        query("A's stock, by title", Who::A, "sum by (title) (books_in_stock)".into(), vector(&["title=Emma 45", "title=Moby-Dick 120"])),
        query("the same question of B has B's answer", Who::B, "sum by (title) (books_in_stock)".into(), vector(&["title=Dracula 77", "title=Persuasion 9"])),
        query("A groups by tenant: there is one", Who::A, "sum by (tenant) (books_in_stock)".into(), vector(&["tenant=acme-books 165"])),
        query("A asks for B's stock: nothing", Who::A, foreign.clone(), vector(&[])).posted(),
        query("A tries `or`: its own part only", Who::A, format!("sum by (title) (books_in_stock{{title=\"Emma\"}} or {foreign})"), vector(&["title=Emma 45"])),
        query("A tries a pattern over every tenant", Who::A, "count by (tenant) ({__name__=~\".+\", tenant=~\".*\"})".into(), vector(&["tenant=acme-books 6"])),
        query("A counts everything there is", Who::A, "count({__name__=~\".+\"})".into(), vector(&["6"])),
        query("A's own expressions work", Who::A, "sum(increase(http_requests_total{code=\"500\"}[5m])) / sum(increase(http_requests_total[5m])) > 0".into(), exactly(facts::rounded, &["0.047619"])),
        Line::new("A's errors a second, as a panel asks", Who::A, METRICS, "/api/v1/query_range", exactly(facts::rounded, &["0.6"]))
            .with("query", "sum(rate(http_requests_total{code=\"500\"}[5m]))").with("start", &from).with("end", &at).with("step", "60").posted(),
        get("the tenants that A can choose in a dashboard", "/api/v1/label/tenant/values", exactly(facts::list, &["acme-books"])),
        get("the tenants among B's series, asked by A", "/api/v1/label/tenant/values", exactly(facts::list, &[])).with("match[]", &foreign),
        get("the label names that A's series have", "/api/v1/labels", exactly(facts::list, &["__name__", "code", "region", "service", "tenant", "title"])),
        get("A asks for the series of both", "/api/v1/series", exactly(facts::titles, &["Emma", "Moby-Dick"])).with("match[]", "books_in_stock").with("match[]", foreign),
        query("what Grafana asks to test a Prometheus", Who::A, "1+1".into(), exactly(facts::vector, &["2"])),
    ]
}

fn logs(other: &Shop, until: i64) -> Vec<Line> {
    let at = until.to_string();
    let from = (until - WINDOW).to_string();
    let range = |says, path: &str, expect| {
        Line::new(says, Who::A, LOGS, path, expect).with("start", &from).with("end", &at)
    };
    let lines = |says, query: String, expect| {
        range(says, "/loki/api/v1/query_range", expect).with("query", query).with("limit", "1000")
    };
    let query = |says, query: String, expect| {
        Line::new(says, Who::A, LOGS, "/loki/api/v1/query", expect).with("query", query).with("time", &at)
    };
    let foreign = format!("{{tenant=\"{}\"}}", other.tenant);
    let [(title, _), _] = other.titles;
    vec![
        lines("A's failed payments", "{service=\"payments-gateway\"} |= \"ERROR\"".into(), exactly(facts::streams, &["acme-books payments-gateway 10"])),
        lines("A asks for B's logs: nothing", foreign.clone(), exactly(facts::streams, &[])),
        lines("A looks for a title of B in every stream: nothing", format!("{{service=~\".+\"}} |= \"{title}\""), exactly(facts::streams, &[])),
        query("A counts its failed payments by title", "sum by (title) (count_over_time({service=\"payments-gateway\"} | json | level = \"error\" [10m]))".into(), exactly(facts::vector, &["title=Emma 5", "title=Moby-Dick 5"])),
        query("A tries `or`: its own part only", format!("sum by (tenant) (count_over_time({foreign}[10m]) or count_over_time({{service=\"catalog\"}}[10m]))"), exactly(facts::vector, &["tenant=acme-books 20"])),
        range("the tenants that A's logs name", "/loki/api/v1/label/tenant/values", exactly(facts::list, &["acme-books"])),
        range("A asks for every stream", "/loki/api/v1/series", exactly(facts::services, &["acme-books catalog", "acme-books payments-gateway"])).with("match[]", "{}"),
        range("how much there is to read for A", "/loki/api/v1/index/stats", exactly(facts::stats, &["streams 2", "entries 50"])).with("query", "{service=~\".+\"}"),
        query("what Grafana asks to test a Loki", "vector(1)+vector(1)".into(), exactly(facts::vector, &["2"])),
    ]
}

fn traces(own: &Shop, other: &Shop, until: i64) -> Vec<Line> {
    let at = until.to_string();
    let from = (until - WINDOW).to_string();
    let search = |says, q: String, expect| {
        Line::new(says, Who::A, TRACES, "/api/search", expect)
            .with("q", q)
            .with("start", &from)
            .with("end", &at)
            .with("limit", "100")
    };
    let minute = until / 60;
    let id = |shop, minute| trace_id_text(trace_id(shop, minute));
    let failed = [id(own, minute - 10), id(own, minute - 5)];
    let failed = exactly(facts::trace_ids, &failed.each_ref().map(String::as_str));
    let shared = shared_trace_id(minute - 5).map(trace_id_text).unwrap_or_default();
    let trace = |says, path: String, expect| Line::new(says, Who::A, TRACES, path, expect);
    let (first, second) = (
        format!("/api/traces/{}", id(other, minute - 1)),
        format!("/api/v2/traces/{}", id(other, minute - 1)),
    );
    vec![
        search("A's failed requests", "{ status = error }".into(), failed.clone()),
        search(
            "A asks for B's traces: none",
            format!("{{ resource.tenant = \"{}\" }}", other.tenant),
            exactly(facts::trace_ids, &[]),
        ),
        search(
            "A tries `||`: its own part only",
            format!("{{ resource.tenant = \"{}\" || status = error }}", other.tenant),
            failed,
        ),
        search(
            "whose root is not A's, its name is not shown",
            "{ name =~ \".*shared\" }".into(),
            exactly(facts::roots, &["<root span not yet received>", "<root span not yet received>"]),
        ),
        trace(
            "a trace of A",
            format!("/api/v2/traces/{}", id(own, minute - 1)),
            exactly(
                facts::spans,
                &["acme-books catalog", "acme-books payments-gateway", "acme-books storefront"],
            ),
        )
        .only_embedded(),
        trace(
            "a trace that both have spans in: A's part",
            format!("/api/v2/traces/{shared}"),
            exactly(facts::spans, &["acme-books storefront"]),
        )
        .only_embedded(),
        trace("a trace of B, asked by A: no spans", second, exactly(facts::spans, &[])),
        trace("the same by the older path: not found", first, Expect::Status(404)),
        Line {
            who: Who::B,
            ..trace(
                "B reads it",
                format!("/api/v2/traces/{}", id(other, minute - 1)),
                exactly(
                    facts::spans,
                    &["globex-lit catalog", "globex-lit payments-gateway", "globex-lit storefront"],
                ),
            )
        }
        .only_embedded(),
        trace(
            "the regions that A's spans name",
            "/api/v2/search/tag/resource.region/values".into(),
            exactly(facts::tag_values, &["us-east"]),
        )
        .with("start", &from)
        .with("end", &at),
        trace(
            "the same with a hint that asks for B's: A's",
            "/api/v2/search/tag/resource.region/values".into(),
            exactly(facts::tag_values, &["us-east"]),
        )
        .with("q", format!("{{ resource.tenant = \"{}\" }}", other.tenant))
        .with("start", &from)
        .with("end", &at),
        trace(
            "A's spans by region",
            "/api/metrics/query_range".into(),
            exactly(facts::trace_series, &["us-east 64"]),
        )
        .with("q", "{} | count_over_time() by (resource.region)")
        .with("start", &from)
        .with("end", &at)
        .with("step", "600s"),
        trace("what Grafana asks to test a Tempo", "/api/echo".into(), Expect::Status(200)),
    ]
}

fn identity(other: &Shop, until: i64) -> Vec<Line> {
    let query = |says, who, text: &str, expect| {
        Line::new(says, who, METRICS, "/api/v1/query", expect)
            .with("query", text)
            .with("time", until.to_string())
    };
    let scope = Some(("X-Palisade-Scope", format!("tenant={}", other.tenant)));
    vec![
        query("no token, no metrics", Who::Nobody, "books_in_stock", Expect::Status(401)),
        Line::new("no token, no logs", Who::Nobody, LOGS, "/loki/api/v1/labels", Expect::Status(401)),
        Line::new("no token, no traces", Who::Nobody, TRACES, "/api/search", Expect::Status(401)),
        query(
            "a token whose claims were changed is no token",
            Who::Forger,
            "books_in_stock",
            Expect::Status(401),
        ),
        Line {
            header: scope,
            ..query("A asks to act as B: refused", Who::A, "books_in_stock", Expect::Status(403))
        },
        query(
            "what cannot be scoped is refused, and says why",
            Who::A,
            "info(http_requests_total)",
            Expect::Status(400),
        ),
        Line::new(
            "what is not listed does not exist",
            Who::A,
            METRICS,
            "/api/v1/status/config",
            Expect::Status(404),
        ),
        Line::new(
            "a wrong password has no token",
            Who::Nobody,
            Place::Issuer,
            "/protocol/openid-connect/token",
            Expect::Status(401),
        )
        .with("grant_type", "password")
        .with("client_id", CLIENT)
        .with("username", "alice")
        .with("password", "guess")
        .posted(),
    ]
}

/// The same questions of the backends themselves, which hold everyone's data: without these, the lines
/// above could hold of backends that are empty.
fn controls(other: &Shop, until: i64) -> Vec<Line> {
    let direct = |says, backend, path: String, leak| {
        Line::new(says, Who::Nobody, Place::Direct(backend), path, Expect::Leak(leak)).only_embedded()
    };
    let (at, from) = (until.to_string(), (until - WINDOW).to_string());
    let trace = trace_id_text(trace_id(other, until / 60 - 1));
    let [(title, _), _] = other.titles;
    vec![
        direct(
            "Prometheus itself shows B's stock to anyone",
            Backend::Prometheus,
            "/api/v1/query".into(),
            title,
        )
        .with("query", "sum by (title) (books_in_stock)")
        .with("time", &at),
        direct(
            "Loki itself shows B's logs to anyone",
            Backend::Loki,
            "/loki/api/v1/query_range".into(),
            title,
        )
        .with("query", "{service=~\".+\"}")
        .with("start", from)
        .with("end", at),
        direct(
            "Tempo itself shows B's trace to anyone",
            Backend::Tempo,
            format!("/api/v2/traces/{trace}"),
            other.tenant,
        ),
        direct(
            "Alertmanager itself shows B's alert to anyone",
            Backend::Alertmanager,
            "/api/v2/alerts".into(),
            title,
        ),
    ]
}
