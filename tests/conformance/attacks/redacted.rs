//! ATK-4D and -46 where an operator has others' spans shown as places: what is left of them is where they are.
//!
//! Traces are asked as protobuf and read without the code under test; JSON is looked at for canaries.

use std::collections::BTreeSet;

use serde_json::Value;

use super::identity::token;
use super::{leaked, send};
use crate::http::{Answer, Request};
use crate::protobuf;
use crate::report::Report;
use crate::seed::tempo::{FORGED_ID, MIXED_ID, infra_id, own_id};
use crate::world::World;

/// The mount with `redacted_traces`; a rule lets alice see places there.
const MOUNT: &str = "tempo-redacted";
/// How the resource of what is left is told.
const MARKED: &str = "palisade.redacted";
const PROTOBUF: &str = "application/protobuf";
const VERSIONS: [&str; 2] = ["/api/traces", "/api/v2/traces"];

/// Runs all whose name holds `only`.
pub fn run(world: &World, only: &str, report: &mut Report) {
    if !world.full.at.contains_key("tempo") {
        return;
    }
    for version in VERSIONS {
        let mut case = |name: String, tried: &dyn Fn() -> Result<(), String>| {
            if name.contains(only) {
                report.case(&name, tried());
            }
        };
        for (what, id) in [
            ("a shared trace", MIXED_ID.to_owned()),
            ("below a root of nobody's", infra_id("acme-books")),
            ("forged", FORGED_ID.to_owned()),
        ] {
            case(format!("ATK-4D redaction: places of others, {what} {version}"), &|| {
                places(world, version, &id)
            });
        }
        case(format!("ATK-4D redaction: none without a rule for it {version}"), &|| unseen(world, version));
        case(format!("ATK-46 redaction: no trace without an own span {version}"), &|| absent(world, version));
    }
}

fn ask(world: &World, user: &str, mount: &str, target: &str, accept: &str) -> Result<Answer, String> {
    let answer =
        send(world, Some(token(world, user)?), mount, Request::get(target, &[]).header("Accept", accept))?;
    match leaked(&answer, user) {
        Some(canary) => Err(format!("LEAK of {canary} to {user}: {}", answer.text())),
        None => Ok(answer),
    }
}

/// The fields of `Span` that say where it is: trace, id, parent, start, end.
const PLACE: [&str; 5] = ["1", "2", "4", "7", "8"];

/// What a trace holds: places of spans that are whole, and of those that are left without content.
fn read(answer: &Answer) -> Result<[BTreeSet<String>; 2], String> {
    let tree = protobuf::trace(&answer.body).ok_or_else(|| format!("{} no trace", answer.status))?;
    // A v2 answer has the trace in its first field.
    let trace = if tree.pointer("/1/0/2").is_some() { &tree } else { &tree["1"][0] };
    let mut all = [BTreeSet::new(), BTreeSet::new()];
    for batch in trace["1"].as_array().into_iter().flatten() {
        let resource = batch["1"][0]["1"].as_array().into_iter().flatten();
        let is_left = resource.clone().any(|attribute| attribute["1"][0] == MARKED);
        if is_left && resource.count() != 2 {
            return Err(format!("a resource tells more: {batch}"));
        }
        for span in batch["2"].as_array().into_iter().flatten().flat_map(|s| s["2"].as_array()).flatten() {
            let fields = span.as_object().ok_or("no span")?;
            if is_left && !fields.keys().all(|field| PLACE.contains(&field.as_str())) {
                return Err(format!("a span tells more: {span}"));
            }
            let place = PLACE.map(|field| span[field][0].clone());
            all[usize::from(is_left)].insert(Value::from(place.to_vec()).to_string());
        }
    }
    Ok(all)
}

/// Whole are the spans that are left of it elsewhere, and all others of FULL are where they are.
fn places(world: &World, version: &str, id: &str) -> Result<(), String> {
    let target = format!("{version}/{id}");
    let full = Request::get(&target, &[]).header("Accept", PROTOBUF);
    let [full, _] = read(&full.send(world.full.at.get("tempo").ok_or("no Tempo")?)?)?;
    let [own, _] = read(&ask(world, "alice", "tempo-mixed", &target, PROTOBUF)?)?;
    let [whole, left] = read(&ask(world, "alice", MOUNT, &target, PROTOBUF)?)?;
    ask(world, "alice", MOUNT, &target, "application/json")?;
    let others: BTreeSet<String> = full.difference(&own).cloned().collect();
    if whole != own || whole.is_empty() {
        return Err(format!("whole are {whole:?} instead of {own:?}"));
    }
    if left != others || left.is_empty() {
        return Err(format!("left are {left:?} instead of {others:?}"));
    }
    Ok(())
}

/// Neither another caller, nor alice where the operator does not have it so, sees a place.
fn unseen(world: &World, version: &str) -> Result<(), String> {
    let target = format!("{version}/{MIXED_ID}");
    for (user, mount) in [("bob", MOUNT), ("carol", MOUNT), ("rosa", MOUNT), ("alice", "tempo-mixed")] {
        let answer = ask(world, user, mount, &target, PROTOBUF)?;
        let [whole, left] = read(&answer).map_err(|why| format!("{user} {mount}: {why}"))?;
        if whole.is_empty() || !left.is_empty() || answer.text().contains(MARKED) {
            return Err(format!("{user} {mount}: {whole:?} and {left:?}"));
        }
    }
    Ok(())
}

/// A trace of others is told like one that nobody has.
fn absent(world: &World, version: &str) -> Result<(), String> {
    let mut answers = BTreeSet::new();
    for id in
        [own_id("globex-lit", 1), own_id("acme-books-eu", 3), infra_id("globex-lit"), "abcdef".to_owned()]
    {
        let answer = ask(world, "alice", MOUNT, &format!("{version}/{id}"), "application/json")?;
        answers.insert((answer.status, answer.text()));
    }
    match answers.first() {
        Some((404, _)) if answers.len() == 1 && version == VERSIONS[0] => Ok(()),
        Some((200, text)) if answers.len() == 1 && version == VERSIONS[1] && text == r#"{"trace":{}}"# => {
            Ok(())
        }
        _ => Err(format!("told apart: {answers:?}")),
    }
}
