//! A call of gRPC: sent, and each message of what comes back cut before the next is read.
//!
//! Nothing is answered before the first message is there, so that a refusal is one. What goes wrong later ends
//! the answer, in its trailers, as the end of the caller's token does.

use super::Told;
use super::forward::{Exchange, Forwarding, LARGE_BYTES, Sealed, answer_too_large};
use super::tail::reached;
use super::unlisted::PATIENCE;
use crate::api::{Endpoint, Methods};
use crate::budget::Permit;
use crate::events::{Outcome, StreamBroken};
use crate::rejection::{Rejection, TokenFault, UpstreamFault};
use crate::respond::{Body, grpc};
use crate::scope::grpc::frame::{FrameFault, framed};
use crate::scope::reply::{Streamed, listing};
use crate::scope::{Call, Carried};
use crate::upstream::{GrpcUpstream, Stream, StreamFault, WHOLE};
use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

/// How many times its bytes a message takes while it is cut: as it is, decoded, written, framed.
const CUT_TIMES: usize = 5;

/// An answer that streams.
struct Streaming {
    stage: Arc<Forwarding>,
    endpoint: &'static Endpoint,
    carried: Carried,
    /// Those that are still to be made.
    calls: std::vec::IntoIter<Call>,
    /// The number of the one that is answered.
    number: usize,
    open: Option<Stream>,
    /// Taken out while it works.
    cut: Option<Streamed>,
    deadline: tokio::time::Instant,
    /// Bytes that the answer may have, and that it has.
    most: Option<u64>,
    given: u64,
    /// For whom its messages take memory.
    memory: Permit,
    /// What is remembered of them until the answer ends.
    remembered: Permit,
    /// Its place among those of its share lasts as long as the stream.
    told: Told,
}

/// Calls the backend, and answers with what it streams.
///
/// # Errors
/// What is known before the first message is.
pub(super) async fn forward(
    stage: Arc<Forwarding>,
    sealed: Sealed,
) -> Result<(Response<Body>, Outcome), Rejection> {
    let Sealed { mount, scoped, answer_bytes: most, memory, told, .. } = sealed;
    let endpoint = scoped.endpoint();
    let (calls, carried, cut) = scoped.into_parts();
    let (Methods::Grpc(rpc), Some(cut), Some(upstream)) = (endpoint.methods, cut, &mount.grpc) else {
        return Err(Rejection::Defect(format!("`{}` does not stream", endpoint.name)));
    };
    let patience = carried.patience.unwrap_or(upstream.timeout()).min(upstream.timeout());
    let max = stage.limits.filtered_answer_bytes;
    let mut streaming = Streaming {
        endpoint,
        carried,
        calls: calls.into_iter(),
        number: 0,
        open: None,
        cut: Some(Streamed::new(cut, rpc, max)),
        deadline: tokio::time::Instant::now() + patience,
        most,
        given: 0,
        remembered: memory.another(),
        memory,
        stage,
        told,
    };
    let first = streaming.next().await?;
    Ok((grpc::stream(body(first, streaming)), Outcome::Filtered))
}

/// The messages, `first` first, and the outcome after them.
fn body(first: Option<Bytes>, streaming: Streaming) -> Body {
    let messages = stream::unfold(Some((Some(first), streaming)), |state| async {
        let (first, mut streaming) = state?;
        let message = match first {
            Some(first) => Ok(first),
            None => streaming.next().await,
        };
        let (frame, state) = match message {
            Ok(Some(message)) => (Frame::data(message), Some((None, streaming))),
            Ok(None) => (Frame::trailers(grpc::trailers(None)), None),
            Err(rejection) => {
                streaming.broken(&rejection);
                (Frame::trailers(grpc::trailers(Some(&rejection))), None)
            }
        };
        Some((Ok::<_, Infallible>(frame), state))
    });
    StreamBody::new(messages).map_err(|never| match never {}).boxed_unsync()
}

