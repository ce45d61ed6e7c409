//! Who is asking: tokens are checked against the configured issuers, passwords against the list of service accounts.
//!
//! [`Verifier`] turns a request's headers into a [`Caller`] or a [`TokenFault`](crate::rejection::TokenFault).
//! `credential` finds the one credential of the headers, `token` reads and judges a token, `jwks` reads a key set,
//! `fetch` brings one in, `keys` keeps it fresh; `account` knows service accounts, `password` hashes their passwords.
//! No part of a token or a password is ever logged.

mod account;
mod caller;
pub mod config;
mod credential;
mod fetch;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(clippy::expect_used, clippy::panic)]
mod invariants;
mod json;
mod jwks;
mod keys;
pub mod password;
mod token;
mod verifier;

pub use account::{MAX_ACCOUNTS, SERVICE_ACCOUNTS, ServiceAccount, is_account_name};
pub use caller::{Caller, Digest};
pub use fetch::keys_of;
#[cfg(any(test, feature = "fuzzing"))]
pub use invariants::check as check_invariants;
pub use keys::{Fetched, KeyTiming};
pub use verifier::{Trusted, Verified, Verifier, VerifierFault};

#[cfg(test)]
#[allow(dead_code)]
#[path = "../../tests/it/support/signing.rs"]
mod signing;
#[cfg(test)]
mod tests;
