#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod backends;

use super::*;
use crate::auth::config::{Algorithm, KeySource, TokenHeader};
use crate::lang::Feature;
use crate::scope::tenancy::{OrgId, Template};
use serde::de::DeserializeOwned;
use serde_json::json;

const EXAMPLE: &str = r#"
listen:
  - address: 127.0.0.1:8080            # mounts /prometheus /loki /tempo /alertmanager
  - address: 127.0.0.1:8081
    backend: tempo                     # or one backend at the root of its own listener
admin: { address: 127.0.0.1:9095 }     # /healthz /readyz /metrics
issuers:
  - url: http://127.0.0.1:18080/realms/bookstore-platform   # OIDC discovery below it; or jwks_url / jwks_file instead
    audiences: [palisade]
    algorithms: [RS256, ES256]
backends:                              # a name; kind defaults to the name; the mount is /NAME
  prometheus: { url: "http://127.0.0.1:9090", labels: { tenant: tenant } }
  loki:       { url: "http://127.0.0.1:3100", labels: { tenant: tenant } }
  tempo:      { url: "http://127.0.0.1:3200", labels: { tenant: resource.tenant }, features: [traces_never_mix_tenants] }
  alertmanager: { url: "http://127.0.0.1:9093", labels: { tenant: tenant } }
policies: policies/examples/tenant-claim/
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse("c.yaml", text, Path::new("/etc/palisade")).map_err(|e| e.to_string())
}

/// The smallest file, of which a test replaces one part.
fn with(part: &str, text: &str) -> String {
    let parts = [
        ("listen", "listen: [{ address: 127.0.0.1:8080 }]"),
        ("admin", "admin: { address: 127.0.0.1:9095 }"),
        ("issuers", "issuers: [{ url: https://sso.example.org, audiences: [palisade] }]"),
        ("backends", "backends: { loki: { url: http://127.0.0.1:3100, labels: { tenant: tenant } } }"),
        ("policies", "policies: policies"),
        ("limits", ""),
    ];
    assert!(parts.iter().any(|(name, _)| *name == part), "{part}");
    parts.map(|(name, usual)| if name == part { text } else { usual }).join("\n")
}

fn fault(part: &str, text: &str) -> String {
    parse(&with(part, text)).unwrap_err()
}

fn issuer(rest: &str) -> String {
    with("issuers", &format!("issuers: [{{ url: https://sso.example.org, {rest} }}]"))
}

fn loki(rest: &str) -> String {
    with("backends", &format!("backends: {{ loki: {{ url: http://127.0.0.1:3100, {rest} }} }}"))
}

#[test]
fn the_example_is_read_as_it_says() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.listen[0].backend, None);
    assert_eq!(config.listen[1].backend.as_deref(), Some("tempo"));
    assert_eq!(config.admin.address, "127.0.0.1:9095".parse().unwrap());
    assert_eq!(config.policies, Path::new("/etc/palisade/policies/examples/tenant-claim/"));
    assert_eq!(config.issuers[0].keys, KeySource::Discovery);
    assert_eq!(config.issuers[0].algorithms, [Algorithm::Rs256, Algorithm::Es256]);
    assert_eq!(config.issuers[0].skew, Duration::from_secs(30));
    let names: Vec<_> = config.backends.iter().map(|b| (b.name.as_str(), b.kind)).collect();
    let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
    assert_eq!(names.into_iter().collect::<BTreeMap<_, _>>(), kinds.into_iter().collect());
    let tempo = config.backend("tempo").unwrap();
    assert_eq!(tempo.url, "http://127.0.0.1:3200/");
    assert_eq!(tempo.labels.of("tenant"), Some("resource.tenant"));
    assert_eq!(tempo.labels.of("region"), None);
    assert!(tempo.features.has(Feature::TracesNeverMixTenants));
    assert_eq!(config.limits, Limits::default());
}

