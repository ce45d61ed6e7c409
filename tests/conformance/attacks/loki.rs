//! ATK-0A to -0J, -20 to -27 and -57 over Loki's endpoints beside queries: listings, volumes, what is
//! detected, patterns, shards and rules.

use super::{Attack, Clock, pairs};
use crate::http::{Request, with_query};

const L: &str = "loki";

/// What an endpoint takes as its query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Selector,
    LogQuery,
}

/// A name of the query table, a path, what it takes, and what else it needs.
type Listing = (&'static str, &'static str, Takes, &'static [(&'static str, &'static str)]);

const LISTINGS: [Listing; 10] = [
    ("loki.label", "/loki/api/v1/label", Takes::Selector, &[]),
    ("loki.labels", "/loki/api/v1/labels", Takes::Selector, &[]),
    ("loki.label_values", "/loki/api/v1/label/note/values", Takes::Selector, &[]),
    ("loki.detected_labels", "/loki/api/v1/detected_labels", Takes::Selector, &[]),
    ("loki.volume", "/loki/api/v1/index/volume", Takes::Selector, &[]),
    ("loki.volume_range", "/loki/api/v1/index/volume_range", Takes::Selector, &[("step", "60")]),
    ("loki.shards", "/loki/api/v1/index/shards", Takes::LogQuery, &[("targetBytesPerShard", "1KB")]),
    ("loki.detected_fields", "/loki/api/v1/detected_fields", Takes::LogQuery, &[("line_limit", "1000")]),
    ("loki.detected_field", "/loki/api/v1/detected_field/note/values", Takes::LogQuery, &[]),
    ("loki.patterns", "/loki/api/v1/patterns", Takes::Selector, &[]),
];

pub fn all(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for listing in LISTINGS {
        all.extend(queries(clock, listing));
        all.extend(places(clock, listing));
        all.extend(headers(clock, listing));
    }
    all.extend(without_selector(clock));
    all.extend(unscopable(clock));
    all.extend(pasted(clock));
    all.extend(rules());
    all.into_iter().map(|attack| control(clock, attack)).collect()
}

/// The attack's control asks for the canaries; one that is compared with TWIN has none of its own.
fn control(clock: &Clock, attack: Attack) -> Attack {
    if attack.control.is_none() {
        return attack;
    }
    let params = clock.steps(&[("query", r#"{service="canary"}"#)]);
    attack.control(Request::get("/loki/api/v1/query_range", &params))
}

fn params(clock: &Clock, (.., more): Listing, query: &str) -> Vec<(String, String)> {
    [clock.range(&[("query", query)]), pairs(more)].concat()
}

/// ATK-20 to -25: queries that mean more than they look like.
fn queries(clock: &Clock, listing: Listing) -> Vec<Attack> {
    let selectors = [
        ("ATK-20 matcher-type-ignored", r#"{tenant!="acme-books", service=~".+"}"#),
        ("ATK-20 negative pattern", r#"{tenant!~"acme-books", service=~".+"}"#),
        ("ATK-20 the prefix tenant", r#"{tenant=~"acme-books.+"}"#),
        ("ATK-23 last-wins-map", r#"{tenant="acme-books", tenant!="acme-books", service=~".+"}"#),
        ("ATK-23 turned", r#"{tenant!="acme-books", tenant="globex-lit", service=~".+"}"#),
        ("ATK-25 comments", "{ # tenant=\"acme-books\"}\n service=\"recommender\" # }\n}"),
        ("ATK-25 backticks", "{service=`recommender`, tenant=~`.+`}"),
        ("ATK-25 a label that names a tenant", r#"{exported_tenant="acme-books"}"#),
    ];
    let pipelines = [
        ("ATK-21 printer-injection", r#"{service="storefront"} | logfmt | note!="\"} or {service=~\".+\"" "#),
        ("ATK-21 in a raw string", "{service=\"catalog\"} != `\"} |= \"`"),
        ("ATK-22 a brace in a comment", "{service!=\"})\", service=~\".+\"} # \"}[\", b=~\".+\"}[5m])\n"),
        ("ATK-24 pipeline-relabel label_format", r#"{service="catalog"} | label_format tenant="acme-books""#),
        ("ATK-24 pipeline-relabel drop", r#"{service="catalog"} | drop tenant"#),
        ("ATK-24 pipeline-relabel logfmt", r#"{service="storefront"} | logfmt tenant="note""#),
        ("ATK-24 label filter as a fence", r#"{service=~".+"} | tenant="acme-books" or tenant="globex-lit""#),
        ("ATK-24 metadata names a tenant", r#"{service=~".+"} | owner_tenant="acme-books""#),
    ];
    let (endpoint, path, takes, _) = listing;
    let pipelines = pipelines.into_iter().filter(|_| takes == Takes::LogQuery);
    let mut all = Vec::new();
    for (name, query) in selectors.into_iter().chain(pipelines) {
        let params = params(clock, listing, query);
        for request in [Request::get(path, &params), Request::form(path, &params)] {
            let name = format!("{name} {} ({path})", request.method);
            all.push(Attack::twin(name, L, endpoint, request));
        }
    }
    all
}

/// ATK-0B, -07, -08: the query in another place than is read, or in two.
fn places(clock: &Clock, listing: Listing) -> Vec<Attack> {
    let (endpoint, path, ..) = listing;
    let (own, evil) = (r#"{service="recommender", tenant="acme-books"}"#, r#"{service=~".+"}"#);
    let rest = params(clock, listing, "")[1..].to_vec();
    let post = |url: &[(&str, &str)], body: &[(&str, &str)]| {
        let mut request = Request::form(path, &[pairs(body), rest.clone()].concat());
        request.target = with_query(path, &pairs(url));
        request
    };
    let twice = [("query", own), ("query", evil)];
    let mut all: Vec<Attack> = [
        ("ATK-07 empty-first-duplicate", post(&[], &[("query", ""), ("query", evil)])),
        ("ATK-07 twice", post(&[], &twice)),
        ("ATK-08 body-vs-url", post(&[("query", own)], &[("query", evil)])),
        ("ATK-0B url-vs-body", post(&[("query", evil)], &[("query", own)])),
    ]
    .into_iter()
    .map(|(name, request)| Attack::refused(format!("{name} ({path})"), L, request, &[400]))
    .collect();
    let name = format!("ATK-0B post-leaves-url ({path})");
    all.push(Attack::twin(name, L, endpoint, post(&[("query", evil)], &[])));
    // Names that are no parameter's: what is asked stays.
    let own = [("query", own), ("match[]", evil), ("Query", evil), ("query[]", evil), ("regexp", ".*")];
    let twins = post(&[], &own[..1]);
    all.push(Attack::twin(format!("ATK-0A alias-param ({path})"), L, endpoint, post(&[], &own)).like(twins));
    all
}

/// ATK-0F: headers that Loki heeds.
fn headers(clock: &Clock, listing: Listing) -> Vec<Attack> {
    let (endpoint, path, ..) = listing;
    let plain = Request::get(path, &params(clock, listing, r#"{service=~".+"}"#));
    [
        ("X-Scope-OrgID", "globex-lit"),
        ("X-Query-Tags", "Source=grafana-lokiexplore-app"),
        ("X-Loki-Query-Limits-Context", r#"{"expr":"{service=~\".+\"}","from":"0","to":"9"}"#),
        ("X-Loki-Actor-Path", "globex-lit"),
        ("X-Loki-Disable-Pipeline-Wrappers", "true"),
    ]
    .into_iter()
    .map(|(header, value)| {
        let request = plain.clone().header(header, value);
        let name = format!("ATK-0F tenant-header-spoof {header} ({path})");
        Attack::twin(name, L, endpoint, request).like(plain.clone())
    })
    .collect()
}

/// ATK-0H: no selector is the scope alone.
fn without_selector(clock: &Clock) -> Vec<Attack> {
    let mut all = Vec::new();
    for (endpoint, path, query) in [
        ("loki.label", "/loki/api/v1/label", None),
        ("loki.label", "/loki/api/v1/label", Some("")),
        ("loki.label_values", "/loki/api/v1/label/note/values", Some("")),
        ("loki.detected_labels", "/loki/api/v1/detected_labels", None),
        ("loki.detected_labels", "/loki/api/v1/detected_labels", Some("")),
        ("loki.volume", "/loki/api/v1/index/volume", Some("{}")),
        ("loki.volume_range", "/loki/api/v1/index/volume_range", Some("{}")),
    ] {
        let mut params = clock.range(&[]);
        params.extend(query.map(|query| ("query".to_owned(), query.to_owned())));
        if path.contains("volume") {
            params.extend(pairs(&[("targetLabels", "service"), ("step", "60")]));
        }
        for request in [Request::get(path, &params), Request::form(path, &params)] {
            let name = format!("ATK-0H no-selector-no-filter {query:?} {} ({path})", request.method);
            all.push(Attack::twin(name, L, endpoint, request));
        }
    }
    all
}

/// ATK-0J, -25: what cannot be scoped is not sent.
fn unscopable(clock: &Clock) -> Vec<Attack> {
    let broken = LISTINGS.into_iter().map(|listing| {
        let (_, path, ..) = listing;
        (
            format!("ATK-0J director-error-forwards ({path})"),
            path,
            params(clock, listing, "{service=~\".+\"} or"),
        )
    });
    let size = [("targetBytesPerShard", "1KB")];
    let query = |query| [&[("query", query)][..], &size].concat();
    let more = [
        ("ATK-25 shards of no selector", "index/shards", query("vector(1)")),
        ("ATK-25 shards of two", "index/shards", query(r#"rate({a="b"}[1m]) + rate({c="d"}[1m])"#)),
        ("ATK-25 a shard's spelling", "series", vec![("shards", "0_of_3")]),
        ("ATK-0H volume by series", "index/volume", query("{}")),
        ("ATK-25 volume's target", "index/volume", [&query("{}")[..], &[("targetLabels", "a,,b")]].concat()),
        ("ATK-27 a field's name", "detected_field/no%22te/values", query(r#"{service=~".+"}"#)),
        ("ATK-27 a field's name, a comment", "detected_field/no%23te/values", query(r#"{service=~".+"}"#)),
    ];
    let more = more.into_iter().map(|(name, path, params)| (name.to_owned(), path, clock.range(&params)));
    let more = more.map(|(name, path, params)| (name, format!("/loki/api/v1/{path}"), params));
    broken
        .map(|(name, path, params)| (name, path.to_owned(), params))
        .chain(more)
        .map(|(name, path, params)| {
            // A field's name is compared, and an empty label is none: both are sent as they are.
            let sent = name.starts_with("ATK-27") || name.ends_with("volume's target");
            let status: &[u16] = if sent { &[200] } else { &[400] };
            Attack::refused(name, L, Request::get(&path, &params), status)
        })
        .collect()
}

/// ATK-27: values made up anew in each run; that the byte is refused is all that is asserted.
fn pasted(clock: &Clock) -> Vec<Attack> {
    let mut seed = clock.start.unsigned_abs() | 1;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let escapes = [r#"\""#, r"\\", r"\n", r"\t", r"\x00", r"\x7f"];
    (0..12)
        .map(|round| {
            let mut word = || (0..random(6)).map(|_| char::from(b'a' + random(26) as u8)).collect::<String>();
            let (before, after) = (word(), word());
            let byte = escapes[random(escapes.len() as u64) as usize];
            let query = format!(r#"{{service_name="{before}{byte}{after}"}}"#);
            let params = clock.range(&[("query", &query)]);
            let request = match round % 2 {
                0 => Request::get("/loki/api/v1/patterns", &params),
                _ => Request::form("/loki/api/v1/patterns", &params),
            };
            Attack::refused(format!("ATK-27 quote-in-name {round}"), L, request, &[400]).uncontrolled()
        })
        .collect()
}

/// ATK-57: rules and alerts of the ruler.
fn rules() -> Vec<Attack> {
    let (rules, alerts) = ("/prometheus/api/v1/rules", "/prometheus/api/v1/alerts");
    let theirs = pairs(&[("rule_group", "globex-lit own")]);
    vec![
        Attack::twin("ATK-57 rules-of-all-tenants (loki)", L, "loki.rules", Request::get(rules, &[])),
        Attack::twin("ATK-57 a victim's group (loki)", L, "loki.rules", Request::get(rules, &theirs)),
        Attack::twin("ATK-57 alerts-of-all-tenants (loki)", L, "loki.alerts", Request::get(alerts, &[])),
        Attack::refused("ATK-57 by POST (loki)", L, Request::form(rules, &[]), &[405]),
        Attack::refused(
            "ATK-02 trailing slash (loki rules)",
            L,
            Request::get("/prometheus/api/v1/rules/", &[]),
            &[404],
        ),
    ]
}
