//! Series, as OpenMetrics text for `promtool tsdb create-blocks-from`.

use std::fmt::Write;

use super::{Holds, SERVICES, SPAN, TENANTS, canary, hostile};

/// Seconds between two samples.
const STEP: i64 = 15;

/// The spans of each service, as the traces have them: region, kind, name.
const SPANS: [&[(&str, &str, &str)]; 3] = [
    &[("us-east", "SPAN_KIND_SERVER", "POST /checkout")],
    &[("us-east", "SPAN_KIND_INTERNAL", "reserve stock"), ("eu-west", "SPAN_KIND_SERVER", "list books")],
    &[("us-east", "SPAN_KIND_CLIENT", "charge card")],
];

/// The text of all series that `holds` names, sampled from `start` on.
pub fn text(holds: Holds, start: i64) -> String {
    let mut out = String::new();
    for (at, tenant) in TENANTS.iter().enumerate() {
        if holds.tenant(tenant) {
            owned(&mut out, start, tenant, at as i64 + 1);
        }
    }
    if holds.strays() {
        strays(&mut out, start);
    }
    let region = |line: &str| line.split_once("region=\"")?.1.split('"').next().map(str::to_owned);
    let mut out: String = out
        .lines()
        .filter(|line| holds.region(region(line).as_deref()))
        .map(|line| format!("{line}\n"))
        .collect();
    out.push_str("# EOF\n");
    out
}

/// One series: `value` is asked for each sample's index.
fn series(out: &mut String, start: i64, name: &str, count: i64, value: impl Fn(i64) -> f64) {
    for n in 0..count {
        let _ = writeln!(out, "{name} {} {}", value(n), start + n * STEP);
    }
}

