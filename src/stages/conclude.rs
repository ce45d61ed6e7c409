//! The end of every request, also of one whose handling panics: an answer, and one event.

use super::entry::{Answering, Entry};
use super::{Arrived, Cors, From, Refused, Reply, cors};
use crate::budget::Budget;
use crate::events::audit::{Audit, Unwritable};
use crate::events::{Metrics, Outcome};
use crate::rejection::Rejection;
use crate::respond::{self, grpc, refuse};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use ipnet::IpNet;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Layer, Service};

/// Turns replies and refusals into answers, counts and logs them, and takes only so many at once.
#[derive(Clone, Debug)]
pub struct Conclude {
    /// Counts requests.
    pub metrics: Arc<Metrics>,
    /// One permit for each request, until the end of its answer.
    pub permits: Budget,
    /// Writes a line for each request, if that is configured.
    pub audit: Option<Audit>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Arc<[IpNet]>,
    /// Whose pages may read answers.
    pub cors: Cors,
    /// How long one request may take until it is answered.
    pub timeout: Duration,
}

impl<S> Layer<S> for Conclude {
    type Service = Concluding<S>;

    fn layer(&self, next: S) -> Concluding<S> {
        Concluding { stage: Arc::new(self.clone()), next }
    }
}

/// The service of [`Conclude`].
#[derive(Clone)]
pub struct Concluding<S> {
    stage: Arc<Conclude>,
    next: S,
}

impl<S, B> Service<From<B>> for Concluding<S>
where
    S: Service<Arrived<B>, Response = Reply, Error = Refused> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Answering>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answering>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, From { address, request }: From<B>) -> Self::Future {
        let stage = Arc::clone(&self.stage);
        let address = forwarded(address, request.headers(), &stage.proxies);
        // Opened at once, with its place in the audit log: whatever becomes of the request, it is entered.
        let mut entry = Entry::open(&stage, request.method().clone(), request.uri().clone(), address);
        let is_call = grpc::is_call(request.version(), request.headers());
        let said = stage.cors.say(&request);
        entry.place = stage.audit.as_ref().and_then(Audit::place);
        if let Some(audit) = stage.audit.clone().filter(|audit| entry.place.is_none() && !audit.is_stuck()) {
            let mut next = self.next.clone();
            return Box::pin(async move {
                let mut entry = entry;
                let refused = match audit.wait().await {
                    Ok(place) => {
                        entry.place = place;
                        stage.admit(&mut entry).err()
                    }
                    Err(Unwritable) => Some(Rejection::Unaudited),
                };
                let arrived = Arrived { request, refused, told: entry.told() };
                let answering = catch_unwind(AssertUnwindSafe(|| next.call(arrived)));
                Ok(Concluded { answering, entry }.conclude(is_call, said).await)
            });
        }
        let refused = stage.admit(&mut entry).err();
        let arrived = Arrived { request, refused, told: entry.told() };
        // The stages behind are this request's own, and are not called again.
        let answering = catch_unwind(AssertUnwindSafe(|| self.next.call(arrived)));
        let concluded = Concluded { answering, entry };
        Box::pin(async move { Ok(concluded.conclude(is_call, said).await) })
    }
}

impl Conclude {
    /// Gives a request its place among those that are worked on.
    fn admit(&self, entry: &mut Entry) -> Result<(), Rejection> {
        if self.audit.as_ref().is_some_and(Audit::is_stuck) {
            return Err(Rejection::Unaudited);
        }
        entry.permit = Some(self.permits.take(Arc::default(), 1).map_err(|_| Rejection::Overloaded)?);
        Ok(())
    }
}

/// A request that is worked on, and its entry, which is dropped after it: what the one leaves, the other finds.
struct Concluded<F> {
    answering: std::thread::Result<F>,
    entry: Entry,
}

impl<F: Future<Output = Result<Reply, Refused>>> Concluded<F> {
    async fn conclude(self, is_call: bool, said: Option<cors::Said>) -> Response<Answering> {
        // Locals are dropped in the reverse order.
        let Self { entry, answering } = self;
        let result = unless_panicked(answering, &entry).await;
        let mut response = conclude(result, is_call, entry);
        if let Some(said) = said {
            said.add(response.headers_mut());
        }
        response
    }
}

