//! Targets that Prometheus scrapes, and rules that it evaluates on what they show: metadata, exemplars, alerts, and
//! series that are not older than federation looks back.

use super::{Holds, SPAN, TENANTS, canary};

/// The alerts that `holds` makes: for each owner one of its own rule, one of the shared, and a pending one.
pub const ALERTS_OF_ONE: usize = 3;

/// Whose pages there are.
pub fn owners(holds: Holds) -> Vec<&'static str> {
    TENANTS.into_iter().filter(|t| holds.tenant(t)).chain(holds.strays().then_some("untenanted")).collect()
}

/// The page of `owner`. Exemplars are of the seed's time, so that they are found with everything else.
pub fn page(owner: &str, start: i64) -> String {
    let note = canary(owner);
    let named = owner.replace(['-', '.'], "_");
    let weight = owner.len();
    let (first, second) = (start + SPAN / 3, start + SPAN / 2);
    format!(
        r#"# HELP live_orders Orders.
# TYPE live_orders counter
live_orders_total{{service="storefront",region="us-east"}} {weight} # {{trace_id="{note}"}} 1.0 {first}
live_orders_total{{service="catalog",region="eu-west"}} 7 # {{trace_id="{note}-b"}} 2.0 {second}
# HELP live_latency_seconds Latency.
# TYPE live_latency_seconds histogram
# UNIT live_latency_seconds seconds
live_latency_seconds_bucket{{region="us-east",le="0.5"}} {weight} # {{trace_id="{note}-c"}} 0.25 {first}
live_latency_seconds_bucket{{region="us-east",le="+Inf"}} 99
live_latency_seconds_count{{region="us-east"}} 99
live_latency_seconds_sum{{region="us-east"}} 12.5
# HELP live_alarm Alarms of {note}.
# TYPE live_alarm gauge
live_alarm{{service="catalog",region="us-east",note="{note}"}} {weight}
# HELP only_{named} What {note} has alone.
# TYPE only_{named} gauge
only_{named}{{region="us-east"}} 1
# HELP only_{named}_about About {note}.
# TYPE only_{named}_about info
only_{named}_about_info{{version="1"}} 1
# EOF
"#
    )
}

/// The configuration that scrapes `owners` from `exporter`, and evaluates the rules.
pub fn configuration(holds: Holds, exporter: &str) -> String {
    let mut targets = String::new();
    for owner in owners(holds) {
        let tenant = if owner == "untenanted" { String::new() } else { format!("tenant: {owner}, ") };
        targets.push_str(&format!(
            "      - {{ targets: ['{exporter}'], labels: {{ {tenant}__metrics_path__: /{owner}, instance: {owner} }} }}\n"
        ));
    }
    format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\nscrape_configs:\n  \
         - job_name: live\n    static_configs:\n{targets}"
    )
}

/// The rules of all that `holds` names: of each tenant its own, with its label; one that all share; and of FULL
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
    for owner in owners(holds).into_iter().filter(|owner| *owner != "untenanted") {
        let note = canary(owner);
        text.push_str(&format!(
            r#"  - name: own-{owner}
    rules:
      - alert: OwnAlarm
        expr: live_alarm{{tenant="{owner}"}} > 0
        labels: {{ tenant: {owner}, severity: page }}
        annotations: {{ summary: "{note}" }}
      - alert: PendingAlarm
        expr: live_alarm{{tenant="{owner}"}} > 0
        for: 10h
        labels: {{ tenant: {owner}, severity: page }}
        annotations: {{ summary: "{note}" }}
      - alert: QuietAlarm
        expr: live_alarm{{tenant="{owner}"}} < 0
        labels: {{ tenant: {owner} }}
        annotations: {{ summary: "{note}" }}
      - record: tenant:live_orders:sum
        expr: sum(live_orders_total{{tenant="{owner}"}})
        labels: {{ tenant: {owner} }}
"#
        ));
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
