//! LogQL: read, scoped, proven.
