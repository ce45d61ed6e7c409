#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::lang::logql::tree::{
    BinaryOperator, Comparison, Expr, ExprId, Filter, FilterId, Grouping, MatchOperator, Stage,
};
use crate::lang::{Feature, QueryErrorKind};

fn tree(text: &str) -> Tree<'_> {
    parse(text, Entry::Expression, Features::NONE.with(Feature::Variants), &QueryLimits::default())
        .unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn kind(text: &str, limits: &QueryLimits) -> Option<QueryErrorKind> {
    parse(text, Entry::Expression, Features::NONE, limits).err().map(|e| e.kind)
}

#[test]
fn nesting_goes_as_deep_as_the_cap_and_no_deeper() {
    let limits = QueryLimits { nesting: 3, ..QueryLimits::default() };
    for (open, close) in [("(", ")"), ("sum(", ")"), ("1^", "")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(kind(&nested(3), &limits), None, "{open}");
        assert_eq!(kind(&nested(4), &limits), Some(QueryErrorKind::Limit), "{open}");
    }
    let range = |d: usize| format!("rate({}{{a=\"b\"}}[5m]{})", "(".repeat(d), ")".repeat(d));
    assert_eq!((kind(&range(3), &limits), kind(&range(4), &limits)), (None, Some(QueryErrorKind::Limit)));
    let filter = |d: usize| format!("{{a=\"b\"}} | {}c=1{}", "(".repeat(d), ")".repeat(d));
    assert_eq!((kind(&filter(3), &limits), kind(&filter(4), &limits)), (None, Some(QueryErrorKind::Limit)));
}

#[test]
fn there_are_as_many_selectors_as_the_cap_and_no_more() {
    let limits = QueryLimits { selectors: 2, ..QueryLimits::default() };
    let selectors = |count: usize| vec!["rate({a=\"b\"}[5m])"; count].join(" + ");
    assert_eq!(kind(&selectors(2), &limits), None);
    assert_eq!(kind(&selectors(3), &limits), Some(QueryErrorKind::Limit));
}

#[test]
fn chains_are_no_nesting_and_take_linear_time() {
    let limits = QueryLimits { tokens: usize::MAX, ..QueryLimits::default() };
    for (start, link) in [
        ("1", "+1"),
        ("{a=\"b\"}", "|=\"c\""),
        ("{a=\"b\"} |= \"c\"", " or \"d\""),
        ("{a=\"b\"} | c=1", ",c=1"),
        ("{a=\"b\"} | c=1", " c=1"),
        ("{a=\"b\"} | c=1", " or c=1"),
        ("{a=\"b\"} | c=1", " and c=1"),
        ("{a=\"b\"}", "|json"),
        ("{a=\"b\"}|drop a", ",b"),
    ] {
        let text = format!("{start}{}", link.repeat(60_000 / link.len()));
        let begun = std::time::Instant::now();
        assert_eq!(kind(&text, &limits), None, "{link}");
        assert!(begun.elapsed().as_secs() < 20, "{link}");
    }
}

#[test]
fn all_shapes_of_a_range_say_the_same() {
    let expected = tree("max_over_time({a=\"b\"} |= \"x\" | unwrap y | z=\"1\" [5m] offset 1m)");
    for text in [
        "max_over_time(({a=\"b\"} |= \"x\" | unwrap y | z=\"1\")[5m] offset 1m)",
        "max_over_time({a=\"b\"}[5m] offset 1m |= \"x\" | unwrap y | z=\"1\")",
        "MAX_OVER_TIME ( ( ( {a=`b`} |= `x` | unwrap y | z=\"\\x31\" [300s] offset 60s ) ) )",
    ] {
        assert_eq!(tree(text), expected, "{text}");
    }
    assert_ne!(tree("max_over_time({a=\"b\"} |= \"x\" | unwrap y | z=\"1\" [5m])"), expected);
}

/// `text`, a chain of label filters on a, b, c…, with all its parentheses.
fn grouped(text: &str) -> String {
    fn show(tree: &Tree<'_>, id: FilterId) -> String {
        match tree.filter(id).unwrap() {
            Filter::And(l, r) => format!("({}&{})", show(tree, *l), show(tree, *r)),
            Filter::Or(l, r) => format!("({}|{})", show(tree, *l), show(tree, *r)),
            Filter::Number { label, .. } => (*label).to_owned(),
            other => panic!("{other:?}"),
        }
    }
    let text = format!("{{x=\"y\"}} | {text}");
    let tree = tree(&text);
    let Some(Expr::Log(query)) = tree.expr(tree.root()) else { panic!("{text}") };
    let [Stage::Label(id)] = tree.stages(query) else { panic!("{text}") };
    show(&tree, *id)
}

