//! Policy files into rules that can be evaluated. Everything that can be found wrong without a token is
//! found here.

use super::expression::{Expression, Tables};
use super::file::{PolicyFile, RuleFile, RuleLimitsFile, read_folder};
use super::limits::{Rate, RuleLimits, Share, TenantLimits, tenant_key};
use super::maps;
use crate::api::{Class, Classes, UnknownClass};
use crate::limits::Limits;
use crate::tenant::ScopeValue;
use crate::yaml::FileError;
use serde_saphyr::{Location, Spanned};
use std::collections::{BTreeMap, BTreeSet};
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
    /// The limits of tenants.
    pub(super) tenants: Arc<TenantLimits>,
    /// What expressions look things up in.
    pub(super) tables: Tables,
}

/// One compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub name: Arc<str>,
    /// Where it is written.
    pub at: Place,
    /// Without it the rule applies to every caller.
    pub when: Option<Expression>,
    /// Empty for an unrestricted rule, and for no other.
    pub scope: BTreeMap<String, Expression>,
    /// The rule grants everything.
    pub unrestricted: bool,
    /// What the rule is for.
    pub coverage: Arc<Coverage>,
}

/// The requests that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Coverage {
    /// The backends by name; `None`: every one.
    pub backends: Option<BTreeSet<String>>,
    /// The kinds of endpoints.
    pub classes: Classes,
    /// What may be asked for at most.
    pub limits: RuleLimits,
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
        let mut tenants = TenantLimits::default();
        let read = |(file, text): &(String, String)| Ok((file.clone(), crate::yaml::read(file, text)?));
        let files: Vec<(String, PolicyFile)> = files.iter().map(read).collect::<Result<_, FileError>>()?;
        let tables = maps::read(&files)?;
        for (file, read) in &files {
            for rule in &read.rules {
                if rules.len() >= MAX_RULES {
                    return Err(FileError::at(file, rule.referenced, format!("more than {MAX_RULES} rules")));
                }
                let place = rule.value.name.referenced;
                let compiled = compile_rule(file, rule, &tables)?;
                if let Some(first) = names.insert(compiled.name.to_string(), file) {
                    let message = format!("rule name `{}` is taken in {first}", compiled.name);
                    return Err(FileError::at(file, place, message));
                }
                rules.push(compiled);
            }
            for (tenant, limits) in &read.tenant_limits {
                tenant_limits(file, tenant, limits, &mut tenants)?;
            }
        }
        Ok(Self { rules, max_values: limits.tenants, tenants: Arc::new(tenants), tables })
    }

    /// The names of the rules, in the order in which they are evaluated.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rules.iter().map(|rule| &*rule.name)
    }
}

fn compile_rule(file: &str, rule: &Spanned<RuleFile>, tables: &Tables) -> Result<Rule, FileError> {
    let place = rule.referenced;
    let rule = &rule.value;
    let name: Arc<str> = checked_name(file, &rule.name)?;
    let unrestricted = rule.unrestricted.as_ref().is_some_and(|yes| yes.value);
    if let (true, Some(scope)) = (unrestricted, &rule.scope) {
        let message = format!("rule `{name}`: `unrestricted` grants everything and takes no `scope`");
        return Err(FileError::at(file, scope.referenced, message));
    }
    let coverage = Arc::new(coverage(file, &name, rule, unrestricted)?);
    let when = rule.when.as_ref().map(|text| expression(file, &name, "when", text, tables)).transpose()?;
    let dimensions = rule.scope.iter().flat_map(|scope| &scope.value);
    if dimensions.clone().next().is_none() && !unrestricted {
        let message = format!("rule `{name}`: `scope` needs at least one dimension");
        return Err(FileError::at(file, place, message));
    }
    let mut scope = BTreeMap::new();
    for (dimension, text) in dimensions {
        if !is_dimension(dimension) {
            let message = format!(
                "rule `{name}`: `{dimension}` is no dimension, use a lower-case letter and then at most {} \
                 lower-case letters, digits or underscores",
                MAX_DIMENSION_BYTES.saturating_sub(1)
            );
            return Err(FileError::at(file, text.referenced, message));
        }
        let compiled = expression(file, &name, &format!("scope.{dimension}"), text, tables)?;
        scope.insert(dimension.clone(), compiled);
    }
    let at = Place { file: file.into(), location: place };
    Ok(Rule { name, at, when, scope, unrestricted, coverage })
}

/// What the rule is for. An empty list would be a rule for nothing, which is never meant.
fn coverage(file: &str, rule: &str, read: &RuleFile, unrestricted: bool) -> Result<Coverage, FileError> {
    let fault = |place, text: String| FileError::at(file, place, format!("rule `{rule}`: {text}"));
    let backends = match &read.backends {
        Some(list) if list.value.is_empty() => {
            return Err(fault(list.referenced, "`backends` needs at least one name".to_owned()));
        }
        Some(list) => Some(list.value.iter().map(|name| name.value.clone()).collect()),
        None => None,
    };
    let classes = match &read.endpoints {
        Some(list) if list.value.is_empty() => {
            return Err(fault(list.referenced, "`endpoints` needs at least one name".to_owned()));
        }
        Some(list) => {
            let parse = |name: &Spanned<String>| {
                let unknown = |error: UnknownClass| fault(name.referenced, error.to_string());
                name.value.parse::<Class>().map_err(unknown)
            };
            list.value.iter().map(parse).collect::<Result<Classes, _>>()?
        }
        None if unrestricted => Classes::READING,
        None => Classes::USUAL,
    };
    let whose = format!("rule `{rule}`");
    let limits = read.limits.as_ref().map(|limits| read_limits(file, &whose, &limits.value)).transpose()?;
    Ok(Coverage { backends, classes, limits: limits.unwrap_or_default() })
}

