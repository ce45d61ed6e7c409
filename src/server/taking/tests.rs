use super::super::listen::{Bounds, Connections};
use super::super::places::Places;
use super::*;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tower::service_fn;

const STALL: Duration = Duration::from_millis(700);
/// How long what must happen is waited for: others may be at work on the machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer of so many parts, which tells how it ended.
#[derive(Debug)]
struct Parts {
    left: usize,
    bytes: Bytes,
    ends: Option<SystemTime>,
    why: Option<&'static str>,
    told: mpsc::UnboundedSender<(usize, Option<&'static str>)>,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(self.bytes.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}

impl Timed for Parts {
    fn ends(&self) -> Option<SystemTime> {
        self.ends
    }

    fn broke_off(&mut self, why: &'static str) {
        self.why = Some(why);
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let _ = self.told.send((self.left, self.why));
    }
}

/// A server of such answers: `/PARTS/BYTES/MILLISECONDS`, until whose end the token is good.
struct Server {
    address: SocketAddr,
    told: mpsc::UnboundedReceiver<(usize, Option<&'static str>)>,
    places: Places,
    _down: watch::Sender<bool>,
}

async fn server() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, told) = mpsc::unbounded_channel();
    let (down, asked) = watch::channel(false);
    let places = Places::new(1);
    let bounds = Bounds { places: places.clone(), stall: STALL, ..Bounds::usual(1) };
    let connections = Connections::new(bounds, asked, TaskTracker::new());
    tokio::spawn(async move {
        while let Ok(accepted) = listener.accept().await {
            let sender = sender.clone();
            let answer = move |request: Request<Incoming>| {
                let asked = request.uri().path().split('/').skip(1).map(|part| part.parse().unwrap());
                let [left, bytes, millis]: [u64; 3] = asked.collect::<Vec<_>>().try_into().unwrap();
                let body = Parts {
                    left: left as usize,
                    bytes: vec![b'x'; bytes as usize].into(),
                    ends: (millis > 0).then(|| SystemTime::now() + Duration::from_millis(millis)),
                    why: None,
                    told: sender.clone(),
                };
                async move { Ok::<_, Infallible>(Response::new(body)) }
            };
            connections.serve(accepted, None, &[], |_| service_fn(answer));
        }
    });
    Server { address, told, places, _down: down }
}

type Client = http2::SendRequest<Empty<Bytes>>;

impl Server {
    /// A client of HTTP/2 that lets each stream have so many bytes before it takes some.
    async fn client(&self, window: u32) -> Client {
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window).initial_connection_window_size(1 << 24);
        let (client, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn ended(&mut self) -> (usize, Option<&'static str>) {
        timeout(PATIENCE, self.told.recv()).await.expect("it goes on").unwrap()
    }
}

async fn ask(client: &mut Client, path: &str) -> Incoming {
    let request = Request::get(format!("http://palisade.test{path}")).body(Empty::new()).unwrap();
    client.send_request(request).await.unwrap().into_body()
}

#[tokio::test]
async fn atk_66_a_stream_that_nobody_takes_is_reset_and_those_beside_it_go_on() {
    for window in [1, 1000, 65_535, 200_000] {
        let mut server = server().await;
        let mut client = server.client(window).await;
        let began = Instant::now();
        let mut untaken = ask(&mut client, "/100/65536/0").await;
        let mut beside = 0;
        let (left, why) = loop {
            // Not so small a window that each byte is asked for.
            if window >= 1000 {
                let whole = ask(&mut client, "/10/1000/0").await.collect().await.unwrap().to_bytes();
                assert_eq!(whole.len(), 10_000);
                match server.ended().await {
                    (0, None) => beside += 1,
                    untaken => break untaken,
                }
            }
            match timeout(Duration::from_millis(20), server.told.recv()).await {
                Ok(told) => break told.unwrap(),
                Err(_) => assert!(began.elapsed() < PATIENCE, "it is never given up"),
            }
        };
        assert!(began.elapsed() >= STALL, "given up after {:?}", began.elapsed());
        assert_eq!(why, Some("nothing of it is taken"));
        // A piece beyond the window, and no more.
        assert!(left >= 99 - window.div_ceil(65_536) as usize - 1, "{left}");
        assert!(window < 1000 || beside > 1, "{beside}");
        let error = loop {
            match untaken.frame().await.expect("it is whole") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(format!("{error:?}").contains("CANCEL"), "{error:?}");
        ask(&mut client, "/1/0/0").await.collect().await.unwrap();
    }
}

#[tokio::test]
async fn a_stream_of_which_something_is_taken_in_time_is_whole() {
    let mut server = server().await;
    let mut client = server.client(65_535).await;
    let mut body = ask(&mut client, "/4/65536/0").await;
    let (mut taken, began) = (0, Instant::now());
    while let Some(frame) = body.frame().await {
        taken += frame.unwrap().into_data().unwrap().len();
        sleep(STALL / 8).await;
    }
    assert!(taken == 4 * 65_536 && began.elapsed() > STALL, "{taken} in {:?}", began.elapsed());
    assert_eq!(server.ended().await, (0, None));
}

#[tokio::test]
async fn what_is_left_of_a_stream_that_has_ended_ends_its_connection() {
    let mut server = server().await;
    let mut client = server.client(10).await;
    let _untaken = ask(&mut client, "/1/70/0").await;
    // For us it has ended, though the client has but ten bytes of it.
    assert_eq!(server.ended().await, (0, None));
    let began = Instant::now();
    timeout(PATIENCE, async {
        while !client.is_closed() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the connection goes on");
    assert!(began.elapsed() > STALL / 2);
    // Where it is taken, the connection stays.
    let mut client = server.client(10).await;
    assert_eq!(ask(&mut client, "/1/70/0").await.collect().await.unwrap().to_bytes().len(), 70);
    sleep(STALL * 2).await;
    assert!(!client.is_closed());
}

#[tokio::test]
async fn nothing_of_a_token_outlasts_its_end_however_it_is_taken() {
    let mut server = server().await;
    let began = Instant::now();
    // A stream that takes something, always in time.
    let mut client = server.client(65_535).await;
    let mut body = ask(&mut client, "/1000/65536/700").await;
    let taking = tokio::spawn(async move {
        while let Some(Ok(_)) = body.frame().await {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let (left, why) = server.ended().await;
    assert!(left > 0 && why == Some("its token has ended"), "{left} {why:?}");
    assert!(began.elapsed() >= Duration::from_millis(690), "{:?}", began.elapsed());
    taking.await.unwrap();
    // The same over HTTP/1.1, where the connection ends.
    let began = Instant::now();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /10000/65536/700 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let taking = tokio::spawn(async move {
        let mut buffer = vec![0; 100_000];
        while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let (left, why) = server.ended().await;
    assert!(left > 0 && why == Some("its token has ended"), "{left} {why:?}");
    assert!(began.elapsed() >= Duration::from_millis(690), "{:?}", began.elapsed());
    taking.await.unwrap();
}

#[tokio::test]
async fn answers_in_time_are_whole_and_leave_nothing() {
    let mut server = server().await;
    let mut client = server.client(65_535).await;
    for path in ["/3/65536/5000", "/1/16384/5000", "/1/16385/5000", "/2/8193/5000", "/1/1/5000"] {
        ask(&mut client, path).await.collect().await.unwrap();
        assert_eq!(server.ended().await, (0, None), "{path}");
    }
    drop(client);
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut client, connection) = http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::get("/3/65536/300").header("host", "a").body(Empty::<Bytes>::new()).unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 3 * 65_536);
        assert_eq!(server.ended().await, (0, None));
        // What was due with one answer is not with the next, nor between two.
        sleep(Duration::from_millis(200)).await;
    }
    assert!(server.places.enter().is_some());
}

#[tokio::test]
async fn a_connection_of_another_protocol_waits_for_no_request_and_keeps_its_place() {
    let places = Places::new(1);
    let place = Arc::new(places.enter().unwrap());
    let on = || On { busy: place.begin(), taking: Arc::default(), is_stream: false };
    let answered = |status: u16| {
        std::future::ready(Response::builder().status(status).body(crate::respond::full(Bytes::new())))
    };
    drop(Kept::new(answered(200), on()).await.unwrap());
    assert_eq!(place.waiting(), Some(1));
    drop(Kept::new(answered(101), on()).await.unwrap());
    assert_eq!(place.waiting(), None);
    assert!(places.enter().is_none(), "nothing is told to go");
    drop(place);
    assert!(places.enter().is_some());
}
