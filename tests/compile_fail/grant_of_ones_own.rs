//! A grant is made by policy only: its content is private.

fn main() {
    let _ = palisade::policy::Grant { term: panic!(), allowed: panic!() };
}
