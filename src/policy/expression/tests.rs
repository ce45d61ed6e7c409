#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

static NONE: LazyLock<Tables> = LazyLock::new(Tables::default);

fn compile(text: &str) -> Result<Expression, String> {
    Expression::compile(text, &NONE)
}

fn claims() -> Claims<'static> {
    let json = serde_json::json!({
        "tenant": "acme-books", "level": 3, "debt": -3, "huge": u64::MAX, "ratio": 1.5, "staff": true, "none": null,
        "groups": ["/tenants/acme-books", "/staff"], "mixed": ["a", 1], "empty": [],
        "realm_access": {"roles": ["reader"]}, "https://acme/tenant": "acme-eu",
    });
    Claims::new(json.as_object().unwrap(), &NONE)
}

fn evaluate(text: &str) -> Result<Answer, String> {
    compile(text).unwrap_or_else(|e| panic!("{text}: {e}")).evaluate(&claims())
}

fn texts_of(items: &[&str]) -> Answer {
    Answer::Texts(items.iter().map(|i| Arc::new((*i).to_owned())).collect())
}

#[test]
fn conditions_read_claims_of_every_json_type() {
    for text in [
        "has(claims.tenant)",
        "!has(claims.absent)",
        "has(claims.realm_access) && 'reader' in claims.realm_access.roles",
        "claims.level == 3 && claims.level + 1 == 4 && claims.level >= 2",
        "claims.debt < 0 && claims.huge > 5u && claims.ratio > 1.0",
        "claims.staff && claims.none == null",
        "claims.groups.exists(g, g == '/staff') && size(claims.groups) == 2",
        "claims.tenant.matches('^acme-[a-z]+$')",
        "type(claims.groups) == list && type(claims.tenant) == string",
        "claims['https://acme/tenant'] == 'acme-eu'",
        "claims.absent == 'x' || claims.staff",
    ] {
        assert_eq!(evaluate(text), Ok(Answer::Boolean(true)), "{text}");
    }
}

#[test]
fn scopes_are_texts_lists_or_nothing_of_use() {
    assert_eq!(evaluate("claims.tenant"), Ok(Answer::Text(Arc::new("acme-books".into()))));
    assert_eq!(evaluate("\"eu-west\""), Ok(Answer::Text(Arc::new("eu-west".into()))));
    assert_eq!(
        evaluate("claims.groups.filter(g, g.startsWith('/t'))"),
        Ok(texts_of(&["/tenants/acme-books"]))
    );
    assert_eq!(evaluate("claims.groups.map(g, g == '/staff', 'staff')"), Ok(texts_of(&["staff"])));
    assert_eq!(evaluate("claims.staff ? ['a'] + ['b'] : []"), Ok(texts_of(&["a", "b"])));
    assert_eq!(evaluate("claims.empty"), Ok(texts_of(&[])));
    assert_eq!(evaluate("claims.mixed"), Ok(Answer::MixedList));
    for text in ["claims.none", "claims.level", "claims.realm_access", "claims"] {
        assert_eq!(evaluate(text), Ok(Answer::Other), "{text}");
    }
}

#[test]
fn an_evaluation_error_names_no_value_of_the_token() {
    for (text, expected) in [
        ("claims.absent", "no such key `absent`"),
        ("claims.tenant + 1", "wrong types"),
        (
            "claims.level.startsWith('a')",
            "found no matching overload for 'startsWith' applied to 'int.(string)'",
        ),
        ("int(claims.tenant)", "function `int` failed"),
        ("claims.level / 0", "division by zero"),
        ("claims.groups[7]", "list index out of bounds"),
        ("claims[claims.tenant]", "no such key"),
    ] {
        let error = evaluate(text).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!error.contains("acme"), "{text}");
    }
}