impl Streaming {
    /// The next message, cut and framed; `None` when every call is answered. What ends the answer from outside
    /// comes first, whatever else is ready.
    async fn next(&mut self) -> Result<Option<Bytes>, Rejection> {
        let (ends, deadline) = (self.told.ends(), self.deadline);
        tokio::select! {
            biased;
            () = reached(ends) => Err(TokenFault::Expired.into()),
            () = tokio::time::sleep_until(deadline) => Err(UpstreamFault::Timeout.into()),
            next = self.step() => next,
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, Rejection> {
        loop {
            let Some(open) = &mut self.open else {
                match self.calls.next() {
                    Some(call) => self.open = Some(self.call(call).await?),
                    None => return Ok(None),
                }
                continue;
            };
            // Held until the message is cut.
            let mut taken = self.memory.another();
            match open.next(&mut taken).await.map_err(refusal)? {
                Some(message) => {
                    taken.hold(message.len().saturating_mul(CUT_TIMES)).map_err(|_| Rejection::NoMemory)?;
                    let message = self.cut(message).await?;
                    let bytes = self.cut.as_ref().map_or(0, Streamed::remembered);
                    let held = self.remembered.hold(bytes.saturating_mul(CUT_TIMES));
                    held.map_err(|_| Rejection::NoMemory)?;
                    if let Some(message) = message {
                        return self.measured(framed(&message), taken).map(Some);
                    }
                }
                None => {
                    let left_out = match self.cut.as_mut().and_then(Streamed::held) {
                        held @ Some(_) => held,
                        None => Box::pin(self.left_out()).await?,
                    };
                    (self.open, self.number) = (None, self.number.saturating_add(1));
                    if let Some(message) = left_out {
                        let mut taken = self.memory.another();
                        taken.hold(message.len()).map_err(|_| Rejection::NoMemory)?;
                        return self.measured(framed(&message), taken).map(Some);
                    }
                }
            }
        }
    }

    /// What the call whose answer has ended left out, as one more message of it. It takes at most half of the time
    /// that is left, for what was found is to be sent.
    async fn left_out(&mut self) -> Result<Option<Vec<u8>>, Rejection> {
        let Some(mount) = &self.told.mount else { return Ok(None) };
        let names = self.cut.as_mut().and_then(Streamed::names);
        let unlisted = self.cut.as_mut().and_then(|cut| cut.unlisted(self.number));
        let (stage, endpoint, most) = (&*self.stage, self.endpoint, self.most);
        let (memory, grant) = (&self.memory, self.told.grant.as_ref());
        let exchange = Exchange { stage, mount, endpoint, most, memory, grant };
        let left = self.deadline.saturating_duration_since(tokio::time::Instant::now());
        let patience = PATIENCE.min(left / 2);
        if let Some((confirm, mut names)) = names {
            exchange.confirm(&confirm, &mut names, &self.carried, patience).await?;
            return self.cut.as_mut().map(|cut| cut.named(&names)).transpose();
        }
        let Some((unlisted, mut listed)) = unlisted else { return Ok(None) };
        if unlisted.exact {
            let found = exchange.ranged(&unlisted, &self.carried, patience).await?;
            let (settled, number) = (unlisted.settled(found, listed), self.number);
            return self.cut.as_mut().map(|cut| cut.settled(number, settled)).transpose();
        }
        let found = exchange.others(&unlisted, &mut listed, &self.carried, patience).await?;
        match found.is_empty() {
            true => Ok(None),
            false => self.cut(listing(found)).await,
        }
    }

    /// Held after the cut: what was cut away is nobody's business.
    fn measured(&mut self, frame: Vec<u8>, taken: Permit) -> Result<Bytes, Rejection> {
        self.given = self.given.saturating_add(frame.len() as u64);
        match self.most.filter(|most| self.given > *most) {
            Some(most) => Err(answer_too_large(most)),
            None => Ok(taken.bind(frame)),
        }
    }

    async fn call(&self, call: Call) -> Result<Stream, Rejection> {
        let started = Instant::now();
        let within = self.deadline.saturating_duration_since(tokio::time::Instant::now());
        let stream =
            self.upstream()?.call(call, &self.carried, within, self.stage.limits.filtered_answer_bytes);
        let stream = stream.await.map_err(refusal)?;
        let index = self.told.mount.as_ref().map(|mount| mount.index);
        let metrics = index.and_then(|index| self.stage.metrics.backend(index));
        if let Some(metrics) = metrics.and_then(|b| b.endpoint(Some(self.endpoint))) {
            metrics.upstream(started.elapsed());
        }
        Ok(stream)
    }

    fn upstream(&self) -> Result<&GrpcUpstream, Rejection> {
        let mount = self.told.mount.as_ref();
        mount.and_then(|mount| mount.grpc.as_ref()).ok_or_else(|| Rejection::Defect("no gRPC".to_owned()))
    }

    /// The message, cut; none if it is held until the answer ends; a large one on a thread that serves no other request meanwhile.
    async fn cut(&mut self, message: Bytes) -> Result<Option<Vec<u8>>, Rejection> {
        let unended = || Rejection::Defect("a cut did not end".to_owned());
        let (mut cut, number) = (self.cut.take().ok_or_else(unended)?, self.number);
        let made = if message.len() < LARGE_BYTES {
            let made = cut.message(number, &message);
            (cut, made)
        } else {
            let made = WHOLE.work(move || {
                let made = cut.message(number, &message);
                (cut, made)
            });
            made.await.map_err(|_| unended())?
        };
        self.cut = Some(made.0);
        made.1
    }

    /// Tells that the stream ends in the middle.
    fn broken(&self, rejection: &Rejection) {
        let mount = self.told.mount.as_deref();
        let metrics = mount.and_then(|mount| self.stage.metrics.backend(mount.index));
        let broken = StreamBroken {
            backend: mount.map_or("-", |mount| mount.backend.name.as_str()),
            endpoint: self.endpoint,
            subject: self.told.caller.as_ref().and_then(|caller| caller.subject()),
            trace_id: self.told.trace_id.as_deref(),
            rejection,
        };
        broken.emit(metrics.and_then(|b| b.endpoint(Some(self.endpoint))));
    }
}

/// What a fault of the backend's stream becomes. Its own words are of data that is not all the caller's: they are
/// not passed.
fn refusal(fault: StreamFault) -> Rejection {
    let refused = |status| Rejection::UpstreamRefused {
        status,
        error_type: None,
        text: "the backend refused the request".to_owned(),
    };
    match fault {
        StreamFault::Upstream(fault) => fault.into(),
        StreamFault::Frame(FrameFault::TooLarge) => UpstreamFault::TooLarge.into(),
        StreamFault::Frame(FrameFault::Compressed | FrameFault::Broken) => UpstreamFault::Undecodable.into(),
        StreamFault::NoRoom => Rejection::NoMemory,
        StreamFault::Status(code) => match code {
            // UNKNOWN is how Tempo says 4xx (`modules/frontend/combiner/common.go`), and what its handlers
            // say of a request that is none.
            2 | 3 | 5 | 9 | 11 => refused(400),
            4 => UpstreamFault::Timeout.into(),
            8 => refused(429),
            12 => refused(404),
            14 => UpstreamFault::Unready.into(),
            _ => UpstreamFault::Unexpected.into(),
        },
    }
}
