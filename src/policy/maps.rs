//! Tables beside the policies: who has a list of which group has which tenants keeps it in a file of its own, which the
//! policies look things up in.

use super::expression::Tables;
use super::file::{PolicyFile, is_policy_file};
use crate::tenant::ScopeValue;
use crate::yaml::{FileError, MAX_FILE_BYTES};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::Path;

/// Maps of all files together.
pub const MAX_MAPS: usize = 16;
/// Keys of one map.
pub const MAX_KEYS: usize = 16_384;

/// One map: for each key its values.
pub(super) type Table = BTreeMap<String, Vec<String>>;

/// Reads the maps that the policy files name: for each the file beside the one that names it.
///
/// # Errors
/// The first fault, with its place: in the policy file, or in that of the map.
pub(super) fn read(policies: &[(String, PolicyFile)]) -> Result<Tables, FileError> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for (policy, read) in policies {
        for (name, map) in &read.maps {
            let file = &map.value.file;
            let fault =
                |text: String| FileError::at(policy, file.referenced, format!("`maps.{name}`: {text}"));
            if !super::is_dimension(name) {
                return Err(fault(
                    "a map's name is a lower-case letter and then lower-case letters, digits or underscores"
                        .to_owned(),
                ));
            }
            if tables.len() >= MAX_MAPS {
                return Err(fault(format!("more than {MAX_MAPS} maps")));
            }
            let beside = file.value.as_str();
            if beside.is_empty() || beside.contains('/') || beside.starts_with('.') || is_policy_file(beside)
            {
                return Err(fault(format!(
                    "`{beside}` is no name of a file beside this one that is no policy, such as `{name}.map.yaml`"
                )));
            }
            let path = Path::new(policy).with_file_name(beside);
            let shown = path.display().to_string();
            let text = text(&path).map_err(|why| fault(format!("{shown}: {why}")))?;
            if tables.insert(name.clone(), table(&shown, &text)?).is_some() {
                return Err(fault("is said in another file already".to_owned()));
            }
        }
    }
    Ok(Tables::new(tables))
}

fn text(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES as u64 {
        return Err(format!("not a regular file, or over the limit of {MAX_FILE_BYTES} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Reads `KEY: [VALUE, …]` in YAML or JSON. Each value must be one that a scope can have, so that a slip is found when
/// the file is loaded, and not when the first caller is refused.
fn table(file: &str, text: &str) -> Result<Table, FileError> {
    let read: BTreeMap<String, Vec<Spanned<String>>> = crate::yaml::read(file, text)?;
    if read.len() > MAX_KEYS {
        return Err(FileError::new(file, format!("more than {MAX_KEYS} keys")));
    }
    let mut table = Table::new();
    for (key, values) in read {
        let value = |value: Spanned<String>| match ScopeValue::parse(&value.value) {
            Ok(_) => Ok(value.value),
            Err(fault) => {
                let message = format!("`{key}`: `{}` is no value of a scope: {fault}", value.value);
                Err(FileError::at(file, value.referenced, message))
            }
        };
        let values = values.into_iter().map(value).collect::<Result<_, _>>()?;
        table.insert(key, values);
    }
    Ok(table)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use crate::limits::Limits;
    use crate::policy::Policies;
    use serde_json::json;

    const RULES: &str = "maps: { groups: { file: groups.map.yaml } }
rules: [{ name: r, when: claims.group in maps.groups, scope: { tenant: \"maps.groups[claims.group]\" } }]
";

    fn load(rules: &str, map: Option<&str>) -> Result<Policies, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), rules).unwrap();
        if let Some(map) = map {
            std::fs::write(folder.path().join("groups.map.yaml"), map).unwrap();
        }
        let shown = format!("{}/", folder.path().display());
        Policies::load(folder.path(), &Limits::default()).map_err(|e| e.to_string().replace(&shown, ""))
    }

    #[test]
    fn a_map_is_read_from_the_file_beside_and_decides() {
        for text in ["ops: [acme-books, globex-lit]\n", "{\"ops\": [\"acme-books\", \"globex-lit\"]}"] {
            let policies = load(RULES, Some(text)).unwrap();
            let granted = |group: &str| {
                let claims = json!({ "group": group });
                let judged = policies.judge(claims.as_object().unwrap()).granted;
                judged.into_iter().map(|(_, scope)| scope.to_string()).collect::<Vec<_>>()
            };
            assert_eq!(granted("ops"), ["tenant=acme-books, tenant=globex-lit"]);
            assert!(granted("dev").is_empty());
        }
        let (before, after) = (load(RULES, Some("a: [b]")).unwrap(), load(RULES, Some("a: [c]")).unwrap());
        assert_eq!(after.changes_since(&before), ["map `groups` changed"]);
        assert!(after.changes_since(&after).is_empty());
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        for (rules, map, expected) in [
            (RULES, None, "a.yaml:1:25: `maps.groups`: groups.map.yaml: No such file"),
            (RULES, Some("a: [b]\nc: [d, 'e f']"), "groups.map.yaml:2:8: `c`: `e f` is no value of a scope"),
            (RULES, Some("a: b"), "groups.map.yaml:1:4: "),
            (RULES, Some("a: [b]\na: [c]"), "groups.map.yaml:2:1: "),
            (RULES, Some("a: [1"), "groups.map.yaml:1:"),
            (RULES, Some("# none\n"), "groups.map.yaml: the file is empty"),
        ] {
            let told = load(rules, map).unwrap_err();
            assert!(told.starts_with(expected), "{told}");
        }
        for (from, to, expected) in [
            (
                "groups.map.yaml",
                "../groups.map.yaml",
                "a.yaml:1:25: `maps.groups`: `../groups.map.yaml` is no name",
            ),
            ("groups.map.yaml", "/etc/passwd", "is no name of a file beside"),
            ("groups.map.yaml", "a.yaml", "is no name of a file beside"),
            ("groups.map.yaml", ".hidden", "is no name of a file beside"),
            ("groups: {", "Groups: {", "a.yaml:1:25: `maps.Groups`: a map's name is"),
            ("in maps.groups", "in maps.teams", "a.yaml:2:26: rule `r`: `when`: unknown map `teams`"),
            ("file:", "url:", "a.yaml:1:19: unknown field `url`"),
        ] {
            let told = load(&RULES.replace(from, to), Some("a: [b]")).unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn there_are_16_maps_of_16384_keys_and_no_more() {
        let many = |maps: usize| {
            let maps: Vec<_> = (0..maps).map(|n| format!("m{n}: {{ file: groups.map.yaml }}")).collect();
            load(&format!("maps: {{ {} }}\nrules: []\n", maps.join(", ")), Some("a: [b]"))
        };
        assert!(many(super::MAX_MAPS).is_ok());
        assert!(many(super::MAX_MAPS + 1).unwrap_err().contains("more than 16 maps"));
        let keys = |keys: usize| {
            let text: String = (0..keys).map(|number| format!("k{number}: [b]\n")).collect();
            load(RULES, Some(&text))
        };
        assert!(keys(super::MAX_KEYS).is_ok(), "{:?}", keys(super::MAX_KEYS).err());
        assert!(keys(super::MAX_KEYS + 1).unwrap_err().contains("more than 16384 keys"));
    }
}
