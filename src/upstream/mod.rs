//! The client side: sealed calls go out, answers come back.

mod aside;
mod client;
mod decode;
mod grpc;
mod http1;
mod pool;
pub mod websocket;

pub(crate) use aside::{PART, WHOLE};
pub use client::{LOKI_FLAGS, Reach, TRACEPARENT, Upstream};
pub use decode::{DecodeFault, collect};
pub use grpc::{GrpcUpstream, Stream, StreamFault};
pub use pool::Answer;
