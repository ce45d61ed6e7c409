//! The page that explains a request, for people.
//!
//! It is one document with its style and script in it, which are named by their digests: a browser runs nothing
//! else, and loads nothing from anywhere. What it shows comes from `POST /-/explain` and is put there as text.

use crate::respond::{Body, full};
use crate::scope::Backend;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderValue, Response};
use std::collections::BTreeSet;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The field for the token that an operator shows, where one is needed.
const ADMIN_TOKEN: &str = r#"<div class="field">
    <label for="admin-token">Admin token</label>
    <input id="admin-token" type="password" required autocomplete="off">
  </div>"#;

/// The page, but for what a configuration says.
pub(super) struct Page {
    /// The document, with places for the backends and the field for the token.
    document: String,
    /// What a browser may do with it.
    security: HeaderValue,
}

impl Page {
    pub fn new() -> Self {
        let document = TEMPLATE.replace("{{style}}", STYLE).replace("{{script}}", SCRIPT);
        let security = format!(
            "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            source(STYLE),
            source(SCRIPT),
        );
        let security =
            HeaderValue::try_from(security).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { document, security }
    }

    /// The page for these backends, with a field for a token where one is needed.
    pub fn answer(&self, backends: &[Backend], needs_token: bool) -> Response<Body> {
        // A name is lower-case letters, digits and dashes: nothing in it means something here.
        let mounts: BTreeSet<&str> = backends.iter().map(|backend| backend.mount.as_str()).collect();
        let options: String = mounts.into_iter().map(|mount| format!("<option>{mount}</option>")).collect();
        let document = self.document.replace("{{backends}}", &options);
        let document = document.replace("{{admin_token}}", if needs_token { ADMIN_TOKEN } else { "" });
        let mut response = Response::new(full(document));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, self.security.clone());
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        for name in ["cross-origin-opener-policy", "cross-origin-resource-policy"] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static("same-origin"));
        }
        response
    }
}

/// A text of the page, as a content security policy names it (CSP level 3, section 2.3.1).
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_nothing_from_elsewhere_and_no_way_to_put_markup_in() {
        let page = Page::new();
        for foreign in ["://", "src=", "href=", "@import", "url("] {
            assert!(!page.document.contains(foreign), "{foreign}");
        }
        for sink in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " on", "style="]
        {
            let in_script = SCRIPT.contains(sink) && sink != " on";
            assert!(!in_script && !TEMPLATE.contains(&format!("{sink}click")), "{sink}");
        }
        let policy = page.security.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        // What is named by its digest is in the document, as it was digested.
        assert!(page.document.contains(&format!("<style>{STYLE}</style>")));
        assert!(page.document.contains(&format!("<script>{SCRIPT}</script>")));
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }

    #[test]
    fn a_field_for_the_token_is_there_where_one_is_needed() {
        let page = Page::new();
        let text = |needed: bool| {
            assert_eq!(page.answer(&[], needed).status(), 200);
            let document = page.document.replace("{{admin_token}}", if needed { ADMIN_TOKEN } else { "" });
            document.contains("id=\"admin-token\"")
        };
        assert!(text(true) && !text(false));
    }
}
