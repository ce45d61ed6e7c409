//! Connections to one backend, kept open between requests.
//!
//! A connection is read and written by the request that has it, in that request's own task: no task runs beside
//! it to be woken for each answer. Whether an idle one still stands shows when the next request takes it; one that is
//! idle for long is closed.

use super::http1::{Broken, Framing, Head, Part};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, Uri};
use hyper::body::{Body, Frame, SizeHint};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::io::poll_read_buf;
use tower::ServiceExt as _;

/// How long a connection may stay idle. Shorter than the times after which the backends' servers close one
/// (Prometheus: 5 minutes, Loki and Tempo: 2 minutes), so that seldom one closes that is about to be used.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that are read at a time, at least.
const READ_BYTES: usize = 16 * 1024;

/// Why a backend gave no answer.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A request, written.
pub(super) struct Written {
    /// Head and body.
    pub bytes: Vec<u8>,
    /// Whether it may be sent a second time, where it is not known what became of the first. If not, it has a new
    /// connection: a backend may be closing an idle one at this very moment.
    pub repeatable: bool,
}

/// The idle connections to the backend at `origin`.
#[derive(Debug)]
pub(super) struct Pool {
    origin: Uri,
    connector: HttpsConnector<HttpConnector>,
    /// How many may be idle, and for how long.
    most: usize,
    patience: Duration,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// The last used last.
    #[expect(clippy::vec_box, reason = "a connection is large, and moves at every request")]
    connections: Vec<Box<Connection>>,
    /// Whether a task closes those that are idle for long.
    reaped: bool,
}

impl Pool {
    /// No connection yet, and never more than `most` idle ones; `origin` is a scheme and an authority.
    pub(super) fn new(origin: Uri, connector: HttpsConnector<HttpConnector>, most: usize) -> Self {
        Self { origin, connector, most, patience: IDLE_TIMEOUT, idle: Mutex::default() }
    }

    /// Sends `request` over an idle connection if it may be repeated, or over a new one. Over a new one, too, if the
    /// backend closed the idle one before a byte of its answer came: it does so without looking for requests on
    /// their way.
    ///
    /// The answer's body may pause for `patience`.
    pub(super) async fn send(
        self: &Arc<Self>,
        request: &Written,
        patience: Duration,
    ) -> Result<Response<Answer>, Failure> {
        while let Some(mut connection) = self.take(request) {
            if !connection.stands().await {
                continue;
            }
            match connection.exchange(&request.bytes).await {
                Ok(head) => return Ok(self.answer(head, connection, patience)),
                Err(_) if request.repeatable && connection.buffer.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.connect().await?;
        let head = connection.exchange(&request.bytes).await?;
        Ok(self.answer(head, connection, patience))
    }

    /// Sends `request`, which asks for another protocol, over a connection of its own.
    pub(super) async fn switch(
        self: &Arc<Self>,
        request: &Written,
        patience: Duration,
    ) -> Result<Result<Switched, Response<Answer>>, Failure> {
        let mut connection = self.connect().await?;
        connection.write(&request.bytes).await?;
        let head = connection.read_head(Head::take_switch).await?;
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Err(self.answer(head, connection, patience)));
        }
        let Connection { stream, buffer, .. } = *connection;
        Ok(Ok(Switched { headers: head.headers, stream, read: buffer.into() }))
    }

