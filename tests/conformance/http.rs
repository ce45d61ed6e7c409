//! A blocking HTTP/1.1 client over plain loopback sockets.
//!
//! Its own because attacks must say exactly what goes over the wire: the target
//! is sent byte for byte, so `//api/v1/query` and `/api%2Fv1` stay as written,
//! and header lines may repeat or contradict each other.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Where a server listens and which path its API starts under.
#[derive(Clone, Debug)]
pub struct Base {
    /// `host:port`.
    pub authority: String,
    /// Path in front of every route, without a trailing slash; often empty.
    pub prefix: String,
}

impl Base {
    /// A server on a loopback port whose API starts at the root.
    pub fn local(port: u16) -> Self {
        Self { authority: format!("127.0.0.1:{port}"), prefix: String::new() }
    }

    /// The same server with its API below `prefix`.
    pub fn under(&self, prefix: &str) -> Self {
        Self { authority: self.authority.clone(), prefix: format!("{}{prefix}", self.prefix) }
    }

    /// The URL of the API's start.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.prefix)
    }
}

/// One request, sent as it stands.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Path and query, appended to the base's prefix unchanged.
    pub target: String,
    /// Header lines besides `Host`, `Connection` and `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// Sent with a `Content-Length` when not empty or when the method is POST.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET of `path` with `params` percent-encoded into the query.
    pub fn get(path: &str, params: &[(String, String)]) -> Self {
        Self { method: "GET".into(), target: with_query(path, params), ..Self::default() }
    }

    /// A POST of `params` as a form.
    pub fn form(path: &str, params: &[(String, String)]) -> Self {
        Self {
            method: "POST".into(),
            target: path.into(),
            body: encode(params).into_bytes(),
            ..Self::default()
        }
        .header("Content-Type", "application/x-www-form-urlencoded")
    }

    /// The request with one more header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The request with a bearer token, if there is one.
    pub fn bearer(self, token: Option<&str>) -> Self {
        match token {
            Some(token) => self.header("Authorization", &format!("Bearer {token}")),
            None => self,
        }
    }

    /// Sends the request and reads the whole answer.
    pub fn send(&self, base: &Base) -> Result<Answer, String> {
        let mut head = format!(
            "{} {}{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.method, base.prefix, self.target, base.authority
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let framed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        if !framed && (!self.body.is_empty() || self.method == "POST") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        exchange(&base.authority, &bytes)
    }
}

/// An answer, its body already free of transfer framing.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, broken bytes replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, if it is JSON.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The first value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// `path?params`, or `path` alone when there are none.
pub fn with_query(path: &str, params: &[(String, String)]) -> String {
    if params.is_empty() { path.to_owned() } else { format!("{path}?{}", encode(params)) }
}

/// A form or query string of the pairs, in their order.
pub fn encode(params: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// Writes `bytes` to `authority` and reads one answer until the peer closes or
/// the announced length is there.
pub fn exchange(authority: &str, bytes: &[u8]) -> Result<Answer, String> {
    let told = |e: std::io::Error| format!("{authority}: {e}");
    let mut stream = TcpStream::connect(authority).map_err(told)?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(told)?;
    // A server that refuses early may close before all is written; its answer
    // still counts, so a failed write is not the end.
    let written = stream.write_all(bytes);
    let mut raw = Vec::new();
    let read = stream.read_to_end(&mut raw);
    if raw.is_empty() {
        written.map_err(told)?;
        read.map_err(told)?;
    }
    parse(&raw).ok_or_else(|| {
        format!("{authority}: not an HTTP answer: {}", String::from_utf8_lossy(&raw[..raw.len().min(200)]))
    })
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&raw[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(&raw[end + 4..]);
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let rest = &raw[end + 4..];
    let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v.eq_ignore_ascii_case("chunked"));
    let body = if chunked { unchunk(rest)? } else { rest.to_vec() };
    Some(Answer { status, headers, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = rest.get(line + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
