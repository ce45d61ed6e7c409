//! Policy files into rules that can be evaluated. Everything that can be found wrong without a token is
//! found here.

use super::expression::Expression;
use super::file::{PolicyFile, RuleFile, read_folder};
use crate::limits::Limits;
use crate::yaml::FileError;
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Rules in all files together.
pub const MAX_RULES: usize = 1024;
/// Bytes of a rule's name.
const MAX_NAME_BYTES: usize = 128;
/// Bytes of a dimension's name.
const MAX_DIMENSION_BYTES: usize = 32;

/// All rules, compiled. One immutable value: a change of the files is another value.
#[derive(Debug)]
pub struct Policies {
    pub(super) rules: Vec<Rule>,
    /// Values that one dimension of a scope may have.
    pub(super) max_values: usize,
}

/// One compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub name: Arc<str>,
    /// Where it is written.
    pub at: Place,
    /// Without it the rule applies to every caller.
    pub when: Option<Expression>,
    /// Never empty.
    pub scope: BTreeMap<String, Expression>,
}

/// A file and a place in it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub file: Arc<str>,
    pub location: Location,
}

impl Policies {
    /// Reads and compiles the policy files of `folder`, see [`read_folder`].
    ///
    /// # Errors
    /// The first fault in the order of the files' names, with its place.
    pub fn load(folder: &Path, limits: &Limits) -> Result<Self, FileError> {
        Self::compile(&read_folder(folder)?, limits)
    }

    /// Compiles files given as (name, text). Takes `limits.tenants` as the cap on the values of a
    /// dimension.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn compile(files: &[(String, String)], limits: &Limits) -> Result<Self, FileError> {
        let mut rules = Vec::new();
        let mut names: BTreeMap<String, &str> = BTreeMap::new();
        for (file, text) in files {
            let read: PolicyFile = crate::yaml::read(file, text)?;
            for rule in read.rules {
                if rules.len() >= MAX_RULES {
                    return Err(FileError::at(file, rule.referenced, format!("more than {MAX_RULES} rules")));
                }
                let place = rule.value.name.referenced;
                let compiled = compile_rule(file, rule)?;
                if let Some(first) = names.insert(compiled.name.to_string(), file) {
                    let message = format!("rule name `{}` is taken in {first}", compiled.name);
                    return Err(FileError::at(file, place, message));
                }
                rules.push(compiled);
            }
        }
        Ok(Self { rules, max_values: limits.tenants })
    }

    /// The names of the rules, in the order in which they are evaluated.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.name)
    }
}

fn compile_rule(file: &str, rule: Spanned<RuleFile>) -> Result<Rule, FileError> {
    let place = rule.referenced;
    let rule = rule.value;
    let name: Arc<str> = checked_name(file, &rule.name)?;
    if let Some(unrestricted) = rule.unrestricted {
        let message = format!("rule `{name}`: `unrestricted` is not supported in this version");
        return Err(FileError::at(file, unrestricted.referenced, message));
    }
    let when = rule.when.map(|text| expression(file, &name, "when", &text)).transpose()?;
    let dimensions = rule.scope.map(|scope| scope.value).unwrap_or_default();
    if dimensions.is_empty() {
        let message = format!("rule `{name}`: `scope` needs at least one dimension");
        return Err(FileError::at(file, place, message));
    }
    let mut scope = BTreeMap::new();
    for (dimension, text) in dimensions {
        if !is_dimension(&dimension) {
            let message = format!(
                "rule `{name}`: `{dimension}` is no dimension, use a lower-case letter and then at most {} \
                 lower-case letters, digits or underscores",
                MAX_DIMENSION_BYTES.saturating_sub(1)
            );
            return Err(FileError::at(file, text.referenced, message));
        }
        let compiled = expression(file, &name, &format!("scope.{dimension}"), &text)?;
        scope.insert(dimension, compiled);
    }
    let at = Place { file: file.into(), location: place };
    Ok(Rule { name, at, when, scope })
}

/// A rule's name goes into logs and explanations as it is.
fn checked_name(file: &str, name: &Spanned<String>) -> Result<Arc<str>, FileError> {
    let text = name.value.as_str();
    let trimmed = text.trim() == text && !text.is_empty();
    if trimmed && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control) {
        return Ok(text.into());
    }
    let message = format!(
        "a rule's name has 1 to {MAX_NAME_BYTES} bytes, no control characters, and no space at its ends"
    );
    Err(FileError::at(file, name.referenced, message))
}

/// Whether `name` can be a dimension: a lower-case letter, then lower-case letters, digits and underscores,
/// at most 32 bytes in all. It is also a key of the configuration (`labels`) and of a header.
pub fn is_dimension(name: &str) -> bool {
    let first_ok = name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    let rest_ok = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    first_ok && rest_ok && name.len() <= MAX_DIMENSION_BYTES
}

