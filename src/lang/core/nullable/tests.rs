use super::*;

#[test]
fn patterns_that_match_the_empty_string() {
    for pattern in [
        "",
        ".*",
        "a|",
        "|a",
        "a*",
        "a?",
        "a{0}",
        "a{0,3}",
        "a{0,}",
        "(a|)",
        "(?:a*)",
        "(?i)",
        "(?i)a*",
        "(?i:a*)b?",
        "()",
        "^$",
        r"\A\z",
        r"\B",
        "(a*)+",
        "[a-z]*",
        "[]a]*",
        "[^]]*",
        "[[:alpha:]]*",
        r"[\]]*",
        "(?P<n>a*)",
        "(?<n>a*)",
        r"\Q\E",
        r"\x{41}*",
        r"\pL*",
        r"\p{Greek}*",
        "a*?",
        "(a+)*",
        "((((a?))))",
        "(?-s:.*)",
        r"\Qab\E|",
    ] {
        assert!(matches_empty(pattern.as_bytes()), "{pattern}");
    }
}

#[test]
fn patterns_that_do_not() {
    for pattern in [
        "a",
        ".+",
        ".",
        "a|b",
        "a*b",
        "(a|b)",
        "(?i)a",
        "a{1}",
        "a{1,2}",
        "a+",
        "{",
        "a{,2}",
        "{0",
        r"\b",
        r"\*",
        r"\d",
        r"\Q.*\E",
        r"\Qa",
        "[]a]",
        "[a*]",
        "[[:alpha:]*]",
        "(a*)b",
        "x(|a)",
        "ä",
        r"\x41",
        r"\pL",
        "(",
        ")",
        "(?=a)*",
        "[a",
        "\\",
        r"a?b{2}c*",
        r"[\\]",
    ] {
        assert!(!matches_empty(pattern.as_bytes()), "{pattern}");
    }
}

#[test]
fn open_brackets_and_lone_repetitions_are_malformed() {
    for pattern in [
        "[a-z",
        "a)",
        "(a",
        r"\",
        "(?=a)",
        "[a-z)(",
        ".*(bucket",
        r"\x{41",
        "*",
        "a**",
        ".++",
        "a+?*",
        "(*a)",
        "a|*",
        "a{2}{3}",
        "(?i)*",
        "(?-)a",
        "(?i-)a",
        "(?P<>a)",
        "(?<a b>c)",
        "a{1001}",
        "a{2,1}",
        "(a{100}){11}",
        r"\q",
        r"\8",
        r"\1",
        r"\C",
        r"\Z",
        r"\é",
        r"\x4",
        r"\x{}",
        r"\x{110000}",
        r"[\q]",
        r"[\b]",
        r"[a-\d]",
        "[z-a]",
        "[[:foo:]]",
        r"\p",
        r"\pX",
        r"\p{}",
    ] {
        assert!(is_malformed(pattern.as_bytes()), "{pattern}");
    }
    for pattern in [
        "",
        "a|b",
        "(a)",
        "[]a]",
        r"\(",
        "[(]",
        r"\Q(\E",
        "(?i)a",
        "{",
        "a{",
        "[[:alpha:]]",
        "[[:]",
        "a+?",
        "a{2}?b*",
        "^*",
        "(a*)*",
        "a(?i)b*",
        "a*(?i)*",
        "(?)a",
        "(?i-s:a)",
        "a{1000}",
        "(a{100}){10}",
        "(a{100}){0}",
        "a{01}",
        "a{2000000000,x",
        r"\12",
        r"\0",
        r"\x4a",
        r"\x{10ffff}",
        r"\_\-\<",
        r"[\d\-a-z\pL[:^alpha:]é-]",
        "[a-]",
        "[-a]",
        "[^-a]",
        r"\P{^Greek}",
        r"\Qa",
    ] {
        assert!(!is_malformed(pattern.as_bytes()), "{pattern}");
    }
}

#[test]
fn what_is_no_utf_8_is_malformed() {
    assert!(is_malformed(b"a\xff") && !matches_empty(b"\xff*"));
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!("{}a*{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(matches_empty(deep.as_bytes()));
}
