//! What another PromQL parser, the crate `promql-parser`, finds in a scoped text.
//!
//! It is no judge of what PromQL is: it refuses valid queries, knows no feature flags, panics on some
//! numbers, and takes time quadratic in operators. So only short texts are shown to it, and a refusal
//! or a panic is no opinion. But where it reads the text and finds a selector without the scope, one
//! of the two readers is wrong, and nothing may be sent. Its types stay in this file.

use super::Entry;
use super::lex::Kind;
use super::parse::{self, Read};
use super::scope::{self, Carried, NOTHING, push_pattern};
use super::tree::Expr;
use crate::lang::matcher::MatchOp;
use crate::lang::{Features, QueryError, ScopedText};
use crate::limits::QueryLimits;
use crate::tenant::{ScopeMatcher, ScopeMatchers};
use promql_parser::label::{MatchOp as TheirOp, Matcher as Theirs};
use promql_parser::parser::{Expr as Their, VectorSelector, parse as parse_theirs};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Longest scoped text that is shown to the other parser, in bytes.
pub const MAX_BYTES: usize = 1024;
/// Most operators, because its time is quadratic in them.
pub const MAX_OPERATORS: usize = 64;
/// Deepest nesting, because it recurses.
pub const MAX_NESTING: usize = 32;
/// Longest of the caller's patterns, in bytes, because it compiles them.
pub const MAX_PATTERN: usize = 64;

/// What the other parser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opinion {
    /// It finds the same number of selectors, each with the scope.
    Agrees,
    /// The text is over a cap and was not shown to it.
    NotAsked,
    /// It refuses the text.
    Refuses,
    /// It panicked.
    Panicked,
}

impl Opinion {
    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::NotAsked => "not_asked",
            Self::Refuses => "refuses",
            Self::Panicked => "panicked",
        }
    }
}

/// [`scope`](super::scope()), and then what the other parser says of the result.
///
/// # Errors
/// What [`scope`](super::scope()) refuses; `defect` if the other parser reads the scoped text and
/// finds other selectors, or one that lacks the scope.
pub fn scope_with_second_opinion(
    text: &str,
    entry: Entry,
    features: Features,
    limits: &QueryLimits,
    scope: &ScopeMatchers,
) -> Result<(ScopedText, Opinion), QueryError> {
    let read = parse::read(text, entry, features, limits)?;
    parse::check_selectors(&read.tree, entry)?;
    if parse::is_everything(&read.tree, entry) {
        return scope::scope_selector(scope, limits).map(|scoped| (scoped, Opinion::NotAsked));
    }
    let (scoped, carried) = scope::write(text, &read, entry, features, limits, scope)?;
    let opinion = ask(&read, &carried, scoped.as_str(), scope)?;
    Ok((scoped, opinion))
}

/// Asks about `scoped`, which was made from `read`.
fn ask(
    read: &Read<'_>,
    carried: &[Carried],
    scoped: &str,
    scope: &ScopeMatchers,
) -> Result<Opinion, QueryError> {
    if scoped.len() > MAX_BYTES || !is_small(read) {
        return Ok(Opinion::NotAsked);
    }
    // Nothing of ours is changed inside, so nothing can be left half changed.
    let theirs = match catch_unwind(AssertUnwindSafe(|| parse_theirs(scoped))) {
        Ok(Ok(theirs)) => theirs,
        Ok(Err(_)) => return Ok(Opinion::Refuses),
        Err(_) => return Ok(Opinion::Panicked),
    };
    let expected = Expected {
        scope: scope.iter().map(|matcher| (matcher, pattern(matcher))).collect(),
        own_allowed: carried.iter().any(|carried| !carried.own.is_empty()),
        nothing_allowed: carried.iter().any(|carried| carried.nothing),
    };
    let (found, lacking) = expected.count(&theirs);
    if lacking > 0 {
        return Err(QueryError::defect("second opinion: a selector lacks the scope"));
    }
    if found != carried.len() {
        return Err(QueryError::defect("second opinion: another number of selectors"));
    }
    Ok(Opinion::Agrees)
}

