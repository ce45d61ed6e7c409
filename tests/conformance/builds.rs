//! Which programs the tests run, and of which version each is.
//!
//! `install.sh` has those that CI runs. `PALISADE_PROMETHEUS`, `PALISADE_LOKI`, `PALISADE_TEMPO` and
//! `PALISADE_ALERTMANAGER` name others: what they answer otherwise is told by version in `equal.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::report::Report;

/// One component.
#[derive(Clone, Debug)]
pub struct Build {
    /// The program, or Keycloak's home.
    pub path: PathBuf,
    /// Its version, as far as it decides anything: `2.9.0`, or `newest` of a build that does not tell.
    pub version: String,
}

/// Components by name.
pub type Builds = BTreeMap<String, Build>;

/// The components that the tests have besides those that others can replace.
const ALONE: [&str; 2] = ["redis", "keycloak"];

/// Those that another build can replace, with what is pinned below `backends/`.
const REPLACEABLE: [(&str, &str); 4] = [
    ("prometheus", include_str!("backends/prometheus/go.mod")),
    ("loki", include_str!("backends/loki/go.mod")),
    ("tempo", include_str!("backends/tempo/go.mod")),
    ("alertmanager", include_str!("backends/alertmanager/go.mod")),
];

/// Those named by the environment, and all others of `wanted` (all, if it is empty) by `install.sh`.
pub fn find(wanted: &str, report: &mut Report) -> Result<Builds, String> {
    let mut builds = Builds::new();
    let all = REPLACEABLE.iter().map(|(name, _)| *name).chain(ALONE);
    let mut install: Vec<&str> =
        if wanted.is_empty() { all.collect() } else { wanted.split_whitespace().collect() };
    for (name, _) in REPLACEABLE {
        let Ok(path) = std::env::var(format!("PALISADE_{}", name.to_uppercase())) else { continue };
        if !install.contains(&name) {
            continue;
        }
        let path = PathBuf::from(path);
        let version = told(name, &path)?;
        println!("{name} {version}: {}", path.display());
        // Its tool makes blocks of text; another version's will do.
        let tool = path.with_file_name("promtool");
        if name == "prometheus" && tool.exists() {
            builds.insert("promtool".into(), Build { path: tool, version: version.clone() });
        }
        if name != "prometheus" || builds.contains_key("promtool") {
            install.retain(|wanted| *wanted != name);
        }
        builds.insert(name.into(), Build { path, version });
    }
    if !install.is_empty() {
        installed(&install, &mut builds, report)?;
    }
    Ok(builds)
}

/// Runs `install.sh` and takes from what it has what is not there yet.
fn installed(components: &[&str], builds: &mut Builds, report: &mut Report) -> Result<(), String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/install.sh");
    let out = Command::new(script)
        .args(components)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{script}: {e}"))?;
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        if let Some((name, path)) = line.split_once('=') {
            let build = || Build { path: path.into(), version: pinned(name) };
            builds.entry(name.to_owned()).or_insert_with(build);
        } else if let Some((name, why)) = line.split_once('!') {
            report.not_run(name, why);
        }
    }
    Ok(())
}

/// The version of a component as `install.sh` builds it.
fn pinned(name: &str) -> String {
    // Tempo's module is known by a commit, that of the tag v2.9.0.
    if name == "tempo" {
        return "2.9.0".into();
    }
    let text = REPLACEABLE.iter().find(|(of, _)| *of == name).map_or("", |(_, text)| text);
    let of = |line: &str| {
        let (module, version) = line.trim_start_matches("require ").trim().split_once(" v")?;
        let mut parts = module.strip_prefix("github.com/")?.split('/').skip(1);
        // The program itself, and none of the modules beside it.
        let major =
            |part: &str| part.strip_prefix('v').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        let known = parts.next() == Some(name) && parts.all(major);
        (known && !line.contains("=>")).then(|| version.split(' ').next().unwrap_or(version).to_owned())
    };
    let version = text.lines().find_map(of).unwrap_or_default();
    // Prometheus 3.16 is the module 0.316.
    match (name, version.strip_prefix("0.3")) {
        ("prometheus", Some(minor)) => format!("3.{minor}"),
        _ => version,
    }
}

/// What `--version` says, and where a build says nothing, what its flags tell.
fn told(name: &str, program: &Path) -> Result<String, String> {
    let run = |argument: &str| {
        let out = Command::new(program).arg(argument).stdin(Stdio::null()).output();
        let out = out.map_err(|e| format!("{}: {e}", program.display()))?;
        Ok::<_, String>(String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let said = run("--version")?;
    let word =
        said.split("version ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let number = word.trim_start_matches('v').split(['-', '+', '(']).next().unwrap_or_default();
    if number.contains('.') && number.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(number.to_owned());
    }
    // Tempo 3 has no ingesters, but limits that are named after them.
    match name == "tempo" && run("-help")?.contains("-ingester.max-block-duration") {
        true => Ok("2".into()),
        false if name == "tempo" => Ok("3".into()),
        false => Ok("newest".into()),
    }
}
