//! Values of tags that other tenants have as well. Under a hint Tempo lists each value once, and where another
//! tenant's span had it before, not at all; a caller misses none of its own.

use super::identity::token;
use super::{Clock, leaked, send};
use crate::http::{Answer, Request};
use crate::report::Report;
use crate::world::World;

/// Tags whose values are the same for every tenant. The tenant of `bob` is none of the first in storage.
const SHARED: [&str; 10] = [
    "resource.region",
    ".region",
    "span.isbn",
    "span.http.status_code",
    "span.amount",
    "span.retry",
    "event.exception.message",
    "event:name",
    "statusMessage",
    "instrumentation:name",
];

/// Asks for the values of each, as `bob`: they are those of a backend that holds one tenant's data only.
pub fn run(world: &World, clock: &Clock, only: &str, report: &mut Report) {
    for mount in ["tempo", "tempo-mixed"] {
        for tag in SHARED {
            let name = format!("ATK-47 values that others have as well, of {tag}, {mount}");
            if name.contains(only) && world.full.at.contains_key("tempo") {
                report.case(&name, shared(world, clock, mount, tag));
            }
        }
    }
}

fn shared(world: &World, clock: &Clock, mount: &str, tag: &str) -> Result<(), String> {
    let request = Request::get(&format!("/api/v2/search/tag/{tag}/values"), &clock.range(&[]));
    let twin = world.twin_a.at.get("tempo").ok_or("no twin")?;
    let expected = listed(&request.clone().send(twin)?)?;
    let answer = send(world, Some(token(world, "bob")?), mount, request)?;
    if let Some(canary) = leaked(&answer, "bob") {
        return Err(format!("LEAK of {canary}: {}", answer.text()));
    }
    let found = listed(&answer)?;
    if found.is_empty() || found != expected {
        return Err(format!("{found:?}, and alone {expected:?}"));
    }
    Ok(())
}

/// The values, sorted.
fn listed(answer: &Answer) -> Result<Vec<String>, String> {
    let json: serde_json::Value = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
    let values = json["tagValues"].as_array().ok_or_else(|| answer.text())?;
    let mut values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.sort();
    Ok(values)
}
