//! The client side: sealed calls go out, answers come back.

mod client;
mod decode;

pub use client::{Client, LOKI_FLAGS, TRACEPARENT, Upstream, roots};
pub use decode::{DecodeFault, Place, Room, collect};
