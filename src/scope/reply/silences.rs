//! Alertmanager's silences, and whose they are.
//!
//! A silence is owned by who has a value of each dimension in exactly one plain equality matcher. Such a
//! silence mutes alerts of that value alone, whatever its other matchers say, because all of them must
//! hold. A pattern never counts, and neither does what is not equal: `tenant!="mine"` mutes everyone else.
//!
//! The shapes are `gettableSilence` and `postableSilence` in `api/v2/openapi.yaml`.

use super::alerts::Labels;
use super::json::Text;
use super::list::{Raw, elements, read};
use super::made::{Account, JSON_TIMES, Made, Model, make, written as put};
use crate::lang::core::nullable;
use crate::rejection::Rejection;
use crate::tenant::{ScopeMatcher, ScopeMatchers};
use serde::{Deserialize, Serialize};

/// Whether `labels` have, for each dimension, a value of the scope.
pub(super) fn owns(owned: &ScopeMatchers, labels: &Labels<'_>) -> bool {
    owned
        .iter()
        .all(|m| labels.iter().any(|(name, value)| *name.0 == *m.label && m.values.contains(&value.0)))
}

/// A silence, as it is posted or answered.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    id: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    status: Option<SilenceStatus<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    updated_at: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    annotations: Option<Labels<'a>>,
    #[serde(borrow)]
    comment: Text<'a>,
    #[serde(borrow)]
    created_by: Text<'a>,
    #[serde(borrow)]
    ends_at: Text<'a>,
    #[serde(borrow)]
    matchers: Vec<SilenceMatcher<'a>>,
    #[serde(borrow)]
    starts_at: Text<'a>,
}

#[derive(Debug, Deserialize, Serialize)]
struct SilenceStatus<'a> {
    #[serde(borrow)]
    state: Text<'a>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct SilenceMatcher<'a> {
    /// Versions before 0.22 know no other.
    #[serde(default = "yes")]
    is_equal: bool,
    is_regex: bool,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
}

impl SilenceMatcher<'_> {
    /// As Alertmanager has it, where what is not equal never counts. What it refuses by itself does not either.
    fn matches_empty(&self) -> bool {
        let value = &*self.value.0;
        let empty = if self.is_regex { nullable::matches_empty(value.as_bytes()) } else { value.is_empty() };
        self.is_equal && empty && !self.name.is_empty()
    }
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, Serialize)]
struct Written<'a> {
    #[serde(borrow, rename = "silenceID")]
    silence_id: Text<'a>,
}

impl<'a> Silence<'a> {
    /// Reads a silence that is posted. Members that are not known are left out of it, and so are those that
    /// only Alertmanager sets.
    ///
    /// # Errors
    /// [`Rejection::Parameter`] if `body` is not the JSON of one.
    pub fn read(body: &'a [u8]) -> Result<Self, Rejection> {
        let read = serde_json::from_slice(body);
        let posted: Self =
            read.map_err(|error| Rejection::parameter("silence", format!("is none: {error}")))?;
        // `null` and "" are no id to Alertmanager either.
        let id = posted.id.filter(|id| !id.is_empty());
        Ok(Self { id, status: None, updated_at: None, ..posted })
    }

