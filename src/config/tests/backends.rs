//! How a backend is reached, where it stands among others, and its own tenants: said whole, or not at all.

use super::*;

#[test]
fn how_a_backend_is_reached_is_said_whole_or_not_at_all() {
    let shown = |url: &str, rest: &str| {
        let backend = format!("{{ url: {url}, labels: {{ tenant: t }}, {rest} }}");
        parse(&with("backends", &format!("backends: {{ loki: {backend} }}"))).unwrap_err()
    };
    for (rest, expected) in [
        ("tls: {}", "c.yaml:4:77: `backends.loki.tls`: says nothing"),
        ("tls: { cert: a }", "c.yaml:4:77: `backends.loki.tls`: `cert` needs `key`"),
        ("tls: { ca: c, key: a }", "c.yaml:4:77: `backends.loki.tls`: `key` needs `cert`"),
        ("tls: { ca: '' }", "c.yaml:4:83: `backends.loki.tls.ca`: an empty path"),
        ("tls: { cert: '', key: a }", "c.yaml:4:85: `backends.loki.tls.cert`: an empty path"),
        ("tls: { platform_roots: true }", "c.yaml:4:95: `backends.loki.tls.platform_roots`: says what"),
        ("tls: { insecure: true }", "c.yaml:4:79: unknown field `insecure`"),
        ("auth: {}", "c.yaml:4:78: `backends.loki.auth`: give one of `bearer_file` and `basic`"),
        ("auth: { bearer_file: '' }", "c.yaml:4:93: `backends.loki.auth.bearer_file`: an empty path"),
        ("auth: { bearer: sesame }", "c.yaml:4:80: unknown field `bearer`"),
        (
            "auth: { bearer_file: a, basic: { username: b, password_file: c } }",
            "c.yaml:4:78: `backends.loki.auth`: give one of",
        ),
        ("auth: { basic: { username: u } }", "c.yaml:4:89: missing field `password_file`"),
        ("auth: { basic: { username: u, password: p } }", "c.yaml:4:102: unknown field `password`"),
        (
            "auth: { basic: { username: '', password_file: c } }",
            "c.yaml:4:99: `backends.loki.auth.basic.username`: an empty user",
        ),
        (
            "auth: { basic: { username: 'a:b', password_file: c } }",
            "c.yaml:4:99: `backends.loki.auth.basic.username`: a user has no colon",
        ),
    ] {
        let shown = shown("https://loki.internal", rest);
        assert!(shown.starts_with(expected), "{rest}: {shown}");
    }
    let plain = shown("http://127.0.0.1:3100", "tls: { ca: c }");
    assert!(plain.starts_with("c.yaml:4:77: `backends.loki.tls`: the url is plain http"), "{plain}");
    // A credential goes over plain HTTP only where the operator says that everything may.
    let plain = shown("http://loki.internal", "auth: { bearer_file: a }");
    assert!(plain.contains("`backends.loki.url`: `http://loki.internal` is plain http"), "{plain}");
    let by_choice = loki("labels: { tenant: t }, auth: { bearer_file: a }")
        .replace("http://127.0.0.1:3100", "http://loki");
    assert!(
        parse(&by_choice).is_err() && parse(&by_choice.replace("auth", "insecure_http: true, auth")).is_ok()
    );
}

