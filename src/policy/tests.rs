#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod places;
use super::*;
use crate::limits::Limits;
use crate::rejection::Forbidden;
use crate::tenant::Scope;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Rules as (when, scope as flow-style YAML), named r0, r1, …
fn policies_with(rules: &[(&str, &str)], limits: &Limits) -> Policies {
    let rule = |(i, (when, scope)): (usize, &(&str, &str))| {
        format!("  - name: r{i}\n    when: {when:?}\n    scope: {{ {scope} }}\n")
    };
    let list = if rules.is_empty() { " []\n" } else { "\n" };
    let text = format!("rules:{list}{}", rules.iter().enumerate().map(rule).collect::<String>());
    Policies::compile(&[("p.yaml".into(), text)], limits).unwrap_or_else(|e| panic!("{e}"))
}

fn policies(rules: &[(&str, &str)]) -> Policies {
    policies_with(rules, &Limits::default())
}

fn decide(policies: &Policies, claims: &Value) -> Result<Grants, Forbidden> {
    policies.decide(claims.as_object().unwrap())
}

fn narrowing(header: &str) -> Result<Option<Narrowing>, Forbidden> {
    Narrowing::from_headers([header.as_bytes()], [])
}

/// A scope as the header would say it.
fn said(scope: &Scope) -> String {
    let values = |(dimension, values): (&String, &crate::tenant::Values)| {
        values.iter().map(|v| format!("{dimension}={v}")).collect::<Vec<_>>().join(" ")
    };
    scope.dimensions().iter().map(values).collect::<Vec<_>>().join(" ")
}

fn whole(policies: &Policies, claims: Value) -> Result<String, Forbidden> {
    decide(policies, &claims)?.choose("any", None, None).map(|grant| said(grant.scope()))
}

fn narrowed(policies: &Policies, claims: Value, header: &str) -> Result<String, Forbidden> {
    decide(policies, &claims)?
        .choose("any", None, narrowing(header)?.as_ref())
        .map(|grant| said(grant.scope()))
}

const TENANT_RULE: (&str, &str) = ("has(claims.tenant)", "tenant: claims.tenant");

#[test]
fn a_tenant_sees_its_own_data() {
    let policies = policies(&[TENANT_RULE]);
    assert_eq!(whole(&policies, json!({"tenant": "acme-books"})), Ok("tenant=acme-books".into()));
    assert_eq!(whole(&policies, json!({"tenant": ["b", "a", "b"]})), Ok("tenant=a tenant=b".into()));
    let grant = decide(&policies, &json!({"tenant": "a"})).unwrap().choose("any", None, None).unwrap();
    assert_eq!(grant.rules().collect::<Vec<_>>(), ["r0"]);
}

#[test]
fn atk_39_3a_no_rule_no_access() {
    let claims = json!({"sub": "u", "preferred_username": "admin", "tenant": "a"});
    let none = Policies::compile(&[("p.yaml".into(), "rules: []".into())], &Limits::default()).unwrap();
    assert_eq!(whole(&none, claims.clone()), Err(Forbidden::NoRule));
    assert_eq!(
        whole(&policies(&[("claims.sub == 'v'", "tenant: claims.tenant")]), claims),
        Err(Forbidden::NoRule)
    );
    assert_eq!(whole(&policies(&[TENANT_RULE]), json!({"sub": "u"})), Err(Forbidden::NoRule));
}

#[test]
fn a_dimension_without_a_value_removes_the_whole_rule() {
    let policies = policies(&[("true", "tenant: claims.tenant, region: claims.region")]);
    for region in [json!([]), json!(null), json!(7), json!(true), json!({"a": "b"})] {
        let claims = json!({"tenant": "a", "region": region});
        assert_eq!(whole(&policies, claims.clone()), Err(Forbidden::NoRule), "{claims}");
        let verdicts = policies.judge(claims.as_object().unwrap()).verdicts;
        assert_eq!(verdicts[0].outcome, Outcome::NoValue { dimension: "region".into() });
    }
}

