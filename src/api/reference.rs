//! The endpoint tables as text, for `docs/endpoints.md`.

use super::{Endpoint, Filter, Form, Kind, Methods, Treatment};
use std::fmt::Write as _;

/// Every row of every backend as one Markdown table.
pub fn markdown() -> String {
    let mut table = String::from("| Backend | Endpoint | Methods | Treatment |\n|---|---|---|---|\n");
    for kind in Kind::ALL {
        for endpoint in kind.endpoints() {
            let methods = match endpoint.methods {
                Methods::Grpc(_) => "gRPC",
                methods => methods.allow(),
            };
            let path = endpoint.path;
            let _ = writeln!(table, "| {kind} | `{path}` | {methods} | {} |", treatment(endpoint));
        }
    }
    table
}

/// What is refused of what the backends register, as one Markdown table.
pub fn refused_markdown() -> String {
    let mut table = String::from("| Backend | Route | Why it is refused |\n|---|---|---|\n");
    for kind in Kind::ALL {
        for refused in kind.refused() {
            let _ = writeln!(table, "| {kind} | `{}` | {} |", refused.path, refused.why);
        }
    }
    table
}

fn treatment(endpoint: &Endpoint) -> String {
    let scoped = endpoint.parameters.iter().filter_map(|p| match p.form {
        Form::Query(_) | Form::Selectors(_) | Form::SelectorsOr(..) => {
            Some(format!("`{}` is scoped", p.name))
        }
        Form::SelectorOrAll(_) => Some(format!("`{}` is scoped, `{{}}` becomes the scope", p.name)),
        Form::TargetLabels => {
            Some(format!("`{}` is added if absent, so that the scope adds no label", p.name))
        }
        Form::OptionalQuery(_) | Form::OptionalSelectors(_) => {
            Some(format!("`{}` is scoped, or added if absent", p.name))
        }
        Form::Hint => Some(format!("of `{}` what is surely read is kept beside the scope", p.name)),
        Form::Translated(to) => Some(format!("`{}` is translated to `{to}`", p.name)),
        Form::Read(_) => {
            Some(format!("`{}` is read, and sent without the scope: no data is asked for", p.name))
        }
        Form::Matchers
            if matches!(endpoint.treatment, Treatment::Filter(Filter::Alerts | Filter::AlertGroups)) =>
        {
            (p.name == "filter").then(|| "the scope is added to `filter`".to_owned())
        }
        _ => None,
    });
    let done = match endpoint.treatment {
        Treatment::Scope | Treatment::ScopeIf(..) | Treatment::Read => None,
        Treatment::ScopeUnless(feature) => {
            return joined(scoped, Some(format!("not served with `{feature}`")));
        }
        Treatment::Tail => Some("a WebSocket, opened anew to the backend; its messages pass one way"),
        Treatment::Static(_) => Some("answered by Palisade, the same for everyone"),
        Treatment::Filter(filter) => Some(match filter {
            Filter::Trace => "decoded and cut to the caller's resource spans; 404 when none is left",
            Filter::TraceV2 => {
                "decoded and cut to the caller's resource spans; a trace of none when none is left"
            }
            Filter::Search => "spans are checked again, facts of whole traces are blanked",
            Filter::TagNames => "those that the caller's spans show, which searches confirm",
            Filter::TagNamesV1 => "made from the newer one, with the scope alone",
            Filter::TagValues => {
                "asked with the scope, once a place that an unscoped tag can mean; what Tempo's list leaves out is searched for"
            }
            Filter::TagValuesV1 => "made from the newer one, with the scope alone",
            Filter::Metrics => "labels and exemplars are checked again, statistics of all data removed",
            Filter::Alerts | Filter::AlertGroups => {
                "alerts are checked again, their states are those that the caller's own silences and alerts make"
            }
            Filter::Rules if endpoint.parameters.iter().any(|p| p.name == "group_limit") => {
                "rules that say the caller's tenant, and those with alerts of the caller's; paged afterwards"
            }
            Filter::Metadata => {
                "what the caller's targets say of the names that the caller has; limited afterwards"
            }
            Filter::RemoteRead => "each query is scoped by a pattern; each series of the answer is checked",
            Filter::Rules => "rules that say the caller's tenant, and those with alerts of the caller's",
            Filter::FiringAlerts => "cut to the caller's alerts",
            Filter::Version => "of what the backend says of itself, its version",
            Filter::Drilldown => "whether there are patterns, and the version; no limits",
            Filter::Receivers => "made from the receivers of the caller's alerts",
            Filter::Silences => "cut to the caller's silences",
            Filter::Silence => "404 unless it is the caller's",
            Filter::SilenceWrite => "gets the scope as a matcher; a change needs the caller's own silence",
            Filter::SilenceExpire => "404 unless it is the caller's, which is looked up first",
        }),
    };
    let needs = endpoint.needs().map(|feature| format!("only with the feature `{feature}`"));
    joined(scoped, done.map(str::to_owned).into_iter().chain(needs))
}

fn joined(scoped: impl Iterator<Item = String>, done: impl IntoIterator<Item = String>) -> String {
    scoped.chain(done).collect::<Vec<_>>().join("; ")
}
