//! The policies of this repository, and the command that checks policies.

use crate::support::issuer::{FakeIssuer, jwks};
use palisade::api::Kind;
use palisade::cases::{lint, run_folder};
use palisade::limits::Limits;
use palisade::policy::Policies;
use palisade::scope::Backend;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("policies/examples")).unwrap();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// What a configuration with every kind of backend has, each with both dimensions.
fn backends() -> Vec<Backend> {
    let labels = |prefix: &str| ["tenant", "region"].map(|d| (d.to_owned(), format!("{prefix}{d}"))).into();
    let backend = |kind: Kind| {
        Backend::new(kind.name(), kind, labels(if kind == Kind::Tempo { "resource." } else { "" }))
    };
    Kind::ALL.map(backend).into()
}

#[test]
fn every_example_has_cases_that_hold_and_show_each_of_its_rules() {
    let limits = Limits::default();
    assert!(examples().len() >= 7);
    for folder in examples() {
        let policies = Policies::load(&folder, &limits).unwrap_or_else(|e| panic!("{e}"));
        let report = run_folder(&folder, &policies, &[], &limits).unwrap_or_else(|e| panic!("{e}"));
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        let warnings: Vec<_> =
            lint(&policies, &backends(), &report).iter().map(ToString::to_string).collect();
        assert!(warnings.is_empty(), "{}", warnings.join("\n"));
        let refused = std::fs::read_to_string(&report.files[0]).unwrap().contains("refused: no_rule");
        assert!(refused, "{}: who is not meant is shown, too", folder.display());
    }
}

#[test]
fn the_readme_of_the_policies_leads_to_each_example() {
    let readme = std::fs::read_to_string(root().join("policies/README.md")).unwrap();
    for folder in examples() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(readme.contains(&format!("(examples/{name}/{name}.yaml)")), "{name}");
    }
}

/// A folder with a configuration, a policy and its cases.
struct Files(tempfile::TempDir);

