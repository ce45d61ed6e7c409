//! Alerts, groups and receivers of Alertmanager.

use super::silences::scope;
use super::*;
use serde_json::json;

const ALL: Shown = Shown { active: true, silenced: true, inhibited: true, unprocessed: true };

fn alert(fingerprint: &str, labels: Value, status: Value) -> Value {
    json!({
        "annotations": { "summary": "many errors" }, "endsAt": "2026-01-01T00:05:00.000Z",
        "fingerprint": fingerprint, "receivers": [{ "name": "pager" }],
        "startsAt": "2026-01-01T00:00:00.000Z", "status": status,
        "updatedAt": "2026-01-01T00:01:00.000Z", "generatorURL": "http://prometheus/graph", "labels": labels,
    })
}

fn status(state: &str, silenced_by: &[&str], inhibited_by: &[&str]) -> Value {
    json!({ "inhibitedBy": inhibited_by, "mutedBy": [], "silencedBy": silenced_by, "state": state })
}

fn own(fingerprint: &str, status: Value) -> Value {
    alert(fingerprint, json!({ "alertname": "HighErrorRate", "tenant": "a" }), status)
}

fn silence(id: &str, tenant: &str) -> Value {
    json!({
        "id": id, "status": { "state": "active" }, "updatedAt": "2026-01-01T00:00:00.000Z", "comment": "",
        "createdBy": "", "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2027-01-01T00:00:00.000Z",
        "matchers": [{ "isEqual": true, "isRegex": false, "name": "tenant", "value": tenant }],
    })
}

/// Cuts `listed` for tenant a, who has these alerts, where these silences are in force.
fn cut(shown: Shown, grouped: bool, listed: &Value, alerts: &Value, silences: &Value) -> Value {
    let cut = Cut::Alerts { owned: scope(&[("tenant", &["a"])]), shown, grouped };
    let answers = [listed, alerts, silences].map(|body| json_answer(body.to_string()));
    json_of(cut.apply(&answers))
}

#[test]
fn atk_57_only_alerts_of_the_scope_are_left_whatever_the_backend_answers() {
    let mine = own("01", status("active", &[], &[]));
    let active = || status("active", &[], &[]);
    let listed = json!([
        mine,
        alert("02", json!({ "tenant": "victim" }), active()),
        alert("03", json!({ "tenant": "ab" }), active()),
        alert("04", json!({ "Tenant": "a", "exported_tenant": "a" }), active()),
        alert("05", json!({}), active()),
    ]);
    assert_eq!(cut(ALL, false, &listed, &listed, &json!([])), json!([mine]));
}

#[test]
fn each_dimension_must_be_there() {
    let owned = scope(&[("region", &["eu"]), ("tenant", &["a", "b"])]);
    let listed = json!([
        alert("01", json!({ "tenant": "a", "region": "eu" }), status("active", &[], &[])),
        alert("02", json!({ "tenant": "a", "region": "us" }), status("active", &[], &[])),
        alert("03", json!({ "tenant": "a" }), status("active", &[], &[])),
        alert("04", json!({ "tenant": "b", "region": "eu" }), status("active", &[], &[])),
    ]);
    let cut = Cut::Alerts { owned, shown: ALL, grouped: false };
    let answers = [&listed, &listed, &json!([])].map(|body| json_answer(body.to_string()));
    assert_eq!(json_of(cut.apply(&answers)), json!([listed[0], listed[3]]));
}

#[test]
fn a_state_is_made_by_the_callers_own_silences_and_alerts() {
    let mine = json!([silence("s-own", "a"), silence("s-victim", "victim")]);
    for (given, expected) in [
        (status("active", &[], &[]), status("active", &[], &[])),
        (status("suppressed", &["s-own"], &[]), status("suppressed", &["s-own"], &[])),
        (status("suppressed", &["s-victim", "s-own"], &[]), status("suppressed", &["s-own"], &[])),
        (status("suppressed", &["s-victim"], &[]), status("active", &[], &[])),
        (status("suppressed", &["s-nobody"], &[]), status("active", &[], &[])),
        (status("suppressed", &[], &["02"]), status("suppressed", &[], &["02"])),
        (status("suppressed", &[], &["99"]), status("active", &[], &[])),
        (status("unprocessed", &[], &[]), status("unprocessed", &[], &[])),
    ] {
        let alerts = json!([
            own("01", given.clone()),
            own("02", status("active", &[], &[])),
            alert("99", json!({ "tenant": "victim" }), status("active", &[], &[])),
        ]);
        // The inhibiting alert need not be among those that were asked for.
        let listed = json!([own("01", given.clone())]);
        let left = cut(ALL, false, &listed, &alerts, &mine);
        assert_eq!(left[0]["status"], expected, "{given}");
    }
}