    /// The id, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.id.as_ref().map(|id| &*id.0)
    }

    /// Holds the caller's own matchers to what Alertmanager asks of them: one of them at least, and one that does
    /// not match the empty string. A matcher of the scope would satisfy that, and the silence would mute all that the
    /// caller has.
    ///
    /// # Errors
    /// [`Rejection::UpstreamRefused`] in the words of Alertmanager 0.34 (`minItems` in `api/v2/openapi.yaml`,
    /// `validateSilence` and `matchesEmpty` in `silence/silence.go`): nothing is sent, since a version without the rule
    /// would make a silence of everyone's. [`Rejection::TooLarge`] for more than `max` matchers.
    pub fn guard(&self, max: usize) -> Result<(), Rejection> {
        let refused = |status, text: &str| {
            Err(Rejection::UpstreamRefused { status, error_type: None, text: text.to_owned() })
        };
        if self.matchers.len() > max {
            return Err(Rejection::TooLarge {
                what: "matchers of a silence",
                max,
                key: "`limits.parameter_pairs`",
            });
        }
        if self.matchers.is_empty() {
            return refused(422, "matchers in body should have at least 1 items");
        }
        if self.matchers.iter().all(SilenceMatcher::matches_empty) {
            let text = "invalid silence: matcher set 0: at least one matcher must not match the empty string";
            return refused(400, text);
        }
        Ok(())
    }

    /// Makes a posted silence one of the scope: a dimension that has one value and no matcher gets it.
    ///
    /// # Errors
    /// [`Rejection::Parameter`] if that cannot be done: there is a choice, or a matcher that is not the
    /// caller's to set.
    pub fn own(mut self, scope: &ScopeMatchers) -> Result<OwnedSilence<'a>, Rejection> {
        for m in scope.iter() {
            let refuse = |problem: String| Err(Rejection::parameter("matchers", problem));
            let label = &m.label;
            if self.matchers.iter().any(|own| *own.name.0 == **label && !own.is_equal) {
                return refuse(format!("must not exclude values of `{label}`"));
            }
            let values: Vec<&Text<'_>> = self.equal_to(m).collect();
            match (values.as_slice(), m.values.single()) {
                ([value], _) if m.values.contains(&value.0) => {}
                ([_], _) => return refuse(format!("name a `{label}` that is not granted")),
                ([], Some(only)) => self.matchers.push(SilenceMatcher {
                    is_equal: true,
                    is_regex: false,
                    name: Text(label.to_string().into()),
                    value: Text(only.as_str().to_owned().into()),
                }),
                ([], None) => {
                    let choice: Vec<String> = m.values.iter().map(|v| format!("`{label}=\"{v}\"`")).collect();
                    return refuse(format!("must have one of {}", choice.join(", ")));
                }
                _ => return refuse(format!("name `{label}` more than once")),
            }
        }
        match self.is_owned(scope) {
            true => Ok(OwnedSilence { silence: self, scope: scope.clone() }),
            false => Err(Rejection::Defect("a silence lacks the scope".into())),
        }
    }

    /// Whether it is the scope's, and nobody else's.
    pub(super) fn is_owned(&self, scope: &ScopeMatchers) -> bool {
        scope.iter().all(|m| {
            let mut values = self.equal_to(m);
            values.next().is_some_and(|value| m.values.contains(&value.0)) && values.next().is_none()
        })
    }

    /// The values of the plain equality matchers on the label of `m`.
    fn equal_to(&self, m: &ScopeMatcher) -> impl Iterator<Item = &Text<'a>> {
        let label = m.label.clone();
        let plain = move |own: &&SilenceMatcher<'_>| own.is_equal && !own.is_regex && *own.name.0 == *label;
        self.matchers.iter().filter(plain).map(|own| &own.value)
    }
}

/// A posted silence that is one of its scope's. Made by [`Silence::own`] only.
#[derive(Debug)]
pub struct OwnedSilence<'a> {
    silence: Silence<'a>,
    scope: ScopeMatchers,
}

impl OwnedSilence<'_> {
    /// The id of the silence that it changes, if it does.
    pub fn id(&self) -> Option<&str> {
        self.silence.id()
    }

    /// Whose it is.
    pub fn scope(&self) -> &ScopeMatchers {
        &self.scope
    }

    /// As it is posted.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&self.silence)
    }
}

impl Model for ScopeMatchers {
    type Form = ();
    const TIMES: usize = JSON_TIMES;

    fn write(&self, (): (), part: &[u8], out: &mut Vec<u8>) -> Result<bool, Rejection> {
        let silence: Silence<'_> = read(part)?;
        let left = silence.is_owned(self);
        put(&silence, out).map(|()| left)
    }
}

/// The caller's silences in `body`, in the backend's order.
///
/// # Errors
/// [`crate::rejection::UpstreamFault::Undecodable`] if it does not decode.
pub(super) fn cut(owned: &ScopeMatchers, body: Vec<u8>, account: Account) -> Result<Option<Made>, Rejection> {
    make(owned.clone(), body, account, |plan, body| {
        let mut any = false;
        plan.text(b"[")?;
        elements(body, |raw: Raw<'_>| {
            any |= plan.part((), raw.bytes(), any)?;
            Ok(())
        })?;
        plan.text(b"]").map(|()| true)
    })
}

/// The silence in `body`, if it is the caller's.
///
/// # Errors
/// As [`cut`].
pub(super) fn one(owned: &ScopeMatchers, body: &[u8], account: Account) -> Result<Option<Made>, Rejection> {
    account.at_once(body.len(), || {
        let mut out = Vec::new();
        Ok(owned.write((), body, &mut out)?.then_some(out))
    })
}

/// Whether the silence in `body` is the caller's.
///
/// # Errors
/// As [`cut`].
pub(super) fn is_own(owned: &ScopeMatchers, body: &[u8]) -> Result<bool, Rejection> {
    Ok(read::<Silence<'_>>(body)?.is_owned(owned))
}

/// The id that the backend gave the silence that was posted.
///
/// # Errors
/// As [`cut`].
pub(super) fn written(body: &[u8], account: Account) -> Result<Option<Made>, Rejection> {
    account.at_once(body.len(), || {
        let written: Written<'_> = read(body)?;
        let mut out = Vec::new();
        put(&written, &mut out).map(|()| Some(out))
    })
}
