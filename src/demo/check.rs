//! Sending the demo's requests, and judging the answers.

use super::Demo;
use super::data::{EDGE, SHOPS, Shop};
use super::facts;
use super::script::{Expect, Line, Place, Sends, Who};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// A client of the demo's own servers.
pub struct Checker<'d> {
    demo: &'d Demo,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl<'d> Checker<'d> {
    /// A client of `demo`.
    pub fn new(demo: &'d Demo) -> Self {
        Self { demo, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends `line` and judges the answer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check(&self, line: &Line) -> Result<(), String> {
        let answered = tokio::time::timeout(TIMEOUT, self.send(line)).await;
        let (status, body) = answered.map_err(|_| "no answer in time".to_owned())??;
        let known = self.demo.is_embedded(line.place);
        judge(line, known, status, &String::from_utf8_lossy(&body))
    }

    /// The answer to `line`: its status and its body, or the first message of a tail.
    ///
    /// # Errors
    /// That there is none.
    pub async fn send(&self, line: &Line) -> Result<(u16, Bytes), String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&line.pairs);
        let form = form.finish();
        let mut url = format!("{}{}", self.demo.base(line.place), line.path);
        if line.sends != Sends::Form && !form.is_empty() {
            url = format!("{url}?{form}");
        }
        let mut request = http::Request::builder().uri(url);
        let mut body = Bytes::new();
        match &line.sends {
            Sends::Url => {}
            Sends::Form => {
                request = request.method("POST").header("content-type", "application/x-www-form-urlencoded");
                body = Bytes::from(form);
            }
            Sends::Json(json) => {
                request = request.method("POST").header("content-type", "application/json");
                body = Bytes::from(json.clone());
            }
            Sends::Delete => request = request.method("DELETE"),
            Sends::Tail => {
                for (name, value) in HANDSHAKE {
                    request = request.header(name, value);
                }
            }
        }
        if let Some(token) = self.demo.token(line.who).filter(|_| line.place != Place::Control) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some((name, value)) = &line.header {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
        let response = self.client.request(request).await.map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        if status == 101 {
            return Ok((200, first_message(response).await?));
        }
        let body =
            Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|e| e.to_string())?;
        Ok((status, body.to_bytes()))
    }
}

/// The headers of a handshake (RFC 6455, section 4.1). The key is `palisade demo...`.
pub const HANDSHAKE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "cGFsaXNhZGUgZGVtby4uLg=="),
];

/// The first message of the WebSocket that `response` opens.
async fn first_message(response: http::Response<Incoming>) -> Result<Bytes, String> {
    let stream = TokioIo::new(hyper::upgrade::on(response).await.map_err(|e| e.to_string())?);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    while let Some(message) = socket.next().await {
        match message.map_err(|e| e.to_string())? {
            Message::Text(text) => return Ok(Bytes::from(text)),
            Message::Close(_) => break,
            _ => {}
        }
    }
    Err("the tail ended before a message".into())
}

/// Whether the answer is right. What it must be exactly is known of the embedded data only (`known`);
/// that it shows nothing of others must hold of any.
fn judge(line: &Line, known: bool, status: u16, body: &str) -> Result<(), String> {
    let wanted = match &line.expect {
        Expect::Status(status) => *status,
        Expect::Facts(..) | Expect::Leak(_) => 200,
    };
    if status != wanted {
        return Err(format!("status {status} instead of {wanted}: {}", excerpt(body)));
    }
    if let Expect::Leak(text) = line.expect {
        let missing = || format!("`{text}` is not there: {}", excerpt(body));
        return body.contains(text).then_some(()).ok_or_else(missing);
    }
    nothing_foreign(line, known, body)?;
    let Expect::Facts(read, expected) = &line.expect else { return Ok(()) };
    let answer = serde_json::from_str(body).map_err(|e| format!("no JSON ({e}): {}", excerpt(body)))?;
    let found = read(&answer);
    let own = own(line.who).map(|s| s.tenant);
    if let Some(tenant) = facts::tenants(&answer).into_iter().find(|t| Some(*t) != own) {
        return Err(format!("shows the tenant `{tenant}`"));
    }
    if known && found != *expected {
        return Err(format!("{found:?} instead of {expected:?}"));
    }
    Ok(())
}

