//! Prometheus, Loki, Tempo and Alertmanager: their configuration, start and data.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::builds::{Build, Builds};
use crate::http::{Base, Request};
use crate::processes::{Server, free_ports, run, write};
use crate::seed::{self, Holds};
use crate::settings;

/// How long a server may take to be ready; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

/// Where Prometheus's API starts, so that an upstream with a path is the rule
/// here and not the exception (ATK-01).
pub const PROMETHEUS_PREFIX: &str = "/metrics-store";

/// One set of backends with the same data, each there if its program is.
pub struct Backends {
    /// The set's name in messages.
    pub name: &'static str,
    /// Whose data it holds.
    pub holds: Holds,
    /// Where each listens, by `prometheus`, `loki`, `tempo` or `alertmanager`.
    pub at: BTreeMap<&'static str, Base>,
    /// The version of each, by kind.
    pub versions: BTreeMap<String, String>,
    otlp: Option<Base>,
    cache: Option<Server>,
    servers: Vec<(Server, Base, &'static str)>,
}

impl Backends {
    /// A set that another run has started.
    pub fn elsewhere(
        name: &'static str,
        holds: Holds,
        at: BTreeMap<&'static str, Base>,
        versions: BTreeMap<String, String>,
    ) -> Self {
        Self { name, holds, at, versions, otlp: None, cache: None, servers: Vec::new() }
    }

    /// Starts the servers of one set below `dir`, with the seed's first instant, in seconds of the epoch, and
    /// where the pages are that Prometheus scrapes.
    pub fn start(
        name: &'static str,
        holds: Holds,
        dir: &Path,
        builds: &Builds,
        (start, exporter): (i64, &str),
    ) -> Result<Self, String> {
        let versions = builds.iter().map(|(name, build)| (name.clone(), build.version.clone())).collect();
        let mut set = Self::elsewhere(name, holds, BTreeMap::new(), versions);
        let dir = dir.join(name);
        let program = |name: &str| builds.get(name).map(|build| build.path.as_path());
        if let (Some(server), Some(tool)) = (program("prometheus"), program("promtool")) {
            set.prometheus(&dir.join("prometheus"), (server, tool), start, exporter)?;
        }
        if let Some(program) = program("loki") {
            set.loki("loki", &dir.join("loki"), program)?;
            // Beside FULL's, one with tenants of its own.
            if holds.strays() {
                set.loki(ORGS, &dir.join(ORGS), program)?;
            }
        }
        if let Some(build) = builds.get("tempo") {
            let redis = program("redis").map(|redis| set.redis(&dir.join("redis"), redis)).transpose()?;
            set.tempo(&dir.join("tempo"), build, redis)?;
        }
        if let Some(program) = program("alertmanager") {
            set.alertmanager(&dir.join("alertmanager"), program)?;
        }
        Ok(set)
    }

    /// Waits for the servers, gives them their data and waits until it shows.
    pub fn seed(&self, start: i64) -> Result<(), String> {
        for (server, base, path) in &self.servers {
            server.ready(base, path, PATIENCE)?;
        }
        if let Some(prometheus) = self.at.get("prometheus") {
            self.evaluated(prometheus)?;
        }
        if let Some(loki) = self.at.get("loki") {
            let push = |body: serde_json::Value| {
                let answer = json_post("/loki/api/v1/push", body.to_string()).send(loki)?;
                let said = || format!("{} loki: {} {}", self.name, answer.status, answer.text());
                if answer.status == 204 { Ok(()) } else { Err(said()) }
            };
            push(seed::loki::push(self.holds, start))?;
            self.flushed(loki, start)?;
            if seed::hostile::wanted() {
                push(seed::loki::late(self.holds, start))?;
            }
            self.ruled(loki)?;
        }
        if let Some(loki) = self.at.get(ORGS) {
            self.orgs(loki, start)?;
        }
        if let (Some(otlp), Some(tempo)) = (&self.otlp, self.at.get("tempo")) {
            self.trace(otlp, tempo, start)?;
        }
        if let Some(alertmanager) = self.at.get("alertmanager") {
            self.alarm(alertmanager, start)?;
        }
        Ok(())
    }

