#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::lang::QueryErrorKind;

fn kinds(text: &str) -> Vec<Kind> {
    lex(text, &QueryLimits::default()).unwrap().iter().map(|t| t.kind).collect()
}

fn refusal(text: &str) -> QueryErrorKind {
    lex(text, &QueryLimits::default()).unwrap_err().kind
}

#[test]
fn a_text_has_as_many_bytes_as_the_cap_and_no_more() {
    let limits = QueryLimits { bytes: 9, ..QueryLimits::default() };
    assert!(lex("{a=\"bcd\"}", &limits).is_ok());
    assert_eq!(lex("{a=\"bcde\"}", &limits).unwrap_err().kind, QueryErrorKind::Limit);
}

#[test]
fn a_text_has_as_many_tokens_as_the_cap_and_no_more() {
    let limits = QueryLimits { tokens: 3, ..QueryLimits::default() };
    assert_eq!(lex("1 + 1 # + 1", &limits).unwrap().len(), 3);
    assert_eq!(lex("1 + 1 +", &limits).unwrap_err().kind, QueryErrorKind::Limit);
}

#[test]
fn a_number_takes_its_unit() {
    for (text, kind) in [
        ("5", Kind::Number),
        ("5.", Kind::Number),
        (".5e-3", Kind::Number),
        ("5m", Kind::Duration),
        ("1h30m", Kind::Duration),
        ("1.5h", Kind::Duration),
        ("5µs", Kind::Duration),
        ("-5m", Kind::Duration),
        ("-0", Kind::Duration),
        ("5kB", Kind::Bytes),
        ("1.5MiB", Kind::Bytes),
        ("5M", Kind::Bytes),
    ] {
        assert_eq!(kinds(text), [kind], "{text}");
    }
    assert_eq!(kinds("-5"), [Kind::Subtract, Kind::Number]);
    assert_eq!(kinds("- 5m"), [Kind::Subtract, Kind::Duration]);
    assert_eq!(kinds("-0.5"), [Kind::Subtract, Kind::Number]);
}

#[test]
fn a_number_does_not_run_into_a_word() {
    for text in ["5mb", "5and", "1.5.5", "1_000s", "5é", "5µ", "5m_", "5 5b"] {
        assert_eq!(refusal(text), QueryErrorKind::Unsupported, "{text}");
    }
    for text in ["0B", "0x10", "0b1", "0o7", "5e", "5p", "5PB", "08", "1__0", "1_", "1_.5", "1e_5", "5e+"] {
        assert_eq!(refusal(text), QueryErrorKind::Syntax, "{text}");
    }
    assert_eq!(kinds("08.5 0_7"), [Kind::Number, Kind::Number]);
}

#[test]
fn a_flag_is_one_token_and_only_whole() {
    assert_eq!(kinds("--strict --keep-empty"), [Kind::Strict, Kind::KeepEmpty]);
    assert_eq!(kinds("--stricter"), [Kind::Subtract, Kind::Subtract, Kind::Identifier]);
    assert_eq!(kinds("- -strict"), [Kind::Subtract, Kind::Subtract, Kind::Identifier]);
    assert_eq!(kinds("--STRICT"), [Kind::Subtract, Kind::Subtract, Kind::Identifier]);
}

#[test]
fn signs_take_the_longest_form() {
    assert_eq!(kinds("|=="), [Kind::PipeExact, Kind::Equal]);
    assert_eq!(kinds("| ="), [Kind::Pipe, Kind::Equal]);
    assert_eq!(kinds(">=="), [Kind::GreaterOrEqual, Kind::Equal]);
    assert_eq!(kinds("!~!>!="), [Kind::NotMatch, Kind::NotPattern, Kind::NotEqual]);
    assert_eq!(kinds("=~==="), [Kind::Match, Kind::Equality, Kind::Equal]);
    assert_eq!(refusal("==~"), QueryErrorKind::Unsupported);
}

#[test]
fn a_range_is_raw_up_to_its_bracket() {
    assert_eq!(kinds("[a {\"#]"), [Kind::Range]);
    assert_eq!(refusal("[5m"), QueryErrorKind::Syntax);
    assert_eq!(refusal("]"), QueryErrorKind::Syntax);
}

#[test]
fn a_nul_is_refused_everywhere() {
    for text in ["\0", "\"a\0\"", "`\0`", "# \0", "a\0"] {
        assert_eq!(refusal(text), QueryErrorKind::Syntax, "{text:?}");
    }
}

#[test]
fn time_is_linear_at_the_cap() {
    for piece in ["sum ", "1h", "-1m ", "\"\\\\\"", "#\n", "by(", "µ", "5m "] {
        let text = piece.repeat(65_536 / piece.len());
        let start = std::time::Instant::now();
        let _ = lex(&text, &QueryLimits { tokens: usize::MAX, ..QueryLimits::default() });
        assert!(start.elapsed().as_secs() < 20, "{piece:?}");
    }
}

/// ATK-6D: what one token is looked ahead for does not grow with the text.
#[test]
fn atk_6d_a_dash_is_read_without_the_rest_of_the_text() {
    assert_eq!(flag_bytes(&"-".repeat(65_000)), 13);
    assert_eq!((flag_bytes("--strict x"), flag_bytes("--keep-empty"), flag_bytes("- 1")), (8, 12, 1));
}
