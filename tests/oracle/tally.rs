//! Who takes what, counted.

use crate::gaps::Gaps;
use crate::judge::Verdict;
use crate::ours::{Answer, Language, Scoped};
use crate::report::Report;
use crate::sources::{Case, From};
use std::collections::BTreeMap;

/// What can be found of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    BothAccept,
    BothRefuse,
    /// We refuse what they accept, by a name of `gaps.toml`.
    Gap,
    /// We refuse what they accept.
    WeRefuse,
    /// We accept what they refuse.
    WeAccept,
    /// We see other selectors than they do.
    Selectors,
    /// A selector of the scoped text lacks the scope.
    Missing,
    /// The scoped text is not the caller's with our matchers.
    Changed,
    /// The backend's scanner loses parts of long texts, so that its verdict says nothing.
    TooLong,
}

/// Findings that must not be, and how they are called.
const FAULTS: [(Finding, &str); 5] = [
    (Finding::WeRefuse, "we refuse what they accept, not in gaps.toml"),
    (Finding::WeAccept, "we accept what they refuse"),
    (Finding::Selectors, "selectors differ"),
    (Finding::Missing, "scope missing"),
    (Finding::Changed, "tree changed beyond our matchers"),
];

/// How many of upstream's own strings must be scoped.
const FLOORS: [(Language, usize); 3] =
    [(Language::PromQl, 2_500), (Language::LogQl, 1_050), (Language::TraceQl, 640)];

/// Tempo's scanner reads so many bytes at a time and can lose some at the ends.
const CHUNK: usize = 1_024;

/// The counts.
pub struct Tally {
    gaps: Gaps,
    counts: BTreeMap<(Language, From, Finding), usize>,
    /// Why we refuse what they accept, without a gap that explains it, and the shortest such query.
    refusals: BTreeMap<(Language, String), (usize, String)>,
    /// How many queries of each finding are shown; of refusals only if it was asked for.
    shown: usize,
    shown_refused: usize,
}

impl Tally {
    /// Nothing counted yet.
    pub fn load() -> Result<Self, String> {
        let shown = std::env::var("PALISADE_ORACLE_SHOW").ok().and_then(|n| n.parse().ok());
        Ok(Self {
            gaps: Gaps::load()?,
            counts: BTreeMap::new(),
            refusals: BTreeMap::new(),
            shown: shown.unwrap_or(5),
            shown_refused: shown.unwrap_or(0),
        })
    }

    /// Counts what `verdict` and our `answer` say to `case`.
    pub fn note(&mut self, case: &Case, answer: &Answer, verdict: &Verdict) {
        let (finding, detail) = match (&answer.outcome, verdict.ok) {
            _ if case.language == Language::TraceQl && case.query.len() > CHUNK => {
                (Finding::TooLong, String::new())
            }
            (Ok(scoped), true) => compare(scoped, verdict),
            (Ok(_), false) => (Finding::WeAccept, verdict.error.clone()),
            (Err(_), false) => (Finding::BothRefuse, String::new()),
            (Err(error), true) if self.gaps.explains(case, error) => (Finding::Gap, String::new()),
            (Err(error), true) => {
                let reason = format!("{}: {error}", error.kind.name());
                let (count, query) = self.refusals.entry((case.language, reason.clone())).or_default();
                *count += 1;
                if *count == 1 || case.query.len() < query.len() {
                    query.clone_from(&case.query);
                }
                (Finding::WeRefuse, reason)
            }
        };
        // As a selector, a string of upstream's tests is one more query, but not one more string.
        let from = if case.selector && case.from == From::Upstream { From::Corpus } else { case.from };
        *self.counts.entry((case.language, from, finding)).or_default() += 1;
        let so_far = self.count(case.language, finding);
        let shown = if finding == Finding::WeRefuse { self.shown_refused } else { self.shown };
        if let Some((_, name)) = FAULTS.iter().find(|(f, _)| *f == finding && so_far <= shown) {
            let entry = if case.selector { " as selector" } else { "" };
            println!("{}{entry}: {name}: {:?}\n    {detail}", case.language.name(), case.query);
        }
    }

    fn count(&self, language: Language, finding: Finding) -> usize {
        self.counts.iter().filter(|((l, _, f), _)| (*l, *f) == (language, finding)).map(|(_, n)| n).sum()
    }

    /// Prints the table and checks that what must be 0 is 0, and the floors.
    pub fn report(&self, report: &mut Report) {
        use Finding::{BothAccept, BothRefuse, Gap, TooLong, WeAccept, WeRefuse};
        println!("language  from       both accept  both refuse   gaps  we refuse  we accept  too long");
        for language in Language::ALL {
            for (from, name) in
                [(From::Upstream, "upstream"), (From::Corpus, "corpus"), (From::Generated, "generated")]
            {
                let count = |f| self.counts.get(&(language, from, f)).copied().unwrap_or_default();
                let accepted: usize = [BothAccept, Finding::Selectors, Finding::Missing, Finding::Changed]
                    .map(count)
                    .iter()
                    .sum();
                println!(
                    "{:<9} {name:<9} {accepted:>12} {:>12} {:>6} {:>10} {:>10} {:>9}",
                    language.name(),
                    count(BothRefuse),
                    count(Gap),
                    count(WeRefuse),
                    count(WeAccept),
                    count(TooLong),
                );
            }
        }
        for ((language, reason), (count, query)) in &self.refusals {
            println!("{}: {count} refused, {reason}\n    {query:?}", language.name());
        }
        for (language, least) in FLOORS {
            for (fault, name) in FAULTS {
                report.none(&format!("{} {name}", language.name()), self.count(language, fault));
            }
            let scoped =
                self.counts.get(&(language, From::Upstream, BothAccept)).copied().unwrap_or_default();
            let outcome = format!("{scoped} of upstream's strings scoped, {least} needed");
            let name = format!("{} floor", language.name());
            report.check(&name, if scoped >= least { Ok(outcome) } else { Err(outcome) });
            self.gaps.report(language, report);
        }
    }
}

/// Both accept: whether they mean the same.
fn compare(ours: &Scoped, verdict: &Verdict) -> (Finding, String) {
    let Some(theirs) = &verdict.scoped else {
        return (Finding::Changed, "no verdict on the scoped text".to_owned());
    };
    if !theirs.ok {
        return (Finding::Changed, format!("{} refused: {}", ours.text, theirs.error));
    }
    let mut selectors = verdict.selectors.clone();
    selectors.sort();
    if selectors != ours.matchers || theirs.selectors != ours.selectors || verdict.metrics != ours.metrics {
        let counts = format!("{} of ours, {} of theirs", ours.selectors, theirs.selectors);
        return (Finding::Selectors, format!("{counts}\n    {:?}\n    {selectors:?}", ours.matchers));
    }
    let least = verdict.selectors.len() + verdict.bare;
    if !(least..=least + verdict.open).contains(&ours.selectors) {
        return (
            Finding::Selectors,
            format!("{} pipelines, {} of them open", verdict.bare + verdict.open, verdict.open),
        );
    }
    if theirs.lacking > 0 {
        return (Finding::Missing, format!("{} in {}", theirs.lacking, ours.text));
    }
    if !theirs.same {
        let trees = format!("{}\n    {}", theirs.original, theirs.tree);
        return (Finding::Changed, format!("{}\n    {trees}", ours.text));
    }
    (Finding::BothAccept, String::new())
}