/// Whether `body` shows what only others have. A refusal may repeat the caller's own words, and those
/// can name another tenant; titles, regions and services it has from the data only.
fn nothing_foreign(line: &Line, known: bool, body: &str) -> Result<(), String> {
    let sent = if let Sends::Json(json) = &line.sends { json } else { "" };
    let said: Vec<&str> =
        line.pairs.iter().map(|(_, v)| v.as_str()).chain([line.path.as_str(), sent]).collect();
    let others = SHOPS.iter().filter(|s| own(line.who).is_none_or(|o| o.tenant != s.tenant));
    let theirs =
        others.flat_map(|s| [s.tenant, s.region].into_iter().chain(s.titles.iter().map(|(t, _)| *t)));
    // In other data than the embedded, regions, titles and services can be anyone's.
    let is_canary = |c: &&str| known || SHOPS.iter().any(|s| s.tenant == *c);
    let theirs = theirs.chain([EDGE]).filter(is_canary);
    let mut canaries = theirs.filter(|c| !said.iter().any(|s| s.contains(c)));
    match canaries.find(|c| body.contains(c)) {
        Some(canary) => Err(format!("shows `{canary}`: {}", excerpt(body))),
        None => Ok(()),
    }
}

fn own(who: Who) -> Option<Shop> {
    let [a, b] = SHOPS;
    match who {
        Who::A => Some(a),
        Who::B => Some(b),
        Who::Forger | Who::Nobody => None,
    }
}

fn excerpt(body: &str) -> String {
    body.chars().take(300).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::demo::script::{Place, lines};

    /// A right answer, and answers that are wrong in one way each.
    #[test]
    fn wrong_answers_are_found() {
        let line = lines(1_700_000_100).into_iter().find(|l| l.says == "A's stock, by title").unwrap();
        let body = |samples: &str| format!(r#"{{"data":{{"resultType":"vector","result":[{samples}]}}}}"#);
        let sample =
            |title: &str, value: u32| format!(r#"{{"metric":{{"title":"{title}"}},"value":[1,"{value}"]}}"#);
        let right = body(&[sample("Moby-Dick", 120), sample("Emma", 45)].join(","));
        assert_eq!(judge(&line, true, 200, &right), Ok(()));
        assert!(judge(&line, true, 500, &right).is_err());
        for wrong in [
            body(&sample("Emma", 45)),
            body(&[sample("Moby-Dick", 120), sample("Emma", 46)].join(",")),
            body(&[sample("Moby-Dick", 120), sample("Emma", 45), sample("Dracula", 77)].join(",")),
            "no JSON".to_owned(),
        ] {
            assert!(judge(&line, true, 200, &wrong).is_err(), "{wrong}");
        }
        // Of other data than ours only the owner is known.
        assert_eq!(judge(&line, false, 200, &body(&sample("Ulysses", 1))), Ok(()));
        let foreign = r#"{"data":{"result":[{"metric":{"tenant":"initech"},"value":[1,"1"]}]}}"#;
        assert!(judge(&line, false, 200, foreign).is_err());
    }

    #[test]
    fn a_control_fails_on_a_backend_that_has_nothing_to_protect() {
        let line = lines(1_700_000_100).into_iter().find(|l| matches!(l.expect, Expect::Leak(_))).unwrap();
        assert!(judge(&line, true, 200, "{}").is_err());
        assert_eq!(judge(&line, true, 200, "Dracula"), Ok(()));
        assert_eq!(line.place, Place::Direct(crate::demo::script::Backend::Prometheus));
    }
}
