//! Expressions over the claims of a token: the Common Expression Language (CEL,
//! <https://github.com/google/cel-spec>), read and evaluated by the `cel` crate, which is used in this
//! module only.
//!
//! The expression is the operator's, the claims are not: what an evaluation may cost is bounded when the
//! expression is compiled, and a panic of the crate is an evaluation error like others.

mod meant;
mod steps;
mod tables;

pub(super) use tables::Tables;

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::{Context, Env, ExecutionError, IdedExpr, Value, extensions};
use meant::meant;
use serde_json::{Map, Value as Json};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use tables::looked_up;

/// Bytes of one expression.
pub const MAX_EXPRESSION_BYTES: usize = 4096;
/// Depth of an expression's tree, macros expanded. Evaluating recurses, on a worker's stack, and takes
/// more than 32 KiB a level in a debug build.
const MAX_DEPTH: usize = 24;
/// Grammar rules that may be open at once while an expression is read; the crate's own default is 96.
const MAX_OPEN_RULES: u16 = 48;
/// Stack of the thread that reads an expression; only what is used is ever committed.
const READER_STACK_BYTES: usize = 32 * 1024 * 1024;
/// Macros (`filter`, `exists`, …) within one another. Each multiplies the work by the length of a list
/// in the token.
const MAX_LOOPS: usize = 2;
/// Steps of all expressions over one token: they take less than a second.
const MAX_STEPS: usize = 8_000_000;
/// Steps that a worker may take at once: a few milliseconds.
pub(super) const SHORT_STEPS: usize = 50_000;
/// Bytes of the pattern of a `matches`.
const MAX_PATTERN_BYTES: usize = 256;

/// What an expression is about.
const CLAIMS: &str = "claims";
/// The tables that it may look things up in.
const MAPS: &str = "maps";

/// CEL's standard functions that are of use over claims. The list is closed so that a misspelt name is
/// found when the file is loaded, and not when the first caller is denied.
const FUNCTIONS: [&str; 23] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "type",
    "flatten",
    "charAt",
    "indexOf",
    "join",
    "lastIndexOf",
    "lowerAscii",
    "replace",
    "reverse",
    "split",
    "substring",
    "trim",
    "upperAscii",
];

/// Those of them that take texts apart, as the strings extension of cel-go names them (`ext/strings.go`), with how many
/// of their first arguments are texts. `format` and `strings.quote` are left out: nothing of a scope is made by them.
const TEXT_FUNCTIONS: [(&str, usize); 11] = [
    ("charAt", 0),
    ("indexOf", 1),
    ("join", 1),
    ("lastIndexOf", 1),
    ("lowerAscii", 0),
    ("replace", 2),
    ("reverse", 0),
    ("split", 1),
    ("substring", 0),
    ("trim", 0),
    ("upperAscii", 0),
];
/// How many times as long texts may become by `replace` and `join` of one expression.
const MAX_GROWTH: usize = 64;

/// CEL's operators, by the crate's names for them, and what its macros are expanded to.
const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
];

/// CEL's types by name, for `type(claims.groups) == list`.
const TYPES: [&str; 8] = ["string", "list", "map", "int", "uint", "double", "bool", "null_type"];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // What it declares is declared nowhere else, so it cannot fail; without it the functions are unknown.
    let _ = env.add_extension(extensions::strings).and_then(|()| env.add_extension(extensions::lists));
    Arc::new(env)
});

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression {
    source: Box<str>,
    tree: IdedExpr,
    /// How many times as long as those of the token its texts become at most.
    growth: usize,
    /// Whether it looks something up.
    looks_up: bool,
    /// The claims that it names.
    claims: BTreeSet<String>,
}

/// What an expression yields, as far as rules tell results apart.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Boolean(bool),
    Text(Arc<String>),
    /// A list of strings; may be empty.
    Texts(Vec<Arc<String>>),
    /// A list of which some element is no string.
    MixedList,
    /// Null, a number, a map.
    Other,
}

/// A token's claims, ready for any number of expressions.
pub(super) struct Claims<'t> {
    context: Context<'t, 'static>,
    value: Value,
    /// Elements of the longest list or map.
    longest: usize,
    /// Bytes of the longest text.
    longest_text: usize,
    /// Elements of the longest list of a table.
    widest: usize,
    /// Steps that expressions over them may still take.
    left: Cell<usize>,
}

impl<'t> Claims<'t> {
    pub fn new(claims: &Map<String, Json>, tables: &'t Tables) -> Self {
        let mut context = tables.context.new_inner_scope();
        let value = object(claims);
        context.add_variable_from_value(CLAIMS, value.clone());
        let inner = claims.values().map(longest).max().unwrap_or(0);
        Self {
            context,
            value,
            longest: claims.len().max(inner),
            longest_text: claims.values().map(longest_text).max().unwrap_or(0),
            widest: tables.widest,
            left: MAX_STEPS.into(),
        }
    }

