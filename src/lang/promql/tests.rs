use super::invariants::check_invariants;
use super::tree::{At, BinaryOp, Expr, Number};
use super::*;
use crate::lang::corpus_tests::{cases, matchers};
use crate::lang::{Feature, Features, QueryError, QueryErrorKind, ScopedText};
use crate::limits::QueryLimits;
use proptest::prelude::*;

fn read(text: &str) -> Tree<'_> {
    parse(text, Entry::Expression, Features::NONE, &QueryLimits::default()).unwrap()
}

fn scoped(text: &str, limits: &QueryLimits) -> Result<ScopedText, QueryError> {
    scope(text, Entry::Expression, Features::NONE, limits, &matchers("tenant=a"))
}

fn is_over(result: Result<ScopedText, QueryError>) -> bool {
    result.is_err_and(|error| error.kind == QueryErrorKind::Limit)
}

#[test]
fn the_tree_says_what_the_text_says() {
    let tree = read("sum by (a) (rate(x{b!=\"\\x41\"}[5m] offset 1m @ end())) + on(c) 2^-y");
    let Expr::Binary { op: BinaryOp::Add, left, right, matching: Some(matching), .. } =
        tree.node(tree.root()).expr
    else {
        panic!("{tree:?}")
    };
    assert_eq!(tree.labels(tree.matching(matching).unwrap().labels), ["c"]);
    let Expr::Aggregate { expr, labels, without: false, parameter: None, .. } = tree.node(left).expr else {
        panic!("{tree:?}")
    };
    assert_eq!(tree.labels(labels), ["a"]);
    let Expr::Call { function, arguments } = tree.node(expr).expr else { panic!("{tree:?}") };
    assert_eq!((function.name, tree.arguments(arguments).len()), ("rate", 1));
    let Expr::Range { selector, range } = tree.node(tree.arguments(arguments)[0]).expr else {
        panic!("{tree:?}")
    };
    assert_eq!(tree.seconds(range, 1.0, 1.0), 300.0);
    let selector = tree.selector(selector).unwrap();
    assert_eq!(selector.name.as_deref(), Some("x"));
    assert_eq!(*tree.matchers(selector)[0].value, *b"A");
    assert_eq!(selector.shift.at, Some(At::End));
    assert_eq!(tree.seconds(selector.shift.offset.unwrap(), 1.0, 1.0), 60.0);
    let Expr::Binary { op: BinaryOp::Pow, left, .. } = tree.node(right).expr else { panic!("{tree:?}") };
    assert_eq!(tree.node(left).expr, Expr::Number(Number(2.0)));
}

#[test]
fn operators_bind_as_in_prometheus() {
    for (one, other) in [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("-a ^ b", "-(a ^ b)"),
        ("-a * b", "(-a) * b"),
        ("a or b and c", "a or (b and c)"),
        ("a == b + c", "a == (b + c)"),
        ("a ^ -b * c", "(a ^ (-b)) * c"),
        ("a * b atan2 c", "(a * b) atan2 c"),
    ] {
        assert_eq!(shape(one), shape(other), "{one}");
        assert_ne!(shape(one), shape("a + b + c"), "{one}");
    }
}

/// The operators of `text` with their operands, parentheses left out.
fn shape(text: &str) -> String {
    fn write(tree: &Tree<'_>, id: tree::NodeId) -> String {
        match &tree.node(id).expr {
            Expr::Paren(inner) => write(tree, *inner),
            Expr::Unary { expr, .. } => format!("[- {}]", write(tree, *expr)),
            Expr::Binary { op, left, right, .. } => {
                format!("[{} {op:?} {}]", write(tree, *left), write(tree, *right))
            }
            Expr::Selector(selector) => tree.selector(*selector).unwrap().name.clone().unwrap().into_owned(),
            other => panic!("{other:?}"),
        }
    }
    let tree = read(text);
    write(&tree, tree.root())
}

