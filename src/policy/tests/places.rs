use super::*;

/// The places of others' spans are shown to who has all of the scope there too, by name.
#[test]
fn places_of_others_are_granted_by_name_only() {
    use crate::api::Class;
    let rules = written(
        "rules:
  - name: usual
    scope: { tenant: claims.tenant }
  - name: places
    when: has(claims.places)
    scope: { tenant: claims.places }
    backends: [tempo]
    endpoints: [traces.redacted]
",
    );
    let sees = |claims: Value, backend: &str, class, wish: &str| {
        let wish = if wish.is_empty() { None } else { narrowing(wish).unwrap() };
        let grant = decide(&rules, &claims).unwrap().choose(backend, Some(class), wish.as_ref()).unwrap();
        (said(grant.scope()), grant.sees_places())
    };
    let (one, two) = (json!({"tenant": "a", "places": "a"}), json!({"tenant": ["a", "b"], "places": "a"}));
    assert_eq!(sees(json!({"tenant": "a"}), "tempo", Class::Traces, ""), ("tenant=a".into(), false));
    assert_eq!(sees(one.clone(), "tempo", Class::Traces, ""), ("tenant=a".into(), true));
    assert_eq!(sees(one.clone(), "tempo", Class::Read, ""), ("tenant=a".into(), false));
    assert_eq!(sees(one, "tempo-eu", Class::Traces, ""), ("tenant=a".into(), false));
    assert_eq!(sees(two.clone(), "tempo", Class::Traces, ""), ("tenant=a tenant=b".into(), false));
    assert_eq!(sees(two.clone(), "tempo", Class::Traces, "tenant=a"), ("tenant=a".into(), true));
    assert_eq!(sees(two, "tempo", Class::Traces, "tenant=b"), ("tenant=b".into(), false));
}
