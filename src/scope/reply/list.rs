//! Reading what is large element by element: lists of JSON, fields of protobuf.

use crate::rejection::{Rejection, UpstreamFault};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// A value of JSON as it is written.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Raw<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> Raw<'a> {
    /// Its bytes.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0.get().as_bytes()
    }
}

/// A member that may be there, though not as `null`.
pub(super) fn there<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Raw<'a>>, D::Error> {
    Raw::deserialize(deserializer).map(Some)
}

/// Reads `json`.
///
/// # Errors
/// [`UpstreamFault::Undecodable`].
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Rejection> {
    serde_json::from_slice(json).map_err(|_| UpstreamFault::Undecodable.into())
}

/// Calls `each` with every element of `list`, which is JSON.
///
/// # Errors
/// The first of `each`, and [`UpstreamFault::Undecodable`] if it is no list of such elements.
pub(super) fn elements<'a, T: Deserialize<'a>>(
    list: &'a [u8],
    mut each: impl FnMut(T) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let mut fault = None;
    let mut json = serde_json::Deserializer::from_slice(list);
    let visitor = Each { each: &mut each, fault: &mut fault, of: PhantomData };
    let read = json.deserialize_seq(visitor).and_then(|()| json.end());
    match fault {
        Some(fault) => Err(fault),
        None => read.map_err(|_| UpstreamFault::Undecodable.into()),
    }
}

struct Each<'f, T, F> {
    each: &'f mut F,
    fault: &'f mut Option<Rejection>,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), Rejection>> Visitor<'de> for Each<'_, T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            if let Err(fault) = (self.each)(element) {
                *self.fault = Some(fault);
                return Err(A::Error::custom("an element is refused"));
            }
        }
        Ok(())
    }
}

/// Calls `each` with every field of `message` whose tag is in `tags`, all of which have a length. Others are skipped.
///
/// # Errors
/// The first of `each`, and [`UpstreamFault::Undecodable`] if it is no such message.
pub(super) fn fields<'a>(
    mut message: &'a [u8],
    tags: &[u32],
    mut each: impl FnMut(u32, &'a [u8]) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    while !message.is_empty() {
        let (tag, kind) = decode_key(&mut message).map_err(|_| UpstreamFault::Undecodable)?;
        if tags.contains(&tag) {
            if kind != WireType::LengthDelimited {
                return Err(UpstreamFault::Undecodable.into());
            }
            let length = decode_varint(&mut message).map_err(|_| UpstreamFault::Undecodable)?;
            let field = usize::try_from(length).ok().and_then(|length| message.split_at_checked(length));
            let (field, rest) = field.ok_or(UpstreamFault::Undecodable)?;
            message = rest;
            each(tag, field)?;
        } else {
            let context = DecodeContext::default();
            skip_field(kind, tag, &mut message, context).map_err(|_| UpstreamFault::Undecodable)?;
        }
    }
    Ok(())
}
