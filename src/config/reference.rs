//! The table of all keys of the configuration file, for `docs/configuration.md` and for whoever writes one.

/// One key: its path (`[]` for each entry of a list, `NAME` for a name of the operator's), its default,
/// and what it is.
pub type Key = (&'static str, &'static str, &'static str);

/// Every key, in the order of the file.
pub const KEYS: &[Key] = &[
    (
        "listen",
        "required",
        "addresses on which callers are served; without `backend`, every backend below `/NAME`",
    ),
    ("listen[].address", "required", "IP address and port"),
    ("listen[].backend", "none", "serve this one backend, or the backends of this mount, at the root"),
    ("listen[].tls", "none", "serve over TLS"),
    ("listen[].tls.cert", "required", "PEM file of the certificate chain, relative to this file"),
    ("listen[].tls.key", "required", "PEM file of the private key, relative to this file"),
    (
        "listen[].trusted_proxies",
        "`[]`",
        "networks of the proxies in front, such as `10.0.0.0/8`: they are believed where a connection comes from (PROXY protocol, \
         version 1 or 2, recognised where it is sent) and where a request comes from (`X-Forwarded-For`)",
    ),
    ("admin", "required", "the listener for `/healthz`, `/readyz` and `/metrics`"),
    ("admin.address", "required", "IP address and port"),
    (
        "admin.control",
        "none",
        "where reload and explanations (`/-/`) are served: a loopback address and port, or the path of a unix \
         socket, relative to this file, which only programs of the same user and of root may use",
    ),
    (
        "admin.token_file",
        "none",
        "file with a token of 32 to 1024 bytes that requests below `/-/` must have as `admin_token`, relative to this \
         file; without `admin.control`, `/-/` is served on `admin.address`",
    ),
    ("issuers", "required", "whose tokens are taken"),
    (
        "issuers[].url",
        "required",
        "what the `iss` claim must be, byte for byte; without the three keys after this one, keys are discovered below it",
    ),
    (
        "issuers[].discovery_url",
        "none",
        "URL of the discovery document, where the issuer is reached under another name than its own; what the document says its issuer is must be `url` all the same",
    ),
    ("issuers[].jwks_url", "none", "URL of the JWK Set, instead of discovery"),
    ("issuers[].jwks_file", "none", "file with the JWK Set, instead of discovery, relative to this file"),
    (
        "issuers[].header",
        "`authorization`",
        "the header that its tokens come in: `authorization`, as `Bearer TOKEN`, or `x-grafana-id`, which Grafana signs",
    ),
    (
        "issuers[].audiences",
        "`[]`",
        "a token is taken if its `aud` claim has one of these; these or `authorized_parties` must not be empty",
    ),
    ("issuers[].authorized_parties", "`[]`", "a token is also taken if its `azp` claim is one of these"),
    (
        "issuers[].required_claims",
        "`{}`",
        "claims that a token must have with exactly these values: texts, whole numbers, `true` or `false`",
    ),
    (
        "issuers[].validation_rules",
        "`[]`",
        "CEL conditions over `claims` that must hold of a token, as `when` of a policy rule is one; what cannot be evaluated does not hold",
    ),
    (
        "issuers[].algorithms",
        "`[RS256]`",
        "signature algorithms that are taken: RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA",
    ),
    (
        "issuers[].ca",
        "the platform's",
        "PEM file of the authorities that are trusted, and no others, when keys are fetched over HTTPS; relative to this file",
    ),
    ("issuers[].skew", "`30s`", "how far the issuer's clock may be from ours, at most `120s`"),
    ("issuers[].insecure_http", "`false`", "fetch keys over plain HTTP from a host that is not loopback"),
    (
        "service_accounts",
        "`[]`",
        "callers that show a name and a password by basic authentication; without any, that is not taken",
    ),
    ("service_accounts[].name", "required", "its name: `[A-Za-z0-9][A-Za-z0-9._@-]{0,63}`"),
    ("service_accounts[].hash", "required", "what `palisade hash` makes of its password"),
    (
        "service_accounts[].claims",
        "`{}`",
        "what policies see as its claims; `sub` is its name unless it is here",
    ),
    (
        "backends",
        "required",
        "what is served, by name; NAME matches `[a-z0-9][a-z0-9-]*` and is the mount `/NAME` unless `mount` says another",
    ),
    (
        "backends.NAME.kind",
        "NAME",
        "`prometheus`, `loki`, `tempo` or `alertmanager`; needed if NAME is none of these",
    ),
    ("backends.NAME.url", "required", "base URL; a path prefix is kept"),
    (
        "backends.NAME.grpc_url",
        "`url`",
        "where Tempo serves gRPC, for streaming: its gRPC port, or its HTTP port with `stream_over_http_enabled`; no path",
    ),
    (
        "backends.NAME.mount",
        "NAME",
        "the name under which callers and policy rules find it; several backends of one kind may share one, each with `holds`",
    ),
    (
        "backends.NAME.holds",
        "everything",
        "for some dimensions the values whose data it holds, or how they start (`acme-*`); no two backends of a mount may hold the same",
    ),
    (
        "backends.NAME.labels",
        "required",
        "for each dimension of a scope the label that says it: an identifier, in Tempo `resource.NAME`; \
         a caller whose scope has another dimension is refused",
    ),
    (
        "backends.NAME.features",
        "`[]`",
        "the backend's feature flags and what else is declared of it: Prometheus \
         `promql-experimental-functions`, `promql-binop-fill-modifiers`, and `search-api`, `federate`, `remote-read`, each \
         of which adds endpoints; Loki `variants`, \
         `pattern-persistence` (which closes `patterns`); Tempo `tempo-3`, `traces_never_mix_tenants`, \
         `no_frontend_search_cache` (without it names of tags are those of recent data)",
    ),
    (
        "backends.NAME.version",
        "none",
        "its version, such as `2.9.0`; Loki before 2.9 is refused, Tempo before 2.7 answers no tag values, and before 3.0 it is asked for no arithmetic that it does not stand; `buildinfo` says it, and without it the backend's own",
    ),
    (
        "backends.NAME.refuse",
        "`[]`",
        "what is closed at once, as on the day on which a backend has a bug: functions, operators, stages, intrinsics and hints as \
         they are written in queries (`compare`, `^`, `>>`, `json`, `rate`), and endpoints by their path below (`/api/v2/search/tags`)",
    ),
    (
        "backends.NAME.org_id",
        "none",
        "send `X-Scope-OrgID` to a backend with tenants of its own; the label stays in every query",
    ),
    ("backends.NAME.org_id.dimension", "`tenant`", "the dimension whose values have org ids"),
    (
        "backends.NAME.org_id.map",
        "`{}`",
        "org ids by value; a value without one, here or by `template`, is refused",
    ),
    (
        "backends.NAME.org_id.template",
        "none",
        "the org id of all other values, such as `store-{tenant}`, or one for all",
    ),
    (
        "backends.NAME.org_id.federates",
        "`false`",
        "the backend takes several org ids in one query, joined by a bar; else a scope with several is refused",
    ),
    (
        "backends.NAME.org_id.unrestricted",
        "`[]`",
        "org ids for callers with a break-glass rule; without one the backend is closed to them",
    ),
    (
        "backends.NAME.label_policy",
        "`false`",
        "also send the scope as `X-Prom-Label-Policy`, which Loki (`lbac.enabled`) and Grafana Enterprise Metrics enforce themselves; needs `org_id`",
    ),
    (
        "backends.NAME.tls",
        "none",
        "whom we trust to be the backend, and how we show ourselves; for an `https` url",
    ),
    (
        "backends.NAME.tls.ca",
        "the platform's",
        "PEM file of the authorities that are trusted, relative to this file, read again when it changes",
    ),
    ("backends.NAME.tls.platform_roots", "`false`", "trust the platform's authorities beside those of `ca`"),
    (
        "backends.NAME.tls.cert",
        "none",
        "PEM file of the certificate chain that we show to the backend, relative to this file, read again when it changes",
    ),
    ("backends.NAME.tls.key", "none", "PEM file of its private key, needed with `cert`"),
    (
        "backends.NAME.auth",
        "none",
        "how we say to the backend who we are: `bearer_file` or `basic`; a caller's `Authorization` never reaches it",
    ),
    (
        "backends.NAME.auth.bearer_file",
        "none",
        "file that holds a bearer token, relative to this file, read again when it changes",
    ),
    ("backends.NAME.auth.basic", "none", "a user and a password"),
    ("backends.NAME.auth.basic.username", "required", "the user"),
    (
        "backends.NAME.auth.basic.password_file",
        "required",
        "file that holds the password, relative to this file, read again when it changes",
    ),
    (
        "backends.NAME.redacted_traces",
        "`false`",
        "Tempo: callers with a rule for `traces.redacted` see where others' spans are in their traces: ids and times, nothing else",
    ),
    ("backends.NAME.insecure_http", "`false`", "use plain HTTP to a host that is not loopback"),
    (
        "backends.NAME.timeout",
        "`120s`",
        "how long it may take for one answer; not over `limits.request_timeout`, which also lowers the default",
    ),
    ("policies", "required", "folder of the policy files (`*.yaml`), relative to this file"),
    ("limits", "`{}`", "caps; over one of them a request is refused and nothing is sent"),
    ("limits.token_bytes", "`65536`", "bytes of one bearer token"),
    ("limits.tenants", "`1024`", "values of one dimension of a scope"),
    ("limits.body_bytes", "`1048576`", "bytes of a request body"),
    ("limits.parameter_pairs", "`256`", "parameters of one request, URL and body together"),
    (
        "limits.filtered_answer_bytes",
        "`67108864`",
        "bytes of an answer that must be filtered, after decompression",
    ),
    ("limits.outbound_body_bytes", "`4194304`", "bytes of an encoded body sent to a backend"),
    ("limits.outbound_url_bytes", "`262144`", "bytes of a path and query sent to a backend"),
    ("limits.outbound_header_bytes", "`16384`", "bytes of one header that tells a backend the tenants"),
    ("limits.query", "`{}`", "caps on one query text"),
    ("limits.query.bytes", "`131072`", "bytes of the caller's text"),
    ("limits.query.tokens", "`32768`", "tokens of the caller's text"),
    (
        "limits.query.nesting",
        "`128`",
        "depth of parentheses, braces, brackets and unary operators; can only be lowered",
    ),
    ("limits.query.selectors", "`1024`", "selectors; in TraceQL, spanset filters"),
    ("limits.query.scoped_promql_bytes", "`2097152`", "bytes of a scoped PromQL text"),
    ("limits.query.scoped_logql_bytes", "`122880`", "bytes of a scoped LogQL text, at most 131071"),
    ("limits.query.scoped_traceql_bytes", "`122880`", "bytes of a scoped TraceQL text, at most 127999"),
    (
        "limits.request_timeout",
        "`125s`",
        "how long one request may take until it is answered, at most `1h`; an answer that is still given so long after its token's \
         end is broken off",
    ),
    (
        "limits.stall_timeout",
        "`60s`",
        "how long a client may take nothing of an answer before that is broken off, over HTTP/2 each for itself, at most `1h`",
    ),
    (
        "limits.memory_bytes",
        "60 % of the memory that the process may have, or of 1 GiB where that is not limited",
        "bytes of all that callers can make large: bodies, answers that are cut until their last byte is sent, queues of live \
         tails and streams; where none are left, a request is refused with 503",
    ),
    (
        "limits.tenant_share",
        "`50`",
        "the part of the requests, live tails and memory that one tenant may have, in percent",
    ),
    (
        "limits.backend_share",
        "`50`, `100` if there is one backend",
        "the part of the requests that one backend may have, in percent, so that one that hangs costs the others nothing",
    ),
    (
        "limits.concurrent_requests",
        "`1024`",
        "requests served at once, each until the last byte of its answer is sent; more are refused",
    ),
    (
        "limits.connections",
        "`16384`",
        "connections of callers; at most half of the open files that the system allows. Where all are taken, one that waits \
         for a request is closed for a new one",
    ),
    ("limits.connections_per_address", "none", "connections of one address; more are closed"),
    (
        "limits.backend_connections",
        "`128`",
        "idle connections that are kept open to one backend; more are closed, and so are those that were idle for a minute. In use \
         there is one for each request at most",
    ),
    (
        "limits.head_timeout",
        "`10s`",
        "how long the head of a request may take to arrive once it has begun, and a connection to be opened",
    ),
    ("limits.body_timeout", "`10s`", "how long the body of a request may take to arrive"),
    ("limits.idle_timeout", "`75s`", "how long a connection may wait for a request"),
    ("limits.concurrent_tails", "`256`", "live tails that are open at once; more are refused"),
    ("limits.tail_message_bytes", "`4194304`", "bytes of one message of a live tail; over it the tail ends"),
    ("tail", "`{}`", "Loki's live tail"),
    (
        "tail.origins",
        "`[]`",
        "origins whose pages may open one, such as `https://portal.example.org`; a request without `Origin`, as \
         Grafana's proxy sends it, needs none",
    ),
    ("cors", "`{}`", "pages of other origins"),
    (
        "cors.origins",
        "`[]`",
        "origins whose pages may read answers, such as `https://portal.example.org`, exactly as browsers name them; never `*`, \
         and never with cookies",
    ),
    (
        "cache_salt_file",
        "made at start",
        "file with a secret of 32 bytes or more, relative to this file; each query to Loki and Tempo carries a salt made of it \
         and of the caller's scope, so that nobody can aim at what a backend caches for another. Replicas that share it \
         share what is cached",
    ),
    ("shutdown", "`{}`", "the end, on SIGTERM or SIGINT; a second signal ends at once"),
    (
        "shutdown.delay",
        "`5s`",
        "how long requests are still taken while `/readyz` says 503, so that whoever sends them hears of it",
    ),
    (
        "shutdown.timeout",
        "`20s`",
        "how long requests in flight may take after that, before they are given up",
    ),
    (
        "scoped_query_cache_bytes",
        "`16777216`",
        "memory for what queries became, so that those asked again are not scoped again; `0` keeps none",
    ),
    ("audit", "none", "an audit log: one JSON line for each request"),
    (
        "audit.file",
        "none",
        "the file that lines are appended to, relative to this file; without it, standard output",
    ),
    (
        "audit.otlp",
        "none",
        "a collector that lines are sent to, as logs of OTLP over HTTP, instead of a file",
    ),
    ("audit.otlp.url", "required", "where logs are posted, such as `http://127.0.0.1:4318/v1/logs`"),
    (
        "audit.otlp.ca",
        "none",
        "PEM file of the authorities that are trusted, relative to this file; without it, the platform's",
    ),
    ("audit.otlp.insecure_http", "`false`", "use plain HTTP to a host that is not loopback"),
    (
        "audit.when_full",
        "`block`",
        "while lines cannot be written as fast as they come: `block` lets requests wait, and refuses them (503) after 5 s, \
         or at once while the file cannot be written at all; `drop` drops lines and counts them",
    ),
    ("audit.queue", "`8192`", "lines that may wait to be written, those of requests in flight among them"),
    (
        "audit.user_claim",
        "none",
        "the claim that names a user as people know them, such as `preferred_username`; lines tell it as `user`",
    ),
    (
        "audit.queries",
        "`false`",
        "tell what was asked as it is, its first 16 KiB as `asked`, beside its digest",
    ),
];

/// The table as Markdown.
pub fn markdown() -> String {
    let mut table = String::from("| key | default | what it is |\n| --- | --- | --- |\n");
    for (key, default, what) in KEYS {
        table.push_str(&format!("| `{key}` | {default} | {what} |\n"));
    }
    table
}
