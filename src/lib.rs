//! Palisade: a multi-tenant query proxy for Prometheus, Loki, Tempo and Alertmanager.

pub mod api;
#[cfg(feature = "proxy")]
pub mod auth;
pub mod lang;
pub mod limits;
pub mod policy;
pub mod rejection;
pub mod span;
pub mod tenant;
pub mod yaml;
