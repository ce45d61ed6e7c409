//! The house rules that no compiler holds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `folder` with that extension.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "{folder}");
    found
}

#[test]
fn dependencies_point_one_way() {
    // A room may use those before it, and itself.
    const ORDER: &[&[&str]] = &[
        &["span", "budget", "limits", "yaml"],
        &["tenant"],
        &["lang"],
        &["rejection"],
        &["api"],
        &["policy"],
        &["scope"],
        &["request"],
        &["cases"],
        &["trust"],
        &["auth", "config", "upstream", "events"],
        &["respond"],
        &["stages"],
        &["server"],
        &["demo"],
        &["cli"],
    ];
    let level = |room: &str| ORDER.iter().position(|rooms| rooms.contains(&room));
    for (name, text) in files("src", "rs") {
        let room = name.trim_start_matches("src/").split(['/', '.']).next().unwrap().to_owned();
        let Some(own) = level(&room) else { continue };
        let code = text.split("#[cfg(test)]").next().unwrap();
        for used in code.split("crate::").skip(1) {
            let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            if let Some(other) = level(used) {
                let allowed =
                    other < own || used == room || (other == own && room == "config" && used == "auth");
                assert!(allowed, "{name} uses {used}");
            }
        }
    }
}

#[test]
fn the_seal_fits_on_a_screen_and_files_are_not_long() {
    for (name, text) in files("src", "rs") {
        let lines = text.lines().count();
        assert!(lines <= 600, "{name} has {lines} lines");
    }
    let seal = std::fs::read_to_string(root().join("src/scope/seal.rs")).unwrap();
    let code = seal.lines().filter(|l| !l.trim_start().starts_with("//") && !l.trim().is_empty()).count();
    assert!(code <= 60, "{code}");
}

#[test]
fn each_scanner_shares_no_code_with_its_reader() {
    for language in ["promql", "logql", "traceql"] {
        let text = std::fs::read_to_string(root().join(format!("src/lang/{language}/scan.rs"))).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for reader in ["super::lex", "super::parse", "super::tree", "core::token", "core::quote"] {
            assert!(!code.contains(reader), "{language}: {reader}");
        }
        let lines =
            code.lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with("//")).count();
        assert!(lines <= 150, "{language}: {lines}");
    }
}

#[test]
fn only_one_file_knows_the_other_promql_parser() {
    for (name, text) in files("src", "rs") {
        let knows = text.contains("promql_parser");
        assert!(!knows || name == "src/lang/promql/second_opinion.rs", "{name}");
    }
}

#[test]
fn nothing_is_left_to_do_and_no_test_is_switched_off() {
    let todo = ["to", "do!("].concat();
    let ignored = ["#[ig", "nore"].concat();
    for (name, text) in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        assert!(!text.contains(&todo) && !text.contains(&ignored), "{name}");
    }
}

/// The attacks that a name of a test holds: `atk_02_to_05_0c_what_it_is`, or `ATK-02 what-it-is`.
fn attacks(name: &str) -> Vec<String> {
    let (mut all, mut to) = (Vec::new(), false);
    for part in name.split(['_', '-', ' ']).skip(1).map(str::to_uppercase) {
        let is_one = part.len() == 2 && part.starts_with(|c: char| ('0'..='5').contains(&c));
        match part.as_str() {
            "TO" => to = true,
            one if is_one => {
                let from = all.last().filter(|_| to).cloned().unwrap_or_else(|| one.to_owned());
                let row = PLACES.chars().map(|at| format!("{}{at}", &one[..1]));
                all.extend(row.filter(|other| from <= *other && other.as_str() <= one));
                to = false;
            }
            _ => break,
        }
    }
    all
}

/// How attacks are numbered within their row.
const PLACES: &str = "0123456789ABCDEFGHIJK";

#[test]
fn each_attack_is_a_test_by_its_name() {
    let mut tested = BTreeSet::new();
    for (name, text) in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        let functions = text.split("fn atk").skip(1).map(|rest| rest.split('(').next().unwrap());
        // Cases of conformance are named by texts.
        let cases = text.split("\"ATK").skip(1).filter(|_| name.starts_with("tests/conformance"));
        let cases = cases.map(|rest| rest.split('"').next().unwrap());
        tested.extend(functions.chain(cases).flat_map(attacks));
    }
    for last in ["0K", "1B", "27", "3J", "4J", "57"] {
        let row = PLACES.chars().map(|at| format!("{}{at}", &last[..1]));
        let row = row.filter(|one| one != "00").take_while(|one| one.as_str() <= last);
        let missing: Vec<String> = row.filter(|one| !tested.contains(one)).collect();
        assert!(missing.is_empty(), "without a test: {missing:?}");
    }
}
