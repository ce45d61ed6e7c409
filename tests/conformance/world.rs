//! Everything that runs during one run of the tests.

use std::collections::BTreeMap;

use crate::backends::Backends;
use crate::keycloak::Keycloak;
use crate::palisade::Palisade;

/// Someone who asks, with a real token.
pub struct Caller {
    /// The access token.
    pub token: String,
    /// The TWIN that holds what the caller may see.
    pub twin: Twin,
}

/// One of the sets that hold a part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Twin {
    /// `acme-books`.
    One,
    /// `acme-books` and `globex-lit`.
    Two,
    /// `acme-books` in `us-east`: a scope of two dimensions.
    East,
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
    /// Those with the data of `acme-books` in `us-east` only.
    pub twin_a_east: Backends,
    /// The identity provider, if it can be had.
    pub keycloak: Option<Keycloak>,
    /// What is tested, before FULL.
    pub palisade: Option<Palisade>,
    /// The same before each TWIN.
    pub beside: BTreeMap<Twin, Palisade>,
    /// By user name.
    pub callers: BTreeMap<String, Caller>,
}

impl World {
    /// All sets of backends.
    pub fn sets(&self) -> [&Backends; 4] {
        [&self.full, &self.twin_a, &self.twin_ab, &self.twin_a_east]
    }

    /// The Palisade before the TWIN that holds exactly what the caller may see.
    pub fn beside(&self, caller: &Caller) -> Option<&Palisade> {
        self.beside.get(&caller.twin)
    }

    /// The TWIN that holds exactly what the caller may see.
    pub fn twin(&self, caller: &Caller) -> &Backends {
        self.set(caller.twin)
    }

    /// The servers of a TWIN.
    pub fn set(&self, twin: Twin) -> &Backends {
        match twin {
            Twin::One => &self.twin_a,
            Twin::Two => &self.twin_ab,
            Twin::East => &self.twin_a_east,
        }
    }
}