#[test]
fn one_bad_value_anywhere_refuses_the_whole_token() {
    let policies = policies(&[
        ("true", "tenant: claims.good"),
        ("has(claims.more)", "tenant: claims.more, region: claims.absent"),
    ]);
    for bad in ["a|b", "", ".*", "a\"", "a\n", "ä", "-a", &"a".repeat(64)] {
        for more in [json!(bad), json!(["fine", bad])] {
            let claims = json!({"good": "a", "more": more});
            assert_eq!(whole(&policies, claims.clone()), Err(Forbidden::TenantValue), "{claims}");
        }
    }
    let mixed = json!({"good": "a", "more": ["fine", 1]});
    assert_eq!(whole(&policies, mixed), Err(Forbidden::TenantValue));
    // A rule that does not match yields nothing, so it has no bad value either.
    assert_eq!(whole(&policies, json!({"good": "a", "other": "a|b"})), Ok("tenant=a".into()));
}

#[test]
fn an_evaluation_error_denies_by_its_rule_alone_and_is_told() {
    let policies = policies(&[
        ("claims.absent == 'x'", "tenant: claims.tenant"),
        ("claims.tenant", "tenant: claims.tenant"),
        ("true", "tenant: claims.absent"),
        ("has(claims.tenant)", "tenant: claims.tenant"),
    ]);
    let judgement = policies.judge(json!({"tenant": "a"}).as_object().unwrap());
    let outcomes: Vec<_> = judgement.verdicts.into_iter().map(|v| v.outcome).collect();
    let fault = |key: &str, fault: &str| Outcome::Fault { key: key.into(), fault: fault.into() };
    assert_eq!(
        outcomes,
        [
            fault("when", "no such key `absent`"),
            fault("when", "not a boolean"),
            fault("scope.tenant", "no such key `absent`"),
            Outcome::Applies,
        ]
    );
    assert_eq!(said(judgement.grants.unwrap().choose("any", None, None).unwrap().scope()), "tenant=a");
}

#[test]
fn a_dimension_has_as_many_values_as_the_cap_and_not_one_more() {
    let limits = Limits { tenants: 3, ..Limits::default() };
    let one = policies_with(&[TENANT_RULE], &limits);
    assert_eq!(whole(&one, json!({"tenant": ["a", "b", "c", "a"]})), Ok("tenant=a tenant=b tenant=c".into()));
    assert_eq!(whole(&one, json!({"tenant": ["a", "b", "c", "d"]})), Err(Forbidden::TooManyValues));
    let two = policies_with(&[TENANT_RULE, ("true", "tenant: '\"z\"'")], &limits);
    assert_eq!(whole(&two, json!({"tenant": ["a", "b"]})), Ok("tenant=a tenant=b tenant=z".into()));
    assert_eq!(whole(&two, json!({"tenant": ["a", "b", "c"]})), Err(Forbidden::TooManyValues));
    // Over the cap and bad: the bad value is what is told, whatever the order of the rules.
    let bad = policies_with(&[("true", "tenant: claims.bad"), TENANT_RULE], &limits);
    let claims = json!({"bad": "a|b", "tenant": ["a", "b", "c", "d"]});
    assert_eq!(whole(&bad, claims), Err(Forbidden::TenantValue));
}

#[test]
fn rules_that_differ_in_one_dimension_are_united_in_it() {
    let rules = policies(&[
        ("true", "tenant: '\"a\"', region: '\"eu\"'"),
        ("true", "tenant: '\"b\"', region: '\"eu\"'"),
        ("claims.wide", "tenant: '[\"a\", \"b\"]', region: '\"us\"'"),
    ]);
    assert_eq!(whole(&rules, json!({"wide": false})), Ok("region=eu tenant=a tenant=b".into()));
    assert_eq!(whole(&rules, json!({"wide": true})), Ok("region=eu region=us tenant=a tenant=b".into()));
    let grant = decide(&rules, &json!({"wide": true})).unwrap().choose("any", None, None).unwrap();
    assert_eq!(grant.rules().collect::<Vec<_>>(), ["r0", "r1", "r2"]);
}

#[test]
fn atk_34_rules_are_never_merged_label_by_label() {
    let rules = policies(&[
        ("true", "tenant: '\"a\"', region: '\"eu\"'"),
        ("true", "tenant: '\"b\"', region: '\"us\"'"),
    ]);
    assert_eq!(whole(&rules, json!({})), Err(Forbidden::NarrowerScope));
    assert_eq!(narrowed(&rules, json!({}), "tenant=a"), Ok("region=eu tenant=a".into()));
    assert_eq!(narrowed(&rules, json!({}), "region=us"), Ok("region=us tenant=b".into()));
    // The cross product holds two cells that nobody granted.
    for cross in ["tenant=a, region=us", "tenant=b, region=eu"] {
        assert_eq!(narrowed(&rules, json!({}), cross), Err(Forbidden::Narrowing), "{cross}");
    }
    assert_eq!(
        narrowed(&rules, json!({}), "tenant=a, tenant=b, region=eu, region=us"),
        Err(Forbidden::NarrowerScope)
    );
}

