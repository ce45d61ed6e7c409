//! Where Tempo is called by gRPC.

use super::*;

#[test]
fn grpc_is_tempos_and_has_no_path() {
    let tempo = |rest: &str| {
        let tempo = format!("url: http://127.0.0.1:3200/tempo, labels: {{ tenant: resource.tenant }}{rest}");
        parse(&with("backends", &format!("backends: {{ tempo: {{ {tempo} }} }}")))
    };
    let url =
        |config: Result<Config, String>| config.unwrap().backends[0].grpc_url.clone().unwrap().to_string();
    assert_eq!(url(tempo("")), "http://127.0.0.1:3200/tempo");
    assert_eq!(url(tempo(", grpc_url: http://127.0.0.1:9095")), "http://127.0.0.1:9095/");
    assert_eq!(url(tempo(", grpc_url: https://tempo.example.org")), "https://tempo.example.org/");
    assert!(tempo(", grpc_url: http://127.0.0.1:9095/x").unwrap_err().contains("no path prefix"));
    assert!(tempo(", grpc_url: http://tempo.example.org").unwrap_err().contains("insecure_http"));
    assert!(tempo(", grpc_url: 127.0.0.1:9095").is_err());
    assert_eq!(parse(&loki("labels: { tenant: tenant }")).unwrap().backends[0].grpc_url, None);
    let refused = parse(&loki("labels: { tenant: tenant }, grpc_url: http://127.0.0.1:9095")).unwrap_err();
    assert!(refused.contains("only Tempo is called by gRPC"), "{refused}");
}