impl Files {
    fn new(rules: &str, cases: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        let config = "listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
issuers: [{ url: https://sso.example.org, jwks_file: keys.json, audiences: [palisade] }]
backends: { prometheus: { url: http://127.0.0.1:9, labels: { tenant: tenant } } }
policies: policies
";
        for (name, text) in [("c.yaml", config), ("policies/p.yaml", rules), ("policies/p.cases.yaml", cases)]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    /// Exit code and output of `palisade COMMAND… --config c.yaml`.
    fn palisade(&self, command: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(command)
            .args(["--config", "c.yaml"])
            .current_dir(self.0.path())
            .output()
            .unwrap();
        (status.code().unwrap(), [stdout, stderr].map(|s| String::from_utf8(s).unwrap()).concat())
    }
}

const RULES: &str =
    "rules:\n  - name: r\n    when: has(claims.tenant)\n    scope: { tenant: claims.tenant }\n";
const CASE: &str = "cases:
  - name: one
    claims: { tenant: acme-books }
    backend: prometheus
    request: GET /api/v1/query?query=up
    call: |
      POST /api/v1/query
";

#[test]
fn check_tells_by_its_exit_code_what_it_found() {
    let good = format!("{CASE}      query=up{{tenant=\"acme-books\"}}\n");
    let files = Files::new(RULES, &good);
    let (code, said) = files.palisade(&["check"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("no user may be able to choose: tenant\n1 rules, 1 cases, 0 failed, 0 warnings\n"),
        "{said}"
    );

    let (code, said) = Files::new(RULES, CASE).palisade(&["check"]);
    assert_eq!(code, 1, "{said}");
    let place = said.find(
        "policies/p.cases.yaml:7:7: case `one` comes out otherwise\n    POST /api/v1/query\n  + query=up",
    );
    assert_eq!(place, Some(0), "{said}");

    let warned = Files::new(&RULES.replace("claims.tenant }", "claims.email }"), "cases: []");
    assert_eq!(warned.palisade(&["check"]).0, 0);
    let (code, said) = warned.palisade(&["check", "--strict"]);
    assert!(code == 1 && said.contains("policies/p.yaml:2:5: rule `r` uses claim `email`"), "{code} {said}");

    let (code, said) = Files::new("rules: [{ nam: x }]", "cases: []").palisade(&["check"]);
    assert!(code == 2 && said.starts_with("policies/p.yaml:1:11: "), "{code} {said}");
}

#[test]
fn a_policy_whose_cases_fail_is_not_served() {
    let (code, said) = Files::new(RULES, CASE).palisade(&["serve"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("policies whose cases fail are not loaded\npolicies/p.cases.yaml:7:7: "), "{said}");
}

#[test]
fn explain_says_what_becomes_of_a_request_and_why() {
    let rules = format!(
        "{RULES}  - name: auditors\n    when: claims.role == 'auditor'\n    scope: {{ tenant: claims.audited }}\n"
    );
    let files = Files::new(&rules, "cases: []");
    let explain = |claims: &str, request: &str, more: &[&str]| {
        let mut command =
            vec!["explain", "--claims", claims, "--backend", "prometheus", "--request", request];
        command.extend(more);
        files.palisade(&command)
    };
    let request = r#"GET /api/v1/query?query=rate(x{job="a"}[5m]) / up"#;
    let (code, said) = explain(r#"{"tenant": "acme-books"}"#, request, &[]);
    let expected = r#"claims
  tenant = "acme-books"

rules
  `r` applies, and grants tenant=acme-books
    when has(claims.tenant)
    scope.tenant claims.tenant
  `auditors` does not apply: `when` cannot be evaluated: no such key `role`
    when claims.role == 'auditor'
    scope.tenant claims.audited

scope
  tenant=acme-books
  of `r`

sent
  POST /api/v1/query
  query=rate(x{«tenant="acme-books",»job="a"}[5m]) / up«{tenant="acme-books"}»
"#;
    assert_eq!((code, said.as_str()), (0, expected));
    let narrower =
        explain(r#"{"tenant": ["a", "b"]}"#, "GET /api/v1/labels", &["--header", "X-Palisade-Tenant: b"]);
    assert!(
        narrower.1.ends_with("\n  match[]=«{tenant=\"b\"}»\n") || narrower.1.contains("tenant=\"b\""),
        "{}",
        narrower.1
    );
    let (code, said) = explain(r#"{"sub": "x"}"#, request, &[]);
    assert!(
        code == 0 && said.ends_with("\nrefused\n  no_rule: no policy rule grants access\n"),
        "{code} {said}"
    );
    for (more, expected) in [
        (&["--form", "a=b"][..], "\nrefused\n  malformed: a GET has no body\n"),
        (
            &["--header", "X-Palisade-Tenant: victim"],
            "\nrefused\n  narrowing: the requested scope is not granted\n",
        ),
    ] {
        let (code, said) = explain(r#"{"tenant": "a"}"#, "GET /api/v1/query?query=up", more);
        assert!(code == 0 && said.ends_with(expected), "{code} {said}");
    }
    for (claims, request) in [("{", "GET /"), ("[]", "GET /"), ("{}", "up")] {
        assert_eq!(explain(claims, request, &[]).0, 2);
    }
    let (code, said) =
        files.palisade(&["explain", "--claims", "{}", "--backend", "mimir", "--request", "GET /"]);
    assert!(
        code == 2 && said.contains("no backend `mimir`, the configuration has `prometheus`"),
        "{code} {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_verifies_a_token_as_a_request_would() {
    let issuer = FakeIssuer::start().await;
    let (grafana, grafana_line) = FakeIssuer::grafana().await;
    let files = Files::new(RULES, "cases: []");
    let (path, keys) = (files.0.path().join("c.yaml"), files.0.path().join("keys.json"));
    std::fs::write(keys, jwks([&*issuer.key()]).to_string()).unwrap();
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config.replace("https://sso.example.org", issuer.url());
    let first = format!("issuers: [{}, ", grafana_line.strip_prefix("  - ").unwrap());
    std::fs::write(&path, config.replace("issuers: [", &first)).unwrap();
    let explain = |token: &str| {
        files.palisade(&[
            "explain",
            "--token",
            token,
            "--backend",
            "prometheus",
            "--request",
            "GET /api/v1/query?query=up",
        ])
    };
    let token = issuer.token("acme-books");
    let (code, said) = explain(&token);
    let expected = format!("caller\n  issued by {}\n  with the token in authorization\n", issuer.url());
    assert!(code == 0 && said.starts_with(&expected), "{code} {said}");
    assert!(said.contains("query=up«{tenant=\"acme-books\"}»") && !said.contains(&token), "{said}");
    let (head, _) = token.rsplit_once('.').unwrap();
    let (code, said) = explain(&format!("{head}.AAAA"));
    assert_eq!((code, said.as_str()), (0, "refused\n  401 signature: token signature not accepted\n"));
    let (code, said) = explain(&grafana.grafana_id("acme-books"));
    let expected = format!("caller\n  issued by {}\n  with the token in x-grafana-id\n", grafana.url());
    assert!(code == 0 && said.starts_with(&expected), "{code} {said}");
}

#[test]
fn a_case_that_is_printed_holds() {
    let files = Files::new(RULES, "cases: []\n");
    let claims = r#"{"tenant": "acme-books", "note": "a: 'b'"}"#;
    let mut cases = "cases:\n".to_owned();
    for (request, form) in [
        ("GET /api/v1/query?query=sum(up{job=\"a b\"}) by (job)", None),
        ("POST /api/v1/query_range", Some("query=up&start=1&end=2&step=1")),
        ("GET /api/v1/query?query=up{", None),
        ("GET /api/v1/targets", None),
        ("GET /api/v1/alerts", None),
    ] {
        let mut command = vec!["explain", "--as-case", "--claims", claims, "--backend", "prometheus"];
        command.extend(["--request", request, "--header", "X-Palisade-Tenant: acme-books"]);
        command.extend(form.iter().flat_map(|form| ["--form", form]));
        let (code, said) = files.palisade(&command);
        assert_eq!(code, 0, "{said}");
        cases.push_str(&said);
    }
    let (code, said) = Files::new(RULES, &cases).palisade(&["check"]);
    assert!(code == 0 && said.contains("5 cases, 0 failed, 0 warnings"), "{cases}\n{said}");
}

#[test]
fn a_reason_that_is_none_and_a_policy_without_rules_are_told() {
    let refused = |kind: &str| {
        let case = CASE.split("    call").next().unwrap().to_owned();
        Files::new(RULES, &format!("{case}    refused: {kind}\n")).palisade(&["check"])
    };
    let (code, said) = refused("norule");
    let told = "policies/p.cases.yaml:6:14: case `one`: nothing is refused as `norule`, write `no_rule`";
    assert!(code == 2 && said.contains(told), "{said}");
    assert!(refused("nonsense").1.contains("see the reasons in docs/observability.md"));
    let (code, said) = Files::new("rules: []\n", "cases: []\n").palisade(&["check"]);
    assert!(code == 0 && said.contains("no file has a rule: nobody is granted anything (warning)"), "{said}");
    assert_eq!(Files::new("rules: []\n", "cases: []\n").palisade(&["check", "--strict"]).0, 1);
    let (code, said) = Files::new("# nothing yet\n", "cases: []\n").palisade(&["check"]);
    assert!(code == 2 && said.contains("policies/p.yaml: the file is empty"), "{said}");
}
