//! ATK-40 to -4J, -0I: TraceQL, traces and tags.

use super::{Attack, Clock};
use crate::http::Request;
use crate::seed::tempo::{FORGED, FORGED_ID, MIXED, MIXED_ID, PURE, infra_id, own_id};

const SEARCH: &str = "/api/search";
const METRICS: &str = "/api/metrics/query_range";
const INSTANT: &str = "/api/metrics/query";
const PROTOBUF: &str = "application/protobuf";

pub fn all(clock: &Clock) -> Vec<Attack> {
    let mut all = searches(clock);
    all.extend(mixed(clock));
    all.extend(metrics(clock));
    all.extend(traces());
    all.extend(tags(clock));
    all.extend(names(clock));
    all.extend(unheeded(clock));
    all.extend(older(clock));
    all.extend(long(clock));
    all
}

fn window(clock: &Clock, from: i64, params: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all = super::pairs(params);
    all.extend(super::pairs(&[
        ("start", &(clock.start + from).to_string()),
        ("end", &(clock.start + from + 300).to_string()),
    ]));
    all
}

fn search(clock: &Clock, from: i64, q: &str) -> Request {
    Request::get(SEARCH, &window(clock, from, &[("q", q), ("limit", "100"), ("spss", "50")]))
}

/// Everybody's notes in this window.
fn control(clock: &Clock, from: i64, attack: Attack) -> Attack {
    attack.control(search(clock, from, "{ } | select(span.note, span.forged_note)"))
}

/// ATK-40 to -45: the text of a search, in traces of one tenant each.
fn searches(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for (name, q) in [
        (
            "ATK-40 or with the own tenant",
            "{ resource.tenant = \"acme-books\" || span.note != nil } | select(span.note)",
        ),
        ("ATK-40 a bracket too many", "{ (name = \"x\") || (span.note != nil) } | select(span.note)"),
        (
            "ATK-41 multi-spanset",
            "({ resource.tenant = \"acme-books\" }) || ({ span.note != nil }) | select(span.note)",
        ),
        ("ATK-42 piped-query", "{ } | count() > 0 | select(span.note)"),
        (
            "ATK-42 piped filter",
            "{ resource.tenant = \"acme-books\" } | { span.note != nil } | select(span.note)",
        ),
        ("ATK-43 negative-tenant", "{ resource.tenant != \"acme-books\" } | select(span.note)"),
        ("ATK-43 negative pattern", "{ resource.tenant !~ \"acme-books\" } | select(span.note)"),
        ("ATK-44 tautology", "{ resource.tenant = \"acme-books\" || true } | select(span.note)"),
        ("ATK-44 true", "{ true } | select(span.note)"),
        ("ATK-44 one is one", "{ 1 = 1 } | select(span.note)"),
        ("ATK-45 string-literal-shield", "{ name != \"resource.tenant = acme-books\" } | select(span.note)"),
        ("ATK-45 braces in a string", "{ name != \"} || { \" } | select(span.note)"),
        ("ATK-45 raw string", "{ name != `\"} | {` } | select(span.note)"),
        ("ATK-4F missing-tenant-attr", "{ resource.tenant = nil } | select(span.note)"),
        ("ATK-4J forged-scope by a span attribute", "{ span.tenant = \"acme-books\" } | select(span.note)"),
        ("ATK-4J forged-scope unscoped", "{ .tenant = \"acme-books\" } | select(span.note)"),
    ] {
        for mount in ["tempo", "tempo-mixed"] {
            let request = search(clock, PURE, q);
            let attack = Attack::twin(format!("{name} ({mount})"), mount, "tempo.search", request);
            all.push(control(clock, PURE, attack));
        }
    }
    // Tempo 2.9 misreads `|| true` where it stands alone and reads it rightly
    // below a scope, so TWIN cannot say what is right; own data must show.
    for q in [
        "{ name = \"charge card\" || true } | select(span.note)",
        "{ true || name = \"charge card\" } | select(span.note)",
        "{ !(name = \"x\") || false } | select(span.note)",
    ] {
        for mount in ["tempo", "tempo-mixed"] {
            let name = format!("ATK-40 or-precedence {q} ({mount})");
            let attack = Attack::shows(name, mount, search(clock, PURE, q), "canary-acme-books");
            all.push(control(clock, PURE, attack));
        }
    }
    for (name, q) in [
        ("ATK-4H no-filter-pipeline count", "count() > 0"),
        ("ATK-4H no-filter-pipeline by", "by(resource.tenant)"),
        ("ATK-4H no-filter-pipeline select", "select(span.note)"),
        ("ATK-4H no-filter-pipeline in brackets", "(count() > 0) && ({})"),
    ] {
        // Scoped by a filter in front, or refused: either shows no canary.
        let request = search(clock, PURE, q);
        let mut attack = Attack::refused(name, "tempo", request, &[200, 400]);
        attack.kind = "tempo";
        all.push(control(clock, PURE, attack));
    }
    for (name, q) in [
        ("ATK-40 a comment", "{ /* } */ span.note != nil } // {"),
        ("ATK-45 partly quoted attribute", "{ resource.\"ten\"ant = \"globex-lit\" }"),
        ("ATK-44 unsafe hint", "{ } with (skip_ast_transformations=true)"),
        ("ATK-44 sampling hint", "{ } | rate() with (sample=true)"),
        ("ATK-4G parent", "{ parent.note != nil }"),
        ("ATK-17 an unknown stage", "{ } | canary()"),
        ("ATK-1B brackets", "BRACKETS"),
    ] {
        let deep = format!("{{ {}true{} }}", "(".repeat(20_000), ")".repeat(20_000));
        let q = if q == "BRACKETS" { &deep } else { q };
        // Hints that Tempo passes over are left out.
        let statuses: &[u16] = if q.contains("skip_ast") { &[200] } else { &[400, 413, 414] };
        let attack = Attack::refused(name, "tempo", search(clock, PURE, q), statuses);
        all.push(control(clock, PURE, attack));
    }
    all
}