    /// The same, for no more than `steps` of all expressions together.
    pub fn within(self, steps: usize) -> Self {
        self.left.set(steps);
        self
    }
}

fn longest(json: &Json) -> usize {
    match json {
        Json::Array(items) => items.iter().map(longest).max().unwrap_or(0).max(items.len()),
        Json::Object(members) => members.values().map(longest).max().unwrap_or(0).max(members.len()),
        _ => 0,
    }
}

fn longest_text(json: &Json) -> usize {
    match json {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(longest_text).max().unwrap_or(0),
        Json::Object(members) => members.iter().map(|(k, v)| longest_text(v).max(k.len())).max().unwrap_or(0),
        _ => 0,
    }
}

/// Numbers as an operator writes them in an expression: whole ones as `int` where they fit, so that
/// `claims.level >= 3` has operands of one type.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::UInt(uint),
            (None, None) => n.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(s) => Value::String(Arc::new(s.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(value).collect())),
        Json::Object(members) => object(members),
    }
}

fn object(members: &Map<String, Json>) -> Value {
    let members: HashMap<String, Value> = members.iter().map(|(k, v)| (k.clone(), value(v))).collect();
    Value::Map(members.into())
}

impl Expression {
    /// Reads an expression and holds it to the bounds of this file.
    ///
    /// # Errors
    /// What is wrong, for the author of the file.
    pub fn compile(text: &str, tables: &Tables) -> Result<Self, String> {
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(format!("expression over the limit of {MAX_EXPRESSION_BYTES} bytes"));
        }
        // Reading 48 open rules takes more than a worker's 2 MiB stack in a debug build.
        std::thread::scope(|threads| {
            let reader = std::thread::Builder::new().stack_size(READER_STACK_BYTES);
            let reader =
                reader.spawn_scoped(threads, || read(text, tables)).map_err(|error| error.to_string())?;
            reader.join().unwrap_or_else(|_| Err("expression cannot be read".to_owned()))
        })
    }

    /// As it is written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The claims that the expression names, at their first level: `realm_access` of
    /// `claims.realm_access.roles`; `*` where a name is computed.
    pub fn claims(&self) -> &BTreeSet<String> {
        &self.claims
    }

    /// Whether it can be seen to be false for every token: it names no claim and is not true, or it requires
    /// two different texts of one claim.
    pub fn is_never_true(&self) -> bool {
        if self.claims.is_empty() {
            let tables = Tables::default();
            return !self.looks_up
                && self.evaluate(&Claims::new(&Map::new(), &tables)) != Ok(Answer::Boolean(true));
        }
        let mut required: BTreeMap<String, &str> = BTreeMap::new();
        let mut open = vec![&self.tree];
        while let Some(tree) = open.pop() {
            let Expr::Call(call) = &tree.expr else { continue };
            match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::LOGICAL_AND, both) => open.extend(both),
                (operators::EQUALS, [a, b]) => {
                    let Some((path, text)) = equality(a, b).or_else(|| equality(b, a)) else { continue };
                    if required.insert(path, text).is_some_and(|other| other != text) {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Evaluates over `claims`.
    ///
    /// # Errors
    /// Why there is no result. The text holds names of the expression, never values of the token.
    pub fn evaluate(&self, claims: &Claims<'_>) -> Result<Answer, String> {
        let Some(left) = claims.left.get().checked_sub(self.steps(claims)) else {
            return Err("the token's lists are too long for the expressions over them".to_owned());
        };
        claims.left.set(left);
        // Unwind safety: neither the tree nor the context is changed by an evaluation.
        let result = catch_unwind(AssertUnwindSafe(|| Value::resolve(&self.tree, &claims.context)))
            .map_err(|_| "the evaluation panicked".to_owned())?
            .map_err(|error| fault(&error, &self.source))?;
        Ok(match result {
            Value::Bool(b) => Answer::Boolean(b),
            Value::String(text) => Answer::Text(text),
            Value::List(items) => texts(&items).map_or(Answer::MixedList, Answer::Texts),
            _ => Answer::Other,
        })
    }
}

/// Reads and checks `text`; a tree that is refused is dropped here, where there is stack for it.
fn read(text: &str, tables: &Tables) -> Result<Expression, String> {
    let tree = ENV.parser().max_recursion_depth(MAX_OPEN_RULES).parse(text).map_err(|errors| match errors
        .errors
        .first()
    {
        Some(error) => {
            let hint = meant(text).map_or(String::new(), |hint| format!("; {hint}"));
            format!("{} (at {}:{} of the expression){hint}", error.msg, error.pos.0, error.pos.1)
        }
        None => "expression cannot be read".to_owned(),
    })?;
    let mut check = Check { bound: Vec::new(), growth: 1, tables, looks_up: false, claims: BTreeSet::new() };
    check.expression(&tree, 0, false)?;
    let Check { growth, looks_up, claims, .. } = check;
    Ok(Expression { source: text.into(), tree, growth, looks_up, claims })
}

/// The claim and the text of `claims.a.b == 'text'`.
fn equality<'a>(claim: &IdedExpr, text: &'a IdedExpr) -> Option<(String, &'a str)> {
    let Expr::Literal(LiteralValue::String(text)) = &text.expr else { return None };
    let mut path = String::new();
    let mut inner = claim;
    loop {
        match &inner.expr {
            Expr::Select(select) if !select.test => {
                path.push_str(&select.field);
                path.push('\n');
                inner = &select.operand;
            }
            Expr::Ident(name) if name == CLAIMS && !path.is_empty() => return Some((path, text.inner())),
            _ => return None,
        }
    }
}

/// The elements, if all are strings.
fn texts(items: &[Value]) -> Option<Vec<Arc<String>>> {
    let text = |item: &Value| match item {
        Value::String(text) => Some(Arc::clone(text)),
        _ => None,
    };
    items.iter().map(text).collect()
}

/// The crate's message where it names parts of the expression or types; else a class, because the
/// crate prints values.
fn fault(error: &ExecutionError, source: &str) -> String {
    match error {
        // A key that is computed may be a value of the token.
        ExecutionError::NoSuchKey(key) if source.contains(key.as_str()) => format!("no such key `{key}`"),
        ExecutionError::NoSuchKey(_) => "no such key".to_owned(),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::UndeclaredReference(name) => format!("unknown name `{name}`"),
        ExecutionError::FunctionError { function, .. } => format!("function `{function}` failed"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "number out of range".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "list index out of bounds".to_owned(),
        _ => "wrong types".to_owned(),
    }
}

/// The walk that holds a tree to the closed lists and the bounds.
struct Check<'a> {
    /// The variables of the macros around, innermost last.
    bound: Vec<&'a str>,
    /// How many times as long a text has become at most.
    growth: usize,
    /// What can be looked up in.
    tables: &'a Tables,
    /// Whether something is looked up.
    looks_up: bool,
    /// The claims named so far.
    claims: BTreeSet<String>,
}

impl<'a> Check<'a> {
    /// `compared` says that the parent is an equality, the only place where a type may stand: elsewhere
    /// the crate turns it into a string, and `scope: { tenant: string }` would grant a tenant `string`.
    fn expression(&mut self, tree: &'a IdedExpr, depth: usize, compared: bool) -> Result<(), String> {
        if depth >= MAX_DEPTH {
            return Err(format!("expression nested over the limit of {MAX_DEPTH}"));
        }
        let deeper = depth.saturating_add(1);
        match &tree.expr {
            Expr::Ident(name) => self.name(name, compared),
            Expr::Literal(_) => Ok(()),
            Expr::Select(select) => {
                if is_claims(&select.operand) {
                    self.claims.insert(select.field.clone());
                }
                self.expression(&select.operand, deeper, false)
            }
            Expr::List(list) => list.elements.iter().try_for_each(|e| self.expression(e, deeper, false)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key, deeper, false)?;
                    self.expression(&entry.value, deeper, false)
                }
                EntryExpr::StructField(_) => Err("messages are not supported".to_owned()),
            }),
            Expr::Call(call) => {
                let function = call.func_name.as_str();
                let equality = matches!(function, operators::EQUALS | operators::NOT_EQUALS);
                let expanded = function == operators::NOT_STRICTLY_FALSE;
                if !OPERATORS.contains(&function) && !FUNCTIONS.contains(&function) && !expanded {
                    return Err(format!("unknown function `{function}`"));
                }
                if function == "matches" {
                    call.args.last().map_or(Ok(()), pattern)?;
                }
                if let Some((_, texts)) = TEXT_FUNCTIONS.into_iter().find(|(name, _)| *name == function) {
                    self.taken_apart(function, call.args.get(..texts).unwrap_or(&call.args))?;
                }
                if function == "type" && !compared {
                    return Err("`type(…)` can only be compared with `==` or `!=`".to_owned());
                }
                self.claims.extend(named_claim(call));
                if let Some((table, key)) = looked_up(call) {
                    if !self.tables.tables.contains_key(table) {
                        return Err(format!("unknown map `{table}`, name its file in `{MAPS}`"));
                    }
                    self.looks_up = true;
                    return self.expression(key, deeper, false);
                }
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    self.expression(part, deeper, equality)?;
                }
                Ok(())
            }
            Expr::Comprehension(loops) => {
                self.expression(&loops.iter_range, deeper, false)?;
                self.expression(&loops.accu_init, deeper, false)?;
                self.looped(&loops.iter_var, |check| {
                    check.expression(&loops.loop_cond, deeper, false)?;
                    check.expression(&loops.loop_step, deeper, false)?;
                    check.expression(&loops.result, deeper, false)
                })
            }
            Expr::Struct(_) => Err("messages are not supported".to_owned()),
            Expr::Unspecified => Err("expression is empty".to_owned()),
        }
    }

    /// Holds a function that takes texts apart to texts of the expression itself, and to how long it may make what it
    /// is given: a text of the token's would be the caller's.
    fn taken_apart(&mut self, function: &str, arguments: &[IdedExpr]) -> Result<(), String> {
        let mut given = Vec::with_capacity(2);
        for argument in arguments {
            let Expr::Literal(LiteralValue::String(text)) = &argument.expr else {
                return Err(format!("what `{function}` looks for, and puts in, must be texts in quotes"));
            };
            if text.inner().len() > MAX_PATTERN_BYTES {
                return Err(format!("text over the limit of {MAX_PATTERN_BYTES} bytes"));
            }
            given.push(text.inner().len());
        }
        let grows = match (function, given.as_slice()) {
            ("replace", [0, new]) => new.saturating_add(1),
            ("replace", [old, new]) => new.div_ceil(*old),
            ("join", [between]) => between.saturating_add(1),
            _ => 1,
        };
        self.growth = self.growth.saturating_mul(grows.max(1));
        if self.growth > MAX_GROWTH {
            return Err(format!("`{function}` makes texts more than {MAX_GROWTH} times as long"));
        }
        Ok(())
    }

    fn looped(
        &mut self,
        variable: &'a str,
        body: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.bound.len() >= MAX_LOOPS {
            return Err(format!("more than {MAX_LOOPS} macros within one another"));
        }
        if variable == CLAIMS || variable == MAPS {
            return Err(format!("`{variable}` cannot be the variable of a macro"));
        }
        self.bound.push(variable);
        body(self)?;
        self.bound.pop();
        Ok(())
    }

    /// A name that starts with `@` is a macro's own; no text can spell it.
    fn name(&self, name: &str, compared: bool) -> Result<(), String> {
        if name == CLAIMS || name.starts_with('@') || self.bound.contains(&name) {
            Ok(())
        } else if TYPES.contains(&name) {
            if compared {
                Ok(())
            } else {
                Err(format!("type `{name}` can only be compared with `type(…)`"))
            }
        } else {
            if name == MAPS {
                return Err(format!("a map is asked by `KEY in {MAPS}.NAME` and `{MAPS}.NAME[KEY]` only"));
            }
            Err(format!(
                "unknown name `{name}`, only `{CLAIMS}` is known (a text is quoted twice: `'\"{name}\"'`)"
            ))
        }
    }
}

