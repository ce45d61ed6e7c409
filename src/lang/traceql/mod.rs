//! TraceQL: read, scoped, proven.
