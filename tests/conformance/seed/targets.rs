//! Targets that Prometheus scrapes, and rules that it evaluates on what they show: metadata, exemplars, alerts, and
//! series that are not older than federation looks back.

use super::tempo::own_id;
use super::{Holds, REGIONS, SPAN, TENANTS, canary, hostile};

/// The alerts that `holds` makes: for each owner one of its own rule, one of the shared, and a pending one.
pub const ALERTS_OF_ONE: usize = 3;

/// Types of metrics, and what the names of their series end with.
const KINDS: [(&str, &str); 4] = [("gauge", ""), ("counter", "_total"), ("info", "_info"), ("unknown", "")];

/// Whose pages there are, and of which region.
fn pages(holds: Holds) -> Vec<(&'static str, &'static str)> {
    let tenants = TENANTS.into_iter().filter(|t| holds.tenant(t));
    let owned = tenants.flat_map(|tenant| REGIONS.map(|region| (tenant, region)));
    let strays = holds.strays().then_some(("untenanted", "us-east"));
    owned.chain(strays).filter(|(_, region)| holds.region(Some(region))).collect()
}

/// The page of `owner` in one region. Exemplars are of the seed's time, so that they are found with everything
/// else, and some name a seeded trace.
pub fn page(owner: &str, region: &str, start: i64) -> String {
    let note = canary(owner);
    let named = owner.replace(['-', '.'], "_");
    let weight = owner.len();
    let (first, second) = (start + SPAN / 3, start + SPAN / 2);
    // Of one name, each says what others do not.
    let (kind, suffix) = KINDS[TENANTS.iter().position(|t| *t == owner).unwrap_or(3) % 4];
    if region != "us-east" {
        return format!(
            r#"# HELP live_orders Orders.
# TYPE live_orders counter
live_orders_total{{service="catalog"}} 7 # {{trace_id="{note}-b"}} 2.0 {second}
# HELP live_returns Returns.
# TYPE live_returns gauge
live_returns{{service="catalog"}} {weight}
# EOF
"#
        );
    }
    let [quick, slow] = match TENANTS.contains(&owner) {
        true => [own_id(owner, 1), own_id(owner, 2)],
        false => [format!("{note}-d"), format!("{note}-e")],
    };
    format!(
        r#"# HELP live_orders Orders.
# TYPE live_orders counter
live_orders_total{{service="storefront"}} {weight} # {{trace_id="{note}"}} 1.0 {first}
# HELP live_latency_seconds Latency.
# TYPE live_latency_seconds histogram
# UNIT live_latency_seconds seconds
live_latency_seconds_bucket{{le="0.5"}} {weight} # {{trace_id="{note}-c"}} 0.25 {first}
live_latency_seconds_bucket{{le="+Inf"}} 99
live_latency_seconds_count 99
live_latency_seconds_sum 12.5
# HELP http_request_duration_seconds Latency of requests.
# TYPE http_request_duration_seconds histogram
# UNIT http_request_duration_seconds seconds
http_request_duration_seconds_bucket{{service="storefront",le="0.5"}} 1 # {{trace_id="{quick}"}} 0.4 {first}
http_request_duration_seconds_bucket{{service="storefront",le="+Inf"}} 2 # {{trace_id="{slow}"}} 1.7 {second}
http_request_duration_seconds_count{{service="storefront"}} 2
http_request_duration_seconds_sum{{service="storefront"}} 2.1
# HELP live_alarm Alarms of {note}.
# TYPE live_alarm gauge
live_alarm{{service="catalog",note="{note}"}} {weight}
# HELP live_typed What it counts.
# TYPE live_typed {kind}
live_typed{suffix} 1
# HELP only_{named} What {note} has alone.
# TYPE only_{named} gauge
only_{named} 1
# HELP only_{named}_about About {note}.
# TYPE only_{named}_about info
only_{named}_about_info{{version="1"}} 1
# EOF
"#
    )
}