#[test]
fn a_backends_own_tenancy_is_said_whole_or_not_at_all() {
    for (rest, expected) in [
        ("org_id: {}", "c.yaml:4:85: `backends.loki.org_id`: give `map`, `template` or both"),
        (
            "org_id: { template: x, dimension: region }",
            "c.yaml:4:111: `backends.loki.org_id.dimension`: the backend has no label for `region`",
        ),
        (
            "org_id: { template: 'a|{tenant}' }",
            "c.yaml:4:97: `backends.loki.org_id.template`: `a|{tenant}` makes",
        ),
        (
            "org_id: { map: { acme: a/b } }",
            "c.yaml:4:100: `backends.loki.org_id.map.acme`: `a/b` is no org id",
        ),
        (
            "org_id: { map: { 'a|b': c } }",
            "c.yaml:4:101: `backends.loki.org_id.map.a|b`: no value of a scope",
        ),
        (
            "org_id: { template: x, unrestricted: [a, b] }",
            "c.yaml:4:118: `backends.loki.org_id.unrestricted`: several ids need `federates: true`",
        ),
        (
            "org_id: { template: x, unrestricted: ['*|a'] }",
            "c.yaml:4:115: `backends.loki.org_id.unrestricted`: `*|a` is no org id",
        ),
        ("label_policy: true", "c.yaml:4:91: `backends.loki.label_policy`: needs `org_id`"),
        ("org_id: { header: x }", "c.yaml:4:87: unknown field `header`"),
    ] {
        let shown = parse(&loki(&format!("labels: {{ tenant: tenant }}, {rest}"))).unwrap_err();
        assert!(shown.starts_with(expected), "{rest}: {shown}");
    }
    let tempo = "backends: { tempo: { url: https://t, labels: { tenant: resource.t }, org_id: { template: x }, label_policy: true } }";
    assert_eq!(
        fault("backends", tempo),
        "c.yaml:4:109: `backends.tempo.label_policy`: tempo reads no label policy"
    );
    let off = "labels: { tenant: tenant }, label_policy: false";
    assert_eq!(parse(&loki(off)).unwrap().backends[0].tenancy, None);
}

#[test]
fn backends_of_one_mount_hold_parts_that_no_other_holds() {
    let at = |first: &str, second: &str| {
        let backend = |name: &str, rest: &str| {
            format!("{name}: {{ url: https://l, labels: {{ tenant: t1, region: r }}, {rest} }}")
        };
        let text = format!("backends:\n  {}\n  {}", backend("eu", first), backend("us", second));
        parse(&with("backends", &text))
    };
    const EU: &str = "mount: loki, holds: { tenant: [acme-*], region: [eu] }";
    for us in [
        "mount: loki, holds: { tenant: [globex-*] }",
        "mount: loki, holds: { region: [us-*] }",
        "mount: logs, kind: loki",
    ] {
        assert!(at(EU, us).is_ok(), "{us}");
    }
    for (eu, us, expected) in [
        (EU, "mount: loki", "c.yaml:6:7: `backends.us.holds`: needed, as others are mounted at `loki` too"),
        (
            EU,
            "mount: loki, holds: { tenant: [acme-books] }",
            "c.yaml:5:80: `backends.eu.holds`: `us` holds some of that (tenant=acme-books)",
        ),
        (
            EU,
            "mount: loki, kind: prometheus, holds: { tenant: [globex] }",
            "c.yaml:5:67: `backends.eu.mount`: `us` is mounted there, and is prometheus",
        ),
        (
            "kind: loki, mount: us",
            "kind: loki",
            "c.yaml:5:79: `backends.eu.mount`: `us` is another backend's name",
        ),
        ("mount: A, kind: loki", EU, "c.yaml:5:67: `backends.eu.mount`: backend name `A` must match"),
        ("mount: t, kind: loki", EU, "c.yaml:5:67: `backends.eu.mount`: backend name `t` is kept"),
        (EU, "mount: loki, holds: {}", "c.yaml:6:80: `backends.us.holds`: at least one dimension"),
        (EU, "mount: loki, holds: { team: [a] }", "c.yaml:6:88: `backends.us.holds.team`: no dimension that"),
        (EU, "mount: loki, holds: { tenant: [] }", "c.yaml:6:90: `backends.us.holds.tenant`: at least one"),
        (
            EU,
            "mount: loki, holds: { tenant: ['*'] }",
            "c.yaml:6:91: `backends.us.holds.tenant`: `*` is no value",
        ),
        (
            EU,
            "mount: loki, holds: { tenant: [a*b] }",
            "c.yaml:6:91: `backends.us.holds.tenant`: `a*b` is no value",
        ),
        ("mount: x", EU, "c.yaml:5:7: `backends.eu.kind`: needed"),
    ] {
        let shown = at(eu, us).map(drop).unwrap_err();
        assert!(shown.starts_with(expected), "{eu} {us}: {shown}");
    }
    // A mount that is shared, and a backend of it, can each be served at a root.
    let listen = |name: &str| {
        let text = with("listen", &format!("listen: [{{ address: 127.0.0.1:1, backend: {name} }}]"));
        parse(&text.replace("{ loki: { url", "{ eu: { kind: loki, mount: logs, url"))
    };
    assert!(listen("logs").is_ok() && listen("eu").is_ok() && listen("loki").is_err());
}
