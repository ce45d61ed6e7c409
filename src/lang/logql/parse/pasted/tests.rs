use crate::lang::logql::{Entry, parse, scope};
use crate::lang::{Features, QueryErrorKind};
use crate::limits::QueryLimits;
use crate::tenant::{Scope, ScopeMatchers, ScopeValue, Values};
use proptest::prelude::*;

fn outcome(text: &str) -> Option<QueryErrorKind> {
    parse(text, Entry::Pasted, Features::NONE, &QueryLimits::default()).err().map(|e| e.kind)
}

fn said(label: &str, values: &[&str]) -> ScopeMatchers {
    let values = values.iter().map(|v| ScopeValue::parse(v).unwrap()).collect();
    let scope = Scope::new([("tenant".to_owned(), Values::new(values).unwrap())].into()).unwrap();
    scope.in_labels(|_| Some(label)).unwrap()
}

#[test]
fn what_is_read_back_as_it_is_passes() {
    for text in [
        r#"{service_name="web"}"#,
        r#"{service_name=~"web|api.+"} |= "\"\\""#,
        r#"{service_name!="größe/日本 'x' #1", app="\"\\"}"#,
        r#"{service_name!~`[a-z]+`, app=~"a\\.b"}"#,
        r#"{app="web"}"#,
    ] {
        assert_eq!(outcome(text), None, "{text}");
    }
    assert_eq!(outcome("{service_name=\"\\xff\"}"), Some(QueryErrorKind::Unsafe));
    assert_eq!(outcome("rate({app=\"web\"}[5m])"), Some(QueryErrorKind::Syntax), "no log query");
}

#[test]
fn a_scope_that_cannot_be_pasted_is_refused_and_no_fault_of_ours() {
    let limits = QueryLimits::default();
    let scoped = |scope_of: &ScopeMatchers| {
        scope("{app=\"x\"}", Entry::Pasted, Features::NONE, &limits, scope_of).map_err(|e| e.kind)
    };
    assert!(scoped(&said("tenant", &["a.b", "c"])).is_ok());
    assert!(scoped(&said("service_name", &["a.b"])).is_ok());
    assert!(scoped(&said("service_name", &["a", "c"])).is_ok());
    assert_eq!(scoped(&said("service_name", &["a.b", "c"])), Err(QueryErrorKind::Unsupported));
}

/// What begins an escape in a literal, ends it, or cannot stand in it.
fn refused_byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(b'"'), Just(b'\\'), 0_u8..0x20, Just(0x7f_u8)]
}

proptest! {
    /// ATK-27: whatever stands around it, and in whichever matcher, such a byte is refused.
    #[test]
    fn atk_27_a_byte_that_could_leave_its_literal_is_refused(
        before in "[a-z |{}=,#]{0,8}",
        byte in refused_byte(),
        after in "[a-z |{}=,#]{0,8}",
        operator in prop_oneof![Just("="), Just("!="), Just("=~"), Just("!~")],
        place in 0_usize..3,
    ) {
        let matcher = format!("service_name{operator}\"{before}\\x{byte:02x}{after}\"");
        let mut matchers = vec!["app=\"web\"".to_owned(), "service_name=\"web\"".to_owned()];
        matchers.insert(place, matcher);
        let text = format!("{{{}}}", matchers.join(","));
        // A pattern can be malformed as well.
        let kind = outcome(&text);
        prop_assert!(matches!(kind, Some(QueryErrorKind::Unsafe | QueryErrorKind::Syntax)), "{text}: {kind:?}");
        if operator.ends_with('=') {
            prop_assert_eq!(kind, Some(QueryErrorKind::Unsafe));
        }
    }
}
