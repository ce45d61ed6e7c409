//! Clients: one that asks properly and measures, and bytes for those that do not.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body; of one in chunks, with their lines.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What a query of the usual kind asks for.
pub const QUERY: &str = "/prometheus/api/v1/query?query=up";

/// The bytes of a GET with these further lines, each with its end.
pub fn request(target: &str, lines: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: palisade.test\r\n{lines}\r\n").into_bytes()
}

/// GET over a connection of its own.
pub async fn get(address: SocketAddr, target: &str, lines: &str) -> std::io::Result<Answer> {
    let mut connection = Connection::open(address).await?;
    connection.ask(&request(target, lines)).await
}

/// A connection that asks one thing after the other.
pub struct Connection {
    /// The connection.
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens one.
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends these bytes and reads one answer.
    pub async fn ask(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.answer().await
    }

    /// Reads one answer, within ten seconds.
    pub async fn answer(&mut self) -> std::io::Result<Answer> {
        tokio::time::timeout(Duration::from_secs(10), self.read()).await?
    }

    async fn read(&mut self) -> std::io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        self.buffer.drain(..end + 4);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let length = field("content-length").map(|length| length.parse::<usize>().unwrap());
        if let Some(length) = length {
            while self.buffer.len() < length {
                self.more().await?;
            }
            let body = self.buffer.drain(..length).collect();
            return Ok(Answer { status, head, body });
        }
        let last = b"\r\n0\r\n\r\n";
        if field("transfer-encoding").is_some() {
            while !self.buffer.ends_with(last) && self.buffer != last[2..] {
                self.more().await?;
            }
        }
        Ok(Answer { status, head, body: std::mem::take(&mut self.buffer) })
    }

    async fn more(&mut self) -> std::io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// What came of many requests.
#[derive(Debug, Default)]
pub struct Measured {
    /// The time that each answer took, in order.
    pub times: Vec<Duration>,
    /// The status of each answer; 0 for one that did not come.
    pub statuses: Vec<u16>,
}

impl Measured {
    /// How many had this status.
    pub fn with(&self, status: u16) -> usize {
        self.statuses.iter().filter(|one| **one == status).count()
    }

    /// The time under which this part of the answers came, such as 0.99.
    pub fn part(&self, part: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        let at = (times.len() as f64 * part) as usize;
        times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or(Duration::MAX)
    }

    /// The time under which 99 of 100 answers came.
    pub fn p99(&self) -> Duration {
        self.part(0.99)
    }
}

/// Asks the same over `callers` connections, each a pause after its last answer, for that long.
pub async fn load(
    address: SocketAddr,
    request: Vec<u8>,
    callers: usize,
    pause: Duration,
    length: Duration,
) -> Measured {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let request = request.clone();
        tasks.spawn(async move {
            let (began, mut measured) = (Instant::now(), Measured::default());
            let mut connection = None;
            while began.elapsed() < length {
                let started = Instant::now();
                // A connection that was idle may end as it is used again: then a new one is asked, as any client
                // does (RFC 9112, section 9.3.1).
                let reused = match connection.as_mut() {
                    Some(kept) => Connection::ask(kept, &request).await.ok(),
                    None => None,
                };
                let answered = match reused {
                    Some(answer) => Ok(answer),
                    None => match Connection::open(address).await {
                        Ok(new) => connection.insert(new).ask(&request).await,
                        Err(error) => Err(error),
                    },
                };
                measured.times.push(started.elapsed());
                measured.statuses.push(answered.as_ref().map_or(0, |answer| answer.status));
                if answered.is_err() {
                    connection = None;
                }
                tokio::time::sleep(pause).await;
            }
            measured
        });
    }
    let mut all = Measured::default();
    for mut measured in tasks.join_all().await {
        all.times.append(&mut measured.times);
        all.statuses.append(&mut measured.statuses);
    }
    all
}
