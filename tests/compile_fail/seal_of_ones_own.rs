//! Only scoping seals.

fn main() {
    let _ = palisade::scope::seal::seal;
}
