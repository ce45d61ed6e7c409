//! ATK-61 at Loki: its frontend keeps empty results of log queries under FNV-1a of the text, 64 bits without a key,
//! and asks no more (`pkg/querier/queryrange/log_result_cache.go`). Each text has the salt of its scope.

use super::identity::token;
use super::send;
use crate::http::{Answer, Base, Request};
use crate::seed::SPAN;
use crate::world::World;

/// Two queries as they would arrive, made for salts that this test knows: they have the same hash, whatever the time.
const VICTIM: &str =
    r#"{tenant="acme-books",__salt__!="knowntothistesta",service="catalog"} |= "GET /books""#;
const AIMED: &str =
    r#"{tenant="globex-lit",__salt__!="knowntothistestb",service="recommender"} |= "_XEvGKQTHwKMPD""#;
/// The salts in them, as the label says them.
const SALTS: [&str; 2] = [r#"__salt__!="knowntothistesta","#, r#"__salt__!="knowntothistestb","#];

/// An attack, with its name.
type Named = (&'static str, fn(&World) -> Result<(), String>);

pub const LOKI: [Named; 3] = [
    ("ATK-61 aimed cache key: with known salts it hides lines (control)", known),
    ("ATK-61 aimed cache key: with the salts of scopes it hides none", unknown),
    ("ATK-61 what is kept is found again", found),
];

fn ask(world: &World, query: &str) -> Request {
    let (start, end) = (world.start.to_string(), (world.start + SPAN).to_string());
    let params = [("query", query), ("start", &start), ("end", &end), ("limit", "1000")];
    Request::get("/loki/api/v1/query_range", &super::pairs(&params))
}

fn lines(answer: &Answer) -> Result<usize, String> {
    let json = answer.json().filter(|_| answer.status == 200);
    let json = json.ok_or_else(|| format!("{} {}", answer.status, answer.text()))?;
    let streams = json["data"]["result"].as_array().cloned().unwrap_or_default();
    Ok(streams.iter().filter_map(|stream| stream["values"].as_array()).map(Vec::len).sum())
}

fn full(world: &World) -> Result<&Base, String> {
    world.full.at.get("loki").ok_or_else(|| "no Loki".into())
}

/// Loki itself, asked without Palisade.
fn known(world: &World) -> Result<(), String> {
    let full = full(world)?;
    let at = |query: &str| lines(&ask(world, query).send(full)?);
    let (aimed, hidden) = (at(AIMED)?, at(VICTIM)?);
    let shown = at(&VICTIM.replace(SALTS[0], ""))?;
    match (aimed, hidden, shown) {
        (0, 0, 1..) => Ok(()),
        other => Err(format!(
            "the lines of the aimed, the victim's, and the victim's with another text: {other:?}"
        )),
    }
}

/// The same queries, by the callers whose they are.
fn unknown(world: &World) -> Result<(), String> {
    let own = |text: &str, salt: &str, tenant: &str| text.replace(salt, "").replace(tenant, "");
    let at =
        |user: &str, query: &str| lines(&send(world, Some(token(world, user)?), "loki", ask(world, query))?);
    let aimed = at("bob", &own(AIMED, SALTS[1], r#"tenant="globex-lit","#))?;
    let mine = own(VICTIM, SALTS[0], r#"tenant="acme-books","#);
    let shown = at("alice", &mine)?;
    let twin = world.twin_a.at.get("loki").ok_or("no TWIN")?;
    let expected = lines(&ask(world, &mine).send(twin)?)?;
    match (aimed, shown) {
        (0, shown) if shown == expected && shown > 0 => Ok(()),
        other => Err(format!("the lines of the aimed and the victim's: {other:?}; TWIN has {expected}")),
    }
}

/// A query that finds nothing is asked of the cache alone the second time.
fn found(world: &World) -> Result<(), String> {
    let full = full(world)?;
    let hits = || -> Result<f64, String> {
        let text = Request::get("/metrics", &[]).send(full)?.text();
        let line =
            text.lines().find_map(|l| l.strip_prefix("loki_query_frontend_log_result_cache_hit_total "));
        line.and_then(|number| number.parse().ok()).ok_or_else(|| "Loki counts no hits".into())
    };
    let query = r#"{service="catalog"} |= "nobody wrote this""#;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = send(world, Some(token(world, "alice")?), "loki", ask(world, query))?;
        if lines(&answer)? != 0 {
            return Err(format!("it finds something: {}", answer.text()));
        }
        seen.push(hits()?);
    }
    if seen[1] > seen[0] { Ok(()) } else { Err(format!("no hit: {seen:?}")) }
}
