//! Features that an operator declares for a backend: its own feature flags, its version's syntax, and
//! assertions about its data.

use std::fmt;
use std::str::FromStr;

/// One feature, by the name it has in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// `promql-experimental-functions`: Prometheus' own flag of that name.
    PromqlExperimentalFunctions,
    /// `promql-binop-fill-modifiers`: Prometheus' own flag of that name.
    PromqlBinopFillModifiers,
    /// `search-api`: Prometheus' own flag of that name, which adds endpoints.
    SearchApi,
    /// `federate`: Prometheus' `/federate` is served.
    Federate,
    /// `remote-read`: Prometheus' `/api/v1/read` is served.
    RemoteRead,
    /// `variants`: Loki's experimental `variants(…) of (…)`.
    Variants,
    /// `pattern-persistence`: Loki's `pattern_persistence_enabled`, under which `patterns` is answered from
    /// lines that labels of any tenant's streams are written into unquoted.
    PatternPersistence,
    /// `tempo-3`: TraceQL of Tempo 2.10 and 3.x.
    Tempo3,
    /// `traces_never_mix_tenants`: the operator asserts that the spans of each trace carry one same
    /// tenant or none.
    TracesNeverMixTenants,
    /// `no_frontend_search_cache`: the operator asserts that Tempo has no cache with the role
    /// `frontend-search`. That cache does not tell apart who asks for names of tags.
    NoFrontendSearchCache,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 10] = [
        Self::PromqlExperimentalFunctions,
        Self::PromqlBinopFillModifiers,
        Self::SearchApi,
        Self::Federate,
        Self::RemoteRead,
        Self::Variants,
        Self::PatternPersistence,
        Self::Tempo3,
        Self::TracesNeverMixTenants,
        Self::NoFrontendSearchCache,
    ];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PromqlExperimentalFunctions => "promql-experimental-functions",
            Self::PromqlBinopFillModifiers => "promql-binop-fill-modifiers",
            Self::SearchApi => "search-api",
            Self::Federate => "federate",
            Self::RemoteRead => "remote-read",
            Self::Variants => "variants",
            Self::PatternPersistence => "pattern-persistence",
            Self::Tempo3 => "tempo-3",
            Self::TracesNeverMixTenants => "traces_never_mix_tenants",
            Self::NoFrontendSearchCache => "no_frontend_search_cache",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Feature`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown feature `{0}`")]
pub struct UnknownFeature(String);

impl FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|f| f.name() == name).ok_or_else(|| UnknownFeature(name.to_owned()))
    }
}

/// A set of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(u32);

impl Features {
    /// No feature: what every backend of the supported versions has without a flag.
    pub const NONE: Self = Self(0);

    /// Bits behind those of the features.
    const TEMPO_3: u32 = 1 << 31;
    const TEMPO_2: u32 = 1 << 30;

    /// This set for a Tempo that is known to be 3.0 or newer, or to be older.
    #[must_use]
    pub const fn of_tempo(self, since_3: bool) -> Self {
        Self(self.0 | if since_3 { Self::TEMPO_3 } else { Self::TEMPO_2 })
    }

    /// Whether a division by zero is an error of the query's alone, and a power takes no longer for large numbers:
    /// since Tempo 3.0 (its changes 6580 and 6581). Without a version `tempo-3` says so.
    pub const fn checks_arithmetic(self) -> bool {
        self.0 & Self::TEMPO_3 != 0 || self.has(Feature::Tempo3) && self.0 & Self::TEMPO_2 == 0
    }

    /// This set with `feature`.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature as u32)
    }

    /// Whether `feature` is in the set.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u32) != 0
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        features.into_iter().fold(Self::NONE, Self::with)
    }
}