fn expression(file: &str, rule: &str, key: &str, text: &Spanned<String>) -> Result<Expression, FileError> {
    Expression::compile(&text.value)
        .map_err(|fault| FileError::at(file, text.referenced, format!("rule `{rule}`: `{key}`: {fault}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn compile(texts: &[&str]) -> Result<Policies, String> {
        let files: Vec<_> =
            texts.iter().zip('a'..).map(|(t, n)| (format!("{n}.yaml"), (*t).into())).collect();
        Policies::compile(&files, &Limits::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_fault_is_told_with_its_file_line_column_rule_and_key() {
        let rule = |rest: &str| format!("rules:\n  - name: r\n    {rest}\n");
        for (rest, expected) in [
            ("scope: { tenant: claim.t }", "a.yaml:3:22: rule `r`: `scope.tenant`: unknown name `claim`"),
            ("when: has(\n    scope: { tenant: claims.t }", "a.yaml:3:11: rule `r`: `when`: "),
            ("scope: {}", "a.yaml:2:5: rule `r`: `scope` needs at least one dimension"),
            ("when: claims.a", "a.yaml:2:5: rule `r`: `scope` needs at least one dimension"),
            ("scope: { Tenant: claims.t }", "a.yaml:3:22: rule `r`: `Tenant` is no dimension"),
            ("scope: { tenant: [a] }", "a.yaml:3:22: "),
            ("scope: claims.t", "a.yaml:3:12: "),
            ("scop: {}", "a.yaml:3:5: unknown field `scop`"),
            ("endpoints: [read]", "a.yaml:3:5: unknown field `endpoints`"),
            ("unrestricted: true", "a.yaml:3:19: rule `r`: `unrestricted` is not supported in this version"),
            (
                "unrestricted: false\n    scope: { tenant: claims.t }",
                "a.yaml:3:19: rule `r`: `unrestricted` is not",
            ),
        ] {
            let error = compile(&[&rule(rest)]).unwrap_err();
            assert!(error.starts_with(expected), "{rest}: {error}");
        }
    }

    #[test]
    fn a_scope_may_have_several_dimensions_and_a_rule_no_condition() {
        let policies =
            compile(&["rules:\n  - name: r\n    scope: { tenant: claims.t, region: '\"eu-west\"' }\n"]);
        let policies = policies.unwrap();
        assert!(policies.rules[0].when.is_none());
        assert_eq!(policies.rules[0].scope.keys().collect::<Vec<_>>(), ["region", "tenant"]);
    }

    #[test]
    fn names_are_unique_over_all_files_and_case_counts() {
        let file = |name: &str| format!("rules:\n  - name: {name}\n    scope: {{ tenant: claims.t }}\n");
        assert_eq!(
            compile(&[&file("dev"), &file("Dev")]).unwrap().rules().collect::<Vec<_>>(),
            ["dev", "Dev"]
        );
        assert_eq!(
            compile(&[&file("dev"), &file("dev")]).unwrap_err(),
            "b.yaml:2:11: rule name `dev` is taken in a.yaml"
        );
    }

    #[test]
    fn a_name_has_128_bytes_and_not_129_and_no_control_characters() {
        let file = |name: &str| format!("rules:\n  - name: {name}\n    scope: {{ tenant: claims.t }}\n");
        assert!(compile(&[&file(&"n".repeat(128))]).is_ok());
        for bad in ["n".repeat(129), "''".into(), "\"a\\nb\"".into(), "' a'".into(), "\"a\\u0085b\"".into()] {
            assert!(compile(&[&file(&bad)]).unwrap_err().starts_with("a.yaml:2:11: a rule's name"), "{bad}");
        }
    }

    #[test]
    fn a_dimension_has_32_bytes_and_not_33() {
        assert!(is_dimension(&"d".repeat(32)) && !is_dimension(&"d".repeat(33)));
        for bad in ["", "1a", "_a", "a-b", "a.b", "A", "ä", "a b"] {
            assert!(!is_dimension(bad), "{bad:?}");
        }
    }

    #[test]
    fn there_are_1024_rules_and_not_1025() {
        let rules = |count: usize| {
            let rule = |i| format!("  - name: r{i}\n    scope: {{ tenant: claims.t }}\n");
            format!("rules:\n{}", (0..count).map(rule).collect::<String>())
        };
        assert_eq!(compile(&[&rules(MAX_RULES)]).unwrap().rules().len(), MAX_RULES);
        let one_more = "rules:\n  - name: last\n    scope: { tenant: claims.t }\n";
        assert_eq!(compile(&[&rules(MAX_RULES), one_more]).unwrap_err(), "b.yaml:2:5: more than 1024 rules");
    }
}