#[test]
fn a_scope_within_another_adds_nothing() {
    let rules =
        policies(&[("true", "tenant: '[\"a\", \"b\"]'"), ("true", "tenant: '\"a\"', region: '\"eu\"'")]);
    assert_eq!(whole(&rules, json!({})), Ok("tenant=a tenant=b".into()));
    let grant = decide(&rules, &json!({})).unwrap().choose("any", None, None).unwrap();
    assert_eq!(grant.rules().collect::<Vec<_>>(), ["r0"]);
    // A tenant without a region and one with are two scopes.
    let rules = policies(&[("true", "tenant: '\"a\"'"), ("true", "tenant: '\"b\"', region: '\"eu\"'")]);
    assert_eq!(whole(&rules, json!({})), Err(Forbidden::NarrowerScope));
    assert_eq!(narrowed(&rules, json!({}), "region=eu"), Ok("region=eu tenant=a tenant=b".into()));
    assert_eq!(narrowed(&rules, json!({}), "tenant=a"), Ok("tenant=a".into()));
}

#[test]
fn a_caller_may_name_less_and_never_more() {
    let rules = policies(&[("true", "tenant: claims.tenant, region: claims.region")]);
    let claims = || json!({"tenant": ["acme-books", "acme-books-eu", "b"], "region": ["eu", "us"]});
    let ask = |header: &str| narrowed(&rules, claims(), header);
    assert_eq!(ask("tenant=b"), Ok("region=eu region=us tenant=b".into()));
    assert_eq!(ask("tenant=b, region=eu"), Ok("region=eu tenant=b".into()));
    assert_eq!(
        ask("tenant=b,tenant=acme-books \t, region=us"),
        Ok("region=us tenant=acme-books tenant=b".into())
    );
    for refused in
        ["tenant=c", "tenant=acme", "tenant=b, tenant=c", "tenant=B", "cluster=x", "tenant=b, cluster=x"]
    {
        assert_eq!(ask(refused), Err(Forbidden::Narrowing), "not granted or unknown: {refused}");
    }
    for refused in [
        "",
        " ",
        ",",
        "tenant",
        "tenant=",
        "=b",
        "tenant=b,",
        "tenant=b;region=eu",
        "tenant=b, tenant=b",
        "tenant = b",
        "Tenant=b",
        "tenant=\"b\"",
        "tenant==b",
        "tenant=b|acme-books",
        "tenant=.*",
        "tenant=b\0",
    ] {
        assert_eq!(ask(refused), Err(Forbidden::Narrowing), "malformed or repeated: {refused:?}");
    }
}

#[test]
fn the_tenant_header_is_short_for_the_scope_header() {
    let read = |scope: &[&str], tenant: &[&str]| {
        Narrowing::from_headers(scope.iter().map(|l| l.as_bytes()), tenant.iter().map(|l| l.as_bytes()))
    };
    assert_eq!(read(&[], &[]), Ok(None));
    assert_eq!(read(&[], &["a, b"]), read(&["tenant=a, tenant=b"], &[]));
    assert!(read(&[], &["a"]).is_ok_and(|n| n.is_some()));
    for (scope, tenant) in [
        (&["tenant=a", "tenant=a"][..], &[][..]),
        (&["tenant=a", "region=b"], &[]),
        (&[], &["a", "b"]),
        (&["tenant=a"], &["a"]),
        (&["region=eu"], &["a"]),
        (&[], &[""]),
        (&[], &["a,,b"]),
        (&[], &["tenant=a"]),
    ] {
        assert_eq!(read(scope, tenant), Err(Forbidden::Narrowing), "{scope:?} {tenant:?}");
    }
    assert_eq!(Narrowing::from_headers([&b"tenant=\xff"[..]], []), Err(Forbidden::Narrowing));
}

#[test]
fn atk_33_names_of_users_and_groups_are_apart() {
    let rules = policies(&[("'/staff' in claims.groups", "tenant: '\"internal\"'")]);
    let forged = json!({"preferred_username": "/staff", "sub": "/staff", "groups": ["/users"]});
    assert_eq!(whole(&rules, forged), Err(Forbidden::NoRule));
    assert_eq!(whole(&rules, json!({"groups": ["/staff"]})), Ok("tenant=internal".into()));
    // A claim that should be a list and is a text does not match by being contained in it.
    assert_eq!(whole(&rules, json!({"groups": "/staff"})), Err(Forbidden::NoRule));
}

