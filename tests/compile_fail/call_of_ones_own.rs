//! A call to a backend cannot be written by hand.

fn main() {
    let _ = palisade::scope::Call {
        target: "/api/v1/query?query=up".to_owned(),
        form: None,
        accept: palisade::scope::Accept::Json,
    };
}
