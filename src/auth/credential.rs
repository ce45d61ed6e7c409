//! Where a caller's credential stands: in one header, once.

use super::caller::Digest;
use super::config::TokenHeader;
use crate::rejection::TokenFault;
use aws_lc_rs::digest::{Context, SHA256};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

const GRAFANA_ID: HeaderName = HeaderName::from_static(TokenHeader::GrafanaId.name());

/// The kinds of credentials that are taken beside `Authorization: Bearer TOKEN`. What is not taken is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// `X-Grafana-Id: TOKEN`.
    pub(super) grafana_id: bool,
    /// `Authorization: Basic …`.
    pub(super) basic: bool,
}

/// The one credential of a request, nothing of it believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Credential<'h> {
    /// A token from this header. Its bytes are not looked at: whoever does not know them by their digest has
    /// `token::Unverified` do that.
    Token(TokenHeader, &'h [u8]),
    /// Name and password as RFC 7617 codes them.
    Basic(&'h [u8]),
}

impl<'h> Credential<'h> {
    /// The credential that `headers` have, of at most `max` bytes.
    ///
    /// # Errors
    /// [`TokenFault::Missing`], [`TokenFault::Malformed`] for a header that is there twice, empty or too long,
    /// [`TokenFault::Ambiguous`] for one credential beside another: which of them would count is a question that
    /// two servers answer differently.
    pub(super) fn of(headers: &'h HeaderMap, taken: Taken, max: usize) -> Result<Self, TokenFault> {
        let authorization = once(headers, &AUTHORIZATION)?;
        let grafana_id = if taken.grafana_id { once(headers, &GRAFANA_ID)? } else { None };
        let found = match (authorization, grafana_id) {
            (None, None) => return Err(TokenFault::Missing),
            (Some(_), Some(_)) => return Err(TokenFault::Ambiguous),
            (None, Some(token)) => Self::Token(TokenHeader::GrafanaId, token.as_bytes()),
            (Some(value), None) => Self::authorization(value.as_bytes(), taken)?,
        };
        let (Self::Token(_, bytes) | Self::Basic(bytes)) = found;
        if bytes.is_empty() || bytes.len() > max {
            return Err(TokenFault::Malformed);
        }
        Ok(found)
    }

    /// What follows the scheme, which is read in any case (RFC 9110, section 11.1).
    fn authorization(value: &'h [u8], taken: Taken) -> Result<Self, TokenFault> {
        let mut parts = value.splitn(2, |byte| *byte == b' ');
        let (scheme, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match scheme {
            scheme if scheme.eq_ignore_ascii_case(b"bearer") => {
                Ok(Self::Token(TokenHeader::Authorization, rest))
            }
            scheme if taken.basic && scheme.eq_ignore_ascii_case(b"basic") => Ok(Self::Basic(rest)),
            _ => Err(TokenFault::Missing),
        }
    }

    /// Its name in the cache. The same bytes in another place have another name: what vouches for them there is
    /// something else.
    pub(super) fn digest(&self) -> Digest {
        let (place, bytes) = match *self {
            Self::Token(TokenHeader::Authorization, bytes) => (b"".as_slice(), bytes),
            // No header can hold a zero byte.
            Self::Token(TokenHeader::GrafanaId, bytes) => (b"x-grafana-id\0".as_slice(), bytes),
            Self::Basic(bytes) => (b"basic\0".as_slice(), bytes),
        };
        let mut context = Context::new(&SHA256);
        context.update(place);
        context.update(bytes);
        let mut name = Digest::default();
        name.copy_from_slice(context.finish().as_ref());
        name
    }
}

/// The value of a header that may be there once.
fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, TokenFault> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() { Err(TokenFault::Malformed) } else { Ok(value) }
}
