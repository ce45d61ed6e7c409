//! What reading, scoping and proving takes grows as the text does, whatever is long in it.

use super::corpus_tests::matchers;
use super::feature::{Feature, Features};
use super::{QueryError, ScopedText, logql, promql, traceql};
use crate::limits::QueryLimits;
use crate::tenant::ScopeMatchers;
use std::time::Duration;

/// How long one text is, and another that has four times as many parts.
const PARTS: [usize; 2] = [400, 1600];
/// How many times as long four times as much may take: in a quadratic reader it is 16 times.
const TIMES: f64 = 7.0;

type Scoping = fn(&str, &QueryLimits, &ScopeMatchers) -> Result<ScopedText, QueryError>;

fn limits() -> QueryLimits {
    QueryLimits {
        bytes: 1 << 20,
        tokens: 1 << 18,
        selectors: 1 << 14,
        scoped_promql_bytes: 1 << 24,
        scoped_logql_bytes: 1 << 24,
        scoped_traceql_bytes: 1 << 24,
        ..QueryLimits::default()
    }
}

/// The time that this thread has run, whatever else the machine does.
fn used() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
}

/// The shortest of some times, and whether the text is taken: some are refused, which must not take longer either.
fn taken(scoping: Scoping, text: &str, scope: &ScopeMatchers) -> (Duration, bool) {
    let mut best = (Duration::MAX, false);
    for _ in 0..5 {
        let started = used();
        let taken = scoping(text, &limits(), scope).is_ok();
        best = best.min((used().saturating_sub(started), taken));
    }
    best
}

/// Holds a text of so many parts, each `part` with its number in place of `#`, between what stands before and after.
fn hold(scoping: Scoping, scope: &str, (before, part, between, after): (&str, &str, &str, &str)) -> String {
    let scope = matchers(scope);
    let text = |count: usize| {
        let parts: Vec<_> = (0..count).map(|number| part.replace('#', &number.to_string())).collect();
        format!("{before}{}{after}", parts.join(between))
    };
    let name = format!("{before}{part}{between}…{after}");
    let mut last = 0.0;
    // What else the machine does only adds: one good measure is enough.
    for _ in 0..6 {
        let [few, many] = PARTS.map(|count| taken(scoping, &text(count), &scope));
        last = many.0.as_secs_f64() / few.0.max(Duration::from_micros(20)).as_secs_f64();
        if last < TIMES {
            let taken = if many.1 { "taken" } else { "refused" };
            return format!("{last:5.1} {taken:7} {name}");
        }
    }
    panic!("{name}: {last:.1} times as long")
}