    fn answer(
        self: &Arc<Self>,
        head: Head,
        connection: Box<Connection>,
        patience: Duration,
    ) -> Response<Answer> {
        let Head { status, headers, framing, stays } = head;
        let (connection, pool) = (Some(connection), Arc::clone(self));
        let mut answer = Answer { framing, stays, connection, pool, patience, pause: None };
        answer.release();
        let mut response = Response::new(answer);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    async fn connect(&self) -> Result<Box<Connection>, Failure> {
        let stream = TokioIo::new(self.connector.clone().oneshot(self.origin.clone()).await?);
        Ok(Box::new(Connection { stream, buffer: BytesMut::new(), since: Instant::now() }))
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, request: &Written) -> Option<Box<Connection>> {
        if request.repeatable { self.idle().connections.pop() } else { None }
    }

    fn give_back(self: &Arc<Self>, mut connection: Box<Connection>) {
        let since = Instant::now();
        connection.since = since;
        let mut idle = self.idle();
        if idle.connections.len() >= self.most {
            // Of those that are there, this one is the best known to stand; the first goes.
            idle.connections.remove(0);
        }
        idle.connections.push(connection);
        if !std::mem::replace(&mut idle.reaped, true) {
            tokio::spawn(reap(Arc::downgrade(self), since + self.patience));
        }
    }
}

/// Closes connections that are idle for long, until there are none.
async fn reap(pool: Weak<Pool>, mut next: Instant) {
    loop {
        tokio::time::sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        let now = Instant::now();
        let stale = idle.connections.iter().take_while(|c| c.since + pool.patience <= now).count();
        idle.connections.drain(..stale);
        match idle.connections.first() {
            Some(first) => next = first.since + pool.patience,
            None => {
                idle.reaped = false;
                return;
            }
        }
    }
}

/// What is read from and written to.
pub(super) type Stream = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// A connection on which another protocol is spoken from now on.
#[derive(Debug)]
pub(super) struct Switched {
    /// Those of the backend's answer.
    pub headers: HeaderMap,
    /// The connection.
    pub stream: Stream,
    /// What was read of it after the answer.
    pub read: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: Stream,
    /// What was read and not taken.
    buffer: BytesMut,
    /// When it was last given back.
    since: Instant,
}

impl Connection {
    /// Whether nothing came since it was given back: no end, and nothing that nobody asked for.
    async fn stands(&mut self) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(self.poll_read(cx).is_pending())).await
    }

    /// Writes a request, and reads the head of its answer.
    async fn exchange(&mut self, request: &[u8]) -> Result<Head, Failure> {
        let written = self.write(request).await;
        match self.read_head(Head::take).await {
            Ok(head) => {
                // A backend that refuses early need not take the whole of a request.
                Ok(Head { stays: head.stays && written.is_ok(), ..head })
            }
            Err(error) => Err(written.err().map_or(error, Into::into)),
        }
    }

    async fn write(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.stream.flush().await
    }

    async fn read_head(
        &mut self,
        take: fn(&mut BytesMut) -> Result<Option<Head>, Broken>,
    ) -> Result<Head, Failure> {
        loop {
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ended().into());
            }
            if let Some(head) = take(&mut self.buffer)? {
                return Ok(head);
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.reserve(READ_BYTES);
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer)
    }
}

/// The connection ended before the answer did.
fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the backend closed the connection")
}

