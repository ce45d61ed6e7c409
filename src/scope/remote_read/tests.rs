use super::*;
use crate::api::Kind;
use crate::api::parameters::Parameters;
use crate::api::path::route;
use crate::limits::QueryLimits;
use crate::scope::Carried;
use crate::tenant::{Scope, ScopeValue, Values};

fn scope_of(scope: &[(&str, &[&str])]) -> ScopeMatchers {
    let values =
        |texts: &[&str]| Values::new(texts.iter().map(|t| ScopeValue::parse(t).unwrap()).collect()).unwrap();
    let dimensions = scope.iter().map(|(d, texts)| ((*d).to_owned(), values(texts)));
    let label_of = |d: &str| scope.iter().map(|(name, _)| *name).find(|name| *name == d);
    Scope::new(dimensions.collect()).unwrap().in_labels(label_of).unwrap()
}

fn mine() -> ScopeMatchers {
    scope_of(&[("tenant", &["a.b"])])
}

fn own(kind: i32, name: &str, value: &str) -> LabelMatcher {
    LabelMatcher { kind, name: name.into(), value: value.into() }
}

fn query(matchers: &[LabelMatcher]) -> Query {
    Query { start_timestamp_ms: 1, end_timestamp_ms: 3, matchers: matchers.to_vec(), hints: None }
}

fn request(queries: &[Query], types: &[i32]) -> ReadRequest {
    ReadRequest { queries: queries.to_vec(), accepted_response_types: types.to_vec() }
}

/// What a backend reads, and the check of its answer.
fn asked(body: Vec<u8>, scope: &ScopeMatchers, limits: &Limits) -> Result<(ReadRequest, Cut), Rejection> {
    let matched = route(Kind::Prometheus, "/api/v1/read").unwrap();
    let (parameters, carried) = (Parameters::default(), Carried::default());
    let endpoint = matched.endpoint;
    let asked = Asked { matched, parameters, body: Some(body), accept: Accept::Json, carried };
    let Asking::Calls(mut drafts, cut) = asking(&asked, scope, limits)? else { panic!() };
    assert_eq!(drafts.len(), 1);
    let call = drafts.remove(0).encode(endpoint, scope, limits).unwrap();
    let bytes = snappy::decompress(call.body(), usize::MAX).unwrap();
    Ok((ReadRequest::decode(&*bytes).unwrap(), cut))
}

fn sent(request: &ReadRequest, scope: &ScopeMatchers) -> ReadRequest {
    let body = snappy::compress(&request.encode_to_vec()).unwrap();
    asked(body, scope, &Limits::default()).unwrap().0
}

#[test]
fn each_query_gets_the_scope_as_a_pattern_and_keeps_its_own() {
    let up = own(0, "__name__", "up");
    let theirs = own(0, "tenant", "b");
    let given = request(&[query(std::slice::from_ref(&up)), query(std::slice::from_ref(&theirs))], &[]);
    let scope = own(2, "tenant", r"a\.b");
    let expected = [query(&[scope.clone(), up.clone()]), query(&[scope, theirs])];
    assert_eq!(sent(&given, &mine()), request(&expected, &[0]));

    let two = scope_of(&[("region", &["eu"]), ("tenant", &["b", "a.b"])]);
    let expected = query(&[own(2, "region", "eu"), own(2, "tenant", r"a\.b|b"), up.clone()]);
    assert_eq!(sent(&request(&[query(&[up])], &[1]), &two), request(&[expected], &[1]));
}

/// Prometheus turns an equality with one of its external labels around. The scope has none.
#[test]
fn atk_0i_no_matcher_of_the_scope_is_an_equality() {
    for scope in [mine(), scope_of(&[("region", &["eu"]), ("tenant", &["a"])])] {
        let sent = sent(&request(&[query(&[own(1, "a", "b")])], &[]), &scope);
        let (ours, theirs) = sent.queries[0].matchers.split_at(scope.iter().len());
        assert!(ours.iter().all(|m| m.kind == PATTERN) && theirs == [own(1, "a", "b")]);
    }
}

#[test]
fn one_form_of_the_answer_is_asked_for_and_no_unknown_one() {
    for (given, expected) in
        [(&[][..], 0), (&[0], 0), (&[1], 1), (&[1, 0], 1), (&[0, 1], 0), (&[7, 1], 1), (&[-1, 0], 0)]
    {
        assert_eq!(sent(&request(&[], given), &mine()).accepted_response_types, [expected]);
    }
    let body = snappy::compress(&request(&[], &[2, 7]).encode_to_vec()).unwrap();
    assert!(matches!(asked(body, &mine(), &Limits::default()), Err(Rejection::Malformed(_))));
}

#[test]
fn what_is_not_known_of_a_request_is_dropped() {
    // Field 9 of the request and of its query, then hints with a field 99.
    let mut bytes = b"\x4a\x01x\x0a\x09\x4a\x01y\x22\x04\x9a\x06\x01z".to_vec();
    let plain = asked(snappy::compress(&bytes).unwrap(), &mine(), &Limits::default()).unwrap().0;
    assert_eq!(plain.queries.len(), 1);
    assert!(plain.encoded_len() < 60 && plain.queries[0].hints == Some(Default::default()));
    bytes.push(0x0a);
    let cut_off = asked(snappy::compress(&bytes).unwrap(), &mine(), &Limits::default());
    assert!(matches!(cut_off, Err(Rejection::Malformed(_))));
}

