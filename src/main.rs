//! palisade.
fn main() {}
