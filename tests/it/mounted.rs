//! `palisade serve` over folders that are mounted as Kubernetes mounts config maps and secrets: each file is a link
//! to `..data/FILE`, `..data` is a link to a folder of one version, and a change renames another link over it.

use crate::support::authority::Authority;
use crate::support::issuer::{Answer, FakeIssuer};
use crate::support::proxy::exchange;
use crate::support::upstream::FakeUpstream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A mounted folder.
struct Mount {
    path: PathBuf,
    version: u32,
}

impl Mount {
    fn new(path: PathBuf, files: &[(&str, &str)]) -> Self {
        fs::create_dir(&path).unwrap();
        let mut mount = Self { path, version: 0 };
        mount.swap(files);
        for (name, _) in files {
            symlink(format!("..data/{name}"), mount.path.join(name)).unwrap();
        }
        mount
    }

    /// Another version, at once.
    fn swap(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        let folder = format!("..{}", self.version);
        fs::create_dir(self.path.join(&folder)).unwrap();
        for (name, text) in files {
            fs::write(self.path.join(&folder).join(name), text).unwrap();
        }
        symlink(&folder, self.path.join("..data_tmp")).unwrap();
        fs::rename(self.path.join("..data_tmp"), self.path.join("..data")).unwrap();
        let before = self.path.join(format!("..{}", self.version - 1));
        if before.exists() {
            fs::remove_dir_all(before).unwrap();
        }
    }
}

