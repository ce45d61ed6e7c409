//! Connections to one backend, kept open between requests.
//!
//! A connection is driven by the request that has it, in that request's own task: no task runs beside it to
//! be woken for each answer. Between requests nothing drives it, and whether it still stands shows when the
//! next request takes it.

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tower::ServiceExt as _;

/// How long a connection may stay idle. Shorter than the times after which the backends' servers close one
/// (Prometheus: 5 minutes, Loki and Tempo: 2 minutes), so that seldom one closes that is about to be used.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

type Driver = http1::Connection<MaybeHttpsStream<TokioIo<TcpStream>>, Full<Bytes>>;

/// Why a backend gave no answer.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The idle connections to the backend at `origin`.
#[derive(Debug)]
pub(super) struct Pool {
    origin: Uri,
    connector: HttpsConnector<HttpConnector>,
    /// The last used last.
    #[expect(clippy::vec_box, reason = "a connection is large, and moves at every request")]
    idle: Mutex<Vec<Box<Connection>>>,
}

impl Pool {
    /// No connection yet; `origin` is a scheme and an authority.
    pub(super) fn new(origin: Uri, connector: HttpsConnector<HttpConnector>) -> Self {
        Self { origin, connector, idle: Mutex::default() }
    }

    /// Sends `request` over an idle connection, or a new one. A request that an idle connection did not take,
    /// because the backend had closed it, goes over the next.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Answer>, Failure> {
        loop {
            let (mut connection, used) = match self.take() {
                Some(connection) => (connection, true),
                None => (self.connect().await?, false),
            };
            match connection.send(request).await {
                Ok(response) => {
                    let pool = Arc::clone(self);
                    return Ok(response.map(|body| Answer { body, connection: Some(connection), pool }));
                }
                Err(mut error) => match error.take_message().filter(|_| used) {
                    Some(untaken) => request = untaken,
                    None => return Err(error.into_error().into()),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Box<Connection>, Failure> {
        let stream = self.connector.clone().oneshot(self.origin.clone()).await?;
        let (sender, driver) = http1::handshake(stream).await?;
        Ok(Box::new(Connection { sender, driver, ended: false, since: Instant::now() }))
    }

    fn take(&self) -> Option<Box<Connection>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().filter(|last| {
            let fresh = last.since.elapsed() < IDLE_TIMEOUT;
            if !fresh {
                // The others were left alone for longer still.
                idle.clear();
            }
            fresh
        })
    }

    fn give_back(&self, mut connection: Box<Connection>) {
        let now = Instant::now();
        connection.since = now;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = idle.iter().take_while(|c| now.duration_since(c.since) >= IDLE_TIMEOUT).count();
        idle.drain(..stale);
        idle.push(connection);
    }
}

/// One connection, with what drives it.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    ended: bool,
    /// When it was last given back.
    since: Instant,
}

impl Connection {
    /// Sends and receives whatever there is to.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // Why it ends is told to the request that waits for an answer, if one does.
        self.ended = self.ended || Pin::new(&mut self.driver).poll(cx).is_ready();
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::client::conn::TrySendError<Request<Full<Bytes>>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await
    }
}

/// The body of a backend's answer. Read to its end, it gives its connection back; dropped before, it closes it,
/// by which the backend learns that nobody waits any more.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    connection: Option<Box<Connection>>,
    pool: Arc<Pool>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut frame = Pin::new(&mut this.body).poll_frame(cx);
        if frame.is_pending()
            && let Some(connection) = &mut this.connection
        {
            connection.drive(cx);
            frame = Pin::new(&mut this.body).poll_frame(cx);
        }
        let ended = matches!(frame, Poll::Ready(None)) || frame.is_ready() && this.body.is_end_stream();
        if ended && let Some(mut connection) = this.connection.take() {
            // Once more, so that it sees the end, too.
            connection.drive(cx);
            if !connection.ended && connection.sender.is_ready() {
                this.pool.give_back(connection);
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use hyper_rustls::HttpsConnectorBuilder;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
        let pool = Arc::new(Pool::new(origin, https.https_or_http().enable_http1().build()));
        Backend { pool, connections, open }
    }

    impl Backend {
        async fn answer(&self) -> Response<Answer> {
            let request = Request::builder().uri("/").header("host", "backend");
            self.pool.send(request.body(Full::default()).unwrap()).await.unwrap()
        }

        async fn read(&self) -> Bytes {
            self.answer().await.into_body().collect().await.unwrap().to_bytes()
        }

        fn opened(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }
    }

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
    async fn an_answer_that_is_dropped_closes_its_connection() {
        let backend = backend(usize::MAX, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok").await;
        drop(backend.answer().await);
        for _ in 0..100 {
            if backend.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unreachable!("the connection stays open");
    }

    #[tokio::test]
    async fn a_connection_that_the_backend_closed_is_not_used() {
        let backend = backend(1, SHORT).await;
        for n in 1..4 {
            assert_eq!(backend.read().await, "ok");
            assert_eq!(backend.opened(), n);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn the_time_out_of_idle_connections_counts_from_their_return() {
        let backend = backend(usize::MAX, SHORT).await;
        backend.read().await;
        let idle = |since: Instant| {
            backend.pool.idle.lock().unwrap().iter_mut().for_each(|c| c.since = since);
        };
        idle(Instant::now().checked_sub(IDLE_TIMEOUT - Duration::from_secs(5)).unwrap());
        backend.read().await;
        assert_eq!(backend.opened(), 1);
        idle(Instant::now().checked_sub(IDLE_TIMEOUT).unwrap());
        backend.read().await;
        assert_eq!(backend.opened(), 2);
    }
}
