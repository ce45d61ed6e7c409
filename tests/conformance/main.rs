//! Conformance: a real Keycloak's tokens read real Prometheus, Loki, Tempo
//! and Alertmanager through Palisade, and each answer equals that of backends which hold the
//! caller's data only.
//!
//! `just conformance` runs it; it installs what it needs with `install.sh` and
//! takes some minutes. A plain `cargo test` says that it was not run.
//! `PALISADE_CONFORMANCE=controls` leaves Keycloak and Palisade out and tests the
//! comparison itself; `PALISADE_CONFORMANCE_ONLY=text` runs the cases whose name
//! holds the text. With `PALISADE_CONFORMANCE_SERVERS=file`, the mode `servers`
//! starts all servers and waits until the file is gone; other runs use those.
//! `PALISADE_CONFORMANCE_WITH="alertmanager keycloak"` starts these only (`redis` is Tempo's caches).
//! The mode `interference` asks random questions of a hostile seed and nothing else, `PALISADE_INTERFERENCE=300` of each
//! language. `PALISADE_TEMPO=program` and so on run another build of a backend.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod attacks;
mod backends;
mod builds;
mod compare;
mod counting;
mod drilldown;
mod exporter;
#[path = "../oracle/grammar.rs"]
mod grammar;
mod grpc;
mod http;
mod interference;
mod kept;
mod keycloak;
mod palisade;
mod platform;
mod processes;
mod protobuf;
mod queries;
mod remote_read;
mod report;
mod seed;
mod sessions;
mod settings;
mod tail;
mod ways;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use backends::Backends;
use keycloak::Keycloak;
use palisade::Palisade;
use report::Report;
use seed::Holds;
use world::{Caller, Twin, World};

fn main() -> ExitCode {
    let Ok(mode) = std::env::var("PALISADE_CONFORMANCE") else {
        println!("conformance: not run (`just conformance` runs it)");
        return ExitCode::SUCCESS;
    };
    let mut report = Report::default();
    if let Err(why) = run(&mode, &mut report) {
        report.case("conformance", Err(why));
    }
    if report.end(std::env::var("CI").is_ok_and(|ci| ci == "true")) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(mode: &str, report: &mut Report) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let controls = mode == "controls";
    let kept = std::env::var("PALISADE_CONFORMANCE_SERVERS").map(PathBuf::from);
    let mut world = match &kept {
        Ok(file) if file.exists() => kept::join(file)?,
        _ => servers(dir.path(), controls, report)?,
    };
    if let (Ok(file), "servers") = (&kept, mode) {
        return kept::keep(&world, file);
    }
    ask(&mut world, dir.path(), controls, report)?;
    let rules = compare::Rules::load(&world.full.versions)?;
    let only = std::env::var("PALISADE_CONFORMANCE_ONLY").unwrap_or_default();
    if mode == "interference" {
        let each = std::env::var("PALISADE_INTERFERENCE").ok().and_then(|each| each.parse().ok());
        let each = each.ok_or("PALISADE_INTERFERENCE is no number of questions")?;
        interference::run(&world, &rules, each, report);
        attacks::effects(&world, &rules, report);
        return Ok(());
    }
    let cases = queries::load(&only)?;
    let ending = tail::begin(&world, &only);
    queries::run(&world, &rules, &cases, only.is_empty(), report);
    drilldown::run(&world, &rules, &only, report);
    remote_read::run(&world, &only, report);
    attacks::run(&world, &rules, &only, report);
    grpc::attacks(&world, &only, report);
    // After those that look at what the seed holds: it pushes more.
    tail::run(&world, ending, &only, report);
    platform::run(&world, dir.path(), &only, report);
    // The last, because it changes the realm's keys and ends Keycloak.
    sessions::run(&mut world, dir.path(), &only, report);
    Ok(())
}

/// Seconds of a day, after which Loki begins another index.
const DAY: i64 = 86_400;

/// A round minute, so long ago that all seeded instants are past.
fn first_instant() -> Result<i64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?;
    let now = i64::try_from(now.as_secs()).map_err(|e| e.to_string())?;
    let start = now / 60 * 60 - seed::SPAN - 60;
    // Loki counts a stream once for each day's index, so that the seed is of one day (UTC).
    let midnight = (start + seed::SPAN) / DAY * DAY;
    Ok(if start < midnight { midnight - seed::SPAN - 60 } else { start })
}

/// Starts the backends with their data, and Keycloak unless only the controls
/// are wanted.
fn servers(dir: &Path, controls: bool, report: &mut Report) -> Result<World, String> {
    let builds = builds::find(&std::env::var("PALISADE_CONFORMANCE_WITH").unwrap_or_default(), report)?;
    let start = first_instant()?;
    println!("servers below {}, data from {start} on", dir.display());
    let keycloak = match builds.get("keycloak") {
        Some(home) if !controls => Some(Keycloak::start(&home.path, &dir.join("keycloak"))?),
        _ => None,
    };
    let exporter = exporter::start(start)?;
    let set = |name, holds| Backends::start(name, holds, dir, &builds, (start, &exporter));
    let world = World {
        start,
        full: set("full", Holds::All)?,
        twin_a: set("twin-a", Holds::Only(&["acme-books"]))?,
        twin_ab: set("twin-ab", Holds::Only(&["acme-books", "globex-lit"]))?,
        twin_a_east: set("twin-a-east", Holds::In { tenants: &["acme-books"], region: "us-east" })?,
        keycloak,
        palisade: None,
        beside: BTreeMap::new(),
        callers: BTreeMap::new(),
    };
    for set in world.sets() {
        set.seed(start)?;
    }
    if let Some(keycloak) = &world.keycloak {
        keycloak.wait()?;
    }
    Ok(world)
}

/// Gets the callers' tokens and starts Palisade.
fn ask(world: &mut World, dir: &Path, controls: bool, report: &mut Report) -> Result<(), String> {
    let users = [
        ("alice", Twin::One),
        ("carol", Twin::Two),
        ("rosa", Twin::East),
        ("bob", Twin::One),
        ("erin", Twin::One),
    ];
    for (user, twin) in users {
        let token = match &world.keycloak {
            Some(keycloak) => keycloak.token("storefront", user)?,
            None => String::new(),
        };
        world.callers.insert(user.to_owned(), Caller { token, twin });
    }
    match &world.keycloak {
        Some(keycloak) => {
            let palisade = Palisade::start(&dir.join("palisade"), &world.full, &keycloak.realm)?;
            let beside = [Twin::One, Twin::Two, Twin::East].map(|twin| {
                let set = world.set(twin);
                Ok((
                    twin,
                    Palisade::start(&dir.join(format!("palisade-{}", set.name)), set, &keycloak.realm)?,
                ))
            });
            world.beside = beside.into_iter().collect::<Result<_, String>>()?;
            world.palisade = Some(palisade);
        }
        None if controls => {}
        None => report.not_run("palisade", "without Keycloak there are no tokens"),
    }
    Ok(())
}
