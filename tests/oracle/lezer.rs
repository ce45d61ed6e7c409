//! npm's grammars for editors as a third opinion on how many selectors a query has. They are written
//! independently of the backends, and lenient: only their count counts, where all three accept.

use crate::Installed;
use crate::judge::{Verdict, line};
use crate::ours::{Answer, Language};
use crate::report::Report;
use crate::sources::Case;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Asks node, if there is one.
pub struct Lezer {
    folder: Option<PathBuf>,
    counts: BTreeMap<Language, Count>,
}

#[derive(Default)]
struct Count {
    agree: usize,
    differ: usize,
    refused: usize,
}

#[derive(Serialize)]
struct Asked<'a> {
    lang: &'static str,
    query: &'a str,
}

#[derive(Deserialize)]
struct Opinion {
    ok: bool,
    selectors: usize,
}

impl Lezer {
    /// Where `install.sh` put it, if it did.
    pub fn new(installed: &Installed) -> Self {
        Self { folder: installed.get("lezer").cloned(), counts: BTreeMap::new() }
    }

    /// Compares the number of selectors where we and the backend accept.
    pub fn compare(
        &mut self,
        cases: &[Case],
        answers: &[Answer],
        verdicts: &[Verdict],
    ) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let all = cases.iter().zip(answers).zip(verdicts);
        let accepted: Vec<_> = all
            .filter(|((case, answer), verdict)| !case.selector && answer.outcome.is_ok() && verdict.ok)
            .map(|((case, _), verdict)| (case, verdict.selectors.len()))
            .collect();
        let asked = |case: &Case| line(&Asked { lang: case.language.name(), query: &case.query });
        let lines: Vec<String> = accepted.iter().map(|(case, _)| asked(case)).collect();
        let mut node = Command::new("node")
            .arg(folder.join("count.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("node: {e}"))?;
        let mut stdin = BufWriter::new(node.stdin.take().ok_or("no pipe")?);
        let writer = std::thread::spawn(move || lines.iter().try_for_each(|l| stdin.write_all(l.as_bytes())));
        let answers = BufReader::new(node.stdout.take().ok_or("no pipe")?).lines();
        let mut opinions = 0;
        for ((case, selectors), answer) in accepted.iter().zip(answers) {
            let answer = answer.map_err(|e| e.to_string())?;
            let opinion: Opinion = serde_json::from_str(&answer).map_err(|e| format!("{e}: {answer}"))?;
            let count = self.counts.entry(case.language).or_default();
            opinions += 1;
            match opinion {
                Opinion { ok: false, .. } => count.refused += 1,
                Opinion { selectors: n, .. } if n == *selectors => count.agree += 1,
                Opinion { selectors: n, .. } => {
                    count.differ += 1;
                    if count.differ <= 5 {
                        println!("lezer: {n} selectors, not {selectors}: {:?}", case.query);
                    }
                }
            }
        }
        writer.join().map_err(|_| "the writer panicked")?.map_err(|e| format!("node: {e}"))?;
        node.wait().map_err(|e| e.to_string())?;
        if opinions == accepted.len() { Ok(()) } else { Err("node did not answer each line".to_owned()) }
    }

    /// Reports the counts.
    pub fn report(&self, report: &mut Report) {
        for (language, count) in &self.counts {
            let Count { agree, differ, refused } = count;
            let name = format!("{} lezer", language.name());
            report.check(
                &name,
                match (differ, agree) {
                    (0, 1..) => {
                        Ok(format!("{agree} queries with as many selectors, {refused} it does not read"))
                    }
                    _ => Err(format!(
                        "{differ} queries with other numbers of selectors, {agree} with the same"
                    )),
                },
            );
        }
    }
}