#[test]
fn misspelt_names_are_found_at_load() {
    for (text, expected) in [
        ("claim.tenant", "unknown name `claim`"),
        ("acme-books", "unknown name `acme`"),
        ("claims.tenant.startswith('a')", "unknown function `startswith`"),
        ("optional.of(1)", "unknown function `of`"),
        ("claims.groups.exists(g, h == 'a')", "unknown name `h`"),
        ("claims.groups.map(claims, claims)", "`claims` cannot be the variable"),
        ("string", "type `string` can only be compared"),
        ("claims.staff ? string : 'a'", "type `string` can only be compared"),
        ("type(claims.tenant)", "can only be compared"),
        ("claims.tenant.matches('(')", "`(` is no regular expression"),
        ("'a'.matches(claims.tenant)", "the pattern of `matches` must be a text"),
        ("matches('a', claims.tenant)", "the pattern of `matches` must be a text"),
        ("a.b{}", "messages are not supported"),
        (".claims.tenant", "unknown name `.claims`"),
        ("", "(at 1:"),
        ("claims.", "(at 1:"),
        ("claims.?tenant", "(at 1:"),
        ("'a", "(at 1:"),
    ] {
        let error = compile(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn every_listed_function_exists_and_is_of_use() {
    for text in [
        "size(claims.tenant) == 10",
        "claims.tenant.contains('b')",
        "claims.tenant.startsWith('a')",
        "claims.tenant.endsWith('s')",
        "matches(claims.tenant, 'b')",
        "string(claims.level) == '3'",
        "int('3') == claims.level",
        "uint('3') == 3u",
        "double('1.5') == claims.ratio",
        "bool('true')",
        "type(claims.level) == int",
    ] {
        assert_eq!(evaluate(text), Ok(Answer::Boolean(true)), "{text}");
    }
}

#[test]
fn an_expression_has_4096_bytes_and_not_4097() {
    let text = |bytes: usize| format!("'{}'", "a".repeat(bytes - 2));
    assert!(compile(&text(MAX_EXPRESSION_BYTES)).is_ok());
    assert!(compile(&text(MAX_EXPRESSION_BYTES + 1)).unwrap_err().contains("4096 bytes"));
}

#[test]
fn a_tree_has_24_levels_and_not_25() {
    let sum = |terms: usize| vec!["1"; terms].join("+");
    assert!(compile(&sum(MAX_DEPTH)).is_ok());
    assert!(compile(&sum(MAX_DEPTH + 1)).unwrap_err().contains("limit of 24"));
}

#[test]
fn macros_nest_2_deep_and_not_3() {
    assert!(compile("claims.a.all(x, x.all(y, y))").is_ok());
    assert!(compile("claims.a.all(x, x.all(y, y.all(z, z)))").unwrap_err().contains("more than 2"));
    assert!(compile("claims.a.all(x, x) && claims.b.all(x, x) && claims.c.all(x, x)").is_ok());
}

#[test]
fn a_pattern_has_256_bytes_and_not_257() {
    let text = |bytes: usize| format!("claims.tenant.matches('{}')", "a".repeat(bytes));
    assert!(compile(&text(MAX_PATTERN_BYTES)).is_ok());
    assert!(compile(&text(MAX_PATTERN_BYTES + 1)).unwrap_err().contains("256 bytes"));
}

/// A token with lists of so many elements, and one of a few.
fn lists(length: usize) -> Claims<'static> {
    let items: Vec<_> = (0..length).map(|i| format!("g{i}")).collect();
    let claims = serde_json::json!({"long": items, "few": ["a", "b"], "deep": {"list": ["a", "b", "c"]}});
    Claims::new(claims.as_object().unwrap(), &NONE)
}

#[test]
fn an_evaluation_has_so_many_steps_and_not_one_more_and_all_of_a_token_share_them() {
    for text in [
        "claims.long.all(x, x in claims.long)",
        "claims.long.filter(x, claims.few.exists(y, x == y))",
        "claims['long'].map(x, x.matches('^g')).exists(x, !x)",
        "claims.few.map(x, x + 'b').join(',').split(',').exists(x, x == 'b')",
        "size(claims.long) == 3",
        "true",
    ] {
        let expression = compile(text).unwrap();
        let steps = expression.steps(&lists(50));
        assert!(expression.evaluate(&lists(50).within(steps)).is_ok(), "{text}");
        let refused = expression.evaluate(&lists(50).within(steps - 1)).unwrap_err();
        assert!(refused.contains("lists are too long"), "{text}");
        let both = lists(50).within(2 * steps - 1);
        assert!(expression.evaluate(&both).is_ok() && expression.evaluate(&both).is_err(), "{text}");
    }
}

#[test]
fn atk_6d_steps_are_those_of_the_lists_that_are_gone_through() {
    let steps = |text: &str, length| compile(text).unwrap().steps(&lists(length));
    // Others' lengths count for nothing.
    for text in ["claims.few.all(x, claims.few.exists(y, x == y))", "claims.deep.list.exists(x, x == 'a')"] {
        assert_eq!(steps(text, 10), steps(text, 100_000), "{text}");
        assert!(steps(text, 10) < 300, "{text}");
    }
    // By how much a list is longer, or the square of it.
    for (text, power) in [
        ("claims.long.exists(x, x == 'a')", 1),
        ("'a' in claims.long", 1),
        ("claims.long.all(x, claims.few.exists(y, x == y))", 1),
        ("claims.long.filter(x, x.startsWith('g')).map(x, x.substring(1))", 1),
        ("claims.long.filter(x, x != 'a').filter(x, x != 'b').exists(x, x == 'c')", 1),
        ("claims.long.all(x, x in claims.long)", 2),
        ("claims.long.all(x, claims.long.exists(y, x == y))", 2),
        ("claims.long.all(x, (claims.long + claims.long).exists(y, x == y))", 2),
    ] {
        let (one, ten) = (steps(text, 1000), steps(text, 10_000));
        let times = ten as f64 / one as f64;
        let expected = 10_f64.powi(power);
        assert!(times > expected * 0.9 && times < expected * 1.1, "{text}: {one} {ten}");
    }
    // A thousand in a thousand is too much for a worker, and none for a token of its own.
    let nested = steps("claims.long.all(x, claims.long.exists(y, x == y))", 1000);
    assert!(nested > SHORT_STEPS && nested < 2 * MAX_STEPS, "{nested}");
    assert!(steps("claims.long.filter(x, x.startsWith('g'))", 1000) < SHORT_STEPS);
}

/// A worker thread's stack is 2 MiB, of which an evaluation is left half; an overflow there would end the
/// process, not the evaluation.
#[test]
fn the_deepest_texts_do_not_overflow_a_workers_stack() {
    let fill = |open: &str, close: &str| {
        let n = (MAX_EXPRESSION_BYTES - 1) / (open.len() + close.len());
        format!("{}1{}", open.repeat(n), close.repeat(n))
    };
    let texts = [
        fill("(", ")"),
        fill("[", "]"),
        fill("{1:", "}"),
        fill("!", ""),
        fill("-", ""),
        fill("1+", ""),
        fill("1?1:", ""),
        fill("size(", ")"),
        fill("", ".a"),
        fill("", "[0]"),
        fill("1||", ""),
        fill("1==", ""),
        // The deepest that are accepted.
        vec!["1"; MAX_DEPTH].join("+"),
        format!("{}1{}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1)),
        format!("{}1", "true ? 1 : ".repeat(MAX_DEPTH - 1)),
        format!("[[1]].map(x, x.map(y, {}))", vec!["y"; MAX_DEPTH - 8].join("+")),
    ];
    let run = move || {
        let mut accepted = 0;
        for text in texts {
            let compiled = compile(&text);
            accepted += usize::from(compiled.is_ok());
            if let Ok(expression) = compiled {
                let _ = expression.evaluate(&claims());
            }
        }
        accepted
    };
    let accepted = std::thread::Builder::new().stack_size(1024 * 1024).spawn(run).unwrap().join().unwrap();
    assert_eq!(accepted, 7, "the four at the limit, and three that the reader flattens or balances");
}

#[test]
fn texts_are_taken_apart_as_cel_go_names_it() {
    let one = |text: &str| Ok(Answer::Text(Arc::new(text.to_owned())));
    for (text, expected) in [
        ("claims.groups[0].replace('/tenants/', '')", "acme-books"),
        ("claims.groups[0].split('/')[2]", "acme-books"),
        ("claims.groups[0].substring(9)", "acme-books"),
        ("claims.groups[0].substring(9, 13)", "acme"),
        ("claims.groups[0].substring(claims.groups[0].lastIndexOf('/') + 1)", "acme-books"),
        ("claims.tenant.substring(0, claims.tenant.indexOf('-'))", "acme"),
        ("claims.tenant.upperAscii().lowerAscii().trim()", "acme-books"),
        ("claims.tenant.charAt(0) + claims.tenant.reverse().charAt(0)", "as"),
        ("claims.tenant.split('-').join('_')", "acme_books"),
    ] {
        assert_eq!(evaluate(text), one(expected), "{text}");
    }
    let of_groups = "claims.groups.filter(g, g.startsWith('/tenants/')).map(g, g.replace('/tenants/', ''))";
    assert_eq!(evaluate(of_groups), Ok(texts_of(&["acme-books"])));
    // What cannot be taken apart removes the rule, and says nothing of the token.
    let fault = evaluate("claims.tenant.substring(99)").unwrap_err();
    assert!(fault.contains("substring") && !fault.contains("acme"), "{fault}");
}

#[test]
fn what_texts_are_taken_apart_by_is_the_expressions_own_and_bounded() {
    let refused = |text: &str| compile(text).unwrap_err();
    for text in [
        "claims.a.replace(claims.b, '')",
        "claims.a.replace('a', claims.b)",
        "claims.a.split(claims.b)[0]",
        "claims.groups.join(claims.b)",
        "claims.a.indexOf(claims.b) == 1",
    ] {
        assert!(refused(text).contains("must be texts in quotes"), "{text}");
    }
    let grows = |times: usize| format!("claims.a.replace('x', '{}')", "y".repeat(times));
    assert!(compile(&grows(64)).is_ok());
    assert!(refused(&grows(65)).contains("more than 64 times as long"));
    let twice = "claims.a.replace('', 'yyyyyyy').replace('x', 'yyyyyyyyy')";
    assert!(refused(twice).contains("more than 64 times as long"));
    let long = |bytes: usize| format!("claims.a.replace('{}', '')", "y".repeat(bytes));
    assert!(compile(&long(256)).is_ok() && refused(&long(257)).contains("256 bytes"));
    for text in ["'%s'.format([claims.a])", "strings.quote(claims.a)"] {
        assert!(refused(text).contains("unknown"), "{text}");
    }
    // A macro over the parts of a long text is as long as the text.
    let parts = compile("claims.a.split(',').exists(p, p == 'x')").unwrap();
    let of = |bytes: usize| {
        let json = serde_json::json!({ "a": ",".repeat(bytes) });
        parts.evaluate(&Claims::new(json.as_object().unwrap(), &NONE))
    };
    assert_eq!(of(4_096), Ok(Answer::Boolean(false)));
    assert!(of(32_768).unwrap_err().contains("too long"));
}

#[test]
fn what_is_written_as_in_another_language_is_told_in_cels() {
    for (text, hint) in [
        ("claims.a = 'x'", "CEL compares with `==`"),
        ("has(claims.a) and claims.b == 'x'", "CEL says `&&` for and"),
        ("has(claims.a) or has(claims.b)", "CEL says `||` for or"),
        ("not has(claims.a)", "CEL says `!` for not"),
        ("has(claims.a", "a bracket is not closed"),
        ("claims.a == 'x", "a quote is not closed"),
    ] {
        let told = compile(text).unwrap_err();
        assert!(told.contains(hint), "{text}: {told}");
    }
    assert!(compile("claims.a == 'x = and y'").is_ok());
}

fn tables(lists: &[(&str, usize)]) -> Tables {
    let list = |many: usize| (0..many).map(|number| format!("t{number}")).collect();
    let table = lists.iter().map(|(key, many)| ((*key).to_owned(), list(*many))).collect();
    Tables::new([("groups".to_owned(), table)].into())
}

#[test]
fn what_is_looked_up_is_a_list_of_the_table() {
    let tables = tables(&[("/staff", 2), ("none", 0), ("/music", 1)]);
    let json =
        serde_json::json!({ "groups": ["/staff", "/music", "/other"], "group": "/music", "maps": "x" });
    let claims = Claims::new(json.as_object().unwrap(), &tables);
    let evaluate = |text: &str| Expression::compile(text, &tables).unwrap().evaluate(&claims);
    assert_eq!(evaluate("maps.groups[claims.group]"), Ok(texts_of(&["t0"])));
    assert_eq!(evaluate("maps.groups['none']"), Ok(texts_of(&[])));
    assert_eq!(evaluate("claims.group in maps.groups"), Ok(Answer::Boolean(true)));
    let all = "claims.groups.filter(g, g in maps.groups).map(g, maps.groups[g]).flatten()";
    assert_eq!(evaluate(all), Ok(texts_of(&["t0", "t1", "t0"])));
    // Of a list of lists nothing is taken for a value.
    assert_eq!(
        evaluate("claims.groups.filter(g, g in maps.groups).map(g, maps.groups[g])"),
        Ok(Answer::MixedList)
    );
    assert_eq!(evaluate("maps.groups[claims.maps]"), Err("no such key".to_owned()), "a value of the token");
    assert_eq!(evaluate("maps.groups['y']"), Err("no such key `y`".to_owned()));
    let expression = Expression::compile("'/staff' in maps.groups", &tables).unwrap();
    assert!(!expression.is_never_true() && expression.claims().is_empty());
    for (text, expected) in [
        ("claims.a in maps.teams", "unknown map `teams`"),
        ("maps.teams['a']", "unknown map `teams`"),
        ("maps.groups", "a map is asked by"),
        ("maps['groups']['a']", "a map is asked by"),
        ("maps", "a map is asked by"),
        ("has(maps.groups)", "a map is asked by"),
        ("'groups' in maps", "a map is asked by"),
        ("maps.groups.map(k, k)", "a map is asked by"),
        ("maps.groups.exists(k, k in claims.groups)", "a map is asked by"),
        ("claims.groups.map(maps, maps)", "`maps` cannot be the variable of a macro"),
    ] {
        let told = Expression::compile(text, &tables).unwrap_err();
        assert!(told.contains(expected), "{text}: {told}");
    }
}

/// A token of many groups, each with many tenants, is no work without a bound.
#[test]
fn the_lists_of_a_table_count_as_steps() {
    let tables = tables(&[("/staff", 1_000)]);
    let looks = "claims.groups.map(g, maps.groups[g]).flatten()";
    let looks = Expression::compile(looks, &tables).unwrap();
    let of = |many: usize| {
        let json = serde_json::json!({ "groups": vec!["/staff"; many] });
        looks.evaluate(&Claims::new(json.as_object().unwrap(), &tables))
    };
    assert!(matches!(of(990), Ok(Answer::Texts(texts)) if texts.len() == 990_000));
    assert!(of(1_000).is_err_and(|told| told.contains("too long")));
}
