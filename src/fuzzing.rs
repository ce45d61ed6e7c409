//! What the fuzz targets call, and what replays their finds in `cargo test`.
//!
//! Each function takes any bytes and panics if an invariant does not hold. The invariants stand beside
//! the code that they are about.

use crate::api::{Kind, parameters::Parameters, path::route};
use crate::lang;
use crate::limits::Limits;
use crate::scope::reply;

/// The PromQL reader, scoping and proof.
pub fn promql(bytes: &[u8]) {
    with_text(bytes, lang::promql::invariants::check_invariants);
}

/// The LogQL reader, scoping and proof.
pub fn logql(bytes: &[u8]) {
    with_text(bytes, lang::logql::invariants::check_invariants);
}

/// The TraceQL reader, scoping, layout and proof.
pub fn traceql(bytes: &[u8]) {
    with_text(bytes, lang::traceql::invariants::check_invariants);
}

/// The cuts of Tempo's answers.
pub fn tempo_answers(bytes: &[u8]) {
    reply::check_invariants(bytes);
}

/// Paths and parameters: `PATH?QUERY`, and the query once more as a body.
pub fn requests(bytes: &[u8]) {
    with_text(bytes, |text| {
        let (path, query) = text.split_once('?').unwrap_or((text, text));
        for kind in Kind::ALL {
            if let Ok(matched) = route(kind, path) {
                assert!(!matched.variable.contains(['/', '\\', '\0']), "{path:?}");
                assert!(!matches!(&*matched.variable, "." | ".."), "{path:?}");
            }
            for endpoint in kind.endpoints() {
                let read = |url, body| Parameters::read(endpoint, url, body, &Limits::default()).ok();
                for parameters in
                    [read(Some(query), None), read(Some(query), Some(query))].into_iter().flatten()
                {
                    for row in endpoint.parameters {
                        let values: Vec<_> = parameters.list(row.name).collect();
                        assert_eq!(values.first().copied(), parameters.scalar(row.name));
                        assert!(!values.iter().any(|v| v.contains('\0')));
                    }
                }
            }
        }
    });
}

fn with_text(bytes: &[u8], check: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn what_fuzzing_once_found_stays_mended() {
        let targets: [Target; 5] = [
            ("promql", super::promql),
            ("logql", super::logql),
            ("traceql", super::traceql),
            ("tempo_answers", super::tempo_answers),
            ("requests", super::requests),
        ];
        for (name, target) in targets {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions").join(name);
            let files = std::fs::read_dir(&folder).expect("a folder of finds");
            let replayed =
                files.map(|file| target(&std::fs::read(file.expect("a find").path()).expect("its bytes")));
            assert!(replayed.count() > 0, "{name}");
        }
    }
}
