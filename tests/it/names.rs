//! Names as people write them, in paths and in texts: asked for as they are, and never as another path.

use super::support::proxy::Proxy;

/// What arrives at a backend, the scope's own matcher not looked at.
async fn arrives(proxy: &Proxy, target: &str) -> Result<String, (u16, String)> {
    let answer = proxy.get(target).await;
    let received = proxy.reached();
    match received.first() {
        Some(received) => Ok(received.line.clone()),
        None => Err((answer.status, answer.text())),
    }
}

/// Prometheus takes any UTF-8 text for the name of a label since 3.0, beside its `U__` spelling.
#[tokio::test]
async fn any_name_of_a_label_is_asked_for_as_one_segment() {
    let proxy = Proxy::start().await;
    for (name, segment) in [
        ("http.status", "http.status"),
        ("service.name", "service.name"),
        ("U__http_2e_status", "U__http_2e_status"),
        ("%C3%BC", "%C3%BC"),
        ("9x", "9x"),
        ("with%20space", "with%20space"),
        ("a%25b%3Fc%23d", "a%25b%3Fc%23d"),
        ("a%252Fb", "a%252Fb"),
        ("a%3Bb", "a%3Bb"),
        ("a:b@c", "a:b%40c"),
    ] {
        let line = arrives(&proxy, &format!("/prometheus/api/v1/label/{name}/values")).await.unwrap();
        let expected = format!("GET /api/v1/label/{segment}/values?match%5B%5D=%7Btenant%3D%22acme-books%22");
        assert!(line.starts_with(&expected), "{name}: {line}");
        let line = arrives(&proxy, &format!("/loki/loki/api/v1/label/{name}/values")).await.unwrap();
        assert_eq!(line, format!("POST /prefix/loki/api/v1/label/{segment}/values"));
        let path = format!("/loki/loki/api/v1/detected_field/{name}/values?query=%7Ba%3D%22b%22%7D");
        let line = arrives(&proxy, &path).await.unwrap();
        assert_eq!(line, format!("POST /prefix/loki/api/v1/detected_field/{segment}/values"));
    }
}

#[tokio::test]
async fn atk_05_no_name_becomes_another_path() {
    let proxy = Proxy::start().await;
    for name in ["..", "%2e%2e", ".", "a%2Fb", "%2e%2e%2Fquery", "a%5Cb", "a%00", "a%0Ab", "%ff", ""] {
        for path in
            ["/prometheus/api/v1/label", "/loki/loki/api/v1/label", "/loki/loki/api/v1/detected_field"]
        {
            let refused = arrives(&proxy, &format!("{path}/{name}/values")).await.unwrap_err();
            assert_eq!(refused.0, 404, "{path} {name}: {}", refused.1);
        }
    }
    let long = |n: usize| format!("/prometheus/api/v1/label/{}/values", "n".repeat(n));
    assert!(arrives(&proxy, &long(1024)).await.is_ok());
    assert_eq!(arrives(&proxy, &long(1025)).await.unwrap_err().0, 400);
}

/// Go's `ParseForm` looks at no body where there is none, and takes the parameters of the URL.
#[tokio::test]
async fn a_post_without_a_body_has_its_parameters_in_the_url() {
    let proxy = Proxy::start().await;
    let target = "/prometheus/api/v1/query?query=up";
    for headers in [vec![], vec!["Content-Length: 0"]] {
        let answer = proxy.send("POST", target, &headers, "").await;
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.text());
        assert_eq!(proxy.prometheus.take_one().body, "query=up%7Btenant%3D%22acme-books%22%7D");
    }
    // A body whose type is not told is read by nobody, so it is not sent.
    let answer = proxy.send("POST", target, &["Content-Length: 8"], "query=up").await;
    assert_eq!(answer.status, 415);
    let answer = proxy.send("POST", "/alertmanager/api/v2/silences", &[], "").await;
    assert_eq!(answer.status, 415);
    assert!(proxy.reached().is_empty());
}

/// Over the labels that rules are written with; what is shown is cut to the caller's as ever.
#[tokio::test]
async fn rules_are_narrowed_by_their_labels() {
    let proxy = Proxy::start().await;
    let target =
        "/prometheus/api/v1/rules?match[]=%7Bseverity%3D%22page%22%7D&match[]=%7B__name__%3D~%22a.*%22%7D";
    let line = arrives(&proxy, target).await.unwrap();
    let sent =
        "GET /api/v1/rules?match%5B%5D=%7Bseverity%3D%22page%22%7D&match%5B%5D=%7B__name__%3D%7E%22a.*%22%7D";
    assert_eq!(line, sent);
    let refused = arrives(&proxy, "/prometheus/api/v1/rules?match[]=%7Bseverity").await.unwrap_err();
    assert_eq!(refused.0, 400, "{}", refused.1);
}

/// As `amtool` sends them; the newer of Alertmanager's two parsers takes them, the older one takes no such name.
#[tokio::test]
async fn matchers_of_alertmanager_take_names_without_quotes() {
    let proxy = Proxy::start().await;
    for (filter, sent) in [
        ("host.name%3D%22mine%22", "%22host.name%22%3D%22mine%22"),
        ("foo%F0%9F%99%82%3Dbar", "%22foo%F0%9F%99%82%22%3D%22bar%22"),
        ("a%3Ab%3Dc", "a%3Ab%3D%22c%22"),
    ] {
        let line = arrives(&proxy, &format!("/alertmanager/api/v2/silences?filter={filter}")).await.unwrap();
        assert_eq!(line, format!("GET /api/v2/silences?filter={sent}"));
    }
}

/// A long text is asked by POST where the backend takes one, and in a long URL where not.
#[tokio::test]
async fn a_long_text_in_a_url_is_answered() {
    let proxy = Proxy::start().await;
    let names = (0..1500).map(|i| format!("metric_number_{i}")).collect::<Vec<_>>().join("|");
    assert!(names.len() > 27_000);
    let selector = format!("match[]=%7B__name__%3D~%22{names}%22%7D");
    let line = arrives(&proxy, &format!("/prometheus/api/v1/series?{selector}")).await.unwrap();
    assert_eq!(line, "POST /api/v1/series");
    let line = arrives(&proxy, &format!("/prometheus/api/v1/label/a/values?{selector}")).await.unwrap();
    assert!(line.starts_with("GET /api/v1/label/a/values?match") && line.len() > 27_000);
    let q = format!("q=%7B%20name%20%3D~%20%22{names}%22%20%7D");
    let line = arrives(&proxy, &format!("/tempo/api/search?{q}&start=1&end=2")).await.unwrap();
    assert!(line.starts_with("GET /api/search?") && line.len() > 27_000);
    let long = format!("query=sum(%7B__name__%3D~%22{names}%7C{names}%7C{names}%22%7D)");
    assert!(long.len() > 81_000);
    assert_eq!(proxy.post("/prometheus/api/v1/query", &long).await.status, 200);
}