/// Whether the other parser can read the text in reasonable time.
fn is_small(read: &Read<'_>) -> bool {
    let operators =
        read.tree.nodes.iter().filter(|n| matches!(n.expr, Expr::Binary { .. } | Expr::Unary { .. }));
    let (mut depth, mut deepest) = (0_usize, 0);
    for token in &read.tokens {
        match token.kind {
            Kind::LeftParen | Kind::LeftBracket | Kind::LeftBrace => depth += 1,
            Kind::RightParen | Kind::RightBracket | Kind::RightBrace => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    // A counted repetition multiplies what is compiled.
    let costly = |pattern: &[u8]| pattern.len() > MAX_PATTERN || pattern.contains(&b'{');
    let mut patterns =
        read.tree.matchers.iter().filter(|m| matches!(m.op, MatchOp::Regex | MatchOp::NotRegex));
    operators.count() <= MAX_OPERATORS && deepest <= MAX_NESTING && !patterns.any(|m| costly(&m.value))
}

fn pattern(matcher: &ScopeMatcher) -> String {
    let mut pattern = String::new();
    push_pattern(&mut pattern, matcher);
    pattern
}

/// What each selector must carry, with its values as a pattern.
struct Expected<'s> {
    scope: Vec<(&'s ScopeMatcher, String)>,
    own_allowed: bool,
    nothing_allowed: bool,
}

impl Expected<'_> {
    /// How many selectors `theirs` has, and how many of them lack the scope. The crate's own visitors
    /// leave out the parameters of aggregations; this walk does not.
    fn count(&self, theirs: &Their) -> (usize, usize) {
        let (mut found, mut lacking) = (0, 0);
        let mut open = vec![theirs];
        while let Some(expr) = open.pop() {
            let selector = match expr {
                Their::VectorSelector(selector) => selector,
                Their::MatrixSelector(range) => &range.vs,
                Their::Aggregate(aggregate) => {
                    open.push(&aggregate.expr);
                    open.extend(aggregate.param.as_deref());
                    continue;
                }
                Their::Unary(unary) => {
                    open.push(&unary.expr);
                    continue;
                }
                Their::Binary(binary) => {
                    open.extend([&*binary.lhs, &*binary.rhs]);
                    continue;
                }
                Their::Paren(paren) => {
                    open.push(&paren.expr);
                    continue;
                }
                Their::Subquery(subquery) => {
                    open.push(&subquery.expr);
                    continue;
                }
                Their::Call(call) => {
                    open.extend(call.args.args.iter().map(|argument| &**argument));
                    continue;
                }
                Their::NumberLiteral(_) | Their::StringLiteral(_) => continue,
                // Never made by the parser; counted as one that lacks the scope.
                Their::Extension(_) => {
                    lacking += 1;
                    continue;
                }
            };
            found += 1;
            lacking += usize::from(!self.is_in(selector));
        }
        (found, lacking)
    }

    /// Whether `selector` carries the scope, in all of the alternatives that its grammar knows.
    fn is_in(&self, selector: &VectorSelector) -> bool {
        let matchers = &selector.matchers;
        let has = |op: fn(&TheirOp) -> bool| {
            matchers.matchers.iter().any(|m| m.name == NOTHING && op(&m.op) && m.value == ".+")
        };
        let reads_nothing =
            has(|op| matches!(op, TheirOp::Re(_))) && has(|op| matches!(op, TheirOp::NotRe(_)));
        matchers.or_matchers.is_empty() && self.nothing_allowed && reads_nothing
            || matchers.or_matchers.is_empty()
                && self.scope.iter().all(|(expected, pattern)| {
                    matchers.matchers.iter().any(|theirs| self.says(theirs, expected, pattern))
                })
    }

    fn says(&self, theirs: &Theirs, expected: &ScopeMatcher, pattern: &str) -> bool {
        if theirs.name != *expected.label {
            return false;
        }
        match theirs.op {
            TheirOp::Equal => {
                let single = expected.values.single().is_some_and(|value| value.as_str() == theirs.value);
                single || self.own_allowed && expected.values.contains(&theirs.value)
            }
            TheirOp::Re(_) => theirs.value == pattern,
            _ => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::lang::QueryErrorKind;
    use crate::lang::corpus_tests::{cases, matchers};

    const ALL: fn() -> Features = || crate::lang::Feature::ALL.into_iter().collect();

    fn asked(text: &str) -> Opinion {
        let limits = QueryLimits::default();
        let scope = matchers("tenant=a region=b,c");
        scope_with_second_opinion(text, Entry::Expression, ALL(), &limits, &scope).unwrap().1
    }

    /// The opinion on `scoped`, which is said to be made from a text like `text`.
    fn on(text: &str, scoped: &str) -> Result<Opinion, QueryErrorKind> {
        let limits = QueryLimits::default();
        let read = parse::read(text, Entry::Expression, ALL(), &limits).unwrap();
        let carried: Vec<_> =
            read.places.iter().map(|_| Carried { absent: false, own: Vec::new(), nothing: false }).collect();
        ask(&read, &carried, scoped, &matchers("tenant=a")).map_err(|error| error.kind)
    }

    #[test]
    fn it_agrees_with_what_is_right() {
        for text in [
            "up",
            "sum by (a) (rate(x{b=\"c\"}[5m]))",
            "topk(scalar(x), y)",
            "absent(x{tenant=\"a\"})",
            "absent(x{tenant=\"b\"})",
            "1 + 2",
            "max_over_time(rate(x[1m])[5m:1m]) or -y",
        ] {
            assert_eq!(asked(text), Opinion::Agrees, "{text}");
        }
    }

    #[test]
    fn it_finds_what_is_not_confined() {
        assert_eq!(on("x", "x{tenant=\"a\"}"), Ok(Opinion::Agrees));
        for (text, scoped) in [
            ("x", "x"),
            ("x", "x{tenant!=\"a\"}"),
            ("x", "x{tenant=\"b\"}"),
            ("x", "x{tenant=~\"a|b\"}"),
            ("x", "x{tenant=\"a\" or b=\"c\"}"),
            ("topk(scalar(x), y)", "topk(scalar(x), y{tenant=\"a\"})"),
            ("x + y", "x{tenant=\"a\"} + 1"),
        ] {
            assert_eq!(on(text, scoped), Err(QueryErrorKind::Defect), "{scoped}");
        }
    }

    #[test]
    fn a_refusal_or_a_panic_is_no_opinion() {
        assert_eq!(asked("x smoothed"), Opinion::Refuses);
        assert_eq!(on("x", "a[1e400]"), Ok(Opinion::Panicked));
    }

    #[test]
    fn caps_hold_at_their_edges() {
        let name = |bytes: usize| "x".repeat(bytes - "{region=~\"b|c\",tenant=\"a\"}".len());
        assert_eq!(asked(&name(MAX_BYTES)), Opinion::Agrees);
        assert_eq!(asked(&name(MAX_BYTES + 1)), Opinion::NotAsked);

        let sum = |operators: usize| format!("1{}", "+1".repeat(operators));
        assert_eq!(asked(&sum(MAX_OPERATORS)), Opinion::Agrees);
        assert_eq!(asked(&sum(MAX_OPERATORS + 1)), Opinion::NotAsked);

        let deep = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(asked(&deep(MAX_NESTING)), Opinion::Agrees);
        assert_eq!(asked(&deep(MAX_NESTING + 1)), Opinion::NotAsked);

        let pattern = |bytes: usize| format!("x{{a=~\"{}\"}}", "b".repeat(bytes));
        assert_eq!(asked(&pattern(MAX_PATTERN)), Opinion::Agrees);
        assert_eq!(asked(&pattern(MAX_PATTERN + 1)), Opinion::NotAsked);
        assert_eq!(asked("x{a=~\"(b{9}){9}\"}"), Opinion::NotAsked);
    }

    #[test]
    fn it_contradicts_no_case_of_the_corpus() {
        for (name, case) in cases("promql") {
            let limits = QueryLimits::default();
            let entry = if case.entry == "selector" { Entry::Selector } else { Entry::Expression };
            let alone = super::super::scope(&case.query, entry, case.features, &limits, &case.scope());
            let asked = scope_with_second_opinion(&case.query, entry, case.features, &limits, &case.scope());
            assert_eq!(asked.map(|(scoped, _)| scoped), alone, "{name}");
        }
    }
}
