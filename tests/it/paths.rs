//! Every endpoint has one path and one spelling of it: no other is served, and none reaches a backend.

use super::support::proxy::Proxy;
use palisade::api::{Endpoint, Kind};

/// The path of a row, below its mount.
fn path(row: &Endpoint) -> String {
    let id = "0b4b6e2c-9a6f-4b0e-8c5d-1f2a3b4c5d6e";
    let filled = row.path.replace("{label}", "note").replace("{field}", "note").replace("{silence}", id);
    let filled = filled.replace("{tag}", "span.note").replace("{trace}", "0af7651916cd43dd8448eb211c80319c");
    assert!(!filled.contains('{'), "{filled}");
    filled
}

/// The endpoints of HTTP, each with its mount and path.
fn endpoints() -> impl Iterator<Item = (Kind, String)> {
    let rows =
        Kind::ALL.into_iter().flat_map(|kind| kind.endpoints().iter().map(move |row| (kind, path(row))));
    rows.filter(|(_, path)| !path.starts_with("/tempopb."))
}

/// Targets that two readers of paths could take for `/MOUNT/PATH`, or that only begin or end as it does.
fn spellings(mount: Kind, path: &str) -> Vec<String> {
    let (head, end) = path.rsplit_once('/').unwrap();
    let below = |rest: String| format!("/{mount}{rest}");
    let capitals = path.to_uppercase();
    let mut all = vec![
        format!("//{mount}{path}"),
        format!("/x/../{mount}{path}"),
        format!("/x/%2e%2e/{mount}{path}"),
        format!("/{}{path}", mount.to_string().to_uppercase()),
        format!("/{mount}%2F{}", path.trim_start_matches('/')),
    ];
    all.extend(
        [
            format!("{path}/"),
            format!("/{path}"),
            format!("/.{path}"),
            format!("/x/..{path}"),
            format!("/x/%2e%2e{path}"),
            format!("/x/.%2E{path}"),
            format!("{path}/%2e%2e/{end}"),
            format!("{path}/../{end}"),
            format!("{head}//{end}"),
            format!("{head}/./{end}"),
            format!("{head}%2F{end}"),
            format!("{head}%5C{end}"),
            format!("{head}%252F{end}"),
            format!("{head};x=y/{end}"),
            format!("{path};x=y"),
            format!("{path}%00"),
            format!("{path}%20"),
            format!("/evil{path}"),
            format!("/evil%00{path}"),
            format!("{path}/evil"),
            format!("{path}_metrics/active_native_histogram_metrics"),
        ]
        .map(below),
    );
    // Of a path that is mounted at `/loki`, nothing changes where it has no letters of its own.
    all.extend((capitals != path).then(|| below(capitals)));
    all
}

/// ATK-02 to ATK-05, ATK-0C, ATK-3F: at no endpoint does a path that is spelled otherwise, or that only begins or ends
/// as a served one does, get anywhere: paths are held against a closed list, segment by segment.
#[tokio::test]
async fn atk_02_to_05_0c_3f_each_endpoint_has_one_spelling() {
    let proxy = Proxy::start().await;
    let mut tried = 0;
    for (mount, path) in endpoints() {
        for target in spellings(mount, &path) {
            let answer = proxy.send("GET", &target, &[], "").await;
            assert!(matches!(answer.status, 400 | 404), "{target}: {} {}", answer.status, answer.text());
            tried += 1;
        }
    }
    assert!(tried > 1_000, "{tried}");
    let reached = proxy.reached();
    assert!(reached.is_empty(), "{reached:?}");
}

/// ATK-3H: no endpoint forgets the policy, whatever the method: who is granted nothing learns nothing.
#[tokio::test]
async fn atk_3h_no_endpoint_is_without_policy() {
    let proxy = Proxy::start().await;
    let nobody = format!("Authorization: Bearer {}", proxy.token(serde_json::json!({ "groups": ["x"] })));
    for (mount, path) in endpoints() {
        for method in ["GET", "POST", "DELETE"] {
            let target = format!("/{mount}{path}");
            let answer = proxy.raw(method, &target, &[&nobody], "").await;
            assert_eq!(answer.status, 403, "{method} {target}: {}", answer.text());
        }
    }
}
