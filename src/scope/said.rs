//! What the configuration and files of cases say of a backend's place among others and of its own tenancy: the
//! shape in YAML, and its check.

use super::Backend;
use super::holds::{Holds, Pattern};
use super::tenancy::{OrgId, Template, Tenancy};
use crate::api::Kind;
use crate::yaml::FileError;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;

/// `holds`: patterns of values by dimension.
pub type HoldsFile = Spanned<BTreeMap<String, Spanned<Vec<Spanned<String>>>>>;

/// `org_id`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrgIdFile {
    /// The dimension whose values have ids; without it, `tenant`.
    pub dimension: Option<Spanned<String>>,
    /// Ids by value.
    #[serde(default)]
    pub map: BTreeMap<String, Spanned<String>>,
    /// Ids of all other values.
    pub template: Option<Spanned<String>>,
    /// Several may be named at once.
    #[serde(default)]
    pub federates: bool,
    /// Ids for callers who may see everything.
    #[serde(default)]
    pub unrestricted: Vec<Spanned<String>>,
}

/// The backend of which something is said.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The file.
    pub file: &'a str,
    /// The key of the backend in it.
    pub key: &'a str,
    /// Its kind.
    pub kind: Kind,
}

impl Said<'_> {
    fn fault(&self, place: Location, key: &str, problem: &str) -> FileError {
        FileError::at(self.file, place, format!("`{}.{key}`: {problem}", self.key))
    }

    /// What the backend holds, which has labels for the dimensions that `labelled` says.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn holds(&self, file: &HoldsFile, labelled: impl Fn(&str) -> bool) -> Result<Holds, FileError> {
        if file.value.is_empty() {
            return Err(self.fault(file.referenced, "holds", "at least one dimension is needed"));
        }
        let mut dimensions = BTreeMap::new();
        for (dimension, patterns) in &file.value {
            let key = format!("holds.{dimension}");
            if !labelled(dimension) {
                let problem = "no dimension that the backend has a label for";
                return Err(self.fault(patterns.referenced, &key, problem));
            }
            if patterns.value.is_empty() {
                return Err(self.fault(patterns.referenced, &key, "at least one value is needed"));
            }
            let read = |text: &Spanned<String>| {
                let pattern = Pattern::parse(&text.value);
                pattern.map_err(|problem| self.fault(text.referenced, &key, &problem))
            };
            let read = patterns.value.iter().map(read).collect::<Result<_, _>>()?;
            dimensions.insert(dimension.clone(), read);
        }
        Ok(Holds::of(dimensions))
    }

    /// How the backend tells tenants apart itself, which has labels for the dimensions that `labelled` says.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn tenancy(
        &self,
        org_id: Option<&Spanned<OrgIdFile>>,
        label_policy: Option<&Spanned<bool>>,
        labelled: impl Fn(&str) -> bool,
    ) -> Result<Option<Tenancy>, FileError> {
        let told = label_policy.filter(|told| told.value);
        if let Some(told) = told {
            // The others are known to enforce none; a header that nobody reads would only look like a protection.
            let reads = matches!(self.kind, Kind::Prometheus | Kind::Loki);
            let problem = match (reads, org_id) {
                (false, _) => format!("{} reads no label policy", self.kind),
                (true, None) => "needs `org_id`: a policy is one tenant's".to_owned(),
                (true, Some(_)) => String::new(),
            };
            if !problem.is_empty() {
                return Err(self.fault(told.referenced, "label_policy", &problem));
            }
        }
        let Some(file) = org_id else { return Ok(None) };
        let place = file.referenced;
        let file = &file.value;
        let dimension = file.dimension.as_ref().map_or("tenant", |dimension| &dimension.value);
        if !labelled(dimension) {
            let place = file.dimension.as_ref().map_or(place, |dimension| dimension.referenced);
            let problem = format!("the backend has no label for `{dimension}`");
            return Err(self.fault(place, "org_id.dimension", &problem));
        }
        let template = file.template.as_ref().map(|text| {
            let template = Template::parse(&text.value, dimension);
            template.map_err(|problem| self.fault(text.referenced, "org_id.template", &problem))
        });
        if template.is_none() && file.map.is_empty() {
            return Err(self.fault(place, "org_id", "give `map`, `template` or both"));
        }
        let id = |key: &str, text: &Spanned<String>| {
            OrgId::parse(&text.value).map_err(|problem| self.fault(text.referenced, key, &problem))
        };
        let mut ids = BTreeMap::new();
        for (value, text) in &file.map {
            let key = format!("org_id.map.{value}");
            if crate::tenant::ScopeValue::parse(value).is_err() {
                return Err(self.fault(text.referenced, &key, "no value of a scope"));
            }
            ids.insert(value.clone(), id(&key, text)?);
        }
        if let (false, Some(second)) = (file.federates, file.unrestricted.get(1)) {
            let problem = "several ids need `federates: true`";
            return Err(self.fault(second.referenced, "org_id.unrestricted", problem));
        }
        let unrestricted = file.unrestricted.iter().map(|text| id("org_id.unrestricted", text));
        Ok(Some(Tenancy {
            dimension: dimension.to_owned(),
            ids,
            template: template.transpose()?,
            federates: file.federates,
            unrestricted: unrestricted.collect::<Result<_, _>>()?,
            label_policy: told.is_some(),
        }))
    }
}

/// Where the faults of one backend are told.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// The backend itself.
    pub at: Location,
    /// Its `mount`, if it has one.
    pub mount: Option<Location>,
    /// Its `holds`, if it has some.
    pub holds: Option<Location>,
}

/// Holds backends to what makes a request to each mount go to one of them at most.
///
/// # Errors
/// The first fault: a mount that is another backend's name, backends of several kinds below one, and below a
/// shared one a backend that does not say what it holds, or holds what another does.
pub fn check_mounts(file: &str, backends: &[(&Backend, Written)]) -> Result<(), FileError> {
    for (index, (backend, written)) in backends.iter().enumerate() {
        let fault = |place: Option<Location>, key: &str, problem: String| {
            let message = format!("`backends.{}.{key}`: {problem}", backend.name);
            Err(FileError::at(file, place.unwrap_or(written.at), message))
        };
        let others =
            backends.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other.0);
        if others.clone().any(|other| other.name == backend.mount) {
            return fault(written.mount, "mount", format!("`{}` is another backend's name", backend.mount));
        }
        let mut beside = others.filter(|other| other.mount == backend.mount).peekable();
        if beside.peek().is_some() && backend.holds.is_everything() {
            let problem = format!("needed, as others are mounted at `{}` too", backend.mount);
            return fault(None, "holds", problem);
        }
        for other in beside {
            if other.kind != backend.kind {
                let problem = format!("`{}` is mounted there, and is {}", other.name, other.kind);
                return fault(written.mount, "mount", problem);
            }
            // One that says nothing of it is told that, when its turn comes.
            if !other.holds.is_everything() && backend.holds.meets(&other.holds) {
                let problem = format!("`{}` holds some of that ({})", other.name, other.holds);
                return fault(written.holds, "holds", problem);
            }
        }
    }
    Ok(())
}
