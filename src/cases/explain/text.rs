//! An explanation as text. What Palisade puts into a value stands between `«` and `»`.

use super::{ExplainedCall, ExplainedOutcome, ExplainedRule, Explanation, Piece};
use crate::scope::preview::OneLine;
use std::fmt;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "claims")?;
        for (name, value) in &self.claims {
            writeln!(f, "  {} = {value}", OneLine(name))?;
        }
        writeln!(f, "\nrules")?;
        for rule in &self.rules {
            write!(f, "{rule}")?;
        }
        if let Some(scope) = &self.scope {
            let rules: Vec<String> = scope.rules.iter().map(|rule| format!("`{rule}`")).collect();
            writeln!(f, "\nscope\n  {}\n  of {}", scope.scope, rules.join(", "))?;
        }
        if !self.limits.is_empty() {
            writeln!(f, "\nlimits\n  {}", self.limits.join("\n  "))?;
        }
        write!(f, "\n{}", self.outcome)
    }
}

impl fmt::Display for ExplainedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  `{}` {}", self.name, self.why)?;
        if let Some(when) = &self.when {
            writeln!(f, "    when {}", OneLine(when))?;
        }
        for (dimension, expression) in &self.scope {
            writeln!(f, "    scope.{dimension} {}", OneLine(expression))?;
        }
        for what in &self.not_for {
            writeln!(f, "    not for {what}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ExplainedOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { kind, text } => writeln!(f, "refused\n  {kind}: {text}"),
            Self::Answered { body } => writeln!(f, "answered by Palisade itself\n  {}", OneLine(body)),
            Self::Sent { held_by, calls, cut_to } => {
                if let Some(backend) = held_by {
                    writeln!(f, "held by\n  {backend}\n")?;
                }
                for (index, call) in calls.iter().enumerate() {
                    write!(f, "{}{call}", if index == 0 { "" } else { "\n" })?;
                }
                match cut_to {
                    Some(scope) => writeln!(f, "\nthe answer is cut to\n  {scope}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for ExplainedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sent\n  {} {}", self.method, self.path)?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {}", OneLine(value))?;
        }
        for argument in &self.arguments {
            let value: String = argument.value.iter().map(ToString::to_string).collect();
            writeln!(f, "  {}={}", argument.name, OneLine(&value))?;
        }
        match &self.body {
            Some(body) => writeln!(f, "  {}", OneLine(body)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.inserted { write!(f, "«{}»", self.text) } else { f.write_str(&self.text) }
    }
}