/// `palisade serve` over mounts, killed with its value.
struct Served {
    process: Child,
    folder: tempfile::TempDir,
    plain: SocketAddr,
    encrypted: SocketAddr,
    control: SocketAddr,
    issuer: FakeIssuer,
    _prometheus: FakeUpstream,
    config: Mount,
    policies: Mount,
    certificates: Mount,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const OPEN: &str = "rules: [{ name: open, scope: { tenant: claims.tenant } }]";
const SHUT: &str = "rules: [{ name: shut, when: has(claims.nothing), scope: { tenant: claims.tenant } }]";

impl Served {
    async fn start(authority: &Authority) -> Self {
        let (issuer, prometheus) = (FakeIssuer::start().await, FakeUpstream::start().await);
        let free = |_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let [plain, encrypted, admin, control] = [0, 1, 2, 3].map(free);
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "listen: [{{ address: \"{plain}\" }}, {{ address: \"{encrypted}\", tls: {{ cert: ../tls/tls.crt, key: ../tls/tls.key }} }}]
admin: {{ address: \"{admin}\", control: \"{control}\" }}
issuers: [{{ url: \"{}\", jwks_url: \"{}\", audiences: [palisade] }}]
backends: {{ prometheus: {{ url: \"{}\", labels: {{ tenant: tenant }} }} }}
policies: ../policies
",
            issuer.url(),
            issuer.jwks_url(),
            prometheus.url(),
        );
        let signed = authority.sign("127.0.0.1");
        let config = Mount::new(folder.path().join("config"), &[("palisade.yaml", &config)]);
        let policies = Mount::new(folder.path().join("policies"), &[("p.yaml", OPEN)]);
        let pair = [("tls.crt", signed.cert.as_str()), ("tls.key", &signed.key)];
        let certificates = Mount::new(folder.path().join("tls"), &pair);
        let mut serve = Command::new(env!("CARGO_BIN_EXE_palisade"));
        serve.args(["serve", "--log", "info", "--config"]).arg(folder.path().join("config/palisade.yaml"));
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = serve.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let _prometheus = prometheus;
        Self {
            process,
            folder,
            plain,
            encrypted,
            control,
            issuer,
            _prometheus,
            config,
            policies,
            certificates,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    async fn becomes(&self, status: u16) {
        let bearer = format!("Authorization: Bearer {}", self.issuer.token("acme-books"));
        for _ in 0..200 {
            if TcpStream::connect(self.plain).await.is_ok() {
                let target = "/prometheus/api/v1/query?query=up";
                if exchange(&self.plain.to_string(), "GET", target, &[&bearer], "").await.status == status {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never {status}\n{}", self.log());
    }

    /// What a wish for a reload is answered.
    async fn reload(&self) -> (u16, Value) {
        let host = format!("Host: {}", self.control);
        let headers = [host.as_str(), "Content-Type: application/json", "Content-Length: 2"];
        let answer = exchange(&self.control.to_string(), "POST", "/-/reload", &headers, "{}").await;
        (answer.status, answer.json())
    }

    /// Whether the certificate that is shown is vouched for by `authority`.
    async fn shows(&self, authority: &Authority) -> bool {
        let config = ClientConfig::builder().with_root_certificates(authority.roots()).with_no_client_auth();
        let stream = TcpStream::connect(self.encrypted).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.is_ok()
    }
}

#[tokio::test]
async fn what_a_swapped_mount_says_is_served_and_told() {
    let (first, second) = (Authority::new(), Authority::new());
    let mut served = Served::start(&first).await;
    served.becomes(200).await;
    assert!(served.shows(&first).await && !served.shows(&second).await);

    served.policies.swap(&[("p.yaml", SHUT)]);
    served.becomes(403).await;
    let log = served.log();
    assert!(log.contains("rule `shut` added; rule `open` removed"), "{log}");

    let signed = second.sign("127.0.0.1");
    served.certificates.swap(&[("tls.crt", &signed.cert), ("tls.key", &signed.key)]);
    for _ in 0..200 {
        if served.shows(&second).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(served.shows(&second).await && !served.shows(&first).await, "{}", served.log());
    let log = served.log();
    assert!(log.contains("tls/tls.crt` changed; file `"), "{log}");
    served.becomes(403).await;
}

#[tokio::test]
async fn a_reload_that_is_asked_for_is_answered_with_what_came_of_it() {
    let mut served = Served::start(&Authority::new()).await;
    served.becomes(200).await;
    assert_eq!(served.reload().await, (200, json!({ "reloaded": true, "changes": [] })));
    served.policies.swap(&[("p.yaml", SHUT)]);
    let (status, told) = served.reload().await;
    let changes = json!(["rule `shut` added", "rule `open` removed"]);
    // Unless it was seen just before.
    let seen = told["changes"] == json!([]) && served.log().contains("rule `shut` added");
    assert!(status == 200 && (told["changes"] == changes || seen), "{status} {told}");
    served.becomes(403).await;

    served.policies.swap(&[("p.yaml", "rules: [{ name: broken")]);
    let (status, told) = served.reload().await;
    assert_eq!((status, &told["reloaded"]), (422, &json!(false)), "{told}");
    assert!(told["error"].as_str().unwrap().contains("policies/p.yaml:1:"), "{told}");
    served.becomes(403).await;
}

/// A reload waits for the keys of an issuer that is new. What is mounted meanwhile is not forgotten.
#[tokio::test]
async fn what_changes_during_a_reload_is_served_after_it() {
    let mut served = Served::start(&Authority::new()).await;
    served.becomes(200).await;
    let slow = FakeIssuer::start().await;
    slow.answer_jwks(Answer::Never);
    let config = fs::read_to_string(served.config.path.join("palisade.yaml")).unwrap();
    let another = format!(
        "audiences: [palisade] }}, {{ url: \"{}\", jwks_url: \"{}\", audiences: [palisade] }}]",
        slow.url(),
        slow.jwks_url()
    );
    let config = config.replace("audiences: [palisade] }]", &another);
    served.config.swap(&[("palisade.yaml", &config)]);
    for _ in 0..200 {
        if slow.jwks_requests() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(slow.jwks_requests() > 0 && !served.log().contains(" added"), "{}", served.log());
    served.policies.swap(&[("p.yaml", SHUT)]);
    served.becomes(403).await;
}

/// A map that a job writes anew is served without a restart; one that is broken or gone leaves the one before.
#[tokio::test]
async fn a_map_of_the_policies_is_served_anew_when_it_changes() {
    const MAPPED: &str = "maps: { shops: { file: shops.map.yaml } }
rules: [{ name: mapped, when: claims.tenant in maps.shops, scope: { tenant: \"maps.shops[claims.tenant]\" } }]
";
    let mut served = Served::start(&Authority::new()).await;
    served.becomes(200).await;
    served.policies.swap(&[("p.yaml", MAPPED), ("shops.map.yaml", "globex-lit: [globex-lit]")]);
    symlink("..data/shops.map.yaml", served.policies.path.join("shops.map.yaml")).unwrap();
    served.becomes(403).await;
    served.policies.swap(&[("p.yaml", MAPPED), ("shops.map.yaml", "acme-books: [acme-books]")]);
    served.becomes(200).await;
    let log = served.log();
    assert!(log.contains("map `shops` changed"), "{log}");
    for broken in [&[("p.yaml", MAPPED), ("shops.map.yaml", "acme-books: [a b")][..], &[("p.yaml", MAPPED)]] {
        served.policies.swap(broken);
        let (status, told) = served.reload().await;
        assert_eq!((status, &told["reloaded"]), (422, &json!(false)), "{told}");
        assert!(told["error"].as_str().unwrap().contains("shops.map.yaml"), "{told}");
        served.becomes(200).await;
    }
}
