//! A fake backend that is called by gRPC, and a client that calls so.

use super::authority::Authority;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// One call, as it arrived.
#[derive(Clone, Debug)]
pub struct Called {
    /// `METHOD path`.
    pub line: String,
    /// The header lines, sorted.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Called {
    /// The one message of the body, which is not compressed.
    pub fn message(&self) -> &[u8] {
        let length = u32::from_be_bytes(self.body[1..5].try_into().unwrap()) as usize;
        assert_eq!((self.body[0], self.body.len()), (0, 5 + length));
        &self.body[5..]
    }
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These trailers, which end it.
    Trailers(Vec<(&'static str, &'static str)>),
    /// These bytes, again and again.
    Endless(Vec<u8>),
    /// Nothing more.
    Never,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct GrpcAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub parts: Vec<Part>,
}

impl GrpcAnswer {
    /// These messages and a good end.
    pub fn of<M: AsRef<[u8]>>(messages: impl IntoIterator<Item = M>) -> Self {
        let messages = messages.into_iter().map(|message| Part::Bytes(framed(message.as_ref())));
        Self::parts(messages.chain([Part::Trailers(vec![("grpc-status", "0")])]))
    }

    /// These parts.
    pub fn parts(parts: impl IntoIterator<Item = Part>) -> Self {
        let headers = vec![("content-type", "application/grpc")];
        Self { status: 200, headers, parts: parts.into_iter().collect() }
    }

    /// A refusal in the head alone.
    pub fn refusal(code: &'static str, text: &'static str) -> Self {
        let mut answer = Self::parts([]);
        answer.headers.extend([("grpc-status", code), ("grpc-message", text)]);
        answer
    }
}

/// A message in its frame.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

/// A backend. It ends with its value.
pub struct FakeGrpc {
    url: String,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    calls: Mutex<Vec<Called>>,
    answer: Mutex<VecDeque<GrpcAnswer>>,
    sent: AtomicUsize,
    cancelled: AtomicUsize,
}

impl FakeGrpc {
    /// Starts a backend that answers nothing, and well.
    pub async fn start() -> Self {
        Self::start_at(None).await
    }

    /// Starts one that speaks TLS, and HTTP/2 only where the handshake agrees on it.
    pub async fn start_tls(tls: TlsAcceptor) -> Self {
        let mut config = rustls::ServerConfig::clone(tls.config());
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start_at(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_at(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            calls: Mutex::default(),
            answer: Mutex::new([GrpcAnswer::of::<Vec<u8>>([])].into()),
            sent: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
        });
        let server = tokio::spawn(accept(listener, tls, Arc::clone(&state)));
        Self { url, state, server }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Answers this from now on.
    pub fn answer(&self, answer: GrpcAnswer) {
        self.answer_in_turn([answer]);
    }

    /// Answers each of these once, and the last from then on.
    pub fn answer_in_turn(&self, answers: impl IntoIterator<Item = GrpcAnswer>) {
        *self.state.answer.lock().unwrap() = answers.into_iter().collect();
    }

    /// What arrived since the last call of this.
    pub fn take(&self) -> Vec<Called> {
        std::mem::take(&mut self.state.calls.lock().unwrap())
    }

    /// The one call that arrived since the last call of this.
    pub fn take_one(&self) -> Called {
        let mut all = self.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    /// How many parts were asked for.
    pub fn sent(&self) -> usize {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// How many answers were given up before their end.
    pub fn cancelled(&self) -> usize {
        self.state.cancelled.load(Ordering::SeqCst)
    }
}

impl Drop for FakeGrpc {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, state).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                        serve(stream, state).await;
                    }
                    _ => {}
                },
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<State>) {
    let service = service_fn(move |request| answer(Arc::clone(&state), request));
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut headers: Vec<_> = head.headers.iter().map(line).collect();
    headers.sort();
    let called = Called { line: format!("{} {}", head.method, head.uri.path()), headers, body };
    state.calls.lock().unwrap().push(called);
    let answer = {
        let mut answers = state.answer.lock().unwrap();
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.unwrap()
    };
    let watched = Watched { state, parts: answer.parts.into(), ended: false };
    let body = stream::unfold(watched, |mut watched| async {
        let frame = watched.next().await;
        frame.map(|frame| (Ok(frame), watched))
    });
    let mut response = Response::new(StreamBody::new(body).boxed_unsync());
    *response.status_mut() = answer.status.try_into().unwrap();
    response.headers_mut().extend(headers_of(&answer.headers));
    Ok(response)
}