#[test]
fn the_smallest_file_has_the_documented_defaults() {
    let config = parse(&with("limits", "")).unwrap();
    assert_eq!(parse(&with("limits", "limits: {}")).unwrap(), config);
    let backend = &config.backends[0];
    let of = |key: &str| reference::KEYS.iter().find(|k| k.0 == key).unwrap().1.trim_matches('`');
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    let names =
        |list: &[Algorithm]| format!("[{}]", list.iter().map(|a| a.name()).collect::<Vec<_>>().join(", "));
    assert_eq!(of("issuers[].algorithms"), names(&config.issuers[0].algorithms));
    assert_eq!(of("issuers[].skew"), seconds(config.issuers[0].skew));
    assert_eq!(of("issuers[].header"), config.issuers[0].header.name());
    assert_eq!(of("issuers[].insecure_http"), config.issuers[0].insecure_http.to_string());
    assert_eq!(of("backends.NAME.timeout"), seconds(backend.timeout));
    assert_eq!(of("limits.request_timeout"), seconds(config.request_timeout));
    assert_eq!(of("scoped_query_cache_bytes"), config.scoped_query_cache_bytes.to_string());
    assert_eq!(of("limits.concurrent_requests"), config.concurrent_requests.to_string());
    assert_eq!(of("limits.backend_connections"), config.backend_connections.to_string());
    assert_eq!(of("limits.concurrent_tails"), config.tails.concurrent.to_string());
    assert_eq!(of("limits.tail_message_bytes"), config.tails.message_bytes.to_string());
    assert!(config.tails.origins.is_empty() && config.cors_origins.is_empty());
    let (limits, query) = (&config.limits, &config.limits.query);
    for (key, default) in [
        ("limits.token_bytes", limits.token_bytes),
        ("limits.tenants", limits.tenants),
        ("limits.body_bytes", limits.body_bytes),
        ("limits.parameter_pairs", limits.parameter_pairs),
        ("limits.filtered_answer_bytes", limits.filtered_answer_bytes),
        ("limits.outbound_body_bytes", limits.outbound_body_bytes),
        ("limits.outbound_url_bytes", limits.outbound_url_bytes),
        ("limits.outbound_header_bytes", limits.outbound_header_bytes),
        ("limits.query.bytes", query.bytes),
        ("limits.query.tokens", query.tokens),
        ("limits.query.nesting", query.nesting),
        ("limits.query.selectors", query.selectors),
        ("limits.query.scoped_promql_bytes", query.scoped_promql_bytes),
        ("limits.query.scoped_logql_bytes", query.scoped_logql_bytes),
        ("limits.query.scoped_traceql_bytes", query.scoped_traceql_bytes),
    ] {
        assert_eq!(of(key), default.to_string(), "{key}");
    }
}

#[test]
fn atk_47_tempo_before_2_7_narrows_no_tag_values() {
    let tempo = |backend: &str| {
        let tempo = format!("url: http://127.0.0.1:3200, labels: {{ tenant: resource.tenant }}, {backend}");
        let text = with("backends", &format!("backends: {{ tempo: {{ {tempo} }} }}"));
        parse(&text).unwrap().backends[0].clone()
    };
    let narrows = |backend: &str| tempo(backend).narrows_tag_values();
    let checks = |backend: &str| tempo(backend).scoped().features.checks_arithmetic();
    assert!(!checks("features: []") && !checks("version: 2.10.7") && checks("version: 3.0.0"));
    assert!(checks("features: [tempo-3]") && !checks("version: 2.10.7, features: [tempo-3]"));
    assert!(!narrows("version: 2.6.9"));
    assert!(narrows("version: 2.7.0") && narrows("version: 2.10.0") && narrows("features: []"));
}

#[test]
fn traces_are_redacted_where_tempo_is_configured_so_only() {
    let redacts = |more: &str| {
        let tempo = format!("url: http://127.0.0.1:3200, labels: {{ tenant: resource.tenant }}{more}");
        let text = with("backends", &format!("backends: {{ tempo: {{ {tempo} }} }}"));
        parse(&text).unwrap().backends[0].scoped().redacts_traces
    };
    assert!(redacts(", redacted_traces: true"));
    assert!(!redacts(", redacted_traces: false") && !redacts(""));
}

