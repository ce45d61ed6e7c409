//! Effects of others' data: errors, and types under the same names (ATK-60, ATK-64).
//!
//! An attack holds when Palisade says before FULL what it says before TWIN, and that is an answer. Its control asks FULL and
//! TWIN for the text that the library makes, without what stands in front of each pipeline: TWIN must answer,
//! and FULL must fail because of others' spans, where this line of Tempo does.

use super::Clock;
use crate::compare::{Asked, Rules};
use crate::http::{Answer, Request};
use crate::interference::unfenced;
use crate::palisade::Palisade;
use crate::report::Report;
use crate::ways::Ways;
use crate::world::{Caller, World};

/// What fails on another's value, by its name, its endpoint, and the first line of Tempo whose evaluation fails on it:
/// each asks for the spans of one tenant each.
const QUESTIONS: [(&str, &str, u8, &str); 8] = [
    ("ATK-60 error-oracle, a sign", "tempo.search", 2, "{ -span.typed < 1 }"),
    ("ATK-60 error-oracle, a negation", "tempo.search", 2, "{ !span.flag }"),
    (
        "ATK-60 error-oracle, in a structure",
        "tempo.search",
        2,
        "{ !span.flag } || { !span.flag && name != `x` }",
    ),
    // The alternative keeps the storage from leaving others' spans out.
    ("ATK-60 error-oracle, in metrics", "tempo.metrics", 2, "{ !span.flag || name = `x` } | rate() by(name)"),
    ("ATK-64 hostile-types, a pattern", "tempo.search", 3, "{ span.word =~ `o.*` }"),
    ("ATK-64 hostile-types, a sum", "tempo.search", 2, "{ span.count + 1 > 3 }"),
    (
        "ATK-64 hostile-types, no pattern",
        "tempo.search",
        3,
        "{ resource.typed != nil && span.word !~ `x.*` }",
    ),
    (
        "ATK-64 hostile-types, in metrics",
        "tempo.metrics",
        2,
        "{ span.count - 1 > 0 || name = `x` } | avg_over_time(span.count) by(name)",
    ),
];

/// Tries all.
pub fn run(world: &World, rules: &Rules, clock: &Clock, report: &mut Report) {
    if !world.full.at.contains_key("tempo") {
        return;
    }
    let version = world.full.versions.get("tempo").map_or("", String::as_str);
    let line = version.split('.').next().and_then(|line| line.parse().ok()).unwrap_or(u8::MAX);
    for (name, endpoint, since, query) in QUESTIONS {
        for mount in ["tempo", "tempo-mixed"] {
            for user in ["alice", "rosa"] {
                let name = format!("{name}, {mount} / {user}");
                let Some(caller) = world.callers.get(user) else { continue };
                let asked = Asked { endpoint, case: &name, mount, params: &[] };
                let outcome =
                    tried(world, rules, clock, caller, (asked, query, line >= since), &mut report.ways);
                report.case(&name, outcome);
            }
        }
    }
}

fn tried(
    world: &World,
    rules: &Rules,
    clock: &Clock,
    caller: &Caller,
    (asked, query, fails): (Asked<'_>, &str, bool),
    ways: &mut Ways,
) -> Result<(), String> {
    let [full, twin] = [&world.full, world.twin(caller)].map(|set| set.at.get("tempo"));
    let (full, twin) = (full.ok_or("no FULL")?, twin.ok_or("no TWIN")?);
    let request = |query: &str| {
        let path = if asked.endpoint == "tempo.search" { "/api/search" } else { "/api/metrics/query_range" };
        let times = [("start", clock.start), ("end", clock.start + 300)].map(|(k, v)| (k, v.to_string()));
        let mut params = super::pairs(&[("q", query), ("step", "60"), ("limit", "100"), ("spss", "50")]);
        params.extend(times.map(|(k, v)| (k.to_owned(), v)));
        Request::get(path, &params)
    };
    let bare = unfenced(asked.endpoint, query, caller.twin).ok_or("the library takes no such query")?;
    let (broken, whole) = (request(&bare).send(full)?, request(&bare).send(twin)?);
    if (broken.status == 200) == fails || whole.status != 200 {
        let said = |answer: &Answer| answer.text().chars().take(200).collect::<String>();
        return Err(format!(
            "the control fails: FULL {} {}, TWIN {} {}",
            broken.status,
            said(&broken),
            whole.status,
            said(&whole)
        ));
    }
    let through = |palisade: &Palisade| {
        let request = request(query).bearer(Some(&caller.token));
        request.send(&palisade.base.under(&format!("/{}", asked.mount)))
    };
    let answer = through(world.palisade.as_ref().ok_or("no Palisade")?)?;
    let beside = through(world.beside(caller).ok_or("no Palisade before TWIN")?)?;
    ways.interference(rules, "tempo", asked, &answer, Some(&beside))?;
    if answer.status == 200 { Ok(()) } else { Err(format!("{} {}", answer.status, answer.text())) }
}