/// Where a request comes from that came over a connection from `peer`: each of the `proxies` is believed who was before
/// it, which it has put at the end of `X-Forwarded-For`. What cannot be read ends that.
fn forwarded(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let trusted = |address: &IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    if !trusted(&peer) {
        return peer;
    }
    let lines: Vec<&[u8]> = headers.get_all(FORWARDED_FOR).into_iter().map(HeaderValue::as_bytes).collect();
    let mut before = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    let mut address = peer;
    while trusted(&address)
        && let Some(told) = before.next()
    {
        // Some write a port behind it.
        let Ok(told) = std::str::from_utf8(told.trim_ascii()) else { break };
        let told = told.parse().or_else(|_| told.parse().map(|socket: SocketAddr| socket.ip()));
        let Ok(told) = told else { break };
        address = told.to_canonical();
    }
    address
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The answer, whose end makes the entry.
fn conclude(result: Result<Reply, Refused>, is_call: bool, mut entry: Entry) -> Response<Answering> {
    match result {
        Ok(Reply { response, outcome, told, lasts }) => {
            entry.answered(told, outcome, response.status(), None);
            let Some(lasts) = lasts else { return Answering::new(response, entry) };
            entry.lasts();
            // Where nobody takes it any more, it is made at once.
            drop(lasts.send(entry));
            Answering::untold(response)
        }
        Err(Refused { rejection, told }) => {
            let kind = told.site.as_ref().map(|site| site.kind);
            let response = if is_call { grpc::refuse(&rejection) } else { refuse(kind, &rejection) };
            let (outcome, status) = (Outcome::of(&rejection), respond::status(&rejection));
            entry.answered(told, outcome, status, Some(rejection));
            Answering::new(response, entry)
        }
    }
}

/// What `answering` gives. A panic costs one request a refusal, and no other anything.
async fn unless_panicked<F>(answering: std::thread::Result<F>, entry: &Entry) -> Result<Reply, Refused>
where
    F: Future<Output = Result<Reply, Refused>>,
{
    let answered = match answering {
        Ok(answering) => AssertUnwindSafe(answering).catch_unwind().await,
        Err(panic) => Err(panic),
    };
    // What it says was written by the hook of panics.
    let panicked = || Rejection::Defect("the handling of a request panicked".to_owned());
    answered.unwrap_or_else(|_| Err(entry.left().refuse(panicked())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use http::header::CONTENT_TYPE;
    use http::{Request, Version};
    use tower::{ServiceExt, service_fn};

    /// What is answered to a request of this version and type whose handling panics, at once or later on.
    async fn answered(version: Version, content_type: &str, at_once: bool) -> http::response::Parts {
        let metrics = Arc::new(Metrics::new(&[]).unwrap());
        let permits = Budget::of(1);
        let stage = Conclude {
            metrics: Arc::clone(&metrics),
            permits,
            audit: None,
            proxies: Arc::default(),
            cors: Cors(Arc::new([])),
            timeout: Duration::from_secs(1),
        };
        let mut service = stage.layer(service_fn(move |_: Arrived<()>| {
            assert!(!at_once, "no");
            async { panic!("no") }
        }));
        let request =
            Request::post("/").version(version).header(CONTENT_TYPE, content_type).body(()).unwrap();
        let response = service
            .ready()
            .await
            .unwrap()
            .call(From { address: [192, 0, 2, 1].into(), request })
            .await
            .unwrap();
        let response = response.into_parts().0;
        let counted = r#"palisade_requests_total{backend="",endpoint="",outcome="defect"} 1"#;
        let page = metrics.render(std::iter::empty());
        assert!(page.contains(counted), "{page}");
        assert_eq!(stage.permits.taken(), 0);
        response
    }

    #[tokio::test]
    async fn a_panic_is_answered_as_an_internal_error_in_the_shape_of_the_protocol() {
        for at_once in [false, true] {
            let response = answered(Version::HTTP_11, "application/json", at_once).await;
            assert_eq!(response.status, 500);
            let response = answered(Version::HTTP_2, "application/grpc", at_once).await;
            assert_eq!(response.status, 200);
            assert_eq!(response.headers["grpc-status"], "13");
        }
    }

    #[test]
    fn each_trusted_proxy_is_believed_who_was_before_it_and_nobody_else() {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        for (peer, lines, from) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1,10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.1", "2001:db8::1"], "198.51.100.1"),
            ("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1,"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("2001:db8::1", &["[2001:db9::1]:4711"], "2001:db9::1"),
            ("10.0.0.1", &["::ffff:10.0.0.7"], "10.0.0.7"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
            }
            let told = forwarded(peer.parse().unwrap(), &headers, &proxies);
            assert_eq!(told, from.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }
}
