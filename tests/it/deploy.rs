//! What `deploy/` says, against what Palisade is: its configurations load, and the ports, paths, metrics
//! and label values that other systems are told exist.

use super::support::proxy::Proxy;
use clap::Parser;
use palisade::cli::Arguments;
use palisade::config::Config;
use palisade::events::Outcome;
use palisade::policy::Policies;
use palisade::rejection::TokenFault;
use regex::Regex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// All documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The one document of a YAML file.
fn document(path: &str) -> Value {
    let mut all = documents(path);
    assert_eq!(all.len(), 1, "{path}");
    all.remove(0)
}

/// The object of this kind and name among the Kubernetes manifests of a file.
fn object(path: &str, kind: &str, name: &str) -> Value {
    let found = documents(path).into_iter().find(|d| d["kind"] == kind && d["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{path}: no {kind} {name}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn strings(value: &Value) -> Vec<&str> {
    list(value).iter().map(|v| v.as_str().unwrap()).collect()
}

fn port(value: &Value) -> u16 {
    u16::try_from(value.as_u64().unwrap()).unwrap()
}

/// The configuration with its policies, both loaded as `palisade serve` loads them.
fn load(path: &Path) -> Config {
    let config = Config::load(path).unwrap_or_else(|e| panic!("{e}"));
    Policies::load(&config.policies, &config.limits).unwrap_or_else(|e| panic!("{e}"));
    config
}

fn compose_config() -> Config {
    load(&deploy().join("compose/palisade.yaml"))
}

/// What the pod of the base for Kustomize finds in its volume. `tests/install` holds the base against the chart.
fn kubernetes_config() -> Config {
    load(&deploy().join("kustomize/base/palisade.yaml"))
}

const OBJECTS: &str = "kustomize/base/objects.yaml";

#[test]
fn every_file_parses() {
    let mut folders = vec![deploy()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(deploy()).unwrap().to_str().unwrap();
            match path.extension().and_then(|e| e.to_str()) {
                // Helm's own language, which `tests/install` renders.
                _ if path.ends_with("chart/templates") || name.ends_with(".helmignore") => continue,
                _ if path.is_dir() => folders.push(path.clone()),
                Some("yaml") => assert!(documents(name).iter().all(Value::is_object), "{name}"),
                Some("json") => assert!(serde_json::from_str::<Value>(&text(name)).unwrap().is_object()),
                Some("md" | "Dockerfile" | "dockerignore" | "py" | "service" | "mod" | "sum") | None => {
                    continue;
                }
                Some(other) => panic!("{name}: who reads .{other}?"),
            }
            read += 1;
        }
    }
    assert!(read > 10, "{read}");
}

#[tokio::test]
async fn the_pod_serves_where_kubernetes_looks() {
    let config = kubernetes_config();
    let pod = object(OBJECTS, "Deployment", "palisade")["spec"]["template"]["spec"].take();
    let container = &pod["containers"][0];
    let ports: BTreeMap<&str, u16> = list(&container["ports"])
        .iter()
        .map(|p| (p["name"].as_str().unwrap(), port(&p["containerPort"])))
        .collect();
    let serves = [("http-admin", config.admin.address.port()), ("http", config.listen[0].address.port())];
    assert_eq!(ports, BTreeMap::from(serves));
    for (name, number) in [("palisade", "http"), ("palisade-admin", "http-admin")] {
        let service = object(OBJECTS, "Service", name)["spec"].take();
        assert_eq!(
            (&service["ports"][0]["targetPort"], port(&service["ports"][0]["port"])),
            (&number.into(), ports[number])
        );
    }
    let mut command = vec!["palisade"];
    command.extend(strings(&container["args"]));
    Arguments::try_parse_from(command).unwrap();
    let monitor = object("kustomize/monitoring/objects.yaml", "ServiceMonitor", "palisade")["spec"].take();
    let proxy = Proxy::start().await;
    for probe in [&container["livenessProbe"], &container["readinessProbe"]] {
        assert_eq!(probe["httpGet"]["port"], "http-admin");
        assert_eq!(proxy.admin(probe["httpGet"]["path"].as_str().unwrap()).await.status, 200);
    }
    assert_eq!(proxy.admin(monitor["endpoints"][0]["path"].as_str().unwrap()).await.status, 200);
    // A pod that may be killed before its requests have ended would cut them off.
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > 30);
}