#[test]
fn atk_0k_what_is_no_block_or_no_request_is_refused() {
    let plain = request(&[query(&[])], &[]).encode_to_vec();
    let bad_type = request(&[query(&[own(4, "a", "b")])], &[]).encode_to_vec();
    let negative = request(&[query(&[own(-1, "a", "b")])], &[]).encode_to_vec();
    let pattern = request(&[query(&[own(2, "a", "(")])], &[]).encode_to_vec();
    let block = |bytes: &[u8]| snappy::compress(bytes).unwrap();
    for body in [Vec::new(), plain, block(b"\xff\xff"), block(&bad_type), block(&negative), block(&pattern)] {
        let refused = asked(body, &mine(), &Limits::default());
        assert!(matches!(refused, Err(Rejection::Malformed(_))), "{refused:?}");
    }
}

#[test]
fn each_cap_holds_at_its_number_and_refuses_one_more() {
    let up = query(&[own(0, "__name__", "up"), own(0, "a", "b")]);
    let bytes = request(&[up.clone(), up.clone()], &[]).encode_to_vec();
    let block = snappy::compress(&bytes).unwrap();
    let held = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        match asked(block.clone(), &mine(), &limits) {
            Ok(_) => None,
            Err(Rejection::TooLarge { what, max, .. }) => Some((what, max)),
            Err(other) => panic!("{other}"),
        }
    };
    let (total, one) = (bytes.len(), up.encoded_len());
    assert_eq!(held(&|l| l.body_bytes = total), None);
    let over = held(&|l| l.body_bytes = total - 1);
    assert_eq!(over, Some(("bytes of the body, decompressed,", total - 1)));
    let query = |change: &dyn Fn(&mut QueryLimits)| held(&|l| change(&mut l.query));
    assert_eq!(query(&|q| q.selectors = 2), None);
    assert_eq!(query(&|q| q.selectors = 1), Some(("queries", 1)));
    assert_eq!(query(&|q| q.bytes = one), None);
    assert_eq!(query(&|q| q.bytes = one - 1), Some(("bytes of a query", one - 1)));
    assert_eq!(query(&|q| q.tokens = 4), None);
    assert_eq!(query(&|q| q.tokens = 3), Some(("matchers", 3)));
}

#[test]
fn the_longest_span_is_known() {
    let long = Query { start_timestamp_ms: -5, end_timestamp_ms: 2_000, ..query(&[]) };
    let turned = Query { start_timestamp_ms: i64::MAX, end_timestamp_ms: i64::MIN, ..query(&[]) };
    let given = request(&[query(&[]), long, turned], &[]).encode_to_vec();
    let (_, cut) = asked(snappy::compress(&given).unwrap(), &mine(), &Limits::default()).unwrap();
    assert!(matches!(cut, Cut::RemoteRead { longest, .. } if longest == Duration::from_millis(2_005)));
}

#[test]
fn every_other_request_is_a_defect() {
    let scope = [own(2, "tenant", r"a\.b")];
    let before = request(&[query(&[own(0, "x", "y")])], &[0]);
    let mine = mine();
    let proven = |after: &ReadRequest| ScopedRead::prove(&before, after, &mine).is_ok();
    let right = query(&[scope[0].clone(), own(0, "x", "y")]);
    assert!(proven(&request(std::slice::from_ref(&right), &[0])));
    for wrong in [
        request(&[query(&[own(0, "x", "y")])], &[0]),
        request(&[query(&[own(0, "x", "y"), scope[0].clone()])], &[0]),
        request(&[query(&scope)], &[0]),
        request(&[query(&[own(1, "tenant", r"a\.b"), own(0, "x", "y")])], &[0]),
        request(&[query(&[own(2, "tenant", "a.b"), own(0, "x", "y")])], &[0]),
        request(&[query(&[own(2, "region", r"a\.b"), own(0, "x", "y")])], &[0]),
        request(&[Query { end_timestamp_ms: 4, ..right.clone() }], &[0]),
        request(&[right.clone(), right.clone()], &[0]),
        request(&[right], &[1]),
        request(&[], &[0]),
    ] {
        assert!(!proven(&wrong), "{wrong:?}");
    }
}

/// Prometheus finds nothing for a query without matchers, and so must it with the scope.
#[test]
fn a_query_without_matchers_finds_nothing() {
    let expected = query(&[own(2, "tenant", r"a\.b"), own(0, "tenant", "")]);
    assert_eq!(sent(&request(&[query(&[])], &[]), &mine()), request(&[expected], &[0]));
}

/// Prometheus finds everything for a lone matcher without name and value; here that is all of the scope.
#[test]
fn a_lone_matcher_of_nothing_finds_the_scope() {
    for kind in 0..4 {
        let given = request(&[query(&[own(kind, "", "")]), query(&[own(0, "", "x")])], &[]);
        let scope = own(2, "tenant", r"a\.b");
        let expected = [query(std::slice::from_ref(&scope)), query(&[scope, own(0, "", "x")])];
        assert_eq!(sent(&given, &mine()), request(&expected, &[0]), "{kind}");
    }
}

/// Beside others, whether it is an error tells whether anybody has what the others ask for.
#[test]
fn atk_60_a_matcher_of_nothing_beside_others_is_refused() {
    for kind in 0..4 {
        let given = request(&[query(&[own(0, "card", "4711"), own(kind, "", "")])], &[]);
        let block = snappy::compress(&given.encode_to_vec()).unwrap();
        let refused = asked(block, &mine(), &Limits::default()).unwrap_err().to_string();
        assert!(refused.contains("without name and value"), "{refused}");
    }
}
