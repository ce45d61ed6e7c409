//! A fake Loki that answers nothing but live tails, and a client for them.

use super::proxy::Proxy;
use futures_util::{SinkExt, StreamExt};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A key, and the lines of an opening handshake with it.
pub const HANDSHAKE: [&str; 4] = [
    "Connection: keep-alive, Upgrade",
    "Upgrade: WebSocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// The backend. It ends with its value.
pub struct FakeTail {
    address: String,
    opened: mpsc::UnboundedReceiver<Opened>,
    refusal: Arc<Mutex<Option<String>>>,
    server: JoinHandle<()>,
}

/// A tail that was opened to it.
pub struct Opened {
    /// `METHOD target`.
    pub line: String,
    /// The header lines, sorted.
    pub headers: Vec<String>,
    /// The connection.
    pub socket: Socket,
}

/// One side's end of a WebSocket.
pub struct Socket(WebSocketStream<TcpStream>);

impl FakeTail {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, opened) = mpsc::unbounded_channel();
        let refusal: Arc<Mutex<Option<String>>> = Arc::default();
        let refused = Arc::clone(&refusal);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, refusal) = (sender.clone(), refused.lock().unwrap().clone());
                tokio::spawn(serve(stream, refusal, sender));
            }
        });
        Self { address, opened, refusal, server }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every handshake is answered by this.
    pub fn refuse(&self, answer: &str) {
        *self.refusal.lock().unwrap() = Some(answer.to_owned());
    }

    /// The next tail that is opened.
    pub async fn next(&mut self) -> Opened {
        timeout(Duration::from_secs(10), self.opened.recv()).await.unwrap().unwrap()
    }

    /// Whether none was opened since.
    pub fn is_unasked(&mut self) -> bool {
        self.opened.try_recv().is_err()
    }
}

impl Drop for FakeTail {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Reads up to the end of a head, and gives it with what came after it.
async fn head(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            read.truncate(end);
            return (String::from_utf8(read).unwrap(), rest);
        }
        let bytes = timeout(Duration::from_secs(10), stream.read_buf(&mut read)).await.unwrap().unwrap();
        assert_ne!(bytes, 0, "{}", String::from_utf8_lossy(&read));
    }
}

async fn serve(mut stream: TcpStream, refusal: Option<String>, opened: mpsc::UnboundedSender<Opened>) {
    let (head, rest) = head(&mut stream).await;
    if let Some(answer) = refusal {
        stream.write_all(answer.as_bytes()).await.unwrap();
        return;
    }
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers: Vec<String> = lines.map(str::to_owned).collect();
    headers.sort();
    let key = headers.iter().find_map(|h| h.strip_prefix("sec-websocket-key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let socket = WebSocketStream::from_partially_read(stream, rest, Role::Server, None).await;
    let _ = opened.send(Opened { line, headers, socket: Socket(socket) });
}

impl Socket {
    /// Opens a tail at `target` with `more` header lines beside the handshake's.
    pub async fn open(proxy: &Proxy, token: &str, target: &str, more: &[&str]) -> Self {
        let mut stream = TcpStream::connect(proxy.running.addresses[0]).await.unwrap();
        let authorization = format!("Authorization: Bearer {token}");
        let lines = HANDSHAKE.iter().chain(more).copied().chain([authorization.as_str()]);
        let lines = lines.collect::<Vec<_>>().join("\r\n");
        let request = format!("GET {target} HTTP/1.1\r\nHost: palisade.test\r\n{lines}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let (head, rest) = head(&mut stream).await;
        let mut answered: Vec<&str> = head.split("\r\n").filter(|l| !l.starts_with("date: ")).collect();
        answered.sort_unstable();
        let expected = [
            "HTTP/1.1 101 Switching Protocols",
            "connection: Upgrade",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "upgrade: websocket",
        ];
        assert_eq!(answered, expected);
        Self(WebSocketStream::from_partially_read(stream, rest, Role::Client, None).await)
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message that is no ping and no pong; `None`: the connection has ended.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match timeout(Duration::from_secs(10), self.0.next()).await.unwrap() {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => return Some(other),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Code and reason of the close that comes next.
    pub async fn closed(&mut self) -> (u16, String) {
        match self.next().await {
            Some(Message::Close(Some(frame))) => (frame.code.into(), frame.reason.as_str().to_owned()),
            other => panic!("{other:?}"),
        }
    }
}