/// ATK-41, -4B, -4G: a trace that a foreign root and middle span share.
fn mixed(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    let on_mixed = |mut attack: Attack, from: i64| {
        attack.kind = "tempo";
        control(clock, from, attack)
    };
    for (name, q) in [
        ("ATK-4B root-metadata-leak", "{ }"),
        ("ATK-4B root-metadata-leak by select", "{ } | select(span.note, name)"),
        ("ATK-42 piped-query in a shared trace", "{ } | count() = 4"),
        ("ATK-41 multi-spanset in a shared trace", "{ name = \"own leaf 0\" } && { name = \"own leaf 1\" }"),
        ("ATK-41 a foreign operand", "{ name = \"own leaf 0\" } && { name =~ \"globex.*\" }"),
    ] {
        let request = search(clock, MIXED, q);
        all.push(on_mixed(Attack::twin(name, "tempo-mixed", "tempo.search", request), MIXED));
    }
    for q in [
        "{ } >> { }",
        "{ } > { }",
        "{ } << { }",
        "{ } < { }",
        "{ } ~ { }",
        "{ } !>> { }",
        "{ } !> { }",
        "{ } !<< { }",
        "{ } !< { }",
        "{ } !~ { }",
        "{ } &>> { }",
        "{ } &> { }",
        "{ } &<< { }",
        "{ } &< { }",
        "{ } &~ { }",
    ] {
        let request = search(clock, MIXED, q);
        let name = format!("ATK-41 structure {q}");
        all.push(on_mixed(Attack::refused(name, "tempo-mixed", request, &[400]), MIXED));
    }
    for q in [
        "{ rootName =~ \"GET /globex.*\" }",
        "{ rootServiceName = \"globex-gateway\" }",
        "{ traceDuration > 5s }",
        "{ trace:duration > 5s }",
        "{ trace:rootName != \"\" }",
        "{ trace:rootService != \"\" }",
        "{ nestedSetLeft > 2 }",
        "{ nestedSetRight > 2 }",
        "{ nestedSetParent > 1 }",
        "{ } | select(rootName)",
        "{ } | by(rootServiceName)",
        "{ } | avg(traceDuration) > 5s",
        "{ } | select(trace:rootService)",
    ] {
        let request = search(clock, MIXED, q);
        let name = format!("ATK-4G cross-span-intrinsics {q}");
        all.push(on_mixed(Attack::refused(name, "tempo-mixed", request, &[400]), MIXED));
    }
    let q = "{ .tenant = \"acme-books\" && span.forged_note =~ \".*attribute\" } | select(span.forged_note)";
    let request = search(clock, FORGED, q);
    all.push(on_mixed(
        Attack::twin(
            "ATK-4J forged-scope by a span attribute, in a search",
            "tempo-mixed",
            "tempo.search",
            request,
        ),
        FORGED,
    ));
    all
}

