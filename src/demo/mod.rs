//! `palisade demo`: an issuer, backends with two tenants' data, and Palisade in front of them.

pub mod data;
pub mod http;
pub mod issuer;
pub mod loki;
pub mod prometheus;
pub mod select;
pub mod spans;
pub mod time;
pub mod vector;
