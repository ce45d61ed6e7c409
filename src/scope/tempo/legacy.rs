//! The search of before TraceQL, `tags`, `minDuration` and `maxDuration`, said in TraceQL.
//!
//! Tempo's own matches over whole traces (`makePipelineWithRowGroups` in
//! `tempodb/encoding/vparquet4/block_search.go`): each tag may be met by another span, and the tenant of none of
//! them is asked. So each tag becomes a filter of its own, joined by `&&`, and every filter gets the scope. What
//! differs: tags of no column of Tempo's must there be met within one resource, here within the trace; and columns
//! that an operator dedicates are there searched for parts of values, here for whole ones.

use crate::api::parameters::Parameters;
use crate::lang::Features;
use crate::lang::core::quote::{push_pattern, push_quoted};
use crate::lang::traceql::go_duration;
use crate::rejection::Rejection;
use crate::scope::reply::TagScope;
use std::borrow::Cow;

/// The query that a search asks with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query<'a> {
    /// TraceQL; empty where nothing is asked for by name.
    pub text: Cow<'a, str>,
    /// Whether it was said in the older way, which is answered without spans.
    pub legacy: bool,
}

/// Reads the parameters of a search. Tempo ignores durations beside `q`.
///
/// # Errors
/// [`Rejection::Parameter`] for `q` and `tags` together, and for what cannot be read.
pub(super) fn query(parameters: &Parameters, features: Features) -> Result<Query<'_>, Rejection> {
    let given = |name: &'static str| parameters.scalar(name).filter(|value| !value.is_empty());
    let (q, tags) = (given("q").unwrap_or(""), given("tags"));
    let durations = durations(given("minDuration"), given("maxDuration"))?;
    match tags {
        Some(_) if !q.is_empty() => Err(Rejection::parameter("tags", "cannot be given together with `q`")),
        _ if !q.is_empty() => Ok(Query { text: Cow::Borrowed(q), legacy: false }),
        None if durations.is_none() => Ok(Query { text: Cow::Borrowed(""), legacy: false }),
        _ => {
            let mut filters = read(tags.unwrap_or(""))?
                .iter()
                .map(|(k, v)| filter(k, v, features))
                .collect::<Result<Vec<_>, _>>()?;
            filters.extend(durations);
            Ok(Query { text: Cow::Owned(filters.join(" && ")), legacy: true })
        }
    }
}

/// The filter of a trace's least and greatest duration, in whole milliseconds as Tempo takes them.
fn durations(least: Option<&str>, greatest: Option<&str>) -> Result<Option<String>, Rejection> {
    let milliseconds = |name: &'static str, text: Option<&str>| {
        let refused = || Rejection::parameter(name, "is no duration, write one such as `1.5s` or `100ms`");
        let read =
            |text: &str| go_duration(text).map(|nanoseconds| nanoseconds / 1_000_000).ok_or_else(refused);
        text.map(read).transpose().map(|read| read.filter(|ms| *ms > 0))
    };
    let (least, greatest) = (milliseconds("minDuration", least)?, milliseconds("maxDuration", greatest)?);
    match (least, greatest) {
        (None, None) => Ok(None),
        (Some(least), None) => Ok(Some(format!("{{ traceDuration >= {least}ms }}"))),
        (None, Some(greatest)) => Ok(Some(format!("{{ traceDuration <= {greatest}ms }}"))),
        (Some(least), Some(greatest)) if least > greatest => {
            Err(Rejection::parameter("maxDuration", "must be greater than `minDuration`"))
        }
        (Some(least), Some(greatest)) => {
            Ok(Some(format!("{{ traceDuration >= {least}ms && traceDuration <= {greatest}ms }}")))
        }
    }
}

