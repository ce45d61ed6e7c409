//! Backends and issuers that break, in every way that we know: each has an error of its own shape and an event,
//! and is used again as soon as it is well.

use super::backend::{Backend, EMPTY, Step, answer, json};
use super::child::{ISSUER, Palisade, Settings, caller, keys};
use super::client::{QUERY, get};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

const JSON: &str = "Content-Type: application/json\r\n";
/// Asks for an answer that is cut, and so read whole.
const CUT: &str = "/prometheus/api/v1/rules";

fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// Gzip of so many zeros.
fn bomb(megabytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..megabytes {
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

/// What a backend does, what is asked, and what comes of it: the statuses that may be, 0 for an answer that breaks off, and
/// the outcomes.
type Fault = (&'static str, Vec<Step>, &'static str, &'static [u16], &'static [&'static str]);

fn faults() -> Vec<Fault> {
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\n{JSON}{more}\r\n");
    let whole = head(&format!("Content-Length: {}\r\n", EMPTY.len())) + EMPTY;
    let gzip = |body: &[u8]| answer("200 OK", &format!("{JSON}Content-Encoding: gzip\r\n"), body);
    let mut faults: Vec<Fault> = vec![
        ("closes", vec![Step::Close], QUERY, &[502], &["upstream"]),
        ("resets", vec![Step::Reset], QUERY, &[502], &["upstream"]),
        ("hangs", vec![Step::Hang], QUERY, &[504], &["upstream_timeout"]),
        ("hangs, cut", vec![Step::Hang], CUT, &[504], &["upstream_timeout"]),
        (
            "hangs in a body that is cut",
            vec![send(head("Content-Length: 9\r\n")), Step::Hang],
            CUT,
            &[502, 504],
            &["upstream", "upstream_timeout"],
        ),
        ("garbage", vec![send([0xff; 100]), Step::Close], QUERY, &[502], &["upstream"]),
        ("another protocol", vec![send("SSH-2.0-x\r\n\r\n"), Step::Close], QUERY, &[502], &["upstream"]),
        (
            "two lengths",
            vec![send(head("Content-Length: 9\r\nContent-Length: 8\r\n")), Step::Close],
            QUERY,
            &[502],
            &["upstream"],
        ),
        (
            "less than its length",
            vec![send(head("Content-Length: 9\r\n") + "{}"), Step::Close],
            QUERY,
            &[0],
            &["broken"],
        ),
        (
            "less than its length, cut",
            vec![send(head("Content-Length: 9\r\n") + "{}"), Step::Close],
            CUT,
            &[502],
            &["upstream"],
        ),
        (
            "a chunk without a size",
            vec![send(head("Transfer-Encoding: chunked\r\n") + "x\r\n"), Step::Close],
            QUERY,
            &[0],
            &["broken"],
        ),
        (
            "no end of chunks",
            vec![send(head("Transfer-Encoding: chunked\r\n") + "2\r\n{}\r\n"), Step::Close],
            QUERY,
            &[0],
            &["broken"],
        ),
        ("bad gzip, cut", vec![gzip(b"no gzip")], CUT, &[502], &["upstream"]),
        ("a bomb, cut", vec![gzip(&bomb(100))], CUT, &[422], &["upstream_too_large"]),
        (
            "a coding that was not asked for",
            vec![answer("200 OK", &format!("{JSON}Content-Encoding: br\r\n"), b"x")],
            QUERY,
            &[502],
            &["upstream"],
        ),
        (
            "another type",
            vec![answer("200 OK", "Content-Type: application/jsonx\r\n", EMPTY.as_bytes())],
            QUERY,
            &[502],
            &["upstream"],
        ),
        (
            "a page",
            vec![answer("200 OK", "Content-Type: text/html\r\n", b"<html>")],
            QUERY,
            &[502],
            &["upstream"],
        ),
        ("garbage in JSON, cut", vec![json("{\"status\":")], CUT, &[502], &["upstream"]),
        (
            "an interim answer first",
            vec![send("HTTP/1.1 103 Early Hints\r\n\r\n"), send(&whole)],
            QUERY,
            &[200],
            &["passed"],
        ),
        (
            "another protocol's answer",
            vec![send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), Step::Close],
            QUERY,
            &[502],
            &["upstream"],
        ),
        (
            "a redirect",
            vec![answer("302 Found", "Location: http://127.0.0.1:1/\r\n", b"")],
            QUERY,
            &[502],
            &["upstream"],
        ),
        ("not ready", vec![answer("503 Service Unavailable", "", b"")], QUERY, &[503], &["upstream_unready"]),
        (
            "its own timeout",
            vec![answer("504 Gateway Timeout", "", b"")],
            QUERY,
            &[504],
            &["upstream_timeout"],
        ),
        (
            "an error of its own",
            vec![answer("500 Internal Server Error", "", b"at line 7")],
            QUERY,
            &[502],
            &["upstream"],
        ),
        ("lets us not in", vec![answer("401 Unauthorized", "", b"")], QUERY, &[502], &["upstream"]),
        (
            "dribbles",
            whole.bytes().flat_map(|byte| [send([byte]), Step::Pause(Duration::from_millis(2))]).collect(),
            QUERY,
            &[200],
            &["passed"],
        ),
    ];
    // A reset at every point of a good answer: after the last byte it is whole.
    for at in (0..=whole.len()).step_by(7) {
        let steps = vec![send(&whole.as_bytes()[..at]), Step::Pause(Duration::from_millis(2)), Step::Reset];
        faults.push((
            "a reset at every point",
            steps,
            QUERY,
            &[0, 200, 502],
            &["broken", "passed", "upstream"],
        ));
    }
    faults
}

/// Every fault of a backend.
pub async fn backends() -> String {
    let backend = Backend::start().await;
    let settings = Settings { more: "audit: { file: audit.jsonl }", ..Settings::of(&backend) };
    let backends = settings.backends.replace("timeout: 2s", "timeout: 1s");
    let palisade = Palisade::start(&Settings { backends, ..settings }).await;
    let caller = caller("acme-books");
    let mut count = 0;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for (name, steps, target, statuses, expected) in faults() {
        backend.script(move |_, _| steps.clone());
        let answer = get(palisade.address, target, &caller).await;
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        assert!(statuses.contains(&status), "{name}: {status} {answer:?}");
        if let Ok(answer) = answer
            && status >= 400
        {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(body["status"], "error", "{name}: {body}");
            assert!(!answer.text().contains("line 7"), "{name}");
        }
        count += 1;
        let line = line(&palisade, count).await;
        let outcome = line["outcome"].as_str().unwrap();
        assert!(expected.contains(&outcome), "{name}: {line}");
        assert_eq!(
            (&line["backend"], line["complete"] == true),
            (&"prometheus".into(), status != 0),
            "{name}: {line}"
        );
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
        // Well again, at once.
        backend.script(|_, _| vec![json(EMPTY)]);
        let answer = get(palisade.address, QUERY, &caller).await.unwrap();
        assert_eq!(answer.status, 200, "after {name}: {}", answer.text());
        count += 1;
    }
    let metric = r#"palisade_requests_total{backend="prometheus",endpoint="query",outcome="broken"}"#;
    assert_eq!(palisade.metric(metric).await as usize, outcomes["broken"]);
    format!("{count} answers {outcomes:?}, {} MiB", palisade.peak() >> 20)
}

/// The line of that number, from 1 on.
async fn line(palisade: &Palisade, number: usize) -> Value {
    for _ in 0..500 {
        let mut lines = palisade.lines("audit.jsonl");
        if lines.len() >= number {
            return lines.swap_remove(number - 1);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no line {number}");
}

/// An issuer that breaks before it ever gave its keys: nobody is let in, and all are as soon as it is well.
pub async fn issuers() -> String {
    let (backend, issuer) = (Backend::start().await, Backend::start().await);
    let keys = keys().to_string();
    let mut longest = Duration::ZERO;
    let head = format!("HTTP/1.1 200 OK\r\n{JSON}Content-Length: {}\r\n\r\n", keys.len());
    let faults: Vec<(&str, Vec<Step>)> = vec![
        ("closes", vec![Step::Close]),
        ("resets", vec![Step::Reset]),
        ("garbage", vec![send([0xff; 64]), Step::Close]),
        ("half its keys", vec![send(&head), send(&keys[..keys.len() / 2]), Step::Reset]),
        ("a page", vec![answer("200 OK", "Content-Type: text/html\r\n", b"<html>")]),
        ("a redirect", vec![answer("302 Found", "Location: http://127.0.0.1:1/\r\n", b"")]),
        ("an error", vec![answer("500 Internal Server Error", "", b"")]),
    ];
    let count = faults.len();
    for (name, steps) in faults {
        issuer.script(move |_, _| steps.clone());
        let line = format!(
            "{{ url: \"{ISSUER}\", jwks_url: \"{}/keys\", audiences: [palisade], algorithms: [ES256] }}",
            issuer.url()
        );
        let settings = Settings { issuer: Some(line), ..Settings::of(&backend) };
        let palisade = Palisade::start_unready(&settings).await;
        let caller = caller("acme-books");
        let refused = get(palisade.address, QUERY, &caller).await.unwrap();
        assert_eq!(refused.status, 503, "{name}: {}", refused.text());
        let body: Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!(body["errorType"], "unavailable", "{name}");
        assert_eq!(get(palisade.admin, "/readyz", "").await.unwrap().status, 503, "{name}");
        let good = keys.clone();
        issuer.script(move |_, _| vec![json(&good)]);
        let began = Instant::now();
        while get(palisade.address, QUERY, &caller).await.unwrap().status != 200 {
            assert!(began.elapsed() < Duration::from_secs(15), "{name}: it is never let in");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        longest = longest.max(began.elapsed());
        // What it gave once, it keeps.
        issuer.script(|_, _| vec![Step::Reset]);
        assert_eq!(get(palisade.address, QUERY, &caller).await.unwrap().status, 200);
    }
    format!("{count} faults, let in after {longest:.1?} at the latest")
}
