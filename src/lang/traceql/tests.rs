//! The corpus, the properties, the caps, and the tree as a caller sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::intrinsic::Intrinsic;
use super::invariants::{check_invariants, tenants};
use super::lex::lex;
use super::tree::{Attribute, AttributeScope, NodeKind, Static};
use super::{Entry, chunk, parse, scope, scope_selector, unrestricted};
use crate::lang::{Feature, Features, QueryErrorKind, corpus_tests};
use crate::limits::QueryLimits;
use crate::tenant::{SaltKey, Scope, ScopeMatchers};
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn entry(case: &corpus_tests::Case) -> Entry {
    match case.entry.as_str() {
        "" | "query" => Entry::Query,
        "metrics" => Entry::Metrics,
        other => panic!("unknown entry `{other}`"),
    }
}

fn limits() -> QueryLimits {
    QueryLimits::default()
}

/// The refusal's kind, `None` if it is scoped.
fn refused(text: &str, limits: &QueryLimits) -> Option<QueryErrorKind> {
    scope(text, Entry::Query, Features::NONE, limits, &tenants(&["acme"])).err().map(|e| e.kind)
}

#[test]
fn corpus() {
    corpus_tests::run("traceql", |case| {
        scope(&case.query, entry(case), case.features, &limits(), &case.scope())
    });
}

#[test]
fn the_corpus_keeps_the_invariants() {
    corpus_tests::cases("traceql").iter().for_each(|(_, case)| check_invariants(&case.query));
}

