//! The shape of a policy file, and which files of a folder are read.

use crate::yaml::FileError;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::Path;

/// A policy file: `policies/README.md` teaches it by example.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    /// The rules. An empty list grants nothing to anyone.
    pub rules: Vec<Spanned<RuleFile>>,
    /// The limits of tenants by their name, whoever asks; `*`: of each that is not named.
    #[serde(default)]
    pub tenant_limits: BTreeMap<String, Spanned<RuleLimitsFile>>,
    /// Tables that expressions look things up in, as `maps.NAME`.
    #[serde(default)]
    pub maps: BTreeMap<String, Spanned<MapFile>>,
}

/// One of `maps`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MapFile {
    /// The file beside this one that has it: `KEY: [VALUE, …]`.
    pub file: Spanned<String>,
}

/// One rule: who (`when`) may see what (`scope`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleFile {
    /// Unique over all files; it is what logs and explanations call the rule.
    pub name: Spanned<String>,
    /// CEL over `claims`, yielding a boolean. Without it the rule applies to every caller.
    pub when: Option<Spanned<String>>,
    /// For each dimension a CEL expression over `claims`, yielding a string or a list of strings.
    pub scope: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    /// Instead of a scope: the rule grants everything, unscoped.
    pub unrestricted: Option<Spanned<bool>>,
    /// The backends that the rule is for. Without it: every backend.
    pub backends: Option<Spanned<Vec<Spanned<String>>>>,
    /// The kinds of endpoints that the rule is for. Without it: all; with `unrestricted`, those that change
    /// nothing.
    pub endpoints: Option<Spanned<Vec<Spanned<String>>>>,
    /// What may be asked for at most.
    pub limits: Option<Spanned<RuleLimitsFile>>,
}

/// `limits` of a rule or a tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleLimitsFile {
    /// Requests a second.
    pub requests_per_second: Option<Spanned<u64>>,
    /// Requests at once after a pause; without it as many as a second has.
    pub burst: Option<Spanned<u64>>,
    /// Requests that may be worked on at once.
    pub concurrent_requests: Option<Spanned<u64>>,
    /// Live tails that may be open at once.
    pub tails: Option<Spanned<u64>>,
    /// Bytes of a query text.
    pub query_bytes: Option<Spanned<u64>>,
    /// Selectors of a query text.
    pub selectors: Option<Spanned<u64>>,
    /// Between `start` and `end`.
    pub range: Option<Spanned<String>>,
    /// Steps between `start` and `end`.
    pub points: Option<Spanned<u64>>,
    /// What `limit` may be.
    pub entries: Option<Spanned<u64>>,
    /// Bytes of an answer's body.
    pub answer_bytes: Option<Spanned<u64>>,
}

/// Reads the policy files of a folder as (file name, text), in the order of their names.
///
/// Read are the folder's own `*.yaml`, through symbolic links (a mounted Kubernetes config map is made of
/// them); never a file whose name starts with a dot or ends in `.cases.yaml` or `.map.yaml`, never a subfolder.
///
/// # Errors
/// The folder or a file cannot be read, a name or a text is not UTF-8, a file is too large, or there is
/// no policy file at all: a folder named by mistake must not look like a policy that denies everything.
pub fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, FileError> {
    let shown = folder.display().to_string();
    let fault = |error: std::io::Error| FileError::new(&shown, error.to_string());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let file = path.display().to_string();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(FileError::new(file, "file name is not UTF-8"));
        };
        if !is_policy_file(name) {
            continue;
        }
        let about = |error: std::io::Error| FileError::new(&file, error.to_string());
        let metadata = std::fs::metadata(&path).map_err(about)?;
        if metadata.is_dir() {
            continue;
        }
        if !metadata.is_file() || metadata.len() > crate::yaml::MAX_FILE_BYTES as u64 {
            return Err(FileError::new(file, "not a regular file, or too large for a policy file"));
        }
        let text = std::fs::read_to_string(&path).map_err(about)?;
        files.push((file, text));
    }
    if files.is_empty() {
        return Err(FileError::new(shown, "no policy file (`*.yaml`) in this folder"));
    }
    files.sort();
    Ok(files)
}

/// Whether the name is that of a policy file; case counts.
pub(super) fn is_policy_file(name: &str) -> bool {
    let beside = name.ends_with(".cases.yaml") || name.ends_with(".map.yaml");
    name.ends_with(".yaml") && !beside && !name.starts_with('.')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folders_own_policy_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(folder.path().join(name), name).unwrap();
        for name in [
            "b.yaml",
            "a.yaml",
            ".hidden.yaml",
            "a.cases.yaml",
            "a.map.yaml",
            "c.yml",
            "d.YAML",
            "e.yaml~",
            "README.md",
        ] {
            write(name);
        }
        std::fs::create_dir(folder.path().join("sub.yaml")).unwrap();
        std::fs::create_dir(folder.path().join("..data")).unwrap();
        write("sub.yaml/inner.yaml");
        write("..data/linked");
        std::os::unix::fs::symlink("..data/linked", folder.path().join("z.yaml")).unwrap();

        let files = read_folder(folder.path()).unwrap();
        let texts: Vec<_> = files.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a.yaml", "b.yaml", "..data/linked"]);
        assert!(files[0].0.ends_with("/a.yaml"), "faults name the path: {}", files[0].0);
    }

    #[test]
    fn a_folder_without_a_policy_file_is_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_folder(folder.path()).unwrap_err().message().contains("no policy file"));
        assert!(read_folder(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn a_policy_file_that_cannot_be_read_is_an_error_and_not_skipped() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "rules: []").unwrap();
        std::fs::write(folder.path().join("b.yaml"), b"rules: [\xff]").unwrap();
        assert!(read_folder(folder.path()).unwrap_err().file().ends_with("b.yaml"));
        std::fs::remove_file(folder.path().join("b.yaml")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("c.yaml")).unwrap();
        assert!(read_folder(folder.path()).unwrap_err().file().ends_with("c.yaml"));
    }
}
