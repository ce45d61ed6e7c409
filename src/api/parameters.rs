//! From the text of URL and body to the parameters of an endpoint.
//!
//! Backends differ in how they read odd pairs: some drop them, some take the first of two, some the
//! last, some the URL's and some the body's. So whatever two readers could read differently is refused
//! here, and the request that is sent has each parameter once (Go's `net/http` `ParseForm` and
//! `FormValue` are what all four backends read with).

use super::{Endpoint, Form};
use crate::limits::Limits;
use crate::rejection::Rejection;
use std::borrow::Cow;

/// The listed parameters of one request, decoded, each scalar once.
#[derive(Debug, Default)]
pub struct Parameters {
    given: Vec<Given>,
    /// How many pairs had a name that the endpoint does not list.
    pub dropped: usize,
}

#[derive(Debug)]
struct Given {
    name: &'static str,
    value: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Url,
    Body,
}

impl Parameters {
    /// Reads the query of the URL and the form of the body.
    ///
    /// A scalar twice in one place is refused. In both places: equal is fine; different is refused for
    /// query texts and times, else the body's is taken. Lists are the union of both.
    ///
    /// # Errors
    /// [`Rejection::Parameter`] or [`Rejection::Malformed`] for what two readers could read
    /// differently, [`Rejection::TooLarge`] over the cap on pairs.
    pub fn read<'t>(
        endpoint: &'static Endpoint,
        url: Option<&'t str>,
        body: Option<&'t str>,
        limits: &Limits,
    ) -> Result<Self, Rejection> {
        let pairs = |text: Option<&'t str>| text.unwrap_or("").split('&').filter(|p| !p.is_empty());
        // A pair has a byte at least, so most requests are too short for too many.
        let bytes = |text: Option<&str>| text.map_or(0, str::len);
        if bytes(body) + bytes(url) > limits.parameter_pairs
            && pairs(body).chain(pairs(url)).count() > limits.parameter_pairs
        {
            let (max, key) = (limits.parameter_pairs, "`limits.parameter_pairs`");
            return Err(Rejection::TooLarge { what: "parameter pairs", max, key });
        }
        let mut parameters = Self { given: Vec::with_capacity(4), dropped: 0 };
        // The body first: its values win, and come first in lists, as in Go.
        for (text, place) in [(body, Place::Body), (url, Place::Url)] {
            for pair in pairs(text) {
                parameters.take(endpoint, pair, place)?;
            }
        }
        Ok(parameters)
    }

    /// The parameters of a message, each given once under its name in the row; empty texts are none,
    /// and what the row drops.
    ///
    /// # Errors
    /// [`Rejection::Parameter`] for what the row refuses, [`Rejection::Malformed`] for a control character,
    /// [`Rejection::Defect`] for a name that it does not list.
    pub fn of_message(
        endpoint: &'static Endpoint,
        fields: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, Rejection> {
        let mut given = Vec::with_capacity(4);
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            match listed(endpoint, name) {
                Some((name, Form::Refused(why))) => return Err(Rejection::parameter(name, why)),
                Some((_, Form::Dropped)) => {}
                Some((name, _)) if is_text(&value) => given.push(Given { name, value, place: Place::Body }),
                Some(_) => return Err(Rejection::Malformed("a field has a control character")),
                None => {
                    return Err(Rejection::Defect(format!("`{}` has no `{name}`", endpoint.name)));
                }
            }
        }
        Ok(Self { given, dropped: 0 })
    }

    /// The value of a scalar.
    pub fn scalar(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|g| g.name == name).map(|g| g.value.as_str())
    }

    /// The values of a list.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.given.iter().filter(move |g| g.name == name).map(|g| g.value.as_str())
    }

    fn take(&mut self, endpoint: &'static Endpoint, pair: &str, place: Place) -> Result<(), Rejection> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name)?, decoded(value)?);
        let Some((name, form)) = listed(endpoint, &name) else {
            self.dropped += 1;
            return Ok(());
        };
        if let Form::Refused(why) = form {
            return Err(Rejection::parameter(name, why));
        }
        let is_list = matches!(
            form,
            Form::Selectors(_)
                | Form::OptionalSelectors(_)
                | Form::SelectorsOr(..)
                | Form::ReadSelectors(_)
                | Form::Matchers
                | Form::List
                | Form::Shards
        );
        if !is_list {
            let mut earlier = self.given.iter().filter(|g| g.name == name);
            if earlier.clone().any(|g| g.place == place) {
                return Err(Rejection::parameter(name, "is given twice"));
            }
            let must_agree = matches!(
                form,
                Form::Query(_) | Form::OptionalQuery(_) | Form::SelectorOrAll(_) | Form::Read(_) | Form::Time
            );
            if must_agree && earlier.any(|g| g.value != value) {
                return Err(Rejection::parameter(name, "differs between URL and body"));
            }
        }
        self.given.push(Given { name, value: value.into_owned(), place });
        Ok(())
    }
}

/// The row's own name and form for `name`, through an alias if it is one.
fn listed(endpoint: &'static Endpoint, name: &str) -> Option<(&'static str, Form)> {
    let parameter = endpoint.parameters.iter().find(|p| p.name == name)?;
    match parameter.form {
        Form::Alias(of) => listed(endpoint, of),
        form => Some((parameter.name, form)),
    }
}

