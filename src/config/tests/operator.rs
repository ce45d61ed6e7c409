//! What concerns whoever operates a server.

use super::*;

#[test]
fn the_control_is_for_this_machine_or_needs_a_token() {
    let admin = |rest: &str| {
        let text = format!("admin: {{ address: 127.0.0.1:9095, {rest} }}");
        parse(&with("admin", &text)).map(|config| config.admin)
    };
    let control = |text: &str| admin(&format!("control: {text}")).map(|admin| admin.control.unwrap());
    assert_eq!(admin("").unwrap().control, None);
    assert_eq!(control("127.0.0.1:9096"), Ok(ControlAt::Loopback("127.0.0.1:9096".parse().unwrap())));
    assert_eq!(control("'[::1]:9096'"), Ok(ControlAt::Loopback("[::1]:9096".parse().unwrap())));
    assert_eq!(control("/run/control.sock"), Ok(ControlAt::Socket("/run/control.sock".into())));
    assert_eq!(control("./control.sock"), Ok(ControlAt::Socket("/etc/palisade/./control.sock".into())));
    for (text, expected) in [
        ("0.0.0.0:9096", "c.yaml:2:44: `admin.control`: `0.0.0.0:9096` is no loopback address"),
        ("192.168.0.1:9096", "c.yaml:2:44: `admin.control`: `192.168.0.1:9096` is no loopback address"),
        ("127.0.0.1:9095", "c.yaml:2:44: `admin.control`: `127.0.0.1:9095` is taken by `admin.address`"),
        ("localhost:9096", "c.yaml:2:44: `admin.control`: `localhost:9096` is no address"),
    ] {
        let shown = control(text).unwrap_err();
        assert!(shown.starts_with(expected), "{shown}");
    }
    let listen =
        "listen: [{ address: 127.0.0.1:9096 }]\nadmin: { address: 127.0.0.1:1, control: 127.0.0.1:9096 }";
    assert!(
        parse(&with("listen", listen).replace("\nadmin: { address: 127.0.0.1:9095 }", ""))
            .unwrap_err()
            .contains("is taken")
    );
    let token = admin("token_file: token").unwrap();
    assert_eq!((token.control, token.token_file), (None, Some("/etc/palisade/token".into())));
}

#[test]
fn an_audit_log_blocks_unless_it_may_drop() {
    let audit = |text: &str| parse(&with("limits", text)).map(|config| config.audit);
    assert_eq!(audit(""), Ok(None));
    let usual =
        AuditLog { sink: AuditSink::Stdout, blocks: true, queue: 8192, user_claim: None, queries: false };
    assert_eq!(audit("audit: {}"), Ok(Some(usual)));
    let sink = AuditSink::File("/etc/palisade/audit.jsonl".into());
    let all = "audit: { file: audit.jsonl, when_full: drop, queue: 1, user_claim: preferred_username, queries: true }";
    let user_claim = Some("preferred_username".to_owned());
    assert_eq!(audit(all), Ok(Some(AuditLog { sink, blocks: false, queue: 1, user_claim, queries: true })));
    assert!(audit("audit: { queue: 1048576 }").is_ok());
    let collector =
        audit("audit: { otlp: { url: https://otel:4318/v1/logs, ca: ca.pem } }").unwrap().unwrap();
    let tls = ClientTls { ca: Some("/etc/palisade/ca.pem".into()), ..ClientTls::default() };
    assert_eq!(collector.sink, AuditSink::Otlp { url: "https://otel:4318/v1/logs".parse().unwrap(), tls });
    assert!(audit("audit: { otlp: { url: http://otel/v1/logs, insecure_http: true } }").is_ok());
    for bad in
        ["{ url: http://otel/v1/logs }", "{ url: 'https://otel/?a' }", "{}", "{ url: https://otel, ca: '' }"]
    {
        assert!(audit(&format!("audit: {{ otlp: {bad} }}")).is_err(), "{bad}");
    }
    assert!(audit("audit: { file: f, otlp: { url: https://otel/v1/logs } }").is_err());
    for bad in [
        "{ queue: 0 }",
        "{ queue: 1048577 }",
        "{ when_full: wait }",
        "{ file: '' }",
        "{ sink: x }",
        "{ user_claim: '' }",
    ] {
        assert!(audit(&format!("audit: {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn connections_and_the_end_are_bounded_as_the_file_says() {
    let read = |text: &str| parse(&with("limits", text));
    let usual = read("").unwrap();
    let connections = &usual.connections;
    assert_eq!((connections.most, connections.per_address), (16_384, None));
    assert_eq!((connections.head_timeout.as_secs(), connections.idle_timeout.as_secs()), (10, 75));
    assert_eq!((usual.shutdown.delay.as_secs(), usual.shutdown.timeout.as_secs()), (5, 20));
    let all = "limits: { connections: 3, connections_per_address: 2, head_timeout: 1s, idle_timeout: 2s, body_timeout: 3s }
shutdown: { delay: 0s, timeout: 4s }";
    let config = read(all).unwrap();
    assert_eq!((config.connections.most, config.connections.per_address), (3, Some(2)));
    assert_eq!((config.connections.head_timeout.as_secs(), config.body_timeout.as_secs()), (1, 3));
    assert!(config.shutdown.delay.is_zero() && config.shutdown.timeout.as_secs() == 4);
    for bad in [
        "limits: { connections: 0 }",
        "limits: { connections_per_address: 0 }",
        "limits: { head_timeout: 0s }",
        "limits: { idle_timeout: 3601s }",
        "shutdown: { timeout: 0s }",
        "shutdown: { delay: 3601s }",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    let listen = |proxies: &str| {
        let listen = format!("listen: [{{ address: 127.0.0.1:0, trusted_proxies: [{proxies}] }}]");
        parse(&with("listen", &listen))
    };
    let networks = listen("10.0.0.0/8, 192.0.2.1, '2001:db8::/32'").unwrap();
    assert_eq!(networks.listen[0].trusted_proxies.len(), 3);
    for bad in ["10.0.0.0/33", "proxy.example.org", "''"] {
        assert!(listen(bad).unwrap_err().contains("is no network"), "{bad}");
    }
}

#[test]
fn an_origin_is_written_as_browsers_send_it() {
    let set = |origin: &str| parse(&with("limits", &format!("tail: {{ origins: [\"{origin}\"] }}")));
    for good in ["https://portal.example.org", "http://127.0.0.1:3000", "https://xn--bcher-kva.example"] {
        assert_eq!(set(good).unwrap().tails.origins, [good]);
    }
    for bad in [
        "",
        "*",
        "null",
        "portal.example.org",
        "https://portal.example.org/",
        "https://portal.example.org/x",
        "https://Portal.example.org",
        "https://u@portal.example.org",
        "https://*.example.org",
        "ftp://portal.example.org",
    ] {
        assert!(set(bad).unwrap_err().contains("`tail.origins`: "), "{bad}");
        let cors = parse(&with("limits", &format!("cors: {{ origins: [\"{bad}\"] }}")));
        assert!(cors.unwrap_err().contains("`cors.origins`: "), "{bad}");
    }
}
