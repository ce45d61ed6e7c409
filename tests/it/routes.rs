//! Each route that a real backend registers has its row: it is served, or refused for a reason. The routes
//! are those of `tests/routes`, which `just routes` holds against the backends' source.

use palisade::api::{Endpoint, Kind, Method, Refused};
use std::path::Path;

/// One route of a backend.
struct Route {
    /// The methods; none: any.
    methods: Vec<String>,
    path: String,
}

fn routes(kind: Kind) -> Vec<Route> {
    let file = format!("tests/routes/{kind}.txt");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let route = |line: &str| {
        let (methods, path) = line.split_once(' ').unwrap();
        let methods = methods.split(',').filter(|m| *m != "ANY").map(str::to_owned).collect();
        Route { methods, path: path.to_owned() }
    };
    text.lines().map(route).collect()
}

/// Whether two paths are the same but for the names of their variables.
fn same(template: &str, path: &str) -> bool {
    let plain = |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    template.split('/').map(plain).eq(path.split('/').map(plain))
}

/// Whether the row is of `path`, and of `method` if it names any.
fn refuses(row: &Refused, method: Option<&str>, path: &str) -> bool {
    let (of, template) = row.path.split_once(' ').map_or((None, row.path), |(m, p)| (Some(m), p));
    let fits = match template.strip_suffix('*') {
        Some(start) => path.starts_with(start) || same(start.trim_end_matches('/'), path),
        None => same(template, path),
    };
    fits && of.is_none_or(|of| method.is_none_or(|method| of.split(',').any(|one| one == method)))
}

fn serves(row: &Endpoint, method: Option<&str>, path: &str) -> bool {
    let has = |method| match method {
        "GET" => row.methods.has(Method::Get),
        "POST" => row.methods.has(Method::Post),
        "DELETE" => row.methods.has(Method::Delete),
        _ => false,
    };
    // A handler that takes any method means the one that reads.
    same(row.path, path) && method.is_none_or(has)
}

#[test]
fn each_route_of_the_backends_has_a_row() {
    let mut missing = Vec::new();
    for kind in Kind::ALL {
        for route in routes(kind) {
            let methods: Vec<Option<&str>> = match route.methods.is_empty() {
                true => vec![None],
                false => route.methods.iter().map(|method| Some(method.as_str())).collect(),
            };
            for method in methods {
                let served = kind.endpoints().iter().any(|row| serves(row, method, &route.path));
                let refused = kind.refused().iter().any(|row| refuses(row, method, &route.path));
                if !served && !refused {
                    missing.push(format!("{kind}: {} {}", method.unwrap_or("ANY"), route.path));
                }
            }
        }
    }
    assert!(missing.is_empty(), "without a row:\n{}", missing.join("\n"));
}

#[test]
fn each_endpoint_is_a_route_of_its_backend() {
    for kind in Kind::ALL {
        let routes = routes(kind);
        // Methods of a gRPC service are no routes of the HTTP server.
        let rows = kind.endpoints().iter().filter(|row| !row.path.starts_with("/tempopb."));
        for row in rows {
            let of_row = |route: &Route| same(row.path, &route.path);
            assert!(routes.iter().any(of_row), "{kind} has no {}", row.path);
        }
    }
}