#[test]
fn every_key_can_be_set() {
    let config = parse(
        r#"
listen: [{ address: "[::1]:8443", backend: eu-logs, tls: { cert: tls/cert.pem, key: /run/key.pem },
           trusted_proxies: [10.0.0.0/8] }]
admin: { address: 127.0.0.1:0 }
issuers:
  - { url: a, jwks_file: keys.json, authorized_parties: [grafana], algorithms: [EdDSA], skew: 120s }
  - { url: b, jwks_url: http://keys.internal/b, insecure_http: true, audiences: [x, y], ca: ca.pem }
  - { url: https://sso.example.org/realms/acme, audiences: [x], header: X-Grafana-Id,
      discovery_url: https://keycloak.internal/realms/acme/.well-known/openid-configuration,
      required_claims: { acr: "2", email_verified: true, level: 3 }, validation_rules: [has(claims.tenant)] }
service_accounts:
  - { name: job, claims: { tenant: [acme-books] },
      hash: "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODw$nyZVqCpy3DI3m8YMbjRmzTqkk07dcLzDWZcFBGhcTPs" }
backends:
  eu-logs: { kind: loki, url: http://loki/eu/, insecure_http: true, labels: { tenant: org, region: place },
             features: [variants], version: 3.7.8, timeout: 500ms,
             org_id: { dimension: region, map: { eu: e1 }, template: "x-{region}", federates: true,
                       unrestricted: [e1, e2] }, label_policy: true, mount: logs, holds: { tenant: [acme-*] },
             auth: { basic: { username: palisade, password_file: /run/password } } }
  tempo: { url: "https://tempo", labels: { tenant: resource.tenant }, auth: { bearer_file: token },
           tls: { ca: ca.pem, platform_roots: true, cert: tls/client.pem, key: /run/client.pem } }
policies: /etc/policies
limits: { token_bytes: 1, tenants: 2, body_bytes: 3, parameter_pairs: 4, filtered_answer_bytes: 5,
  outbound_body_bytes: 6, outbound_url_bytes: 7, outbound_header_bytes: 9, request_timeout: 10s, concurrent_requests: 8,
  concurrent_tails: 9, tail_message_bytes: 10,
  query: { bytes: 11, tokens: 12, nesting: 13, selectors: 14, scoped_promql_bytes: 15, scoped_logql_bytes: 16,
    scoped_traceql_bytes: 17 } }
tail: { origins: [https://portal.example.org] }
cors: { origins: ["http://localhost:3000"] }
"#,
    )
    .unwrap();
    let tls = KeyPair { cert: "/etc/palisade/tls/cert.pem".into(), key: "/run/key.pem".into() };
    let listener = Listener {
        address: "[::1]:8443".parse().unwrap(),
        backend: Some("eu-logs".into()),
        tls: Some(tls),
        trusted_proxies: ["10.0.0.0/8".parse().unwrap()].into(),
    };
    assert_eq!(config.listen, [listener]);
    assert_eq!(config.issuers[0].keys, KeySource::JwksFile("/etc/palisade/keys.json".into()));
    assert_eq!(config.issuers[0].authorized_parties, ["grafana"]);
    assert_eq!(config.issuers[0].skew, Duration::from_secs(120));
    assert_eq!(config.issuers[1].keys, KeySource::JwksUrl("http://keys.internal/b".into()));
    let third = &config.issuers[2];
    let document = "https://keycloak.internal/realms/acme/.well-known/openid-configuration";
    assert_eq!(third.keys, KeySource::DiscoveryUrl(document.into()));
    assert_eq!((third.header, third.validation_rules.len()), (TokenHeader::GrafanaId, 1));
    let required = json!({ "acr": "2", "email_verified": true, "level": 3 });
    assert_eq!(json!(third.required_claims), required);
    let account = &config.service_accounts[0];
    assert_eq!((account.name.as_str(), json!(account.claims)), ("job", json!({ "tenant": ["acme-books"] })));
    let backend = &config.backends[0];
    assert_eq!((backend.kind, backend.url.to_string()), (Kind::Loki, "http://loki/eu".into()));
    assert_eq!(backend.labels.iter().collect::<Vec<_>>(), [("region", "place"), ("tenant", "org")]);
    assert_eq!(backend.version, Some(Version { major: 3, minor: 7 }));
    assert_eq!(backend.timeout, Duration::from_millis(500));
    assert!(backend.features.has(Feature::Variants));
    let ids = ["e1", "e2"].map(|id| OrgId::parse(id).unwrap());
    let tenancy = Tenancy {
        dimension: "region".into(),
        ids: [("eu".to_owned(), ids[0].clone())].into(),
        template: Some(Template::parse("x-{region}", "region").unwrap()),
        federates: true,
        unrestricted: ids.into(),
        label_policy: true,
    };
    assert_eq!(backend.tenancy, Some(tenancy));
    assert_eq!((backend.mount.as_str(), backend.holds.to_string().as_str()), ("logs", "tenant=acme-*"));
    let password = "/run/password".into();
    assert_eq!(backend.credentials, Some(Credentials::Basic { username: "palisade".into(), password }));
    let tempo = &config.backends[1];
    assert_eq!(tempo.credentials, Some(Credentials::Bearer("/etc/palisade/token".into())));
    let (cert, key) = ("/etc/palisade/tls/client.pem".into(), "/run/client.pem".into());
    let (ca, identity) = (Some("/etc/palisade/ca.pem".into()), Some(KeyPair { cert, key }));
    assert_eq!(tempo.tls, ClientTls { ca, platform_roots: true, identity });
    assert_eq!(config.issuers[1].ca, Some("/etc/palisade/ca.pem".into()));
    assert_eq!(config.policies, Path::new("/etc/policies"));
    assert_eq!((config.request_timeout, config.concurrent_requests), (Duration::from_secs(10), 8));
    let tails = &config.tails;
    assert_eq!((tails.concurrent, tails.message_bytes), (9, 10));
    assert_eq!(tails.origins, ["https://portal.example.org"]);
    assert_eq!(*config.cors_origins, ["http://localhost:3000"]);
    let limits = &config.limits;
    assert_eq!((limits.token_bytes, limits.tenants, limits.body_bytes, limits.parameter_pairs), (1, 2, 3, 4));
    let bytes = (limits.filtered_answer_bytes, limits.outbound_body_bytes, limits.outbound_url_bytes);
    assert_eq!(bytes, (5, 6, 7));
    assert_eq!(limits.outbound_header_bytes, 9);
    let query = &limits.query;
    assert_eq!((query.bytes, query.tokens, query.nesting, query.selectors), (11, 12, 13, 14));
    let scoped = (query.scoped_promql_bytes, query.scoped_logql_bytes, query.scoped_traceql_bytes);
    assert_eq!(scoped, (15, 16, 17));
}

#[test]
fn a_fault_is_told_with_its_place_and_key() {
    for (part, text, expected) in [
        ("listen", "listen: []", "c.yaml:1:9: `listen`: at least one address"),
        (
            "listen",
            "listen: [{ address: localhost:80 }]",
            "c.yaml:1:21: `listen[].address`: `localhost:80` is no",
        ),
        (
            "listen",
            "listen: [{ address: 127.0.0.1:1, backend: x }]",
            "c.yaml:1:43: `listen[].backend`: `x` is no backend",
        ),
        (
            "listen",
            "listen: [{ address: 127.0.0.1:1 }, { address: 127.0.0.1:1 }]",
            "c.yaml:1:47: `listen[].address`: ",
        ),
        (
            "listen",
            "listen: [{ address: 127.0.0.1:9095 }]",
            "c.yaml:1:21: `listen[].address`: `127.0.0.1:9095` is taken",
        ),
        (
            "listen",
            "listen: [{ address: 127.0.0.1:1, tls: { cert: a } }]",
            "c.yaml:1:41: missing field `key`",
        ),
        (
            "listen",
            "listen: [{ address: 127.0.0.1:1, tls: { cert: '', key: b } }]",
            "c.yaml:1:47: `listen[].tls.cert`: an empty",
        ),
        (
            "backends",
            "backends: { loki: { url: http://127.0.0.1:1, labels: { tenant: t }, redacted_traces: true } }",
            "c.yaml:4:86: `backends.loki.redacted_traces`: loki has no traces",
        ),
        ("admin", "admin: {}", "c.yaml:2:8: missing field `address`"),
        ("issuers", "issuers: []", "c.yaml:3:10: `issuers`: at least one"),
        ("backends", "backends: {}", "c.yaml:4:11: `backends`: at least one"),
        ("policies", "policies: ''", "c.yaml:5:11: `policies`: an empty path"),
        ("limits", "limit: {}", "c.yaml:6:1: unknown field `limit`"),
        ("limits", "limits: { query: { byte: 1 } }", "c.yaml:6:20: unknown field `byte`"),
        ("limits", "limits: { tenants: -1 }", "c.yaml:6:20: "),
        (
            "limits",
            "limits: { request_timeout: 0s }",
            "c.yaml:6:28: `limits.request_timeout`: must not be zero",
        ),
    ] {
        let shown = fault(part, text);
        assert!(shown.starts_with(expected), "{text}: {shown}");
    }
}

#[test]
fn issuers_are_held_to_safe_settings() {
    for (rest, expected) in [
        ("audiences: []", "c.yaml:3:11: `issuers[].audiences`: an issuer needs at least one audience"),
        ("audiences: [a, '']", "c.yaml:3:58: `issuers[].audiences`: "),
        ("authorized_parties: ['']", "c.yaml:3:64: `issuers[].authorized_parties`: "),
        ("audiences: [a], algorithms: []", "c.yaml:3:71: `issuers[].algorithms`: an issuer needs"),
        (
            "audiences: [a], algorithms: [HS256]",
            "c.yaml:3:72: `issuers[].algorithms`: algorithm `HS256` is symmetric",
        ),
        ("audiences: [a], algorithms: [none]", "c.yaml:3:72: `issuers[].algorithms`: algorithm `none`"),
        (
            "audiences: [a], algorithms: [RS257]",
            "c.yaml:3:72: `issuers[].algorithms`: algorithm `RS257` is not known",
        ),
        ("audiences: [a], skew: 121s", "c.yaml:3:65: `issuers[].skew`: skew over the limit of 120s"),
        ("audiences: [a], skew: 30", "c.yaml:3:65: `issuers[].skew`: `30` is no duration"),
        (
            "audiences: [a], jwks_url: http://keys.internal/",
            "c.yaml:3:69: `issuers[].jwks_url`: `http://keys.internal/` is plain http",
        ),
        (
            "audiences: [a], jwks_url: https://k/, jwks_file: k",
            "c.yaml:3:92: `issuers[].jwks_file`: `jwks_url` is given too",
        ),
        (
            "audiences: [a], discovery_url: https://k/, jwks_url: https://k/",
            "c.yaml:3:96: `issuers[].jwks_url`: `discovery_url` is given too",
        ),
        (
            "audiences: [a], discovery_url: http://keycloak/x",
            "c.yaml:3:74: `issuers[].discovery_url`: `http://keycloak/x` is plain http",
        ),
        (
            "audiences: [a], header: cookie",
            "c.yaml:3:67: `issuers[].header`: `cookie` is no header of tokens",
        ),
        (
            "audiences: [a], required_claims: { groups: [x] }",
            "c.yaml:3:86: `issuers[].required_claims.groups`: must be a text, a whole number",
        ),
        (
            "audiences: [a], required_claims: { a: 1.5 }",
            "c.yaml:3:81: `issuers[].required_claims.a`: must be",
        ),
        ("audiences: [a], validation_rules: ['1 +']", "c.yaml:3:78: `issuers[].validation_rules`: "),
        (
            "audiences: [a], validation_rules: ['false']",
            "c.yaml:3:78: `issuers[].validation_rules`: can be true for no token",
        ),
        ("audience: [a]", "c.yaml:3:43: unknown field `audience`"),
        ("audiences: [a], ca: ''", "c.yaml:3:63: `issuers[].ca`: an empty path"),
        ("audiences: [a], jwks_file: k, ca: c", "c.yaml:3:77: `issuers[].ca`: keys come out of `jwks_file`"),
    ] {
        let shown = parse(&issuer(rest)).unwrap_err();
        assert!(shown.starts_with(expected), "{rest}: {shown}");
    }
    let plain = fault("issuers", "issuers: [{ url: http://sso.example.org, audiences: [a] }]");
    assert!(
        plain.starts_with("c.yaml:3:18: `issuers[].url`: `http://sso.example.org` is plain http"),
        "{plain}"
    );
    let twice = "issuers: [{ url: https://a, audiences: [a] }, { url: https://a, audiences: [b] }]";
    assert_eq!(fault("issuers", twice), "c.yaml:3:54: `issuers[].url`: `https://a` is listed twice");
}

#[test]
fn backends_are_held_to_what_can_be_scoped() {
    for (rest, expected) in [
        ("labels: {}", "c.yaml:4:57: `backends.loki.labels`: at least one dimension"),
        ("features: []", "c.yaml:4:49: missing field `labels`"),
        ("labels: { tenant: __name__ }", "c.yaml:4:67: `backends.loki.labels.tenant`: `__name__` cannot be"),
        ("labels: { tenant: json }", "c.yaml:4:67: `backends.loki.labels.tenant`: `json` cannot be"),
        (
            "labels: { Tenant: tenant }",
            "c.yaml:4:67: `backends.loki.labels.Tenant`: `Tenant` is no dimension",
        ),
        (
            "labels: { region: tenant, tenant: tenant }",
            "c.yaml:4:83: `backends.loki.labels.tenant`: label `tenant` already",
        ),
        (
            "labels: { tenant: t1 }, features: [x]",
            "c.yaml:4:84: `backends.loki.features`: unknown feature `x`, loki has variants, pattern-persistence",
        ),
        (
            "labels: { tenant: t1 }, features: [tempo-3]",
            "c.yaml:4:84: `backends.loki.features`: `tempo-3` is no feature of loki",
        ),
        (
            "labels: { tenant: t1 }, kind: mimir",
            "c.yaml:4:79: `backends.loki.kind`: unknown backend kind `mimir`",
        ),
        (
            "labels: { tenant: t1 }, refuse: [json, nonsense]",
            "c.yaml:4:88: `backends.loki.refuse`: loki has neither an endpoint nor anything in queries that is called `nonsense`",
        ),
        ("labels: { tenant: t1 }, version: x", "c.yaml:4:82: `backends.loki.version`: `x` is no version"),
        ("labels: { tenant: t1 }, timeout: 0s", "c.yaml:4:82: `backends.loki.timeout`: must not be zero"),
        (
            "labels: { tenant: t1 }, timeout: 126s",
            "c.yaml:4:82: `backends.loki.timeout`: over `limits.request_timeout`",
        ),
    ] {
        let shown = parse(&loki(rest)).unwrap_err();
        assert!(shown.starts_with(expected), "{rest}: {shown}");
    }
    for (backends, expected) in [
        (
            "{ a_b: { kind: loki, url: https://l, labels: { tenant: t1 } } }",
            "c.yaml:4:18: backend name `a_b`",
        ),
        ("{ logs: { url: https://l, labels: { tenant: t1 } } }", "c.yaml:4:19: `backends.logs.kind`: needed"),
        (
            "{ loki: { url: http://l, labels: { tenant: t1 } } }",
            "c.yaml:4:26: `backends.loki.url`: `http://l` is plain http",
        ),
        ("{ loki: { url: https://l/?x, labels: { tenant: t1 } } }", "c.yaml:4:26: `backends.loki.url`: "),
        (
            "{ loki: { url: https://l, labels: { tenant: t1 } }, loki: {} }",
            "c.yaml:4:63: duplicate mapping key `loki`",
        ),
    ] {
        let shown = fault("backends", &format!("backends: {backends}"));
        assert!(shown.starts_with(expected), "{backends}: {shown}");
    }
}

#[test]
fn a_shorter_request_timeout_shortens_the_backends() {
    let config = parse(&with("limits", "limits: { request_timeout: 20s }")).unwrap();
    assert_eq!(config.backends[0].timeout, Duration::from_secs(20));
    assert!(parse(&with("limits", "limits: { request_timeout: 1h }")).is_ok());
    assert!(fault("limits", "limits: { request_timeout: 3601s }").contains("over the limit of 1h"));
}

#[test]
fn each_limit_ends_at_its_maximum() {
    for (key, max) in [
        ("token_bytes", 1024 * 1024),
        ("tenants", 16 * 1024),
        ("body_bytes", 64 * 1024 * 1024),
        ("parameter_pairs", 16 * 1024),
        ("filtered_answer_bytes", 1024 * 1024 * 1024),
        ("outbound_body_bytes", 64 * 1024 * 1024),
        ("outbound_url_bytes", 60 * 1024),
        ("outbound_header_bytes", 256 * 1024),
        ("concurrent_requests", 1024 * 1024),
        ("concurrent_tails", 64 * 1024),
        ("backend_connections", 64 * 1024),
        ("tail_message_bytes", 64 * 1024 * 1024),
        ("query.bytes", 1024 * 1024),
        ("query.tokens", 256 * 1024),
        ("query.nesting", 128),
        ("query.selectors", 16 * 1024),
        ("query.scoped_promql_bytes", 16 * 1024 * 1024),
        ("query.scoped_logql_bytes", 131_071),
        ("query.scoped_traceql_bytes", 127_999),
    ] {
        let set = |value: u64| {
            let text = match key.split_once('.') {
                Some((outer, inner)) => format!("limits: {{ {outer}: {{ {inner}: {value} }} }}"),
                None => format!("limits: {{ {key}: {value} }}"),
            };
            parse(&with("limits", &text))
        };
        assert!(set(1).is_ok() && set(max).is_ok(), "{key}");
        for bad in [0, max + 1, u64::MAX] {
            assert!(
                set(bad).unwrap_err().contains(&format!("`limits.{key}`: must be 1 to {max}")),
                "{key} {bad}"
            );
        }
    }
}

#[test]
fn scoped_queries_are_kept_in_up_to_16_gib_or_not_at_all() {
    let set = |bytes: u64| {
        let text = format!("scoped_query_cache_bytes: {bytes}");
        parse(&with("limits", &text)).map(|config| config.scoped_query_cache_bytes as u64)
    };
    let max = 16 << 30;
    assert_eq!((set(0), set(1), set(max)), (Ok(0), Ok(1), Ok(max)));
    for bad in [max + 1, u64::MAX] {
        assert!(set(bad).unwrap_err().contains("`scoped_query_cache_bytes`: must be 0 to "), "{bad}");
    }
}

#[test]
fn listeners_may_leave_the_port_to_the_system() {
    let listen = "listen: [{ address: 127.0.0.1:0 }, { address: 127.0.0.1:0 }]";
    assert_eq!(parse(&with("listen", listen)).unwrap().listen.len(), 2);
}

#[test]
fn a_file_that_cannot_be_read_names_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("palisade.yaml");
    let shown = Config::load(&path).unwrap_err().to_string();
    assert!(shown.starts_with(&format!("{}: ", path.display())), "{shown}");
    std::fs::write(&path, EXAMPLE).unwrap();
    assert_eq!(Config::load(&path).unwrap().policies, folder.path().join("policies/examples/tenant-claim/"));
}

/// The fields of a struct as serde knows them, from its own message on an unknown one.
fn fields<T: DeserializeOwned>() -> Vec<&'static str> {
    match serde_saphyr::from_str::<T>("no such key: 1").map(drop).unwrap_err().without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { expected, .. } => expected.clone(),
        other => panic!("{other}"),
    }
}

