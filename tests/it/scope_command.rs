//! `palisade scope`, run as a program.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.arg("scope").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Exit code, standard output and standard error for `input`.
fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = start(arguments);
    // One that refuses its arguments reads nothing.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The objects that are written for `lines`.
fn objects(arguments: &[&str], lines: &[&str]) -> Vec<Value> {
    let (code, output, told) = run(arguments, &lines.join("\n"));
    assert_eq!((code, told.as_str()), (0, ""));
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_query_of_each_language_gets_the_scope() {
    let ask = |arguments: &[&str], query: &str| {
        let objects = objects(arguments, &[&json!(query).to_string()]);
        assert_eq!(objects[0]["query"], query);
        (objects[0]["scoped"].as_str().unwrap().to_owned(), objects[0]["selectors"].clone())
    };
    assert_eq!(
        ask(&["--lang", "promql", "--tenant", "a"], "x / y{z=\"1\"}"),
        ("x{tenant=\"a\"} / y{tenant=\"a\",z=\"1\"}".into(), json!(2))
    );
    assert_eq!(
        ask(&["--lang", "logql", "--tenant", "b", "--tenant", "a.c"], "{app=\"x\"}"),
        ("{tenant=~\"a\\\\.c|b\",app=\"x\"}".into(), json!(1))
    );
    // A search asks for the tenant to be shown, a metrics query does not.
    let traceql = ["--lang", "traceql", "--tenant", "a"];
    assert_eq!(
        ask(&traceql, "{ .b = 1 }").0,
        "{ resource.tenant = \"a\" && resource.tenant != nil } | { resource.tenant = \"a\" && resource.tenant != nil && ( .b = 1 ) }"
    );
    assert_eq!(ask(&traceql, "{} | rate()").0, "{ resource.tenant = \"a\" } | rate()");
}

#[test]
fn dimensions_have_labels() {
    let arguments = [
        "--lang=promql",
        "--tenant=a",
        "--scope=region=eu",
        "--scope=region=us",
        "--scope=tenant=b",
        "--label=tenant=org",
    ];
    let objects = objects(&arguments, &["\"x\""]);
    assert_eq!(objects[0]["scoped"], "x{region=~\"eu|us\",org=~\"a|b\"}");
}

#[test]
fn a_refusal_has_a_kind_a_message_and_a_place() {
    let refused = objects(
        &["--lang", "traceql", "--tenant", "a"],
        &[
            r#""{} >> {}""#,
            r#""{ .a = }""#,
            r#""{} | compare({})""#,
            r#""{} | rate() with(future=true)""#,
            "17",
            "\"\\ud800\"",
            "",
            "\"{}\" \"{}\"",
            &format!("\"{}\"", "a".repeat(128 * 1024 + 1)),
            r#""{}""#,
        ],
    );
    let kinds: Vec<_> = refused.iter().map(|o| o["error"]["kind"].as_str().unwrap_or("")).collect();
    let (input, unsupported) = ("input", "unsupported");
    assert_eq!(kinds, ["unsafe", "syntax", "unsafe", unsupported, input, input, input, input, "limit", ""]);
    assert_eq!(refused[0]["query"], "{} >> {}");
    assert_eq!(refused[0]["error"]["span"], json!([3, 5]));
    assert!(refused[0]["error"]["message"].as_str().unwrap().contains("traces_never_mix_tenants"));
    assert_eq!(
        refused[4],
        json!({"query": null, "error": {"kind": "input", "message": "not a JSON string", "span": null}})
    );
    let allowed = ["--lang", "traceql", "--tenant", "a", "--feature", "traces_never_mix_tenants"];
    assert!(objects(&allowed, &[r#""{} >> {}""#])[0]["scoped"].is_string());
}

#[test]
fn the_keys_of_a_line_are_in_order() {
    let (_, output, _) = run(&["--lang", "promql", "--tenant", "a"], "\"up\"\n\"up{\"\n");
    let mut lines = output.lines();
    assert_eq!(lines.next(), Some(r#"{"query":"up","scoped":"up{tenant=\"a\"}","selectors":1}"#));
    assert!(lines.next().unwrap().starts_with(r#"{"query":"up{","error":{"kind":"syntax","message":""#));
}

#[test]
fn unusable_arguments_are_exit_code_2() {
    for (arguments, told) in [
        (&["--tenant", "a"][..], "--lang"),
        (&["--lang", "sql", "--tenant", "a"], "sql"),
        (&["--lang", "promql"], "at least one --tenant"),
        (&["--lang", "promql", "--tenant", ""], "must match"),
        (&["--lang", "promql", "--scope", "tenant"], "DIMENSION="),
        (&["--lang", "promql", "--tenant", "a", "--label", "tenant=__name__"], "__name__"),
        (&["--lang", "logql", "--tenant", "a", "--label", "tenant=by"], "keyword"),
        (&["--lang", "promql", "--tenant", "a", "--feature", "tempo-3"], "no feature of prometheus"),
    ] {
        let (code, output, error) = run(arguments, "\"up\"\n");
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
}

/// A program can ask and read in turn, over one pipe each way.
#[test]
fn a_line_is_answered_before_the_next_is_asked() {
    let mut child = start(&["--lang", "promql", "--tenant", "a"]);
    let mut asks = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    for name in ["up", "down"] {
        writeln!(asks, "\"{name}\"").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        assert!(answer.contains(&format!(r#"{name}{{tenant=\"a\"}}"#)), "{answer}");
    }
    drop(asks);
    assert!(child.wait().unwrap().success());
}

/// As many lines come out as went in, in order, while they are read; and memory does not grow with them.
#[test]
fn many_lines_take_no_more_memory_than_few() {
    const LINES: usize = 100_000;
    let mut child = start(&["--lang", "logql", "--tenant", "a"]);
    let mut asks = child.stdin.take().unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap());
    let status = format!("/proc/{}/status", child.id());
    let asking = std::thread::spawn(move || {
        for index in 0..LINES {
            writeln!(asks, "\"{{app=\\\"{index}\\\"}}\"").unwrap();
        }
        asks
    });
    let mut early = 0;
    for (index, answer) in answers.lines().take(LINES).enumerate() {
        assert!(answer.unwrap().starts_with(&format!("{{\"query\":\"{{app=\\\"{index}\\\"}}\"")), "{index}");
        if index == 1000 {
            early = peak_kib(&status);
        }
    }
    // It waits for more: whoever asks holds the pipe still.
    let asks = asking.join().unwrap();
    let late = peak_kib(&status);
    assert!(late < early + 1024, "{early} KiB, then {late} KiB");
    drop(asks);
    assert!(child.wait().unwrap().success());
}

/// The most memory that a process had at any time.
fn peak_kib(status: &str) -> usize {
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let mut child = start(&["--lang", "promql", "--tenant", "a"]);
    let mut asks = child.stdin.take().unwrap();
    drop(child.stdout.take());
    writeln!(asks, "\"up\"").unwrap();
    drop(asks);
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!((child.wait().unwrap().code(), told.as_str()), (Some(0), ""));
}

#[test]
fn people_get_marks_and_no_color_without_a_terminal() {
    let arguments = ["--lang", "promql", "--tenant", "a", "--pretty"];
    let (code, output, _) = run(&arguments, "\"x # why\\n/ y\"\n\"1 + info(up)\"\n0\n");
    assert_eq!(code, 0);
    let expected = "x{tenant=\"a\"} / y{tenant=\"a\"}\n ++++++++++++    ++++++++++++\n2 selectors\n\n";
    let rest = output.strip_prefix(expected).unwrap_or_else(|| panic!("{output}"));
    assert!(rest.starts_with("refused (unsupported): "), "{rest}");
    assert!(rest.contains("\n1 + info(up)\n    ^^^^\n\n"), "{rest}");
    assert!(rest.ends_with("refused (input): not a JSON string\n\n"), "{rest}");
}
