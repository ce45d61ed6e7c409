//! Servers that outlive a run, for work on Palisade or on the cases: starting
//! them all takes minutes, asking them seconds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::backends::{Backends, ORGS};
use crate::http::Base;
use crate::keycloak::Keycloak;
use crate::seed::Holds;
use crate::world::World;

const KINDS: [&str; 5] = ["prometheus", "loki", ORGS, "tempo", "alertmanager"];

/// Writes where everything listens to `file`, and waits until that is gone.
pub fn keep(world: &World, file: &Path) -> Result<(), String> {
    let mut sets = serde_json::Map::new();
    for set in world.sets() {
        let at: BTreeMap<_, _> = set.at.iter().map(|(kind, base)| (*kind, place(base))).collect();
        sets.insert(set.name.into(), json!(at));
    }
    let realm = world.keycloak.as_ref().map(|k| place(&k.realm));
    let state =
        json!({ "start": world.start, "sets": sets, "realm": realm, "versions": world.full.versions });
    std::fs::write(file, state.to_string()).map_err(|e| e.to_string())?;
    println!("{state:#}\nremove {} to stop", file.display());
    while file.exists() {
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// The world that `keep` wrote down.
pub fn join(file: &Path) -> Result<World, String> {
    let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
    let state: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let versions: BTreeMap<String, String> =
        serde_json::from_value(state["versions"].clone()).map_err(|e| e.to_string())?;
    let set = |name, holds| {
        let at = KINDS
            .into_iter()
            .filter_map(|kind| Some((kind, base(state["sets"][name].get(kind)?)?)))
            .collect();
        Backends::elsewhere(name, holds, at, versions.clone())
    };
    Ok(World {
        start: state["start"].as_i64().ok_or("no start")?,
        full: set("full", Holds::All),
        twin_a: set("twin-a", Holds::Only(&["acme-books"])),
        twin_ab: set("twin-ab", Holds::Only(&["acme-books", "globex-lit"])),
        twin_a_east: set("twin-a-east", Holds::In { tenants: &["acme-books"], region: "us-east" }),
        keycloak: base(&state["realm"]).map(Keycloak::elsewhere),
        palisade: None,
        beside: BTreeMap::new(),
        callers: BTreeMap::new(),
    })
}

fn place(base: &Base) -> Value {
    json!([base.authority, base.prefix])
}

fn base(place: &Value) -> Option<Base> {
    Some(Base { authority: place[0].as_str()?.into(), prefix: place[1].as_str()?.into() })
}
