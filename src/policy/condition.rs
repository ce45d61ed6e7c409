//! A single condition on claims, for whoever judges a token before any rule does.

use super::expression::{Answer, Claims, Expression, SHORT_STEPS, Tables};
use serde_json::{Map, Value};
use std::sync::Arc;

/// An expression over `claims` that must yield true. Cheap to clone; equal if it is written alike.
#[derive(Clone, Debug)]
pub struct Condition(Arc<Expression>);

impl Condition {
    /// Reads the expression, and holds it to the bounds of those in policies.
    ///
    /// # Errors
    /// What is wrong, for the author of the file.
    pub fn compile(text: &str) -> Result<Self, String> {
        let expression = Expression::compile(text, &Tables::default())?;
        if expression.is_never_true() {
            return Err("can be true for no token".to_owned());
        }
        Ok(Self(Arc::new(expression)))
    }

    /// Whether it is true of `claims`. What cannot be evaluated, takes longer than a worker may be kept, or is no boolean, is
    /// not.
    pub fn holds(&self, claims: &Map<String, Value>) -> bool {
        let tables = Tables::default();
        let claims = Claims::new(claims, &tables).within(SHORT_STEPS);
        self.0.evaluate(&claims) == Ok(Answer::Boolean(true))
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.0.source() == other.0.source()
    }
}

impl Eq for Condition {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_true_is_true() {
        let claims = json!({ "level": 2, "groups": ["/staff"], "name": "x" });
        let holds = |text: &str| Condition::compile(text).unwrap().holds(claims.as_object().unwrap());
        assert!(holds("claims.level >= 2 && '/staff' in claims.groups"));
        for text in ["claims.level > 2", "claims.absent == 1", "claims.name", "claims.level", "claims.groups"]
        {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_can_never_be_true_is_refused() {
        for text in ["false", "1 + 1", "claims.a == 'x' && claims.a == 'y'", "claims.a ==", "other.a"] {
            assert!(Condition::compile(text).is_err(), "{text}");
        }
        assert_eq!(Condition::compile("claims.a").unwrap(), Condition::compile("claims.a").unwrap());
        assert_ne!(Condition::compile("claims.a").unwrap(), Condition::compile("claims.b").unwrap());
    }
}