#[test]
fn atk_35_scopes_that_differ_are_different_cache_keys() {
    let rules = policies(&[("true", "tenant: claims.tenant, region: claims.region")]);
    let key =
        |claims: Value| decide(&rules, &claims).unwrap().choose("any", None, None).unwrap().scope().clone();
    let split = key(json!({"tenant": ["a", "b"], "region": "c"}));
    assert_ne!(split, key(json!({"tenant": "a", "region": ["b", "c"]})));
    assert_ne!(split, key(json!({"tenant": "c", "region": ["a", "b"]})));
    assert_eq!(split, key(json!({"tenant": ["b", "a", "a"], "region": ["c"]})));
}

#[test]
fn atk_37_a_rule_that_was_removed_grants_nothing() {
    let before = policies(&[TENANT_RULE, ("true", "tenant: '\"shared\"'")]);
    let after = policies(&[TENANT_RULE]);
    assert_eq!(whole(&before, json!({"tenant": "a"})), Ok("tenant=a tenant=shared".into()));
    assert_eq!(whole(&after, json!({"tenant": "a"})), Ok("tenant=a".into()));
}

#[test]
fn atk_38_case_is_never_folded() {
    let rules = policies(&[
        ("'Dev' in claims.groups", "tenant: '\"Dev\"'"),
        ("'dev' in claims.groups", "tenant: '\"dev\"'"),
    ]);
    assert_eq!(whole(&rules, json!({"groups": ["dev"]})), Ok("tenant=dev".into()));
    assert_eq!(whole(&rules, json!({"groups": ["Dev"]})), Ok("tenant=Dev".into()));
    assert_eq!(whole(&rules, json!({"groups": ["DEV"]})), Err(Forbidden::NoRule));
    assert_eq!(whole(&policies(&[TENANT_RULE]), json!({"Tenant": "a"})), Err(Forbidden::NoRule));
}

#[test]
fn atk_3i_a_broken_file_is_an_error_and_not_the_end() {
    for text in
        ["rules: [", "rules: 1", "\0", "rules: [{name: a}]", "- a", "rules:\n- name: a\n  scope: {t: '('}"]
    {
        let files = [("p.yaml".to_owned(), text.to_owned())];
        assert!(Policies::compile(&files, &Limits::default()).is_err(), "{text}");
    }
}

/// Rules written out, in one file.
fn written(rules: &str) -> Policies {
    Policies::compile(&[("p.yaml".into(), rules.into())], &Limits::default())
        .unwrap_or_else(|e| panic!("{e}"))
}

const PLACES: &str = "rules:
  - name: metrics
    scope: { tenant: '\"a\"' }
    backends: [prometheus]
    limits: { requests_per_second: 5, entries: 10 }
  - name: logs
    when: has(claims.logs)
    scope: { tenant: '\"b\"' }
    backends: [loki, prometheus]
    endpoints: [read, silences.read]
    limits: { requests_per_second: 9, burst: 2, points: 7 }
  - name: all
    when: has(claims.root)
    unrestricted: true
";

#[test]
fn a_rule_counts_at_its_backends_and_endpoints_only() {
    use crate::api::Class;
    let rules = written(PLACES);
    let at = |claims: &Value, backend: &str, class: Option<Class>| {
        decide(&rules, claims).unwrap().choose(backend, class, None).map(|grant| said(grant.scope()))
    };
    let (plain, logs) = (json!({}), json!({"logs": 1}));
    assert_eq!(at(&plain, "prometheus", Some(Class::Traces)), Ok("tenant=a".into()));
    assert_eq!(at(&plain, "loki", Some(Class::Read)), Err(Forbidden::NoRule));
    assert_eq!(at(&plain, "loki", None), Err(Forbidden::NoRule));
    assert_eq!(at(&logs, "prometheus", Some(Class::Read)), Ok("tenant=a tenant=b".into()));
    assert_eq!(at(&logs, "prometheus", Some(Class::Traces)), Ok("tenant=a".into()));
    assert_eq!(at(&logs, "loki", Some(Class::SilencesRead)), Ok("tenant=b".into()));
    assert_eq!(at(&logs, "loki", Some(Class::SilencesWrite)), Err(Forbidden::Endpoint));
    assert_eq!(at(&logs, "tempo", Some(Class::Read)), Err(Forbidden::NoRule));
    // An unknown path has no class: whoever may see anything of the backend learns that it is unknown.
    assert_eq!(at(&logs, "loki", None), Ok("tenant=b".into()));
    let narrowed = |wish: &str, class| {
        let wish = narrowing(wish).unwrap();
        decide(&rules, &logs)
            .unwrap()
            .choose("prometheus", Some(class), wish.as_ref())
            .map(|g| said(g.scope()))
    };
    assert_eq!(narrowed("tenant=b", Class::Read), Ok("tenant=b".into()));
    assert_eq!(narrowed("tenant=b", Class::Rules), Err(Forbidden::Narrowing));
}

