//! Silences, and whose they are.

use super::*;
use serde_json::json;

/// A scope in labels of the dimensions' own names.
pub fn scope(dimensions: &[(&str, &[&str])]) -> ScopeMatchers {
    let said = dimensions.iter().map(|(name, texts)| ((*name).to_owned(), values(texts))).collect();
    let label_of = |d: &str| dimensions.iter().map(|(name, _)| *name).find(|name| *name == d);
    Scope::new(said).unwrap().in_labels(label_of).unwrap()
}

fn matcher(name: &str, op: &str, value: &str) -> Value {
    let (is_equal, is_regex) = (!op.starts_with('!'), op.ends_with('~'));
    json!({ "isEqual": is_equal, "isRegex": is_regex, "name": name, "value": value })
}

fn silence(matchers: Value) -> Value {
    json!({
        "id": "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6e", "status": { "state": "active" },
        "updatedAt": "2026-01-01T00:00:00.000Z", "comment": "deploy", "createdBy": "alice",
        "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2027-01-01T00:00:00.000Z", "matchers": matchers,
    })
}

fn is_owned(scope: &ScopeMatchers, matchers: Value) -> bool {
    let cut = Cut::Silence { owned: scope.clone() };
    match cut.apply(&[json_answer(silence(matchers).to_string())]) {
        Ok(Filtered::Found { .. }) => true,
        Ok(Filtered::NotFound) => false,
        other => panic!("{other:?}"),
    }
}

/// ATK-50: a silence is owned by exactly one plain equality; nothing else counts.
#[test]
fn atk_50_only_one_plain_equality_owns_a_silence() {
    let one = scope(&[("tenant", &["mine"])]);
    let m = matcher;
    assert!(is_owned(&one, json!([m("tenant", "=", "mine")])));
    assert!(is_owned(&one, json!([m("alertname", "=", "x"), m("tenant", "=", "mine")])));
    assert!(is_owned(&one, json!([m("tenant", "=", "mine"), m("tenant", "!=", "victim")])));
    assert!(is_owned(&one, json!([m("tenant", "=", "mine"), m("tenant", "=~", ".*")])));
    for other in [
        json!([]),
        json!([m("alertname", "=", "x")]),
        json!([m("tenant", "=", "victim")]),
        json!([m("tenant", "=", "")]),
        json!([m("tenant", "=", "mine-eu")]),
        json!([m("tenant", "!=", "mine")]),
        json!([m("tenant", "!=", "victim")]),
        json!([m("tenant", "=~", "mine")]),
        json!([m("tenant", "!~", "victim")]),
        json!([m("Tenant", "=", "mine")]),
        json!([m("tenant ", "=", "mine")]),
        json!([m("tenant", "=", "mine"), m("tenant", "=", "victim")]),
        json!([m("tenant", "=", "mine"), m("tenant", "=", "mine")]),
    ] {
        assert!(!is_owned(&one, other.clone()), "{other}");
    }
    let two = scope(&[("tenant", &["a", "b"])]);
    assert!(is_owned(&two, json!([m("tenant", "=", "b")])));
    assert!(!is_owned(&two, json!([m("tenant", "=~", "a|b")])));
    let both = scope(&[("region", &["eu"]), ("tenant", &["a"])]);
    assert!(is_owned(&both, json!([m("tenant", "=", "a"), m("region", "=", "eu")])));
    assert!(!is_owned(&both, json!([m("tenant", "=", "a")])));
    assert!(!is_owned(&both, json!([m("tenant", "=", "a"), m("region", "=", "us")])));
}

#[test]
fn a_list_keeps_its_order_and_the_callers_own() {
    let own = |comment: &str| {
        let mut silence = silence(json!([matcher("tenant", "=", "a")]));
        silence["comment"] = json!(comment);
        silence["annotations"] = json!({ "ticket": "7" });
        silence
    };
    let mut listed = json!([own("second"), silence(json!([matcher("tenant", "!=", "a")])), own("first")]);
    listed[0]["secret"] = json!("canary");
    let cut = Cut::Silences { owned: scope(&[("tenant", &["a"])]) };
    let left = json_of(cut.apply(&[json_answer(listed.to_string())]));
    assert_eq!(left, json!([own("second"), own("first")]));
    assert_eq!(cut.apply(&[json_answer("{}")]), UNDECODABLE);
    assert_eq!(cut.apply(&[json_answer(json!([silence(json!([{}]))]).to_string())]), UNDECODABLE);
    assert_eq!(cut.apply(&[None]), UNEXPECTED);
}

/// What is posted for `matchers`, by a caller of `scope`.
fn posted(scope: &ScopeMatchers, matchers: Value) -> Result<Value, String> {
    let body = silence(matchers).to_string();
    let silence = Silence::read(body.as_bytes()).map_err(|e| e.to_string())?;
    let owned = silence.own(scope).map_err(|e| e.to_string())?;
    let written = owned.json().unwrap();
    let json: Value = serde_json::from_slice(&written).unwrap();
    assert!(Silence::read(&written).unwrap().is_owned(scope), "{json}");
    Ok(json["matchers"].clone())
}