#[test]
fn durations_are_worth_what_they_say() {
    for (text, seconds) in [
        ("x[1h30m]", 5400.0),
        ("x[2 * (step() + 1) ^ 2]", 242.0),
        ("x[max_of(range(), 5m) / 2 - 1]", 499.0),
        ("x[min_of(range(), 5m) % 7]", 6.0),
        ("x[--5m]", 300.0),
        ("x[5 - -(step())]", 15.0),
    ] {
        let tree = read(text);
        let Expr::Range { range, .. } = tree.node(tree.root()).expr else { panic!("{tree:?}") };
        assert_eq!(tree.seconds(range, 10.0, 1000.0), seconds, "{text}");
    }
}

#[test]
fn trees_compare_by_what_they_say() {
    assert_eq!(read("sum(up{a='b'})"), read("sum ( up { a = \"b\" } )"));
    assert_ne!(read("up{a='b'}"), read("up{a!='b'}"));
    assert_ne!(read("up offset 5m"), read("up offset 6m"));
    assert_eq!(read("NaN"), read("nan"));
}

#[test]
fn the_scope_alone_is_a_selector() {
    let limits = QueryLimits::default();
    let alone = |scope: &str| scope_selector(&matchers(scope), &limits).unwrap().into_string();
    assert_eq!(alone("tenant=a"), "{tenant=\"a\"}");
    assert_eq!(alone("tenant=a.b,c region=eu"), "{region=\"eu\",tenant=~\"a\\\\.b|c\"}");
}

#[test]
fn a_label_that_is_no_identifier_is_a_defect() {
    for label in ["a-b", "a.b", "__name__", "", "a\"b"] {
        let value = crate::tenant::ScopeValue::parse("a").unwrap();
        let values = crate::tenant::Values::new(vec![value]).unwrap();
        let scope = crate::tenant::Scope::new([("tenant".to_owned(), values)].into()).unwrap();
        let matchers = scope.in_labels(|_| Some(label)).unwrap();
        let result =
            super::scope("up", Entry::Expression, Features::NONE, &QueryLimits::default(), &matchers);
        assert_eq!(result.map_err(|e| e.kind), Err(QueryErrorKind::Defect), "{label}");
    }
}

#[test]
fn caps_hold_at_their_edges() {
    let default = QueryLimits::default();
    for (limits, fits, over) in [
        (QueryLimits { bytes: 5, ..default.clone() }, "x + y", "x + yy"),
        (QueryLimits { tokens: 3, ..default.clone() }, "x + y", "-x + y"),
        (QueryLimits { nesting: 2, ..default.clone() }, "((x))", "(((x)))"),
        (QueryLimits { nesting: 2, ..default.clone() }, "--x", "---x"),
        (QueryLimits { nesting: 2, ..default.clone() }, "x^x^x", "x^x^x^x"),
        (QueryLimits { nesting: 2, ..default.clone() }, "abs(abs(x))", "abs(abs(abs(x)))"),
        (QueryLimits { nesting: 2, ..default.clone() }, "x[((1))]", "x[(((1)))]"),
        (QueryLimits { nesting: 2, ..default.clone() }, "x[--1]", "x[---1]"),
        (QueryLimits { selectors: 2, ..default.clone() }, "x + y", "x + y + z"),
        (QueryLimits { scoped_promql_bytes: 13, ..default.clone() }, "x", "xx"),
        (QueryLimits { scoped_promql_bytes: 13, ..default.clone() }, "  x  # comment", "( x)"),
    ] {
        assert!(scoped(fits, &limits).is_ok(), "{fits}: {:?}", scoped(fits, &limits));
        assert!(is_over(scoped(over, &limits)), "{over}");
    }
}

#[test]
fn deep_and_long_texts_take_no_stack_and_linear_time() {
    let limits = QueryLimits::default();
    let wrap = |n: usize, open: &str, close: &str| format!("{}x{}", open.repeat(n), close.repeat(n));
    assert!(scoped(&wrap(limits.nesting, "(", ")"), &limits).is_ok());
    assert!(
        scoped(&wrap(limits.nesting, "1 or 1 and 1==1+1*1^(", ")").replace("1 ", "x "), &limits).is_err()
    );
    assert!(is_over(scoped(&wrap(limits.nesting + 1, "(", ")"), &limits)));
    assert!(is_over(scoped(&wrap(30_000, "(", ")"), &limits)));
    assert!(is_over(scoped(&wrap(60_000, "-", ""), &limits)));
    assert!(is_over(scoped(&wrap(16_000, "abs(", ""), &limits)));
    let sum = format!("x{}", "+x".repeat(limits.selectors - 1));
    assert_eq!(scoped(&sum, &limits).unwrap().selectors(), limits.selectors);
    let numbers = format!("1{}", "+1".repeat(8_000));
    assert_eq!(scoped(&numbers, &limits).unwrap().as_str(), numbers);
}

