//! Palisade as a child process: configured, bounded, measured, and asked to end.

use super::backend::Backend;
use super::client::get;
use super::signing::{SigningKey, jwks};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

/// Bytes of memory that a row's server may have.
pub const MEMORY: u64 = 512 << 20;

/// The issuer's key. The server reads it from a file.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::p256("faults"));

/// What is configured beside the listeners, the issuer and the policies.
pub struct Settings<'a> {
    /// The entries of `backends`, one a line, indented by two.
    pub backends: String,
    /// More keys at the top of the file.
    pub more: &'a str,
    /// More of the listener's line, each with a comma before it.
    pub listener: &'a str,
    /// The line of the issuer, if it is another.
    pub issuer: Option<String>,
    /// The rules, if others than one for each claim `tenant`.
    pub policy: &'a str,
    /// What the shell does before it becomes the program, such as `ulimit -Sn 256;`.
    pub before: &'a str,
    /// Bytes of memory that it may have.
    pub memory: u64,
}

impl Settings<'_> {
    /// A Prometheus called `prometheus`, which is `backend`, and nothing else out of the ordinary.
    pub fn of(backend: &Backend) -> Self {
        Self {
            backends: format!(
                "  prometheus: {{ url: \"{}\", labels: {{ tenant: tenant }}, timeout: 2s }}\n",
                backend.url()
            ),
            more: "",
            listener: "",
            issuer: None,
            policy: "rules: [{ name: tenants, when: has(claims.tenant), scope: { tenant: claims.tenant } }]\n",
            before: "",
            memory: MEMORY,
        }
    }
}

/// A running server. It is killed with its value.
pub struct Palisade {
    /// Where callers are served.
    pub address: SocketAddr,
    /// Health and metrics.
    pub admin: SocketAddr,
    /// Its configuration, its policies and what the row puts there.
    pub folder: tempfile::TempDir,
    child: Child,
    memory: Arc<Memory>,
}

/// What a thread watches.
struct Memory {
    cap: u64,
    peak: AtomicU64,
    ended: AtomicBool,
}

impl Palisade {
    /// Starts it, and waits until it is ready.
    pub async fn start(settings: &Settings<'_>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings).await
    }

    /// Starts it in a folder that has something in it already.
    pub async fn start_in(folder: tempfile::TempDir, settings: &Settings<'_>) -> Self {
        let mut palisade = Self::spawn(folder, settings);
        palisade.wait_until("/readyz").await;
        palisade
    }

    /// Starts it, and does not wait for the issuer.
    pub async fn start_unready(settings: &Settings<'_>) -> Self {
        let mut palisade = Self::spawn(tempfile::tempdir().unwrap(), settings);
        palisade.wait_until("/healthz").await;
        palisade
    }

    fn spawn(folder: tempfile::TempDir, settings: &Settings<'_>) -> Self {
        let (address, admin) = (free(), free());
        let path = folder.path();
        write(&path.join("keys.json"), &jwks([&*KEY]).to_string());
        std::fs::create_dir_all(path.join("policies")).unwrap();
        write(&path.join("policies/rules.yaml"), settings.policy);
        let issuer = settings.issuer.clone().unwrap_or_else(|| {
            format!(
                "{{ url: \"{ISSUER}\", jwks_file: keys.json, audiences: [palisade], algorithms: [ES256] }}"
            )
        });
        let config = format!(
            "listen: [{{ address: {address}{} }}]\nadmin: {{ address: {admin} }}\nissuers: [{issuer}]\npolicies: policies\n{}\nbackends:\n{}",
            settings.listener, settings.more, settings.backends
        );
        write(&path.join("palisade.yaml"), &config);
        let program = std::env::var_os("PALISADE_FAULTS_PROGRAM")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_palisade")), PathBuf::from);
        let log = File::create(path.join("log")).unwrap();
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("{} exec \"$0\" serve --config palisade.yaml", settings.before)])
            .arg(program)
            .current_dir(path)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let memory =
            Arc::new(Memory { cap: settings.memory, peak: AtomicU64::new(0), ended: AtomicBool::new(false) });
        let (watched, id) = (Arc::clone(&memory), child.id());
        std::thread::spawn(move || watched.watch(id));
        Self { address, admin, folder, child, memory }
    }

    async fn wait_until(&mut self, path: &str) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if get(self.admin, path, "").await.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "it does not start:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never ready:\n{}", self.log());
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The audit log of that name in its folder; the last line may be torn.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        text.lines().map(line).collect()
    }

    /// The value of a series of its metrics, told in full with its labels; 0 if there is none.
    pub async fn metric(&self, series: &str) -> f64 {
        let page = get(self.admin, "/metrics", "").await.unwrap().text();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Seconds of CPU time that it has used, of all its threads.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name, which is in brackets, comes the state, field 3; times are fields 14 and 15, in ticks of
        // 10 ms (proc(5)).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Bytes of memory that it has now.
    pub fn memory(&self) -> u64 {
        status(self.child.id(), "VmRSS:").unwrap_or(0)
    }

    /// The most bytes of memory that it had, which are no more than it may have.
    pub fn peak(&self) -> u64 {
        let peak = self.memory.peak.load(Ordering::SeqCst);
        assert!(peak <= self.memory.cap, "it had {} MiB of memory", peak >> 20);
        peak
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("/bin/sh").args(["-c", &format!("kill -s {name} {}", self.child.id())]).status();
        assert!(sent.unwrap().success());
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How it ended, within that time.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.memory.ended.store(true, Ordering::SeqCst);
                return status;
            }
            assert!(began.elapsed() < within, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Palisade {
    fn drop(&mut self) {
        self.memory.ended.store(true, Ordering::SeqCst);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Memory {
    /// Looks often enough that what is over the cap is seen, and ends the process before the machine suffers.
    fn watch(&self, id: u32) {
        while !self.ended.load(Ordering::SeqCst) {
            // The system's own peak, where it tells one: what is over in between two looks counts, too.
            let now = status(id, "VmRSS:").unwrap_or(0);
            self.peak.fetch_max(status(id, "VmHWM:").unwrap_or(0).max(now), Ordering::SeqCst);
            if now > self.cap.saturating_mul(2) {
                let _ = Command::new("/bin/sh").args(["-c", &format!("kill -s KILL {id}")]).status();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A number of bytes from `/proc/ID/status`.
fn status(id: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

/// What tokens say of their issuer.
pub const ISSUER: &str = "https://issuer.test";

/// The line of a good token with these claims beside the usual ones, for ten minutes.
pub fn bearer(claims: &Value) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mut all = json!({ "iss": ISSUER, "sub": "user", "aud": "palisade", "iat": now, "exp": now + 600 });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    format!("Authorization: Bearer {}\r\n", KEY.token(&all))
}

/// The line of a caller of that tenant.
pub fn caller(tenant: &str) -> String {
    bearer(&json!({ "tenant": tenant }))
}

/// The key set that verifies the tokens.
pub fn keys() -> Value {
    jwks([&*KEY])
}

/// An address on loopback that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn write(path: &Path, text: &str) {
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}
