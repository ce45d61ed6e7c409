//! A call to a backend cannot be written by hand.

fn main() {
    let _ = palisade::scope::Call {
        target: "/api/v1/query?query=up".to_owned(),
        outgoing: palisade::scope::Outgoing::Get,
        accept: palisade::scope::Accept::Json,
    };
}
