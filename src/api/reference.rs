//! The endpoint tables as text, for the README.

use super::{Endpoint, Filter, Form, Kind, Treatment};
use std::fmt::Write as _;

/// Every row of every backend as one Markdown table.
pub fn markdown() -> String {
    let mut table = String::from("| Backend | Endpoint | Methods | Treatment |\n|---|---|---|---|\n");
    for kind in Kind::ALL {
        for endpoint in kind.endpoints() {
            let (methods, path) = (endpoint.methods.allow(), endpoint.path);
            let _ = writeln!(table, "| {kind} | `{path}` | {methods} | {} |", treatment(endpoint));
        }
    }
    table
}

fn treatment(endpoint: &Endpoint) -> String {
    let scoped = endpoint.parameters.iter().filter_map(|p| match p.form {
        Form::Query(_) | Form::Selectors(_) => Some(format!("`{}` is scoped", p.name)),
        Form::OptionalQuery(_) | Form::OptionalSelectors(_) => {
            Some(format!("`{}` is scoped, or added if absent", p.name))
        }
        _ => None,
    });
    let done = match endpoint.treatment {
        Treatment::Scope => None,
        Treatment::Static(_) => Some("answered by Palisade, the same for everyone"),
        Treatment::Filter(filter) => Some(match filter {
            Filter::Trace | Filter::TraceV2 => {
                "decoded and cut to the caller's resource spans; 404 when none is left"
            }
            Filter::Search => "spans are checked again, facts of whole traces are blanked",
            Filter::TagValues => "asked with the scope alone, once a place that an unscoped tag can mean",
            Filter::Metrics => "exemplars are checked again, statistics of all data removed",
        }),
    };
    scoped.chain(done.map(str::to_owned)).collect::<Vec<_>>().join("; ")
}
