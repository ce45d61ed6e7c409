//! Who is asking: bearer tokens are checked against the configured issuers.

pub mod config;
