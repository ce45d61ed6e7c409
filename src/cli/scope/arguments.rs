//! The arguments of `palisade scope`, held to the rules of the configuration.

use super::Scoping;
use crate::api::Kind;
use crate::config::{check_label, fits};
use crate::lang::{Feature, Features, Language};
use crate::limits::Limits;
use crate::policy::is_dimension;
use crate::tenant::{Scope, ScopeMatchers, ScopeValue, Values};
use clap::{Args, ValueEnum};
use std::collections::{BTreeMap, BTreeSet};

/// The dimension of `--tenant`.
const TENANT: &str = "tenant";

/// What to scope, and for whom.
#[derive(Debug, Args)]
pub struct ScopeArguments {
    /// The language of the queries.
    #[arg(long, value_enum)]
    lang: Lang,
    /// A tenant that may be seen, short for `--scope tenant=TENANT`; may be repeated.
    #[arg(long)]
    tenant: Vec<String>,
    /// A value of a dimension that may be seen; may be repeated.
    #[arg(long, value_name = "DIMENSION=VALUE", value_parser = pair)]
    scope: Vec<(String, String)>,
    /// The label that says a dimension; without it the dimension's name, in TraceQL below `resource.`.
    #[arg(long, value_name = "DIMENSION=LABEL", value_parser = pair)]
    label: Vec<(String, String)>,
    /// A feature of the backend, by its name in the configuration; may be repeated.
    #[arg(long)]
    feature: Vec<String>,
    /// Write for people: insertions marked, refusals underlined.
    #[arg(long)]
    pub(super) pretty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    Promql,
    Logql,
    Traceql,
}

impl Lang {
    fn language(self) -> Language {
        match self {
            Self::Promql => Language::PromQl,
            Self::Logql => Language::LogQl,
            Self::Traceql => Language::TraceQl,
        }
    }

    /// The kind of backend that speaks it.
    fn kind(self) -> Kind {
        match self {
            Self::Promql => Kind::Prometheus,
            Self::Logql => Kind::Loki,
            Self::Traceql => Kind::Tempo,
        }
    }
}

/// Splits `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write DIMENSION=…")?;
    if !is_dimension(name) {
        return Err(format!("`{name}` is no dimension"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl ScopeArguments {
    /// Checks the arguments together.
    ///
    /// # Errors
    /// What is wrong, for whoever wrote them.
    pub(super) fn scoping(&self) -> Result<Scoping, String> {
        let limits = Limits::default();
        let matchers = self.matchers(limits.tenants)?;
        let features = self.features()?;
        Ok(Scoping { language: self.lang.language(), features, limits: limits.query, matchers })
    }

    fn features(&self) -> Result<Features, String> {
        let kind = self.lang.kind();
        let parse = |name: &String| match name.parse::<Feature>() {
            Ok(feature) if fits(feature, kind) => Ok(feature),
            Ok(feature) => Err(format!("--feature: `{feature}` is no feature of {kind}")),
            Err(unknown) => Err(format!("--feature: {unknown}")),
        };
        self.feature.iter().map(parse).collect()
    }

    fn matchers(&self, most: usize) -> Result<ScopeMatchers, String> {
        let mut dimensions = BTreeMap::<String, BTreeSet<ScopeValue>>::new();
        let tenants = self.tenant.iter().map(|value| (TENANT, value));
        for (dimension, value) in tenants.chain(self.scope.iter().map(|(d, v)| (d.as_str(), v))) {
            let value = ScopeValue::parse(value).map_err(|bad| format!("`{value}`: {bad}"))?;
            let values = dimensions.entry(dimension.to_owned()).or_default();
            values.insert(value);
            if values.len() > most {
                return Err(format!("more than {most} values of `{dimension}`"));
            }
        }
        let labels = self.labels(dimensions.keys())?;
        let values =
            dimensions.into_iter().map(|(d, values)| Some((d, Values::new(values.into_iter().collect())?)));
        let scope = values.collect::<Option<_>>().and_then(Scope::new);
        let scope = scope.ok_or("at least one --tenant or --scope is needed")?;
        scope.in_labels(|d| labels.get(d).map(String::as_str)).map_err(|unsaid| unsaid.to_string())
    }

    /// The label of each of `dimensions`.
    fn labels<'d>(
        &self,
        dimensions: impl Iterator<Item = &'d String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut labels = BTreeMap::new();
        for (dimension, label) in &self.label {
            if labels.insert(dimension.clone(), label.clone()).is_some() {
                return Err(format!("--label: two labels for `{dimension}`"));
            }
        }
        for dimension in dimensions {
            labels.entry(dimension.clone()).or_insert_with(|| match self.lang {
                Lang::Promql | Lang::Logql => dimension.clone(),
                Lang::Traceql => format!("resource.{dimension}"),
            });
        }
        let mut taken = BTreeSet::new();
        for label in labels.values() {
            check_label(self.lang.kind(), label)?;
            if !taken.insert(label) {
                return Err(format!("`{label}` is the label of two dimensions"));
            }
        }
        Ok(labels)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn arguments(lang: Lang, tenants: usize) -> ScopeArguments {
        let tenant = (0..tenants).map(|i| format!("t{i}")).collect();
        ScopeArguments { lang, tenant, scope: vec![], label: vec![], feature: vec![], pretty: false }
    }

    #[test]
    fn there_are_1024_tenants_and_not_1025() {
        assert!(arguments(Lang::Promql, 1024).scoping().is_ok());
        let fault = arguments(Lang::Promql, 1025).scoping().unwrap_err();
        assert_eq!(fault, "more than 1024 values of `tenant`");
    }

    #[test]
    fn a_dimension_is_said_in_its_own_name_or_the_label_given() {
        let labels = |lang, label: &[(&str, &str)]| {
            let mut arguments = arguments(lang, 1);
            arguments.scope = vec![("region".into(), "eu".into())];
            arguments.label = label.iter().map(|(d, l)| ((*d).to_owned(), (*l).to_owned())).collect();
            let matchers = arguments.scoping().map(|scoping| scoping.matchers)?;
            Ok::<_, String>(matchers.iter().map(|m| m.label.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(labels(Lang::Promql, &[]).unwrap(), ["region", "tenant"]);
        assert_eq!(labels(Lang::Traceql, &[]).unwrap(), ["resource.region", "resource.tenant"]);
        assert_eq!(labels(Lang::Logql, &[("tenant", "org")]).unwrap(), ["region", "org"]);
        for wrong in [
            &[("tenant", "a"), ("tenant", "b")][..],
            &[("tenant", "region")],
            &[("tenant", "by")],
            &[("tenant", "__name__")],
            &[("tenant", "a\"")],
        ] {
            assert!(labels(Lang::Logql, wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn unusable_arguments_are_told() {
        assert!(arguments(Lang::Logql, 0).scoping().unwrap_err().contains("at least one"));
        let with_feature = |feature: &str| ScopeArguments {
            feature: vec![feature.to_owned()],
            ..arguments(Lang::Traceql, 1)
        };
        assert!(with_feature("tempo-3").scoping().unwrap().features.has(Feature::Tempo3));
        assert!(with_feature("variants").scoping().unwrap_err().contains("no feature of tempo"));
        assert!(with_feature("everything").scoping().unwrap_err().contains("unknown feature"));
        let value = ScopeArguments { tenant: vec!["a|b".into()], ..arguments(Lang::Promql, 0) };
        assert!(value.scoping().unwrap_err().contains("must match"));
        for bad in ["", "tenant", "Tenant=a", "=a"] {
            assert!(pair(bad).is_err(), "{bad:?}");
        }
    }
}
