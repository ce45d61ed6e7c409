//! What an evaluation takes at most, counted before it begins, by the lengths that the token's lists really have.
//!
//! A step is one node of an expression, evaluated once: some 50 ns. What a node does to each element of a list, or to each
//! byte of a text, counts as often.

use super::tables::looked_up;
use super::{CLAIMS, Claims, Expression, TEXT_FUNCTIONS};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::objects::Key;
use cel::{IdedExpr, Value};

/// A pattern of a `matches`, which the crate compiles each time.
const PATTERN_STEPS: usize = 400;
/// A text that is taken out of a table.
const TAKEN_STEPS: usize = 8;
/// Bytes of a text that count as one step where it is taken apart or compared.
const STEP_BYTES: usize = 16;

impl Expression {
    /// Steps of an evaluation over `claims` at most.
    pub fn steps(&self, claims: &Claims<'_>) -> usize {
        let longest_text = claims.longest_text.saturating_mul(self.growth);
        Count { claims, longest_text, bound: Vec::new() }.steps(&self.tree)
    }
}

struct Count<'a> {
    claims: &'a Claims<'a>,
    /// Bytes of the longest text of the token, or of what the expression makes of one.
    longest_text: usize,
    /// The variables of the macros around, and how long what they stand for is, if it is a list.
    bound: Vec<(&'a str, usize)>,
}

impl<'a> Count<'a> {
    fn steps(&mut self, tree: &'a IdedExpr) -> usize {
        let inner = match &tree.expr {
            Expr::Select(select) => self.steps(&select.operand),
            Expr::List(list) => self.all(&list.elements),
            Expr::Map(map) => sum(map.entries.iter().map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => self.steps(&entry.key).saturating_add(self.steps(&entry.value)),
                EntryExpr::StructField(field) => self.steps(&field.value),
            })),
            Expr::Call(call) => {
                let target = call.target.as_deref().map_or(0, |target| self.steps(target));
                sum([target, self.all(&call.args), self.own(call)])
            }
            Expr::Comprehension(loops) => {
                let often = self.length(&loops.iter_range).saturating_add(1);
                let once = sum([self.steps(&loops.iter_range), self.steps(&loops.accu_init)]);
                self.within(loops, |count| {
                    let each = sum([count.steps(&loops.loop_cond), count.steps(&loops.loop_step)]);
                    sum([once, each.saturating_mul(often), count.steps(&loops.result)])
                })
            }
            Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => 0,
        };
        inner.saturating_add(1)
    }

    fn all(&mut self, trees: &'a [IdedExpr]) -> usize {
        sum(trees.iter().map(|tree| self.steps(tree)))
    }

    /// What `count` gives where the variable of a macro is bound.
    fn within<T>(&mut self, loops: &'a ComprehensionExpr, count: impl FnOnce(&mut Self) -> T) -> T {
        let element = self.element(&loops.iter_range);
        self.bound.push((&loops.iter_var, element));
        let counted = count(self);
        self.bound.pop();
        counted
    }

    /// Steps of a call itself, beside those of its parts.
    fn own(&mut self, call: &'a CallExpr) -> usize {
        let text = self.longest_text / STEP_BYTES;
        if looked_up(call).is_some() {
            // A whole list may be taken out of a table, and all of them put together.
            return self.claims.widest.saturating_mul(TAKEN_STEPS).saturating_add(text);
        }
        match call.func_name.as_str() {
            "matches" => PATTERN_STEPS.saturating_add(text),
            "contains" | "startsWith" | "endsWith" | "string" => text,
            name if TEXT_FUNCTIONS.iter().any(|(known, _)| *known == name) => text.saturating_add(10),
            operators::IN | operators::EQUALS | operators::NOT_EQUALS | operators::ADD => {
                self.longest(&call.args).saturating_add(text)
            }
            _ => 0,
        }
    }

    fn longest(&mut self, trees: &'a [IdedExpr]) -> usize {
        trees.iter().map(|tree| self.length(tree)).max().unwrap_or(0)
    }

    /// How many elements the list or map has at most that a tree yields; 0 if it yields none.
    fn length(&mut self, tree: &'a IdedExpr) -> usize {
        if let Some(claim) = self.claim(tree) {
            return claim.map_or(0, length);
        }
        match &tree.expr {
            Expr::List(list) => list.elements.len(),
            Expr::Map(map) => map.entries.len(),
            // `map` and `filter` give one element for each of theirs, at most.
            Expr::Comprehension(loops) => self.length(&loops.iter_range),
            Expr::Ident(name) => self.bound.iter().rev().find(|bound| bound.0 == name).map_or(0, |b| b.1),
            Expr::Call(call) if looked_up(call).is_some() => self.claims.widest,
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::ADD, parts) => sum(parts.iter().map(|part| self.length(part))),
                (operators::CONDITIONAL, [_, parts @ ..]) => self.longest(parts),
                ("split", _) => self.longest_text.saturating_add(1),
                (operators::INDEX, _) => self.any(),
                _ => 0,
            },
            Expr::Select(_) => self.any(),
            _ => 0,
        }
    }

    /// The same of any of the elements of the list that a tree yields.
    fn element(&mut self, tree: &'a IdedExpr) -> usize {
        if let Some(claim) = self.claim(tree) {
            return match claim {
                Some(Value::List(items)) => items.iter().map(length).max().unwrap_or(0),
                // What is gone through of a map are its keys.
                _ => 0,
            };
        }
        match &tree.expr {
            Expr::List(list) => self.longest(&list.elements),
            Expr::Comprehension(loops) => match appended(&loops.loop_step) {
                Some(element) => self.within(loops, |count| count.length(element)),
                None => 0,
            },
            // The lists of tables are of texts.
            Expr::Call(call) if looked_up(call).is_some() => 0,
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::ADD | operators::CONDITIONAL, parts) => {
                    parts.iter().map(|part| self.element(part)).max().unwrap_or(0)
                }
                ("split", _) => 0,
                _ => self.any(),
            },
            _ => self.any(),
        }
    }

    /// The length of a list of which nothing is known.
    fn any(&self) -> usize {
        self.claims.longest.max(self.claims.widest)
    }

    /// What a path of claims leads to, such as `claims.realm_access.roles` or `claims['groups']`; `None` if it is no path.
    fn claim(&self, tree: &IdedExpr) -> Option<Option<&'a Value>> {
        let member = |of: &IdedExpr, name: &str| {
            Some(match self.claim(of)? {
                Some(Value::Map(map)) => map.map.get(&Key::from(name)),
                _ => None,
            })
        };
        match &tree.expr {
            Expr::Ident(name) if name == CLAIMS => Some(Some(&self.claims.value)),
            Expr::Select(select) if !select.test => member(&select.operand, &select.field),
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                [of, name] => match &name.expr {
                    Expr::Literal(LiteralValue::String(name)) => member(of, name.inner()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }
}

fn length(value: &Value) -> usize {
    match value {
        Value::List(items) => items.len(),
        Value::Map(map) => map.map.len(),
        _ => 0,
    }
}

/// What the step of `map` or `filter` appends: `@result + [this]`, perhaps on a condition.
fn appended(step: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &step.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::CONDITIONAL, [_, step, _]) => appended(step),
        (operators::ADD, [_, list]) => match &list.expr {
            Expr::List(list) => list.elements.first(),
            _ => None,
        },
        _ => None,
    }
}

fn sum(parts: impl IntoIterator<Item = usize>) -> usize {
    parts.into_iter().fold(0, usize::saturating_add)
}