/// The configuration that scrapes all pages from `exporter`, and evaluates the rules.
pub fn configuration(holds: Holds, exporter: &str) -> String {
    let mut targets = String::new();
    for (owner, region) in pages(holds) {
        let tenant = if owner == "untenanted" { String::new() } else { format!("tenant: {owner}, ") };
        targets.push_str(&format!(
            "      - {{ targets: ['{exporter}'], labels: {{ {tenant}region: {region}, \
             __metrics_path__: /{owner}/{region}, instance: {owner}-{region} }} }}\n"
        ));
    }
    let native = match hostile::wanted() {
        true => "    convert_classic_histograms_to_nhcb: true\n    always_scrape_classic_histograms: true\n",
        false => "",
    };
    format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\nscrape_configs:\n  \
         - job_name: live\n{native}    static_configs:\n{targets}"
    )
}

/// The rules of all that `holds` names: of each tenant its own, with its label and that of a region, or of none; one that all share; and of FULL
/// some that are nobody's.
pub fn rules(holds: Holds) -> String {
    let mut text = String::from(
        r#"groups:
  - name: a-shared
    rules:
      - alert: SharedAlarm
        expr: live_alarm > 0
        labels: { severity: ticket }
        annotations: { summary: "alarm of {{ $labels.tenant }}", note: "{{ $labels.note }}" }
"#,
    );
    for owner in TENANTS.into_iter().filter(|t| holds.tenant(t)) {
        let note = canary(owner);
        if holds.region(Some("us-east")) {
            text.push_str(&format!(
                r#"  - name: own-{owner}
    rules:
      - alert: OwnAlarm
        expr: live_alarm{{tenant="{owner}"}} > 0
        labels: {{ tenant: {owner}, region: us-east, severity: page }}
        annotations: {{ summary: "{note}" }}
      - alert: PendingAlarm
        expr: live_alarm{{tenant="{owner}"}} > 0
        for: 10h
        labels: {{ tenant: {owner}, region: us-east, severity: page }}
        annotations: {{ summary: "{note}" }}
      - alert: QuietAlarm
        expr: live_alarm{{tenant="{owner}"}} < 0
        labels: {{ tenant: {owner}, region: us-east }}
        annotations: {{ summary: "{note}" }}
      - record: tenant:live_orders:sum
        expr: sum(live_orders_total{{tenant="{owner}",region="us-east"}})
        labels: {{ tenant: {owner}, region: us-east }}
"#
            ));
        }
        if holds.region(Some("eu-west")) {
            text.push_str(&format!(
                r#"  - name: west-{owner}
    rules:
      - alert: WestAlarm
        expr: live_returns{{tenant="{owner}"}} < 0
        labels: {{ tenant: {owner}, region: eu-west }}
        annotations: {{ summary: "{note}" }}
      - record: tenant:live_returns:sum
        expr: sum(live_returns{{tenant="{owner}"}})
        labels: {{ tenant: {owner}, region: eu-west }}
"#
            ));
        }
        // No region: nobody's who is bound to one.
        if holds.region(None) {
            text.push_str(&format!(
                r#"  - name: wide-{owner}
    rules:
      - record: tenant:live_everything:sum
        expr: sum(live_orders_total{{tenant="{owner}"}})
        labels: {{ tenant: {owner} }}
"#
            ));
        }
    }
    if holds.strays() {
        let note = canary("untenanted");
        text.push_str(&format!(
            r#"  - name: z-operator
    rules:
      - alert: OperatorAlarm
        expr: sum(live_alarm{{note!="{note}"}}) > 0
        annotations: {{ summary: "{note}" }}
      - record: operator:live_orders:sum
        expr: sum(live_orders_total{{note!="{note}"}})
        labels: {{ note: {note} }}
"#
        ));
    }
    text
}

/// How many alerts there are once all rules were evaluated.
pub fn alerts(holds: Holds) -> usize {
    let owned = TENANTS.into_iter().filter(|t| holds.tenant(t)).count();
    // Of nobody: one that shares, and the operator's.
    ALERTS_OF_ONE * owned + if holds.strays() { 2 } else { 0 }
}
