//! ATK-01 to ATK-0K: paths, methods, parameters, bodies, headers.

use super::{Attack, Clock, pairs};
use crate::http::{Request, encode, with_query};
use crate::seed::tempo::own_id;

const P: &str = "prometheus";
const L: &str = "loki";
const T: &str = "tempo";
const A: &str = "alertmanager";

pub fn all(clock: &Clock) -> Vec<Attack> {
    let mut all = paths(clock);
    all.extend(side_doors(clock));
    all.extend(forms(clock));
    all.extend(unscopable(clock));
    all.extend(parameters(clock));
    all.extend(headers(clock));
    all.extend(bodies(clock));
    all
}

/// A backend, a path, and parameters.
type Plain = (&'static str, &'static str, Vec<(String, String)>);

/// One request per backend that shows everybody's canaries unscoped.
fn plain(clock: &Clock) -> [Plain; 4] {
    [
        (P, "/api/v1/query", clock.instant("canary")),
        (L, "/loki/api/v1/query_range", clock.steps(&[("query", r#"{service="catalog"}"#)])),
        (T, "/api/v2/search/tag/span.note/values", clock.range(&[])),
        (A, "/api/v2/alerts", Vec::new()),
    ]
}

fn raw(target: &str, params: &[(String, String)]) -> Request {
    Request { method: "GET".into(), target: with_query(target, params), ..Request::default() }
}

/// ATK-01 to -05, -0C: the right route by a wrong path.
fn paths(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for (mount, path, params) in plain(clock) {
        let control = raw(path, &params);
        let tail = path.trim_start_matches('/');
        let last = path.rfind('/').unwrap_or_default();
        let (head, end) = path.split_at(last);
        let end = end.trim_start_matches('/');
        let shapes = [
            ("ATK-02 trailing-slash", format!("{path}/")),
            ("ATK-03 double-slash", format!("//{tail}")),
            ("ATK-03 dot-dot", format!("/x/..{path}")),
            ("ATK-03 dot", format!("/.{path}")),
            ("ATK-04 encoded-dot-segments", format!("/x/%2e%2e{path}")),
            ("ATK-04 encoded-dot-segments at the end", format!("{path}/%2e%2e/{end}")),
            ("ATK-04 half-encoded-dot-segments", format!("/x/.%2E{path}")),
            ("ATK-05 extra-slash", format!("{head}//{end}")),
            ("ATK-05 encoded-slash", format!("{head}%2F{end}")),
            ("ATK-05 encoded-backslash", format!("{head}%5C{end}")),
            ("ATK-05 double-encoded-slash", format!("{head}%252F{end}")),
            ("ATK-05 letter-case", path.to_uppercase()),
            ("ATK-05 path-parameter", format!("{head};x=y/{end}")),
            ("ATK-0C suffix", format!("/evil{path}")),
            ("ATK-0C suffix with NUL", format!("/evil%00{path}")),
        ];
        for (name, target) in shapes {
            all.push(
                Attack::refused(format!("{name} ({mount})"), mount, raw(&target, &params), &[400, 404])
                    .control(control.clone()),
            );
        }
        let mut outside = Attack::refused(
            format!("ATK-03 mount by dot-dot ({mount})"),
            mount,
            raw(&format!("/other/../{mount}{path}"), &params),
            &[400, 404],
        )
        .control(control);
        outside.mount = "";
        outside.kind = mount;
        all.push(outside);
    }
    // The upstream URL has a path here; what hangs on the path must hold below it.
    let params = clock.range(&[]);
    let values = raw("/api/v1/label/note/values", &params);
    all.push(Attack::twin("ATK-01 prefix-keyed-filter", P, "prometheus.label_values", values));
    all
}

/// ATK-06, -25, -4A, -4C, -3F, -47: everything that is not listed.
fn side_doors(clock: &Clock) -> Vec<Attack> {
    let prometheus = [
        "/api/v1/status/config",
        "/api/v1/status/flags",
        "/api/v1/status/tsdb",
        "/api/v1/status/runtimeinfo",
        "/api/v1/status/walreplay",
        "/api/v1/scrape_pools",
        "/api/v1/features",
        "/api/v1/notifications/live",
        "/api/v1/openapi.yaml",
        "/api/v1/write",
        "/api/v1/otlp/v1/metrics",
        "/api/v1/admin/tsdb/delete_series?match[]=canary",
        "/api/v1/admin/tsdb/snapshot",
        "/consoles/prometheus.html",
        "/metrics",
        "/graph",
        "/-/healthy",
        "/-/reload",
        "/-/quit",
        "/debug/pprof/heap",
        "/version",
        "/api/v2/query?query=canary",
        "/",
    ];
    let loki = [
        "/api/prom/query?query={service=\"catalog\"}",
        "/api/prom/label",
        "/api/prom/tail?query={service=\"catalog\"}",
        "/loki/api/v1/delete",
        "/loki/api/v1/rules",
        "/loki/api/v1/rules/bookstore.yaml",
        "/loki/api/v1/rules/bookstore.yaml/shared",
        "/api/prom/rules",
        "/api/prom/rules/test/test",
        "/api/prom/label/note/values",
        "/api/prom/series",
        "/loki/api/v1/push",
        "/loki/api/v1/cache/generation_numbers",
        "/otlp/v1/logs",
        "/config",
        "/config/tenant/v1/limits",
        "/services",
        "/ready",
        "/metrics",
        "/log_level",
        "/flush",
        "/ring",
        "/memberlist",
        "/ingester/shutdown",
        "/ui/api/v1/cluster/nodes",
        "/debug/pprof/heap",
    ];
    let tempo = [
        "/api/metrics/summary?q={}",
        "/api/v2/traces/diff",
        "/api/mcp",
        "/api/overrides",
        "/querier/api/search?q={}",
        "/querier/api/traces/1",
        "/status",
        "/status/config",
        "/status/overrides",
        "/metrics",
        "/usage_metrics",
        "/memberlist",
        "/flush",
        "/shutdown",
        "/debug/pprof/heap",
        "/tempopb.StreamingQuerier/Search",
    ];
    let mut all = Vec::new();
    for (mount, routes, name) in [
        (P, &prometheus[..], "ATK-06 catch-all-mount"),
        (L, &loki[..], "ATK-25 legacy-paths"),
        (T, &tempo[..], "ATK-4A side-doors"),
    ] {
        for route in routes {
            // Loki, Tempo and curl write braces in queries as they are; Palisade
            // must not even look at the query of a path it does not have.
            let target = route.replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
            for method in ["GET", "POST"] {
                let request = Request { method: method.into(), target: target.clone(), ..Request::default() };
                let name = format!("{name} {method} {mount}{route}");
                all.push(Attack::refused(name, mount, request, &[400, 404, 405, 415]).uncontrolled());
            }
        }
    }
    // Endings that a list of forbidden ones could lack, and that no row has.
    for (mount, path) in [
        (P, "/api/v1/cardinality/active_native_histogram_metrics"),
        (P, "/api/v1/cardinality/active_series?selector=canary"),
        (P, "/api/v1/query/cardinality/label_values?label_names%5B%5D=note"),
        (L, "/loki/api/v1/query_range/active_series"),
        (L, "/loki/api/v1/index/volume/cardinality"),
        (T, "/api/v2/search/tag/span.note/values/active_series"),
        (A, "/api/v2/alerts/groups/active_series"),
    ] {
        let request = raw(path, &[]);
        let (_, shown, asked) = plain(clock).into_iter().find(|p| p.0 == mount).unwrap();
        let attack =
            Attack::refused(format!("ATK-3F unblocked-suffix {mount}{path}"), mount, request, &[404]);
        all.push(attack.control(raw(shown, &asked)));
    }
    // Those that show data as they stand are tried with their control.
    let control = raw("/api/search/tag/note/values", &clock.range(&[]));
    all.push(Attack::refused("ATK-47 v1-tag-values", T, control, &[200]));
    let id = own_id("globex-lit", 1);
    let control = raw(&format!("/api/traces/{id}"), &[]);
    let anchored = raw(&format!("/api/traces/{id}/../{id}"), &[]);
    all.push(Attack::refused("ATK-4C allow-list-unanchored", T, anchored, &[400, 404]).control(control));
    all
}

fn post(path: &str, url: &[(String, String)], body: &[(String, String)]) -> Request {
    Request { target: with_query(path, url), ..Request::form(path, body) }
}

/// ATK-07 to -0B, -0H: what stands in the body and what in the URL.
fn forms(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    let time = clock.instant("x")[1..].to_vec();
    let range = clock.range(&[]);
    let steps = clock.steps(&[]);
    for (mount, path, own, evil, more) in [
        (P, "/api/v1/query", r#"canary{tenant="acme-books"}"#, "canary", &time),
        (P, "/api/v1/query_range", r#"canary{tenant="acme-books"}"#, "canary", &steps),
        (
            P,
            "/api/v1/query_exemplars",
            r#"live_orders_total{tenant="acme-books"}"#,
            "live_orders_total",
            &range,
        ),
        (L, "/loki/api/v1/query_range", r#"{tenant="acme-books"}"#, r#"{service="catalog"}"#, &steps),
        (
            L,
            "/loki/api/v1/query",
            r#"count_over_time({tenant="acme-books"}[30m])"#,
            r#"count_over_time({service="canary"}[30m])"#,
            &time,
        ),
    ] {
        let own = pairs(&[("query", own)]);
        let evil = pairs(&[("query", evil)]);
        let with = |pairs: &[(String, String)]| [pairs, more.as_slice()].concat();
        let control = Request::form(path, &with(&evil));
        let empty = pairs(&[("query", "")]);
        let tries = [
            (
                "ATK-07 empty-first-duplicate",
                post(path, &[empty.clone(), evil.clone()].concat(), &with(&own)),
            ),
            ("ATK-07 empty body value", post(path, &evil, &with(&empty))),
            ("ATK-07 duplicate in the body", post(path, &[], &with(&[own.clone(), evil.clone()].concat()))),
            ("ATK-07 duplicate in the URL", raw(path, &with(&[own.clone(), evil.clone()].concat()))),
            ("ATK-08 body-vs-url", post(path, &own, &with(&evil))),
            ("ATK-08 url-vs-body", post(path, &evil, &with(&own))),
        ];
        for (name, request) in tries {
            let name = format!("{name} ({mount}{path})");
            all.push(Attack::refused(name, mount, request, &[400]).control(control.clone()));
        }
    }
    for (mount, path, endpoint, key, own, evil) in [
        (P, "/api/v1/series", "prometheus.series", "match[]", r#"up{tenant="acme-books"}"#, "canary"),
        (
            P,
            "/api/v1/labels",
            "prometheus.labels",
            "match[]",
            r#"up{tenant="acme-books"}"#,
            "canary_globex_lit_total",
        ),
        (
            L,
            "/loki/api/v1/series",
            "loki.series",
            "match[]",
            r#"{tenant="acme-books"}"#,
            r#"{service="canary"}"#,
        ),
        (
            L,
            "/loki/api/v1/series",
            "loki.series",
            "match",
            r#"{tenant="acme-books"}"#,
            r#"{service="canary"}"#,
        ),
    ] {
        let (own, evil) = (pairs(&[(key, own)]), pairs(&[(key, evil)]));
        let both = post(path, &own, &[evil.clone(), range.clone()].concat());
        let name = format!("ATK-09 authz-url-enforce-union ({mount}{path} {key})");
        let mut union = Attack::twin(name, mount, endpoint, both);
        if endpoint == "prometheus.labels" {
            // Names of labels carry no canary but the metric's own label.
            union = union.control(raw("/api/v1/series", &[evil.clone(), range.clone()].concat()));
            union.control = union.control.map(|mut c| {
                c.target = c.target.replace("canary_globex_lit_total", "canary");
                c
            });
        }
        all.push(union);
        let left = post(path, &[evil.clone(), range.clone()].concat(), &own);
        let name = format!("ATK-0B post-leaves-url ({mount}{path} {key})");
        let mut left = Attack::twin(name, mount, endpoint, left);
        if endpoint == "prometheus.labels" {
            left = left.uncontrolled();
        }
        all.push(left);
    }
    let other = [
        pairs(&[("match", r#"{service="canary"}"#), ("match[]", r#"{tenant="acme-books"}"#)]),
        range.clone(),
    ]
    .concat();
    all.push(Attack::twin("ATK-0A alias-param", L, "loki.series", raw("/loki/api/v1/series", &other)));
    let other = [
        pairs(&[("match[]", r#"{service="canary"}"#), ("match", r#"{tenant="acme-books"}"#)]),
        range.clone(),
    ]
    .concat();
    all.push(Attack::twin(
        "ATK-0A alias-param, turned",
        L,
        "loki.series",
        Request::form("/loki/api/v1/series", &other),
    ));
    for (mount, path, endpoint) in [
        (P, "/api/v1/label/note/values", "prometheus.label_values"),
        (P, "/api/v1/label/tenant/values", "prometheus.label_values"),
        (L, "/loki/api/v1/label/note/values", "loki.label_values"),
        (L, "/loki/api/v1/series", "loki.series"),
        (T, "/api/v2/search/tag/span.note/values", "tempo.tag_values"),
        (T, "/api/v2/search/tag/resource.host.name/values", "tempo.tag_values"),
    ] {
        let name = format!("ATK-0H no-selector-no-filter ({mount}{path})");
        let mut attack = Attack::twin(name, mount, endpoint, raw(path, &range));
        if path.contains("/tenant/") {
            attack = attack.uncontrolled();
        }
        all.push(attack);
    }
    all
}

/// ATK-0J: what cannot be scoped is not sent as it stands.
fn unscopable(clock: &Clock) -> Vec<Attack> {
    let broken = |query: &'static str| [("query", query)];
    [
        (P, "/api/v1/query", clock.range(&broken("canary or ("))),
        (P, "/api/v1/query_range", clock.steps(&broken("info(canary)"))),
        (P, "/api/v1/series", clock.range(&[("match[]", "canary{")])),
        (P, "/api/v1/labels", clock.range(&[("match[]", "up"), ("match[]", "canary{")])),
        (L, "/loki/api/v1/query_range", clock.steps(&broken("{service=\"catalog\"} | nonsense"))),
        (L, "/loki/api/v1/series", clock.range(&[("match[]", "{service=")])),
        (L, "/loki/api/v1/labels", clock.range(&broken("{service=\"catalog\"} or"))),
        (L, "/loki/api/v1/index/stats", clock.range(&broken("{service"))),
        (T, "/api/search", clock.range(&[("q", "{ span.note != nil")])),
        (T, "/api/metrics/query_range", clock.steps(&[("q", "{ } | rate() by (")])),
    ]
    .into_iter()
    .map(|(mount, path, params)| {
        let (_, shown, asked) = plain(clock).into_iter().find(|p| p.0 == mount).unwrap();
        let name = format!("ATK-0J director-error-forwards ({mount}{path})");
        Attack::refused(name, mount, raw(path, &params), &[400]).control(raw(shown, &asked))
    })
    .collect()
}

/// ATK-0D, -0E, -48, -49: parameters that are somebody else's.
fn parameters(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    let plain = clock.instant(r#"canary{tenant=~".+"}"#);
    let extra = [
        ("ATK-0D sibling-bracket-key", ("extra_filters[]", r#"{tenant="globex-lit"}"#)),
        ("ATK-0D bracketed query", ("query[]", "canary")),
        ("ATK-0D numbered match", ("match[0]", "canary")),
        ("ATK-0D letter-case", ("Query", "canary")),
        ("ATK-0E backend-filter-in-body", ("extra_filters", r#"{tenant="globex-lit"}"#)),
        ("ATK-0E extra label", ("extra_label", "tenant=globex-lit")),
        ("ATK-0E namespace", ("tenant", "globex-lit")),
    ];
    for (name, (key, value)) in extra {
        let with = [plain.clone(), pairs(&[(key, value)])].concat();
        for request in [raw("/api/v1/query", &with), Request::form("/api/v1/query", &with)] {
            let name = format!("{name} {}", request.method);
            let twins = raw("/api/v1/query", &plain);
            all.push(Attack::twin(name, P, "prometheus.query", request).like(twins));
        }
    }
    let own = r#"{ resource.tenant = "acme-books" } | count_over_time() by (span.note)"#;
    let evil = "{ } | count_over_time() by (span.note)";
    for (name, first, second) in [
        ("ATK-48 two-query-params", ("q", own), ("query", evil)),
        ("ATK-48 two-query-params, turned", ("query", own), ("q", evil)),
    ] {
        let request = raw("/api/metrics/query_range", &clock.steps(&[first, second]));
        let control = raw("/api/metrics/query_range", &clock.steps(&[("q", evil)]));
        all.push(Attack::refused(name, T, request, &[400]).control(control));
    }
    let notes = [("limit", "100"), ("spss", "50")];
    let tagged = clock.range(&[&notes[..], &[("tags", "service.name=storefront")]].concat());
    let everything = clock.range(&[&notes[..], &[("q", "{} | select(span.note)")]].concat());
    let control = raw("/api/search", &everything);
    all.push(
        Attack::refused("ATK-49 legacy-search-params", T, raw("/api/search", &tagged), &[200])
            .control(control.clone()),
    );
    let free = pairs(&[("service.name", "storefront")]);
    // Unlisted, so dropped: what is left asks for all own spans.
    let mut attack = Attack::refused("ATK-49 free-params", "tempo-mixed", raw("/api/search", &free), &[200]);
    attack.kind = T;
    all.push(attack.control(control));
    all
}

/// ATK-0F, -0G: headers that name a tenant.
fn headers(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for (mount, path, params) in plain(clock) {
        let endpoint = match mount {
            P => "prometheus.query",
            L => "loki.query_range",
            A => "alertmanager.alerts",
            _ => "tempo.tag_values",
        };
        let plain = raw(path, &params);
        for (header, value) in [
            ("X-Scope-OrgID", "globex-lit"),
            ("X-Grafana-User", "bob"),
            ("X-Forwarded-User", "bob"),
            ("X-Query-Tags", "Source=grafana-lokiexplore-app"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("X-Original-URL", "/api/v1/status/config"),
            ("Connection", "Authorization"),
        ] {
            let request = plain.clone().header(header, value);
            let name = format!("ATK-0F tenant-header-spoof {header} ({mount})");
            let attack = Attack::twin(name, mount, endpoint, request);
            all.push(attack.like(plain.clone()).control(plain.clone()));
        }
        for (name, header, value) in [
            ("ATK-0F a tenant not granted", "X-Palisade-Tenant", "globex-lit"),
            ("ATK-0F a scope not granted", "X-Palisade-Scope", "tenant=globex-lit"),
            ("ATK-0F one granted, one not", "X-Palisade-Tenant", "acme-books,globex-lit"),
            ("ATK-0F an unknown dimension", "X-Palisade-Scope", "planet=earth"),
            ("ATK-0G tenant-id path traversal", "X-Palisade-Tenant", "../globex-lit"),
            ("ATK-0G tenant-id with a slash", "X-Palisade-Tenant", "acme-books/../globex-lit"),
            ("ATK-0G a pattern", "X-Palisade-Tenant", ".*"),
        ] {
            let request = plain.clone().header(header, value);
            let name = format!("{name} ({mount})");
            all.push(Attack::refused(name, mount, request, &[403]).control(plain.clone()));
        }
        let twice =
            plain.clone().header("X-Palisade-Tenant", "acme-books").header("X-Palisade-Tenant", "globex-lit");
        let name = format!("ATK-0F two tenant headers ({mount})");
        all.push(Attack::refused(name, mount, twice, &[403]).control(plain.clone()));
    }
    all
}

/// ATK-0K: methods, content types, framing, sizes.
fn bodies(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for (mount, path, own, evil, more) in [
        (P, "/api/v1/query", r#"canary{tenant="acme-books"}"#, "canary", clock.instant("x")[1..].to_vec()),
        (
            L,
            "/loki/api/v1/query_range",
            r#"{tenant="acme-books"}"#,
            r#"{service="catalog"}"#,
            clock.steps(&[]),
        ),
    ] {
        let own = [pairs(&[("query", own)]), more.clone()].concat();
        let evil = [pairs(&[("query", evil)]), more.clone()].concat();
        let control = Request::form(path, &evil);
        let form = encode(&evil);
        let body = |method: &str, kind: Option<&str>, url: &[(String, String)], body: &str| {
            let request = Request {
                method: method.into(),
                target: with_query(path, url),
                body: body.as_bytes().to_vec(),
                ..Request::default()
            };
            match kind {
                Some(kind) => request.header("Content-Type", kind),
                None => request,
            }
        };
        let form_type = Some("application/x-www-form-urlencoded");
        let multipart = Some("multipart/form-data; boundary=b");
        let query = &evil[0].1;
        let part =
            format!("--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n{query}\r\n--b--\r\n");
        let json = serde_json::json!({ "query": query }).to_string();
        let mut tries = vec![
            ("multipart body", body("POST", multipart, &own, &part), &[415][..]),
            ("multipart body of a GET", body("GET", multipart, &own, &part), &[400, 415][..]),
            ("form body of a GET", body("GET", form_type, &own, &form), &[400, 415][..]),
            ("JSON body", body("POST", Some("application/json"), &own, &json), &[415][..]),
            ("no content type", body("POST", None, &own, &form), &[415][..]),
            ("text body", body("POST", Some("text/plain"), &own, &form), &[415][..]),
            (
                "two types in one",
                body("POST", Some("application/x-www-form-urlencoded, text/plain"), &own, &form),
                &[415][..],
            ),
            (
                "broken type parameters",
                body("POST", Some("application/x-www-form-urlencoded; ;="), &own, &form),
                &[415][..],
            ),
            (
                "another charset",
                body("POST", Some("application/x-www-form-urlencoded; charset=utf-7"), &own, &form),
                &[415][..],
            ),
            (
                "compressed body",
                body("POST", form_type, &own, &form).header("Content-Encoding", "gzip"),
                &[415][..],
            ),
            ("PUT", body("PUT", form_type, &own, &form), &[405][..]),
            ("PATCH", body("PATCH", form_type, &own, &form), &[405][..]),
            ("DELETE", body("DELETE", form_type, &own, &form), &[405][..]),
            ("OPTIONS", body("OPTIONS", None, &evil, ""), &[404, 405][..]),
            ("TRACE", body("TRACE", None, &evil, ""), &[400, 404, 405][..]),
            ("semicolon", body("POST", form_type, &[], &form.replacen('&', ";", 1)), &[400][..]),
            ("bad escape", body("POST", form_type, &own, &format!("{form}&x=%zz")), &[400][..]),
            ("NUL", body("POST", form_type, &[], &format!("{form}%00")), &[400][..]),
            ("broken UTF-8", body("POST", form_type, &[], &format!("{form}&limit=%ff")), &[400][..]),
        ];
        let chunks = format!("{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
        let both = body("POST", form_type, &own, &chunks)
            .header("Transfer-Encoding", "chunked")
            .header("Content-Length", "4");
        tries.push(("two framings", both, &[400][..]));
        let many: Vec<(String, String)> = (0..300).map(|n| (format!("x{n}"), String::new())).collect();
        tries.push(("too many pairs", post(path, &own, &[many, evil.clone()].concat()), &[400, 413][..]));
        let long = format!("{form}&pad={}", "x".repeat(1 << 20));
        tries.push(("over-long form", body("POST", form_type, &own, &long), &[413][..]));
        let wide = [pairs(&[("pad", &"x".repeat(20_000))]), own.clone()].concat();
        tries.push(("over-long URL", body("POST", form_type, &wide, &form), &[400, 413, 414, 431][..]));
        for (what, request, statuses) in tries {
            let name = format!("ATK-0K {what} ({mount})");
            all.push(Attack::refused(name, mount, request, statuses).control(control.clone()));
        }
        let chunked = body("POST", form_type, &[], &chunks).header("Transfer-Encoding", "chunked");
        let endpoint = if mount == P { "prometheus.query" } else { "loki.query_range" };
        all.push(
            Attack::twin(format!("ATK-0K chunked body ({mount})"), mount, endpoint, chunked)
                .like(Request::form(path, &evil))
                .control(control.clone()),
        );
        let typed = body("POST", Some("application/x-www-form-urlencoded; charset=utf-8"), &[], &form);
        all.push(
            Attack::twin(format!("ATK-0K charset of a form ({mount})"), mount, endpoint, typed)
                .like(Request::form(path, &evil))
                .control(control),
        );
    }
    all
}
