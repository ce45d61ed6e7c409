//! The endpoints of the four backends.

use std::fmt;
use std::str::FromStr;

/// What a backend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Prometheus, or what speaks its query API.
    Prometheus,
    /// Loki.
    Loki,
    /// Tempo.
    Tempo,
    /// Alertmanager.
    Alertmanager,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::Loki, Self::Tempo, Self::Alertmanager];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Loki => "loki",
            Self::Tempo => "tempo",
            Self::Alertmanager => "alertmanager",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown backend kind `{0}`, use prometheus, loki, tempo or alertmanager")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|k| k.name() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}
