//! The platform of `deploy/`, as `deploy/local/run` starts it: its very configuration files in the real Prometheus, Loki,
//! Tempo, Alertmanager and OpenTelemetry Collector. Two bookstores send OTLP and say that they are another tenant; what
//! they sent is found through Palisade, by the tenant of the collector and by no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, Base, Request};
use crate::processes::{Server, free_ports};
use crate::report::Report;
use crate::world::World;

/// How long servers may take to be ready, and data to show.
const PATIENCE: Duration = Duration::from_secs(180);
/// Ports of `deploy/local/run`, by the variables that it reads.
const PORTS: [&str; 15] = [
    "PALISADE_PORT",
    "ADMIN_PORT",
    "PROMETHEUS_PORT",
    "ALERTMANAGER_PORT",
    "LOKI_PORT",
    "TEMPO_PORT",
    "ACME_PORT",
    "GLOBEX_PORT",
    "LOKI_GRPC_PORT",
    "TEMPO_GRPC_PORT",
    "TEMPO_OTLP_PORT",
    "GOSSIP_PORT",
    "GOSSIP_PORT_2",
    "ACME_GRPC_PORT",
    "GLOBEX_GRPC_PORT",
];

/// The running platform, and what its bookstores sent.
struct Platform {
    ports: BTreeMap<&'static str, u16>,
    _server: Server,
    owners: Vec<Owner>,
}

/// A tenant, with the token of one of its users.
struct Owner {
    tenant: &'static str,
    region: &'static str,
    token: String,
    /// What its bookstore says it sent.
    sent: Value,
}

type Case = fn(&Platform) -> Result<(), String>;

/// Runs the cases whose name holds `only`.
pub fn run(world: &World, dir: &Path, only: &str, report: &mut Report) {
    let cases: [(&str, Case); 5] = [
        ("platform / series have the collector's tenant, whatever a workload says", metrics),
        ("platform / lines have the collector's tenant, whatever a workload says", logs),
        ("platform / traces with errors and slow ones are kept, for their tenant only", traces),
        ("platform / exemplars lead to the tenant's traces", exemplars),
        ("platform / rules are evaluated, and alerts have routes", rules),
    ];
    let wanted: Vec<_> = cases.into_iter().filter(|(name, _)| name.contains(only)).collect();
    let Some(keycloak) = world.keycloak.as_ref().filter(|_| !wanted.is_empty()) else {
        return;
    };
    let token = |user: &str| keycloak.token("storefront", user);
    let started = token("alice").and_then(|alice| {
        let users = [("acme-books", "eu-west", alice), ("globex-lit", "us-east", token("bob")?)];
        Platform::start(&dir.join("platform"), &keycloak.realm.url(), users)
    });
    match started {
        Ok(platform) => wanted.into_iter().for_each(|(name, case)| report.case(name, case(&platform))),
        Err(why) => report.case("platform / starts", Err(why)),
    }
}

impl Platform {
    fn start(
        dir: &Path,
        issuer: &str,
        users: [(&'static str, &'static str, String); 2],
    ) -> Result<Self, String> {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let ports: BTreeMap<_, _> = PORTS.into_iter().zip(free_ports::<15>()?).collect();
        let mut env: Vec<(&str, String)> =
            ports.iter().map(|(name, port)| (*name, port.to_string())).collect();
        env.extend([
            ("DATA", dir.display().to_string()),
            ("PALISADE", env!("CARGO_BIN_EXE_palisade").to_owned()),
            ("ISSUER", issuer.to_owned()),
            ("QUIET", "1".to_owned()),
            // What is neither failed nor slow is dropped, so that what is kept was kept for its reason.
            ("SAMPLED_PERCENT", "0".to_owned()),
            ("DECISION_WAIT", "2s".to_owned()),
        ]);
        let server = Server::start("platform", dir, &deploy.join("local/run"), &[], &env)?;
        let at = |name| Base::local(ports[name]);
        for (name, path) in [
            ("ADMIN_PORT", "/readyz"),
            ("PROMETHEUS_PORT", "/-/ready"),
            ("ALERTMANAGER_PORT", "/-/ready"),
            ("LOKI_PORT", "/ready"),
            ("TEMPO_PORT", "/ready"),
        ] {
            server.ready(&at(name), path, PATIENCE)?;
        }
        let mut owners = Vec::new();
        for ((tenant, region, token), (port, claims)) in
            users.into_iter().zip([("ACME_PORT", "globex-lit"), ("GLOBEX_PORT", "acme-books")])
        {
            until(|| {
                std::net::TcpStream::connect(at(port).authority).map(drop).map_err(|e| format!("{port}: {e}"))
            })?;
            let sent = Command::new("python3")
                .arg(deploy.join("bookstore/bookstore.py"))
                .args([
                    "--to",
                    &at(port).url(),
                    "--claims",
                    claims,
                    "--rounds",
                    "3",
                    "--every",
                    "0.5",
                    "--report",
                ])
                .args(["--requests", "20", "--errors", "0.3", "--slow", "0.3"])
                .output()
                .map_err(|e| e.to_string())?;
            let sent = serde_json::from_slice(&sent.stdout)
                .map_err(|e| format!("bookstore: {e}: {}", String::from_utf8_lossy(&sent.stderr)))?;
            owners.push(Owner { tenant, region, token, sent });
        }
        Ok(Self { ports, _server: server, owners })
    }

