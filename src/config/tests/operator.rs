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