/// The same by TraceQL metrics.
fn metrics(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    let ask = |from: i64, q: &str| {
        Request::get(METRICS, &{
            let mut params = window(clock, from, &[("q", q)]);
            params.extend(super::pairs(&[("step", "60")]));
            params
        })
    };
    let notes = "{ } | count_over_time() by (span.note)";
    for (name, q) in [
        ("ATK-42 piped-query rate", "{ } | rate() by (span.note)"),
        (
            "ATK-43 negative-tenant in metrics",
            "{ resource.tenant != \"acme-books\" } | rate() by (span.note)",
        ),
        ("ATK-4J forged-scope in metrics", "{ .tenant = \"acme-books\" } | rate() by (span.note)"),
    ] {
        let attack = Attack::twin(name, "tempo", "tempo.metrics", ask(PURE, q));
        all.push(attack.control(ask(PURE, notes)));
    }
    let q = "{ name = \"x\" || true } | count_over_time() by (span.note, resource.host.name)";
    let attack = Attack::shows("ATK-40 or-precedence in metrics", "tempo", ask(PURE, q), "canary-acme-books");
    all.push(attack.control(ask(PURE, notes)));
    for (name, q) in [
        ("ATK-4G compare", "{ } | compare({ status = error }, 10)"),
        ("ATK-4G root names in metrics", "{ } | rate() by (rootName)"),
        ("ATK-4G root service in metrics", "{ } | rate() by (trace:rootService)"),
        ("ATK-4G trace duration in metrics", "{ } | quantile_over_time(traceDuration, .9)"),
        ("ATK-4G nested sets in metrics", "{ } | max_over_time(nestedSetRight)"),
    ] {
        for path in [METRICS, INSTANT] {
            let request = Request::get(path, &window(clock, MIXED, &[("q", q)]));
            let name = format!("{name} {path}");
            let mut attack = Attack::refused(name, "tempo-mixed", request, &[400]);
            attack.kind = "tempo";
            all.push(attack.control(ask(MIXED, notes)));
        }
    }
    let request = ask(PURE, "rate() by (span.note)");
    all.push(
        Attack::refused("ATK-4H no-filter metrics", "tempo", request, &[200, 400]).control(ask(PURE, notes)),
    );
    let request = ask(PURE, "by(resource.tenant) | rate()");
    all.push(
        Attack::refused("ATK-4H by before metrics", "tempo", request, &[200, 400]).control(ask(PURE, notes)),
    );
    all
}

