//! Child servers: each in a working directory of its own, on loopback ports
//! nobody else has, gone when the harness is gone.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{Base, Request};

/// Waits for its standard input to end, then ends its own process group, and
/// only that. So a harness that is killed, panics or returns takes its servers
/// with it, without knowing any of their process ids.
const LEASH: &str = r#"("$@"; echo "leash: $0 ended with $?") &
cat >/dev/null; trap "" TERM; kill -TERM 0; sleep 3; kill -KILL 0"#;

/// A running server.
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `program` in `dir` with its output in `dir/log`.
    pub fn start(
        name: &str,
        dir: &Path,
        program: &Path,
        args: &[String],
        env: &[(&str, String)],
    ) -> Result<Self, String> {
        let told = |e: std::io::Error| format!("{name}: {e}");
        std::fs::create_dir_all(dir).map_err(told)?;
        let log = dir.join("log");
        let out = File::create(&log).map_err(told)?;
        let child = Command::new("/bin/sh")
            .args(["-c", LEASH, name])
            .arg(program)
            .args(args)
            .envs(env.iter().map(|(k, v)| (k, v)))
            .current_dir(dir)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().map_err(told)?)
            .stderr(out)
            .spawn()
            .map_err(told)?;
        Ok(Self { name: name.into(), child, log })
    }

    /// Waits until a GET of `path` answers 200, for at most `limit`.
    pub fn ready(&self, base: &Base, path: &str, limit: Duration) -> Result<(), String> {
        let begun = Instant::now();
        let mut last = String::new();
        while begun.elapsed() < limit {
            match Request::get(path, &[]).send(base) {
                Ok(answer) if answer.status == 200 => return Ok(()),
                Ok(answer) => last = format!("{} {}", answer.status, answer.text()),
                Err(error) => last = error,
            }
            if self.log().contains("\nleash: ") {
                break;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        Err(format!(
            "{} is not ready after {} s ({last})\n{}",
            self.name,
            begun.elapsed().as_secs(),
            self.tail()
        ))
    }

    /// Ends it, and waits until it is gone.
    pub fn kill(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }

    /// The whole log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of the log.
    pub fn tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The leash needs its three seconds; nobody waits for them here.
        let _ = self.child.try_wait();
    }
}

/// Loopback ports that were free a moment ago, all different.
pub fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        *port = listener.local_addr().map_err(|e| e.to_string())?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Runs `program` to its end; its output is the error when it fails.
pub fn run(program: &Path, args: &[&str], dir: &Path) -> Result<String, String> {
    let out = Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        Ok(text)
    } else {
        Err(format!(
            "{} {}: {}\n{text}{}",
            program.display(),
            args.join(" "),
            out.status,
            String::from_utf8_lossy(&out.stderr)
        ))
    }
}

/// Writes a file below a directory that is made when missing.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(told)?;
    }
    let mut file = File::create(path).map_err(told)?;
    file.write_all(text.as_bytes()).map_err(told)
}
