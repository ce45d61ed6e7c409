//! Alertmanager: what reaches it, and what callers get.

use super::support::proxy::{Answered, Proxy};
use super::support::upstream::Answer;
use serde_json::{Value, json};

const ID: &str = "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6e";

fn silence(matchers: Value) -> Value {
    json!({
        "id": ID, "status": { "state": "active" }, "updatedAt": "2026-01-01T00:00:00.000Z",
        "comment": "deploy", "createdBy": "alice", "startsAt": "2026-01-01T00:00:00.000Z",
        "endsAt": "2027-01-01T00:00:00.000Z", "matchers": matchers,
    })
}

fn matcher(name: &str, value: &str, is_equal: bool) -> Value {
    json!({ "isEqual": is_equal, "isRegex": false, "name": name, "value": value })
}

fn alert(tenant: &str) -> Value {
    json!({
        "annotations": {}, "endsAt": "2026-01-01T00:05:00.000Z", "fingerprint": tenant,
        "receivers": [{ "name": "pager" }], "startsAt": "2026-01-01T00:00:00.000Z",
        "status": { "inhibitedBy": [], "mutedBy": [], "silencedBy": [ID], "state": "suppressed" },
        "updatedAt": "2026-01-01T00:01:00.000Z", "generatorURL": "", "labels": { "tenant": tenant },
    })
}

async fn post(proxy: &Proxy, body: &str) -> Answered {
    let length = format!("Content-Length: {}", body.len());
    let headers = ["Content-Type: application/json", &length];
    proxy.send("POST", "/alertmanager/api/v2/silences", &headers, body).await
}

/// The lines of what reached Alertmanager, decoded.
fn reached(proxy: &Proxy) -> Vec<String> {
    let decoded = |line: String| percent_encoding::percent_decode_str(&line).decode_utf8_lossy().into_owned();
    proxy.alertmanager.take().into_iter().map(|received| decoded(received.line)).collect()
}

#[tokio::test]
async fn alerts_are_the_callers_and_in_the_state_that_the_caller_made() {
    let proxy = Proxy::start().await;
    proxy.alertmanager.answer_to(
        "GET /api/v2/alerts",
        Answer::json(&json!([alert("acme-books"), alert("globex-lit")]).to_string()),
    );
    let theirs = json!([silence(json!([matcher("tenant", "globex-lit", true)]))]);
    proxy.alertmanager.answer_to("GET /api/v2/silences", Answer::json(&theirs.to_string()));
    let got = proxy.get("/alertmanager/api/v2/alerts?filter=severity%3Dpage&silenced=true").await;
    let mut expected = alert("acme-books");
    expected["status"] = json!({ "inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active" });
    assert_eq!((got.status, got.json()), (200, json!([expected])), "{}", got.text());
    assert_eq!(
        reached(&proxy),
        [
            r#"GET /api/v2/alerts?filter=tenant="acme-books"&filter=severity="page""#,
            r#"GET /api/v2/alerts?filter=tenant="acme-books""#,
            "GET /api/v2/silences?active=true&expired=false&pending=false",
        ]
    );
    let got = proxy.get("/alertmanager/api/v2/receivers").await;
    assert_eq!((got.status, got.json()), (200, json!([{ "name": "pager" }])));
    let ours = json!([silence(json!([matcher("tenant", "acme-books", true)]))]);
    proxy.alertmanager.answer_to("GET /api/v2/silences", Answer::json(&ours.to_string()));
    let got = proxy.get("/alertmanager/api/v2/alerts").await;
    assert_eq!(got.json(), json!([alert("acme-books")]));
    let got = proxy.get("/alertmanager/api/v2/alerts?silenced=false").await;
    assert_eq!(got.json(), json!([]));
}