/// Decodes one name or value of a form, strictly.
fn decoded(raw: &str) -> Result<Cow<'_, str>, Rejection> {
    let escapes = |b: &u8| matches!(b, b'%' | b'+' | b';') || !b.is_ascii_graphic();
    let Some(plain) = raw.bytes().position(|b| escapes(&b)) else { return Ok(Cow::Borrowed(raw)) };
    let mut bytes = Vec::with_capacity(raw.len());
    let (start, rest) = raw.as_bytes().split_at(plain);
    bytes.extend_from_slice(start);
    let mut rest = rest.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            // Go drops such a pair, or fails the whole form, depending on the handler.
            b';' => return Err(Rejection::Malformed("a semicolon in a parameter must be written %3B")),
            b'%' => match rest.as_slice() {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    rest = after.iter();
                    digit(*high) << 4 | digit(*low)
                }
                _ => return Err(Rejection::Malformed("a parameter has a bad percent escape")),
            },
            other => other,
        });
    }
    let text =
        String::from_utf8(bytes).map_err(|_| Rejection::Malformed("a parameter is not valid UTF-8"))?;
    if !is_text(&text) {
        return Err(Rejection::Malformed("a parameter has a control character"));
    }
    Ok(Cow::Owned(text))
}

/// Whether `text` has no control characters but those of white space.
fn is_text(text: &str) -> bool {
    // Those beyond ASCII are two bytes in UTF-8, the first of them this one.
    let may_be_control = |b: u8| b.is_ascii_control() || b == 0xc2;
    !text.bytes().any(may_be_control)
        || !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// What a hexadecimal digit stands for.
fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use crate::api::path::route;

    fn endpoint(kind: Kind, path: &str) -> &'static Endpoint {
        route(kind, path).unwrap().endpoint
    }

    fn read(url: &str, body: &str) -> Result<Parameters, Rejection> {
        let query = endpoint(Kind::Prometheus, "/api/v1/query");
        Parameters::read(query, Some(url), Some(body), &Limits::default())
    }

    #[test]
    fn values_are_decoded_and_unlisted_names_dropped() {
        let p = read("quer%79=a%2Bb+c%26d&x=1&extra_filters[]=y&Query=z", "").unwrap();
        assert_eq!(p.scalar("query"), Some("a+b c&d"));
        assert_eq!(p.dropped, 3);
    }

    #[test]
    fn atk_07_a_scalar_twice_in_one_place_is_refused() {
        for (url, body) in [
            ("query=&query=up", ""),
            ("", "query=up&query=up"),
            ("time=1&time=1", ""),
            ("query&query=x", ""),
            ("query=up&query=up", "query=up"),
            ("limit=1&limit=3", "limit=2"),
        ] {
            assert!(matches!(read(url, body), Err(Rejection::Parameter { .. })), "{url} {body}");
        }
    }

    #[test]
    fn atk_08_a_query_that_differs_between_url_and_body_is_refused() {
        assert!(read("query=up", "query=up").is_ok());
        assert!(matches!(read("query=up", "query=down"), Err(Rejection::Parameter { .. })));
        assert!(matches!(read("query=", "query=down"), Err(Rejection::Parameter { .. })));
        assert!(matches!(read("time=1", "time=2"), Err(Rejection::Parameter { .. })));
        assert_eq!(read("limit=1", "limit=2").unwrap().scalar("limit"), Some("2"));
    }

    #[test]
    fn atk_09_0a_0b_lists_are_the_union_of_both_places_and_spellings() {
        let series = endpoint(Kind::Loki, "/loki/api/v1/series");
        let p =
            Parameters::read(series, Some("match[]=a&match=b"), Some("match%5B%5D=c"), &Limits::default());
        assert_eq!(p.unwrap().list("match[]").collect::<Vec<_>>(), ["c", "a", "b"]);
    }

    #[test]
    fn atk_48_the_other_spelling_of_a_scalar_counts_as_the_same() {
        let metrics = endpoint(Kind::Tempo, "/api/metrics/query_range");
        let p = Parameters::read(metrics, Some("q=a&query=b"), None, &Limits::default());
        assert!(matches!(p, Err(Rejection::Parameter { .. })));
    }

    #[test]
    fn atk_49_what_a_search_does_not_list_is_never_a_tag() {
        let search = endpoint(Kind::Tempo, "/api/search");
        let p =
            Parameters::read(search, Some("tags=a%3Db&service.name=x&tenant=b"), None, &Limits::default());
        assert_eq!(p.unwrap().dropped, 2);
    }

    #[test]
    fn atk_0k_what_readers_read_differently_is_refused() {
        for url in [
            "a;b=1",
            "query=a;time=1",
            "query=%zz",
            "query=%4",
            "query=%ff",
            "query=a%00",
            "que%ry=1",
            "query=%7f",
        ] {
            assert!(matches!(read(url, ""), Err(Rejection::Malformed(_))), "{url}");
        }
        assert!(read("query=a%0Ab%09c%0D", "").is_ok());
    }

    #[test]
    fn pairs_are_256_and_not_257() {
        assert!(read(&"x=1&".repeat(256), "").is_ok());
        assert!(matches!(read(&"x=1&".repeat(256), "x=1"), Err(Rejection::TooLarge { max: 256, .. })));
        // The size is told before what is wrong with a parameter.
        assert!(matches!(read(&"query=%zz&".repeat(257), ""), Err(Rejection::TooLarge { max: 256, .. })));
    }
}
