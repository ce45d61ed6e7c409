//! The shape of a file of cases, and where it is found.

use crate::api::Kind;
use crate::lang::{Feature, Features};
use crate::rejection::Rejection;
use crate::rejection::reasons::REASONS;
use crate::scope::said::{HoldsFile, OrgIdFile, Said, Written, check_mounts};
use crate::scope::{Backend, Holds};
use crate::yaml::FileError;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of cases, read. `policies/README.md` teaches it by example.
#[derive(Debug)]
pub struct CaseFile {
    pub(super) file: String,
    /// What the cases ask; `None`: the backends of the configuration.
    pub(super) backends: Option<Vec<Backend>>,
    pub(super) cases: Vec<Spanned<CaseEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CasesFile {
    /// The backends that the cases ask, instead of those of the configuration.
    backends: Option<BTreeMap<String, Spanned<CaseBackend>>>,
    /// The cases.
    cases: Vec<Spanned<CaseEntry>>,
}

/// A backend of a file of cases: what the configuration says of one, less how it is reached.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseBackend {
    /// What it is; the name, if that is a kind.
    kind: Option<Spanned<String>>,
    /// The label that says each dimension.
    labels: BTreeMap<String, String>,
    /// The name under which callers find it.
    mount: Option<Spanned<String>>,
    /// The part of everyone's data that it holds.
    holds: Option<HoldsFile>,
    /// The tenants as it has them itself.
    org_id: Option<Spanned<OrgIdFile>>,
    /// It is told the scope as a label policy.
    label_policy: Option<Spanned<bool>>,
    /// Its features.
    #[serde(default)]
    features: Vec<Spanned<String>>,
}

/// One case: a caller, a request, and what must become of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseEntry {
    /// What it shows.
    pub name: Spanned<String>,
    /// The claims of the caller's token, those that matter.
    pub claims: Map<String, Value>,
    /// The name of the backend that is asked.
    pub backend: Spanned<String>,
    /// `METHOD /path?query`, below the backend's mount.
    pub request: Spanned<String>,
    /// Headers of the request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The form of a POST.
    pub form: Option<String>,
    /// What must be sent: `METHOD /path`, then a line `name=value` for each parameter, decoded.
    pub call: Option<Spanned<String>>,
    /// Or the kind of the refusal.
    pub refused: Option<Spanned<String>>,
    /// Or true: Palisade answers it itself.
    pub answered: Option<Spanned<bool>>,
}

impl CaseFile {
    /// Reads `text`, the content of `file`.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        let read: CasesFile = crate::yaml::read(file, text)?;
        for case in &read.cases {
            let (name, case) = (&case.value.name, &case.value);
            let answered = case.answered.as_ref().is_some_and(|yes| yes.value);
            let said = [case.call.is_some(), case.refused.is_some(), answered];
            if said.into_iter().filter(|said| *said).count() != 1 {
                let message =
                    format!("case `{}`: say one of `call`, `refused: KIND` and `answered: true`", name.value);
                return Err(FileError::at(file, name.referenced, message));
            }
        }
        let mut kinds =
            read.cases.iter().filter_map(|case| Some((&case.value.name.value, case.value.refused.as_ref()?)));
        if let Some((name, kind)) = kinds.find(|(_, kind)| !Rejection::is_reason(&kind.value)) {
            let message =
                format!("case `{name}`: nothing is refused as `{}`{}", kind.value, like(&kind.value));
            return Err(FileError::at(file, kind.referenced, message));
        }
        let backends = read.backends.map(|backends| backends_of(file, backends)).transpose()?;
        Ok(Self { file: file.to_owned(), backends, cases: read.cases })
    }

    /// The files of cases beside the policy files of `folder`, in the order of their names.
    ///
    /// # Errors
    /// The first that cannot be read, or that stands beside no policy file.
    pub fn read_folder(folder: &Path) -> Result<Vec<Self>, FileError> {
        let shown = folder.display().to_string();
        let fault = |error: std::io::Error| FileError::new(&shown, error.to_string());
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            if name.ends_with(CASES) && !name.starts_with('.') {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::load(path)).collect()
    }

    fn load(path: &Path) -> Result<Self, FileError> {
        let file = path.display().to_string();
        let policy = PathBuf::from(format!("{}.yaml", file.strip_suffix(CASES).unwrap_or(&file)));
        if !policy.is_file() {
            return Err(FileError::new(&file, format!("no policy file `{}` beside it", policy.display())));
        }
        let about = |error: std::io::Error| FileError::new(&file, error.to_string());
        let metadata = std::fs::metadata(path).map_err(about)?;
        if !metadata.is_file() || metadata.len() > crate::yaml::MAX_FILE_BYTES as u64 {
            return Err(FileError::new(&file, "not a regular file, or too large for a file of cases"));
        }
        Self::parse(&file, &std::fs::read_to_string(path).map_err(about)?)
    }

    /// The file, as it was named to the reader.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How many cases it has.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}

