//! Every numeric cap, with its default. Over a cap: refused, and nothing is sent.

/// Caps on what a caller may send and on what is sent to a backend.
///
/// All are settable in the configuration under `limits:`; the defaults are the values documented in
/// `docs/configuration.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one bearer token.
    pub token_bytes: usize,
    /// Values of one dimension of a scope.
    pub tenants: usize,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Parameter pairs of one request, URL and body together.
    pub parameter_pairs: usize,
    /// Bytes of a backend's answer that must be decoded to be filtered, after decompression.
    pub filtered_answer_bytes: usize,
    /// Bytes of the whole encoded body sent to a backend.
    pub outbound_body_bytes: usize,
    /// Bytes of the path and query sent to a backend.
    pub outbound_url_bytes: usize,
    /// Bytes of one header by which a backend is told the tenants.
    pub outbound_header_bytes: usize,
    /// Caps on one query text.
    pub query: QueryLimits,
}

/// Caps on one query text, held before and while it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Bytes of the caller's text.
    pub bytes: usize,
    /// Tokens of the caller's text.
    pub tokens: usize,
    /// Depth of nesting: parentheses, braces, brackets, unary operators.
    pub nesting: usize,
    /// Selectors (spanset filters in TraceQL).
    pub selectors: usize,
    /// Bytes of a scoped PromQL text.
    pub scoped_promql_bytes: usize,
    /// Bytes of a scoped LogQL text. Loki refuses 131,072 bytes and more.
    pub scoped_logql_bytes: usize,
    /// Bytes of a scoped TraceQL text. Tempo's frontend refuses 128 kB and more.
    pub scoped_traceql_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            token_bytes: 64 * 1024,
            tenants: 1024,
            body_bytes: 1024 * 1024,
            parameter_pairs: 256,
            filtered_answer_bytes: 64 * 1024 * 1024,
            outbound_body_bytes: 4 * 1024 * 1024,
            outbound_url_bytes: 256 * 1024,
            outbound_header_bytes: 16 * 1024,
            query: QueryLimits::default(),
        }
    }
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            bytes: 128 * 1024,
            tokens: 32 * 1024,
            nesting: 128,
            selectors: 1024,
            scoped_promql_bytes: 2 * 1024 * 1024,
            scoped_logql_bytes: 120 * 1024,
            scoped_traceql_bytes: 120 * 1024,
        }
    }
}
