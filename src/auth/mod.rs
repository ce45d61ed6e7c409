//! Who is asking: bearer tokens are checked against the configured issuers.
//!
//! [`Verifier`] turns a request's headers into a [`Caller`] or a [`TokenFault`](crate::rejection::TokenFault).
//! `token` reads and judges one token, `jwks` reads a key set, `fetch` brings one in, `keys` keeps it fresh. No part
//! of a token is ever logged.

mod caller;
pub mod config;
mod fetch;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::expect_used, clippy::panic)]
mod invariants;
mod json;
mod jwks;
mod keys;
mod token;
mod verifier;

pub use caller::{Caller, Digest};
#[cfg(any(test, feature = "fuzzing"))]
pub use invariants::check as check_invariants;
pub use keys::KeyTiming;
pub use verifier::{Verified, Verifier, VerifierFault};

#[cfg(test)]
#[allow(dead_code)]
#[path = "../../tests/it/support/signing.rs"]
mod signing;
#[cfg(test)]
mod tests;