fn is_claims(tree: &IdedExpr) -> bool {
    matches!(&tree.expr, Expr::Ident(name) if name == CLAIMS)
}

/// The claim that `claims['x']` or `'x' in claims` names; any other use of all claims names `*`.
fn named_claim(call: &CallExpr) -> Option<String> {
    let name = match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::INDEX, [all, name]) if is_claims(all) => name,
        (operators::IN, [name, all]) if is_claims(all) => name,
        _ => {
            let mut parts = call.target.as_deref().into_iter().chain(&call.args);
            return parts.any(is_claims).then(|| "*".to_owned());
        }
    };
    match &name.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
        _ => Some("*".to_owned()),
    }
}

/// Holds the pattern of a `matches` to a text of the expression itself, and to one that compiles: a
/// pattern of the token's would be the caller's, and a bad one would deny only when it is reached.
fn pattern(tree: &IdedExpr) -> Result<(), String> {
    let Expr::Literal(LiteralValue::String(text)) = &tree.expr else {
        return Err("the pattern of `matches` must be a text".to_owned());
    };
    if text.inner().len() > MAX_PATTERN_BYTES {
        return Err(format!("pattern over the limit of {MAX_PATTERN_BYTES} bytes"));
    }
    let call =
        CallExpr { func_name: "matches".to_owned(), target: None, args: vec![tree.clone(), tree.clone()] };
    let call = IdedExpr { id: 0, expr: Expr::Call(call) };
    match Value::resolve(&call, &Context::with_env(Arc::clone(&ENV))) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{}` is no regular expression", text.inner())),
    }
}

#[cfg(test)]
mod tests;
