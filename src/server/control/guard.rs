//! Who is let in below `/-/`.
//!
//! A browser of somebody who can reach the server can be made to send requests by any page that it shows. So the
//! server is called by its address and no name (a name can be made to lead here), what changes or tells something
//! is JSON, which no form sends, and a page's request must come from our own.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, StatusCode};
use std::net::IpAddr;
use std::path::Path;

/// Bytes of the shortest and the longest token.
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 32..=1024;

/// The token that an operator shows, by its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken([u8; 32]);

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken")
    }
}

impl AdminToken {
    /// Reads it from a file; whitespace around it is not its own.
    ///
    /// # Errors
    /// What is wrong with the file. Shows nothing of it.
    pub fn load(path: &Path) -> Result<Self, String> {
        let about = |problem: String| format!("{}: {problem}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| about(error.to_string()))?;
        Self::of(text.trim()).map_err(about)
    }

    fn of(token: &str) -> Result<Self, String> {
        if !TOKEN_BYTES.contains(&token.len()) {
            let (least, most) = (TOKEN_BYTES.start(), TOKEN_BYTES.end());
            return Err(format!("an admin token has {least} to {most} bytes"));
        }
        Ok(Self(hashed(token)))
    }

    /// Whether `shown` is the token; as fast for a token that nearly is.
    fn is(&self, shown: &str) -> bool {
        verify_slices_are_equal(&self.0, &hashed(shown)).is_ok()
    }
}

fn hashed(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// Why somebody is not let in.
type Refusal = (StatusCode, String);

fn refusal<T>(status: StatusCode, text: &str) -> Result<T, Refusal> {
    Err((status, text.to_owned()))
}

/// Lets through requests to an address, or to `localhost`, from no other page than ours.
pub fn place(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = one(headers, HOST).and_then(|host| host.parse::<Authority>().ok());
    let Some(host) = host.filter(|host| !host.as_str().contains('@') && is_address(host.host())) else {
        return refusal(
            StatusCode::MISDIRECTED_REQUEST,
            "call this server by its IP address, or as localhost",
        );
    };
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    if one(headers, ORIGIN).is_some_and(|origin| origin == format!("http://{host}")) {
        return Ok(());
    }
    refusal(StatusCode::FORBIDDEN, "requests of other origins are not taken")
}

/// The one header of that name, if it is text.
fn one(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut given = headers.get_all(name).into_iter();
    let first = given.next()?.to_str().ok()?;
    given.next().is_none().then_some(first)
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok()
}

/// Lets through JSON.
pub fn json(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = one(headers, CONTENT_TYPE).unwrap_or("").to_ascii_lowercase();
    let (media_type, parameter) = text.split_once(';').unwrap_or((&text, ""));
    if media_type.trim() == "application/json" && matches!(parameter.trim(), "" | "charset=utf-8") {
        return Ok(());
    }
    refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send `Content-Type: application/json`")
}

/// Lets through who shows the token, where one is needed.
pub fn token(needed: Option<&AdminToken>, shown: Option<&str>) -> Result<(), Refusal> {
    match (needed, shown) {
        (None, _) => Ok(()),
        (Some(needed), Some(shown)) if needed.is(shown) => Ok(()),
        (Some(_), Some(_)) => refusal(StatusCode::FORBIDDEN, "the admin token is not accepted"),
        (Some(_), None) => refusal(StatusCode::FORBIDDEN, "an `admin_token` is needed in the body"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn placed(pairs: &[(&'static str, &str)]) -> u16 {
        let pairs = pairs.iter().map(|(name, value)| {
            (HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap())
        });
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        place(&headers).map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn a_server_that_is_called_by_a_name_answers_nothing() {
        for host in ["localhost", "localhost:9095", "127.0.0.1:9095", "[::1]:9095", "10.1.2.3"] {
            assert_eq!(placed(&[("host", host)]), 200, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:9095",
            "127.0.0.1.nip.example",
            "",
            "a@127.0.0.1",
            "LOCALHOST.",
        ] {
            assert_eq!(placed(&[("host", host)]), 421, "{host}");
        }
        assert_eq!(placed(&[]), 421);
        assert_eq!(placed(&[("host", "127.0.0.1"), ("host", "127.0.0.1")]), 421);
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let from = |origin: &str| placed(&[("host", "127.0.0.1:9095"), ("origin", origin)]);
        assert_eq!(from("http://127.0.0.1:9095"), 200);
        for origin in [
            "null",
            "",
            "http://127.0.0.1",
            "http://127.0.0.1:9096",
            "https://127.0.0.1:9095",
            "http://localhost:9095",
            "http://127.0.0.1:9095.evil.example",
        ] {
            assert_eq!(from(origin), 403, "{origin}");
        }
        let host = ("host", "127.0.0.1:9095");
        assert_eq!(placed(&[host, ("origin", "http://127.0.0.1:9095"), ("origin", "null")]), 403);
    }

    #[test]
    fn a_body_is_json_or_refused() {
        let of = |value: &'static str| {
            json(&HeaderMap::from_iter([(CONTENT_TYPE, http::HeaderValue::from_static(value))])).is_ok()
        };
        assert!(of("application/json") && of("Application/JSON; charset=UTF-8"));
        assert!(!of("text/plain") && !of("application/json; boundary=x") && !of("application/jsonp"));
        assert!(json(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_token_of_32_bytes_is_taken_and_one_of_31_is_none() {
        assert!(AdminToken::of(&"t".repeat(31)).is_err() && AdminToken::of(&"t".repeat(1025)).is_err());
        assert!(AdminToken::of(&"t".repeat(1024)).is_ok());
        let needed = AdminToken::of(&"t".repeat(32)).unwrap();
        assert!(token(Some(&needed), Some(&"t".repeat(32))).is_ok());
        for shown in [None, Some(""), Some("ttt"), Some(&*"t".repeat(33)), Some(&*"u".repeat(32))] {
            assert!(token(Some(&needed), shown).is_err(), "{shown:?}");
        }
        assert!(token(None, None).is_ok());
        assert_eq!(format!("{needed:?}"), "AdminToken");
    }
}