#[test]
fn the_table_of_keys_is_that_of_the_file() {
    let mut expected = Vec::new();
    let mut add =
        |prefix: &str, fields: Vec<&str>| expected.extend(fields.iter().map(|f| format!("{prefix}{f}")));
    add("", fields::<file::ConfigFile>());
    add("listen[].", fields::<file::ListenFile>());
    add("listen[].tls.", fields::<file::TlsFile>());
    add("admin.", fields::<file::AdminFile>());
    add("issuers[].", fields::<file::IssuerFile>());
    add("service_accounts[].", fields::<file::ServiceAccountFile>());
    add("backends.NAME.", fields::<file::BackendFile>());
    add("backends.NAME.tls.", fields::<file::BackendTlsFile>());
    add("backends.NAME.auth.", fields::<file::AuthFile>());
    add("backends.NAME.auth.basic.", fields::<file::BasicFile>());
    add("backends.NAME.org_id.", fields::<crate::scope::said::OrgIdFile>());
    add("limits.", fields::<file::LimitsFile>());
    add("limits.query.", fields::<file::QueryLimitsFile>());
    add("shutdown.", fields::<file::ShutdownFile>());
    add("tail.", fields::<file::TailFile>());
    add("cors.", fields::<file::CorsFile>());
    add("audit.", fields::<file::AuditFile>());
    add("audit.otlp.", fields::<file::OtlpFile>());
    expected.sort();
    let mut listed: Vec<_> = reference::KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
    listed.sort();
    assert_eq!(listed, expected);
}

