//! Non-interference in process: upstream's own evaluations on a database of three owners, ours scoped
//! to one, beside the originals on a database of that one's data alone (`parsers/twin.go`).

use crate::judge::{Judge, line};
use crate::ours;
use crate::report::Report;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};

/// Upstream's test files have so many evaluations at least that we scope.
const LEAST: usize = 2_300;

#[derive(Deserialize)]
struct Evaluation {
    query: String,
    place: String,
}

#[derive(Deserialize)]
struct Outcome {
    same: bool,
    control: bool,
    #[serde(default)]
    detail: String,
}

/// Runs all of upstream's evaluations.
pub fn run(judge: &Judge, report: &mut Report) -> Result<(), String> {
    let mut child = judge.start("twin")?;
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    let mut next = || lines.next().transpose().map_err(|e| e.to_string());
    let (mut equal, mut different, mut controls) = (0, 0, 0);
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(asked) = next()? {
        let evaluation: Evaluation = serde_json::from_str(&asked).map_err(|e| format!("{e}: {asked}"))?;
        let scoped = ours::scope_promql(&evaluation.query);
        let answer = line(&json!({ "scoped": scoped.as_ref().ok().map(|s| s.as_str()) }));
        stdin.write_all(answer.as_bytes()).map_err(|e| e.to_string())?;
        if let Err(error) = scoped {
            *refused.entry(format!("{}: {error}", error.kind.name())).or_default() += 1;
            continue;
        }
        let outcome = next()?.ok_or("no outcome")?;
        let outcome: Outcome = serde_json::from_str(&outcome).map_err(|e| format!("{e}: {outcome}"))?;
        controls += usize::from(outcome.control);
        if outcome.same {
            equal += 1;
        } else {
            different += 1;
            println!("twin: {}: {}\n    {}", evaluation.place, evaluation.query, outcome.detail);
        }
    }
    drop(stdin);
    let status = child.wait().map_err(|e| e.to_string())?;
    if !status.success() {
        return Err(format!("twin: {status}"));
    }
    for (why, count) in &refused {
        println!("twin: {count} evaluations refused, {why}");
    }
    report.none("twin: evaluations that differ", different);
    let found = format!("{equal} evaluations equal, {LEAST} needed");
    report.check("twin: evaluations", if equal >= LEAST { Ok(found) } else { Err(found) });
    // Else the comparison would pass whatever the scope did.
    let found = format!("{controls} answers differ without the scope");
    report.check("twin: control", if controls * 3 > equal { Ok(found) } else { Err(found) });
    Ok(())
}
