//! Everything that runs during one run of the tests.

use std::collections::BTreeMap;

use crate::backends::Backends;
use crate::keycloak::Keycloak;
use crate::palisade::Palisade;

/// Someone who asks, with a real token.
pub struct Caller {
    /// The access token.
    pub token: String,
    /// Whether the caller has both tenants of the second TWIN.
    pub two: bool,
}

/// The servers, and who asks them.
pub struct World {
    /// The seed's first instant, in seconds of the epoch.
    pub start: i64,
    /// The backends with everybody's data.
    pub full: Backends,
    /// Those with the data of `acme-books` only.
    pub twin_a: Backends,
    /// Those with the data of `acme-books` and `globex-lit`.
    pub twin_ab: Backends,
    /// The identity provider, if it can be had.
    pub keycloak: Option<Keycloak>,
    /// What is tested.
    pub palisade: Option<Palisade>,
    /// By user name.
    pub callers: BTreeMap<String, Caller>,
}

impl World {
    /// All sets of backends.
    pub fn sets(&self) -> [&Backends; 3] {
        [&self.full, &self.twin_a, &self.twin_ab]
    }

    /// The TWIN that holds exactly what the caller may see.
    pub fn twin(&self, caller: &Caller) -> &Backends {
        if caller.two { &self.twin_ab } else { &self.twin_a }
    }
}
