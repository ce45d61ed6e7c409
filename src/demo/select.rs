//! Which label sets a selector selects.

use super::data::Labels;
use crate::lang::matcher::MatchOp;
use regex::Regex;

/// A pattern that is not understood here as the backend understands it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the demo cannot match the pattern `{0}`")]
pub struct PatternError(String);

/// A pattern over a whole value, as Prometheus, Loki and Tempo (since 2.7) anchor it
/// (`model/labels/regexp.go`: `^(?s:…)$`).
///
/// # Errors
/// [`PatternError`] for what is no pattern, or means something else in RE2: the `regex` crate has
/// operations on classes (`&&`, `--`, `~~`, classes in classes) that RE2 takes literally.
pub fn anchored(pattern: &[u8]) -> Result<Regex, PatternError> {
    let text = as_re2(pattern)?;
    Regex::new(&format!("^(?s:{text})$")).map_err(|_| PatternError(text.into()))
}

/// A pattern over any part of a text, as Loki's line filters match.
///
/// # Errors
/// As [`anchored`].
pub fn anywhere(pattern: &[u8]) -> Result<Regex, PatternError> {
    let text = as_re2(pattern)?;
    Regex::new(text).map_err(|_| PatternError(text.into()))
}

fn as_re2(pattern: &[u8]) -> Result<&str, PatternError> {
    let error = || PatternError(String::from_utf8_lossy(pattern).into_owned());
    let text = std::str::from_utf8(pattern).map_err(|_| error())?;
    let mut in_class = false;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'[' if in_class => return Err(error()),
            b'[' => {
                in_class = true;
                bytes.next_if_eq(&b'^');
                // In both a `]` here is literal; such a class is not worth its reading.
                if bytes.peek() == Some(&b']') {
                    return Err(error());
                }
            }
            b']' => in_class = false,
            _ => {}
        }
    }
    if ["&&", "--", "~~"].iter().any(|o| text.contains(o)) { Err(error()) } else { Ok(text) }
}

/// A selector's matchers, ready to be tried.
#[derive(Clone, Debug)]
pub struct Selection(Vec<(String, Test)>);

#[derive(Clone, Debug)]
enum Test {
    Equal(Vec<u8>),
    NotEqual(Vec<u8>),
    Regex(Regex),
    NotRegex(Regex),
}

impl Selection {
    /// The label sets that all `matchers` match: label, comparison, value.
    ///
    /// # Errors
    /// [`PatternError`]
    pub fn new<'a>(
        matchers: impl IntoIterator<Item = (&'a str, MatchOp, &'a [u8])>,
    ) -> Result<Self, PatternError> {
        let matchers = matchers.into_iter().map(|(name, op, value)| {
            let test = match op {
                MatchOp::Equal => Test::Equal(value.to_vec()),
                MatchOp::NotEqual => Test::NotEqual(value.to_vec()),
                MatchOp::Regex => Test::Regex(anchored(value)?),
                MatchOp::NotRegex => Test::NotRegex(anchored(value)?),
            };
            Ok((name.to_owned(), test))
        });
        Ok(Self(matchers.collect::<Result<_, _>>()?))
    }

    /// Whether `labels` are selected. A label that is not there has the empty value.
    pub fn takes(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(name, test)| {
            let value = labels.get(name).map_or("", String::as_str);
            match test {
                Test::Equal(wanted) => value.as_bytes() == wanted,
                Test::NotEqual(unwanted) => value.as_bytes() != unwanted,
                Test::Regex(pattern) => pattern.is_match(value),
                Test::NotRegex(pattern) => !pattern.is_match(value),
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn takes(op: MatchOp, value: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        Selection::new([("tenant", op, value.as_bytes())]).unwrap().takes(&labels)
    }

    #[test]
    fn all_four_comparisons_and_the_absent_label() {
        let acme = [("tenant", "acme-books")];
        let longer = [("tenant", "acme-books-eu")];
        assert!(takes(MatchOp::Equal, "acme-books", &acme) && !takes(MatchOp::Equal, "acme-books", &longer));
        assert!(
            takes(MatchOp::NotEqual, "acme-books", &longer) && takes(MatchOp::NotEqual, "acme-books", &[])
        );
        assert!(
            takes(MatchOp::Regex, "acme-books|b", &acme) && !takes(MatchOp::Regex, "acme-books|b", &longer)
        );
        assert!(takes(MatchOp::NotRegex, "acme.*", &[]) && !takes(MatchOp::NotRegex, "acme.*", &longer));
        assert!(takes(MatchOp::Regex, ".*", &[]) && !takes(MatchOp::Regex, ".+", &[]));
    }

    #[test]
    fn patterns_that_re2_reads_otherwise_are_refused() {
        for odd in ["[a-z&&[^b]]", "[a[b]]", "[]a[b]]", "[a--b]", "a~~b", "(", "\\C"] {
            assert!(anchored(odd.as_bytes()).is_err(), "{odd}");
        }
        for plain in ["a\\[b", "[a-z]+", "a|b"] {
            assert!(anchored(plain.as_bytes()).is_ok(), "{plain}");
        }
    }
}