fn owned(out: &mut String, start: i64, tenant: &str, weight: i64) {
    let all = SPAN / STEP + 1;
    let w = weight as f64;
    for (i, service) in SERVICES.iter().enumerate() {
        for region in ["us-east", "eu-west"] {
            for (j, code) in ["200", "404", "500"].iter().enumerate() {
                let rate = w * (i as f64 + 1.0) / (j as f64 * 4.0 + 1.0);
                let name = format!(
                    r#"http_requests_total{{tenant="{tenant}",region="{region}",service="{service}",code="{code}"}}"#
                );
                // One reset half way, so that rate and increase have work to do.
                series(out, start, &name, all, |n| rate * (n % 70) as f64 + (n % 3) as f64);
            }
        }
        for (j, le) in ["0.1", "0.5", "1.0", "+Inf"].iter().enumerate() {
            let name = format!(
                r#"http_request_duration_seconds_bucket{{tenant="{tenant}",region="us-east",service="{service}",le="{le}"}}"#
            );
            series(out, start, &name, all, |n| (n * weight * (j as i64 + 1)) as f64);
        }
        for (suffix, factor) in [("sum", 0.3), ("count", 4.0)] {
            let name = format!(
                r#"http_request_duration_seconds_{suffix}{{tenant="{tenant}",region="us-east",service="{service}"}}"#
            );
            series(out, start, &name, all, |n| n as f64 * w * factor);
        }
        for (region, kind, span) in SPANS[i] {
            // As the metrics generator of Tempo writes them, with its dimensions (`deploy/compose/tempo.yaml`).
            let labels = format!(
                r#"service="{service}",span_name="{span}",span_kind="{kind}",status_code="STATUS_CODE_UNSET",tenant="{tenant}",region="{region}""#
            );
            series(out, start, &format!("traces_spanmetrics_calls_total{{{labels}}}"), all, |n| n as f64 * w);
        }
        let (region, client) =
            [("us-east", "user"), ("eu-west", "recommender"), ("us-east", "storefront")][i];
        for (metric, factor) in [("total", 1.0), ("failed_total", 0.1), ("server_seconds_sum", 0.4)] {
            let name = format!(
                r#"traces_service_graph_request_{metric}{{client="{client}",server="{service}",tenant="{tenant}",region="{region}"}}"#
            );
            series(out, start, &name, all, |n| n as f64 * w * factor);
        }
        let name = format!(r#"cart_items{{tenant="{tenant}",region="us-east",service="{service}"}}"#);
        series(out, start, &name, all, |n| ((n * (i as i64 + 3)) % 17 - 5) as f64 * w);
        let name = format!(r#"up{{tenant="{tenant}",job="{service}",instance="host-{i}:9100"}}"#);
        series(out, start, &name, all, |n| f64::from(n % 20 != 7));
        let name = format!(
            r#"target_info{{tenant="{tenant}",job="{service}",instance="host-{i}:9100",note="{}"}}"#,
            canary(tenant)
        );
        series(out, start, &name, all, |_| 1.0);
    }
    let name = format!(r#"canary{{tenant="{tenant}",region="us-east",note="{}"}}"#, canary(tenant));
    series(out, start, &name, all, |_| w);
    let named = tenant.replace(['-', '.'], "_");
    let name = format!(r#"canary_{named}_total{{tenant="{tenant}",region="us-east",only_{named}="x"}}"#);
    series(out, start, &name, all, |n| n as f64 * w);
    let name = format!(
        r#"ALERTS{{tenant="{tenant}",alertname="HighErrorRate",alertstate="firing",severity="page"}}"#
    );
    series(out, start, &name, all, |_| 1.0);
    // Ends after ten minutes: staleness, absence and `offset` need a past.
    let name = format!(r#"promotion_active{{tenant="{tenant}",region="us-east"}}"#);
    series(out, start, &name, 40, |_| w);
    let name = format!(r#"{{"order.latency","shop.id"="s{weight}",tenant="{tenant}"}}"#);
    series(out, start, &name, all, |n| (n % 9) as f64 * w);
    if hostile::wanted() {
        typed(out, start, tenant, weight);
    }
    // The same label set in every tenant but for the one other label.
    let name = format!(r#"forged{{tenant="{tenant}",exported_tenant="acme-books"}}"#);
    series(out, start, &name, all, |_| w);
}

/// Series of names that all have, whose values and labels are of a tenant's own kind: what is no number, no bucket
/// and no ASCII.
fn typed(out: &mut String, start: i64, tenant: &str, weight: i64) {
    let all = SPAN / STEP + 1;
    let huge = "h".repeat(900);
    let (label, le, odd): (&str, &[&str], f64) = match tenant {
        "acme-books" => ("1", &["0.5", "1.0", "+Inf"], 2.0),
        "globex-lit" => ("2.0", &["1.0", "+Inf"], 0.0),
        "acme-books-eu" => ("", &["abc", "+Inf"], f64::NAN),
        "initech-press" => ("größe", &["0.5", "0.50", "1e400"], f64::INFINITY),
        "press.one" => (&huge, &["", "-Inf", "NaN"], f64::NEG_INFINITY),
        _ => (".*", &["+Inf"], 1e308),
    };
    for (i, service) in SERVICES.iter().enumerate() {
        let name = format!(
            r#"{{"typed","größe"="{label}",tenant="{tenant}",region="us-east",service="{service}",typed="{label}"}}"#
        );
        series(out, start, &name, all, |n| if n % 5 == 4 { odd } else { ((n + i as i64) % 4) as f64 });
    }
    for (i, le) in le.iter().enumerate() {
        let name =
            format!(r#"typed_bucket{{tenant="{tenant}",region="us-east",service="catalog",le="{le}"}}"#);
        // Of others a bucket may hold less than those below it.
        series(out, start, &name, all, |n| (n * (i as i64 + 1)) as f64 * if weight > 2 { -odd } else { 1.0 });
    }
}

/// Series that no tenant owns; invisible to all of them.
fn strays(out: &mut String, start: i64) {
    let all = SPAN / STEP + 1;
    let note = canary("untenanted");
    for (name, value) in [
        (r#"http_requests_total{region="us-east",service="storefront",code="200"}"#.to_owned(), 1e6),
        (format!(r#"canary{{region="us-east",note="{note}"}}"#), 1e6),
        (
            r#"traces_spanmetrics_calls_total{service="catalog",span_name="nobody's",region="us-east"}"#
                .into(),
            1e6,
        ),
        (format!(r#"canary{{tenant="",region="eu-west",note="{note}"}}"#), 1e6),
        (format!(r#"target_info{{job="storefront",instance="host-0:9100",note="{note}"}}"#), 1.0),
        ("canary_untenanted_total".to_owned(), 1e6),
    ] {
        series(out, start, &name, all, |n| value + n as f64);
    }
}