#[test]
fn an_unrestricted_rule_grants_everything_but_changes_nothing_by_itself() {
    use crate::api::Class;
    let rules = written(PLACES);
    let grants = decide(&rules, &json!({"root": true})).unwrap();
    let grant = grants.choose("prometheus", Some(Class::Read), None).unwrap();
    assert!(grant.scope().is_unrestricted());
    assert_eq!(grant.rules().collect::<Vec<_>>(), ["all"]);
    assert_eq!(grant.limits(), None, "a rule without limits takes them away");
    assert_eq!(grants.choose("tempo", Some(Class::SilencesWrite), None), Err(Forbidden::Endpoint));
    let write = grants.choose("prometheus", Some(Class::SilencesWrite), None).unwrap();
    assert_eq!(said(write.scope()), "tenant=a");
    let wish = narrowing("tenant=x, region=y").unwrap();
    let narrow = grants.choose("loki", Some(Class::Read), wish.as_ref()).unwrap();
    assert_eq!(said(narrow.scope()), "region=y tenant=x");
}

#[test]
fn a_tenant_in_the_path_narrows_as_a_header_does() {
    let rules = policies(&[("true", "tenant: '[\"a\", \"b\"]', region: '[\"eu\", \"us\"]'")]);
    let ask = |headers: Option<&str>, tenant: &str| {
        let headers = headers.map(|line| narrowing(line).unwrap().unwrap());
        let wish = Narrowing::and_tenant(headers, tenant)?;
        decide(&rules, &json!({}))?.choose("any", None, Some(&wish)).map(|grant| said(grant.scope()))
    };
    assert_eq!(ask(None, "a"), Ok("region=eu region=us tenant=a".into()));
    assert_eq!(ask(Some("region=eu"), "b"), Ok("region=eu tenant=b".into()));
    for bad in ["c", "", "a,b", "a%2e", "..", "a b", "a|b"] {
        assert_eq!(ask(None, bad), Err(Forbidden::Narrowing), "{bad}");
    }
    assert_eq!(ask(Some("tenant=a"), "a"), Err(Forbidden::Narrowing), "named twice");
}

/// The policies that this repository ships do what their texts say.
mod limits;

mod shipped {
    use super::*;
    use std::path::Path;

