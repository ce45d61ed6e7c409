//! Integration tests: everything that needs a socket, in one binary.

mod auth;
mod support;
