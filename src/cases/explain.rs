//! An explanation: the claims, what each rule made of them and why, the scope, and what would be sent with our
//! part of it marked. Displayed as text; serialized for whoever shows it otherwise.

mod text;

use super::ask::{Asking, Heard, Request, ask};
use crate::policy::{Facts, Outcome, RuleLimits, Verdict};
use crate::scope::preview::{Preview, ShownArgument, ShownCall};
use serde::Serialize;
use serde_json::{Map, Value};

/// What becomes of a request, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The claims that were judged.
    pub claims: Map<String, Value>,
    /// What became of each rule, in their order.
    pub rules: Vec<ExplainedRule>,
    /// What the request runs under, if policy lets it through.
    pub scope: Option<ExplainedScope>,
    /// What may be asked at most, a line each.
    pub limits: Vec<String>,
    /// What comes of it.
    pub outcome: ExplainedOutcome,
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedRule {
    /// Its name.
    pub name: String,
    /// Whether it grants its scope.
    pub applies: bool,
    /// Whether it does and what it grants, or why it does not.
    pub why: String,
    /// Its `when`, as it is written.
    pub when: Option<String>,
    /// Its dimensions, with their expressions as they are written.
    pub scope: Vec<(String, String)>,
    /// What of the request it is not for, a line each.
    pub not_for: Vec<String>,
}

/// What a request runs under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedScope {
    /// As the header `X-Palisade-Scope` would say it.
    pub scope: String,
    /// The rules that granted it.
    pub rules: Vec<String>,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ExplainedOutcome {
    /// Nothing is sent.
    Refused {
        /// The kind, as policy cases name it.
        kind: &'static str,
        /// What the caller is told.
        text: String,
    },
    /// Palisade answers itself.
    Answered {
        /// The answer.
        body: &'static str,
    },
    /// The backend is asked.
    Sent {
        /// The backend that is asked, where several share the mount.
        held_by: Option<String>,
        /// The calls, in order.
        calls: Vec<ExplainedCall>,
        /// What the answer is cut to, if it is.
        cut_to: Option<String>,
    },
}

/// One call to the backend, decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedCall {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path below the backend's root.
    pub path: String,
    /// The headers that tell the backend the tenants.
    pub headers: Vec<(&'static str, String)>,
    /// The parameters, in order.
    pub arguments: Vec<ExplainedArgument>,
    /// The body, where it is no form.
    pub body: Option<String>,
}

/// One parameter of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedArgument {
    /// Its name.
    pub name: &'static str,
    /// Its value, in pieces.
    pub value: Vec<Piece>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether Palisade put it there.
    pub inserted: bool,
}

/// Explains what becomes of `request` for the bearer of a token with these claims.
pub fn explain(asking: &Asking<'_>, claims: &Map<String, Value>, request: &Request) -> Explanation {
    let heard = ask(asking, claims, request);
    let rules = asking.policies.facts().zip(&heard.judgement.verdicts);
    let rules = rules.map(|(facts, verdict)| rule(asking, facts, verdict, &heard)).collect();
    let scope = heard.grant.as_ref().map(|grant| ExplainedScope {
        scope: grant.scope().to_string(),
        rules: grant.rules().map(str::to_owned).collect(),
    });
    let limits = heard.grant.as_ref().and_then(|grant| grant.limits()).map(limits).unwrap_or_default();
    Explanation { claims: claims.clone(), rules, scope, limits, outcome: outcome(&heard) }
}

fn rule(asking: &Asking<'_>, facts: Facts<'_>, verdict: &Verdict, heard: &Heard) -> ExplainedRule {
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
    let mut not_for = Vec::new();
    if facts.backends().is_some_and(|names| !names.contains(asking.site.mount)) {
        not_for.push(format!("backend `{}`", asking.site.mount));
    }
    if let Some(class) = asking.class(&heard.request)
        && !facts.endpoints().has(class)
    {
        not_for.push(format!("endpoints `{class}`"));
    }
    ExplainedRule {
        name: verdict.rule.to_string(),
        applies: verdict.outcome == Outcome::Applies,
        why,
        when: facts.when().map(str::to_owned),
        scope: facts.scope().map(|(name, expression)| (name.to_owned(), expression.to_owned())).collect(),
        not_for,
    }
}

fn limits(limits: &RuleLimits) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(rate) = limits.rate {
        said.push(format!("{} requests a second, {} at once after a pause", rate.per_second, rate.burst));
    }
    let mut number =
        |value: Option<u64>, what: &str| said.extend(value.map(|value| format!("{value} {what}")));
    number(limits.concurrent_requests.map(u64::from), "requests worked on at once");
    number(limits.tails.map(u64::from), "live tails open at once");
    number(limits.query_bytes.and_then(|value| u64::try_from(value).ok()), "bytes of a query");
    number(limits.selectors.and_then(|value| u64::try_from(value).ok()), "selectors of a query");
    number(limits.range.map(|range| range.as_secs()), "seconds from start to end");
    number(limits.points, "points");
    number(limits.entries, "entries");
    number(limits.answer_bytes, "bytes of an answer");
    said
}

fn outcome(heard: &Heard) -> ExplainedOutcome {
    match &heard.result {
        Err(rejection) => ExplainedOutcome::Refused { kind: rejection.kind(), text: rejection.to_string() },
        Ok(Preview::Answer(answer)) => ExplainedOutcome::Answered { body: answer.body },
        Ok(Preview::Calls { calls, cut }) => ExplainedOutcome::Sent {
            held_by: heard.chosen.clone(),
            calls: calls.iter().map(call).collect(),
            cut_to: heard.grant.as_ref().filter(|_| *cut).map(|grant| grant.scope().to_string()),
        },
    }
}

fn call(call: &ShownCall) -> ExplainedCall {
    let argument =
        |argument: &ShownArgument| ExplainedArgument { name: argument.name, value: pieces(argument) };
    ExplainedCall {
        method: call.method,
        path: call.path.clone(),
        headers: call.headers.clone(),
        arguments: call.arguments.iter().map(argument).collect(),
        body: call.body.clone(),
    }
}

/// The value, cut at the ends of our insertions.
fn pieces(argument: &ShownArgument) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut push = |text: &str, inserted| {
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), inserted });
        }
    };
    let mut done = 0;
    for insertion in &argument.insertions {
        push(argument.value.get(done..insertion.from).unwrap_or_default(), false);
        push(insertion.of(&argument.value), true);
        done = insertion.to;
    }
    push(argument.value.get(done..).unwrap_or_default(), false);
    pieces
}