/// The filter that finds a span with the tag.
fn filter(key: &str, value: &str, features: Features) -> Result<String, Rejection> {
    let part = |subject: &str| {
        let mut pattern = String::from(".*");
        push_pattern(&mut pattern, value);
        pattern.push_str(".*");
        let mut text = format!("{{ {subject} =~ ");
        push_quoted(&mut text, &pattern);
        text + " }"
    };
    let whole = || {
        let mut quoted = String::new();
        push_quoted(&mut quoted, value);
        format!("{{ resource.{key} = {quoted} || span.{key} = {quoted} }}")
    };
    Ok(match key {
        "name" => part("name"),
        "root.name" => part("rootName"),
        "root.service.name" => part("rootServiceName"),
        // What is no status is taken for one that is not set.
        "status.code" => match value {
            "ok" | "error" => format!("{{ status = {value} }}"),
            _ => "{ status = unset }".to_owned(),
        },
        column => match TagScope::of_column(column, features) {
            // A number in a column of numbers, else a text elsewhere.
            Some(scope) if TagScope::is_number(column) => match value.parse::<u32>() {
                Ok(number) => format!("{{ {scope}.{column} = {number} }}"),
                Err(_) => whole(),
            },
            Some(scope) => part(&format!("{scope}.{column}")),
            None => whole(),
        },
    })
}

/// The tags of `text`, which is logfmt: `key=value key="a value"`.
///
/// Stricter than Tempo's reader (`github.com/go-logfmt/logfmt`): each key has a value, and consists of letters,
/// digits and `. _ : @ / -`, which a query can name without quotes.
fn read(text: &str) -> Result<Vec<(&str, Cow<'_, str>)>, Rejection> {
    let refused = |problem: &'static str| Rejection::parameter("tags", problem);
    let mut tags: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let mut rest = text.trim_matches(' ');
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or(refused("must be logfmt, such as `key=value`"))?;
        let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'@' | b'/' | b'-');
        if key.is_empty() || !key.bytes().all(named) || key.contains("//") || key.contains("/*") {
            return Err(refused("has a key that cannot be searched for, use `q` with TraceQL"));
        }
        let (value, after) = value(after).ok_or(refused("has a malformed value"))?;
        if value.chars().any(char::is_control) {
            return Err(refused("has a control character in a value"));
        }
        if tags.iter().any(|(other, _)| *other == key) {
            return Err(refused("has a tag twice"));
        }
        tags.push((key, value));
        rest = match after.strip_prefix(' ') {
            Some(after) => after.trim_start_matches(' '),
            None if after.is_empty() => after,
            None => return Err(refused("has a malformed value")),
        };
    }
    Ok(tags)
}

