//! Random questions in all three languages, each asked three ways.
//!
//! They are made of typed grammars whose names and values are those of the seed, so that most find something, by a seed
//! that is printed: `PALISADE_INTERFERENCE_SEED` makes the same ones again. Whatever a question is, what Palisade
//! says before FULL is what it says before TWIN; there is no list of exceptions. A backend can answer one question in
//! several ways: which of several it chooses under a limit, or of equals, is chance. So where two answers differ, both are
//! asked for again some times, in texts that no cache knows, and one before FULL must be one before TWIN.
//!
//! The control asks FULL and TWIN for the same texts without their fence, and unscoped, and must find that they differ:
//! else the questions are blind.

mod control;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use control::Control;
pub use control::unfenced;

use crate::compare::{Rules, ranked};
use crate::grammar::{Grammar, Random};
use crate::http::Answer;
use crate::queries::{Asking, Case, asking, calling, empty};
use crate::report::Report;
use crate::seed::tempo::INFRA;
use crate::seed::{TENANTS, canary};
use crate::ways::{Answers, Ways};
use crate::world::{Caller, Twin, World};

/// How many are asked at once.
const THREADS: usize = 4;
/// How deep a question may be.
const DEPTH: usize = 9;
/// How many that fail are shown, of each language.
const SHOWN: usize = 40;
/// How often what differs is asked for again.
const AGAIN: usize = 12;
/// After how long callers get new tokens; theirs are good for an hour.
const TOKENS: Duration = Duration::from_secs(600);

/// What reads spans of a trace whoever's they are, and so is refused where traces may be shared.
const WHOLE: [&str; 13] = [
    "} > ",
    "} >> ",
    "} < ",
    "} << ",
    "} ~ ",
    "} !> ",
    "} !>> ",
    "} &> ",
    "} &>> ",
    "compare(",
    "trace:duration",
    "minDuration",
    "nestedSetParent",
];

/// A language, its grammar, and whom it is asked of.
struct Language {
    name: &'static str,
    kind: &'static str,
    grammar: &'static str,
    /// Mounts, each with the windows of time that it is asked for, in seconds after the seed's start.
    mounts: &'static [(&'static str, &'static [(i64, i64)])],
}

const ANY: &[(i64, i64)] = &[(0, 1800), (0, 1800), (300, 900), (0, 600), (1200, 1800), (615, 645)];
/// Where no trace is of several tenants.
const UNMIXED: &[(i64, i64)] = &[(0, 300), (0, 300), (0, 500), (400, 500), (1000, 1300), (45, 70)];
/// Not where spans say their tenant twice: what Tempo counts of these is a known gap, which cases name.
const MIXED: &[(i64, i64)] =
    &[(0, 300), (0, 300), (0, 1300), (600, 900), (600, 900), (1000, 1300), (-1500, -300), (-1500, -300)];

const LANGUAGES: [Language; 3] = [
    Language {
        name: "PromQL",
        kind: "prometheus",
        grammar: include_str!("promql.txt"),
        mounts: &[("prometheus", ANY)],
    },
    Language { name: "LogQL", kind: "loki", grammar: include_str!("logql.txt"), mounts: &[("loki", ANY)] },
    Language {
        name: "TraceQL",
        kind: "tempo",
        grammar: include_str!("traceql.txt"),
        mounts: &[("tempo", UNMIXED), ("tempo-mixed", MIXED), ("tempo-mixed", MIXED)],
    },
];

/// Of one tenant, of two, and of one in one region.
const CALLERS: [&str; 3] = ["alice", "carol", "rosa"];

/// Asks `each` questions in each language that has servers.
pub fn run(world: &World, rules: &Rules, each: usize, report: &mut Report) {
    if world.palisade.is_none() {
        return;
    }
    let seed = std::env::var("PALISADE_INTERFERENCE_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs() % 1_000_000)
    });
    println!("interference: PALISADE_INTERFERENCE_SEED={seed}, {each} of each language");
    for language in LANGUAGES {
        if world.full.at.contains_key(language.kind) {
            let begun = Instant::now();
            let outcome = language.ask(world, rules, (seed, each), &mut report.ways);
            println!("interference / {}: {} s", language.name, begun.elapsed().as_secs());
            report.case(&format!("interference / {}", language.name), outcome);
        }
    }
}