#[test]
fn the_scope_alone() {
    let scoped = scope_selector(&tenants(&["acme"]), &limits()).unwrap();
    assert_eq!(scoped.as_str(), r#"{ resource.tenant = "acme" }"#);
    let scoped = scope_selector(&tenants(&["b.c", "a"]), &limits()).unwrap();
    assert_eq!(scoped.as_str(), r#"{ resource.tenant =~ "^(?:a|b\\.c)$" }"#);
    assert_eq!(scoped.selectors(), 1);
}

#[test]
fn a_scope_of_1024_tenants_is_laid_out() {
    let names: Vec<_> = (0..1024).map(|n| format!("tenant-{n}.eu")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let scoped =
        scope("{ .a } && by(.b)", Entry::Query, Features::NONE, &limits(), &tenants(&names)).unwrap_err();
    assert_eq!(scoped.kind, QueryErrorKind::Syntax);
    let scoped =
        scope("{ .a } && { .b }", Entry::Query, Features::NONE, &limits(), &tenants(&names)).unwrap();
    assert_eq!(scoped.selectors(), 3);
}

/// What `text` becomes with a salt, and the salt.
fn salted(text: &str, entry: Entry, of: &ScopeMatchers) -> (String, String) {
    let of = of.clone().salted(SaltKey::new(&[7; SaltKey::MIN_BYTES]));
    let salt = of.salt().unwrap().as_str().to_owned();
    let scoped = match of.is_unrestricted() {
        true => unrestricted(text, entry, Features::NONE, &limits(), &of).unwrap(),
        false => scope(text, entry, Features::NONE, &limits(), &of).unwrap(),
    };
    (scoped.into_string(), salt)
}

#[test]
fn atk_61_every_text_ends_in_the_salt_of_its_scope() {
    let everyone = Scope::unrestricted().in_labels(|_| None).unwrap();
    for (entry, text, hints) in [
        (Entry::Query, "{ .a }", ""),
        (Entry::Query, "{}", ""),
        (Entry::Query, "({ .a } | count() > 1) && ({ .b }) with(sample=0.1)", ""),
        (Entry::Query, "{ .a } with ( most_recent = true )", "most_recent = true, "),
        (
            Entry::Query,
            "{ .a } with(exemplars=1) with(most_recent=true, exemplars=2)",
            "most_recent=true, exemplars=2, ",
        ),
        (Entry::Metrics, "{} | rate() with(exemplars=5) with(sample=true)", ""),
        (
            Entry::Metrics,
            "{} | rate() with(sample=true,exemplars=5, debug=true , most_recent=false)",
            "exemplars=5 , most_recent=false, ",
        ),
        (Entry::Metrics, "{} | rate() | topk(3) with(palisade=\"mine\", exemplars=5)", "exemplars=5, "),
    ] {
        let plain = |of: &ScopeMatchers| match of.is_unrestricted() {
            true => unrestricted(text, entry, Features::NONE, &limits(), of).unwrap(),
            false => scope(text, entry, Features::NONE, &limits(), of).unwrap(),
        };
        for of in [tenants(&["acme"]), tenants(&["acme", "globex"]), everyone.clone()] {
            let (sent, salt) = salted(text, entry, &of);
            let list = sent.split_once("with").unwrap().1.replace(' ', "");
            assert_eq!(list, format!("({hints}palisade=\"{salt}\")").replace(' ', ""), "{sent}");
            assert_eq!(sent.matches("with").count(), 1, "{sent}");
            assert!(!sent.contains("sample") && !sent.contains("mine"), "{sent}");
            // Without a salt there are the kept hints alone.
            let plain = plain(&of);
            assert_eq!(plain.as_str().contains("with"), !hints.is_empty(), "{}", plain.as_str());
            assert!(sent.starts_with(plain.as_str().trim_end_matches([')', ' '])), "{sent}");
            assert_eq!(plain.selectors() == 0, of.is_unrestricted());
        }
    }
}

#[test]
fn a_long_text_has_its_salt_too() {
    for bytes in 700..1100 {
        let text = format!("{{ .a = \"{}\" }} with(exemplars=1)", "x".repeat(bytes));
        let (sent, salt) = salted(&text, Entry::Query, &tenants(&["a"]));
        let tokens = lex(&sent, &limits()).unwrap();
        assert!(chunk::agrees(&sent, &tokens) && sent.contains(&format!("\"{salt}\"")), "{sent}");
    }
}

#[test]
fn exemplars_are_capped() {
    let asked = |n: usize| {
        let text = format!("{{}} | rate() with(exemplars={n})");
        scope(&text, Entry::Metrics, Features::NONE, &limits(), &tenants(&["a"])).err().map(|e| e.kind)
    };
    assert_eq!(asked(1000), None);
    assert_eq!(asked(1001), Some(QueryErrorKind::Limit));
}

/// Fragments that mean something somewhere.
const FRAGMENTS: [&str; 44] = [
    "{",
    "}",
    "(",
    ")",
    " ",
    "\n",
    "\"",
    "`",
    "'",
    "\\",
    "//",
    "/*",
    "#",
    "|",
    "||",
    "&&",
    "!",
    "!~",
    ">>",
    "&>",
    "=",
    "=~",
    ".",
    ".a",
    "span.",
    "resource.tenant",
    "\"acme\"",
    "1",
    "1s",
    "-",
    "nil",
    "true",
    "{}",
    "count() > 1",
    "by(",
    "select(.a)",
    "| rate()",
    "compare({",
    "rootName",
    "parent.",
    "with(",
    "ä",
    "\0",
    "\u{feff}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,80}") {
        check_invariants(&text);
    }

    #[test]
    fn any_fragments(parts in prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..24)) {
        check_invariants(&parts.concat());
    }

    #[test]
    fn mutated_corpus(
        case in any::<prop::sample::Index>(),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..4_usize, prop::sample::select(&FRAGMENTS[..])), 1..5),
    ) {
        static CASES: std::sync::LazyLock<Vec<(String, corpus_tests::Case)>> =
            std::sync::LazyLock::new(|| corpus_tests::cases("traceql"));
        let mut text = CASES[case.index(CASES.len())].1.query.clone();
        for (at, removed, fragment) in edits {
            let from = text.floor_char_boundary(at.index(text.len() + 1));
            let to = text.ceil_char_boundary((from + removed).min(text.len()));
            text.replace_range(from..to, fragment);
        }
        check_invariants(&text);
    }
}

/// A small generator: what it makes depends on the seed alone.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn repeat(&mut self, characters: &[&str], most: usize) -> String {
        let count = 1 + self.below(most);
        (0..count).map(|_| characters[self.below(characters.len())]).collect()
    }

    fn condition(&mut self) -> String {
        let scope = [".", "span.", "event.", "resource."][self.below(4)];
        let name = match self.below(3) {
            0 => format!("\"{}\"", self.repeat(&["a", " ", "é", "€", "🤘"], 20)),
            _ => self.repeat(&["a", "b.", "c-"], 12),
        };
        let spaces = " ".repeat(self.below(4));
        let value = match self.below(4) {
            0 => format!("\"{}\"", self.repeat(&["a", "é", "€", "🤘", "\\n"], 300)),
            1 => self.repeat(&["7"], 15),
            _ => format!("{}{}", self.repeat(&["1", "2"], 6), ["ms", "us", "s", "h1m"][self.below(4)]),
        };
        format!("{scope}{name} ={spaces}{value}")
    }

    /// Conditions of at least `bytes`.
    fn text(&mut self, bytes: usize) -> String {
        let mut text = self.condition();
        while text.len() < bytes {
            text = format!("{text} || {}", self.condition());
        }
        text
    }
}

