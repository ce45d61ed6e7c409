//! The audit log at a collector.

use crate::support::grpc::{GrpcAnswer, GrpcClient, Part, framed};
use crate::support::proxy::Proxy;
use crate::support::upstream::{Answer, FakeUpstream, Received};
use serde_json::{Value, json};
use std::time::Duration;

const QUERY: &str = "/prometheus/api/v1/query?query=secret_metric";

async fn proxy(collector: &FakeUpstream, more: &str) -> Proxy {
    Proxy::start_with(&format!("audit: {{ otlp: {{ url: \"{}/v1/logs\" }}, {more} }}", collector.url())).await
}

/// The lines that arrived, once there are `least`.
async fn arrived(collector: &FakeUpstream, least: usize) -> (Vec<Received>, Vec<Value>) {
    let (mut requests, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        for request in collector.take() {
            lines.extend(lines_of(&request.body));
            requests.push(request);
        }
        if lines.len() >= least {
            return (requests, lines);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} of {least} lines", lines.len());
}

fn lines_of(body: &str) -> Vec<Value> {
    let told: Value = serde_json::from_str(body).unwrap();
    let records = told["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
    let line =
        |record: &Value| serde_json::from_str(record["body"]["stringValue"].as_str().unwrap()).unwrap();
    records.iter().map(line).collect()
}

#[tokio::test]
async fn each_request_is_a_log_record_of_a_collector() {
    let collector = FakeUpstream::start().await;
    collector.answer(Answer::json("{}"));
    let proxy = proxy(&collector, "").await;
    let answer = proxy.get(QUERY).await;
    assert_eq!(answer.status, 200);
    assert_eq!(proxy.raw("GET", QUERY, &[], "").await.status, 401);
    let (requests, lines) = arrived(&collector, 2).await;
    assert_eq!(requests[0].line, "POST /v1/logs");
    assert!(requests[0].headers.contains(&"content-type: application/json".to_owned()), "{requests:?}");
    assert!(requests.iter().all(|r| !r.body.contains("secret") && !r.body.contains("eyJ")), "{requests:?}");
    assert_eq!((&lines[0]["tenants"], &lines[0]["outcome"]), (&json!(["acme-books"]), &json!("passed")));
    assert_eq!((&lines[0]["bytes"], &lines[0]["complete"]), (&json!(answer.body.len()), &json!(true)));
    assert_eq!(lines[1]["refused"], "missing");
}

/// A stream ends in good order however it ends: whether it is whole, its outcome says.
#[tokio::test]
async fn a_stream_that_breaks_was_not_sent_in_full() {
    let collector = FakeUpstream::start().await;
    collector.answer(Answer::json("{}"));
    let proxy = proxy(&collector, "").await;
    let mut client = GrpcClient::connect(proxy.running.addresses[1]).await;
    for (outcome, code) in [("0", 0), ("8", 8)] {
        let end = Part::Trailers(vec![("grpc-status", outcome)]);
        proxy.grpc.answer(GrpcAnswer::parts([Part::Bytes(framed(b"")), end]));
        let answered = client.call(&proxy.acme(), "/tempopb.StreamingQuerier/Search", b"").await;
        assert_eq!((answered.code(), answered.messages.len()), (code, 1));
    }
    let (_, lines) = arrived(&collector, 2).await;
    assert_eq!([&lines[0]["complete"], &lines[1]["complete"]], [&json!(true), &json!(false)]);
}

#[tokio::test]
async fn a_collector_that_is_down_gets_every_line_when_it_is_back() {
    let collector = FakeUpstream::start().await;
    collector.answer(Answer::of("503 Service Unavailable", "text/plain", b"not yet"));
    let proxy = proxy(&collector, "").await;
    for _ in 0..5 {
        assert_eq!(proxy.get(QUERY).await.status, 200);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!collector.take().is_empty());
    collector.answer(Answer::json(r#"{"partialSuccess":{}}"#));
    let (_, lines) = arrived(&collector, 5).await;
    assert_eq!(lines.len(), 5);
    assert!(proxy.admin("/metrics").await.text().contains("palisade_audit_dropped_total 0"));
}

#[tokio::test]
async fn lines_that_a_collector_refuses_for_ever_are_counted() {
    let collector = FakeUpstream::start().await;
    collector.answer(Answer::of("400 Bad Request", "text/plain", b"no"));
    let proxy = proxy(&collector, "").await;
    assert_eq!(proxy.get(QUERY).await.status, 200);
    let dropped = async |count: u32| {
        for _ in 0..200 {
            if proxy
                .admin("/metrics")
                .await
                .text()
                .contains(&format!("palisade_audit_dropped_total {count}\n"))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never {count}");
    };
    dropped(1).await;
    collector.answer(Answer::json(r#"{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"full"}}"#));
    assert_eq!(proxy.get(QUERY).await.status, 200);
    dropped(2).await;
}

/// With `drop` no request waits for a collector that is down; with `block` it does, and is answered when it is back.
#[tokio::test]
async fn a_full_queue_is_dropped_from_or_waited_for() {
    let collector = FakeUpstream::start().await;
    collector.answer(Answer::of("503 Service Unavailable", "text/plain", b"not yet"));
    let dropping = proxy(&collector, "when_full: drop, queue: 1").await;
    for _ in 0..5 {
        assert_eq!(dropping.get(QUERY).await.status, 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let page = dropping.admin("/metrics").await.text();
    assert!(!page.contains("palisade_audit_dropped_total 0\n"), "{page}");
    let blocking = proxy(&collector, "when_full: block, queue: 1").await;
    let waiting = async {
        for _ in 0..4 {
            assert_eq!(blocking.get(QUERY).await.status, 200);
        }
    };
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(700), &mut waiting).await.is_err());
    collector.answer(Answer::json("{}"));
    tokio::time::timeout(Duration::from_secs(15), waiting).await.unwrap();
}