#[test]
fn label_filters_group_as_lokis_generator_decides() {
    for (text, expected) in [
        ("a=1 or b=1 and c=1", "(a|(b&c))"),
        ("a=1 and b=1 or c=1", "((a&b)|c)"),
        ("a=1 or b=1 or c=1", "((a|b)|c)"),
        ("a=1 and b=1 and c=1", "((a&b)&c)"),
        ("a=1, b=1 or c=1", "(a&(b|c))"),
        ("a=1 or b=1, c=1", "(a|(b&c))"),
        ("a=1 b=1 or c=1", "(a&(b|c))"),
        ("a=1 or b=1 c=1 or d=1", "(a|(b&(c|d)))"),
        ("a=1 and b=1, c=1 or d=1", "(a&(b&(c|d)))"),
        ("(a=1 or b=1) and c=1", "((a|b)&c)"),
        ("a=1 (b=1 or c=1)", "(a&(b|c))"),
    ] {
        assert_eq!(grouped(text), expected, "{text}");
    }
}

/// `text`, an expression of numbers, with all its parentheses.
fn operated(text: &str) -> String {
    fn show(tree: &Tree<'_>, id: ExprId) -> String {
        match tree.expr(id).unwrap() {
            Expr::Number(n) => n.to_string(),
            Expr::Binary { operator, left, right, .. } => {
                format!("({}{operator:?}{})", show(tree, *left), show(tree, *right))
            }
            other => panic!("{other:?}"),
        }
    }
    let tree = tree(text);
    show(&tree, tree.root())
}

#[test]
fn operators_group_as_the_grammar_says() {
    assert_eq!(operated("1 - 2 - 3"), "((1Subtract2)Subtract3)");
    assert_eq!(operated("1 + 2 * 3 ^ 4 ^ 5"), "(1Add(2Multiply(3Power(4Power5))))");
    assert_eq!(operated("1 == 2 + 3 % 4"), "(1Equal(2Add(3Modulo4)))");
    assert_eq!(operated("(1 + 2) / -3"), "((1Add2)Divide-3)");
    assert_eq!(operated("2 ^ 3 * 4"), "((2Power3)Multiply4)");
}

#[test]
fn a_metric_query_is_read_in_full() {
    let text =
        "topk by (a, b) (2, rate({c=~\"d\"} | e >= 1.5KiB [1m] offset -2s)) > bool on (f) group_left (g) 3";
    let tree = tree(text);
    let Some(Expr::Binary { operator, bool: true, matching: Some(matching), left, .. }) =
        tree.expr(tree.root())
    else {
        panic!()
    };
    assert_eq!(*operator, BinaryOperator::Greater);
    assert!(matching.on);
    assert_eq!(tree.names(matching.labels), ["f"]);
    assert_eq!(matching.group.map(|(_, kept)| tree.names(kept)), Some(&["g"][..]));
    let Some(Expr::VectorAggregation { parameter: Some(2), inner, grouping: Some(grouping), .. }) =
        tree.expr(*left)
    else {
        panic!()
    };
    let Grouping { without: false, labels } = grouping else { panic!() };
    assert_eq!(tree.names(*labels), ["a", "b"]);
    let Some(Expr::RangeAggregation { range, .. }) = tree.expr(*inner) else { panic!() };
    assert_eq!((range.interval, range.offset), (60_000_000_000, -2_000_000_000));
    let selector = tree.selector(range.query.selector).unwrap();
    let [matcher] = tree.matchers(selector) else { panic!() };
    assert_eq!((matcher.label, matcher.operator, &*matcher.value), ("c", MatchOperator::Match, &b"d"[..]));
    assert_eq!(selector.at.0.of(text), "{c=~\"d\"}");
    let [Stage::Label(filter)] = tree.stages(&range.query) else { panic!() };
    let expected = Filter::Bytes { label: "e", comparison: Comparison::GreaterOrEqual, value: 1536 };
    assert_eq!(tree.filter(*filter), Some(&expected));
}

#[test]
fn the_selector_of_an_absence_is_marked() {
    let tree = tree("absent_over_time((({a=\"b\"})[5m])) or rate({c=\"d\"}[5m])");
    assert_eq!(tree.selectors().iter().map(|s| s.absent).collect::<Vec<_>>(), [true, false]);
}
