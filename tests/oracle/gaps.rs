//! `gaps.toml`: what we refuse by name though the backend takes it, and why.

use crate::ours::Language;
use crate::report::Report;
use crate::sources::{Case, From};
use palisade::lang::QueryError;
use serde::Deserialize;

/// The list, and how often each entry was met.
pub struct Gaps(Vec<Gap>);

struct Gap {
    entry: Entry,
    /// Strings of the backends' own tests refused for it.
    upstream: usize,
    /// All queries refused for it.
    all: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    gap: Vec<Entry>,
}

/// One thing that we refuse.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    language: String,
    /// The kind of the refusal.
    kind: String,
    /// A part of its message.
    message: String,
    /// At most so many strings of the backends' own tests are refused for it.
    upstream: usize,
    /// Why we do.
    reason: String,
}

impl Gaps {
    /// The list as it is in the repository.
    pub fn load() -> Result<Self, String> {
        let file: File = toml::from_str(include_str!("gaps.toml")).map_err(|e| format!("gaps.toml: {e}"))?;
        let gap = |entry| Gap { entry, upstream: 0, all: 0 };
        Ok(Self(file.gap.into_iter().map(gap).collect()))
    }

    /// Whether the list says why `case` was refused with `error`.
    pub fn explains(&mut self, case: &Case, error: &QueryError) -> bool {
        let found = self.0.iter_mut().find(|gap| {
            gap.entry.language == case.language.name()
                && gap.entry.kind == error.kind.name()
                && error.message.contains(&gap.entry.message)
        });
        let Some(gap) = found else { return false };
        gap.all += 1;
        gap.upstream += usize::from(case.from == From::Upstream && !case.selector);
        true
    }

    /// Reports the entries of `language`: an entry must be met, and may only become rarer.
    pub fn report(&self, language: Language, report: &mut Report) {
        for Gap { entry, upstream, all } in self.0.iter().filter(|g| g.entry.language == language.name()) {
            let name = format!("{} gap {}", language.name(), entry.name);
            report.check(
                &name,
                match (all, upstream) {
                    _ if entry.reason.trim().is_empty() => Err("no reason is given".to_owned()),
                    (0, _) => Err("nothing is refused for it: remove it from gaps.toml".to_owned()),
                    (_, upstream) if *upstream > entry.upstream => {
                        Err(format!("{upstream} upstream strings, at most {} are listed", entry.upstream))
                    }
                    _ => Ok(format!("{all} refused, {upstream} of them upstream's")),
                },
            );
        }
    }
}
