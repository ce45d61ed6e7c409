//! LogQL expressions that Loki takes, whatever the choices.

use super::choices::{Choices, Tree};

const LABELS: &[&str] = &["app", "tenant", "sum", "rate", "duration", "tenants", "_"];
const VALUES: &[&str] = &[
    r#""b""#,
    "`b\\d+`",
    r#""\u0061\"}""#,
    "`{`",
    r#""a\", tenant=\"b""#,
    "\"# // /* no comment\"",
    "`}`",
    "\"ä𝄞\"",
];
const RANGES: &[&str] = &["[5m]", "[1h30m]", "[0]", "[300ms]"];
const SPACES: &[&str] = &["", " ", "\n", " # {app=`x`}\n "];
/// What may stand between a function and its parenthesis: Loki looks for that past spaces only.
const CALL_SPACES: &[&str] = &["", " ", "\n"];
const DEPTH: usize = 4;

/// An expression, steered by `choices`.
pub(super) fn expression(choices: &mut Choices<'_>) -> Tree {
    let mut writer = Writer { choices, tree: Tree::default() };
    if writer.choices.yes() {
        writer.metric(DEPTH)
    } else {
        writer.log_query()
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

    fn log_query(&mut self) {
        self.selector();
        for _ in 0..self.choices.some(4) {
            self.push(" ");
            self.stage();
        }
    }

    fn selector(&mut self) {
        self.tree.selectors += 1;
        self.push("{");
        self.space();
        // At least one matcher does not match the empty string.
        self.any(&[r#"app="web""#, r#"app=~"w.+""#, "app!=``", r#"tenant="globex""#]);
        for _ in 0..self.choices.some(3) {
            self.push(",");
            self.space();
            self.any(LABELS);
            self.any(&["=", "!=", "=~", " !~ "]);
            self.any(VALUES);
        }
        self.space();
        self.push("}");
    }

    fn stage(&mut self) {
        match self.choices.below(10) {
            0..=2 => {
                self.any(&["|=", "!=", "|~", "!~", "|>", "!>"]);
                self.space();
                self.any(&[r#""b <_> c""#, "`d <_>`", "\"{app=`x`} <_>\""]);
            }
            3 => self.any(&[r#"|= "a" or "b""#, r#"|= ip("10.0.0.0/8")"#]),
            4 => self.any(&[
                "| json",
                "| logfmt",
                "| logfmt --strict",
                "| unpack",
                "| decolorize",
                r#"| json a="b.c""#,
            ]),
            5 => self.any(&["| regexp `(?P<a>.*)`", "| pattern `<a> <_>`", "| line_format `{{.a}} }`"]),
            6 => self.any(&[
                "| label_format tenant=app",
                "| label_format a=`{{.tenant}}`",
                "| drop tenant",
                "| keep a, b",
            ]),
            7 => self.any(&[
                r#"| tenant="acme""#,
                "| a > 5",
                "| d >= 100ms",
                "| s < 5KB",
                r#"| a = ip("::1")"#,
            ]),
            8 => {
                self.push("| ");
                self.any(&["a > 1 or b < 2", r#"a = "b" and c != "d""#, r#"(a =~ "b" , c > 1)"#]);
            }
            _ => self.any(&["| json # {a=`b`}\n", "| __error__=``"]),
        }
    }

    fn metric(&mut self, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return self.over_range() };
        match self.choices.below(8) {
            0..=2 => self.over_range(),
            3 | 4 => {
                self.any(&["sum", "avg", "max", "COUNT", "topk", "bottomk"]);
                let takes_number = self.tree.text.ends_with('k');
                let before = self.choices.yes();
                if before {
                    self.any(&[" by (app)", " without (tenant)", " by ()"]);
                }
                self.any(CALL_SPACES);
                self.push("(");
                self.push(if takes_number { "3, " } else { "" });
                self.metric(depth);
                self.push(")");
                if !before {
                    self.any(&["", " by (app, level)"]);
                }
            }
            5 | 6 => {
                self.push("(");
                self.metric(depth);
                self.push(") ");
                if self.choices.yes() {
                    self.any(&[
                        "+",
                        "-",
                        "*",
                        "/",
                        "%",
                        "^",
                        ">",
                        "== bool",
                        "and",
                        "or",
                        "unless on(app)",
                        "/ on(app) group_left()",
                    ]);
                    self.push(" (");
                    self.metric(depth);
                    self.push(")");
                } else {
                    self.any(&["* 2", "> 0.5", "or vector(0)", "== bool 1"]);
                }
            }
            _ => {
                self.push("label_replace(");
                self.metric(depth);
                self.push(r#", "tenant", "$1", "app", "(.*)")"#);
            }
        }
    }

    fn over_range(&mut self) {
        match self.choices.below(4) {
            0 | 1 => {
                self.any(&["rate", "count_over_time", "bytes_rate", "absent_over_time", "Rate"]);
                self.any(CALL_SPACES);
                self.push("(");
                self.range();
                self.push(")");
            }
            2 => {
                self.any(&["sum_over_time", "max_over_time", "avg_over_time"]);
                self.push("(");
                self.log_query();
                self.any(&[" | unwrap a ", " | unwrap duration(d) ", r#" | unwrap a | b="c" "#]);
                self.any(RANGES);
                self.push(")");
            }
            _ => {
                self.push("quantile_over_time(0.99, ");
                self.selector();
                self.push(" | unwrap a ");
                self.any(RANGES);
                self.any(&[") by (app)", ")"]);
            }
        }
    }

    fn range(&mut self) {
        match self.choices.below(3) {
            0 => {
                self.log_query();
                self.push(" ");
                self.any(RANGES);
            }
            1 => {
                self.push("(");
                self.log_query();
                self.push(")");
                self.any(RANGES);
            }
            _ => {
                self.selector();
                self.any(RANGES);
                self.any(&["", " | json", " offset 5m", r#" |= "a""#]);
            }
        }
    }
}
