//! Every question three times: Palisade before FULL, Palisade before TWIN, TWIN itself.
//!
//! The first two answers are the same in all but what `random.toml` names, whatever others hold: that is the promise.
//! The last two are equal or a difference that `equal.toml` names, which tells what Palisade does not do as the
//! backend does.

use std::collections::BTreeMap;

use crate::compare::{Asked, Rules};
use crate::http::Answer;

/// What was found for one kind of backend, or one language.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Questions that were asked of Palisade before FULL and before TWIN.
    pub asked: usize,
    /// Those whose answers are not the same.
    pub interference: usize,
    /// Answers that are TWIN's.
    pub equal: usize,
    /// Those that differ as it is named.
    pub named: usize,
    /// Those that differ otherwise.
    pub different: usize,
}

/// The counts, by kind.
#[derive(Debug, Default)]
pub struct Ways(BTreeMap<String, Counts>);

/// The answers to one question.
pub struct Answers<'a> {
    /// Of Palisade before FULL.
    pub full: &'a Answer,
    /// Of Palisade before TWIN, where TWIN has exactly what the caller may see.
    pub beside: Option<&'a Answer>,
    /// Of TWIN.
    pub twin: &'a Answer,
    /// TWIN was asked another question, which the case gives a reason for.
    pub otherwise: bool,
}

impl Ways {
    /// Counts the answers to one question under `kind`; an error says how they differ.
    pub fn compare(
        &mut self,
        rules: &Rules,
        kind: &str,
        asked: Asked<'_>,
        answers: &Answers<'_>,
    ) -> Result<(), String> {
        self.interference(rules, kind, asked, answers.full, answers.beside)?;
        let counts = self.0.entry(kind.to_owned()).or_default();
        if !answers.otherwise && rules.equal(asked, answers.full, answers.twin) {
            counts.equal += 1;
            return Ok(());
        }
        match rules.differ(asked, answers.full, answers.twin, false) {
            None => {
                counts.named += 1;
                Ok(())
            }
            Some(place) => {
                counts.different += 1;
                Err(format!("Palisade / TWIN {place}; Palisade said {}", said(answers.full)))
            }
        }
    }

    /// The first two answers alone, for what TWIN itself cannot be asked.
    pub fn interference(
        &mut self,
        rules: &Rules,
        kind: &str,
        asked: Asked<'_>,
        full: &Answer,
        beside: Option<&Answer>,
    ) -> Result<(), String> {
        let Some(beside) = beside else { return Ok(()) };
        let counts = self.0.entry(kind.to_owned()).or_default();
        counts.asked += 1;
        match rules.interferes(asked, full, beside) {
            None => Ok(()),
            Some(place) => {
                counts.interference += 1;
                Err(format!(
                    "INTERFERENCE before FULL / before TWIN {place}; before FULL {}; before TWIN {}",
                    said(full),
                    said(beside)
                ))
            }
        }
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        for (kind, more) in &other.0 {
            let counts = self.0.entry(kind.clone()).or_default();
            counts.asked += more.asked;
            counts.interference += more.interference;
            counts.equal += more.equal;
            counts.named += more.named;
            counts.different += more.different;
        }
    }

    /// Counts of one kind.
    pub fn of(&self, kind: &str) -> Counts {
        self.0.get(kind).copied().unwrap_or_default()
    }

    /// Prints a line for each kind.
    pub fn print(&self, of: &str) {
        for (kind, n) in &self.0 {
            println!(
                "{of} / {kind}: {} asked both ways, interference {}; fidelity: {} equal, {} named, {} different",
                n.asked, n.interference, n.equal, n.named, n.different
            );
        }
    }
}

/// The start of an answer.
fn said(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.text().chars().take(300).collect::<String>())
}
