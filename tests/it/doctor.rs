//! `palisade doctor`, and `palisade check --files`.

use crate::support::authority::Authority;
use crate::support::issuer::FakeIssuer;
use crate::support::upstream::{Answer, FakeUpstream};
use std::path::Path;
use std::process::{Command, Output};

/// A folder with a configuration and a policy, and what it names.
struct World {
    folder: tempfile::TempDir,
    issuer: FakeIssuer,
    prometheus: FakeUpstream,
    loki: FakeUpstream,
    tempo: FakeUpstream,
    alertmanager: FakeUpstream,
}

const VECTOR: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"COUNT"]}]}}"#;

impl World {
    /// All is as it should be; `with` changes the configuration.
    async fn new(with: &[(&str, &str)]) -> Self {
        let (issuer, prometheus, loki) =
            (FakeIssuer::start().await, FakeUpstream::start().await, FakeUpstream::start().await);
        let (tempo, alertmanager) = (FakeUpstream::start().await, FakeUpstream::start().await);
        prometheus
            .answer_to("GET /api/v1/status/buildinfo", Answer::json(r#"{"data":{"version":"3.16.0"}}"#));
        let flags = r#"{"data":{"enable-feature":"promql-experimental-functions,native-histograms"}}"#;
        prometheus.answer_to("GET /api/v1/status/flags", Answer::json(flags));
        prometheus.answer_to(
            "GET /api/v1/query?query=count%28%7B%5F%5Fname%5F%5F%21%3D%22%22%2Ctenant%21%3D",
            Answer::json(&VECTOR.replace("COUNT", "12")),
        );
        prometheus.answer_to(
            "GET /api/v1/query?query=count%28%7B%5F%5Fname%5F%5F%21%3D%22%22%2Ctenant%3D",
            Answer::json(r#"{"data":{"result":[]}}"#),
        );
        loki.answer_to("GET /loki/api/v1/status/buildinfo", Answer::json(r#"{"version":"3.7.8"}"#));
        loki.answer_to("GET /loki/api/v1/labels", Answer::json(r#"{"data":["app","tenant"]}"#));
        loki.answer_to("GET /loki/api/v1/index/stats?query=%7Btenant", Answer::json(r#"{"streams":5}"#));
        loki.answer_to("GET /loki/api/v1/index/stats?query=%7Bapp", Answer::json(r#"{"streams":2}"#));
        tempo.answer_to("GET /api/status/buildinfo", Answer::json(r#"{"version":"v2.9.0"}"#));
        tempo.answer_to("GET /api/search", Answer::json(r#"{"traces":[]}"#));
        let status = r#"{"versionInfo":{"version":"0.34.0"}}"#;
        alertmanager.answer_to("GET /api/v2/status", Answer::json(status));
        alertmanager.answer_to("GET /api/v2/alerts", Answer::json(r#"[{"labels":{"alertname":"A"}}]"#));
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        let rules =
            "rules: [{ name: tenants, when: has(claims.tenant), scope: { tenant: claims.tenant } }]\n";
        std::fs::write(folder.path().join("policies/p.yaml"), rules).unwrap();
        let mut config = format!(
            "listen: [{{ address: 127.0.0.1:0 }}]
admin: {{ address: 127.0.0.1:0 }}
issuers: [{{ url: \"{}\", jwks_url: \"{}\", audiences: [palisade] }}]
backends:
  prometheus: {{ url: \"{}\", labels: {{ tenant: tenant }}, features: [promql-experimental-functions], version: 3.16.0 }}
  loki: {{ url: \"{}\", labels: {{ tenant: tenant }} }}
  tempo: {{ url: \"{}\", labels: {{ tenant: resource.tenant }}, version: 2.9.0 }}
  alertmanager: {{ url: \"{}\", labels: {{ tenant: tenant }} }}
policies: policies
",
            issuer.url(),
            issuer.jwks_url(),
            prometheus.url(),
            loki.url(),
            tempo.url(),
            alertmanager.url(),
        );
        for (from, to) in with {
            assert!(config.contains(from), "{from}");
            config = config.replace(from, to);
        }
        std::fs::write(folder.path().join("c.yaml"), config).unwrap();
        Self { folder, issuer, prometheus, loki, tempo, alertmanager }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Exit code and output of `palisade COMMAND… --config c.yaml`.
    async fn palisade(&self, command: &[&str]) -> (i32, String) {
        let mut palisade = Command::new(env!("CARGO_BIN_EXE_palisade"));
        palisade.args(command).arg("--config").arg(self.path("c.yaml"));
        let ran = tokio::task::spawn_blocking(move || palisade.output().unwrap());
        let Output { status, stdout, stderr } = ran.await.unwrap();
        let told = [stdout, stderr].concat();
        let folder = format!("{}/", self.folder.path().display());
        (status.code().unwrap(), String::from_utf8(told).unwrap().replace(&folder, ""))
    }

    fn token(&self, name: &str, token: &str) -> String {
        std::fs::write(self.path(name), token).unwrap();
        self.path(name).display().to_string()
    }
}

#[tokio::test]
async fn what_is_there_is_told_and_what_is_not_with_what_to_change() {
    let world = World::new(&[]).await;
    let (code, told) = world.palisade(&["doctor"]).await;
    for line in [
        "fine    files: all that are named can be used",
        &format!("fine    issuer {}: ", world.issuer.url()),
        "fine    backend `prometheus`: version 3.16.0",
        "fine    backend `prometheus`: `tenant` (tenant): all 12 series have it",
        "fine    backend `prometheus`: is reached over loopback",
        "warning backend `loki`: `tenant` (tenant): 5 streams have it, 2 do not",
        "fine    backend `tempo`: version v2.9.0",
        "fine    backend `tempo`: `resource.tenant` (tenant): there are no traces (of 100) yet",
        "problem backend `alertmanager`: `tenant` (tenant): none of 1 alerts have it, so no caller sees any: is it the right label?",
        "1 problems, 1 warnings",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert_eq!(code, 1, "{told}");
    let only_reads =
        |fake: &FakeUpstream| fake.take().iter().all(|received| received.line.starts_with("GET "));
    assert!([&world.prometheus, &world.loki, &world.tempo, &world.alertmanager].into_iter().all(only_reads));
    world.alertmanager.answer_to("GET /api/v2/alerts", Answer::json("[]"));
    assert_eq!(world.palisade(&["doctor"]).await.0, 0, "a warning is no failure");
    assert_eq!(world.palisade(&["doctor", "--strict"]).await.0, 1);
    let (code, told) = world.palisade(&["doctor", "--no-counts", "--strict"]).await;
    assert!(code == 0 && !told.contains("have it"), "{told}");
}

#[tokio::test]
async fn versions_and_features_are_held_against_what_is_configured() {
    let world = World::new(&[
        ("version: 3.16.0", "version: 3.4.0"),
        ("[promql-experimental-functions]", "[promql-binop-fill-modifiers]"),
        (", version: 2.9.0", ""),
    ])
    .await;
    world.loki.answer_to("GET /loki/api/v1/status/buildinfo", Answer::json(r#"{"version":"2.8.1"}"#));
    world
        .alertmanager
        .answer_to("GET /api/v2/status", Answer::of("503 Service Unavailable", "text/plain", b""));
    let (code, told) = world.palisade(&["doctor", "--no-counts"]).await;
    for line in [
        "problem backend `prometheus`: `backends.prometheus.version` says 3.4, and the backend 3.16.0: write `version: 3.16.0`",
        "warning backend `prometheus`: the server has `promql-experimental-functions`, `features` does not",
        "problem backend `prometheus`: `features` has `promql-binop-fill-modifiers`, the server does not",
        "problem backend `loki`: loki 2.8 cannot be scoped safely, 2.9 is the oldest that can",
        "warning backend `tempo`: version v2.9.0: write it to `backends.tempo.version`",
        "problem backend `alertmanager`: `/api/v2/status` answered with status 503; look at `backends.alertmanager.url`",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert_eq!(code, 1);
}

/// A backend that answers whoever asks is a way around every policy.
#[tokio::test]
async fn a_backend_that_answers_anybody_is_told() {
    let world = World::new(&[]).await;
    // Not a loopback address, and leads there all the same.
    let config = std::fs::read_to_string(world.path("c.yaml")).unwrap();
    let beside = |url: String| (url.clone(), url.replace("127.0.0.1", "0.0.0.0"));
    let ((loki, open), (prometheus, shut)) = (beside(world.loki.url()), beside(world.prometheus.url()));
    let config = config
        .replace(&format!("\"{loki}\""), &format!("\"{open}\", insecure_http: true"))
        .replace(&format!("\"{prometheus}\""), &format!("\"{shut}\", insecure_http: true"));
    std::fs::write(world.path("c.yaml"), config).unwrap();
    world.prometheus.answer_to("GET /api/v1/labels", Answer::of("401 Unauthorized", "text/plain", b"no"));
    let (code, told) = world.palisade(&["doctor", "--no-counts"]).await;
    assert!(
        told.contains("warning backend `loki`: answers whoever reaches it from here, without a credential"),
        "{told}"
    );
    assert!(told.contains("fine    backend `prometheus`: answers nobody without a credential"), "{told}");
    assert_eq!(code, 0, "{told}");
}

#[tokio::test]
async fn a_token_is_judged_as_that_of_a_request() {
    let world = World::new(&[]).await;
    world.alertmanager.answer_to("GET /api/v2/alerts", Answer::json("[]"));
    let good = world.token("good", &format!("Bearer {}\n", world.issuer.token("acme-books")));
    let (code, told) = world.palisade(&["doctor", "--token", &good]).await;
    assert!(told.contains("fine    token: taken, issuer "), "{told}");
    assert!(told.contains("fine    rule `tenants`: tenant=acme-books") && code == 0, "{told}");
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = world.issuer.claims("acme-books");
        claims[name] = value;
        world.issuer.key().token(&claims)
    };
    for (name, token, expected) in [
        ("audience", with("aud", "account".into()), "problem token: token audience not accepted"),
        ("expired", with("exp", 1.into()), "problem token: token expired"),
        ("tenant", with("tenant", serde_json::Value::Null), "problem token: no policy rule grants access"),
    ] {
        let (code, told) =
            world.palisade(&["doctor", "--no-counts", "--token", &world.token(name, &token)]).await;
        assert!(told.contains(expected) && code == 1, "{name}: {told}");
        assert!(!told.contains(&token), "no token is printed");
    }
    let (code, told) = world.palisade(&["doctor", "--token", "/nowhere"]).await;
    assert!(code == 2 && told.contains("--token: "), "{told}");
}

#[tokio::test]
async fn an_issuer_without_keys_is_told() {
    let world = World::new(&[("jwks_url", "discovery_url")]).await;
    let (code, told) = world.palisade(&["doctor", "--no-counts"]).await;
    assert!(
        told.contains(&format!("problem issuer {}: its keys: ", world.issuer.url())) && code == 1,
        "{told}"
    );
}

/// A certificate for 127.0.0.1 that ended in 2020.
fn ended(folder: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    std::fs::write(folder.join("old.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(folder.join("old.key"), key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_and_certificates_that_end_are_told() {
    let world = World::new(&[(
        "address: 127.0.0.1:0 }]",
        "address: 127.0.0.1:0, tls: { cert: cert.pem, key: cert.key } }]",
    )])
    .await;
    let signed = Authority::new().sign("127.0.0.1");
    std::fs::write(world.path("cert.pem"), &signed.cert).unwrap();
    std::fs::write(world.path("cert.key"), &signed.key).unwrap();
    let (_, told) = world.palisade(&["doctor", "--no-counts"]).await;
    assert!(told.contains("fine    certificate cert.pem: ends in "), "{told}");
    assert_eq!(world.palisade(&["check", "--files"]).await.0, 0);
    ended(world.folder.path());
    let config = std::fs::read_to_string(world.path("c.yaml")).unwrap();
    std::fs::write(world.path("c.yaml"), config.replace("cert.pem, key: cert.key", "old.pem, key: old.key"))
        .unwrap();
    let (code, told) = world.palisade(&["doctor", "--no-counts"]).await;
    assert!(told.contains("problem certificate old.pem: has ended ") && code == 1, "{told}");

    let more = "cache_salt_file: salt\n";
    std::fs::write(world.path("c.yaml"), format!("{config}{more}")).unwrap();
    std::fs::write(world.path("cert.key"), "junk").unwrap();
    assert_eq!(world.palisade(&["check"]).await.0, 0, "a check elsewhere has none of the files");
    let (code, told) = world.palisade(&["check", "--files"]).await;
    assert!(code == 1 && told.contains("cert.key: ") && told.contains("salt: "), "{told}");
    let (code, told) = world.palisade(&["doctor", "--no-counts"]).await;
    assert!(
        code == 1 && told.contains("problem file: cert.key: ") && told.contains("problem file: salt: "),
        "{told}"
    );
    std::fs::write(world.path("c.yaml"), "listen: []").unwrap();
    assert_eq!(world.palisade(&["doctor"]).await.0, 2);
}
