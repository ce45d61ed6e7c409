//! Named attacks, sent to Palisade in front of FULL by callers with real tokens.
//!
//! An attack holds when nothing of a victim is in the answer and the answer is
//! either a refusal in the backend's shape or exactly TWIN's. Its control sends
//! the same to FULL without Palisade and must meet a victim's canary: else the
//! attack would prove nothing. Where the attack has no unscoped form of its own
//! (a path the backend does not have), the control asks for the data it is after.

mod alertmanager;
mod caches;
mod effects;
mod gaps;
mod identity;
mod logql;
mod loki;
mod prometheus;
mod promql;
mod redacted;
mod requests;
mod streamed;
mod traceql;
mod values;

use crate::compare::{Asked, Rules};
use crate::http::{Answer, Base, Request};
use crate::palisade::Palisade;
use crate::protobuf;
use crate::queries;
use crate::report::Report;
use crate::seed::{SPAN, TENANTS, canary};
use crate::ways::Ways;
use crate::world::World;

/// What Palisade may answer.
enum Verdict {
    /// One of these statuses, in the backend's error shape.
    Refused(&'static [u16]),
    /// An answer that shows this canary of the caller's own.
    Shows(&'static str),
    /// What TWIN answers to this request, compared as that endpoint's answers are.
    Twin(&'static str, Request),
}

/// One attack.
struct Attack {
    name: String,
    caller: &'static str,
    /// The mount it goes to; `""` sends the target as it stands.
    mount: &'static str,
    kind: &'static str,
    request: Request,
    control: Option<Request>,
    verdict: Verdict,
}

impl Attack {
    /// An attack by alice, who owns `acme-books`, that must be refused.
    fn refused(
        name: impl Into<String>,
        mount: &'static str,
        request: Request,
        statuses: &'static [u16],
    ) -> Self {
        let kind = mount.trim_end_matches("-mixed").trim_end_matches("-bare");
        Self {
            name: name.into(),
            caller: "alice",
            mount,
            kind,
            control: Some(request.clone()),
            request,
            verdict: Verdict::Refused(statuses),
        }
    }

    /// An attack by alice that must meet her TWIN's answer to the same request.
    fn twin(name: impl Into<String>, mount: &'static str, endpoint: &'static str, request: Request) -> Self {
        Self { verdict: Verdict::Twin(endpoint, request.clone()), ..Self::refused(name, mount, request, &[]) }
    }

    /// An attack that must be answered, with this canary of the caller's own.
    fn shows(name: impl Into<String>, mount: &'static str, request: Request, own: &'static str) -> Self {
        Self { verdict: Verdict::Shows(own), ..Self::refused(name, mount, request, &[]) }
    }

    /// With TWIN's answer to another request as the right one.
    fn like(mut self, request: Request) -> Self {
        if let Verdict::Twin(_, twins) = &mut self.verdict {
            *twins = request;
        }
        self
    }

    /// With another control than the request itself.
    fn control(mut self, request: Request) -> Self {
        self.control = Some(request);
        self
    }

    /// Without a control: the attack is after something else than data.
    fn uncontrolled(mut self) -> Self {
        self.control = None;
        self
    }

    /// The caller who attacks.
    fn by(mut self, caller: &'static str) -> Self {
        self.caller = caller;
        self
    }

    fn run(&self, world: &World, rules: &Rules, ways: &mut Ways) -> Result<(), String> {
        let (Some(full), Some(palisade), Some(caller)) =
            (world.full.at.get(self.kind), &world.palisade, world.callers.get(self.caller))
        else {
            return Err("its servers do not run".into());
        };
        if let Some(control) = &self.control {
            let answer = control.send(full)?;
            if leaked(&answer, self.caller).is_none() {
                let text: String = answer.text().chars().take(300).collect();
                return Err(format!("the control meets no canary: {} {text}", answer.status));
            }
        }
        let request = self.request.clone().bearer(Some(&caller.token));
        let through = |palisade: &Palisade| match self.mount {
            "" => request.send(&palisade.base),
            mount => request.send(&palisade.base.under(&format!("/{mount}"))),
        };
        let answer = through(palisade)?;
        // Whatever an attack does, it meets no more before FULL than before TWIN.
        let beside = world.beside(caller).filter(|_| self.has_twin()).map(through).transpose()?;
        ways.interference(rules, self.kind, self.asked(), &answer, beside.as_ref())?;
        // A path below no mount has no backend's shape.
        let shape = if self.mount.is_empty() { "" } else { self.kind };
        self.judged(world, rules, &answer, shape, |request, twin| request.send(twin))
    }

    /// Whether its caller has a TWIN with exactly what they see.
    fn has_twin(&self) -> bool {
        ["alice", "carol", "rosa"].contains(&self.caller)
    }

    fn asked(&self) -> Asked<'_> {
        let endpoint = match &self.verdict {
            Verdict::Twin(endpoint, _) => *endpoint,
            _ => queries::endpoint(self.kind, &self.request.target),
        };
        Asked { endpoint, case: &self.name, mount: self.mount, params: &[] }
    }

    /// Whether `answer` is right; a refusal has the shape of a backend of kind `shape`. `twin` asks TWIN.
    fn judged(
        &self,
        world: &World,
        rules: &Rules,
        answer: &Answer,
        shape: &str,
        twin: impl FnOnce(&Request, &Base) -> Result<Answer, String>,
    ) -> Result<(), String> {
        if let Some(canary) = leaked(answer, self.caller) {
            return Err(format!("LEAK of {canary}: {}", answer.text()));
        }
        match &self.verdict {
            // Where 200 is allowed, an answer without canaries is one.
            Verdict::Refused(statuses) if statuses.contains(&answer.status) => shaped(answer, shape),
            Verdict::Refused(statuses) => {
                Err(format!("{} instead of {statuses:?}: {}", answer.status, answer.text()))
            }
            Verdict::Shows(own) => {
                let text = answer.text();
                if answer.status == 200 && holds(&text, own) {
                    Ok(())
                } else {
                    Err(format!("{} without {own}: {text}", answer.status))
                }
            }
            Verdict::Twin(endpoint, request) => {
                let caller = world.callers.get(self.caller).ok_or("no such caller")?;
                let expected = twin(request, world.twin(caller).at.get(self.kind).ok_or("no TWIN")?)?;
                let asked = Asked { endpoint, case: &self.name, mount: self.mount, params: &[] };
                match rules.differ(asked, answer, &expected, false) {
                    Some(difference) => {
                        Err(format!("not TWIN's answer {difference}; {} {}", answer.status, answer.text()))
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

/// The first canary in an answer that its caller may not see.
pub fn leaked(answer: &Answer, caller: &str) -> Option<String> {
    let own: &[&str] = match caller {
        "alice" | "rosa" => &["acme-books"],
        "bob" => &["globex-lit", "forged", "span-attribute"],
        "carol" => &["acme-books", "globex-lit", "forged", "span-attribute"],
        "erin" => &["press.one", "initech-press"],
        _ => &[],
    };
    let strays = ["untenanted", "forged", "array", "repeated", "turned", "span-attribute"];
    let mut text = match answer.header("content-type") {
        Some(kind) if kind.starts_with("application/protobuf") => {
            protobuf::trace(&answer.body).map_or_else(|| answer.text(), |tree| tree.to_string())
        }
        _ => answer.text(),
    };
    for (_, value) in &answer.headers {
        text.push('\n');
        text.push_str(value);
    }
    // What only the other region has, and no request names.
    let west = ["west_note", "list books"].into_iter().filter(|_| caller == "rosa").map(str::to_owned);
    TENANTS
        .iter()
        .chain(&strays)
        .filter(|owner| !own.contains(owner))
        .flat_map(|owner| {
            let named = owner.replace(['-', '.'], "_");
            [canary(owner), format!("node-{owner}"), format!("canary_{named}_total")]
        })
        .chain(west)
        .find(|mark| holds(&text, mark))
}

/// Whether `text` holds `mark` as a whole word: `canary-acme-books-eu` is not
/// `canary-acme-books`.
pub fn holds(text: &str, mark: &str) -> bool {
    text.match_indices(mark).any(|(at, _)| {
        let next = text[at + mark.len()..].chars().next();
        !next.is_some_and(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    })
}

/// Whether a refusal has its backend's shape (surface of each API; a 401 is
/// JSON with a `message` everywhere but at Prometheus).
fn shaped(answer: &Answer, kind: &str) -> Result<(), String> {
    if answer.status == 200 {
        return Ok(());
    }
    let json = answer.json();
    let right = match (kind, answer.status) {
        // What is too long to be read at all is refused by the HTTP library.
        (_, 413 | 414 | 431) if answer.body.is_empty() => true,
        ("prometheus", _) => json
            .as_ref()
            .is_some_and(|v| v["status"] == "error" && v["errorType"].is_string() && v["error"].is_string()),
        ("alertmanager", status) => {
            // Its own 400 is a text.
            json.as_ref().is_some_and(|v| {
                v["code"] == status && v["message"].is_string() || status == 400 && v.is_string()
            })
        }
        (_, 401) => json.as_ref().is_some_and(|v| v["message"].is_string()),
        // Tempo's own answer to an unknown trace is an empty 404.
        ("tempo", 404) if answer.body.is_empty() => true,
        ("loki" | "tempo", _) => answer.header("content-type").is_some_and(|t| t.starts_with("text/plain")),
        _ => true,
    };
    if right { Ok(()) } else { Err(format!("{} is not in {kind}'s shape: {}", answer.status, answer.text())) }
}

/// Times as parameters: the whole seed.
struct Clock {
    start: i64,
}

impl Clock {
    fn instant(&self, query: &str) -> Vec<(String, String)> {
        pairs(&[("query", query), ("time", &(self.start + SPAN).to_string())])
    }

    fn range(&self, params: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut all = pairs(params);
        all.extend(pairs(&[("start", &self.start.to_string()), ("end", &(self.start + SPAN).to_string())]));
        all
    }

    fn steps(&self, params: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut all = self.range(params);
        all.extend(pairs(&[("step", "60")]));
        all
    }
}

fn pairs(params: &[(&str, &str)]) -> Vec<(String, String)> {
    params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Runs those that are about the hostile seed.
pub fn effects(world: &World, rules: &Rules, report: &mut Report) {
    if world.palisade.is_some() {
        effects::run(world, rules, &Clock { start: world.start }, report);
    }
}

/// Runs all attacks whose name holds `only`.
pub fn run(world: &World, rules: &Rules, only: &str, report: &mut Report) {
    if world.palisade.is_none() {
        return;
    }
    let clock = Clock { start: world.start };
    let mut attacks = requests::all(&clock);
    attacks.extend(prometheus::all(&clock));
    attacks.extend(promql::all(&clock));
    attacks.extend(logql::all(&clock));
    attacks.extend(loki::all(&clock));
    attacks.extend(traceql::all(&clock));
    attacks.extend(alertmanager::all());
    attacks.retain(|attack| world.full.at.contains_key(attack.kind));
    for mut attack in attacks {
        // Once more by who sees the same tenant in one region.
        let callers = if attack.caller == "alice" { &["alice", "rosa"][..] } else { &[attack.caller] };
        for caller in callers {
            attack.caller = *caller;
            let name = match *caller {
                "rosa" => format!("{} / rosa", attack.name),
                _ => attack.name.clone(),
            };
            if name.contains(only) {
                let outcome = attack.run(world, rules, &mut report.ways);
                report.case(&name, outcome);
            }
            let name = format!("{name} / gRPC");
            if let Some(tried) = name
                .contains(only)
                .then(|| streamed::tried(&attack, world, rules, &mut report.ways))
                .flatten()
            {
                report.case(&name, tried);
            }
        }
    }
    for (name, attack) in alertmanager::WRITING {
        if name.contains(only) && world.full.at.contains_key("alertmanager") {
            report.case(name, attack(world));
        }
    }
    for (name, attack) in caches::LOKI {
        if name.contains(only) && world.full.at.contains_key("loki") {
            report.case(name, attack(world));
        }
    }
    redacted::run(world, only, report);
    values::run(world, &clock, only, report);
    gaps::run(world, &clock, only, report);
    for (name, attack) in identity::ALL {
        if name.contains(only) {
            report.case(name, attack(world));
        }
    }
}

/// Sends as a caller with this token, or none, to one mount of Palisade.
fn send(world: &World, token: Option<&str>, mount: &str, request: Request) -> Result<Answer, String> {
    let base: Base = match &world.palisade {
        Some(palisade) => palisade.base.under(&format!("/{mount}")),
        None => return Err("Palisade does not run".into()),
    };
    request.bearer(token).send(&base)
}
