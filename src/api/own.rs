//! What Palisade answers itself, below [`NAME`]: no backend has that name.

use super::{Endpoint, Methods, Treatment, json};

/// The first segment of its paths, and its name in metrics.
pub const NAME: &str = "palisade";

/// The one row. A static, so that it has one address by which it is told.
pub static ENDPOINTS: &[Endpoint] = &[Endpoint {
    name: "me",
    methods: Methods::Get,
    path: "/v1/me",
    parameters: &[],
    // Of the caller alone, and made in `stages::me`: nothing is scoped.
    treatment: Treatment::Static(json("")),
}];

/// The path below [`NAME`], if `path` is one.
pub fn below(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.strip_prefix(NAME).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The endpoint at this path below [`NAME`].
pub fn route(below: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.path == below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_paths_are_those_below_its_name() {
        assert_eq!(below("/palisade/v1/me"), Some("/v1/me"));
        assert_eq!(below("/palisade"), Some(""));
        for other in ["/palisades/v1/me", "palisade/v1/me", "/Palisade/v1/me", "//palisade/v1/me", "/v1/me"] {
            assert_eq!(below(other), None, "{other}");
        }
        assert!(route("/v1/me").is_some_and(|endpoint| endpoint.name == "me"));
        assert!(route("/v1/me/").is_none() && route("").is_none());
    }
}
