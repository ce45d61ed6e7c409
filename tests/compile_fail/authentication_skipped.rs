//! A request whose caller is not known is not authorized.

use palisade::stages::{Authorize, Forward, Raw, Scope};
use tower::{Service, ServiceBuilder};

fn takes_raw<S: Service<Raw>>(_: S) {}

fn stack(authorize: Authorize, scope: Scope, forward: Forward) {
    takes_raw(ServiceBuilder::new().layer(authorize).layer(scope).service(forward));
}

fn main() {}