/// ATK-46, -4D, -4E, -4F, -4J: traces by id.
fn traces() -> Vec<Attack> {
    let mut all = Vec::new();
    for (version, endpoint) in [("/api/traces", "tempo.trace_v1"), ("/api/v2/traces", "tempo.trace_v2")] {
        for mount in ["tempo", "tempo-mixed"] {
            for (name, id) in [
                ("ATK-46 trace-by-id shared", MIXED_ID.to_owned()),
                ("ATK-4J forged-scope trace", FORGED_ID.to_owned()),
            ] {
                for accept in [None, Some(PROTOBUF), Some("application/vnd.grafana.llm"), Some("*/*")] {
                    let request = Request::get(&format!("{version}/{id}"), &[]);
                    // Palisade answers in a form of its own choice where the
                    // caller names none that it knows: JSON.
                    let twins = match accept {
                        Some(PROTOBUF) => request.clone().header("Accept", PROTOBUF),
                        _ => request.clone(),
                    };
                    let request = match accept {
                        Some(accept) => request.header("Accept", accept),
                        None => request,
                    };
                    let name = format!("{name} {version} {mount} {}", accept.unwrap_or("-"));
                    let mut attack = Attack::twin(name, mount, endpoint, request.clone()).like(twins);
                    attack.kind = "tempo";
                    all.push(attack);
                }
            }
            for (name, tenant) in [
                ("ATK-46 trace-by-id", "globex-lit"),
                ("ATK-46 trace-by-id of the prefix tenant", "acme-books-eu"),
            ] {
                for accept in ["application/json", PROTOBUF, "application/vnd.grafana.llm"] {
                    let request = Request::get(&format!("{version}/{}", own_id(tenant, 3)), &[])
                        .header("Accept", accept);
                    let name = format!("{name} {version} {mount} {accept}");
                    let twins = Request::get(&format!("{version}/{}", own_id(tenant, 3)), &[]);
                    let twins = if accept == PROTOBUF { twins.header("Accept", accept) } else { twins };
                    let mut attack = Attack::twin(name, mount, endpoint, request).like(twins);
                    attack.kind = "tempo";
                    all.push(attack);
                }
            }
        }
        let untenanted = Request::get(&format!("{version}/{}", infra_id("globex-lit")), &[]);
        let name = format!("ATK-4F untenanted root of another's trace {version}");
        let control = Request::get(&format!("{version}/{MIXED_ID}"), &[]);
        all.push(Attack::twin(name, "tempo", endpoint, untenanted).control(control.clone()));
        for q in ["{ } ", "{ true }"] {
            let params = super::pairs(&[("q", q), ("keep_hierarchy", "true"), ("match_depth", "9")]);
            let request = Request::get(&format!("{version}/{MIXED_ID}"), &params);
            let plain = Request::get(&format!("{version}/{MIXED_ID}"), &[]);
            let name = format!("ATK-4D hierarchy {version} {q}");
            all.push(Attack::twin(name, "tempo", endpoint, request).like(plain));
        }
        for (what, id) in [
            ("a name", "x".to_owned()),
            ("too long", "0".repeat(33)),
            ("a query in it", "1%3Fq=%7B%7D".into()),
        ] {
            let request = Request::get(&format!("{version}/{id}"), &[]);
            let name = format!("ATK-46 an id that is {what} {version}");
            all.push(Attack::refused(name, "tempo", request, &[400, 404]).control(control.clone()));
        }
    }
    all
}

/// ATK-47, -4D: tag values.
fn tags(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    let path = "/api/v2/search/tag/span.note/values";
    let window = |q: &str| window(clock, PURE, &[("q", q)]);
    for mount in ["tempo", "tempo-mixed"] {
        for q in [
            "",
            "{ } ",
            "{ .a = }",
            "{ resource.service.name = ",
            "{ .nobody = \"x\" }",
            "{ name = \"charge card\" || true }",
            "{ } >> { }",
            "({ }) || ({ })",
            "{ resource.tenant = \"globex-lit\" }",
            "{ resource.tenant = \"acme-books\" } || { }",
            "{ span.note =~ \"}\" || `{`",
            "count() > 0",
            "}{",
        ] {
            // A hint that cannot be used is dropped: the answer holds all the
            // caller's values, or those the rest of the hint leaves.
            let request = Request::get(path, &window(q));
            let name = format!("ATK-47 tag-endpoints-ignore-q {mount} `{q}`");
            let mut attack = Attack::refused(name, mount, request, &[200, 400]);
            attack.kind = "tempo";
            let control = Request::get(path, &window(""));
            all.push(attack.control(control));
        }
        let roots = ["rootName", "trace:rootName", "rootServiceName"];
        for tag in [
            ".note",
            "note",
            "resource.host.name",
            ".host.name",
            "rootName",
            "trace:rootName",
            "rootServiceName",
            "name",
            "span:id",
            "trace:id",
        ] {
            // Where traces never mix, a root is its trace's tenant's.
            if mount == "tempo" && roots.contains(&tag) {
                continue;
            }
            let path = format!("/api/v2/search/tag/{tag}/values");
            let request = Request::get(&path, &clock.range(&[]));
            let name = format!("ATK-47 tag {tag} {mount}");
            let mut attack = Attack::refused(name, mount, request, &[200, 400, 404]);
            attack.kind = "tempo";
            let control = Request::get("/api/v2/search/tag/span.note/values", &window(""));
            all.push(attack.control(control));
        }
        for tag in [
            "span.note%22%20%7C%7C%20true",
            "a%2Fvalues%2F..%2Fspan.note",
            "span.note/values/../../span.note",
            "{span.note}",
        ] {
            let target = format!("/api/v2/search/tag/{tag}/values");
            let request = Request { method: "GET".into(), target, ..Request::default() };
            let name = format!("ATK-47 a tag that is no attribute {tag} {mount}");
            let mut attack = Attack::refused(name, mount, request, &[400, 404]);
            attack.kind = "tempo";
            let control = Request::get("/api/v2/search/tag/span.note/values", &window(""));
            all.push(attack.control(control));
        }
    }
    all
}