    fn load(folder: &str) -> Policies {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(folder);
        Policies::load(&folder, &Limits::default()).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn the_default_denies_everyone() {
        let rules = load("");
        assert_eq!(rules.rules().len(), 0);
        assert_eq!(whole(&rules, json!({"tenant": "a", "groups": ["/admins"]})), Err(Forbidden::NoRule));
    }

    #[test]
    fn every_example_of_the_readme_is_a_policy() {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/README.md"))
            .unwrap();
        let blocks: Vec<_> =
            text.split("```yaml\n").skip(1).map(|b| b.split("```").next().unwrap()).collect();
        let blocks: Vec<_> = blocks.into_iter().filter(|block| block.starts_with("rules:")).collect();
        assert!(blocks.len() > 3);
        let files: Vec<_> =
            blocks.iter().zip('a'..).map(|(b, n)| (format!("{n}.yaml"), (*b).to_owned())).collect();
        let rules = Policies::compile(&files, &Limits::default()).unwrap_or_else(|e| panic!("{e}"));
        let sees = |claims: Value| whole(&rules, claims);
        assert_eq!(sees(json!({"tenant": "a"})), Ok("tenant=a".into()));
        assert_eq!(sees(json!({"groups": ["/tenants/acme-books"]})), Ok("tenant=acme-books".into()));
        assert_eq!(sees(json!({"tenants": ["a-prod", "a-test"]})), Ok("tenant=a-prod".into()));
        assert_eq!(sees(json!({"https://acme.example/tenant": "a"})), Ok("tenant=a".into()));
        assert_eq!(sees(json!({"departments": "a"})), Ok("tenant=a".into()));
        assert_eq!(sees(json!({"departments": ["a", "b"]})), Ok("tenant=a tenant=b".into()));
        assert_eq!(
            sees(json!({"azp": "grafana-alerting"})),
            Ok("tenant=acme-books tenant=globe-books".into())
        );
        let support = json!({"realm_access": {"roles": ["support"]}});
        let grants = decide(&rules, &support).unwrap();
        assert!(grants.choose("loki", Some(crate::api::Class::Read), None).is_ok());
        assert_eq!(grants.choose("tempo", None, None), Err(Forbidden::NoRule));
        assert_eq!(sees(json!({"azp": "grafana", "groups": ["/tenants"]})), Err(Forbidden::NoRule));
    }

    #[test]
    fn tenant_claim() {
        let rules = load("examples/tenant-claim");
        assert_eq!(whole(&rules, json!({"tenant": "acme-books"})), Ok("tenant=acme-books".into()));
        assert_eq!(whole(&rules, json!({"tenant": ["a", "b"]})), Ok("tenant=a tenant=b".into()));
        assert_eq!(whole(&rules, json!({"sub": "a"})), Err(Forbidden::NoRule));
        assert_eq!(whole(&rules, json!({"tenant": null})), Err(Forbidden::NoRule));
    }

    #[test]
    fn regions() {
        let rules = load("examples/regions");
        let both = json!({"tenant": "a", "region": ["eu-west", "us-east"]});
        assert_eq!(whole(&rules, both), Ok("region=eu-west region=us-east tenant=a".into()));
        assert_eq!(whole(&rules, json!({"tenant": "a"})), Err(Forbidden::NoRule), "no region, no access");
        let auditor = json!({"tenant": "a", "region": "eu-west", "realm_access": {"roles": ["eu-auditor"]}});
        assert_eq!(
            whole(&rules, auditor),
            Ok("region=eu-west tenant=a tenant=acme-books tenant=globe-books".into())
        );
        let abroad =
            || json!({"tenant": "a", "region": "us-east", "realm_access": {"roles": ["eu-auditor"]}});
        assert_eq!(whole(&rules, abroad()), Err(Forbidden::NarrowerScope));
        assert_eq!(narrowed(&rules, abroad(), "tenant=a"), Ok("region=us-east tenant=a".into()));
    }
}

const TENANTS: [&str; 3] = ["a", "b", "c"];
const MAX_CELLS: usize = 5;
const REGIONS: [&str; 2] = ["eu", "us"];

/// A rule's scope for the property tests: tenants and regions as lists of indices; no regions means
/// that the rule does not limit them.
type Cell = (Vec<usize>, Vec<usize>);

fn cells() -> impl Strategy<Value = Vec<Cell>> {
    let tenants = proptest::collection::vec(0..TENANTS.len(), 1..=3);
    let regions = proptest::collection::vec(0..REGIONS.len(), 0..=2);
    proptest::collection::vec((tenants, regions), 0..=MAX_CELLS)
}

/// Rules that each take their scope from a claim of their own, with a region and without; compiled once.
static RULES: LazyLock<Policies> = LazyLock::new(|| {
    let rule = |i| {
        let wide = (format!("has(claims.w{i})"), format!("tenant: claims.w{i}"));
        let cell = (format!("has(claims.c{i})"), format!("tenant: claims.c{i}.t, region: claims.c{i}.r"));
        [wide, cell]
    };
    let rules: Vec<_> = (0..MAX_CELLS).flat_map(rule).collect();
    policies(&rules.iter().map(|(when, scope)| (when.as_str(), scope.as_str())).collect::<Vec<_>>())
});

/// Claims for which [`RULES`] grant the cells, in their order.
fn claims_of(cells: &[Cell]) -> Value {
    let names =
        |names: &[&str], picked: &[usize]| picked.iter().map(|i| names[*i].to_owned()).collect::<Vec<_>>();
    let claim = |(i, (tenants, regions)): (usize, &Cell)| match regions.as_slice() {
        [] => (format!("w{i}"), json!(names(&TENANTS, tenants))),
        some => (format!("c{i}"), json!({"t": names(&TENANTS, tenants), "r": names(&REGIONS, some)})),
    };
    Value::Object(cells.iter().enumerate().map(claim).collect())
}

/// Whether the rules, taken one by one, let a series of this tenant and region through: the meaning of
/// the union, said without the code under test.
fn lets_through(cells: &[Cell], tenant: usize, region: usize) -> bool {
    cells.iter().any(|(tenants, regions)| {
        tenants.contains(&tenant) && (regions.is_empty() || regions.contains(&region))
    })
}

fn points() -> impl Iterator<Item = (usize, usize)> {
    (0..TENANTS.len()).flat_map(|t| (0..REGIONS.len()).map(move |r| (t, r)))
}

fn shows(grant: &Grant, tenant: usize, region: usize) -> bool {
    let has = |dimension: &str, value| {
        grant.scope().dimensions().get(dimension).is_none_or(|values| values.contains(value))
    };
    has("tenant", TENANTS[tenant]) && has("region", REGIONS[region])
}

fn narrowings() -> impl Strategy<Value = Option<String>> {
    let tenants = proptest::collection::btree_set(0..TENANTS.len(), 0..=2);
    let regions = proptest::collection::btree_set(0..REGIONS.len(), 0..=2);
    (tenants, regions).prop_map(|(tenants, regions)| {
        let tenants = tenants.into_iter().map(|t| format!("tenant={}", TENANTS[t]));
        let pairs: Vec<_> =
            tenants.chain(regions.into_iter().map(|r| format!("region={}", REGIONS[r]))).collect();
        (!pairs.is_empty()).then(|| pairs.join(","))
    })
}

fn ask(cells: &[Cell], header: Option<&str>) -> Result<Grant, Forbidden> {
    let narrowing = header.map(|h| narrowing(h).unwrap().unwrap());
    decide(&RULES, &claims_of(cells))?.choose("any", None, narrowing.as_ref())
}

proptest! {
    #[test]
    fn a_whole_grant_shows_exactly_what_the_rules_let_through(cells in cells()) {
        if let Ok(grant) = ask(&cells, None) {
            for (tenant, region) in points() {
                prop_assert_eq!(shows(&grant, tenant, region), lets_through(&cells, tenant, region));
            }
        }
    }

    #[test]
    fn narrowing_never_widens_and_meets_the_wish_exactly(cells in cells(), header in narrowings()) {
        let Some(header) = header else { return Ok(()) };
        if let Ok(grant) = ask(&cells, Some(&header)) {
            for (tenant, region) in points() {
                let wanted = |dimension: &str, value: &str| {
                    !header.contains(dimension) || header.split(',').any(|p| p == format!("{dimension}={value}"))
                };
                let asked = wanted("tenant", TENANTS[tenant]) && wanted("region", REGIONS[region]);
                let expected = asked && lets_through(&cells, tenant, region);
                prop_assert_eq!(shows(&grant, tenant, region), expected);
            }
        }
    }

    #[test]
    fn less_grant_never_means_more_answer(
        cells in cells(),
        lost in any::<proptest::sample::Index>(),
        kind in 0..3,
        header in narrowings(),
    ) {
        if cells.is_empty() {
            return Ok(());
        }
        // A rule, one of its tenants, or one of its regions. A claim that has lost its last tenant is empty.
        let (mut fewer, lost) = (cells.clone(), lost.index(cells.len()));
        match (kind, &mut fewer[lost]) {
            (0, _) => drop(fewer.remove(lost)),
            (1, (tenants, _)) => drop(tenants.pop()),
            (_, (_, regions)) if regions.len() > 1 => drop(regions.pop()),
            _ => {}
        }
        if let Ok(grant) = ask(&fewer, header.as_deref()) {
            for (tenant, region) in points() {
                prop_assert!(!shows(&grant, tenant, region) || lets_through(&cells, tenant, region));
            }
        }
    }

    #[test]
    fn the_order_of_rules_does_not_matter(cells in cells(), header in narrowings()) {
        let mut reversed = cells.clone();
        reversed.reverse();
        let scope = |cells: &[Cell]| ask(cells, header.as_deref()).map(|grant| grant.scope().clone());
        prop_assert_eq!(scope(&cells), scope(&reversed));
    }

    #[test]
    fn reading_headers_never_panics(line in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Narrowing::from_headers([line.as_slice()], []);
        let _ = Narrowing::from_headers([], [line.as_slice()]);
    }
}
