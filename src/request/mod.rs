//! One request, from its path below the mount to what it asks: the one way for the server, live tails, policy cases and
//! explanations.
//!
//! [`admit`] says what the caller may see of what is asked, and which backend holds it. [`read`] finds the endpoint and
//! reads the parameters. Refusals come in the order of a contract: policy, path, method, content type, size, parameters.

pub mod admit;
pub mod grpc;
pub mod read;

/// What stands before a tenant in a path. No backend can have this name.
const PER_TENANT: &str = "/t/";

/// The tenant of `/t/TENANT/…`, as it was sent, and the path after it: one URL a tenant, for datasources that
/// can set no header.
pub fn per_tenant(path: &str) -> (Option<&str>, &str) {
    let named = path.strip_prefix(PER_TENANT).and_then(|rest| Some(rest.split_at(rest.find('/')?)));
    named.map_or((None, path), |(tenant, below)| (Some(tenant), below))
}

/// The headers of a request.
pub trait Headers {
    /// The values of each line of the header `name`, which is given in lower case.
    fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]>;

    /// The first value, if it is text.
    fn text<'h>(&'h self, name: &'h str) -> Option<&'h str> {
        self.all(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// By name and value, in any case.
impl Headers for Vec<(String, String)> {
    fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let named = self.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_bytes())
    }
}

#[cfg(feature = "proxy")]
impl Headers for http::HeaderMap {
    fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.get_all(name).into_iter().map(http::HeaderValue::as_bytes)
    }
}
