//! LogQL's selectors and pipelines over the bookstore's lines.
//!
//! Evaluated: line filters over text and patterns, `json`, and label filters over strings. Semantics:
//! Loki's `pkg/logql/log` (`filter.go`, `parser.go`, `label_filter.go`).

use crate::demo::data::Labels;
use crate::demo::select::{self, Selection};
use crate::lang::logql::tree::{
    Filter, FilterId, LineOperator, LogQuery, MatchOperator, Matcher, Selector, Stage, Tree,
};
use crate::lang::matcher::MatchOp;
use regex::Regex;

/// The matchers of `selector`, ready to be tried.
///
/// # Errors
/// Patterns that cannot be matched here as there.
pub fn selection(tree: &Tree<'_>, selector: &Selector) -> Result<Selection, String> {
    one_by_one(tree.matchers(selector))
}

fn one_by_one<'a>(matchers: &'a [Matcher<'a>]) -> Result<Selection, String> {
    let operator = |m: &Matcher<'_>| match m.operator {
        MatchOperator::Equal => MatchOp::Equal,
        MatchOperator::NotEqual => MatchOp::NotEqual,
        MatchOperator::Match => MatchOp::Regex,
        MatchOperator::NotMatch => MatchOp::NotRegex,
    };
    Selection::new(matchers.iter().map(|m| (m.label, operator(m), &*m.value))).map_err(|e| e.to_string())
}

/// The stages of a log query, ready to be run.
#[derive(Debug)]
pub struct Pipeline(Vec<Step>);

#[derive(Debug)]
enum Step {
    /// The line passes if one of the tests holds, or none.
    Line {
        passes: bool,
        tests: Vec<LineTest>,
    },
    Json,
    Labels(LabelTest),
}

#[derive(Debug)]
enum LineTest {
    Contains(Vec<u8>),
    Matches(Regex),
}

#[derive(Debug)]
enum LabelTest {
    Matcher(Selection),
    And(Box<LabelTest>, Box<LabelTest>),
    Or(Box<LabelTest>, Box<LabelTest>),
}

impl Pipeline {
    /// The stages of `query`.
    ///
    /// # Errors
    /// The first stage that is not evaluated here.
    pub fn new(tree: &Tree<'_>, query: &LogQuery) -> Result<Self, String> {
        let step = |stage: &Stage<'_>| match stage {
            Stage::Line { operator, alternatives } => {
                let (passes, pattern) = match operator {
                    LineOperator::Contains => (true, false),
                    LineOperator::ContainsNot => (false, false),
                    LineOperator::Match => (true, true),
                    LineOperator::NotMatch => (false, true),
                    LineOperator::Pattern | LineOperator::NotPattern => return Err(unknown("`|>` and `!>`")),
                };
                let test = |line: &crate::lang::logql::tree::LineText<'_>| match (line.ip, pattern) {
                    (true, _) => Err(unknown("`ip`")),
                    (false, false) => Ok(LineTest::Contains(line.text.to_vec())),
                    (false, true) => {
                        Ok(LineTest::Matches(select::anywhere(&line.text).map_err(|e| e.to_string())?))
                    }
                };
                let tests = tree.lines(*alternatives).iter().map(test).collect::<Result<_, _>>()?;
                Ok(Step::Line { passes, tests })
            }
            Stage::Json(extractions) if tree.extractions(*extractions).is_empty() => Ok(Step::Json),
            Stage::Label(filter) => Ok(Step::Labels(label_test(tree, *filter, 0)?)),
            other => Err(unknown(&format!("the stage {}", name(other)))),
        };
        Ok(Self(tree.stages(query).iter().map(step).collect::<Result<_, _>>()?))
    }

    /// The labels of `line` of a stream with `labels`, if it passes.
    ///
    /// # Errors
    /// What cannot be answered as Loki would.
    pub fn run(&self, labels: &Labels, line: &str) -> Result<Option<Labels>, String> {
        let mut all = labels.clone();
        for step in &self.0 {
            match step {
                Step::Line { passes, tests } => {
                    let holds = tests.iter().any(|t| t.holds(line));
                    if holds != *passes {
                        return Ok(None);
                    }
                }
                Step::Json => extract(labels, line, &mut all)?,
                Step::Labels(test) => {
                    if !test.holds(&all) {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(all))
    }
}

impl LineTest {
    fn holds(&self, line: &str) -> bool {
        match self {
            Self::Contains(text) => {
                text.is_empty() || line.as_bytes().windows(text.len()).any(|part| part == text)
            }
            Self::Matches(pattern) => pattern.is_match(line),
        }
    }
}

impl LabelTest {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Self::Matcher(selection) => selection.takes(labels),
            Self::And(left, right) => left.holds(labels) && right.holds(labels),
            Self::Or(left, right) => left.holds(labels) || right.holds(labels),
        }
    }
}

/// How deep a label filter may be.
const MAX_DEPTH: usize = 200;

fn label_test(tree: &Tree<'_>, id: FilterId, depth: usize) -> Result<LabelTest, String> {
    if depth > MAX_DEPTH {
        return Err(unknown("label filters this deep"));
    }
    let inner = |id| label_test(tree, id, depth + 1).map(Box::new);
    match tree.filter(id) {
        Some(Filter::And(left, right)) => Ok(LabelTest::And(inner(*left)?, inner(*right)?)),
        Some(Filter::Or(left, right)) => Ok(LabelTest::Or(inner(*left)?, inner(*right)?)),
        Some(Filter::Text(matcher)) => Ok(LabelTest::Matcher(one_by_one(std::slice::from_ref(matcher))?)),
        _ => Err(unknown("label filters over numbers, durations, bytes and addresses")),
    }
}

/// The fields of a line of JSON as labels. One that the stream has as a label gets `_extracted` after its
/// name. Loki marks lines that are no JSON with an error label; such lines are not evaluated here.
fn extract(stream: &Labels, line: &str, labels: &mut Labels) -> Result<(), String> {
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(line).map_err(|_| unknown("`json` over lines that are no JSON"))?;
    for (name, value) in fields {
        let serde_json::Value::String(value) = value else {
            return Err(unknown("`json` over fields that are no strings"));
        };
        let name = if stream.contains_key(&name) { format!("{name}_extracted") } else { name };
        labels.insert(name, value);
    }
    Ok(())
}

fn name(stage: &Stage<'_>) -> &'static str {
    match stage {
        Stage::Line { .. } => "line filter",
        Stage::Json(_) => "`json` with extractions",
        Stage::Logfmt { .. } => "`logfmt`",
        Stage::Regexp(_) => "`regexp`",
        Stage::Pattern(_) => "`pattern`",
        Stage::Unpack => "`unpack`",
        Stage::LineFormat(_) => "`line_format`",
        Stage::LabelFormat(_) => "`label_format`",
        Stage::Decolorize => "`decolorize`",
        Stage::Drop(_) => "`drop`",
        Stage::Keep(_) => "`keep`",
        Stage::Label(_) => "label filter",
    }
}

/// The refusal of a construct that is not evaluated.
pub fn unknown(what: &str) -> String {
    format!("the demo does not evaluate {what}")
}
