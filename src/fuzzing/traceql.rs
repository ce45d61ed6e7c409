//! TraceQL queries that Tempo 2.9 takes, whatever the choices.

use super::choices::{Choices, Tree};
use crate::lang::traceql::Entry;

const ATTRIBUTES: &[&str] = &[
    ".a",
    "span.http.status_code",
    "resource.tenant",
    "span.tenant",
    ".tenant",
    "event.a",
    "link.b",
    "instrumentation.c",
    ".a+1",
    ".true",
    "duration",
    "name",
    "span:id",
    "kind",
    "rootName",
    "trace:duration",
    "resource.a-b",
];
const STATICS: &[&str] =
    &["1", "1.5", "\"b\"", "`}`", "\" ) } || { ( \"", "100ms", "1h30m", "true", "error", "server", "\"ä𝄞\""];
const ORDERED: &[&str] = &["1", "1.5", "100ms", "1h30m", "-2"];
const EMPTY: &[&str] = &["{}", "{ }", "{true}", "{ true }"];
const SPACES: &[&str] = &[" ", "\n", "  ", "\t "];
const DEPTH: usize = 4;

/// A query and what it is, steered by `choices`.
pub(super) fn query(choices: &mut Choices<'_>) -> (Tree, Entry) {
    let mut writer = Writer { choices, tree: Tree::default() };
    let entry = if writer.choices.below(3) == 2 { Entry::Metrics } else { Entry::Query };
    if entry == Entry::Query && writer.choices.below(4) == 3 {
        writer.combined();
        return (writer.tree, entry);
    }
    writer.pipeline(0);
    if entry == Entry::Metrics {
        writer.push(" | ");
        writer.metrics();
    }
    (writer.tree, entry)
}

struct Writer<'c, 'b> {
    choices: &'c mut Choices<'b>,
    tree: Tree,
}

impl Writer<'_, '_> {
    fn push(&mut self, text: &str) {
        self.tree.push(text);
    }

    fn any(&mut self, of: &[&str]) {
        let text = self.choices.pick(of);
        self.tree.push(text);
    }

    fn space(&mut self) {
        self.any(SPACES);
    }

    /// A pipeline and others in parentheses.
    fn combined(&mut self) {
        self.push("(");
        self.pipeline(1);
        self.push(")");
        for _ in 0..=self.choices.below(2) {
            self.space();
            self.any(&["&&", "||"]);
            self.space();
            self.push("(");
            self.pipeline(0);
            self.push(")");
        }
    }

    /// A pipeline with at least so many stages after the first. It gets a filter in front, which counts as
    /// one, but where it begins with an empty one.
    fn pipeline(&mut self, least: usize) {
        let from = self.tree.text.len();
        if self.choices.below(6) == 5 {
            self.any(&["count() > 2", "by(resource.a)", "select(.a)"]);
        } else {
            self.spanset(DEPTH);
        }
        let first = self.tree.text.get(from..).unwrap_or_default();
        self.tree.selectors += usize::from(!EMPTY.contains(&first));
        for _ in 0..least + self.choices.some(3) {
            self.push(" | ");
            self.stage();
        }
    }

    fn spanset(&mut self, depth: usize) {
        let Some(depth) = depth.checked_sub(1).filter(|_| self.choices.below(3) == 2) else {
            return self.filter();
        };
        self.push("(");
        self.spanset(depth);
        self.push(")");
        self.space();
        self.any(&["&&", "||", ">", ">>", "<", "<<", "~", "!>>", "&>>", "!~", "&~"]);
        self.space();
        self.push("(");
        self.spanset(depth);
        self.push(")");
    }

    fn filter(&mut self) {
        self.tree.selectors += 1;
        match self.choices.below(5) {
            0 => self.any(EMPTY),
            _ => {
                self.push("{");
                self.space();
                self.condition(DEPTH);
                self.space();
                self.push("}");
            }
        }
    }

    fn condition(&mut self, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return self.push(".a") };
        match self.choices.below(7) {
            0..=2 => {
                self.any(&[".a", "span.b", "resource.tenant", ".tenant", ".a+1"]);
                self.space();
                let equality = self.choices.yes();
                self.any(if equality { &["=", "!="] } else { &[">", "<="] });
                self.space();
                self.any(if equality { STATICS } else { ORDERED });
            }
            3 => {
                self.any(ATTRIBUTES);
                self.any(&[" != nil"]);
            }
            4 => {
                self.any(&[".a", "name", "resource.service.name"]);
                self.space();
                self.any(&["=~", "!~"]);
                self.space();
                self.any(&[r#""b.*""#, "`c|d`"]);
            }
            5 => {
                self.push("(");
                self.condition(depth);
                self.push(")");
                self.space();
                self.any(&["&&", "||"]);
                self.space();
                self.condition(depth);
            }
            _ => {
                self.any(&["!", "! "]);
                self.push("(");
                self.condition(depth);
                self.push(")");
            }
        }
    }

    fn stage(&mut self) {
        match self.choices.below(5) {
            0 => self.filter(),
            1 => self.any(&["count() > 2", "avg(duration) > 1s", "max(.a) != 3"]),
            2 => self.any(&["by(resource.a)", "by(.b)", "by(name)"]),
            3 => self.any(&["select(.a)", "select(.a, resource.tenant)"]),
            _ => self.any(&["coalesce()"]),
        }
    }

    fn metrics(&mut self) {
        match self.choices.below(5) {
            0 | 1 => {
                self.any(&[
                    "rate()",
                    "count_over_time()",
                    "quantile_over_time(duration, .5, .9)",
                    "histogram_over_time(duration)",
                ]);
                self.any(&["", " by(.a)", " by(resource.tenant, name)"]);
            }
            2 => {
                self.any(&["min_over_time(.a)", "sum_over_time(duration)"]);
                self.any(&["", " by(.a) | topk(5)", " | bottomk(2)"]);
            }
            3 => {
                self.push("compare(");
                self.filter();
                self.any(&[")", ", 10)"]);
            }
            _ => self.any(&["rate() with(exemplars=true)", "rate() with(most_recent=true)"]),
        }
    }
}