/// What one thread found, or all.
#[derive(Default)]
struct Tally {
    ways: Ways,
    empty: usize,
    errors: usize,
    /// Questions that a backend answers in several ways.
    chance: usize,
    /// Questions that interfere, or whose answers are not TWIN's, each with why.
    failed: Vec<String>,
    /// How often Palisade refused what TWIN answers, by what it said.
    refused: BTreeMap<String, usize>,
    control: Control,
    /// Whether Palisade refused the last question.
    was_refused: bool,
}

impl Language {
    /// Whom a question is asked of, and when. What reads whole traces is mostly asked where that is allowed.
    fn mount(&self, text: &str, random: &mut Random) -> (&'static str, &'static [(i64, i64)]) {
        let whole = self.kind == "tempo" && WHOLE.iter().any(|part| text.contains(part));
        if whole && random.below(8) > 0 { self.mounts[0] } else { *random.pick(self.mounts) }
    }

    fn ask(
        &self,
        world: &World,
        rules: &Rules,
        (seed, each): (u64, usize),
        ways: &mut Ways,
    ) -> Result<(), String> {
        let grammar = Grammar::read(self.grammar).map_err(|e| format!("{}: {e}", self.name))?;
        let (next, tokens) = (AtomicUsize::new(0), Tokens::default());
        let one = || {
            let mut tally = Tally::default();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= each {
                    return Ok::<Tally, String>(tally);
                }
                self.question(world, rules, &grammar, &tokens, (seed, n), &mut tally)?;
                if n > 0 && n.is_multiple_of(1000) {
                    println!("interference / {}: {n}", self.name);
                }
            }
        };
        let mut all = Tally::default();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
            for thread in threads {
                all.add(thread.join().map_err(|_| "a thread panicked".to_owned())??);
            }
            Ok::<(), String>(())
        })?;
        ways.add(&all.ways);
        all.judged(self.name, each)
    }

    fn question(
        &self,
        world: &World,
        rules: &Rules,
        grammar: &Grammar,
        tokens: &Tokens,
        (seed, n): (u64, usize),
        tally: &mut Tally,
    ) -> Result<(), String> {
        let mut random = Random::new(seed.wrapping_mul(0x1_0000_0001).wrapping_add(n as u64));
        let mut text = String::new();
        let depth = 3 + random.below(DEPTH - 3);
        grammar.grow("question", depth, &mut random, &mut text);
        let (mount, windows) = self.mount(&text, &mut random);
        let window = *random.pick(windows);
        let user = random.pick(&CALLERS);
        let by_grpc = random.below(4) == 0;
        let case = Case::question(&text, mount, window)?;
        let caller = tokens.of(world, user)?;
        let [full, twin] = [&world.full, world.twin(&caller)].map(|set| set.at.get(self.kind));
        let bases = [full.ok_or("no FULL")?, twin.ok_or("no TWIN")?];
        let call = if by_grpc { calling(world, &case, &caller, bases)? } else { None };
        let how = if call.is_some() { "gRPC" } else { "HTTP" };
        let asked = match call {
            Some(call) => call,
            None => asking(world, &case, &caller, bases)?,
        };
        let again = |times: usize| -> Result<_, String> {
            let spaces = |value: &str| format!("{value}{}", " ".repeat(times));
            let text = ["query", "q", "match[]"].into_iter().find_map(|name| Some((name, case.param(name)?)));
            let case = text.map_or_else(|| case.clone(), |(name, value)| case.with(name, &spaces(value)));
            let call = if by_grpc { calling(world, &case, &caller, bases)? } else { None };
            let asked = match call {
                Some(call) => call,
                None => asking(world, &case, &caller, bases)?,
            };
            let ours = asked.ours.as_ref().ok_or("no Palisade")?()?;
            Ok((ours, asked.beside.as_ref().ok_or("no Palisade before TWIN")?()?))
        };
        // An untenanted root is TWIN's as well there, and nobody's here.
        let infra = window.0 < INFRA + 300 && INFRA < window.1 || text.contains("infra:");
        let fidelity = !(infra && self.kind == "tempo") && faithful(&case, caller.twin);
        let outcome = tally.three(rules, self.name, &case, (&asked, &again), (&caller, fidelity));
        let refused = tally.was_refused;
        if let Err(why) = outcome {
            tally.failed.push(format!("{n}: {user}, {mount}, {how}: {}: {why}", case.shown()));
        }
        // What Palisade refuses can end a backend.
        if refused { Ok(()) } else { tally.control.ask(world, rules, &case, &caller, (n, bases)) }
    }
}

