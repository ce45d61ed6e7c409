//! Known gaps, shown. Where a resource says its tenant as a list or twice, Tempo
//! matches the scope's condition with any of the values and does not tell so in
//! its answer. Ingest closes this (one plain string, set by the Collector); traces
//! by id, searches, and values of tags within a range are cut. A gap that is closed fails here, so that its note is removed.

use super::identity::token;
use super::{Clock, holds, leaked, send};
use crate::http::Request;
use crate::report::Report;
use crate::seed::tempo::{FORGED, FORGED_ID};
use crate::world::World;

/// What shows to each tenant that is named.
const SHOWN: [&str; 3] = ["canary-array", "canary-repeated", "canary-turned"];

/// Shows each gap, and that it is no wider.
pub fn run(world: &World, clock: &Clock, only: &str, report: &mut Report) {
    let window = |params: &[(&str, &str)]| {
        let mut all = super::pairs(params);
        all.extend(super::pairs(&[
            ("start", &(clock.start + FORGED).to_string()),
            ("end", &(clock.start + FORGED + 300).to_string()),
            ("step", "60"),
        ]));
        all
    };
    let notes = "{ } | count_over_time() by (span.forged_note)";
    let select = [("q", "{ } | select(span.forged_note)"), ("spss", "50")];
    let by_id = format!("/api/v2/traces/{FORGED_ID}");
    for (name, request, open) in [
        ("a search", Request::get("/api/search", &window(&select)), false),
        ("metrics", Request::get("/api/metrics/query_range", &window(&[("q", notes)])), true),
        ("tag values", Request::get("/api/v2/search/tag/span.forged_note/values", &window(&[])), false),
        ("a trace by id", Request::get(&by_id, &[]), false),
    ] {
        let name = format!("GAP a tenant said twice or as a list, in {name}");
        if name.contains(only) && world.full.at.contains_key("tempo") {
            report.case(&name, shown(world, request, open));
        }
    }
    let name = "GAP a name that another tenant has as well, among names of tags";
    if name.contains(only) && world.full.at.contains_key("tempo") {
        report.case(name, lost(world));
    }
}

/// What Tempo lists of names under a hint is each name once, and where another tenant's span had it before, not at
/// all (`distinctAttrCollector` in `tempodb/encoding/vparquet4/block_autocomplete.go`).
fn lost(world: &World) -> Result<(), String> {
    let answer =
        send(world, Some(token(world, "bob")?), "tempo-mixed", Request::get("/api/v2/search/tags", &[]))?;
    let text = answer.text();
    if let Some(canary) = leaked(&answer, "bob").filter(|c| !SHOWN.contains(&c.as_str())) {
        return Err(format!("LEAK of {canary}: {text}"));
    }
    let names = ["amount", "exception.message", "isbn", "retry", "region"];
    let missing = names.iter().any(|name| !holds(&text, &format!("\"{name}\"")));
    if missing { Ok(()) } else { Err(format!("it is closed: remove its note: {text}")) }
}

fn shown(world: &World, request: Request, open: bool) -> Result<(), String> {
    let answer = send(world, Some(token(world, "alice")?), "tempo-mixed", request)?;
    let text = answer.text();
    if answer.status != 200 {
        return Err(format!("{} {text}", answer.status));
    }
    if let Some(canary) = leaked(&answer, "alice").filter(|c| !SHOWN.contains(&c.as_str())) {
        return Err(format!("LEAK of {canary}: {text}"));
    }
    match (open, SHOWN.iter().any(|canary| holds(&text, canary))) {
        (true, false) => Err("it is closed: remove its note".into()),
        (false, true) => Err(format!("it is open: {text}")),
        _ => Ok(()),
    }
}