#[test]
fn a_posted_silence_gets_the_scope_where_there_is_no_choice() {
    let one = scope(&[("tenant", &["mine"])]);
    let m = matcher;
    let x = m("alertname", "=~", "x.*");
    assert_eq!(posted(&one, json!([x])), Ok(json!([x, m("tenant", "=", "mine")])));
    assert_eq!(posted(&one, json!([])), Ok(json!([m("tenant", "=", "mine")])));
    let own = json!([m("tenant", "=", "mine"), x]);
    assert_eq!(posted(&one, own.clone()), Ok(own));
    let pattern = m("tenant", "=~", ".+");
    assert_eq!(posted(&one, json!([pattern])), Ok(json!([pattern, m("tenant", "=", "mine")])));
    let both = scope(&[("region", &["eu"]), ("tenant", &["a", "b"])]);
    assert_eq!(
        posted(&both, json!([m("tenant", "=", "b")])),
        Ok(json!([m("tenant", "=", "b"), m("region", "=", "eu")]))
    );
}

#[test]
fn atk_50_a_posted_silence_that_would_reach_others_is_refused() {
    let one = scope(&[("tenant", &["mine"])]);
    let two = scope(&[("tenant", &["a", "b"])]);
    let m = matcher;
    for (scope, matchers, says) in [
        (&one, json!([m("tenant", "!=", "mine")]), "must not exclude values of `tenant`"),
        (&one, json!([m("tenant", "!=", "x"), m("tenant", "=", "mine")]), "must not exclude"),
        (&one, json!([m("tenant", "!~", "mine")]), "must not exclude"),
        (&one, json!([m("tenant", "=", "victim")]), "name a `tenant` that is not granted"),
        (&one, json!([m("tenant", "=", "")]), "name a `tenant` that is not granted"),
        (&one, json!([m("tenant", "=", "mine"), m("tenant", "=", "victim")]), "name `tenant` more than once"),
        (&one, json!([m("tenant", "=", "mine"), m("tenant", "=", "mine")]), "name `tenant` more than once"),
        (&two, json!([m("alertname", "=", "x")]), "must have one of `tenant=\"a\"`, `tenant=\"b\"`"),
        (&two, json!([m("tenant", "=~", "a|b")]), "must have one of"),
    ] {
        let refused = posted(scope, matchers.clone()).unwrap_err();
        assert!(refused.contains(says), "{matchers}: {refused}");
    }
}

#[test]
fn atk_56_what_is_no_silence_is_refused() {
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "[{\"matchers\":[]}]",
        r#"{"matchers":[],"matchers":[],"startsAt":"","endsAt":"","comment":"","createdBy":""}"#,
        r#"{"matchers":[{"name":"a","value":"b"}],"startsAt":"","endsAt":"","comment":"","createdBy":""}"#,
        r#"{"matchers":"","startsAt":"","endsAt":"","comment":"","createdBy":""}"#,
        r#"{"Matchers":[],"startsAt":"","endsAt":"","comment":"","createdBy":""}"#,
    ] {
        assert!(Silence::read(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn members_of_a_posted_silence_that_are_not_known_are_left_out() {
    let mut body = silence(json!([matcher("tenant", "=", "a")]));
    let id = body["id"].clone();
    body["ID"] = json!("11111111-1111-1111-1111-111111111111");
    body["matcherSets"] = json!([{ "matchers": [] }]);
    body["matchers"][0]["type"] = json!("NOT_EQUAL");
    let text = body.to_string();
    let read = Silence::read(text.as_bytes()).unwrap();
    let left = serde_json::to_value(&read).unwrap();
    let mut expected = silence(json!([matcher("tenant", "=", "a")]));
    expected.as_object_mut().unwrap().retain(|key, _| key != "status" && key != "updatedAt");
    assert_eq!((left, read.id()), (expected, id.as_str()));
    body["id"] = json!("");
    assert_eq!(Silence::read(body.to_string().as_bytes()).unwrap().id(), None);
}

#[test]
fn nothing_is_changed_before_the_silence_is_known_to_be_the_callers() {
    let owned = scope(&[("tenant", &["mine"])]);
    let mine = json_answer(silence(json!([matcher("tenant", "=", "mine")])).to_string());
    let other = json_answer(silence(json!([matcher("tenant", "!=", "mine")])).to_string());
    let expired = Cut::SilenceExpired { owned: owned.clone() };
    let changed = Cut::SilenceWritten { owned: owned.clone(), changes: true };
    for cut in [&expired, &changed] {
        assert_eq!(cut.admits(std::slice::from_ref(&mine)), Ok(true), "{cut:?}");
        assert_eq!(cut.admits(std::slice::from_ref(&other)), Ok(false), "{cut:?}");
        assert_eq!(cut.admits(&[None]), Ok(false), "{cut:?}");
        assert!(cut.admits(&[json_answer("{}")]).is_err(), "{cut:?}");
        assert!(cut.admits(&[answer("text/plain", "")]).is_err(), "{cut:?}");
        assert_eq!(cut.apply(&[mine.clone(), None]), Ok(Filtered::NotFound), "{cut:?}");
        assert_eq!(cut.apply(std::slice::from_ref(&mine)), UNEXPECTED, "{cut:?}");
    }
    assert_eq!(expired.apply(&[mine.clone(), answer("", "")]), Ok(Filtered::Done));
    let id = json_answer(r#"{"silenceID":"x","more":1}"#);
    assert_eq!(json_of(changed.apply(&[mine, id.clone()])), json!({ "silenceID": "x" }));
    let made = Cut::SilenceWritten { owned, changes: false };
    assert_eq!(json_of(made.apply(&[id])), json!({ "silenceID": "x" }));
    assert_eq!(made.apply(&[json_answer("{}")]), UNDECODABLE);
    assert_eq!(made.apply(&[None]), UNEXPECTED);
}