    /// A backend itself, past Palisade.
    fn direct(&self, name: &str, path: &str, params: &[(&str, &str)]) -> Result<Answer, String> {
        get(&Base::local(self.ports[name]), None, path, params)
    }

    /// A backend through Palisade, as a user of that tenant.
    fn through(
        &self,
        owner: &Owner,
        mount: &str,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<Answer, String> {
        get(&Base::local(self.ports["PALISADE_PORT"]).under(mount), Some(&owner.token), path, params)
    }
}

impl Owner {
    /// Requests by service and code.
    fn requests(&self) -> BTreeMap<String, u64> {
        let rows = self.sent["requests"].as_array().into_iter().flatten();
        rows.map(|r| (self.key(&r["service"], &r["code"].to_string()), r["count"].as_u64().unwrap_or(0)))
            .collect()
    }

    fn key(&self, service: &Value, code: &str) -> String {
        format!("{} {} {} {code}", self.tenant, self.region, service.as_str().unwrap_or_default())
    }

    fn ids(&self, kinds: &[&str]) -> BTreeSet<&str> {
        let of = |kind: &&str| self.sent["traces"][*kind].as_array().into_iter().flatten();
        kinds.iter().flat_map(of).filter_map(Value::as_str).collect()
    }
}

fn get(base: &Base, token: Option<&str>, path: &str, params: &[(&str, &str)]) -> Result<Answer, String> {
    let params: Vec<_> = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Request::get(path, &params).bearer(token).send(base)
}

/// Asks again until it is as it should be.
fn until(mut asked: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match asked() {
            Err(_) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(500)),
            outcome => return outcome,
        }
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, expected: &T) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what}: {got:?}, not {expected:?}")) }
}

/// The values of an instant query, by tenant, region, service and code.
fn vector(answer: &Answer) -> BTreeMap<String, u64> {
    let answer = answer.json().unwrap_or_default();
    let rows = answer["data"]["result"].as_array().into_iter().flatten();
    let label = |row: &Value, name: &str| row["metric"][name].as_str().unwrap_or("-").to_owned();
    rows.map(|row| {
        let key = ["tenant", "region", "service", "code"].map(|name| label(row, name)).join(" ");
        (key, row["value"][1].as_str().and_then(|v| v.parse().ok()).unwrap_or(0))
    })
    .collect()
}

fn metrics(platform: &Platform) -> Result<(), String> {
    let query = [("query", "sum by (tenant, region, service, code) (http_requests_total)")];
    let mut all = BTreeMap::new();
    for owner in &platform.owners {
        let expected: BTreeMap<_, _> =
            owner.requests().into_iter().map(|(key, count)| (key.replace('"', ""), count)).collect();
        equal("services", &(expected.len() >= 9), &true)?;
        until(|| {
            let got = vector(&platform.through(owner, "/prometheus", "/api/v1/query", &query)?);
            equal(owner.tenant, &got, &expected)
        })?;
        all.extend(expected);
    }
    // And there is nothing else: what the workloads said of their tenant is nowhere.
    equal("everyone's", &vector(&platform.direct("PROMETHEUS_PORT", "/api/v1/query", &query)?), &all)
}

