//! Large answers, and the memory that they take.

use super::support::issuer::FakeIssuer;
use super::support::proxy::exchange;
use serde_json::json;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of an answer.
const BYTES: usize = 100 << 20;
/// What the server may grow by at most while it passes: buffers of sockets and of a debug build, but no part of the
/// answer that grows with it.
const GROWTH_KB: u64 = 16 * 1024;

/// `palisade serve`, killed with its value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// The most memory that it ever had, in kB (`proc_pid_status(5)`).
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// A backend that writes an answer of [`BYTES`], in chunks where the target says so, and keeps none of it.
async fn backend() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let read = stream.read(&mut request).await.unwrap();
                let chunked = String::from_utf8_lossy(&request[..read]).contains("chunked");
                let framing = match chunked {
                    true => "Transfer-Encoding: chunked".to_owned(),
                    false => format!("Content-Length: {BYTES}"),
                };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.ok()?;
                let part = vec![b' '; 64 * 1024];
                for _ in 0..BYTES / part.len() {
                    if chunked {
                        stream.write_all(b"10000\r\n").await.ok()?;
                    }
                    stream.write_all(&part).await.ok()?;
                    if chunked {
                        stream.write_all(b"\r\n").await.ok()?;
                    }
                }
                if chunked {
                    stream.write_all(b"0\r\n\r\n").await.ok()?;
                }
                Some(())
            });
        }
    });
    url
}

/// How many bytes of a body arrive; the client takes a while before it reads on.
async fn read_slowly(address: &str, target: &str, caller: &str) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{caller}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut part, mut blanks) = (vec![0; 64 * 1024], 0);
    // The head, and what came with it.
    let read = stream.read(&mut part).await.unwrap();
    assert!(part.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&part[..read]));
    tokio::time::sleep(Duration::from_millis(500)).await;
    loop {
        match stream.read(&mut part).await.unwrap() {
            0 => return blanks,
            read => blanks += part[..read].iter().filter(|byte| **byte == b' ').count(),
        }
    }
}

#[tokio::test]
async fn an_answer_of_100_mb_passes_with_flat_memory() {
    let (issuer, url) = (FakeIssuer::start().await, backend().await);
    let free = |_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let [address, admin] = [0, 1].map(free);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    let rule = "rules: [{ name: open, scope: { tenant: claims.tenant } }]";
    std::fs::write(folder.path().join("policies/p.yaml"), rule).unwrap();
    let config = format!(
        "listen: [{{ address: \"{address}\" }}]
admin: {{ address: \"{admin}\" }}
issuers: [{{ url: \"{}\", jwks_url: \"{}\", audiences: [palisade] }}]
backends: {{ prometheus: {{ url: \"{url}\", labels: {{ tenant: tenant }} }} }}
policies: policies
",
        issuer.url(),
        issuer.jwks_url(),
    );
    std::fs::write(folder.path().join("palisade.yaml"), config).unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_palisade"));
    serve.args(["serve", "--config"]).arg(folder.path().join("palisade.yaml"));
    let process = Process(serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let ready = async || {
        TcpStream::connect(admin).await.is_ok()
            && exchange(&admin.to_string(), "GET", "/readyz", &[], "").await.status == 200
    };
    for _ in 0..300 {
        if ready().await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut claims = issuer.claims("acme-books");
    claims["tenant"] = json!("acme-books");
    let caller = format!("Authorization: Bearer {}", issuer.key().token(&claims));
    let target = |query: &str| format!("/prometheus/api/v1/query_range?query={query}&start=1&end=2&step=1");
    let address = address.to_string();
    // What a request needs once is there.
    let refused = exchange(&address, "GET", &target("info(up)"), &[&caller], "").await;
    assert_eq!(refused.status, 400);
    let before = process.peak();
    for query in ["up", "chunked", "up"] {
        let blanks = read_slowly(&address, &target(query), &caller).await;
        assert!(blanks > BYTES - (1 << 20), "{query}: {blanks}");
        let growth = process.peak() - before;
        assert!(growth < GROWTH_KB, "{query}: {growth} kB more than {before} kB");
    }
}
