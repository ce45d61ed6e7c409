//! Two stages in the wrong order.

use palisade::stages::{Authenticate, Authorize, Forward, Raw, Scope};
use tower::{Service, ServiceBuilder};

fn takes_raw<S: Service<Raw>>(_: S) {}

fn stack(authenticate: Authenticate, authorize: Authorize, scope: Scope, forward: Forward) {
    takes_raw(
        ServiceBuilder::new()
            .layer(authorize)
            .layer(authenticate)
            .layer(scope)
            .service(forward),
    );
}

fn main() {}