/// Every list that a text can have, and what nests without depth.
#[test]
fn atk_6d_four_times_as_much_takes_about_four_times_as_long_in_every_list_of_every_language() {
    let promql: Scoping = |text, limits, scope| {
        let features = Features::NONE.with(Feature::PromqlExperimentalFunctions);
        promql::scope(text, promql::Entry::Expression, features, limits, scope)
    };
    let logql: Scoping =
        |text, limits, scope| logql::scope(text, logql::Entry::Expression, Features::NONE, limits, scope);
    let traceql: Scoping =
        |text, limits, scope| traceql::scope(text, traceql::Entry::Query, Features::NONE, limits, scope);
    let mut told = Vec::new();
    for lists in [
        ("x{", "a#=\"b\"", ",", "}"),
        ("", "x#", "+", ""),
        ("", "x#", " or ", ""),
        ("", "x#", "^", ""),
        ("", "{a=\"b\"}", "-", ""),
        ("a + on(", "l#", ",", ") b"),
        ("a + ignoring(", "l#", ",", ") group_left(k) b"),
        ("a + on(k) group_left(", "l#", ",", ") b"),
        ("sum by (", "l#", ",", ") (x)"),
        ("label_join(x, \"a\", \"b\", ", "\"l#\"", ",", ")"),
        ("sort_by_label(x, ", "\"l#\"", ",", ")"),
        ("absent(x{", "a#=\"b\"", ",", "})"),
        ("absent(x{", "tenant=\"a\"", ",", "})"),
        ("x{a=~\"", "b#", "|", "\"}"),
        ("x{a=\"", "\\u00fc", "", "\"}"),
        ("", "-", "", "x"),
        ("x", " ", "", " "),
        ("x ", "# c\n", "", "+ y"),
        ("x[5m", "5s", "", "]"),
        ("x", " offset 5m", "", ""),
        ("x > bool ", "y#", " > bool ", ""),
    ] {
        told.push(hold(promql, "tenant=a", lists));
    }
    for lists in [
        ("{", "a#=\"b\"", ",", "}"),
        ("{a=\"b\"} ", "|= \"c#\"", " ", ""),
        ("{a=\"b\"} |= ", "\"c#\"", " or ", ""),
        ("{a=\"b\"} | ", "json", " | ", ""),
        ("{a=\"b\"} | json ", "l#=\"x\"", ", ", ""),
        ("{a=\"b\"} | ", "l# = \"x\"", " or ", ""),
        ("{a=\"b\"} | ", "l# = \"x\"", " and ", ""),
        ("{a=\"b\"} | label_format ", "l#=`x`", ", ", ""),
        ("{a=\"b\"} | drop ", "l#", ", ", ""),
        ("{a=\"b\"} | keep ", "l#", ", ", ""),
        ("{a=\"b\"} | line_format `", "{{.a}}", "", "`"),
        ("{a=\"b\"} | regexp `", "(?P<l#>x)", "", "`"),
        ("{a=\"b\"} | pattern `", "<l#>", " ", "`"),
        ("", "rate({a=\"b\"}[1m])", " + ", ""),
        ("sum by (", "l#", ",", ") (rate({a=\"b\"}[1m]))"),
        ("sum(rate({a=\"b\"}[1m])) / on(", "l#", ",", ") sum(rate({a=\"b\"}[1m]))"),
        ("sum(rate({a=\"b\"}[1m])) / on(k) group_left(", "l#", ",", ") sum(rate({a=\"b\"}[1m]))"),
        ("", "-", "", "1"),
        ("", "1", " - ", ""),
        ("{a=~\"", "b#", "|", "\"}"),
        ("absent_over_time({", "a#=\"b\"", ",", "}[1m])"),
    ] {
        told.push(hold(logql, "tenant=a", lists));
    }
    for lists in [
        ("", "{}", " && ", ""),
        ("", "{}", " >> ", ""),
        ("{} | ", "{ .a# = 1 }", " | ", ""),
        ("{ ", ".a# = 1", " && ", " }"),
        ("{ ", ".a# = 1", " || ", " }"),
        ("{ .a = ", "1", " + ", " }"),
        ("{ .a = ", "-", "", "1 }"),
        ("{ ", "!", "", "true }"),
        ("{} | select(", ".a#", ", ", ")"),
        ("{} | by(", ".a#", ") | by(", ")"),
        ("{} | rate() by(", ".a#", ", ", ")"),
        ("{ .a =~ \"", "b#", "|", "\" }"),
        ("{ .\"", "\\\"", "", "\" = 1 }"),
        ("{ .", "a#", ".", " = 1 }"),
        ("{} | count() > 1 | ", "avg(.a#) > 1", " | ", ""),
    ] {
        told.push(hold(traceql, "resource.tenant=a", lists));
    }
    // The same in the scope of many, whose list stands at every selector.
    let values: Vec<_> = (0..150).map(|number| format!("t{number}")).collect();
    let many = format!("tenant={}", values.join(","));
    told.push(hold(promql, &many, ("", "x#", "+", "")));
    told.push(hold(promql, &many, ("absent(x{", "tenant=\"t1\"", ",", "})")));
    told.push(hold(logql, &many, ("", "rate({a=\"b\"}[1m])", " + ", "")));
    println!("{}", told.join("\n"));
}