#[tokio::test]
async fn a_large_answer_is_cut_as_a_small_one_is() {
    let proxy = Proxy::start().await;
    proxy.alertmanager.answer_to("GET /api/v2/silences", Answer::json("[]"));
    for alerts in [1, 1000] {
        let both = [alert("acme-books"), alert("globex-lit")];
        let all: Vec<Value> = both.iter().cycle().take(2 * alerts).cloned().collect();
        proxy.alertmanager.answer_to("GET /api/v2/alerts", Answer::json(&json!(all).to_string()));
        let cut = proxy.get("/alertmanager/api/v2/alerts").await;
        assert_eq!(cut.status, 200, "{}", cut.text());
        assert!(!cut.text().contains("globex-lit"));
        assert_eq!(cut.json().as_array().unwrap().len(), alerts);
    }
}

/// ATK-52: neither the configuration nor the names of receivers are told.
#[tokio::test]
async fn atk_52_the_status_tells_nothing_of_the_configuration() {
    let proxy = Proxy::start().await;
    let own =
        json!({ "versionInfo": { "version": "0.34.1" }, "config": { "original": "receivers: [secret]" } });
    proxy.alertmanager.answer(Answer::json(&own.to_string()));
    let status = proxy.get("/alertmanager/api/v2/status").await;
    assert_eq!(status.status, 200);
    let status = status.json();
    assert_eq!(status["cluster"], json!({ "status": "disabled", "peers": [] }));
    let original = status["config"]["original"].as_str().unwrap();
    assert_eq!(original, "route:\n  receiver: default\nreceivers:\n- name: default\n");
    assert_eq!(reached(&proxy).len(), 1);
}

#[tokio::test]
async fn a_silence_that_is_made_gets_the_scope() {
    let proxy = Proxy::start().await;
    proxy.alertmanager.answer_to("POST ", Answer::json(&json!({ "silenceID": ID }).to_string()));
    let mut posted = silence(json!([matcher("alertname", "HighErrorRate", true)]));
    posted.as_object_mut().unwrap().retain(|key, _| !matches!(key.as_str(), "id" | "status" | "updatedAt"));
    let got = post(&proxy, &posted.to_string()).await;
    assert_eq!((got.status, got.json()), (200, json!({ "silenceID": ID })), "{}", got.text());
    let received = proxy.alertmanager.take_one();
    assert_eq!(received.line, "POST /api/v2/silences");
    assert!(received.headers.contains(&"content-type: application/json".to_owned()));
    posted["matchers"].as_array_mut().unwrap().push(matcher("tenant", "acme-books", true));
    assert_eq!(serde_json::from_str::<Value>(&received.body).unwrap(), posted);
}

/// ATK-6C: the backend's guard against silencing everything is kept on the caller's own matchers.
#[tokio::test]
async fn atk_6c_a_silence_of_everything_is_refused_and_nothing_is_sent() {
    let proxy = Proxy::start().await;
    let pattern = |value: &str| json!({ "isEqual": true, "isRegex": true, "name": "job", "value": value });
    for (status, matchers) in [
        (422, json!([])),
        (400, json!([pattern(".*")])),
        (400, json!([matcher("x", "", true)])),
        (400, json!([pattern("a?"), matcher("x", "", true)])),
        (413, json!(vec![matcher("x", "y", true); 257])),
        (413, json!(vec![matcher("x", "y", true); 5_000])),
    ] {
        let got = post(&proxy, &silence(matchers.clone()).to_string()).await;
        assert_eq!(got.status, status, "{}", got.text());
    }
    assert!(reached(&proxy).is_empty());
}

