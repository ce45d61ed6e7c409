//! The search for values of a tag other than those that are known.
//!
//! Under a hint Tempo lists a value once, and not at all where a span that does not meet the hint had it just
//! before (`distinctAttrCollector` in `tempodb/encoding/vparquet4/block_autocomplete.go`). A search passes no
//! span over.

use super::hint::kept;
use super::scope::Condition;
use super::tag::Tag;
use super::tree::AttributeScope;
use crate::lang::QueryError;
use crate::lang::core::quote::{push_pattern, push_quoted};
use crate::limits::QueryLimits;
use crate::tenant::ScopeMatchers;

/// Asks for a tag's values other than those that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Others {
    /// The tag, as it is written in a filter.
    tag: String,
    /// The caller's conditions that a hint keeps.
    kept: Vec<String>,
    /// Whether values of every type are found at once.
    of_any_type: bool,
    /// Whether the storage may have a column for values of one type, beside which it finds others only if they are
    /// asked for by their type.
    by_type: bool,
}

impl Others {
    /// Values of `tag`, where what a hint keeps of `query` holds.
    ///
    /// # Errors
    /// `defect` if the scope's label is no plain resource attribute.
    pub fn new(
        tag: &Tag,
        query: &str,
        limits: &QueryLimits,
        matchers: &ScopeMatchers,
    ) -> Result<Self, QueryError> {
        let text = tag.canonical();
        let kept = kept(query, limits, &Condition::new(matchers, false)?);
        let mut kept: Vec<String> = kept.into_iter().map(|kept| kept.text).collect();
        // A search shows what is named by its key alone, so that another's value could be taken for the tag's.
        kept.retain(|condition| {
            let subject = condition.split(' ').next().unwrap_or("");
            subject == text || key_of(subject) != key_of(&text)
        });
        // Of events, links and instrumentation Tempo reads those that meet every condition by themselves
        // (`createEventIterator` in `tempodb/encoding/vparquet4/block_traceql.go`), and judges by the first.
        let of_any_type = matches!(
            tag,
            Tag::Attribute {
                scope: AttributeScope::Resource | AttributeScope::Span | AttributeScope::Any,
                ..
            }
        );
        Ok(Self { tag: text, kept, of_any_type, by_type: false })
    }

    /// The same where the storage may have a column of the tag's name (`createSpanIterator` in
    /// `tempodb/encoding/vparquet4/block_traceql.go` reads the column alone for what is compared with nothing).
    #[must_use]
    pub fn by_type(self, by_type: bool) -> Self {
        Self { by_type: by_type && self.of_any_type, ..self }
    }

    /// The key under which a search shows the tag among a span's attributes; none for the span's name, which has
    /// a field of its own.
    pub fn key(&self) -> Option<&str> {
        (self.tag != "name").then(|| key_of(&self.tag))
    }

    /// `{ … }` for spans that have the tag with none of `known`, each its type as Tempo's list says it and its text.
    ///
    /// Attributes are asked for by `!= nil`, so that the storage reads all of them, and what is beside it is
    /// decided span by span. Elsewhere a list of texts is known, and the storage reads the others only.
    pub fn filter<'v>(&self, known: impl IntoIterator<Item = (&'v str, &'v str)>) -> String {
        let tag = &self.tag;
        let (mut texts, mut literals) = (Vec::new(), Vec::new());
        for (kind, text) in known {
            match kind {
                "string" => texts.push(pattern(text)),
                "int" | "float" if is_plain_number(text) => literals.push(text),
                "bool" => literals.push(text),
                _ => {}
            }
        }
        let mut pattern = String::new();
        push_quoted(&mut pattern, &texts.join("|"));
        let mut conditions = self.kept.clone();
        if self.by_type {
            conditions.push(self.of_each_type(&pattern, &literals));
        } else if self.of_any_type {
            conditions.push(format!("{tag} != nil"));
            conditions.extend((!texts.is_empty()).then(|| format!("!({tag} =~ {pattern})")));
            conditions.extend(literals.iter().map(|literal| format!("!({tag} = {literal})")));
        } else if !texts.is_empty() {
            conditions.push(format!("{tag} !~ {pattern}"));
        } else if literals.is_empty() {
            conditions.push(format!("{tag} != nil"));
        } else {
            conditions.extend(literals.iter().map(|literal| format!("{tag} != {literal}")));
        }
        format!("{{ {} }}", conditions.join(" && "))
    }
}

impl Others {
    /// Texts but those of `pattern`, numbers but the `literals`, and truth values.
    fn of_each_type(&self, pattern: &str, literals: &[&str]) -> String {
        let tag = &self.tag;
        let (truths, numbers): (Vec<&str>, Vec<&str>) =
            literals.iter().partition(|literal| matches!(**literal, "true" | "false"));
        let other = |literal: &&str| format!("{tag} != {literal}");
        let other_numbers = |point: bool| {
            let known: Vec<String> = numbers.iter().filter(|n| n.contains('.') == point).map(other).collect();
            known.join(" && ")
        };
        let any = |number: &str| format!("{tag} >= {number} || {tag} < {number}");
        let mut alternatives = match pattern {
            r#""""# => vec![format!("{tag} =~ \".*\"")],
            _ => vec![format!("{tag} !~ {pattern}")],
        };
        // Whole numbers and others are stored apart, and each is read for a comparison with its like.
        alternatives.push(match (other_numbers(false), other_numbers(true)) {
            (whole, other) if whole.is_empty() && other.is_empty() => {
                format!("{} || {}", any("0"), any("0.5"))
            }
            (whole, other) if other.is_empty() => format!("({whole} && ({}))", any("0.5")),
            (whole, other) if whole.is_empty() => format!("({other} && ({}))", any("0")),
            (whole, other) => format!("({whole} && {other})"),
        });
        let unknown = ["true", "false"].into_iter().filter(|truth| !truths.contains(truth));
        alternatives.extend(unknown.map(|truth| format!("{tag} = {truth}")));
        format!("({})", alternatives.join(" || "))
    }
}

/// An attribute's name without its scope; an intrinsic is its own.
fn key_of(tag: &str) -> &str {
    tag.split_once('.').map_or(tag, |(_, name)| name)
}

/// The RE2 pattern of just `text`, in visible characters.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for part in text.split_inclusive(char::is_control) {
        let plain = part.trim_end_matches(char::is_control);
        push_pattern(&mut pattern, plain);
        for control in part.chars().skip(plain.chars().count()) {
            pattern.push_str(&format!("\\x{{{:x}}}", u32::from(control)));
        }
    }
    pattern
}

/// Whether a number is written with digits and a point alone, which every reader takes. One that is not is found
/// again, and known then.
fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
