//! Claims into grants.

use super::compile::{Policies, Rule};
use super::expression::{Answer, Claims, Expression, SHORT_STEPS};
use super::grant::{Granted, Grants, Term};
use crate::rejection::Forbidden;
use crate::tenant::{Scope, ScopeValue, Values};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A decision with its reasons.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What is granted.
    pub grants: Result<Grants, Forbidden>,
    /// What became of each rule, in the order of the rules.
    pub verdicts: Vec<Verdict>,
    /// The scope of each rule that applies, in the order of the rules.
    pub granted: Vec<(Arc<str>, Scope)>,
}

/// What became of one rule for one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The rule's name.
    pub rule: Arc<str>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What becomes of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It grants its scope.
    Applies,
    /// Its `when` is false.
    DoesNotMatch,
    /// It matches, but a dimension of its scope has no value for this caller: an empty list, null, or
    /// something that is no string. The whole rule is gone, never the dimension alone.
    NoValue {
        /// The dimension.
        dimension: String,
    },
    /// An expression could not be evaluated: the rule does not apply. To be counted: such a rule denies
    /// where its author may have meant to grant.
    Fault {
        /// `when` or `scope.DIMENSION`.
        key: String,
        /// Why. Holds no value of the token.
        fault: String,
    },
    /// It matches, and a value of its scope is none that could be said safely: the token is refused.
    BadValue {
        /// The dimension.
        dimension: String,
    },
    /// It matches, and a dimension of its scope has more values than the cap: the token is refused.
    TooManyValues {
        /// The dimension.
        dimension: String,
    },
}

impl Policies {
    /// Whether a decision about `claims` may take longer than a worker may be kept from others.
    pub fn is_long(&self, claims: &Map<String, Value>) -> bool {
        let claims = Claims::new(claims, &self.tables);
        let expressions = self.rules.iter().flat_map(|rule| rule.when.iter().chain(rule.scope.values()));
        let steps = expressions.fold(0, |sum: usize, one| sum.saturating_add(one.steps(&claims)));
        steps > SHORT_STEPS
    }

    /// What the claims of a verified token grant.
    ///
    /// # Errors
    /// [`Forbidden::TenantValue`] if any matching rule yields a value that is no [`ScopeValue`],
    /// [`Forbidden::TooManyValues`], or [`Forbidden::NoRule`] if no rule is left.
    pub fn decide(&self, claims: &Map<String, Value>) -> Result<Grants, Forbidden> {
        self.judge(claims).grants
    }

    /// [`Self::decide`] with its reasons.
    pub fn judge(&self, claims: &Map<String, Value>) -> Judgement {
        let claims = Claims::new(claims, &self.tables);
        let mut granted = Vec::new();
        let mut verdicts = Vec::with_capacity(self.rules.len());
        let mut refused: Option<Forbidden> = None;
        for rule in &self.rules {
            let outcome = match rule.evaluate(&claims, self.max_values) {
                Ok(scope) => {
                    let term = Term { scope, rules: [Arc::clone(&rule.name)].into(), sees_places: false };
                    granted.push(Granted { term, coverage: Arc::clone(&rule.coverage) });
                    Outcome::Applies
                }
                Err(outcome) => outcome,
            };
            match &outcome {
                Outcome::BadValue { .. } => refused = Some(Forbidden::TenantValue),
                Outcome::TooManyValues { .. } => refused = refused.or(Some(Forbidden::TooManyValues)),
                _ => {}
            }
            verdicts.push(Verdict { rule: Arc::clone(&rule.name), outcome });
        }
        let scopes = granted.iter().zip(verdicts.iter().filter(|v: &&Verdict| v.outcome == Outcome::Applies));
        let scopes =
            scopes.map(|(one, verdict)| (Arc::clone(&verdict.rule), one.term.scope.clone())).collect();
        let grants = match refused {
            Some(forbidden) => Err(forbidden),
            None => Grants::new(granted, self.max_values, Arc::clone(&self.tenants)),
        };
        Judgement { grants, verdicts, granted: scopes }
    }
}

impl Rule {
    /// The rule's scope for these claims, or why there is none. Every dimension is evaluated, because a
    /// bad value anywhere refuses the token even where another dimension removes the rule.
    fn evaluate(&self, claims: &Claims<'_>, max_values: usize) -> Result<Scope, Outcome> {
        if !self.matches(claims)? {
            return Err(Outcome::DoesNotMatch);
        }
        if self.unrestricted {
            return Ok(Scope::unrestricted());
        }
        let mut dimensions = BTreeMap::new();
        let mut removed: Option<Outcome> = None;
        for (dimension, expression) in &self.scope {
            match values(dimension, expression, claims, max_values) {
                Ok(values) => {
                    dimensions.insert(dimension.clone(), values);
                }
                Err(worst @ Outcome::BadValue { .. }) => return Err(worst),
                Err(worse @ Outcome::TooManyValues { .. }) => removed = Some(worse),
                Err(outcome) => removed = removed.or(Some(outcome)),
            }
        }
        match (removed, Scope::new(dimensions)) {
            (None, Some(scope)) => Ok(scope),
            (Some(outcome), _) => Err(outcome),
            (None, None) => Err(Outcome::DoesNotMatch),
        }
    }

    fn matches(&self, claims: &Claims<'_>) -> Result<bool, Outcome> {
        let fault = |fault: String| Outcome::Fault { key: "when".to_owned(), fault };
        match &self.when {
            None => Ok(true),
            Some(when) => match when.evaluate(claims).map_err(fault)? {
                Answer::Boolean(matches) => Ok(matches),
                _ => Err(fault("not a boolean".to_owned())),
            },
        }
    }
}

fn values(
    dimension: &str,
    expression: &Expression,
    claims: &Claims<'_>,
    max_values: usize,
) -> Result<Values, Outcome> {
    let answer = expression
        .evaluate(claims)
        .map_err(|fault| Outcome::Fault { key: format!("scope.{dimension}"), fault })?;
    let dimension = || dimension.to_owned();
    let texts = match answer {
        Answer::Text(text) => vec![text],
        Answer::Texts(texts) => texts,
        Answer::MixedList => return Err(Outcome::BadValue { dimension: dimension() }),
        Answer::Boolean(_) | Answer::Other => return Err(Outcome::NoValue { dimension: dimension() }),
    };
    let parsed: Result<Vec<_>, _> = texts.iter().map(|text| ScopeValue::parse(text)).collect();
    let parsed = parsed.map_err(|_| Outcome::BadValue { dimension: dimension() })?;
    let values = Values::new(parsed).ok_or_else(|| Outcome::NoValue { dimension: dimension() })?;
    if values.len() > max_values {
        return Err(Outcome::TooManyValues { dimension: dimension() });
    }
    Ok(values)
}