impl Tally {
    /// Asks three ways; with `fidelity` the last two are compared as well.
    fn three(
        &mut self,
        rules: &Rules,
        name: &str,
        case: &Case,
        (asking, again): (&Asking<'_>, &Again<'_>),
        (caller, fidelity): (&Caller, bool),
    ) -> Result<(), String> {
        let mut full = asking.ours.as_ref().ok_or("no Palisade")?()?;
        let mut beside = asking.beside.as_ref().ok_or("no Palisade before TWIN")?()?;
        self.was_refused = full.status == 400;
        if rules.interferes(case.asked(), &full, &beside).is_some()
            && let Some(alike) = alike(rules, case, (&full, &beside), again)?
        {
            self.chance += 1;
            (full, beside) = alike;
        }
        foreign(&full, caller)?;
        // What a version does not stand is asked of none.
        if self.was_refused && full.text().contains("is not taken before") {
            *self.refused.entry(said(&full)).or_default() += 1;
            return self.ways.interference(rules, name, case.asked(), &full, Some(&beside));
        }
        let twin = (asking.twin)()?;
        self.errors += usize::from(full.status != 200);
        self.empty += usize::from(full.status == 200 && empty(&full));
        // Refused by name, or TWIN has what nobody has: what it says tells nothing.
        let refused = (400..500).contains(&full.status)
            && (twin.status == 200 || full.text().contains("is refused"))
            && rules.differ(case.asked(), &full, &twin, false).is_some();
        if refused {
            *self.refused.entry(said(&full)).or_default() += 1;
        }
        if refused || !fidelity {
            return self.ways.interference(rules, name, case.asked(), &full, Some(&beside));
        }
        let answers = Answers { full: &full, beside: Some(&beside), twin: &twin, otherwise: false };
        self.ways.compare(rules, name, case.asked(), &answers)
    }

    fn add(&mut self, other: Self) {
        self.ways.add(&other.ways);
        self.empty += other.empty;
        self.errors += other.errors;
        self.chance += other.chance;
        self.failed.extend(other.failed);
        self.control.add(&other.control);
        for (said, times) in other.refused {
            *self.refused.entry(said).or_default() += times;
        }
    }

    /// Prints all that was found; whether it is as it must be.
    fn judged(self, name: &str, each: usize) -> Result<(), String> {
        let counts = self.ways.of(name);
        for why in self.failed.iter().take(SHOWN) {
            println!("  {why}");
        }
        let mut refused: Vec<_> = self.refused.iter().collect();
        refused.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        for (said, times) in refused.iter().take(12) {
            println!("  refused {times} times: {said}");
        }
        let refused: usize = self.refused.values().sum();
        println!(
            "interference / {name}: {} asked, interference {}; fidelity: {} equal, {} named, {} different, {refused} refused; \
             {} by chance, {} empty, {} errors; control: {}",
            counts.asked,
            counts.interference,
            counts.equal,
            counts.named,
            counts.different,
            self.chance,
            self.empty,
            self.errors,
            self.control
        );
        if counts.asked != each {
            return Err(format!("only {} of {each} were asked", counts.asked));
        }
        if !self.failed.is_empty() {
            return Err(format!("{} questions failed", self.failed.len()));
        }
        if (self.empty + self.errors) * 2 > each {
            return Err(format!("of {each} answers {} are empty, {} errors", self.empty, self.errors));
        }
        self.control.found()
    }
}