#[test]
fn every_case_of_the_corpus_holds_the_invariants() {
    for (_, case) in cases("promql") {
        check_invariants(&case.query);
    }
}

#[test]
fn functions_need_their_feature() {
    let limits = QueryLimits::default();
    let with = |features| parse("mad_over_time(x[5m])", Entry::Expression, features, &limits).map(|_| ());
    assert_eq!(with(Features::NONE).map_err(|e| e.kind), Err(QueryErrorKind::Unsupported));
    assert_eq!(with(Features::NONE.with(Feature::PromqlExperimentalFunctions)), Ok(()));
}

/// Pieces that mean something somewhere, to be strung together.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "x",
        "{",
        "}",
        "a=\"b\"",
        "tenant=\"a.b\"",
        "\"m\"",
        ",",
        "(",
        ")",
        "[",
        "]",
        "5m",
        ":",
        "1",
        "+",
        "-",
        "^",
        " ",
        "\n",
        "#c\n",
        "offset",
        "@",
        "start()",
        "absent(",
        "absent_over_time(",
        "sum",
        "by",
        "(a)",
        "on",
        "group_left",
        "or",
        "and",
        "bool",
        ">",
        "==",
        "fill",
        "rate(",
        "anchored",
        "'",
        "`",
        "\\",
        "=~",
        "!~",
        "topk(",
        "scalar(",
        "inf",
        "step()",
        "max_of(",
        "0x",
        "é",
        "\u{fffd}",
        "{}",
        "[5m]",
        "[5m:]",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A case of the corpus with a part of another one put over a part of it.
fn mutated() -> impl Strategy<Value = String> {
    let texts: Vec<String> = cases("promql").into_iter().map(|(_, case)| case.query).collect();
    let text = prop::sample::select(texts);
    (text.clone(), text, any::<[prop::sample::Index; 4]>()).prop_map(|(one, other, [a, b, c, d])| {
        let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
        let part = |of: &[char], from: prop::sample::Index, to: prop::sample::Index| {
            let (from, to) = (from.index(of.len() + 1), to.index(of.len() + 1));
            from.min(to)..from.max(to)
        };
        let (cut, insert) = (part(&one, a, b), part(&other, c, d));
        let pieces = [&one[..cut.start], &other[insert], &one[cut.end..]];
        pieces.concat().into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_holds_the_invariants(text in ".{0,64}") {
        check_invariants(&text);
    }

    #[test]
    fn strung_pieces_hold_the_invariants(text in pieces()) {
        check_invariants(&text);
    }

    #[test]
    fn mutated_cases_hold_the_invariants(text in mutated()) {
        check_invariants(&text);
    }
}

/// Federation takes what `match[]` elsewhere may not be; a selector of no matchers finds nothing there, and with
/// the scope would find everything.
#[test]
fn only_federation_takes_a_selector_that_may_match_nothing() {
    let limits = QueryLimits::default();
    let scope = matchers("tenant=a");
    let scoped = |text, entry| {
        super::scope(text, entry, Features::NONE, &limits, &scope).ok().map(|s| s.into_string())
    };
    for (text, expected) in [
        (r#"{__name__=~".*"}"#, r#"{tenant="a",__name__=~".*"}"#),
        (r#"{tenant=""}"#, r#"{tenant="a",tenant=""}"#),
    ] {
        assert_eq!(scoped(text, Entry::AnySelector).as_deref(), Some(expected));
        assert_eq!(scoped(text, Entry::Selector), None);
    }
    for text in ["{}", "{ # x\n }", "up[5m]", "up or up", r#"{a=~"("}"#] {
        assert_eq!(scoped(text, Entry::AnySelector), None, "{text}");
    }
}