fn logs(platform: &Platform) -> Result<(), String> {
    let query = [("query", r#"sum by (tenant, region) (count_over_time({service_name=~".+"}[1h]))"#)];
    let mut all = BTreeMap::new();
    for owner in &platform.owners {
        let expected = BTreeMap::from([(
            format!("{} {} - -", owner.tenant, owner.region),
            owner.requests().values().sum::<u64>(),
        )]);
        until(|| {
            let got = vector(&platform.through(owner, "/loki", "/loki/api/v1/query", &query)?);
            equal(owner.tenant, &got, &expected)
        })?;
        all.extend(expected);
    }
    equal("everyone's", &vector(&platform.direct("LOKI_PORT", "/loki/api/v1/query", &query)?), &all)
}

fn traces(platform: &Platform) -> Result<(), String> {
    for (owner, other) in platform.owners.iter().zip(platform.owners.iter().rev()) {
        let kept = owner.ids(&["error", "slow"]);
        equal("traces of each kind", &[kept.len() > 10, !owner.ids(&["fine"]).is_empty()], &[true, true])?;
        for id in kept {
            let path = format!("/api/traces/{id}");
            until(|| equal(id, &platform.through(owner, "/tempo", &path, &[])?.status, &200))?;
            equal("for the other", &platform.through(other, "/tempo", &path, &[])?.status, &404)?;
            let trace = platform.direct("TEMPO_PORT", &path, &[])?.json().unwrap_or_default();
            let batches = trace["batches"].as_array().ok_or("no batches")?;
            for batch in batches {
                let said: Vec<_> = batch["resource"]["attributes"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|a| a["key"] == "tenant" || a["key"] == "region")
                    .map(|a| (a["key"].as_str().unwrap_or_default(), a["value"]["stringValue"].as_str()))
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect();
                equal(id, &said, &vec![("region", Some(owner.region)), ("tenant", Some(owner.tenant))])?;
            }
        }
        // Those that were kept came later than these, and these did not.
        for id in owner.ids(&["fine"]) {
            equal(
                "sampled",
                &platform.direct("TEMPO_PORT", &format!("/api/traces/{id}"), &[])?.status,
                &404,
            )?;
        }
    }
    Ok(())
}

fn exemplars(platform: &Platform) -> Result<(), String> {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(|e| e.to_string())?;
    let (start, end) = ((now.as_secs() - 3600).to_string(), (now.as_secs() + 60).to_string());
    let query = [("query", "http_request_duration_seconds_bucket"), ("start", &start), ("end", &end)];
    for owner in &platform.owners {
        let own = owner.ids(&["error", "slow", "fine"]);
        until(|| {
            let answer = platform.through(owner, "/prometheus", "/api/v1/query_exemplars", &query)?;
            let answer = answer.json().unwrap_or_default();
            let series = answer["data"].as_array().into_iter().flatten();
            let ids: Vec<_> = series
                .flat_map(|s| s["exemplars"].as_array().into_iter().flatten())
                .filter_map(|e| e["labels"]["trace_id"].as_str())
                .collect();
            equal("exemplars", &(!ids.is_empty(), ids.iter().find(|id| !own.contains(*id))), &(true, None))
        })?;
    }
    Ok(())
}

fn rules(platform: &Platform) -> Result<(), String> {
    until(|| {
        let answer = platform.direct("PROMETHEUS_PORT", "/api/v1/rules", &[])?.json().unwrap_or_default();
        let groups = answer["data"]["groups"].as_array().ok_or("no groups")?;
        let rules: Vec<_> = groups.iter().flat_map(|g| g["rules"].as_array().into_iter().flatten()).collect();
        let ill: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
        equal("rules", &(rules.len() > 10, ill), &(true, Vec::new()))
    })?;
    // The budget of who failed burns, which its owner sees, and only its own.
    for owner in &platform.owners {
        until(|| {
            let answer =
                platform.through(owner, "/prometheus", "/api/v1/alerts", &[])?.json().unwrap_or_default();
            let alerts = answer["data"]["alerts"].as_array().ok_or("no alerts")?;
            let of: BTreeSet<_> =
                alerts.iter().filter_map(|alert| alert["labels"]["tenant"].as_str()).collect();
            let burns = alerts.iter().any(|alert| alert["labels"]["alertname"] == "ErrorBudgetBurn");
            equal("alerts", &(of, burns), &(BTreeSet::from([owner.tenant]), true))
        })?;
    }
    let status = platform.direct("ALERTMANAGER_PORT", "/api/v2/status", &[])?.text();
    equal("routes", &status.contains("on-call-eu-west"), &true)
}
