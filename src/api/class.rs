//! What kinds of endpoints there are, as policies name them.

use super::{Endpoint, Filter, Treatment};
use std::fmt;
use std::str::FromStr;

/// A kind of endpoints that a policy rule can grant by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Queries, labels, series, searches.
    Read,
    /// Traces by id, cut to the caller's spans.
    Traces,
    /// Rules and alerts.
    Rules,
    /// Silences, to look at.
    SilencesRead,
    /// Silences, to make, change and expire.
    SilencesWrite,
    /// Beside traces by id: where the spans of others in them are. Granted by name only, at backends that are
    /// configured so.
    TracesRedacted,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [
        Self::Read,
        Self::Traces,
        Self::Rules,
        Self::SilencesRead,
        Self::SilencesWrite,
        Self::TracesRedacted,
    ];

    /// The name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Traces => "traces",
            Self::Rules => "rules",
            Self::SilencesRead => "silences.read",
            Self::SilencesWrite => "silences.write",
            Self::TracesRedacted => "traces.redacted",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no [`Class`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown endpoints `{0}`, use read, traces, rules, silences.read, silences.write, traces.redacted")]
pub struct UnknownClass(String);

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|class| class.name() == name).ok_or_else(|| UnknownClass(name.to_owned()))
    }
}

impl Endpoint {
    /// What a rule must grant for it.
    pub const fn class(&self) -> Class {
        match self.treatment {
            Treatment::Scope
            | Treatment::ScopeIf(..)
            | Treatment::ScopeUnless(_)
            | Treatment::Read
            | Treatment::Tail
            | Treatment::Static(_) => Class::Read,
            Treatment::Filter(filter) => match filter {
                Filter::Trace | Filter::TraceV2 => Class::Traces,
                Filter::Search
                | Filter::TagNames
                | Filter::TagNamesV1
                | Filter::TagValues
                | Filter::TagValuesV1
                | Filter::Metrics
                | Filter::Metadata
                | Filter::Version
                | Filter::Drilldown
                | Filter::RemoteRead => Class::Read,
                Filter::Rules
                | Filter::FiringAlerts
                | Filter::Alerts
                | Filter::AlertGroups
                | Filter::Receivers => Class::Rules,
                Filter::Silences | Filter::Silence => Class::SilencesRead,
                Filter::SilenceWrite | Filter::SilenceExpire => Class::SilencesWrite,
            },
        }
    }
}

/// A set of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Classes(u8);

impl Classes {
    /// What a rule is for that names none: all but what is granted by name only.
    pub const USUAL: Self = Self(0b01_1111);
    /// Of these what changes nothing.
    pub const READING: Self = Self(0b00_1111);

    /// Whether `class` is among them.
    pub const fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u8) != 0
    }

    /// The classes, in order.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| self.has(*class))
    }
}

impl FromIterator<Class> for Classes {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        Self(classes.into_iter().fold(0, |set, class| set | (1 << class as u8)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_no_others() {
        for class in Class::ALL {
            assert_eq!(class.name().parse(), Ok(class));
        }
        assert!("Read".parse::<Class>().unwrap_err().to_string().contains("silences.write"));
    }

    #[test]
    fn to_look_at_a_silence_is_not_to_change_it() {
        use crate::api::{Kind, Method, path::route};
        let class = |path: &str, method| {
            let matched = route(Kind::Alertmanager, path).unwrap().by(Kind::Alertmanager, Some(method));
            matched.unwrap().endpoint.class()
        };
        assert_eq!(class("/api/v2/silences", Method::Get), Class::SilencesRead);
        assert_eq!(class("/api/v2/silences", Method::Post), Class::SilencesWrite);
        assert_eq!(class("/api/v2/silence/x", Method::Get), Class::SilencesRead);
        assert_eq!(class("/api/v2/silence/x", Method::Delete), Class::SilencesWrite);
        assert_eq!(class("/api/v2/alerts/groups", Method::Get), Class::Rules);
    }

    #[test]
    fn a_set_has_what_was_put_in() {
        let some: Classes = [Class::Traces, Class::SilencesWrite].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [Class::Traces, Class::SilencesWrite]);
        let by_name = |class: &Class| *class == Class::TracesRedacted;
        assert_eq!(Class::ALL.into_iter().filter(|c| !by_name(c)).collect::<Classes>(), Classes::USUAL);
        assert!(!Classes::READING.has(Class::SilencesWrite) && Classes::READING.has(Class::SilencesRead));
    }
}
