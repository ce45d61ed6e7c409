//! The configuration of each backend: everything below its working directory and on loopback, nothing
//! reported to anybody. Words in capitals are replaced by ports and names.

use crate::seed::hostile;

/// What makes [`LOKI`] one without tenants of its own.
pub const ONE_TENANT: &str = "auth_enabled: false";
/// What makes it one with them.
pub const MANY_TENANTS: &str = "auth_enabled: true\nquerier: { multi_tenant_queries_enabled: true }";

/// One process, everything in memory or below its working directory. Old
/// samples are taken, no gossip leaves loopback, and no compaction shows an index twice for a moment.
/// Results are kept as its chart has them kept, but for the counts of the index, which tell when the seed is there.
pub const LOKI: &str = r#"
auth_enabled: false
analytics: { reporting_enabled: false }
server:
  http_listen_address: 127.0.0.1
  http_listen_port: HTTP
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: GRPC
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: data
  replication_factor: 1
  storage: { filesystem: { chunks_directory: data/chunks, rules_directory: data/rules } }
  ring: { kvstore: { store: inmemory }, instance_addr: 127.0.0.1 }
memberlist: { bind_addr: ["127.0.0.1"], bind_port: GOSSIP }
ingester:
  lifecycler: { min_ready_duration: 0s, final_sleep: 0s }
  query_store_max_look_back_period: 0s
  # Labels are detected in what ingesters hold. What came last stays there alone.
  chunk_retain_period: 24h
  chunk_idle_period: 24h
  max_chunk_age: 24h
limits_config:
  reject_old_samples: false
  volume_enabled: true
  allow_structured_metadata: true
  max_cache_freshness_per_query: 1m
  max_metadata_cache_freshness: 1m
compactor: { working_directory: data/compactor, compaction_interval: 24h }
pattern_ingester: { enabled: true }
ruler: { evaluation_interval: 15s, poll_interval: 5s, enable_api: true }
query_range:
  results_cache: { cache: { embedded_cache: { enabled: true, max_size_mb: 100 } } }
  cache_results: true
  cache_series_results: true
  cache_label_results: true
  cache_volume_results: true
  cache_instant_metric_results: true
  cache_index_stats_results: false
schema_config:
  configs:
    - { from: 2020-10-24, store: tsdb, object_store: filesystem, schema: v13, index: { prefix: index_, period: 24h } }
"#;

/// Notifies nobody. Every alert goes to the first receiver, those that page to the second as well; groups mix
/// tenants. A region that is down inhibits what happens in it, whoever's it is, and a service that is
/// down its owner's tickets.
pub const ALERTMANAGER: &str = r#"
route:
  receiver: none
  group_by: [alertname]
  routes:
    - { receiver: pager, continue: true }
    - { receiver: second-line, matchers: ['severity="page"'], group_by: [tenant, service] }
receivers: [{ name: none }, { name: pager }, { name: second-line }, { name: MORE }]
inhibit_rules:
  - { source_matchers: ['alertname="RegionDown"'], target_matchers: ['severity="page"'], equal: [region] }
  - { source_matchers: ['alertname="Down"'], target_matchers: ['severity="ticket"'], equal: [tenant, service] }
"#;

/// What both lines of Tempo have in common: hour-old spans are taken and searched for in closed blocks and in live ones
/// alike, and every cache is on. It streams on the port of HTTP.
const TEMPO: &str = r#"
target: all
stream_over_http_enabled: true
usage_report: { reporting_enabled: false }
server:
  http_listen_address: 127.0.0.1
  http_listen_port: HTTP
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: GRPC
  log_level: warn
memberlist: { bind_addr: ["127.0.0.1"], bind_port: GOSSIP }
distributor:
  ring: { kvstore: { store: inmemory }, instance_addr: 127.0.0.1 }
  receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:OTLP" } } } }
storage:
  trace:
    backend: local
    blocklist_poll: 1s
    wal: { path: spans/wal, ingestion_time_range_slack: 24h }
    local: { path: spans/blocks }
"#;

/// Tempo 2.9 keeps spans in an ingester until they are flushed, and answers metrics from the generator's
/// local blocks.
const TEMPO_2: &str = r#"
ingester:
  lifecycler: { address: 127.0.0.1, ring: { kvstore: { store: inmemory }, replication_factor: 1 }, final_sleep: 0s, min_ready_duration: 0s }
  flush_check_period: 1s
  trace_idle_period: 1s
  max_block_duration: 24h
  complete_block_timeout: 5s
compactor: { disabled: true, ring: { kvstore: { store: inmemory }, instance_addr: 127.0.0.1 } }
metrics_generator:
  ring: { kvstore: { store: inmemory }, instance_addr: 127.0.0.1 }
  metrics_ingestion_time_range_slack: 24h
  storage: { path: generator/wal }
  traces_storage: { path: generator/traces, ingestion_time_range_slack: 24h }
  processor:
    local_blocks:
      filter_server_spans: false
      flush_check_period: 1s
      trace_idle_period: 1s
      # Its results are kept for closed blocks.
      max_block_duration: CLOSED
      complete_block_timeout: 24h
querier: { frontend_worker: { frontend_address: "127.0.0.1:GRPC" } }
query_frontend:
  search: { query_backend_after: 1s, query_ingesters_until: 24h }
  metrics: { query_backend_after: 12h, max_duration: 24h }
overrides: { defaults: { metrics_generator: { processors: [local-blocks] } } }
"#;

/// Tempo 3 has a live store in place of both; its defaults for state are fixed folders of the machine.
const TEMPO_3: &str = r#"
live_store:
  ring: { kvstore: { store: inmemory }, instance_addr: 127.0.0.1 }
  partition_ring: { kvstore: { store: inmemory } }
  wal: { path: live/traces, ingestion_time_range_slack: 24h }
  shutdown_marker_dir: live/marker
  flush_check_period: 1s
  max_trace_idle: 1s
  max_trace_live: 2s
  max_block_duration: 24h
  complete_block_timeout: 24h
backend_scheduler: { local_work_path: scheduler }
backend_worker: { ring: { kvstore: { store: inmemory } } }
metrics_generator:
  ring: { kvstore: { store: inmemory }, instance_addr: 127.0.0.1 }
  storage: { path: generator/wal }
querier: { frontend_worker: { frontend_address: "127.0.0.1:GRPC" } }
query_frontend:
  query_end_cutoff: 0s
  search: { query_backend_after: 12h }
  metrics: { query_backend_after: 12h, max_duration: 24h }
"#;

/// Every cache that Tempo has but the local blocks' own, which no setting turns off, and that of the role
/// `frontend-search`: Tempo 2.9 keeps both forms of an answer with names of tags under one key, and fails on the other.
const TEMPO_CACHES: &str = r#"
cache:
  caches:
    - roles: [bloom, parquet-footer, parquet-column-idx, parquet-offset-idx, trace-id-index, parquet-page]
      redis: { endpoint: "127.0.0.1:REDIS", timeout: 2s }
"#;

/// Tempo's configuration for a version, with its caches where there is a Redis.
pub fn tempo(version: &str, cached: bool) -> String {
    let own = if version.starts_with('2') { TEMPO_2 } else { TEMPO_3 };
    let closed = if hostile::wanted() { "10s" } else { "24h" };
    format!("{TEMPO}{own}{}", if cached { TEMPO_CACHES } else { "" }).replace("CLOSED", closed)
}