/// The body of a backend's answer. Read to its end, it gives its connection back; dropped before, it closes it,
/// by which the backend learns that nobody waits any more.
#[derive(Debug)]
pub struct Answer {
    framing: Framing,
    stays: bool,
    connection: Option<Box<Connection>>,
    pool: Arc<Pool>,
    /// How long it may pause.
    patience: Duration,
    /// Runs while it does.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    /// Lets the connection go if the body has ended: back to the others, if it stays open and clean.
    fn release(&mut self) {
        if self.framing.has_ended()
            && let Some(connection) = self.connection.take()
            && self.stays
            && connection.buffer.is_empty()
        {
            self.pool.give_back(connection);
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Part>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(Part::End)) };
        let broken = |broken: Broken| io::Error::new(io::ErrorKind::InvalidData, broken);
        loop {
            let part = self.framing.take(&mut connection.buffer).map_err(broken)?;
            if part != Part::More {
                return Poll::Ready(Ok(part));
            }
            let Poll::Ready(read) = connection.poll_read(cx) else {
                let patience = self.patience;
                let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(patience)));
                ready!(pause.as_mut().poll(cx));
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer pauses")));
            };
            self.pause = None;
            if read? == 0 {
                return Poll::Ready(match self.framing {
                    Framing::Close => Ok(Part::End),
                    Framing::Length(_) | Framing::Chunked(_) => Err(ended()),
                });
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let part = ready!(self.poll_part(cx));
        if !matches!(part, Ok(Part::Data(_))) {
            self.stays &= part.is_ok();
        }
        self.release();
        Poll::Ready(match part {
            Ok(Part::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Part::End | Part::More) => None,
            Err(error) => {
                // Nothing more is to be had of it.
                self.connection = None;
                Some(Err(error.into()))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            Framing::Chunked(_) | Framing::Close => SizeHint::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use hyper_rustls::HttpsConnectorBuilder;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    /// A backend that answers `answers` requests on each connection and then closes it.
    struct Backend {
        pool: Arc<Pool>,
        connections: Arc<AtomicUsize>,
        open: Arc<AtomicUsize>,
    }

    async fn backend(answers: usize, answer: &'static str) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (connections, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, held) = (Arc::clone(&connections), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                held.fetch_add(1, Ordering::SeqCst);
                let held = Arc::clone(&held);
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    for _ in 0..answers {
                        if !matches!(stream.read(&mut request).await, Ok(1..)) {
                            break;
                        }
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    drop(stream);
                    held.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        let tls = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
        let https = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth());
        let pool = Arc::new(Pool::new(origin, https.https_or_http().enable_http1().build(), MOST));
        Backend { pool, connections, open }
    }

    impl Backend {
        async fn ask(&self, repeatable: bool) -> Result<Response<Answer>, Failure> {
            let bytes = b"GET / HTTP/1.1\r\nHost: backend\r\n\r\n".to_vec();
            self.pool.send(&Written { bytes, repeatable }, PATIENCE).await
        }

        async fn answer(&self) -> Response<Answer> {
            self.ask(true).await.unwrap()
        }

        async fn read(&self) -> Bytes {
            self.answer().await.into_body().collect().await.unwrap().to_bytes()
        }

        /// Waits until so many connections are open.
        async fn hold(&self, count: usize) {
            for _ in 0..100 {
                if self.open.load(Ordering::SeqCst) == count {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(self.open.load(Ordering::SeqCst), count, "connections that are open");
        }

        fn opened(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }
    }

    /// Connections that may be idle.
    const MOST: usize = 3;
    const PATIENCE: Duration = Duration::from_millis(300);
    const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const CHUNKED: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n";

    #[tokio::test]
    async fn a_connection_is_used_again_once_its_answer_is_read() {
        for answer in [SHORT, CHUNKED] {
            let backend = backend(usize::MAX, answer).await;
            for _ in 0..3 {
                assert_eq!(backend.read().await, "ok");
            }
            assert_eq!(backend.opened(), 1);
        }
    }

    #[tokio::test]
    async fn an_answer_in_hand_keeps_its_connection() {
        let backend = backend(usize::MAX, SHORT).await;
        let (first, second) = (backend.answer().await, backend.answer().await);
        assert_eq!(backend.opened(), 2);
        for answer in [first, second] {
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
        }
        backend.read().await;
        assert_eq!(backend.opened(), 2);
    }

    #[tokio::test]
    async fn so_many_connections_are_kept_and_not_one_more() {
        for (at_once, kept) in [(MOST, MOST), (MOST + 1, MOST)] {
            let backend = backend(usize::MAX, SHORT).await;
            let mut answers = Vec::new();
            for _ in 0..at_once {
                answers.push(backend.answer().await);
            }
            for answer in answers {
                answer.into_body().collect().await.unwrap();
            }
            backend.hold(kept).await;
            assert_eq!(backend.opened(), at_once);
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_idle_for_long_is_closed_without_another_request() {
        let mut backend = backend(usize::MAX, SHORT).await;
        let pool = Arc::get_mut(&mut backend.pool).unwrap();
        assert_eq!(pool.patience, IDLE_TIMEOUT);
        pool.patience = Duration::from_millis(400);
        for opened in [1, 2] {
            backend.read().await;
            sleep(Duration::from_millis(200)).await;
            backend.read().await;
            sleep(Duration::from_millis(300)).await;
            assert_eq!((backend.opened(), backend.open.load(Ordering::SeqCst)), (opened, 1));
            sleep(Duration::from_millis(300)).await;
            backend.hold(0).await;
        }
    }

    #[tokio::test]
    async fn what_must_not_be_sent_twice_never_meets_a_connection_that_is_being_closed() {
        // Closed with each answer, without a word of it.
        let backend = backend(1, SHORT).await;
        for count in 1..=500 {
            let answer = backend.ask(false).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
            assert_eq!(backend.opened(), count);
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_dropped_closes_its_connection() {
        let backend = backend(usize::MAX, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok").await;
        drop(backend.answer().await);
        backend.hold(0).await;
    }

    #[tokio::test]
    async fn an_answer_may_pause_so_long_and_no_longer() {
        let backend = backend(usize::MAX, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok").await;
        let started = Instant::now();
        let error = backend.answer().await.into_body().collect().await.unwrap_err();
        assert_eq!(error.to_string(), "the answer pauses");
        assert!(started.elapsed() >= PATIENCE);
    }

    #[tokio::test]
    async fn a_connection_that_the_backend_closed_is_not_used() {
        let backend = backend(1, SHORT).await;
        for n in 1..4 {
            assert_eq!(backend.read().await, "ok");
            assert_eq!(backend.opened(), n);
            sleep(Duration::from_millis(20)).await;
        }
    }
}
