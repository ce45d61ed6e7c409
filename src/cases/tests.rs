#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::limits::Limits;
use crate::policy::Policies;
use std::path::Path;

const RULES: &str = "rules:
  - name: tenants
    when: has(claims.tenant)
    scope: { tenant: claims.tenant }
";

fn policies(text: &str) -> Policies {
    let files = [("p.yaml".to_owned(), text.to_owned())];
    Policies::compile(&files, &Limits::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn case(rest: &str) -> String {
    format!(
        "backends: {{ prometheus: {{ labels: {{ tenant: tenant }} }}, tempo: {{ labels: {{ tenant: resource.tenant }} }} }}
cases:
  - name: one
    claims: {{ tenant: acme-books }}
{rest}"
    )
}

fn report(rules: &str, cases: &str) -> Report {
    let file = CaseFile::parse("p.cases.yaml", cases).unwrap_or_else(|e| panic!("{e}"));
    let mut report = Report::default();
    run(&file, &policies(rules), &[], &Limits::default(), &mut report);
    report
}

fn failures(cases: &str) -> Vec<String> {
    report(RULES, cases).failures.iter().map(ToString::to_string).collect()
}

const ASKED: &str = "    backend: prometheus\n    request: GET /api/v1/query?query=up&time=5\n";

#[test]
fn a_case_holds_the_exact_call() {
    let call = "    call: |\n      POST /api/v1/query\n      query=up{tenant=\"acme-books\"}\n      time=5\n";
    let report = report(RULES, &case(&format!("{ASKED}{call}")));
    assert!(report.failures.is_empty(), "{}", report.failures[0]);
    assert_eq!(report.run, 1);
    assert_eq!(report.applied.iter().map(|r| &**r).collect::<Vec<_>>(), ["tenants"]);
}

#[test]
fn a_failure_is_a_difference_with_file_and_line() {
    let call = "    call: |\n      POST /api/v1/query\n      query=up{tenant=\"globex-lit\"}\n      time=5\n";
    let expected = "p.cases.yaml:8:7: case `one` comes out otherwise
    POST /api/v1/query
  - query=up{tenant=\"globex-lit\"}
  + query=up{tenant=\"acme-books\"}
    time=5";
    assert_eq!(failures(&case(&format!("{ASKED}{call}"))), [expected]);
    let shorter = "    call: POST /api/v1/query\n";
    let expected = "p.cases.yaml:7:11: case `one` comes out otherwise
    POST /api/v1/query
  + query=up{tenant=\"acme-books\"}
  + time=5";
    assert_eq!(failures(&case(&format!("{ASKED}{shorter}"))), [expected]);
}

#[test]
fn a_refusal_is_told_by_its_kind_and_shown_with_its_text() {
    let expected = "p.cases.yaml:7:14: case `one` comes out otherwise
  - refused: no_rule
  + POST /api/v1/query
  + query=up{tenant=\"acme-books\"}
  + time=5";
    assert_eq!(failures(&case(&format!("{ASKED}    refused: no_rule\n"))), [expected]);
    let asked = "    backend: prometheus\n    request: GET /api/v1/query?query=info(up)\n    call: GET /\n";
    let shown = failures(&case(asked));
    assert!(
        shown[0].starts_with("p.cases.yaml:7:11: case `one` comes out otherwise: PromQL: "),
        "{}",
        shown[0]
    );
    assert!(shown[0].ends_with("\n  - GET /\n  + refused: unsupported"), "{}", shown[0]);
}

/// The order in which a server refuses: policy, path, method, size, parameters.
#[test]
fn every_kind_of_outcome_can_be_said() {
    for (asked, said) in [
        ("backend: prometheus\n    request: GET /nowhere", "refused: unknown_endpoint"),
        ("backend: prometheus\n    request: DELETE /api/v1/query?query=up", "refused: method"),
        ("backend: tempo\n    request: POST /api/search", "refused: method"),
        ("backend: prometheus\n    request: GET /api/v1/query?query=up&query=up", "refused: parameter"),
        ("backend: prometheus\n    request: GET /api/v1/query?query=%zz", "refused: malformed"),
        ("backend: prometheus\n    request: GET /api/v1/query?query=up\n    form: a=b", "refused: malformed"),
        ("backend: prometheus\n    request: GET /api/v1/query?query=up{", "refused: syntax"),
        ("backend: prometheus\n    request: GET /api/v1/targets", "answered: true"),
        (
            "backend: prometheus\n    request: POST /api/v1/query\n    form: query=up",
            "call: |\n      POST /api/v1/query\n      query=up{tenant=\"acme-books\"}",
        ),
        (
            "backend: tempo\n    request: GET /api/v2/search/tag/.x/values",
            "call: |
      GET /api/v2/search/tag/resource.x/values
      q={ resource.tenant = \"acme-books\" }
      GET /api/v2/search/tag/span.x/values
      q={ resource.tenant = \"acme-books\" }
      then cut to tenant=acme-books",
        ),
        (
            "backend: prometheus\n    request: GET /api/v1/query?query=up\n    headers: { x-palisade-tenant: victim }",
            "refused: narrowing",
        ),
    ] {
        assert_eq!(failures(&case(&format!("    {asked}\n    {said}\n"))), [""; 0], "{said}");
    }
}

#[test]
fn a_form_is_held_to_the_cap_of_a_body() {
    let form = |form: &str| {
        case(&format!(
            "    backend: prometheus\n    request: POST /api/v1/query\n    form: {form}\n    refused: too_large\n"
        ))
    };
    let limits = Limits { body_bytes: 8, ..Limits::default() };
    for (text, failed) in [("query=up", 1), ("query=upp", 0)] {
        let mut report = Report::default();
        run(&CaseFile::parse("p", &form(text)).unwrap(), &policies(RULES), &[], &limits, &mut report);
        assert_eq!(report.failures.len(), failed, "{text}");
    }
}

#[test]
fn a_file_of_cases_is_read_as_strictly_as_a_policy() {
    let fault = |text: &str| CaseFile::parse("p.cases.yaml", text).unwrap_err().to_string();
    assert_eq!(
        fault(&case(ASKED)),
        "p.cases.yaml:3:11: case `one`: say one of `call`, `refused: KIND` and `answered: true`"
    );
    let both = format!("{ASKED}    refused: no_rule\n    answered: true\n");
    assert!(fault(&case(&both)).contains("say one of"));
    assert!(fault(&case(&format!("{ASKED}    answered: false\n"))).contains("say one of"));
    assert!(fault(&case(&format!("{ASKED}    reject: x\n"))).contains("unknown field `reject`"));
    assert!(fault("cases: []\nbackends: { x: { labels: {} } }\n").starts_with("p.cases.yaml:2:"));
    assert!(fault("cases: []\nbackends: { loki: { labels: {}, features: [y] } }\n").contains("`y`"));
    let unknown = failures(&case("    backend: mimir\n    request: GET /\n    answered: true\n"));
    assert_eq!(unknown, ["p.cases.yaml:5:14: case `one`: no backend `mimir`"]);
    for bad in ["/api/v1/query", "GET", "GET api", "get /", "GET  "] {
        let asked = format!("    backend: tempo\n    request: '{bad}'\n    answered: true\n");
        assert!(failures(&case(&asked))[0].contains("written as `GET /path?query`"), "{bad}");
    }
}

#[test]
fn cases_ask_the_backends_of_the_configuration_unless_they_bring_their_own() {
    let text = "cases:\n  - name: one\n    claims: { tenant: a }\n    backend: metrics\n    request: GET /api/v1/query?query=up\n    call: |\n      POST /api/v1/query\n      query=up{namespace=\"a\"}\n";
    let file = CaseFile::parse("p.cases.yaml", text).unwrap();
    let labels = [("tenant".to_owned(), "namespace".to_owned())].into();
    let backend = crate::scope::Backend::new("metrics", crate::api::Kind::Prometheus, labels);
    let mut report = Report::default();
    run(&file, &policies(RULES), &[backend], &Limits::default(), &mut report);
    assert!(report.failures.is_empty(), "{}", report.failures[0]);
}

#[test]
fn cases_stand_beside_their_policy_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("b.yaml", RULES);
    write("b.cases.yaml", "cases: []");
    write(".c.cases.yaml", "not read");
    let report = run_folder(folder.path(), &policies(RULES), &[], &Limits::default()).unwrap();
    assert_eq!((report.files.len(), report.run), (1, 0));
    write("a.cases.yaml", "cases: []");
    let fault = CaseFile::read_folder(folder.path()).unwrap_err();
    assert!(fault.file().ends_with("a.cases.yaml") && fault.message().contains("no policy file"), "{fault}");
    assert!(CaseFile::read_folder(Path::new("/nowhere")).is_err());
}

fn warnings(rules: &str, report: &Report) -> Vec<String> {
    let backend = |name: &str, labels: &[&str]| {
        let labels = labels.iter().map(|l| ((*l).to_owned(), (*l).to_owned())).collect();
        crate::scope::Backend::new(name, crate::api::Kind::Prometheus, labels)
    };
    let backends = [backend("metrics", &["tenant", "region"]), backend("logs", &["tenant"])];
    lint(&policies(rules), &backends, report).iter().map(ToString::to_string).collect()
}

fn rule(rest: &str) -> String {
    format!("rules:\n  - name: r\n    {rest}\n")
}

#[test]
fn lints_name_what_is_hardly_meant() {
    let applied = Report { applied: ["r".into()].into(), ..Report::default() };
    assert_eq!(warnings(&rule("scope: { tenant: claims.tenant }"), &applied), [""; 0]);
    for (text, expected) in [
        ("when: 'false'\n    scope: { tenant: claims.t }", "can never apply"),
        ("when: 1 > 2\n    scope: { tenant: claims.t }", "can never apply"),
        (
            "when: claims.a.b == 'x' && has(claims.c) && 'y' == claims.a.b\n    scope: { tenant: claims.t }",
            "can never",
        ),
        ("scope: { tenant: claims.t, region: claims.r }", "is for no request to `logs`: "),
        ("unrestricted: true", "grants everything to everyone"),
        ("when: 1 < 2\n    unrestricted: true", "grants everything to everyone"),
        ("scope: { tenant: claims.t }\n    backends: [logs, traces]", "is for backend `traces`, which the"),
        ("scope: { tenant: claims.preferred_username }", "claim `preferred_username` in `scope`"),
        ("scope: { tenant: \"claims['email']\" }", "claim `email` in `scope`"),
        ("when: \"'nickname' in claims\"\n    scope: { tenant: claims.t }", "claim `nickname` in `when`"),
    ] {
        let shown = warnings(&rule(text), &applied);
        assert!(
            shown.len() == 1 && shown[0].starts_with("p.yaml:2:5: rule `r` ") && shown[0].contains(expected),
            "{shown:?}"
        );
    }
    for fine in [
        "when: claims.a == 'x' || claims.a == 'y'\n    scope: { tenant: claims.t }",
        "when: claims.a == 'x' && claims.b == 'y'\n    scope: { tenant: claims.t }",
        "when: 'true'\n    scope: { tenant: claims.t }",
        "when: has(claims.root)\n    unrestricted: true",
        "scope: { tenant: claims.t, region: claims.r }\n    backends: [metrics]",
    ] {
        assert_eq!(warnings(&rule(fine), &applied), [""; 0], "{fine}");
    }
    let untried = warnings(&rule("scope: { tenant: claims.t }"), &Report::default());
    assert!(untried[0].contains("applies in no case"), "{untried:?}");
}

#[test]
fn the_claims_of_scopes_are_named() {
    let rules = "rules:
  - name: a
    when: has(claims.w)
    scope: { tenant: \"claims.groups.filter(g, g in claims['odd name']).map(g, g + claims.x.y)\" }
  - name: b
    scope: { tenant: \"claims[claims.z]\", region: '\"eu\"' }
";
    let policies = policies(rules);
    assert_eq!(
        scope_claims(&policies).into_iter().collect::<Vec<_>>(),
        ["*", "groups", "odd name", "x", "z"]
    );
}

const PARTS: &str = "backends:
  eu: { mount: prometheus, labels: { tenant: tenant }, holds: { tenant: [acme-*] }, org_id: { template: '{tenant}' }, label_policy: true }
  us: { mount: prometheus, labels: { tenant: tenant }, holds: { tenant: [initech-*] } }
";

#[test]
fn cases_know_which_backend_holds_what_and_the_tenants_that_it_is_told() {
    let policies = policies("rules: [{ name: r, scope: { tenant: claims.tenant } }]");
    for (tenants, said) in [
        (
            "acme-books",
            "call: |
      to eu
      POST /api/v1/query
      x-scope-orgid: acme-books
      x-prom-label-policy: acme-books:{tenant=\"acme-books\"}
      query=up{tenant=\"acme-books\"}",
        ),
        (
            "initech-press",
            "call: |\n      to us\n      POST /api/v1/query\n      query=up{tenant=\"initech-press\"}",
        ),
        ("[acme-books, acme-music]", "refused: narrower_scope"),
        ("[acme-books, initech-press]", "refused: narrower_scope"),
        ("umbrella", "refused: not_held"),
    ] {
        let text = format!(
            "{PARTS}cases:\n  - name: one\n    claims: {{ tenant: {tenants} }}\n    backend: prometheus\n    request: GET /api/v1/query?query=up\n    {said}\n"
        );
        let mut report = Report::default();
        run(&CaseFile::parse("p", &text).unwrap(), &policies, &[], &Limits::default(), &mut report);
        assert!(report.failures.is_empty(), "{}", report.failures[0]);
    }
    let overlap = PARTS.replace("initech-*", "acme-books");
    let fault = CaseFile::parse("p", &format!("{overlap}cases: []\n")).unwrap_err().to_string();
    assert!(fault.starts_with("p:2:63: `backends.eu.holds`: `us` holds some of that"), "{fault}");
}

#[test]
fn lints_know_parts_and_tenants() {
    let text =
        format!("{PARTS}cases: []\n").replace("{ tenant: tenant }", "{ tenant: tenant, region: region }");
    let backends = CaseFile::parse("p", &text).unwrap().backends.unwrap();
    let applied = Report { applied: ["r".into()].into(), ..Report::default() };
    let shown = |text: &str| {
        let warnings = lint(&policies(&rule(text)), &backends, &applied);
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(shown("scope: { tenant: claims.t }\n    backends: [prometheus]"), [""; 0]);
    for (text, expected) in [
        ("scope: { region: claims.r }", "is for no request to `eu`, `us`: told apart from others by `holds`"),
        ("scope: { region: claims.r }", "is for no request to `eu`: no org id for its scope"),
        ("when: has(claims.x)\n    unrestricted: true", "is for no request to `eu`: no org id"),
        (
            "scope: { tenant: claims.t }\n    backends: [eu]",
            "is for backend `eu`, which rules call by its mount, `prometheus`",
        ),
    ] {
        let shown = shown(text);
        assert!(shown.iter().any(|warning| warning.contains(expected)), "{text}: {shown:?}");
    }
}

/// A case takes the server's way: headers, types of bodies, and a tenant in the path count as there.
#[test]
fn a_case_is_read_as_a_servers_request_is() {
    let refused = |asked: &str, kind: &str| {
        let told = failures(&case(&format!("    backend: prometheus\n{asked}    refused: {kind}\n")));
        assert!(told.is_empty(), "{}", told.join("\n"));
    };
    let post = "    request: POST /api/v1/query\n    form: query=up\n";
    refused(&format!("{post}    headers: {{ Content-Type: text/plain }}\n"), "content_type");
    refused(&format!("{post}    headers: {{ Content-Encoding: gzip }}\n"), "content_type");
    refused("    request: GET /api/v1/query?query=up\n    form: a=b\n", "malformed");
    refused("    request: GET /loki/api/v1/query\n", "unknown_endpoint");
    refused("    request: GET /t/globex-lit/prometheus/api/v1/query?query=up\n", "narrowing");
    refused("    request: GET /t/acme-books/loki/api/v1/query?query=up\n", "unknown_mount");
    refused("    request: GET /t/acme-books/prometheusx/api/v1/query?query=up\n", "unknown_mount");
    let call = "    call: |\n      POST /api/v1/query\n      query=up{tenant=\"acme-books\"}\n";
    let whole = "    request: GET /t/acme-books/prometheus/api/v1/query?query=up\n";
    let told = failures(&case(&format!("    backend: prometheus\n{whole}{call}")));
    assert!(told.is_empty(), "{}", told.join("\n"));
    let told = failures(&case(&format!("    backend: prometheus\n{post}{call}")));
    assert!(told.is_empty(), "{}", told.join("\n"));
}
