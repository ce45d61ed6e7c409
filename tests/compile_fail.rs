//! What must not compile: ways around the stages of a request.
//!
//! The expected messages are of the toolchain in `rust-toolchain.toml`; `TRYBUILD=overwrite` writes
//! them anew.

#[test]
fn no_way_around_the_seal() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
