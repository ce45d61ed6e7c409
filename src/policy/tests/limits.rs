//! What may be asked for at most.

use super::*;
use std::sync::Arc;

/// More grant never means less answer, in limits either: the larger of each counts.
#[test]
fn limits_of_rules_that_apply_together_are_the_larger_of_each() {
    use crate::api::Class;
    let rules = written(PLACES);
    let share = |claims: Value, backend: &str| {
        let grants = decide(&rules, &claims).unwrap();
        Arc::clone(&grants.choose(backend, Some(Class::Read), None).unwrap().shares()[0])
    };
    let one = share(json!({}), "prometheus");
    assert_eq!(one.limits.rate, Some(Rate { per_second: 5, burst: 5 }));
    assert_eq!((one.limits.entries, one.limits.points), (Some(10), None));
    let both = share(json!({"logs": 1}), "prometheus");
    assert_eq!(both.limits.rate, Some(Rate { per_second: 9, burst: 5 }));
    assert_eq!((both.limits.entries, both.limits.points), (None, None));
    assert_eq!(both.key, "logs: tenant=b\nmetrics: tenant=a");
    assert_ne!(one.key, both.key);
    assert_eq!(one.key, share(json!({"other": "claim"}), "prometheus").key);
}

#[test]
fn limits_of_tenants_hold_beside_those_of_rules_for_each_tenant_of_the_scope() {
    let rules = written(
        "rules:
  - { name: r, scope: { tenant: claims.t }, limits: { entries: 50, points: 9 } }
  - { name: all, when: has(claims.root), unrestricted: true }
tenant_limits:
  '*': { requests_per_second: 5, entries: 60 }
  big: { requests_per_second: 50, burst: 80, entries: 40, answer_bytes: 1000 }
",
    );
    let grant = |claims: Value, wish: Option<&str>| {
        let wish = wish.and_then(|wish| narrowing(wish).unwrap());
        decide(&rules, &claims).unwrap().choose("loki", None, wish.as_ref()).unwrap()
    };
    let keys = |grant: &Grant| grant.shares().iter().map(|s| s.key.clone()).collect::<Vec<_>>();
    let small = grant(json!({"t": "a"}), None);
    assert_eq!(keys(&small), ["r: tenant=a", "\na"]);
    let limits = small.limits().unwrap();
    assert_eq!((limits.entries, limits.points, limits.answer_bytes), (Some(50), Some(9), None));
    assert_eq!(limits.rate, Some(Rate { per_second: 5, burst: 5 }));
    let both = grant(json!({"t": ["a", "big"]}), None);
    assert_eq!(keys(&both), ["r: tenant=a, tenant=big", "\na", "\nbig"]);
    let limits = both.limits().unwrap();
    assert_eq!((limits.entries, limits.answer_bytes), (Some(40), Some(1000)));
    let narrowed = grant(json!({"t": ["a", "big"]}), Some("tenant=big"));
    assert_eq!(keys(&narrowed), ["r: tenant=a, tenant=big", "\nbig"], "only who is asked for is counted");
    let root = json!({"t": "a", "root": true});
    assert_eq!(grant(root.clone(), None).limits(), None, "everything is no tenant's");
    assert_eq!(keys(&grant(root, Some("tenant=big"))), ["\nbig"]);
}

#[test]
fn limits_of_tenants_are_read_as_strictly_as_rules() {
    let fault = |files: &[&str]| {
        let named = files.iter().zip('a'..).map(|(text, n)| (format!("{n}.yaml"), (*text).to_owned()));
        Policies::compile(&named.collect::<Vec<_>>(), &Limits::default()).unwrap_err().to_string()
    };
    for (limits, expected) in [
        ("{ 'a|b': { points: 1 } }", "a.yaml:2:25: `tenant_limits.a|b`: no tenant can have this name"),
        ("{ a: { points: 0 } }", "a.yaml:2:31: tenant `a`: `limits.points`: must be 1 to"),
        ("{ a: { tokens: 1 } }", "a.yaml:2:23: unknown field `tokens`"),
    ] {
        let shown = fault(&[&format!("rules: []\ntenant_limits: {limits}\n")]);
        assert!(shown.starts_with(expected), "{shown}");
    }
    let one = "rules: []\ntenant_limits: { '*': { points: 1 } }\n";
    assert_eq!(fault(&[one, one]), "b.yaml:2:23: `tenant_limits.*`: is said in another file already");
}
