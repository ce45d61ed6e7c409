use super::*;
use crate::api::{Endpoint, Kind, Methods};

fn row(rpc: Rpc) -> &'static Endpoint {
    Kind::Tempo.endpoints().iter().find(|row| row.methods == Methods::Grpc(rpc)).unwrap()
}

/// What is read of a message is written the same, as far as its row passes it.
#[test]
fn what_is_read_is_written() {
    let search = SearchRequest {
        tags: Vec::new(),
        min_duration_ms: 0,
        max_duration_ms: 0,
        limit: 20,
        start: 1_700_000_000,
        end: 1_700_000_600,
        query: "{ .a = 1 }".to_owned(),
        spans_per_span_set: 3,
    };
    let metrics = QueryRangeRequest {
        query: "{} | rate()".to_owned(),
        start: u64::MAX - 1,
        end: u64::MAX,
        step: 15_000_000_000,
        exemplars: 100,
        max_series: u32::MAX,
    };
    let tags = SearchTagsRequest {
        scope: "span".to_owned(),
        query: "{}".to_owned(),
        start: 1,
        end: 2,
        max_tags_per_scope: 3,
        stale_values_threshold: 4,
    };
    let values = TagValuesRequest {
        tag_name: "span.a".to_owned(),
        query: "{}".to_owned(),
        start: 1,
        end: 2,
        max_tag_values: 3,
        stale_value_threshold: 4,
    };
    let instant = QueryInstantRequest { query: "{} | rate()".to_owned(), start: 0, end: 2 };
    for (rpc, message) in [
        (Rpc::Search, search.encode_to_vec()),
        (Rpc::SearchTags, tags.encode_to_vec()),
        (Rpc::SearchTagsV2, tags.encode_to_vec()),
        (Rpc::SearchTagValues, values.encode_to_vec()),
        (Rpc::SearchTagValuesV2, values.encode_to_vec()),
        (Rpc::MetricsQueryRange, metrics.encode_to_vec()),
        (Rpc::MetricsQueryInstant, instant.encode_to_vec()),
    ] {
        let read = read(rpc, &message).unwrap();
        let arguments: Vec<_> = read.into_iter().map(|(name, value)| Argument::Plain(name, value)).collect();
        assert_eq!(write(rpc, &arguments).unwrap(), frame::framed(&message), "{rpc:?}");
    }
}

#[test]
fn defaults_are_none_but_a_start_before_an_end() {
    assert!(read(Rpc::Search, &[]).unwrap().iter().all(|(_, value)| value.is_empty()));
    let message = QueryInstantRequest { query: String::new(), start: 0, end: 5 }.encode_to_vec();
    let read = read(Rpc::MetricsQueryInstant, &message).unwrap();
    assert_eq!(read, [("q", String::new()), ("start", "0".to_owned()), ("end", "5".to_owned())]);
}

#[test]
fn unknown_fields_are_dropped_and_broken_messages_refused() {
    // Field 10 of a search, and one that is nowhere.
    let mut message = vec![0x52, 0x02, 0x08, 0x01];
    message.extend([0xfa, 0x07, 0x01, 0x61]);
    assert!(read(Rpc::Search, &message).unwrap().iter().all(|(_, value)| value.is_empty()));
    for rpc in Rpc::ALL {
        assert!(matches!(read(rpc, &[0xff]), Err(Rejection::Malformed(_))), "{rpc:?}");
        // A text that is no UTF-8, in the first field.
        assert!(matches!(read(rpc, &[0x0a, 0x01, 0xff]), Err(Rejection::Malformed(_))), "{rpc:?}");
    }
}

/// Each field that is read has its place in the row, and each place of the row its field.
#[test]
fn rows_list_what_messages_have() {
    for (rpc, row) in Rpc::ALL.into_iter().map(|rpc| (rpc, row(rpc))) {
        let mut fields: Vec<_> = read(rpc, &[]).unwrap().into_iter().map(|(name, _)| name).collect();
        let mut listed: Vec<_> = row.parameters.iter().map(|p| p.name).collect();
        fields.sort_unstable();
        listed.sort_unstable();
        assert_eq!(fields, listed, "{rpc:?}");
        assert_eq!(row.path, rpc.path());
    }
}
