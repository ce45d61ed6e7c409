//! A fake backend that records what reaches it, byte for byte, and answers what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One request, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// `METHOD target`.
    pub line: String,
    /// The header lines, in lower case names, sorted.
    pub headers: Vec<String>,
    /// The body, as text.
    pub body: String,
    /// The body, byte for byte.
    pub bytes: Vec<u8>,
}

/// A backend. It ends with its value.
pub struct FakeUpstream {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<Answers>>,
    server: JoinHandle<()>,
}

/// What is answered to what.
struct Answers {
    /// By how the request's line starts; the first that fits.
    to: Vec<(String, Answer)>,
    /// Else.
    otherwise: Answer,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status line after `HTTP/1.1 `.
    pub status: &'static str,
    /// Header lines.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it takes.
    pub delay: Duration,
    /// Whether the body comes in chunks, its length not told before.
    pub chunked: bool,
}

impl Answer {
    /// 200 with a JSON body.
    pub fn json(body: &str) -> Self {
        Self::of("200 OK", "application/json", body.as_bytes())
    }

    /// `status` with a body of `content_type`.
    pub fn of(status: &'static str, content_type: &str, body: &[u8]) -> Self {
        let headers = vec![format!("Content-Type: {content_type}")];
        Self { status, headers, body: body.to_vec(), delay: Duration::ZERO, chunked: false }
    }

    /// With its body in chunks.
    #[must_use]
    pub fn in_chunks(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// With one more header line.
    #[must_use]
    pub fn with(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }
}

impl FakeUpstream {
    /// Starts a backend that answers an empty success of Prometheus.
    pub async fn start() -> Self {
        Self::start_at(None).await
    }

    /// Starts one that speaks TLS.
    pub async fn start_tls(tls: TlsAcceptor) -> Self {
        Self::start_at(Some(tls)).await
    }

    async fn start_at(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let otherwise = Answer::json(r#"{"status":"success","data":[]}"#);
        let answers = Arc::new(Mutex::new(Answers { to: Vec::new(), otherwise }));
        let server = tokio::spawn(accept(listener, tls, Arc::clone(&received), Arc::clone(&answers)));
        Self { url, received, answers, server }
    }

    /// Where it is: `http://127.0.0.1:PORT`, or `https`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Answers this from now on.
    pub fn answer(&self, answer: Answer) {
        self.answers.lock().unwrap().otherwise = answer;
    }

    /// Answers this from now on to requests whose line, `METHOD target`, starts with `line`.
    pub fn answer_to(&self, line: &str, answer: Answer) {
        self.answers.lock().unwrap().to.insert(0, (line.to_owned(), answer));
    }

    /// What arrived since the last call.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }

    /// The one request that arrived since the last call.
    pub fn take_one(&self) -> Received {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<Answers>>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, received, answers) = (tls.clone(), Arc::clone(&received), Arc::clone(&answers));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, received, answers).await,
                Some(tls) => serve(tls.accept(stream).await.ok()?, received, answers).await,
            }
        });
    }
}

/// Reads requests with a `Content-Length` at most: Palisade sends no others.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<Answers>>,
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
        let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        let mut headers: Vec<String> = lines.map(str::to_owned).collect();
        headers.sort();
        assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
        let length =
            headers.iter().find_map(|h| h.strip_prefix("content-length: ")).map_or(0, |v| v.parse().unwrap());
        while buffer.len() < end + 4 + length {
            stream.read_buf(&mut buffer).await.ok()?;
        }
        let bytes = buffer[end + 4..end + 4 + length].to_vec();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        buffer.drain(..end + 4 + length);
        let answer = {
            let answers = answers.lock().unwrap();
            let special = answers.to.iter().find(|(start, _)| line.starts_with(start));
            special.map_or_else(|| answers.otherwise.clone(), |(_, answer)| answer.clone())
        };
        received.lock().unwrap().push(Received { line, headers, body, bytes });
        tokio::time::sleep(answer.delay).await;
        let framing = match answer.chunked {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {}", answer.body.len()),
        };
        let mut out = format!("HTTP/1.1 {}\r\n{framing}\r\n", answer.status);
        for header in &answer.headers {
            out.push_str(header);
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
        stream.write_all(out.as_bytes()).await.ok()?;
        if answer.chunked {
            for half in answer.body.chunks(answer.body.len().div_ceil(2).max(1)) {
                stream.write_all(format!("{:x}\r\n", half.len()).as_bytes()).await.ok()?;
                stream.write_all(&[half, b"\r\n"].concat()).await.ok()?;
                stream.flush().await.ok()?;
            }
            stream.write_all(b"0\r\n\r\n").await.ok()?;
        } else {
            stream.write_all(&answer.body).await.ok()?;
        }
        stream.flush().await.ok()?;
    }
}