#[test]
fn the_table_names_every_feature_algorithm_and_kind() {
    let table = reference::markdown();
    assert_eq!(table.lines().count(), reference::KEYS.len() + 2);
    assert!(table.lines().all(|line| line.matches(" | ").count() == 2), "no cell holds a bar");
    let features = Feature::ALL.map(Feature::name);
    for name in features.into_iter().chain(Kind::ALL.map(Kind::name)).chain(["EdDSA", "PS512"]) {
        assert!(table.contains(name), "{name}");
    }
}

#[test]
fn service_accounts_have_names_of_their_own_and_hashes() {
    const HASH: &str =
        "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODw$nyZVqCpy3DI3m8YMbjRmzTqkk07dcLzDWZcFBGhcTPs";
    let accounts = |names: &[&str]| {
        let one = |name: &&str| format!("{{ name: '{name}', hash: '{HASH}' }}");
        let list: Vec<String> = names.iter().map(one).collect();
        parse(&with("limits", &format!("service_accounts: [{}]", list.join(", "))))
    };
    assert_eq!(parse(&with("limits", "")).unwrap().service_accounts, []);
    assert_eq!(accounts(&["a", "b"]).unwrap().service_accounts[1].name, "b");
    assert!(accounts(&["a", "a"]).unwrap_err().contains("`service_accounts[].name`: `a` is listed twice"));
    assert!(accounts(&["a:b"]).unwrap_err().contains("must match"));
    let names: Vec<String> = (0..257).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(accounts(&names[..256]).unwrap().service_accounts.len(), 256);
    assert!(accounts(&names).unwrap_err().contains("`service_accounts`: more than 256"));
    // Whoever writes the password itself there does not find it in the log.
    let text = "service_accounts: [{ name: a, hash: secret-password }]";
    let told = parse(&with("limits", text)).unwrap_err();
    assert!(told.contains("`service_accounts[].hash`: must be `$pbkdf2-sha512$"), "{told}");
    assert!(!told.contains("secret-password"), "{told}");
}

mod operator;
mod streaming;
