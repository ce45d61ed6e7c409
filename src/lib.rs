//! Palisade: a multi-tenant query proxy for Prometheus, Loki, Tempo and Alertmanager.

pub mod api;
#[cfg(feature = "proxy")]
pub mod auth;
pub mod budget;
pub mod cases;
#[cfg(feature = "proxy")]
pub mod cli;
#[cfg(feature = "proxy")]
pub mod config;
#[cfg(feature = "proxy")]
pub mod demo;
#[cfg(feature = "proxy")]
pub mod events;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod lang;
pub mod limits;
pub mod policy;
pub mod rejection;
pub mod request;
#[cfg(feature = "proxy")]
pub mod respond;
pub mod scope;
#[cfg(feature = "proxy")]
pub mod server;
pub mod span;
#[cfg(feature = "proxy")]
pub mod stages;
pub mod tenant;
#[cfg(feature = "proxy")]
pub mod trust;
#[cfg(feature = "proxy")]
pub mod upstream;
pub mod yaml;
