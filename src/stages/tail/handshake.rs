//! The opening handshake of a client (RFC 6455, section 4.2).

use crate::rejection::Rejection;
use crate::respond::{Body, full};
use crate::upstream::websocket::{accept, is_key, lists, single};
use bytes::Bytes;
use http::header::{
    CONNECTION, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;

/// A handshake that can be answered. Extensions and protocols that it offers are not taken.
#[derive(Debug)]
pub struct Handshake {
    /// How the connection is had once the answer is on its way.
    pub upgrade: OnUpgrade,
    accept: HeaderValue,
}

impl Handshake {
    /// Reads a handshake; `origins` are those whose pages may make one. Who sends no `Origin` is no page.
    pub fn read(
        headers: &HeaderMap,
        upgrade: Option<OnUpgrade>,
        origins: &[String],
    ) -> Result<Self, Rejection> {
        let to_websocket = single(headers, UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
        let (true, true, Some(upgrade)) = (to_websocket, lists(headers, CONNECTION, "upgrade"), upgrade)
        else {
            return Err(Rejection::Upgrade("this is a WebSocket, open it with a handshake over HTTP/1.1"));
        };
        if single(headers, SEC_WEBSOCKET_VERSION) != Some("13") {
            return Err(Rejection::Upgrade("only version 13 of the WebSocket protocol is spoken"));
        }
        let key = single(headers, SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
        let key = key.ok_or(Rejection::Malformed("`Sec-WebSocket-Key` is no key of 16 bytes"))?;
        let known = single(headers, ORIGIN).is_some_and(|origin| origins.iter().any(|known| known == origin));
        if headers.contains_key(ORIGIN) && !known {
            return Err(Rejection::Origin);
        }
        let accept = HeaderValue::try_from(accept(key));
        let accept = accept.map_err(|_| Rejection::Defect("base64 is text".into()))?;
        Ok(Self { upgrade, accept })
    }

    /// The answer that changes the protocol.
    pub fn answer(&self) -> Response<Body> {
        let mut response = Response::new(full(Bytes::new()));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        response
    }
}
