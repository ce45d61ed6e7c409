//! What must hold of any text that is taken for a policy.

use super::Policies;
use crate::api::Class;
use crate::limits::Limits;
use crate::tenant::ScopeValue;
use serde_json::json;

/// Reads `text` and decides for a few callers: nothing is granted that could not be said, nothing unscoped
/// that the text does not say, and no narrower request gets more.
pub fn check(text: &str) {
    let files = [("p.yaml".to_owned(), text.to_owned())];
    let Ok(policies) = Policies::compile(&files, &Limits::default()) else { return };
    let may_be_unrestricted = policies.facts().any(|rule| rule.is_unrestricted());
    for claims in [
        json!({}),
        json!({"tenant": "a", "groups": ["/a", "/b"], "region": "eu"}),
        json!({"tenant": ["a", "b|c"], "groups": "/a", "realm_access": {"roles": ["r"]}}),
    ] {
        let Some(claims) = claims.as_object() else { continue };
        let judgement = policies.judge(claims);
        assert_eq!(judgement.verdicts.len(), policies.rules().len());
        let Ok(grants) = judgement.grants else { continue };
        for class in Class::ALL.map(Some).into_iter().chain([None]) {
            let Ok(grant) = grants.choose("prometheus", class, None) else { continue };
            assert!(grant.rules().len() > 0, "granted by no rule");
            assert!(!grant.scope().is_unrestricted() || may_be_unrestricted, "unscoped by no rule");
            for values in grant.scope().dimensions().values() {
                assert!(values.iter().all(|value| ScopeValue::parse(value.as_str()).is_ok()));
            }
        }
    }
}