#[test]
fn atk_4i_scanner_chunk() {
    let mut seeded = Seeded(0x4153_4b34);
    let (mut moved, mut scoped) = (0, 0);
    for round in 0..100 {
        let bytes = 300 + seeded.below(4_000);
        let text = format!("{{{}}}", seeded.text(bytes));
        let tokens = lex(&text, &limits()).unwrap();
        moved += usize::from(!chunk::agrees(&text, &tokens));
        let sent = scope(&text, Entry::Query, Features::NONE, &limits(), &tenants(&["acme"])).unwrap();
        let tokens = lex(sent.as_str(), &limits()).unwrap();
        assert!(chunk::agrees(sent.as_str(), &tokens), "the two readings disagree");
        scoped += usize::from(sent.selectors() == 2);
        if round % 10 == 0 {
            check_invariants(&text);
        }
    }
    assert!(scoped == 100 && moved > 5, "the generator makes nothing to lay out: {moved}");
}

#[test]
fn a_token_that_fits_no_chunk_is_refused() {
    let padding = "x".repeat(1500);
    let query = |name: usize| format!("{{ .a = \"{padding}\" && .{} = 1 }}", "n".repeat(name - 1));
    assert_eq!(refused(&query(1020), &limits()), None);
    assert_eq!(refused(&query(1021), &limits()), Some(QueryErrorKind::Unsafe));
    let digits = |count: usize| format!("{{ .a = \"{padding}\" && .b = 0.{} }}", "1".repeat(count - 2));
    assert_eq!(refused(&digits(1020), &limits()), None);
    assert_eq!(refused(&digits(1021), &limits()), Some(QueryErrorKind::Unsafe));
}

#[test]
fn a_text_of_one_chunk_is_not_padded() {
    let query = |bytes: usize| {
        let empty =
            scope("{ .a = \"\" && 1s = 1s }", Entry::Query, Features::NONE, &limits(), &tenants(&["a"]));
        let fixed = empty.unwrap().as_str().len();
        let text = format!("{{ .a = \"{}\" && 1s = 1s }}", "x".repeat(bytes - fixed));
        scope(&text, Entry::Query, Features::NONE, &limits(), &tenants(&["a"])).unwrap().into_string()
    };
    assert_eq!(query(1024).len(), 1024);
    assert!(query(1025).len() > 1025 && query(1025).contains("  )"));
}

#[test]
fn caps_hold_at_n_and_refuse_at_one_more() {
    let limit = Some(QueryErrorKind::Limit);
    let with = |change: fn(&mut QueryLimits, usize), n: usize| {
        let mut limits = limits();
        change(&mut limits, n);
        limits
    };
    let text = "{ .a = 1 }";
    assert_eq!(refused(text, &with(|l, n| l.bytes = n, text.len())), None);
    assert_eq!(refused(text, &with(|l, n| l.bytes = n, text.len() - 1)), limit);
    assert_eq!(refused(text, &with(|l, n| l.tokens = n, 5)), None);
    assert_eq!(refused(text, &with(|l, n| l.tokens = n, 4)), limit);
    assert_eq!(refused("{} && {}", &with(|l, n| l.selectors = n, 2)), None);
    assert_eq!(refused("{} && {}", &with(|l, n| l.selectors = n, 1)), limit);
    let scope = r#"{ resource.tenant = "acme" && resource.tenant != nil"#.len();
    let sent = 2 * scope + " } | ".len() + " && ( .a = 1 ) }".len();
    assert_eq!(refused(text, &with(|l, n| l.scoped_traceql_bytes = n, sent)), None);
    assert_eq!(refused(text, &with(|l, n| l.scoped_traceql_bytes = n, sent - 1)), limit);
}

