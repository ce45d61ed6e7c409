//! What a policy may say and hardly means.

use super::run::Report;
use crate::policy::{Facts, Policies};
use crate::scope::{Backend, Tenancy};
use crate::yaml::FileError;
use std::collections::BTreeSet;

/// A remark with its place. Displayed as `FILE:LINE:COLUMN: …`.
pub type Warning = FileError;

/// Claims of the `profile`, `email`, `address` and `phone` scopes (OpenID Connect Core 1.0, section 5.4), which
/// tell what a person says of himself: in Keycloak the account console changes them, `preferred_username`
/// where the realm lets users edit or choose their names.
const SELF_SERVICE: [&str; 20] = [
    "address",
    "birthdate",
    "email",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "phone_number",
    "picture",
    "preferred_username",
    "profile",
    "upn",
    "username",
    "user_name",
    "website",
    "zoneinfo",
    "login",
];

/// What is likely a mistake in `policies`, given the backends of the configuration and what came of the cases.
pub fn lint(policies: &Policies, backends: &[Backend], report: &Report) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if policies.rules().len() == 0 {
        warnings.push(FileError::new("policies", "no file has a rule: nobody is granted anything"));
    }
    for rule in policies.facts() {
        if rule.never_applies() {
            warnings.push(rule.remark("can never apply: its `when` is false for every token"));
        } else if !report.applied.contains(rule.name()) {
            warnings.push(rule.remark("applies in no case: show one in the `.cases.yaml` beside the file"));
        }
        warnings.extend(unsaid(rule, backends));
        warnings.extend(unheld(rule, backends));
        warnings.extend(untenanted(rule, backends));
        warnings.extend(unknown(rule, backends));
        if rule.is_unrestricted() && (rule.when().is_none() || rule.when_claims().is_empty()) {
            warnings.push(rule.remark("grants everything to everyone: `unrestricted` without a `when`"));
        }
        let set_by_user = |claims: BTreeSet<&str>, key: &str| {
            let named = SELF_SERVICE.iter().find(|name| claims.contains(**name))?;
            let text =
                format!("uses claim `{named}` in `{key}`, which users may be able to choose themselves");
            Some(rule.remark(&text))
        };
        warnings.extend(set_by_user(rule.scope_claims(), "scope"));
        warnings.extend(set_by_user(rule.when_claims(), "when"));
    }
    warnings
}

/// The backends that cannot say a dimension of the rule, in one remark.
fn unsaid(rule: Facts<'_>, backends: &[Backend]) -> Option<Warning> {
    let lacks = |backend: &&Backend| {
        is_for(rule, backend) && rule.dimensions().any(|d| !backend.labels.contains_key(d))
    };
    let closed: Vec<String> = backends.iter().filter(lacks).map(|b| format!("`{}`", b.name)).collect();
    if closed.is_empty() {
        return None;
    }
    let dimensions: Vec<&str> = rule.dimensions().collect();
    let text = format!(
        "is for no request to {}: no label for some of its dimensions ({})",
        closed.join(", "),
        dimensions.join(", ")
    );
    Some(rule.remark(&text))
}

/// Whether the rule is for requests to the backend's mount.
fn is_for(rule: Facts<'_>, backend: &Backend) -> bool {
    rule.backends().is_none_or(|names| names.contains(&backend.mount))
}

/// The backends whose part is told by a dimension that the rule's scopes do not have: nobody can say that all of
/// such a scope is there.
fn unheld(rule: Facts<'_>, backends: &[Backend]) -> Option<Warning> {
    let has = |dimension: &str| rule.dimensions().any(|own| own == dimension);
    let lacks = |backend: &&Backend| is_for(rule, backend) && !backend.holds.dimensions().all(has);
    if rule.is_unrestricted() {
        // Such a caller names a narrower scope.
        return None;
    }
    let closed: Vec<String> = backends.iter().filter(lacks).map(|b| format!("`{}`", b.name)).collect();
    let text = format!(
        "is for no request to {}: told apart from others by `holds` in a dimension that its scope does not have",
        closed.join(", ")
    );
    (!closed.is_empty()).then(|| rule.remark(&text))
}

/// The backends that have no tenant of their own for the rule's scopes.
fn untenanted(rule: Facts<'_>, backends: &[Backend]) -> Option<Warning> {
    let lacks = |backend: &&Backend| {
        let closed = |tenancy: &Tenancy| match rule.is_unrestricted() {
            true => tenancy.unrestricted.is_empty(),
            false => !rule.dimensions().any(|own| own == tenancy.dimension),
        };
        is_for(rule, backend) && backend.tenancy.as_ref().is_some_and(closed)
    };
    let closed: Vec<String> = backends.iter().filter(lacks).map(|b| format!("`{}`", b.name)).collect();
    let text = format!("is for no request to {}: no org id for its scope", closed.join(", "));
    (!closed.is_empty()).then(|| rule.remark(&text))
}

/// The first backend that the rule names and that the configuration does not have.
fn unknown(rule: Facts<'_>, backends: &[Backend]) -> Option<Warning> {
    let known = |name: &String| backends.iter().any(|backend| backend.mount == *name);
    let name = rule.backends()?.iter().find(|name| !known(name))?;
    if let Some(backend) = backends.iter().find(|backend| backend.name == *name) {
        let text = format!("is for backend `{name}`, which rules call by its mount, `{}`", backend.mount);
        return Some(rule.remark(&text));
    }
    Some(rule.remark(&format!("is for backend `{name}`, which the configuration does not have")))
}

/// The claims of which all scopes are made: those that no user may be able to choose.
pub fn scope_claims(policies: &Policies) -> BTreeSet<&str> {
    policies.facts().flat_map(|rule| rule.scope_claims()).collect()
}