/// The value at the start of `text`, and what follows.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c <= ' ').unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return (!value.contains(['=', '"'])).then_some((Cow::Borrowed(value), after));
    };
    let mut escaped = false;
    let end = quoted.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })?;
    // Quoted as in JSON.
    let value: String = serde_json::from_str(text.get(..end + 2)?).ok()?;
    Some((Cow::Owned(value), text.get(end + 2..)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use crate::api::path::route;
    use crate::lang::Feature;
    use crate::limits::Limits;

    fn translated(pairs: &[(&str, &str)]) -> Result<(String, bool), Rejection> {
        translated_for(Features::NONE, pairs)
    }

    fn translated_for(features: Features, pairs: &[(&str, &str)]) -> Result<(String, bool), Rejection> {
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let search = route(Kind::Tempo, "/api/search").unwrap().endpoint;
        let parameters = Parameters::read(search, Some(&encoded), None, &Limits::default()).unwrap();
        query(&parameters, features).map(|query| (query.text.into_owned(), query.legacy))
    }

    fn tags(text: &str) -> String {
        translated(&[("tags", text)]).unwrap().0
    }

    #[test]
    fn atk_49_tags_become_filters_of_their_own() {
        for (text, expected) in [
            ("service.name=shop", r#"{ resource.service.name =~ ".*shop.*" }"#),
            ("name=\"GET /a.b\"", r#"{ name =~ ".*GET /a\\.b.*" }"#),
            ("http.status_code=500", "{ span.http.status_code = 500 }"),
            (
                "http.status_code=5xx",
                r#"{ resource.http.status_code = "5xx" || span.http.status_code = "5xx" }"#,
            ),
            ("status.code=error", "{ status = error }"),
            ("status.code=nonsense", "{ status = unset }"),
            ("root.name=x", r#"{ rootName =~ ".*x.*" }"#),
            ("a=b  c=d", r#"{ resource.a = "b" || span.a = "b" } && { resource.c = "d" || span.c = "d" }"#),
            (r#"a="b \"c\" \\ }""#, r#"{ resource.a = "b \"c\" \\ }" || span.a = "b \"c\" \\ }" }"#),
            ("a=", r#"{ resource.a = "" || span.a = "" }"#),
            ("tenant=b", r#"{ resource.tenant = "b" || span.tenant = "b" }"#),
        ] {
            assert_eq!(tags(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_a_column_is_a_matter_of_the_version() {
        let three: Features = [Feature::Tempo3].into_iter().collect();
        let tag = |features, text| translated_for(features, &[("tags", text)]).unwrap().0;
        for (text, two, later) in [
            (
                "http.response.status_code=500",
                r#"{ resource.http.response.status_code = "500" || span.http.response.status_code = "500" }"#,
                "{ span.http.response.status_code = 500 }",
            ),
            (
                "server.port=x",
                r#"{ resource.server.port = "x" || span.server.port = "x" }"#,
                r#"{ resource.server.port = "x" || span.server.port = "x" }"#,
            ),
            ("http.status_code=500", "{ span.http.status_code = 500 }", "{ span.http.status_code = 500 }"),
            (
                "http.route=/a",
                r#"{ resource.http.route = "/a" || span.http.route = "/a" }"#,
                r#"{ span.http.route =~ ".*/a.*" }"#,
            ),
            ("pod=a", r#"{ resource.pod =~ ".*a.*" }"#, r#"{ resource.pod = "a" || span.pod = "a" }"#),
        ] {
            assert_eq!(
                (tag(Features::NONE, text).as_str(), tag(three, text).as_str()),
                (two, later),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_are_of_whole_traces_in_whole_milliseconds() {
        for (least, greatest, expected) in [
            ("1.5s", "", "{ traceDuration >= 1500ms }"),
            ("", "1m", "{ traceDuration <= 60000ms }"),
            ("100us", "2ms", "{ traceDuration <= 2ms }"),
            ("1s", "1s", "{ traceDuration >= 1000ms && traceDuration <= 1000ms }"),
        ] {
            let found = translated(&[("minDuration", least), ("maxDuration", greatest)]).unwrap();
            assert_eq!(found, (expected.to_owned(), true));
        }
        let both = translated(&[("tags", "name=x"), ("minDuration", "1s")]).unwrap().0;
        assert_eq!(both, r#"{ name =~ ".*x.*" } && { traceDuration >= 1000ms }"#);
        for bad in [("minDuration", "1"), ("maxDuration", "1d"), ("minDuration", "-1s"), ("minDuration", "x")]
        {
            assert!(translated(&[bad]).is_err(), "{bad:?}");
        }
        assert!(translated(&[("minDuration", "2s"), ("maxDuration", "1s")]).is_err());
    }

    #[test]
    fn what_is_no_logfmt_is_refused() {
        for bad in [
            "a",
            "=b",
            "a=b=c",
            "a=b\"",
            "\"a\"=b",
            "a b=c",
            "a=b a=c",
            "a=\"b",
            "a=\"b\"c",
            "a=\"\\x\"",
            "a//b=c",
            "{a=b",
            "a=\"b\\nc\"",
            "ä=b",
            "a)=b",
            "a=b\tc=d",
        ] {
            assert!(translated(&[("tags", bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_search_is_said_in_one_way() {
        assert!(translated(&[("q", "{}"), ("tags", "a=b")]).is_err());
        assert_eq!(translated(&[("q", "{}"), ("minDuration", "1s")]).unwrap(), ("{}".into(), false));
        for empty in [&[][..], &[("tags", "")], &[("q", ""), ("minDuration", "")]] {
            assert_eq!(translated(empty).unwrap(), (String::new(), false));
        }
    }
}