/// ATK-4I: queries longer than Tempo's scanner reads at once, made at run time
/// from a fixed seed. Each is answered as TWIN answers it, or refused.
fn long(clock: &Clock) -> Vec<Attack> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut all = Vec::new();
    for n in 0..24 {
        let mut q = String::from("{ span.note != nil");
        let size = 1000 + usize::try_from(next(2500)).unwrap_or_default();
        while q.len() < size {
            let piece = match next(5) {
                0 => format!(" && duration > {}ms", next(9) + 1),
                1 => format!(" && .x{} != \"{}\"", next(1000), "y".repeat(next(60) as usize)),
                2 => format!(" && name != `{}`", "z".repeat(next(40) as usize)),
                3 => format!(" && span.amount < {}.5e3", next(90) + 1),
                _ => format!(" && (status = error || duration < {}h)", next(20) + 1),
            };
            q.push_str(&piece);
        }
        q.push_str(" } | select(span.note)");
        // An attribute that is absent makes `!=` false: all find nothing but
        // must not find anything foreign.
        let request = search(clock, PURE, &q);
        let name = format!("ATK-4I scanner-chunk {n} ({} bytes)", q.len());
        all.push(Attack::refused(name, "tempo", request, &[200, 400]).uncontrolled());
    }
    all
}

/// ATK-47: names of tags. Each tenant has names that only it has.
fn names(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for path in ["/api/search/tags", "/api/v2/search/tags"] {
        for mount in ["tempo", "tempo-mixed"] {
            for q in [
                "",
                "{ .a = 1 }",
                "{ resource.tenant = \"globex-lit\" }",
                "{ resource.tenant != \"acme-books\" }",
                "{ resource.tenant =~ \".*\" }",
                "{ name = \"x\" || true }",
                "{ } >> { }",
                "{ span.note = \"x y=1 z\" }",
                "{ span.note = \"a|b\" }",
                "}{",
                "{ resource.service.name = ",
            ] {
                let request = Request::get(path, &clock.range(&[("q", q)]));
                let name = format!("ATK-47 names {path} {mount} `{q}`");
                let mut attack = Attack::refused(name, mount, request, &[200]);
                attack.kind = "tempo";
                all.push(attack.control(Request::get(path, &clock.range(&[]))));
            }
            // Without a range, and with what an older or newer Tempo reads.
            for params in [&[][..], &[("scope", "span")], &[("mode", "blocks")], &[("blockStart", "0")]] {
                let request = Request::get(path, &super::pairs(params));
                let name = format!("ATK-47 names {path} {mount} {params:?}");
                let mut attack = Attack::refused(name, mount, request, &[200]);
                attack.kind = "tempo";
                all.push(attack.control(Request::get(path, &clock.range(&[]))));
            }
        }
    }
    for tag in
        ["note", ".note", "host.name", "root.name", "root.service.name", "rootName", "trace:id", "span:id"]
    {
        let path = format!("/api/search/tag/{tag}/values");
        let name = format!("ATK-47 v1 tag {tag}");
        let mut attack =
            Attack::refused(name, "tempo-mixed", Request::get(&path, &clock.range(&[])), &[200, 400]);
        attack.kind = "tempo";
        all.push(attack.control(Request::get("/api/search/tag/note/values", &clock.range(&[]))));
    }
    all
}

