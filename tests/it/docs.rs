//! The documents say what the code says. `PALISADE_UPDATE=1` writes the generated parts.

use palisade::config::{Config, reference};
use std::path::Path;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Holds the part of the README between the markers of `name` against `text`.
fn generated(name: &str, text: &str) {
    let readme = read("README.md");
    let (begin, end) =
        (format!("<!-- {name}: generated, see tests/it/docs.rs -->\n"), format!("<!-- /{name} -->"));
    let from = readme.find(&begin).unwrap() + begin.len();
    let to = readme.find(&end).unwrap();
    let expected = format!("\n{}\n\n", text.trim());
    if std::env::var_os("PALISADE_UPDATE").is_some() {
        let updated = [&readme[..from], &expected, &readme[to..]].concat();
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"), updated).unwrap();
    } else {
        assert_eq!(&readme[from..to], expected, "run with PALISADE_UPDATE=1");
    }
}

#[test]
fn the_generated_tables_are_those_of_the_code() {
    // One test: all write the same file.
    generated("configuration", &reference::markdown());
    generated("endpoints", &palisade::api::reference::markdown());
    generated("refused", &palisade::api::reference::refused_markdown());
    generated("reasons", &palisade::respond::reasons::markdown());
    generated("languages", &palisade::lang::reference::markdown());
}

#[test]
fn the_configuration_of_the_readme_loads() {
    let readme = read("README.md");
    let from = readme.find("```yaml\nlisten:").unwrap() + "```yaml\n".len();
    let to = from + readme[from..].find("```").unwrap();
    let config = Config::parse("README.md", &readme[from..to], Path::new(env!("CARGO_MANIFEST_DIR")));
    let config = config.unwrap_or_else(|e| panic!("{e}"));
    palisade::policy::Policies::load(&config.policies, &config.limits).unwrap_or_else(|e| panic!("{e}"));
}

/// Each block of shell that runs `palisade scope` is followed by a block with just what it prints.
#[test]
fn the_scope_examples_of_the_readme_print_what_follows_them() {
    let readme = read("README.md");
    let blocks: Vec<&str> = readme.split("```").skip(1).step_by(2).collect();
    let folder = Path::new(env!("CARGO_BIN_EXE_palisade")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut run = 0;
    for pair in blocks.windows(2) {
        let Some(script) = pair[0].strip_prefix("sh\n").filter(|s| s.contains("palisade scope")) else {
            continue;
        };
        let output =
            std::process::Command::new("sh").args(["-c", script]).env("PATH", &path).output().unwrap();
        let expected = pair[1].split_once('\n').unwrap().1;
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), expected.trim_end(), "{script}");
        run += 1;
    }
    assert_eq!(run, 2);
}

/// What a newcomer does first, as it is written: each block of shell in one empty folder, and what it prints.
#[test]
fn the_first_policy_of_the_policies_readme_works_as_it_is_written() {
    let readme = read("policies/README.md");
    let from = readme.find("## The first policy").unwrap();
    let section = &readme[from..from + readme[from + 3..].find("\n## ").unwrap()];
    let blocks: Vec<&str> = section.split("```").skip(1).step_by(2).collect();
    let binary = Path::new(env!("CARGO_BIN_EXE_palisade")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut run = 0;
    for pair in blocks.windows(2) {
        let Some(script) = pair[0].strip_prefix("sh\n") else { continue };
        let expected =
            pair[1].strip_prefix("text\n").expect("each block of shell is followed by what it prints");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-ec", script]).env("PATH", &path).current_dir(folder.path());
        let output = shell.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.is_empty(), "{script}\n{told}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{script}");
        run += 1;
    }
    assert_eq!(run, 3);
}

#[test]
fn every_link_of_the_documents_leads_to_a_file() {
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        let text = read(name);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let local = !target.starts_with("https://") && !target.starts_with('#');
            let target = target.split('#').next().unwrap();
            assert!(
                !local || Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(),
                "{name}: {target}"
            );
        }
    }
}

#[test]
fn the_tests_that_the_security_page_names_are_there() {
    let folders = ["src/auth/tests", "src/auth", "tests/it"];
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap());
    let paths = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let code: String = paths.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let page = read("SECURITY.md");
    let named: Vec<&str> = page.split('`').filter(|text| text.starts_with("atk_")).collect();
    assert!(named.len() > 20);
    for name in named {
        assert!(code.contains(&format!("fn {name}()")), "{name}");
    }
}

#[test]
fn the_readme_lists_every_metric() {
    let readme = read("README.md");
    let source = read("src/events/metrics.rs");
    let names = source.split('"').filter(|s| s.starts_with("palisade_"));
    let mut seen = 0;
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
        seen += 1;
    }
    assert!(seen > 5);
}

#[test]
fn the_test_command_of_the_readme_is_what_ci_calls_last() {
    assert!(read("README.md").contains("\ncargo test\n"));
    assert!(read(".ci/steps").contains("test_all() {\n    cargo test\n}"));
    let run = read(".ci/run");
    let steps = run.lines().find(|l| l.starts_with("for step in")).unwrap();
    assert!(steps.ends_with(" test; do"), "{steps}");
}
