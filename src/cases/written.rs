//! A request and what becomes of it, written as a case.

use super::ask::{Asking, Request, ask};
use super::run::shown;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The entry of a file of cases that says what becomes of `request`, asked of `backend` by a caller with `claims`.
/// Texts are written as in JSON, which YAML reads.
pub fn case(asking: &Asking<'_>, backend: &str, claims: &Map<String, Value>, request: &Request) -> String {
    let target = request.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
    let line = format!("{} {}{target}", request.method, request.path);
    let mut text = String::new();
    let _ = writeln!(text, "  - name: {}", json!(line));
    let _ = writeln!(text, "    claims: {}", Value::Object(claims.clone()));
    let _ = writeln!(text, "    backend: {}", json!(backend));
    let _ = writeln!(text, "    request: {}", json!(line));
    if !request.headers.is_empty() {
        let headers: Map<String, Value> =
            request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let _ = writeln!(text, "    headers: {}", Value::Object(headers));
    }
    if let Some(form) = &request.form {
        let _ = writeln!(text, "    form: {}", json!(form));
    }
    match shown(&ask(asking, claims, request)).as_slice() {
        [one] if one.starts_with("refused: ") || one.starts_with("answered: ") => {
            let _ = writeln!(text, "    {one}");
        }
        lines => {
            text.push_str("    call: |-\n");
            for line in lines {
                let _ = writeln!(text, "      {line}");
            }
        }
    }
    text
}
