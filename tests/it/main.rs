//! Integration tests: everything that needs a socket, in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod alertmanager;
mod answers;
mod audit;
mod auth;
mod control;
mod cors;
mod demo;
mod deploy;
mod docs;
mod doctor;
mod grpc;
mod grpc_reach;
mod identity;
mod large;
mod loki;
mod me;
mod mounted;
mod names;
mod paths;
mod policies;
mod prometheus;
mod reach;
mod reasons;
mod refusals;
mod reload;
mod requests;
mod routes;
mod scope_command;
mod sites;
mod support;
mod tag_values;
mod tail;
mod tenancy;
mod tidy;
mod versions;
