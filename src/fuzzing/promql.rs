//! PromQL expressions that Prometheus takes, whatever the choices.

use super::choices::{Choices, Tree};

const NAMES: &[&str] =
    &["up", "a:b", "http_requests_total", "sum", "min", "bottomk", "step", "start", "limitk"];
const LABELS: &[&str] = &["a", "tenant", "by", "or", "bool", "le", "_", "tenants"];
const QUOTED: &[&str] = &[
    r#""b""#,
    r#"'b'"#,
    "`b\\d+`",
    r#""\u0061\"}""#,
    r#"'{"'"#,
    r#""a,tenant=\"b\"""#,
    "\"# no comment\"",
    "`}`",
    r#""""#,
    "\"ä𝄞\"",
];
const DURATIONS: &[&str] = &["5m", "1h30m", "300", "1d", "500ms", "2 * 1m", "5m + 30s"];
const NUMBERS: &[&str] = &["1", "0.5", "1e3", "0x1F", "1_000", "Inf", "NaN", "5m", ".5"];
const SPACES: &[&str] = &["", " ", "\n", " # up{}\n ", "\t"];
const DEPTH: usize = 5;

/// An expression, steered by `choices`.
pub(super) fn expression(choices: &mut Choices<'_>) -> Tree {
    let mut writer = Writer { choices, tree: Tree::default() };
    match writer.choices.below(4) {
        0 => writer.scalar(DEPTH),
        1 => writer.range(DEPTH),
        _ => writer.vector(DEPTH),
    }
    writer.tree
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

    /// Between operands, where some space is needed.
    fn gap(&mut self) {
        self.any(&[" ", "\n", " # up{}\n "]);
    }

    /// A vector that stands where an operand must.
    fn operand(&mut self, depth: usize) {
        self.push("(");
        self.vector(depth);
        self.push(")");
    }

    fn vector(&mut self, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return self.selector() };
        match self.choices.below(14) {
            0..=2 => self.selector(),
            3 => self.call_of(&["abs", "ceil", "sort", "timestamp", "deriv_free_name"], depth),
            4 => {
                self.any(&[
                    "rate",
                    "increase",
                    "avg_over_time",
                    "absent_over_time",
                    "changes",
                    "last_over_time",
                ]);
                self.space();
                self.push("(");
                self.range(depth);
                self.push(")");
            }
            5 | 6 => self.aggregation(depth),
            7 | 8 => self.binary(depth),
            9 => {
                self.push("absent(");
                self.vector(depth);
                self.push(")");
            }
            10 => {
                self.push("histogram_quantile(");
                self.scalar(depth);
                self.push(" , ");
                self.vector(depth);
                self.push(")");
            }
            11 => {
                self.push("label_replace(");
                self.vector(depth);
                self.push(r#", "tenant", "$1", "a", "(.*)")"#);
            }
            12 => {
                self.any(&["-", "+", "- -"]);
                self.operand(depth);
            }
            _ => {
                self.push("vector(");
                self.scalar(depth);
                self.push(")");
            }
        }
    }

    fn call_of(&mut self, names: &[&str], depth: usize) {
        let name = self.choices.pick(names);
        // The last name is no function: a vector in parentheses stands for it.
        self.push(if name.contains("free") { "" } else { name });
        self.push("(");
        self.space();
        self.vector(depth);
        self.push(")");
    }

    fn aggregation(&mut self, depth: usize) {
        let grouping = |writer: &mut Self| {
            writer.gap();
            writer.any(&["by", "without", "BY"]);
            writer.space();
            writer.any(&["(a)", "(a, tenant)", "()", "(by,)"]);
        };
        let parameter = self.choices.yes();
        self.any(if parameter {
            &["topk", "bottomk", "quantile"]
        } else {
            &["sum", "avg", "count", "group", "MAX"]
        });
        let (before, after) = (self.choices.yes(), self.choices.yes());
        if before {
            grouping(self);
        }
        self.space();
        self.push("(");
        if parameter {
            self.scalar(depth);
            self.push(",");
        }
        self.vector(depth);
        self.push(")");
        if after && !before {
            grouping(self);
        }
    }

    fn binary(&mut self, depth: usize) {
        self.operand(depth);
        self.gap();
        match self.choices.below(4) {
            0 => {
                self.any(&["and", "or", "unless", "OR"]);
                self.gap();
                self.any(&["", "on(a) ", "ignoring(tenant, a) ", "on() "]);
            }
            1 => {
                self.any(&["+", "-", "*", "/", "%", "^", "atan2"]);
                self.gap();
                self.any(&["", "on(a) ", "on(a) group_left(b) ", "ignoring(a) group_right() "]);
            }
            2 => {
                self.any(&["==", "!=", ">", "<=", "< bool", ">= bool on(a)"]);
                self.gap();
            }
            _ => {
                self.any(&["+", "*", ">", "== bool"]);
                self.gap();
                self.push("(");
                self.scalar(depth);
                return self.push(")");
            }
        }
        self.operand(depth);
    }

    fn scalar(&mut self, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return self.any(NUMBERS) };
        match self.choices.below(6) {
            0..=2 => self.any(NUMBERS),
            3 => self.any(&["time()", "pi()"]),
            4 => {
                self.push("scalar(");
                self.vector(depth);
                self.push(")");
            }
            _ => {
                self.push("(");
                self.scalar(depth);
                self.any(&[" + ", " / ", " ^ ", " > bool "]);
                self.scalar(depth);
                self.push(")");
            }
        }
    }

    fn range(&mut self, depth: usize) {
        if depth > 0 && self.choices.below(3) == 2 {
            self.operand(depth - 1);
            self.any(&["[10m:1m]", "[1h:]", "[ 30m : 5m ]"]);
        } else {
            self.bare_selector();
            self.push("[");
            self.any(DURATIONS);
            self.push("]");
        }
        self.modifiers();
    }

    fn selector(&mut self) {
        self.bare_selector();
        self.modifiers();
    }

    fn modifiers(&mut self) {
        self.any(&["", "", " offset 5m", " offset -1h", " @ 100", " @ end()", " @ start() offset 1m"]);
    }

    fn bare_selector(&mut self) {
        self.tree.selectors += 1;
        let named = self.choices.below(4) != 3;
        if named {
            self.any(NAMES);
            self.space();
            if self.choices.yes() {
                // Nothing, or a name and then a space, is a selector whole.
                self.tree.text.truncate(self.tree.text.trim_end_matches([' ', '\t']).len());
                return self.space();
            }
        }
        self.push("{");
        self.space();
        let own = self.choices.some(4);
        if !named {
            self.any(&[r#"a="b""#, r#"__name__=~"up.+""#, r#""up""#]);
            self.push(if own > 0 { "," } else { "" });
        }
        for index in 0..own {
            self.push(if index > 0 { "," } else { "" });
            self.space();
            self.any(LABELS);
            self.space();
            self.any(&["=", "!=", "=~", "!~"]);
            self.space();
            self.any(QUOTED);
        }
        if own > 0 && self.choices.yes() {
            self.push(" ,");
        }
        self.space();
        self.push("}");
    }
}
