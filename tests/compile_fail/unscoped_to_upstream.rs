//! A stage left out: what is authorized and not scoped does not reach the stage that sends.

use palisade::stages::{Authorize, Authorized, Forward};
use tower::{Layer, Service};

fn takes_authorized<S: Service<Authorized>>(_: S) {}

fn stack(authorize: Authorize, forward: Forward) {
    let _ = authorize.layer(forward.clone());
    takes_authorized(forward);
}

fn main() {}
