use super::*;
use crate::scope::prompb::{
    ChunkedReadResponse, ChunkedSeries, Label, QueryResult, ReadResponse, TimeSeries,
};
use crate::scope::snappy;
use prost::Message;
use std::time::Duration;

fn owned() -> ScopeMatchers {
    let scope = Scope::new([("tenant".to_owned(), values(&["a", "b"]))].into()).unwrap();
    scope.in_labels(|_| Some("tenant")).unwrap()
}

fn cut(accept: Accept, queries: usize, body: Vec<u8>) -> Result<Filtered, Rejection> {
    let cut = Cut::RemoteRead { owned: owned(), accept, queries, longest: Duration::ZERO };
    cut.apply(&[answer(accept.media_type(), body)])
}

fn labels(labels: &[(&str, &str)]) -> Vec<Label> {
    labels.iter().map(|(n, v)| Label { name: (*n).into(), value: (*v).into() }).collect()
}

fn samples(of: &[&[(&str, &str)]]) -> Vec<u8> {
    let series = |l: &&[(&str, &str)]| TimeSeries { labels: labels(l), ..TimeSeries::default() };
    let timeseries = of.iter().map(series).collect();
    ReadResponse { results: vec![QueryResult { timeseries }] }.encode_to_vec()
}

fn frame(index: i64, of: &[&[(&str, &str)]]) -> Vec<u8> {
    let series = |l: &&[(&str, &str)]| ChunkedSeries { labels: labels(l), ..ChunkedSeries::default() };
    let chunked_series = of.iter().map(series).collect();
    let message = ChunkedReadResponse { chunked_series, query_index: index }.encode_to_vec();
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&message);
    let mut frame = vec![u8::try_from(message.len()).unwrap()];
    frame.extend(checksum.to_be_bytes());
    frame.extend(message);
    frame
}

const OWN: &[(&str, &str)] = &[("__name__", "up"), ("tenant", "a")];
const THEIRS: &[&[(&str, &str)]] = &[
    &[("__name__", "up"), ("tenant", "c")],
    &[("__name__", "up")],
    &[("tenant", "")],
    &[("tenant", "a"), ("tenant", "c")],
    &[("Tenant", "a")],
];

#[test]
fn the_callers_samples_pass_compressed() {
    let body = samples(&[OWN, &[("tenant", "b")]]);
    let Ok(Filtered::Snappy { content_type, body: block }) = cut(Accept::ReadSamples, 1, body.clone()) else {
        panic!()
    };
    assert_eq!(content_type, "application/x-protobuf");
    assert_eq!(snappy::decompress(&block, 1000).unwrap(), body);
}

#[test]
fn the_callers_chunks_pass_frame_by_frame() {
    let body = [frame(0, &[OWN]), frame(1, &[OWN, OWN]), frame(1, &[])].concat();
    let Ok(Filtered::Found { content_type, body: passed }) = cut(Accept::ReadChunks, 2, body.clone()) else {
        panic!()
    };
    assert_eq!(content_type, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    assert_eq!(passed, body);
    assert!(
        matches!(cut(Accept::ReadChunks, 2, Vec::new()), Ok(Filtered::Found { body, .. }) if body.is_empty())
    );
}

#[test]
fn the_checksum_is_prometheus() {
    // The check value of CRC-32C (RFC 3720, section B.4).
    assert_eq!(crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn atk_0i_a_backend_that_answers_others_series_is_not_passed() {
    for theirs in THEIRS {
        assert_eq!(cut(Accept::ReadSamples, 1, samples(&[OWN, theirs])), UNDECODABLE, "{theirs:?}");
        let body = [frame(0, &[OWN]), frame(0, &[theirs])].concat();
        assert_eq!(cut(Accept::ReadChunks, 1, body), UNDECODABLE, "{theirs:?}");
    }
}

#[test]
fn atk_4e_what_does_not_decode_is_refused() {
    assert_eq!(cut(Accept::ReadSamples, 2, samples(&[OWN])), UNDECODABLE);
    assert_eq!(cut(Accept::ReadSamples, 1, b"\xff".to_vec()), UNDECODABLE);
    let good = frame(0, &[OWN]);
    let mut wrong_sum = good.clone();
    wrong_sum[1] ^= 1;
    let mut wrong_byte = good.clone();
    *wrong_byte.last_mut().unwrap() ^= 1;
    let endless = [&[0xff; 9][..], &[0x01], &[0; 8]].concat();
    for body in [
        good[..good.len() - 1].to_vec(),
        good[..3].to_vec(),
        wrong_sum,
        wrong_byte,
        frame(1, &[OWN]),
        frame(-1, &[OWN]),
        endless,
        b"\x80".to_vec(),
    ] {
        assert_eq!(cut(Accept::ReadChunks, 1, body.clone()), UNDECODABLE, "{body:?}");
    }
    let other =
        Cut::RemoteRead { owned: owned(), accept: Accept::ReadChunks, queries: 1, longest: Duration::ZERO };
    assert_eq!(other.apply(&[answer("application/x-protobuf", good)]), UNDECODABLE);
    assert_eq!(other.apply(&[None]), UNEXPECTED);
}