#[test]
fn which_states_are_shown_is_decided_after_the_cut() {
    let listed = json!([
        own("active", status("active", &[], &[])),
        own("silenced", status("suppressed", &["s-own"], &[])),
        own("silenced by another", status("suppressed", &["s-victim"], &[])),
        own("inhibited", status("suppressed", &[], &["active"])),
        own("inhibited by another", status("suppressed", &[], &["99"])),
        own("unprocessed", status("unprocessed", &[], &[])),
    ]);
    let silences = json!([silence("s-own", "a"), silence("s-victim", "victim")]);
    let shown = |shown: Shown| -> Vec<String> {
        let left = cut(shown, false, &listed, &listed, &silences);
        left.as_array().unwrap().iter().map(|a| a["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(shown(ALL).len(), 6);
    assert_eq!(shown(Shown { active: false, ..ALL }), ["silenced", "inhibited", "unprocessed"]);
    assert_eq!(
        shown(Shown { silenced: false, ..ALL }),
        ["active", "silenced by another", "inhibited", "inhibited by another", "unprocessed"]
    );
    assert_eq!(
        shown(Shown { inhibited: false, ..ALL }),
        ["active", "silenced", "silenced by another", "inhibited by another", "unprocessed"]
    );
    assert_eq!(shown(Shown { unprocessed: false, ..ALL }).len(), 5);
}

#[test]
fn groups_lose_what_is_not_the_callers_and_then_themselves() {
    let group = |alerts: Value, more: Value| {
        let mut group =
            json!({ "alerts": alerts, "labels": { "alertname": "x" }, "receiver": { "name": "pager" } });
        group.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        group
    };
    let mine = own("01", status("active", &[], &[]));
    let other = alert("02", json!({ "tenant": "victim" }), status("active", &[], &[]));
    let muted = json!({ "inhibitedBy": [], "mutedBy": ["nights"], "silencedBy": [], "state": "suppressed" });
    let listed = json!([
        group(json!([mine, other]), json!({ "routeLabels": { "team": "platform" } })),
        group(json!([other]), json!({})),
        group(json!([own("03", muted)]), json!({})),
    ]);
    let left = cut(ALL, true, &listed, &json!([mine]), &json!([]));
    let still_muted = own("03", status("suppressed", &[], &[]));
    let expected =
        json!([group(json!([mine]), json!({ "routeLabels": {} })), group(json!([still_muted]), json!({})),]);
    assert_eq!(left, expected);
    // Muting is of the group, so `active=false` drops a muted alert as any that nothing else suppresses.
    let left = cut(Shown { active: false, ..ALL }, true, &listed, &json!([mine]), &json!([]));
    assert_eq!(left, json!([]));
}

#[test]
fn members_that_are_not_known_are_not_passed() {
    let mut mine = own("01", status("active", &[], &[]));
    let expected = json!([mine]);
    mine["secret"] = json!("canary");
    mine["status"]["secret"] = json!("canary");
    mine["receivers"][0]["secret"] = json!("canary");
    assert_eq!(cut(ALL, false, &json!([mine]), &json!([]), &json!([])), expected);
}

#[test]
fn receivers_are_those_of_the_callers_alerts_each_once() {
    let mut second = own("02", status("active", &[], &[]));
    second["receivers"] = json!([{ "name": "mail" }, { "name": "pager" }]);
    let mut other = alert("03", json!({ "tenant": "victim" }), status("active", &[], &[]));
    other["receivers"] = json!([{ "name": "victims" }]);
    let listed = json!([own("01", status("active", &[], &[])), second, other]);
    let cut = Cut::Receivers { owned: scope(&[("tenant", &["a"])]) };
    let left = json_of(cut.apply(&[json_answer(listed.to_string())]));
    assert_eq!(left, json!([{ "name": "mail" }, { "name": "pager" }]));
}

#[test]
fn what_does_not_decode_is_refused() {
    let owned = scope(&[("tenant", &["a"])]);
    let cut = Cut::Alerts { owned: owned.clone(), shown: ALL, grouped: false };
    let fine = || json_answer("[]");
    for (at, bad) in [(0, "{}"), (1, "null"), (2, "[{}]"), (0, "[{\"labels\":{\"tenant\":1}}]"), (1, "x")] {
        let mut answers = [fine(), fine(), fine()];
        answers[at] = json_answer(bad);
        assert_eq!(cut.apply(&answers), UNDECODABLE, "{at} {bad}");
        answers[at] = answer("text/plain", "[]");
        assert_eq!(cut.apply(&answers), UNDECODABLE, "{at}");
        answers[at] = None;
        assert_eq!(cut.apply(&answers), UNEXPECTED, "{at}");
    }
    assert_eq!(cut.apply(&[fine(), fine()]), UNEXPECTED);
    let cut = Cut::Receivers { owned };
    assert_eq!(cut.apply(&[json_answer("{}")]), UNDECODABLE);
    assert_eq!(cut.apply(&[None]), UNEXPECTED);
}
