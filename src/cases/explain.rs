//! An explanation, as text: the claims, what each rule made of them and why, the scope, and what would be sent
//! with our part of it marked.

use super::ask::{Asking, Heard, Request, ask};
use crate::policy::{Facts, Outcome, RuleLimits, Verdict};
use crate::scope::preview::{OneLine, Preview, ShownArgument};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Explains what becomes of `request` for the bearer of a token with these claims. What Palisade puts into a
/// text stands between `«` and `»`.
pub fn explain(asking: &Asking<'_>, claims: &Map<String, Value>, request: &Request) -> String {
    let heard = ask(asking, claims, request);
    let mut text = String::from("claims\n");
    for (name, value) in claims {
        let _ = writeln!(text, "  {} = {value}", OneLine(name));
    }
    text.push_str("\nrules\n");
    for (facts, verdict) in asking.policies.facts().zip(&heard.judgement.verdicts) {
        rule(&mut text, asking, facts, verdict, &heard);
    }
    if let Some(grant) = &heard.grant {
        let rules: Vec<String> = grant.rules().map(|rule| format!("`{rule}`")).collect();
        let _ = writeln!(text, "\nscope\n  {}\n  of {}", grant.scope(), rules.join(", "));
        if let Some(share) = grant.share() {
            let _ = writeln!(text, "\nlimits\n  {}", limits(&share.limits));
        }
    }
    outcome(&mut text, &heard);
    text
}

fn rule(text: &mut String, asking: &Asking<'_>, facts: Facts<'_>, verdict: &Verdict, heard: &Heard) {
    let granted = heard.judgement.granted.iter().find(|(name, _)| *name == verdict.rule);
    let why = match (&verdict.outcome, granted) {
        (Outcome::Applies, Some((_, scope))) => format!("applies, and grants {scope}"),
        (Outcome::Applies, None) => "applies".to_owned(),
        (Outcome::DoesNotMatch, _) => "does not apply: `when` is false".to_owned(),
        (Outcome::NoValue { dimension }, _) => {
            format!("does not apply: `scope.{dimension}` has no value for this caller")
        }
        (Outcome::Fault { key, fault }, _) => format!("does not apply: `{key}` cannot be evaluated: {fault}"),
        (Outcome::BadValue { dimension }, _) => {
            format!("refuses the token: `scope.{dimension}` has a value that is never taken")
        }
        (Outcome::TooManyValues { dimension }, _) => {
            format!("refuses the token: `scope.{dimension}` has too many values")
        }
    };
    let _ = writeln!(text, "  `{}` {why}", verdict.rule);
    if let Some(when) = facts.when() {
        let _ = writeln!(text, "    when {}", OneLine(when));
    }
    for (dimension, expression) in facts.scope() {
        let _ = writeln!(text, "    scope.{dimension} {}", OneLine(expression));
    }
    if facts.backends().is_some_and(|names| !names.contains(&asking.backend.name)) {
        let _ = writeln!(text, "    not for backend `{}`", asking.backend.name);
    }
    if let Some(class) = asking.class(&heard.request)
        && !facts.endpoints().has(class)
    {
        let _ = writeln!(text, "    not for endpoints `{class}`");
    }
}

fn limits(limits: &RuleLimits) -> String {
    let mut said = Vec::new();
    if let Some(rate) = limits.rate {
        said.push(format!("{} requests a second, {} at once after a pause", rate.per_second, rate.burst));
    }
    let mut number =
        |value: Option<u64>, what: &str| said.extend(value.map(|value| format!("{value} {what}")));
    number(limits.concurrent_requests.map(u64::from), "requests worked on at once");
    number(limits.query_bytes.and_then(|value| u64::try_from(value).ok()), "bytes of a query");
    number(limits.selectors.and_then(|value| u64::try_from(value).ok()), "selectors of a query");
    number(limits.range.map(|range| range.as_secs()), "seconds from start to end");
    number(limits.points, "points");
    number(limits.entries, "entries");
    said.join("\n  ")
}

fn outcome(text: &mut String, heard: &Heard) {
    match &heard.result {
        Err(rejection) => {
            let _ = writeln!(text, "\nrefused\n  {}: {rejection}", rejection.kind());
        }
        Ok(Preview::Answer(answer)) => {
            let _ = writeln!(text, "\nanswered by Palisade itself\n  {}", OneLine(answer.body));
        }
        Ok(Preview::Calls { calls, cut }) => {
            for call in calls {
                let _ = writeln!(text, "\nsent\n  {} {}", call.method, call.path);
                for argument in &call.arguments {
                    let _ = writeln!(text, "  {}={}", argument.name, OneLine(&marked(argument)));
                }
            }
            if let Some(grant) = heard.grant.as_ref().filter(|_| *cut) {
                let _ = writeln!(text, "\nthe answer is cut to\n  {}", grant.scope());
            }
        }
    }
}

/// The value with our insertions between `«` and `»`.
fn marked(argument: &ShownArgument) -> String {
    let mut marked = String::with_capacity(argument.value.len());
    let mut done = 0;
    for insertion in &argument.insertions {
        let before = argument.value.get(done..insertion.from).unwrap_or_default();
        let _ = write!(marked, "{before}«{}»", insertion.of(&argument.value));
        done = insertion.to;
    }
    marked.push_str(argument.value.get(done..).unwrap_or_default());
    marked
}