/// The reason that was meant by `kind`, if one differs in its underscores, hyphens or case alone.
fn like(kind: &str) -> String {
    let bare = |text: &str| text.replace(['_', '-', ' '], "").to_ascii_lowercase();
    let meant = REASONS.iter().find(|reason| bare(reason.name) == bare(kind));
    meant.map_or(", see the reasons in docs/observability.md".to_owned(), |meant| {
        format!(", write `{}`", meant.name)
    })
}

/// How the name of a file of cases ends.
const CASES: &str = ".cases.yaml";

fn backends_of(
    file: &str,
    backends: BTreeMap<String, Spanned<CaseBackend>>,
) -> Result<Vec<Backend>, FileError> {
    let written = |backend: &Spanned<CaseBackend>| Written {
        at: backend.referenced,
        mount: backend.value.mount.as_ref().map(|mount| mount.referenced),
        holds: backend.value.holds.as_ref().map(|holds| holds.referenced),
    };
    let written: Vec<_> = backends.values().map(written).collect();
    let backends = backends.into_iter().map(|(name, backend)| backend_of(file, name, backend));
    let backends = backends.collect::<Result<Vec<_>, _>>()?;
    check_mounts(file, &backends.iter().zip(written).collect::<Vec<_>>())?;
    Ok(backends)
}

/// The one of a backend's name and its mount that is a kind.
fn kind_in<'n>(name: &'n str, mount: &'n str) -> &'n str {
    if name.parse::<Kind>().is_err() && mount.parse::<Kind>().is_ok() { mount } else { name }
}

fn backend_of(file: &str, name: String, backend: Spanned<CaseBackend>) -> Result<Backend, FileError> {
    let (place, backend) = (backend.referenced, backend.value);
    let mount = backend.mount.as_ref().map_or_else(|| name.clone(), |mount| mount.value.clone());
    let (kind_text, place) = backend
        .kind
        .as_ref()
        .map_or((kind_in(&name, &mount), place), |kind| (kind.value.as_str(), kind.referenced));
    let kind: Kind =
        kind_text.parse().map_err(|e: crate::api::UnknownKind| FileError::at(file, place, e.to_string()))?;
    let features: Result<Features, FileError> = backend
        .features
        .iter()
        .map(|text| {
            let unknown =
                |_| FileError::at(file, text.referenced, format!("unknown feature `{}`", text.value));
            text.value.parse::<Feature>().map_err(unknown)
        })
        .collect();
    let (key, labelled) = (format!("backends.{name}"), |d: &str| backend.labels.contains_key(d));
    let said = Said { file, key: &key, kind };
    let tenancy = said.tenancy(backend.org_id.as_ref(), backend.label_policy.as_ref(), labelled)?;
    let holds = backend.holds.as_ref().map_or(Ok(Holds::default()), |holds| said.holds(holds, labelled))?;
    Ok(Backend { mount, holds, tenancy, features: features?, ..Backend::new(name, kind, backend.labels) })
}
