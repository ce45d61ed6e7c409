//! Which keys of a set are usable.

use super::*;
use crate::auth::signing::{SigningKey, base64, jwks};
use crate::auth::tests::{ISSUER, KEY, settings};
use serde_json::json;

fn read(set: &Value) -> Option<KeySet> {
    KeySet::read(set.to_string().as_bytes(), &settings(ISSUER).algorithms)
}

/// How many keys of a set with this one are usable.
fn usable(jwk: Value) -> usize {
    read(&json!({"keys": [jwk]})).unwrap().len()
}

/// [`KEY`]'s JWK with one member changed; null removes it.
fn rsa(name: &str, value: Value) -> Value {
    changed(KEY.jwk(), name, value)
}

fn changed(mut jwk: Value, name: &str, value: Value) -> Value {
    let members = jwk.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    jwk
}

#[test]
fn every_public_key_type_is_usable() {
    let keys = [SigningKey::p256("a"), SigningKey::p384("b"), SigningKey::ed25519("c")];
    let set = read(&jwks(keys.iter().chain([&*KEY]))).unwrap();
    assert_eq!(set.len(), 4);
    assert!(set.find(Some("a"), Algorithm::Es256).is_some());
    assert!(set.find(Some("a"), Algorithm::Es384).is_none());
    assert!(set.find(Some("b"), Algorithm::Es256).is_none());
    assert!(set.find(Some("c"), Algorithm::EdDsa).is_some());
    assert!(set.find(Some("k1"), Algorithm::Ps512).is_some());
    assert!(set.find(Some("K1"), Algorithm::Rs256).is_none());
}

#[test]
fn purpose_must_be_signatures() {
    assert_eq!(usable(rsa("use", json!(null))), 1);
    assert_eq!(usable(rsa("use", json!("enc"))), 0);
    assert_eq!(usable(rsa("use", json!(["sig"]))), 0);
    assert_eq!(usable(rsa("key_ops", json!(["verify"]))), 1);
    assert_eq!(usable(rsa("key_ops", json!(["sign", "encrypt"]))), 0);
    assert_eq!(usable(rsa("key_ops", json!([]))), 0);
    assert_eq!(usable(rsa("key_ops", json!("verify"))), 0);
}

#[test]
fn a_bound_algorithm_binds() {
    let bound = read(&json!({"keys": [rsa("alg", json!("RS384"))]})).unwrap();
    assert!(bound.find(Some("k1"), Algorithm::Rs384).is_some());
    assert!(bound.find(Some("k1"), Algorithm::Rs256).is_none());
    for alg in [json!("HS256"), json!("ES256"), json!("RSA-OAEP"), json!("none"), json!(1), json!("rs256")] {
        assert_eq!(usable(rsa("alg", alg.clone())), 0, "{alg}");
    }
    let narrow = KeySet::read(jwks([&*KEY]).to_string().as_bytes(), &[Algorithm::Es256]).unwrap();
    assert_eq!(narrow.len(), 0);
}

#[test]
fn rsa_keys_have_2048_bits_at_least_and_8192_at_most() {
    let modulus = |bits: usize| {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] = 0xff >> (bytes.len() * 8 - bits);
        rsa("n", json!(base64(bytes)))
    };
    assert_eq!(usable(modulus(2048)), 1);
    assert_eq!(usable(modulus(2047)), 0);
    assert_eq!(usable(modulus(1024)), 0);
    assert_eq!(usable(modulus(8192)), 1);
    assert_eq!(usable(modulus(8193)), 0);
    // Leading zeros make no key longer.
    let short = [vec![0; 128], vec![0xff; 128]].concat();
    assert_eq!(usable(rsa("n", json!(base64(short)))), 0);
    assert_eq!(usable(rsa("n", json!(""))), 0);
}

#[test]
fn what_is_no_whole_public_key_is_left_out() {
    for (name, value) in [
        ("kty", json!("oct")),
        ("kty", json!("EC")),
        ("kty", json!("rsa")),
        ("kty", json!(null)),
        ("kty", json!(1)),
        ("crv", json!("P-256")),
        ("n", json!(null)),
        ("n", json!("a+/b")),
        ("e", json!(null)),
        ("e", json!(65537)),
        ("kid", json!(1)),
        ("d", json!("AAAA")),
    ] {
        assert_eq!(usable(rsa(name, value.clone())), 0, "{name} {value}");
    }
    let (p256, ed) = (SigningKey::p256("p").jwk(), SigningKey::ed25519("e").jwk());
    for (name, value) in [
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("crv", json!(null)),
        ("x", json!(base64([1; 31]))),
        ("y", json!(base64([1; 33]))),
        ("y", json!(null)),
        ("kty", json!("OKP")),
    ] {
        assert_eq!(usable(changed(p256.clone(), name, value.clone())), 0, "{name} {value}");
    }
    for (name, value) in [("crv", json!("X25519")), ("crv", json!("Ed448")), ("x", json!(base64([1; 57])))] {
        assert_eq!(usable(changed(ed.clone(), name, value.clone())), 0, "{name} {value}");
    }
    assert_eq!((usable(p256), usable(ed)), (1, 1));
}

/// A point that is not on the curve has the right form, and verifies nothing.
#[test]
fn a_point_beside_the_curve_verifies_nothing() {
    let jwk = changed(SigningKey::p256("p").jwk(), "y", json!(base64([7; 32])));
    let set = read(&json!({"keys": [jwk]})).unwrap();
    let key = set.find(Some("p"), Algorithm::Es256).unwrap();
    assert!(!key.verifies(b"message", &base64([1; 64]), Algorithm::Es256));
}

#[test]
fn one_bad_key_spoils_no_other() {
    let set = json!({"keys": [{"kty": "oct", "k": "AAAA"}, 1, null, {}, {"kty": "future"}, KEY.jwk()]});
    assert_eq!(read(&set).unwrap().len(), 1);
}

#[test]
fn of_two_keys_that_fit_none_is_chosen() {
    let set = json!({"keys": [KEY.jwk(), KEY.jwk()]});
    assert!(read(&set).unwrap().find(Some("k1"), Algorithm::Rs256).is_none());
    // RFC 7517, section 4.5: one name for keys of different types is fine.
    let set = jwks([&*KEY, &SigningKey::p256("k1")]);
    assert!(read(&set).unwrap().find(Some("k1"), Algorithm::Rs256).is_some());
    assert!(read(&set).unwrap().find(Some("k1"), Algorithm::Es256).is_some());
}

#[test]
fn a_set_is_an_object_with_at_most_64_keys() {
    let keys = |count: usize| json!({"keys": vec![KEY.jwk(); count]});
    assert_eq!(read(&keys(64)).unwrap().len(), 64);
    assert_eq!(read(&keys(65)), None);
    assert_eq!(read(&keys(0)).unwrap().len(), 0);
    for set in [json!([]), json!({}), json!({"keys": {}}), json!("keys")] {
        assert_eq!(read(&set), None, "{set}");
    }
    assert_eq!(KeySet::read(br#"{"keys":[],"keys":[]}"#, &[]), None);
    assert_eq!(KeySet::read(b"<html>", &[]), None);
}

#[test]
fn bits_are_counted_from_the_first_one() {
    assert_eq!(bits(&[]), 0);
    assert_eq!(bits(&[0, 0]), 0);
    assert_eq!(bits(&[1]), 1);
    assert_eq!(bits(&[0, 0x80, 0]), 16);
    assert_eq!(bits(&[0x7f, 0xff]), 15);
}
