//! What can be seen of a rule without a token, for warnings.

use super::compile::{Policies, Rule};
use crate::api::Classes;
use crate::yaml::FileError;
use std::collections::BTreeSet;

/// What can be seen of one rule.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'p>(&'p Rule);

impl Policies {
    /// The rules, in the order in which they are evaluated.
    pub fn facts(&self) -> impl ExactSizeIterator<Item = Facts<'_>> {
        self.rules.iter().map(Facts)
    }

    /// What differs from `before`, one line each: rules that were added, changed or removed, and limits of
    /// tenants. The order of rules changes nothing.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let named = |rules: &Self, name: &str| rules.rules.iter().position(|rule| &*rule.name == name);
        let mut changes = Vec::new();
        for rule in self.facts() {
            let earlier = named(before, rule.name()).and_then(|index| before.facts().nth(index));
            match earlier {
                None => changes.push(format!("rule `{}` added", rule.name())),
                Some(earlier) if !rule.says_what(earlier) => {
                    changes.push(format!("rule `{}` changed", rule.name()));
                }
                Some(_) => {}
            }
        }
        let removed = before.facts().filter(|rule| named(self, rule.name()).is_none());
        changes.extend(removed.map(|rule| format!("rule `{}` removed", rule.name())));
        changes.extend(self.tables.changed(&before.tables).map(|map| format!("map `{map}` changed")));
        if self.tenants.others != before.tenants.others {
            changes.push("limits of tenants that are not named changed".to_owned());
        }
        let (new, old) = (&self.tenants.named, &before.tenants.named);
        let names: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
        let changed = names.into_iter().filter(|tenant| new.get(*tenant) != old.get(*tenant));
        changes.extend(changed.map(|tenant| format!("limits of tenant `{tenant}` changed")));
        changes
    }
}

impl<'p> Facts<'p> {
    /// Whether both do the same, wherever they are written.
    fn says_what(self, other: Facts<'_>) -> bool {
        self.when() == other.when()
            && self.scope().eq(other.scope())
            && self.0.unrestricted == other.0.unrestricted
            && self.0.coverage == other.0.coverage
    }

    /// The rule's name.
    pub fn name(&self) -> &'p str {
        &self.0.name
    }

    /// The file in which it is written.
    pub fn file(&self) -> &'p str {
        &self.0.at.file
    }

    /// Something to be said about the rule, with its place.
    pub fn remark(&self, text: &str) -> FileError {
        FileError::at(&*self.0.at.file, self.0.at.location, format!("rule `{}` {text}", self.0.name))
    }

    /// Whether its `when` can be seen to be false for every token.
    pub fn never_applies(&self) -> bool {
        self.0.when.as_ref().is_some_and(|when| when.is_never_true())
    }

    /// Whether it grants everything.
    pub fn is_unrestricted(&self) -> bool {
        self.0.unrestricted
    }

    /// Its `when`, as it is written.
    pub fn when(&self) -> Option<&'p str> {
        self.0.when.as_ref().map(|when| when.source())
    }

    /// The dimensions of its scope, with their expressions as they are written.
    pub fn scope(&self) -> impl Iterator<Item = (&'p str, &'p str)> {
        self.0.scope.iter().map(|(dimension, expression)| (dimension.as_str(), expression.source()))
    }

    /// The kinds of endpoints that it is for.
    pub fn endpoints(&self) -> Classes {
        self.0.coverage.classes
    }

    /// The backends that it names; `None` if it is for every one.
    pub fn backends(&self) -> Option<&'p BTreeSet<String>> {
        self.0.coverage.backends.as_ref()
    }

    /// The dimensions of its scope.
    pub fn dimensions(&self) -> impl Iterator<Item = &'p str> {
        self.0.scope.keys().map(String::as_str)
    }

    /// The claims that its scope is made of; `*` where a name is computed.
    pub fn scope_claims(&self) -> BTreeSet<&'p str> {
        self.0.scope.values().flat_map(|expression| expression.claims()).map(String::as_str).collect()
    }

    /// The claims that its `when` names; `*` where a name is computed.
    pub fn when_claims(&self) -> BTreeSet<&'p str> {
        self.0.when.iter().flat_map(|when| when.claims()).map(String::as_str).collect()
    }
}
