//! What the backends hold.
//!
//! Every tenant has the same series, streams and traces under equal names and
//! labels, told apart by the tenant label, by the numbers, and by a canary: a
//! text that names its owner and stands where it would show in a leaked answer.
//! FULL holds everything; a TWIN holds what its tenants own, one of them in one region only, and nothing else.

pub mod alertmanager;
pub mod hostile;
pub mod loki;
pub mod prometheus;
pub mod targets;
pub mod tempo;

/// All tenants. `acme-books` is a prefix of `acme-books-eu`; `pressxone` is
/// what an unescaped `press.one` would match as a pattern.
pub const TENANTS: [&str; 6] =
    ["acme-books", "acme-books-eu", "globex-lit", "initech-press", "press.one", "pressxone"];

/// The services of the bookstore, the same for every tenant.
pub const SERVICES: [&str; 3] = ["storefront", "catalog", "payments-gateway"];

/// The regions of the bookstore.
pub const REGIONS: [&str; 2] = ["us-east", "eu-west"];

/// Seconds between the first and the last seeded instant.
pub const SPAN: i64 = 1800;

/// The text that shows when data of `owner` leaks.
pub fn canary(owner: &str) -> String {
    format!("canary-{owner}")
}

/// Whose data one set of backends holds.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// Every tenant, and what belongs to none, to two or to nobody for sure.
    All,
    /// These tenants' own data alone.
    Only(&'static [&'static str]),
    /// These tenants' own data of one region alone; what says no region is not there.
    In {
        /// The tenants.
        tenants: &'static [&'static str],
        /// The region.
        region: &'static str,
    },
}

impl Holds {
    /// Whether a tenant's data is there.
    pub fn tenant(self, tenant: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(own) | Self::In { tenants: own, .. } => own.contains(&tenant),
        }
    }

    /// Whether the data of a region is there; `None` is what says no region.
    pub fn region(self, region: Option<&str>) -> bool {
        match self {
            Self::All | Self::Only(_) => true,
            Self::In { region: own, .. } => region == Some(own),
        }
    }

    /// Whether the data that no single tenant owns is there.
    pub fn strays(self) -> bool {
        matches!(self, Self::All)
    }
}