    /// Each tenant's streams below its own id, most others' below that of `acme-books` as well, which the label keeps
    /// apart, and below another's id a stream with the label of `acme-books`, which the id keeps apart.
    fn orgs(&self, loki: &Base, start: i64) -> Result<(), String> {
        let push = |id: &str, streams: Vec<serde_json::Value>| {
            let body = serde_json::json!({ "streams": streams }).to_string();
            let request = json_post("/loki/api/v1/push", body).header("X-Scope-OrgID", id);
            let answer = request.send(loki)?;
            let said = || format!("{} loki of {id}: {} {}", self.name, answer.status, answer.text());
            if answer.status == 204 { Ok(()) } else { Err(said()) }
        };
        let pushes = [seed::loki::push(self.holds, start), seed::loki::late(self.holds, start)];
        let all: Vec<_> =
            pushes.iter().filter_map(|push| push["streams"].as_array()).flatten().cloned().collect();
        let of = |tenant: &str| -> Vec<serde_json::Value> {
            all.iter().filter(|s| s["stream"]["tenant"] == tenant).cloned().collect()
        };
        for tenant in seed::TENANTS.into_iter().filter(|tenant| *tenant != "acme-books") {
            push(&format!("s-{tenant}"), of(tenant))?;
        }
        let others = all.iter().filter(|s| s["stream"]["tenant"] != "globex-lit").cloned();
        push("s-acme-books", others.collect())?;
        let mut forged = of("acme-books");
        for stream in &mut forged {
            stream["stream"]["service"] = "catalog".into();
            stream["stream"]["forged"] = "yes".into();
        }
        push("s-initech-press", forged)?;
        // Left to itself, it is flushed in some sets while questions are asked, and their statistics tell.
        Request::form("/flush", &[]).send(loki)?;
        let params = [
            ("query", r#"{service=~".+"}"#.to_owned()),
            ("start", start.to_string()),
            ("end", (start + seed::SPAN).to_string()),
        ]
        .map(|(k, v)| (k.to_owned(), v));
        let begun = Instant::now();
        for id in ["s-acme-books", "s-initech-press"] {
            let stats = || {
                let stats = Request::get("/loki/api/v1/index/stats", &params).header("X-Scope-OrgID", id);
                stats.send(loki).map(|answer| answer.json())
            };
            while stats()?.is_none_or(|v| v["streams"] == 0) {
                if begun.elapsed() > PATIENCE {
                    return Err(format!("{} loki of {id}: the seed does not show", self.name));
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        }
        Ok(())
    }

    /// Silences first, so that no alert is notified before it is silenced. Groups follow by a moment.
    fn alarm(&self, alertmanager: &Base, start: i64) -> Result<(), String> {
        let alerts = seed::alertmanager::alerts(self.holds, start);
        let silences = seed::alertmanager::silences(self.holds, start);
        let posts = silences.iter().map(|silence| ("/api/v2/silences", silence));
        for (path, body) in posts.chain([("/api/v2/alerts", &alerts)]) {
            let answer = json_post(path, body.to_string()).send(alertmanager)?;
            if answer.status != 200 {
                return Err(format!("{} alertmanager: {} {}", self.name, answer.status, answer.text()));
            }
        }
        let expected = alerts.as_array().map_or(0, Vec::len);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let groups = Request::get("/api/v2/alerts/groups", &[]).send(alertmanager)?.json();
            let groups = groups.as_ref().and_then(serde_json::Value::as_array).into_iter().flatten();
            let first = groups.filter(|group| group["receiver"]["name"] == "pager");
            let seen: usize = first.filter_map(|group| group["alerts"].as_array()).map(Vec::len).sum();
            if seen == expected {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(format!("{} alertmanager: the seed does not show", self.name))
    }

    /// Rules are evaluated, and all their alerts are there, once the targets were scraped.
    fn evaluated(&self, prometheus: &Base) -> Result<(), String> {
        let expected = seed::targets::alerts(self.holds);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let answer = Request::get("/api/v1/alerts", &[]).send(prometheus)?.json();
            let alerts = answer.as_ref().and_then(|v| v.pointer("/data/alerts")?.as_array().map(Vec::len));
            if alerts == Some(expected) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Err(format!("{} prometheus: its {expected} alerts do not show", self.name))
    }

    /// Loki's `index/stats` counts flushed chunks only.
    fn flushed(&self, loki: &Base, start: i64) -> Result<(), String> {
        Request::form("/flush", &[]).send(loki)?;
        let params = [
            ("query", r#"{service=~".+"}"#.to_owned()),
            ("start", start.to_string()),
            ("end", (start + seed::SPAN).to_string()),
        ]
        .map(|(k, v)| (k.to_owned(), v));
        let stats = Request::get("/loki/api/v1/index/stats", &params);
        let streams = seed::loki::streams(self.holds);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let answer = stats.send(loki)?.json();
            if answer.is_some_and(|v| v["streams"] == streams) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Err(format!("{} loki: the seed does not show", self.name))
    }

    /// Loki's ruler evaluates its rules again and again; patterns follow a push by a moment.
    fn ruled(&self, loki: &Base) -> Result<(), String> {
        let expected = seed::loki::alerts(self.holds);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let alerts = Request::get("/prometheus/api/v1/alerts", &[]).send(loki)?.json();
            let seen = alerts.as_ref().and_then(|v| v["data"]["alerts"].as_array()).map_or(0, Vec::len);
            let rules = Request::get("/prometheus/api/v1/rules", &[]).send(loki)?.text();
            if seen == expected && !rules.contains(r#""health":"unknown""#) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        let rules = Request::get("/prometheus/api/v1/rules", &[]).send(loki)?.text();
        Err(format!("{} loki: the rules do not show: {rules}", self.name))
    }

    /// Spans in pushes, the first of which is in the backend before the others are live.
    fn trace(&self, otlp: &Base, tempo: &Base, start: i64) -> Result<(), String> {
        let pushes = seed::tempo::exports(self.holds, start);
        for (n, body) in pushes.iter().enumerate() {
            let answer = json_post("/v1/traces", body.to_string()).send(otlp)?;
            if answer.status != 200 {
                return Err(format!("{} tempo: {} {}", self.name, answer.status, answer.text()));
            }
            // Questions of every kind of answer are asked of live spans, hostile ones of both. Tempo 3 has no such
            // endpoint: it flushes by time.
            if n + 1 == seed::tempo::FLUSHED
                && seed::hostile::wanted()
                && self.versions.get("tempo").is_some_and(|version| version.starts_with('2'))
            {
                Request::get("/flush", &[]).send(tempo)?;
                self.in_backend(tempo)?;
            }
        }
        let spans = pushes.iter().filter_map(|push| push["resourceSpans"].as_array()).map(Vec::len);
        self.visible(tempo, start, &spans.collect::<Vec<_>>())
    }

    /// What was flushed is listed in the backend, and the ingester has let it go.
    fn in_backend(&self, tempo: &Base) -> Result<(), String> {
        let begun = Instant::now();
        let mut page = String::new();
        while begun.elapsed() < PATIENCE {
            page = Request::get("/metrics", &[]).send(tempo)?.text();
            let some = |name: &str| {
                let values = page.lines().filter(|line| line.starts_with(name));
                values.filter_map(|line| line.rsplit(' ').next()).any(|value| value != "0")
            };
            if some("tempodb_blocklist_length{") && some("tempo_ingester_blocks_cleared_total ") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        let told: Vec<_> = page.lines().filter(|line| line.contains("block")).collect();
        Err(format!("{} tempo: nothing is flushed: {told:?}", self.name))
    }

    /// Every span of every push is counted, and found.
    fn visible(&self, tempo: &Base, start: i64, spans: &[usize]) -> Result<(), String> {
        let begun = Instant::now();
        let window = [
            ("start".to_owned(), (start + seed::tempo::EARLIEST).to_string()),
            ("end".to_owned(), (start + seed::SPAN).to_string()),
        ];
        let ask = |path: &str, q: &str| -> Result<serde_json::Value, String> {
            let mut params = window.to_vec();
            let more = [("q", q), ("step", "600s"), ("limit", "1000"), ("spss", "100")];
            params.extend(more.map(|(k, v)| (k.to_owned(), v.to_owned())));
            Ok(Request::get(path, &params).send(tempo)?.json().unwrap_or_default())
        };
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let mut seen = Vec::new();
        while begun.elapsed() < PATIENCE {
            seen.clear();
            for push in 0..spans.len() {
                let filter = format!("{{ span.pushed = \"{push}\" }}");
                let counted = ask("/api/metrics/query_range", &format!("{filter} | count_over_time()"))?;
                let samples =
                    list(&counted["series"]).into_iter().flat_map(|series| list(&series["samples"]));
                let counted: f64 = samples.filter_map(|sample| sample["value"].as_f64()).sum();
                let traces = list(&ask("/api/search", &filter)?["traces"]);
                let found: u64 = traces.iter().filter_map(|trace| trace["spanSet"]["matched"].as_u64()).sum();
                seen.push((counted as usize, found as usize));
            }
            let listed = list(&ask("/api/v2/search/tag/span.pushed/values", "")?["tagValues"]).len();
            let pushed = spans.iter().filter(|spans| **spans > 0).count();
            if listed == pushed && seen.iter().zip(spans).all(|(seen, all)| *seen == (*all, *all)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Err(format!("{} tempo: of {spans:?} spans are counted and found {seen:?}", self.name))
    }

    fn prometheus(
        &mut self,
        dir: &Path,
        (program, promtool): (&Path, &Path),
        start: i64,
        exporter: &str,
    ) -> Result<(), String> {
        write(&dir.join("seed.om"), &seed::prometheus::text(self.holds, start))?;
        let args = ["tsdb", "create-blocks-from", "openmetrics", "seed.om", "data"];
        run(promtool, &args, dir)?;
        write(&dir.join("prometheus.yml"), &seed::targets::configuration(self.holds, exporter))?;
        write(&dir.join("rules.yml"), &seed::targets::rules(self.holds))?;
        let [port] = free_ports()?;
        let base = Base::local(port).under(PROMETHEUS_PREFIX);
        let args = [
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=data".into(),
            "--storage.tsdb.retention.time=10y".into(),
            "--enable-feature=promql-experimental-functions,exemplar-storage,search-api".into(),
            format!("--web.listen-address={}", base.authority),
            format!("--web.external-url={}", base.url()),
            format!("--web.route-prefix={PROMETHEUS_PREFIX}"),
            "--log.level=warn".into(),
        ];
        self.spawn("prometheus", dir, program, &args, base, "/-/ready")
    }

    fn loki(&mut self, kind: &'static str, dir: &Path, program: &Path) -> Result<(), String> {
        let [http, grpc, gossip] = free_ports()?;
        let tenants = if kind == ORGS {
            settings::LOKI.replace(settings::ONE_TENANT, settings::MANY_TENANTS)
        } else {
            settings::LOKI.to_owned()
        };
        let config = tenants
            .replace("HTTP", &http.to_string())
            .replace("GRPC", &grpc.to_string())
            .replace("GOSSIP", &gossip.to_string());
        write(&dir.join("loki.yaml"), &config)?;
        // The one organization of a Loki that does not tell any apart.
        write(&dir.join("data/rules/fake/bookstore.yaml"), &seed::loki::rules(self.holds))?;
        let args = ["-config.file=loki.yaml".to_owned()];
        self.spawn(kind, dir, program, &args, Base::local(http), "/ready")
    }

    /// Starts what Tempo keeps its caches in; its port.
    fn redis(&mut self, dir: &Path, program: &Path) -> Result<u16, String> {
        let [port] = free_ports()?;
        let port_text = port.to_string();
        let args = ["--bind", "127.0.0.1", "--port", &port_text, "--save", "", "--appendonly", "no"];
        let server =
            Server::start(&format!("{} redis", self.name), dir, program, &args.map(str::to_owned), &[])?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} redis does not listen\n{}", self.name, server.tail()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.cache = Some(server);
        Ok(port)
    }

    fn tempo(&mut self, dir: &Path, build: &Build, redis: Option<u16>) -> Result<(), String> {
        let [http, grpc, gossip, otlp] = free_ports()?;
        let config = settings::tempo(&build.version, redis.is_some())
            .replace("REDIS", &redis.unwrap_or_default().to_string())
            .replace("HTTP", &http.to_string())
            .replace("GRPC", &grpc.to_string())
            .replace("GOSSIP", &gossip.to_string())
            .replace("OTLP", &otlp.to_string());
        write(&dir.join("tempo.yaml"), &config)?;
        self.otlp = Some(Base::local(otlp));
        let args = ["-config.file=tempo.yaml".to_owned()];
        self.spawn("tempo", dir, &build.path, &args, Base::local(http), "/ready")
    }

    fn alertmanager(&mut self, dir: &Path, program: &Path) -> Result<(), String> {
        let [port] = free_ports()?;
        let base = Base::local(port);
        // Names of receivers are of the configuration, which no tenant may see.
        let more = if self.holds.strays() { seed::canary("untenanted") } else { "more".to_owned() };
        write(&dir.join("alertmanager.yml"), &settings::ALERTMANAGER.replace("MORE", &more))?;
        let args = [
            "--config.file=alertmanager.yml".to_owned(),
            "--storage.path=data".into(),
            "--cluster.listen-address=".into(),
            format!("--web.listen-address={}", base.authority),
            "--log.level=warn".into(),
        ];
        self.spawn("alertmanager", dir, program, &args, base, "/-/ready")
    }

    fn spawn(
        &mut self,
        kind: &'static str,
        dir: &Path,
        program: &Path,
        args: &[String],
        base: Base,
        ready: &'static str,
    ) -> Result<(), String> {
        let name = format!("{} {kind}", self.name);
        let server = Server::start(&name, dir, program, args, &[])?;
        self.at.insert(kind, base.clone());
        self.servers.push((server, base, ready));
        Ok(())
    }
}

fn json_post(path: &str, body: String) -> Request {
    Request { method: "POST".into(), target: path.into(), body: body.into_bytes(), ..Request::default() }
        .header("Content-Type", "application/json")
}

/// A Loki with tenants of its own, by name.
pub const ORGS: &str = "loki-orgs";