/// Adds the limits of a tenant, or with `*` of each other, to `all`.
fn tenant_limits(
    file: &str,
    tenant: &str,
    read: &Spanned<RuleLimitsFile>,
    all: &mut TenantLimits,
) -> Result<(), FileError> {
    let limits = read_limits(file, &format!("tenant `{tenant}`"), &read.value)?;
    let fault =
        |text: &str| FileError::at(file, read.referenced, format!("`tenant_limits.{tenant}`: {text}"));
    let before = if tenant == "*" {
        all.others.replace(limits).is_some()
    } else if ScopeValue::parse(tenant).is_ok() {
        let share = Share { key: tenant_key(tenant), limits };
        all.named.insert(tenant.to_owned(), Arc::new(share)).is_some()
    } else {
        return Err(fault("no tenant can have this name"));
    };
    if before { Err(fault("is said in another file already")) } else { Ok(()) }
}

/// The largest number that a limit can be.
const MAX_LIMIT: u64 = 1_000_000_000;

/// The limits of `whose`: a rule, or a tenant.
fn read_limits(file: &str, whose: &str, read: &RuleLimitsFile) -> Result<RuleLimits, FileError> {
    let fault = |place, key: &str, text: String| {
        FileError::at(file, place, format!("{whose}: `limits.{key}`: {text}"))
    };
    let number = |key: &str, value: &Option<Spanned<u64>>| match value {
        Some(value) if (1..=MAX_LIMIT).contains(&value.value) => Ok(Some(value.value)),
        Some(value) => Err(fault(value.referenced, key, format!("must be 1 to {MAX_LIMIT}"))),
        None => Ok(None),
    };
    // Nothing over `MAX_LIMIT` comes here, which fits.
    let small = |value: Option<u64>| value.and_then(|value| u32::try_from(value).ok());
    let size = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
    let per_second = small(number("requests_per_second", &read.requests_per_second)?);
    let burst = small(number("burst", &read.burst)?);
    if let (None, Some(burst)) = (per_second, &read.burst) {
        return Err(fault(burst.referenced, "burst", "needs `requests_per_second`".to_owned()));
    }
    let range = match &read.range {
        Some(text) => match crate::yaml::duration(&text.value) {
            Ok(range) if !range.is_zero() => Some(range),
            Ok(_) => return Err(fault(text.referenced, "range", "must not be zero".to_owned())),
            Err(message) => return Err(fault(text.referenced, "range", message)),
        },
        None => None,
    };
    Ok(RuleLimits {
        rate: per_second.map(|per_second| Rate { per_second, burst: burst.unwrap_or(per_second) }),
        concurrent_requests: small(number("concurrent_requests", &read.concurrent_requests)?),
        tails: small(number("tails", &read.tails)?),
        query_bytes: size(number("query_bytes", &read.query_bytes)?),
        selectors: size(number("selectors", &read.selectors)?),
        range,
        points: number("points", &read.points)?,
        entries: number("entries", &read.entries)?,
        answer_bytes: number("answer_bytes", &read.answer_bytes)?,
    })
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

fn expression(
    file: &str,
    rule: &str,
    key: &str,
    text: &Spanned<String>,
    tables: &Tables,
) -> Result<Expression, FileError> {
    Expression::compile(&text.value, tables)
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
            ("unrestricted: false", "a.yaml:2:5: rule `r`: `scope` needs at least one dimension"),
            (
                "unrestricted: true\n    scope: { tenant: claims.t }",
                "a.yaml:4:12: rule `r`: `unrestricted` grants everything and takes no `scope`",
            ),
            ("unrestricted: true\n    scope: {}", "a.yaml:4:12: rule `r`: `unrestricted` grants everything"),
            ("endpoints: [read, write]", "a.yaml:3:23: rule `r`: unknown endpoints `write`, use read, "),
            ("endpoints: []", "a.yaml:3:16: rule `r`: `endpoints` needs at least one name"),
            ("backends: []", "a.yaml:3:15: rule `r`: `backends` needs at least one name"),
            ("limits: { queries: 1 }", "a.yaml:3:15: unknown field `queries`"),
            ("limits: { points: 0 }", "a.yaml:3:23: rule `r`: `limits.points`: must be 1 to 1000000000"),
            ("limits: { entries: 1000000001 }", "a.yaml:3:24: rule `r`: `limits.entries`: must be 1 to"),
            ("limits: { burst: 5 }", "a.yaml:3:22: rule `r`: `limits.burst`: needs `requests_per_second`"),
            ("limits: { range: 5 }", "a.yaml:3:22: rule `r`: `limits.range`: `5` is no duration"),
            ("limits: { range: 0s }", "a.yaml:3:22: rule `r`: `limits.range`: must not be zero"),
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
