//! The documents say what the code says. `PALISADE_UPDATE=1` writes the generated parts.

use palisade::config::{Config, reference};
use std::path::Path;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Holds the part of the page between the markers of `name` against `text`.
fn generated(page: &str, name: &str, text: &str) {
    let path = format!("docs/{page}.md");
    let page = read(&path);
    let (begin, end) =
        (format!("<!-- {name}: generated, see tests/it/docs.rs -->\n"), format!("<!-- /{name} -->"));
    let from = page.find(&begin).unwrap() + begin.len();
    let to = page.find(&end).unwrap();
    let expected = format!("\n{}\n\n", text.trim());
    if std::env::var_os("PALISADE_UPDATE").is_some() {
        let updated = [&page[..from], &expected, &page[to..]].concat();
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), updated).unwrap();
    } else {
        assert_eq!(&page[from..to], expected, "run with PALISADE_UPDATE=1");
    }
}

#[test]
fn the_generated_tables_are_those_of_the_code() {
    // One test: two tables are on one page.
    generated("configuration", "configuration", &reference::markdown());
    generated("endpoints", "endpoints", &palisade::api::reference::markdown());
    generated("endpoints", "refused", &palisade::api::reference::refused_markdown());
    generated("observability", "reasons", &palisade::respond::reasons::markdown());
    generated("languages", "languages", &palisade::lang::reference::markdown());
}

#[test]
fn the_readme_is_short() {
    assert!(read("README.md").len() <= 12 * 1024);
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
fn the_scope_examples_of_the_documents_print_what_follows_them() {
    let documents = [read("README.md"), read("docs/queries.md")].concat();
    let blocks: Vec<&str> = documents.split("```").skip(1).step_by(2).collect();
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
    assert_eq!(run, 3);
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

/// Where links of a page may lead to: its headings, as Markdown makes anchors of them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let kept = |c: char| (c.is_alphanumeric() || "-_".contains(c)).then_some(c.to_ascii_lowercase());
    let anchor = |c: char| if c == ' ' { Some('-') } else { kept(c) };
    headings.map(|line| line.trim_start_matches('#').trim().chars().filter_map(anchor).collect()).collect()
}

#[test]
fn every_link_of_the_documents_leads_to_a_file_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "md")).collect::<Vec<_>>()
    };
    let mut links = 0;
    for path in [names("."), names("docs"), names("deploy"), names("policies")].concat() {
        let text = std::fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let ours = target.strip_prefix(concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/"));
            if ours.is_none() && target.starts_with("https://") {
                continue;
            }
            let (file, anchor) =
                ours.unwrap_or(target).split_once('#').unwrap_or((ours.unwrap_or(target), ""));
            let folder = if ours.is_some() { root } else { path.parent().unwrap() };
            let file = if file.is_empty() { path.clone() } else { folder.join(file) };
            assert!(file.exists(), "{}: {target}", path.display());
            let found = || anchors(&std::fs::read_to_string(&file).unwrap()).contains(&anchor.to_owned());
            assert!(anchor.is_empty() || found(), "{}: {target}", path.display());
            links += 1;
        }
    }
    assert!(links > 60, "{links}");
}

/// A page that the book does not list is not in it.
#[test]
fn the_book_lists_every_page() {
    let summary = read("docs/SUMMARY.md");
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            assert!(summary.contains(&format!("]({name})")), "{name}");
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
fn the_documents_list_every_metric() {
    let page = read("docs/observability.md");
    let source = read("src/events/metrics.rs");
    let names = source.split('"').filter(|s| s.starts_with("palisade_"));
    let mut seen = 0;
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name}");
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
