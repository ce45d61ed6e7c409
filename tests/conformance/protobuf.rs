//! Tempo's traces, and Prometheus' remote reads, in protobuf as JSON trees, read without the code under test.
//!
//! Field numbers are the keys, every field is a list. Which length-delimited
//! fields are messages is said by the table below (`tempo.proto`,
//! `trace/v1/trace.proto` in Tempo 2.9, `prompb` in Prometheus 3.16); all others are text or bytes.

use serde_json::{Map, Value};

/// A message: its fields that are messages themselves.
struct Message(&'static [(u64, &'static Message)]);

static LEAF: Message = Message(&[]);
static ANY_VALUE: Message = Message(&[(5, &ARRAY), (6, &KEY_VALUES)]);
static ARRAY: Message = Message(&[(1, &ANY_VALUE)]);
static KEY_VALUES: Message = Message(&[(1, &KEY_VALUE)]);
static KEY_VALUE: Message = Message(&[(2, &ANY_VALUE)]);
static RESOURCE: Message = Message(&[(1, &KEY_VALUE)]);
static SCOPE: Message = Message(&[(3, &KEY_VALUE)]);
static EVENT: Message = Message(&[(3, &KEY_VALUE)]);
static LINK: Message = Message(&[(4, &KEY_VALUE)]);
static SPAN: Message = Message(&[(9, &KEY_VALUE), (11, &EVENT), (13, &LINK), (15, &LEAF)]);
static SCOPE_SPANS: Message = Message(&[(1, &SCOPE), (2, &SPAN)]);
static RESOURCE_SPANS: Message = Message(&[(1, &RESOURCE), (2, &SCOPE_SPANS)]);
static TRACE: Message = Message(&[(1, &RESOURCE_SPANS)]);
/// v2's `TraceByIDResponse`; its metrics are field 2.
static BY_ID: Message = Message(&[(1, &TRACE), (2, &LEAF)]);

static SERIES: Message = Message(&[(1, &LEAF), (2, &LEAF), (3, &LEAF), (4, &LEAF)]);
static RESULT: Message = Message(&[(1, &SERIES)]);
static READ: Message = Message(&[(1, &RESULT)]);
static CHUNK: Message = Message(&[]);
static CHUNKED_SERIES: Message = Message(&[(1, &LEAF), (2, &CHUNK)]);
static CHUNKED: Message = Message(&[(1, &CHUNKED_SERIES)]);

/// Reads a remote read's samples.
pub fn samples(bytes: &[u8]) -> Option<Value> {
    message(bytes, &READ)
}

/// Reads one frame's message of a remote read's chunks.
pub fn chunks(bytes: &[u8]) -> Option<Value> {
    message(bytes, &CHUNKED)
}

/// Takes a frame off a remote read's chunks: its length, a checksum that is not looked at, and its message.
pub fn frame<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let size = usize::try_from(varint(bytes)?).ok()?;
    take(bytes, 4)?;
    take(bytes, size)
}

/// Reads a v1 trace, or a v2 answer: the two start alike, so the one that reads
/// a resource at its place is taken.
pub fn trace(bytes: &[u8]) -> Option<Value> {
    let v2 = message(bytes, &BY_ID);
    let wrapped = v2.as_ref().and_then(|v| v.pointer("/1/0/1/0/2/0/2/0")).is_some();
    if wrapped || bytes.len() < 8 { v2 } else { message(bytes, &TRACE) }
}

fn message(mut bytes: &[u8], shape: &Message) -> Option<Value> {
    let mut fields: Map<String, Value> = Map::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let number = tag >> 3;
        let value = match tag & 7 {
            0 => varint(&mut bytes)?.into(),
            1 => u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?).into(),
            2 => {
                let size = usize::try_from(varint(&mut bytes)?).ok()?;
                let inner = take(&mut bytes, size)?;
                match shape.0.iter().find(|(n, _)| *n == number) {
                    Some((_, shape)) => message(inner, shape)?,
                    None => match std::str::from_utf8(inner) {
                        Ok(text) => text.into(),
                        Err(_) => format!("{inner:02x?}").into(),
                    },
                }
            }
            5 => u32::from_le_bytes(take(&mut bytes, 4)?.try_into().ok()?).into(),
            _ => return None,
        };
        fields
            .entry(number.to_string())
            .or_insert_with(|| Value::Array(Vec::new()))
            .as_array_mut()?
            .push(value);
    }
    Some(Value::Object(fields))
}

/// The next `size` bytes.
pub fn take<'b>(bytes: &mut &'b [u8], size: usize) -> Option<&'b [u8]> {
    let (head, tail) = bytes.split_at_checked(size)?;
    *bytes = tail;
    Some(head)
}

/// The next integer of variable length.
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
