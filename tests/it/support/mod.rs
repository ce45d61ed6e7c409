//! Servers and tokens that the tests make for themselves.

pub mod authority;
pub mod bare;
pub mod grpc;
pub mod issuer;
pub mod proxy;
// The library's unit tests use it too, and other parts of it.
#[allow(dead_code)]
pub mod signing;
pub mod tail;
pub mod upstream;