/// ATK-3G: the backends enforce nothing themselves, so whoever reaches one reads everyone's data. Palisade's pods
/// may ask them, and nobody gets a connection who is not named.
#[test]
fn atk_3g_nobody_but_palisade_asks_the_backends() {
    let config = kubernetes_config();
    let own = object(OBJECTS, "NetworkPolicy", "palisade")["spec"].take();
    let ports =
        |rule: &Value| -> BTreeSet<u16> { list(&rule["ports"]).iter().map(|p| port(&p["port"])).collect() };
    let deployment = object(OBJECTS, "Deployment", "palisade");
    let labels = deployment["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
    let of_palisade = |selector: &Value| -> bool {
        let wanted = selector["matchLabels"].as_object().unwrap();
        !wanted.is_empty() && wanted.iter().all(|(label, value)| labels.get(label) == Some(value))
    };
    assert!(of_palisade(&own["podSelector"]));
    assert_eq!(config.backends.len(), 4);
    for backend in &config.backends {
        let name = format!("palisade-closes-{}", backend.name);
        let policy = object(OBJECTS, "NetworkPolicy", &name);
        let spec = &policy["spec"];
        let pods = json!({ "matchLabels": { "app.kubernetes.io/name": backend.kind.name() } });
        assert_eq!((&spec["podSelector"], strings(&spec["policyTypes"])), (&pods, vec!["Ingress"]));
        let asked = ports(&spec["ingress"][0]);
        for (at, rule) in list(&spec["ingress"]).iter().enumerate() {
            // A rule without `from` is open to all, as is a peer without pods.
            assert!(!list(&rule["from"]).is_empty());
            for peer in list(&rule["from"]) {
                assert!(peer["podSelector"]["matchLabels"].is_object() && peer.get("ipBlock").is_none());
                assert_eq!(
                    peer.get("namespaceSelector").is_some(),
                    at == 0,
                    "others are of its own namespace"
                );
                // All ports, for its own parts only.
                assert!(rule.get("ports").is_some() || peer["podSelector"] == pods, "{name}: {peer}");
            }
        }
        let [from] = list(&spec["ingress"][0]["from"]) else { panic!("{name}") };
        let namespace = json!({ "kubernetes.io/metadata.name": deployment["metadata"]["namespace"] });
        assert!(of_palisade(&from["podSelector"]));
        assert_eq!(from["namespaceSelector"], json!({ "matchLabels": namespace }));
        // What Palisade asks may leave its own pods, by the port of the service too.
        let leaves = list(&own["egress"]).iter().find(|rule| rule["to"][0]["podSelector"] == pods).unwrap();
        assert_eq!(
            leaves["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            policy["metadata"]["namespace"]
        );
        assert!(asked.is_subset(&ports(leaves)));
        assert!(ports(leaves).contains(&backend.url.port_u16().unwrap_or(80)), "{name}");
    }
    assert_eq!(strings(&own["policyTypes"]), ["Ingress", "Egress"]);
    let [callers, scrapes] = list(&own["ingress"]) else { panic!("{own}") };
    assert!(!list(&callers["from"]).is_empty() && !list(&scrapes["from"]).is_empty());
    assert_eq!(ports(callers), BTreeSet::from([config.listen[0].address.port()]));
    assert_eq!(ports(scrapes), BTreeSet::from([config.admin.address.port()]));
}

#[test]
fn the_image_runs_the_command_of_the_binary() {
    let dockerfile = text("Dockerfile");
    let line = |start: &str| {
        let last = dockerfile.lines().rfind(|l| l.starts_with(start));
        last.unwrap_or_else(|| panic!("no {start}")).strip_prefix(start).unwrap().trim().to_owned()
    };
    let exec = |start: &str| -> Vec<String> { serde_json::from_str(&line(start)).unwrap() };
    Arguments::try_parse_from([exec("ENTRYPOINT"), exec("CMD")].concat()).unwrap();
    assert_eq!(line("FROM"), "scratch");
    assert!(line("USER").split(':').all(|id| id.parse::<u32>().unwrap() > 0));
    let config = compose_config();
    let ports = [config.listen[0].address.port(), config.admin.address.port()];
    assert_eq!(line("EXPOSE"), ports.map(|p| p.to_string()).join(" "));
    let toolchain = include_str!("../../rust-toolchain.toml");
    let version = Regex::new(r"rust:([0-9.]+)-").unwrap().captures(&dockerfile).unwrap()[1].to_owned();
    assert!(toolchain.contains(&format!("channel = \"{version}\"")), "{version}");
}

#[tokio::test]
async fn alerts_ask_for_metrics_and_outcomes_that_exist() {
    let proxy = Proxy::start().await;
    assert_eq!(proxy.get("/prometheus/api/v1/query?query=up").await.status, 200);
    let page = proxy.admin("/metrics").await.text();
    let series = Regex::new(r"\bpalisade_[a-z_]+").unwrap();
    let exist: BTreeSet<&str> = series.find_iter(&page).map(|m| m.as_str()).collect();
    let requests: Vec<&str> = Outcome::ALL.iter().map(|o| o.name()).collect();
    let mut tokens: Vec<&str> = TokenFault::ALL.iter().map(|f| f.name()).collect();
    tokens.extend(["cached", "verified"]);

    let rules = document("chart/files/alerts.yaml")["groups"][0]["rules"].take();
    let outcome = Regex::new(r#"(palisade_[a-z_]+)\{outcome=~?"([^"]*)"\}"#).unwrap();
    let mut alerts = Vec::new();
    for rule in list(&rules) {
        alerts.push(rule["alert"].as_str().unwrap());
        let expression = rule["expr"].as_str().unwrap();
        // Palisade's own reader takes it.
        let query: String = form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let got = proxy.get(&format!("/prometheus/api/v1/query?query={query}")).await;
        assert_eq!(got.status, 200, "{}", got.text());
        for name in series.find_iter(expression) {
            assert!(exist.contains(name.as_str()), "{name:?} of `{expression}`");
        }
        for found in outcome.captures_iter(expression) {
            let known = if &found[1] == "palisade_token_total" { &tokens } else { &requests };
            assert!(found[2].split('|').all(|value| known.contains(&value)), "`{expression}`");
        }
    }
    assert!(alerts.contains(&"PalisadeScopeDisagreement") && alerts.contains(&"PalisadeNotReady"));
}

#[test]
fn datasources_forward_the_users_token_and_link_to_one_another() {
    let config = compose_config();
    let provisioned = document("grafana/provisioning/datasources/palisade.yaml");
    let sources = list(&provisioned["datasources"]);
    let uids: BTreeSet<&str> = sources.iter().map(|s| s["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), 4);
    for source in sources {
        let (kind, data) = (source["type"].as_str().unwrap(), &source["jsonData"]);
        assert_eq!(data["oauthPassThru"], true, "{kind}");
        let backend = config.backend(kind).unwrap();
        let listener = config.listen[0].address.port();
        assert_eq!(source["url"], format!("http://palisade:{listener}/{}", backend.name));
        assert!(source.get("secureJsonData").is_none() && source.get("basicAuth").is_none());
    }
    let of = |kind: &str| &sources.iter().find(|s| s["type"] == kind).unwrap()["jsonData"];
    assert_eq!(of("tempo")["streamingEnabled"], json!({"search": false, "metrics": false}));
    let links = [
        (&of("prometheus")["exemplarTraceIdDestinations"][0], "palisade-tempo"),
        (&of("loki")["derivedFields"][0], "palisade-tempo"),
        (&of("tempo")["tracesToLogsV2"], "palisade-loki"),
        (&of("tempo")["tracesToMetrics"], "palisade-prometheus"),
        (&of("tempo")["serviceMap"], "palisade-prometheus"),
    ];
    for (link, uid) in links {
        assert!(link["datasourceUid"] == uid && uids.contains(uid), "{link}");
    }
}

#[tokio::test]
async fn dashboards_ask_what_palisade_takes_of_datasources_that_are_there() {
    let proxy = Proxy::start().await;
    let provisioned = document("grafana/provisioning/datasources/palisade.yaml");
    let uids: BTreeSet<&str> =
        list(&provisioned["datasources"]).iter().map(|s| s["uid"].as_str().unwrap()).collect();
    let mut asked = 0;
    for name in ["bookstore-overview", "bookstore-service"] {
        let dashboard: Value =
            serde_json::from_str(&text(&format!("grafana/dashboards/{name}.json"))).unwrap();
        assert_eq!(dashboard["uid"], name);
        let variables: Vec<&str> = list(&dashboard["templating"]["list"])
            .iter()
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        assert!(variables.starts_with(&["tenant", "region"]));
        for panel in list(&dashboard["panels"]) {
            assert!(uids.contains(panel["datasource"]["uid"].as_str().unwrap()), "{panel}");
            for target in list(&panel["targets"]) {
                let kind = panel["datasource"]["type"].as_str().unwrap();
                let written = &target[if kind == "tempo" { "query" } else { "expr" }];
                // A map of services is asked for by Grafana itself.
                let Some(written) = written.as_str() else { continue };
                let query = written.replace("$tenant", "acme-books").replace("$region", "eu-west");
                let query = query.replace("$service", "catalog");
                assert!(!query.contains('$'), "{query}");
                let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
                let path = match kind {
                    "prometheus" => format!("/prometheus/api/v1/query?query={query}"),
                    "loki" => format!("/loki/loki/api/v1/query_range?query={query}"),
                    _ => format!("/tempo/api/search?q={query}"),
                };
                let got = proxy.get(&path).await;
                assert_eq!(got.status, 200, "{written}: {}", got.text());
                asked += 1;
            }
        }
    }
    assert!(asked >= 10, "{asked}");
}

/// ATK-3G: on one machine it is the networks that hold others off.
#[test]
fn atk_3g_on_one_machine_the_backends_are_behind_palisade() {
    let compose = document("compose/compose.yaml");
    let services = compose["services"].as_object().unwrap();
    assert_eq!(compose["networks"]["backends"]["internal"], true);
    let networks =
        |name: &str| -> BTreeSet<&str> { strings(&services[name]["networks"]).into_iter().collect() };
    for backend in compose_config().backends {
        let host = backend.url.host().unwrap();
        assert_eq!(networks(host), BTreeSet::from(["backends"]), "{host}");
        assert!(services[host].get("ports").is_none(), "{host}");
    }
    for (name, _) in services.iter().filter(|(name, _)| networks(name).contains("front")) {
        assert!(name.as_str() == "palisade" || !networks(name).contains("backends"), "{name}");
    }
    for (_, service) in services {
        for published in service.get("ports").map(strings).unwrap_or_default() {
            assert!(published.starts_with("127.0.0.1:"), "{published}");
        }
    }
}

#[test]
fn ingest_says_the_labels_that_palisade_asks_for() {
    let config = compose_config();
    let labels = |backend: &str| -> Vec<String> {
        config.backend(backend).unwrap().labels.iter().map(|(_, label)| label.to_owned()).collect()
    };
    let loki = document("compose/loki.yaml");
    let indexed = &loki["limits_config"]["otlp_config"]["resource_attributes"]["attributes_config"][0];
    assert_eq!(indexed["action"], "index_label");
    assert!(labels("loki").iter().all(|l| strings(&indexed["attributes"]).contains(&l.as_str())));

    let collector = document("otel/collector.yaml");
    let stamped: BTreeSet<String> = list(&collector["processors"]["resource"]["attributes"])
        .iter()
        .map(|a| {
            assert_eq!(a["action"], "upsert");
            format!("resource.{}", a["key"].as_str().unwrap())
        })
        .collect();
    assert!(labels("tempo").iter().all(|l| stamped.contains(l)), "{stamped:?}");
    let series = &collector["processors"]["transform/label"]["metric_statements"][0]["statements"];
    for label in labels("prometheus") {
        let copied = format!(r#"set(datapoint.attributes["{label}"], resource.attributes["{label}"])"#);
        assert!(strings(series).contains(&copied.as_str()), "{label}");
    }
    for (signal, pipeline) in collector["service"]["pipelines"].as_object().unwrap() {
        let steps = strings(&pipeline["processors"]);
        let place =
            |step: &str| steps.iter().position(|s| *s == step).unwrap_or_else(|| panic!("{signal}: {step}"));
        assert!(place("transform/disown") < place("resource"), "{signal}");
    }
    let tempo = document("compose/tempo.yaml");
    for generated in ["span_metrics", "service_graphs"] {
        let dimensions = &tempo["metrics_generator"]["processor"][generated]["dimensions"];
        assert!(
            labels("prometheus").iter().all(|l| strings(dimensions).contains(&l.as_str())),
            "{generated}"
        );
    }
    for scrape in list(&document("compose/prometheus.yaml")["scrape_configs"]) {
        assert_eq!(scrape["honor_labels"], false);
    }
}

#[test]
fn users_of_the_sample_realm_cannot_choose_their_tenant() {
    let realm: Value = serde_json::from_str(&text("compose/bookstore-platform.json")).unwrap();
    let component = &realm["components"]["org.keycloak.userprofile.UserProfileProvider"][0];
    let profile: Value =
        serde_json::from_str(component["config"]["kc.user.profile.config"][0].as_str().unwrap()).unwrap();
    for claim in ["tenant", "region"] {
        let attribute = list(&profile["attributes"]).iter().find(|a| a["name"] == claim).unwrap();
        assert_eq!(strings(&attribute["permissions"]["edit"]), ["admin"], "{claim}");
    }
    assert!(profile.get("unmanagedAttributePolicy").is_none());
    let issuer = &compose_config().issuers[0];
    for client in list(&realm["clients"]) {
        let audience = list(&client["protocolMappers"])
            .iter()
            .find_map(|m| m["config"]["included.custom.audience"].as_str());
        assert!(audience.is_some_and(|a| issuer.audiences.iter().any(|b| a == b)), "{client}");
    }
}