#[test]
fn nesting_is_capped_however_it_is_made() {
    let limits = QueryLimits { nesting: 10, ..limits() };
    let limit = Some(QueryErrorKind::Limit);
    let inside =
        |prefix: &str, n: usize, suffix: &str| format!("{{ {}.a{} }}", prefix.repeat(n), suffix.repeat(n));
    for (prefix, suffix) in [("(", ")"), ("!", ""), ("-", "")] {
        assert_eq!(refused(&inside(prefix, 9, suffix), &limits), None, "{prefix}");
        assert_eq!(refused(&inside(prefix, 10, suffix), &limits), limit, "{prefix}");
    }
    assert_eq!(refused(&inside("nil != !", 4, ""), &limits), None);
    assert_eq!(refused(&inside("nil != !", 5, ""), &limits), limit);
    let power = |n: usize| format!("{{ {}.a = 1 }}", "1.5 ^ ".repeat(n));
    assert_eq!(refused(&power(9), &limits), None);
    assert_eq!(refused(&power(10), &limits), limit);
    let parentheses = |n: usize| format!("{}{{}}{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(refused(&parentheses(10), &limits), None);
    assert_eq!(refused(&parentheses(11), &limits), limit);
}

#[test]
fn time_is_linear_at_the_caps() {
    let limits = limits();
    let fill = |unit: &str, head: &str, tail: &str| {
        let count = (limits.bytes - head.len() - tail.len()) / unit.len();
        format!("{head}{}{tail}", unit.repeat(count))
    };
    for text in [
        fill("(", "", ""),
        fill("{ ", "", ""),
        fill("-", "{ ", ".a }"),
        fill(".a+", "{ ", ".a }"),
        fill("1 + ", "{ ", "1 = 1 }"),
        fill(".a||", "{ ", ".a }"),
        fill("{}||", "", "{}"),
        fill("1s=", "{ ", "1s }"),
        fill("\"\\\"", "{ .a = ", " }"),
        fill(" ", "{", "}"),
        fill("€", "{ .a = \"", "\" }"),
    ] {
        let start = Instant::now();
        let _ = scope(&text, Entry::Query, Features::NONE, &limits, &tenants(&["acme"]));
        assert!(start.elapsed() < Duration::from_secs(2), "{}: {:?}", &text[..12], start.elapsed());
    }
}

#[test]
fn the_tree_can_be_evaluated() {
    let text = "{ span.n > 3 && name =~ `a\\d` } | select(resource.tenant, name) | count() > 2";
    let tree = parse(text, Entry::Query, Features::NONE, &limits()).unwrap();
    let NodeKind::Pipeline(stages) = tree.kind(tree.root()) else { panic!("a pipeline") };
    let [filter, select, count] = tree.list(*stages) else { panic!("three stages") };
    let NodeKind::Filter(Some(condition)) = tree.kind(*filter) else { panic!("a filter") };
    let NodeKind::Binary { right, .. } = tree.kind(*condition) else { panic!("an `&&`") };
    let NodeKind::Binary { right, .. } = tree.kind(*right) else { panic!("an `=~`") };
    assert_eq!(*tree.kind(*right), NodeKind::Static(Static::String(b"a\\d".into())));
    assert!(matches!(tree.kind(*select), NodeKind::Select(list) if list.len() == 2));
    assert!(matches!(tree.kind(*count), NodeKind::ScalarFilter { .. }));
    let tenant = Attribute::Named { scope: AttributeScope::Resource, name: "tenant".into() };
    let selected: Vec<_> = tree.selected().cloned().collect();
    assert_eq!(selected, [tenant, Attribute::Intrinsic(Intrinsic::Name)]);
    assert_eq!(tree.attributes().count(), 4);
}

/// Every node's text: equal for trees that were built in the same order of the same parts.
fn shape(tree: &super::tree::Tree<'_>) -> String {
    tree.nodes.iter().map(|node| format!("{:?}", node.kind)).collect()
}

#[test]
fn operators_bind_as_in_tempo() {
    let same = |a: &str, b: &str| {
        let read = |text: &str| {
            let text = format!("{{ {text} }}");
            let features = Features::NONE.with(Feature::Tempo3);
            shape(&parse(&text, Entry::Query, features, &limits()).unwrap())
        };
        assert_eq!(read(a), read(b), "{a} and {b}");
    };
    same(".a || .b && .c", "(.a || .b) && .c");
    same(".a && .b || .c", "(.a && .b) || .c");
    same(".a = .b != .c", "(.a = .b) != .c");
    same(".a + .b * .c ^ .d ^ .e = 1", "(.a + (.b * (.c ^ (.d ^ .e)))) = 1");
    same("-.a + .b = 1", "((-.a) + .b) = 1");
    same("-.a * .b = 1", "(-(.a * .b)) = 1");
    same("!.a = .b", "(!.a) = .b");
    same("!.a && .b", "(!.a) && .b");
    same(".a + .b != nil", "(.a + .b) != nil");
    same("nil != .a && .b", "(nil != .a) && .b");
}
