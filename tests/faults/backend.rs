//! A backend that does what its script says, byte for byte.

use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One thing that a backend does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these, of which all requests have the same.
    Share(Bytes),
    /// Waits.
    Pause(Duration),
    /// Sends a reset in place of an end.
    Reset,
    /// Ends the connection.
    Close,
    /// Does nothing more, and does not end either.
    Hang,
}

/// What is done to a request: its head in lower case, without the blank line, and its body.
type Script = dyn Fn(&str, &[u8]) -> Vec<Step> + Send + Sync;

/// A backend. It ends with its value.
pub struct Backend {
    address: std::net::SocketAddr,
    script: Arc<Mutex<Arc<Script>>>,
    requests: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Backend {
    /// One that answers each request with an empty success of Prometheus.
    pub async fn start() -> Self {
        Self::start_with(|_, _| vec![json(EMPTY)]).await
    }

    /// One that does what `script` says.
    pub async fn start_with(script: impl Fn(&str, &[u8]) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Script> = Arc::new(script);
        let script = Arc::new(Mutex::new(script));
        let requests = Arc::new(AtomicUsize::new(0));
        let (scripted, counted) = (Arc::clone(&script), Arc::clone(&requests));
        let server = tokio::spawn(async move {
            loop {
                // Out of files, most likely: others will be freed.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, Arc::clone(&scripted), Arc::clone(&counted)));
            }
        });
        Self { address, script, requests, server }
    }

    /// Does this from now on.
    pub fn script(&self, script: impl Fn(&str, &[u8]) -> Vec<Step> + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have reached it in all.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An empty success of Prometheus.
pub const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

/// A whole answer of JSON.
pub fn json(body: &str) -> Step {
    answer("200 OK", "Content-Type: application/json\r\n", body.as_bytes())
}

/// A whole answer with these header lines.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Step {
    let mut all =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    Step::Send(all)
}

/// Reads requests with a `Content-Length` at most: Palisade sends no others.
async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<Arc<Script>>>,
    requests: Arc<AtomicUsize>,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = end + 4 + length.map_or(0, |length| length.parse().unwrap());
        while buffer.len() < whole {
            stream.read_buf(&mut buffer).await.ok()?;
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let script = Arc::clone(&script.lock().unwrap());
        let steps = script(&head, &buffer[end + 4..whole]);
        buffer.drain(..whole);
        for step in steps {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await.ok()?,
                Step::Share(bytes) => stream.write_all(&bytes).await.ok()?,
                Step::Pause(pause) => tokio::time::sleep(pause).await,
                Step::Reset => {
                    stream.set_zero_linger().ok()?;
                    return None;
                }
                Step::Close => return None,
                Step::Hang => std::future::pending().await,
            }
        }
    }
}