/// What a ranking is written with: among equals any is taken.
const RANKS: [&str; 3] = ["topk", "bottomk", "limitk"];

/// Whether TWIN answers the same by more than chance, and not otherwise by what `docs/gaps.md` says of lists of names and
/// values, of the first spans of a shared trace, and of the scope's own attributes in `compare`.
fn faithful(case: &Case, twin: Twin) -> bool {
    let shown = case.shown();
    let few = ["spss=1 ", "spss=2 ", "spss=3 "].iter().any(|few| shown.contains(few));
    let listed = shown.starts_with("tempo.tag") || shown.starts_with("loki.volume");
    let compared = shown.starts_with("tempo.compare") && twin == Twin::East;
    !(listed || few || compared || RANKS.iter().any(|word| shown.contains(word)))
}

/// Fails on what only another tenant has.
fn foreign(answer: &Answer, caller: &Caller) -> Result<(), String> {
    let own: &[&str] = if caller.twin == Twin::Two { &["acme-books", "globex-lit"] } else { &["acme-books"] };
    let others = TENANTS.into_iter().chain(["untenanted"]).filter(|tenant| !own.contains(tenant));
    let text = answer.text();
    match others.map(canary).find(|canary| text.contains(canary)) {
        Some(canary) => Err(format!("INTERFERENCE: {canary} in {text}")),
        None => Ok(()),
    }
}

/// What Palisade said of what it refused, without numbers.
fn said(answer: &Answer) -> String {
    answer.text().chars().filter(|c| !c.is_ascii_digit()).take(120).collect()
}

/// Asks a question in its n-th other text, before FULL and before TWIN.
type Again<'a> = dyn Fn(usize) -> Result<(Answer, Answer), String> + 'a;

/// An answer before FULL and one before TWIN that are the same, if asking again finds any, or shows that both choose among
/// the same.
fn alike(
    rules: &Rules,
    case: &Case,
    (full, beside): (&Answer, &Answer),
    again: &Again<'_>,
) -> Result<Option<(Answer, Answer)>, String> {
    let (mut full, mut beside) = (vec![full.clone()], vec![beside.clone()]);
    for times in 1..=AGAIN {
        let (more, others) = again(times)?;
        full.push(more);
        beside.push(others);
        for one in &full {
            let same = |other: &&Answer| rules.interferes(case.asked(), one, other).is_none();
            if let Some(other) = beside.iter().find(same) {
                return Ok(Some((one.clone(), other.clone())));
            }
        }
        if times >= AGAIN / 4 && rules.same_choices(case.asked(), &full, &beside) {
            let one = full.swap_remove(0);
            return Ok(Some((one.clone(), one)));
        }
    }
    // Of more equals than are found in that time, any are taken.
    let text = case.shown();
    let values = !text.contains("limitk");
    let ranks = RANKS.iter().any(|word| text.contains(word));
    let (one, other) = (full.swap_remove(0), beside.swap_remove(0));
    let same = one.status == other.status && ranked(&one, values) == ranked(&other, values);
    Ok((ranks && same).then(|| (one.clone(), one)))
}

/// Tokens of the callers, new ones before they end.
#[derive(Default)]
struct Tokens(Mutex<BTreeMap<String, (Instant, String)>>);

impl Tokens {
    fn of(&self, world: &World, user: &str) -> Result<Caller, String> {
        let known = world.callers.get(user).ok_or("no such caller")?;
        let keycloak = world.keycloak.as_ref().ok_or("no Keycloak")?;
        let mut all = self.0.lock().map_err(|_| "a thread panicked")?;
        let token = match all.get(user) {
            Some((begun, token)) if begun.elapsed() < TOKENS => token.clone(),
            _ => {
                let token = keycloak.token("storefront", user)?;
                all.insert(user.to_owned(), (Instant::now(), token.clone()));
                token
            }
        };
        Ok(Caller { token, twin: known.twin })
    }
}