/// ATK-0I: filters that Tempo does not heed, though they say the caller's own scope. The control is the same request.
fn unheeded(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for path in [
        "/api/search/tags",
        "/api/search/tag/note/values",
        "/api/search/tag/host.name/values",
        "/api/v2/search/tag/span.note/values",
    ] {
        for mount in ["tempo", "tempo-mixed"] {
            // The newer endpoints heed a filter only where it is simple.
            let own = match path.starts_with("/api/v2") {
                true => r#"{ resource.tenant = "acme-books" } >> { }"#,
                false => r#"{ resource.tenant = "acme-books" }"#,
            };
            let request = Request::get(path, &clock.range(&[("q", own)]));
            let name = format!("ATK-0I upstream-ignores-filter {path} {mount}");
            let mut attack = Attack::refused(name, mount, request, &[200]);
            attack.kind = "tempo";
            all.push(attack);
        }
    }
    all
}

/// ATK-48, -49: two spellings of a query, and the search of before TraceQL.
fn older(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    let notes = "{ } | count_over_time() by (span.note)";
    for path in [INSTANT, METRICS] {
        let ask = |params: &[(&str, &str)]| Request::get(path, &window(clock, PURE, params));
        for (what, params) in [
            ("different", &[("q", "{ } | rate()"), ("query", notes)][..]),
            ("swapped", &[("query", "{ } | rate()"), ("q", notes)]),
            ("alike", &[("q", notes), ("query", notes)]),
            ("twice", &[("q", notes), ("q", notes)]),
        ] {
            let name = format!("ATK-48 two query params {path} {what}");
            let attack = Attack::refused(name, "tempo", ask(params), &[400]);
            all.push(attack.control(ask(&[("q", notes)])));
        }
        let endpoint = if path == METRICS { "tempo.metrics" } else { "tempo.instant" };
        let name = format!("ATK-42 canaries {path}");
        let attack = Attack::twin(name, "tempo", endpoint, ask(&[("q", notes)]));
        all.push(attack);
    }
    let search = |params: &[(&str, &str)]| Request::get(SEARCH, &window(clock, PURE, params));
    let unscoped = search(&[("q", "{ } | select(span.note)"), ("limit", "100"), ("spss", "50")]);
    for mount in ["tempo", "tempo-mixed"] {
        for tags in [
            "tenant=globex-lit",
            "tenant=",
            "note=canary-globex-lit",
            "host.name=node-globex-lit",
            "a=\"} || {\"",
        ] {
            let request = search(&[("tags", tags), ("limit", "100")]);
            let mut attack =
                Attack::refused(format!("ATK-49 legacy search {mount} {tags}"), mount, request, &[200]);
            attack.kind = "tempo";
            all.push(attack.control(unscoped.clone()));
        }
    }
    // Without a range, where Tempo takes what it does not know for tags.
    for params in [&[("tenant", "globex-lit")][..], &[("service.name", "catalog"), ("note", "x")]] {
        let request = Request::get(SEARCH, &super::pairs(params));
        let mut attack =
            Attack::refused(format!("ATK-49 free params {params:?}"), "tempo-mixed", request, &[200]);
        attack.kind = "tempo";
        all.push(attack.control(unscoped.clone()));
    }
    for params in [&[("tags", "root.name=GET")][..], &[("minDuration", "1ms")], &[("maxDuration", "1h")]] {
        let mut all_params = super::pairs(params);
        all_params.extend(window(clock, MIXED, &[]));
        let request = Request::get(SEARCH, &all_params);
        let mut attack = Attack::refused(
            format!("ATK-4G facts of whole traces {params:?}"),
            "tempo-mixed",
            request,
            &[400],
        );
        attack.kind = "tempo";
        all.push(control(clock, MIXED, attack));
    }
    all
}
