//! Attacks on Tempo once more, as calls of gRPC: the same parameters are the fields of a message.

use percent_encoding::percent_decode_str;

use crate::compare::Rules;
use crate::grpc::Call;
use crate::http::{Answer, Base, Request};
use crate::palisade::Palisade;
use crate::ways::Ways;
use crate::world::World;

use super::{Attack, Verdict};

/// The call that asks what `request` asks; `None` if there is none.
fn call(request: &Request) -> Option<Call> {
    let plain = request.method == "GET" && request.headers.is_empty();
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let tag = |start: &str| path.strip_prefix(start)?.strip_suffix("/values");
    let (endpoint, tag) = match path {
        "/api/search" => ("tempo.search", ""),
        "/api/search/tags" => ("tempo.tags_v1", ""),
        "/api/v2/search/tags" => ("tempo.tags_v2", ""),
        "/api/metrics/query" => ("tempo.instant", ""),
        "/api/metrics/query_range" => ("tempo.metrics", ""),
        _ => match (tag("/api/v2/search/tag/"), tag("/api/search/tag/")) {
            (Some(tag), _) => ("tempo.tag_values", tag),
            (_, Some(tag)) => ("tempo.tag_values_v1", tag),
            _ => return None,
        },
    };
    let tag = percent_decode_str(tag).decode_utf8().ok()?;
    let params: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    // Of a field that is given twice, any reader takes the last.
    let once = params.iter().enumerate().all(|(at, (name, _))| params[..at].iter().all(|(n, _)| n != name));
    (plain && once).then(|| Call::of(endpoint, &tag, &params))?
}

/// Sends the call, and tells of its outcome by the status that HTTP has for it.
fn send(call: &Call, base: &Base, token: Option<&str>) -> Result<Answer, String> {
    let mut answer = call.send(base, token)?;
    answer.status = match answer.status {
        608 => 413,
        612 => 404,
        other => other,
    };
    Ok(answer)
}

/// Tries `attack` by gRPC; `None` if it cannot be said so.
pub fn tried(attack: &Attack, world: &World, rules: &Rules, ways: &mut Ways) -> Option<Result<(), String>> {
    let (palisade, caller) = (world.palisade.as_ref()?, world.callers.get(attack.caller)?);
    let root = |palisade: &'_ Palisade| match attack.mount {
        "tempo" => Some(palisade.tempo.clone()),
        "tempo-mixed" => Some(palisade.mixed.clone()),
        _ => None,
    };
    let asked = call(&attack.request)?;
    let twins = match &attack.verdict {
        Verdict::Twin(_, request) => Some(call(request)?),
        _ => None,
    };
    let twin = |_: &Request, base: &Base| match &twins {
        Some(twins) => send(twins, base, None),
        None => Err("no TWIN".into()),
    };
    let answer = send(&asked, &root(palisade)?, Some(&caller.token));
    let beside = world.beside(caller).filter(|_| attack.has_twin()).and_then(root);
    let judged = |answer: Answer| {
        let beside = beside.map(|base| send(&asked, &base, Some(&caller.token))).transpose()?;
        ways.interference(rules, "tempo by gRPC", attack.asked(), &answer, beside.as_ref())?;
        // A refusal is in trailers, which have one shape.
        attack.judged(world, rules, &answer, "", twin)
    };
    Some(answer.and_then(judged))
}