/// ATK-50: whoever's silence it is, and whoever's it would be.
#[tokio::test]
async fn atk_50_only_an_own_silence_is_shown_changed_or_expired() {
    let proxy = Proxy::start().await;
    let target = format!("/alertmanager/api/v2/silence/{ID}");
    proxy.alertmanager.answer_to("DELETE ", Answer::of("200 OK", "application/json", b""));
    proxy.alertmanager.answer_to("POST ", Answer::json(&json!({ "silenceID": ID }).to_string()));
    let look = format!("GET /api/v2/silence/{ID}");
    let own = silence(json!([matcher("tenant", "acme-books", true)]));
    let unknown = Answer::of("404 Not Found", "application/json", b"");
    let theirs = [
        silence(json!([matcher("tenant", "globex-lit", true)])),
        silence(json!([matcher("tenant", "acme-books", false)])),
        silence(json!([matcher("alertname", "x", true)])),
    ];
    let theirs = theirs.iter().map(|silence| Answer::json(&silence.to_string()));
    let mut texts = Vec::new();
    for answer in theirs.chain([unknown]) {
        proxy.alertmanager.answer_to("GET /api/v2/silence/", answer);
        for got in [
            proxy.get(&target).await,
            proxy.send("DELETE", &target, &[], "").await,
            // An id is not taken over by what would be an own silence.
            post(&proxy, &own.to_string()).await,
        ] {
            assert_eq!((got.status, got.header("content-type")), (404, Some("application/json")));
            texts.push(got.text());
        }
        assert_eq!(reached(&proxy), vec![look.clone(); 3]);
    }
    // Another's and nobody's are not told apart.
    texts.dedup();
    assert_eq!(texts, [r#"{"code":404,"message":"silence not found"}"#]);

    proxy.alertmanager.answer_to("GET /api/v2/silence/", Answer::json(&own.to_string()));
    assert_eq!(proxy.get(&target).await.json(), own);
    assert_eq!(reached(&proxy), [look.as_str()]);
    let got = proxy.send("DELETE", &target, &[], "").await;
    assert_eq!((got.status, got.body.len(), got.header("content-type")), (200, 0, None));
    assert_eq!(reached(&proxy), [look.clone(), format!("DELETE /api/v2/silence/{ID}")]);
    assert_eq!(post(&proxy, &own.to_string()).await.status, 200);
    assert_eq!(reached(&proxy), [look, "POST /api/v2/silences".to_owned()]);
}

#[tokio::test]
async fn atk_50_56_what_would_mute_others_is_refused_in_the_backends_shape() {
    let proxy = Proxy::start().await;
    let bodies = [
        (400, silence(json!([matcher("tenant", "acme-books", false)])).to_string()),
        (400, silence(json!([matcher("tenant", "globex-lit", true)])).to_string()),
        (400, "{}".to_owned()),
        (400, String::new()),
        (400, "not json".to_owned()),
    ];
    for (status, body) in bodies {
        let got = post(&proxy, &body).await;
        assert!(got.status == status && got.json().is_string(), "{body}: {}", got.text());
    }
    // Of several tenants one must be chosen.
    let two =
        format!("Authorization: Bearer {}", proxy.token(json!({ "tenant": ["acme-books", "globex-lit"] })));
    let body = silence(json!([matcher("alertname", "x", true)])).to_string();
    let length = format!("Content-Length: {}", body.len());
    let headers = [two.as_str(), "Content-Type: application/json", &length];
    let got = proxy.raw("POST", "/alertmanager/api/v2/silences", &headers, &body).await;
    assert_eq!(got.status, 400);
    assert!(got.text().contains("acme-books") && got.text().contains("globex-lit"), "{}", got.text());
    assert!(reached(&proxy).is_empty());
}

#[tokio::test]
async fn atk_0k_methods_and_content_types_of_alertmanager_are_closed_lists() {
    let proxy = Proxy::start_with("limits: { body_bytes: 400 }").await;
    let one = format!("/alertmanager/api/v2/silence/{ID}");
    for (method, target, allow) in [
        ("POST", "/alertmanager/api/v2/alerts", "GET"),
        ("DELETE", "/alertmanager/api/v2/silences", "GET, POST"),
        ("PUT", "/alertmanager/api/v2/silences", "GET, POST"),
        ("POST", one.as_str(), "GET, DELETE"),
        ("HEAD", one.as_str(), "GET, DELETE"),
        ("DELETE", "/alertmanager/api/v2/status", "GET"),
    ] {
        let got = proxy.send(method, target, &[], "").await;
        assert_eq!((got.status, got.header("allow")), (405, Some(allow)), "{method} {target}");
    }
    let body = silence(json!([matcher("alertname", "x", true)])).to_string();
    let length = format!("Content-Length: {}", body.len());
    for headers in [
        &["Content-Type: application/x-www-form-urlencoded", length.as_str()][..],
        &["Content-Type: text/json", &length],
        &["Content-Type: application/json; charset=latin1", &length],
        &["Content-Type: application/json", "Content-Encoding: gzip", &length],
        &[&length],
    ] {
        let got = proxy.send("POST", "/alertmanager/api/v2/silences", headers, &body).await;
        assert_eq!(got.status, 415, "{headers:?}");
    }
    for method in ["GET", "DELETE"] {
        let got = proxy.send(method, &one, &[&length], &body).await;
        assert_eq!(got.status, 400, "{method}");
    }
    proxy.alertmanager.answer_to("POST ", Answer::json(r#"{"silenceID":"x"}"#));
    let padded = |n: usize| format!("{body}{}", " ".repeat(n - body.len()));
    assert_eq!(post(&proxy, &padded(401)).await.status, 413);
    proxy.alertmanager.answer_to(
        "GET ",
        Answer::json(&silence(json!([matcher("tenant", "acme-books", true)])).to_string()),
    );
    assert!(reached(&proxy).is_empty());
    assert_eq!(post(&proxy, &padded(400)).await.status, 200);
}

#[tokio::test]
async fn what_alertmanager_refuses_is_told_without_its_words() {
    let proxy = Proxy::start().await;
    let words = br#""tenant globex-lit: bad""#;
    proxy.alertmanager.answer(Answer::of("400 Bad Request", "application/json", words));
    let got = proxy.get("/alertmanager/api/v2/alerts?receiver=(").await;
    assert_eq!((got.status, got.json()), (400, json!("the backend refused the request")));
    proxy.alertmanager.answer(Answer::of("500 Internal Server Error", "application/json", words));
    let got = proxy.get("/alertmanager/api/v2/silences").await;
    assert_eq!((got.status, got.json()["code"].as_u64()), (502, Some(502)));
    assert!(!got.text().contains("globex"));
}

#[tokio::test]
async fn a_scope_of_two_dimensions_holds_for_both() {
    let proxy = Proxy::start().await;
    let region = proxy.token(json!({ "regional": "acme-books", "region": "eu-west" }));
    let bearer = format!("Authorization: Bearer {region}");
    let mut own = alert("acme-books");
    own["labels"]["region"] = json!("eu-west");
    proxy
        .alertmanager
        .answer_to("GET /api/v2/alerts", Answer::json(&json!([own, alert("acme-books")]).to_string()));
    proxy.alertmanager.answer_to("GET /api/v2/silences", Answer::json("[]"));
    let got = proxy.raw("GET", "/alertmanager/api/v2/alerts", &[&bearer], "").await;
    assert_eq!(got.json().as_array().map(Vec::len), Some(1), "{}", got.text());
    let line = &reached(&proxy)[0];
    assert_eq!(line, r#"GET /api/v2/alerts?filter=region="eu-west"&filter=tenant="acme-books""#);
}

/// What a rule grants is told by method as well as by path.
#[tokio::test]
async fn who_may_look_at_silences_may_not_change_them_for_that() {
    let proxy = Proxy::start().await;
    let root = format!("Authorization: Bearer {}", proxy.token(json!({ "root": true })));
    let any = silence(json!([matcher("tenant", "globex-lit", true)]));
    proxy.alertmanager.answer_to("GET /api/v2/silence/", Answer::json(&any.to_string()));
    let target = format!("/alertmanager/api/v2/silence/{ID}");
    let got = proxy.raw("GET", &target, &[&root], "").await;
    assert_eq!((got.status, got.json()), (200, any.clone()));
    proxy.alertmanager.take();
    assert_eq!(proxy.raw("DELETE", &target, &[&root], "").await.status, 403);
    let body = any.to_string();
    let headers = [&*root, "Content-Type: application/json", &format!("Content-Length: {}", body.len())];
    assert_eq!(proxy.raw("POST", "/alertmanager/api/v2/silences", &headers, &body).await.status, 403);
    let reader = format!("Authorization: Bearer {}", proxy.token(json!({ "limited": "acme-books" })));
    assert_eq!(proxy.raw("GET", "/alertmanager/api/v2/alerts", &[&reader], "").await.status, 403);
    assert!(reached(&proxy).is_empty());
}
