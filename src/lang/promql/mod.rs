//! PromQL: read, scoped, proven.