fn headers_of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

/// An answer that knows when it is given up.
struct Watched {
    state: Arc<State>,
    parts: VecDeque<Part>,
    ended: bool,
}

impl Watched {
    async fn next(&mut self) -> Option<Frame<Bytes>> {
        self.state.sent.fetch_add(1, Ordering::SeqCst);
        match self.parts.pop_front() {
            Some(Part::Bytes(bytes)) => Some(Frame::data(bytes.into())),
            Some(Part::Trailers(trailers)) => Some(Frame::trailers(headers_of(&trailers))),
            Some(Part::Endless(bytes)) => {
                self.parts.push_front(Part::Endless(bytes.clone()));
                Some(Frame::data(bytes.into()))
            }
            Some(Part::Never) => std::future::pending().await,
            None => {
                self.ended = true;
                None
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended {
            self.state.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A connection of a client.
pub struct GrpcClient(SendRequest<Full<Bytes>>);

/// An answer to a client.
#[derive(Debug)]
pub struct GrpcAnswered {
    /// The status of HTTP.
    pub http: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The messages.
    pub messages: Vec<Vec<u8>>,
    /// The trailers; those in the head if there is nothing else.
    pub trailers: HeaderMap,
}

impl GrpcAnswered {
    /// The outcome: its code and its text, as it is encoded.
    pub fn outcome(&self) -> (u16, &str) {
        let text = |name| self.trailers.get(name).map_or("", |value| value.to_str().unwrap());
        (text("grpc-status").parse().unwrap_or_else(|_| panic!("no outcome: {self:?}")), text("grpc-message"))
    }

    /// The code of the outcome.
    pub fn code(&self) -> u16 {
        self.outcome().0
    }
}

impl GrpcClient {
    /// Connects with prior knowledge.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Connects over TLS to who `authority` vouches for, as gRPC does: HTTP/2 must be agreed on.
    pub async fn connect_tls(address: SocketAddr, authority: &Authority) -> Self {
        let mut config =
            ClientConfig::builder().with_root_certificates(authority.roots()).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(stream).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// A request with these header lines and this body, its answer not read.
    pub async fn send(&mut self, path: &str, headers: &[&str], body: Vec<u8>) -> Response<Incoming> {
        let mut request = Request::post(format!("http://palisade.test{path}"));
        for line in headers {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        self.0.ready().await.unwrap();
        self.0.send_request(request.body(Full::from(body)).unwrap()).await.unwrap()
    }

    /// A call with this token and message, and these header lines.
    pub async fn call_with(
        &mut self,
        token: &str,
        path: &str,
        headers: &[&str],
        message: &[u8],
    ) -> GrpcAnswered {
        let authorization = format!("authorization: Bearer {token}");
        let mut all = vec!["content-type: application/grpc", "te: trailers", &authorization];
        all.extend(headers);
        read(self.send(path, &all, framed(message)).await).await
    }

    /// A call with this token and message.
    pub async fn call(&mut self, token: &str, path: &str, message: &[u8]) -> GrpcAnswered {
        self.call_with(token, path, &[], message).await
    }
}

/// Reads an answer to its end.
pub async fn read(response: Response<Incoming>) -> GrpcAnswered {
    let (head, body) = response.into_parts();
    let body = tokio::time::timeout(Duration::from_secs(20), body.collect()).await.unwrap().unwrap();
    let trailers = body.trailers().cloned();
    let (bytes, mut messages) = (body.to_bytes(), Vec::new());
    let mut rest = &bytes[..];
    while let Some((prefix, after)) = rest.split_at_checked(5).filter(|_| head.status == 200) {
        let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        assert_eq!(prefix[0], 0);
        messages.push(after[..length].to_vec());
        rest = &after[length..];
    }
    let trailers = trailers.unwrap_or_else(|| head.headers.clone());
    GrpcAnswered { http: head.status.as_u16(), headers: head.headers, messages, trailers }
}
