//! Servers and tokens that the tests make for themselves.

pub mod authority;
pub mod bare;
pub mod grpc;
pub mod issuer;
pub mod proxy;
// The library's unit tests use it too, and other parts of it.
#[allow(dead_code)]
pub mod signing;
pub mod tail;
pub mod upstream;

/// A text for Tempo without the salt of its scope, which must be there: in a hint for tags a condition that every span
/// meets, elsewhere the last of the hints.
pub fn unsalted(text: &str) -> String {
    let forms = [
        ("resource.service.name != \"", "\" && ", ""),
        (" with(palisade=\"", "\")", ""),
        (", palisade=\"", "\")", ")"),
    ];
    for (before, after, left) in forms {
        let Some((start, rest)) = text.split_once(before) else { continue };
        let (salt, end) = rest.split_once(after).unwrap();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        assert!(salt.len() == 16 && salt.bytes().all(plain), "{text}");
        return [start, left, end].concat();
    }
    panic!("no salt in {text}");
}

/// What stands before a salt in LogQL.
const LOGQL_SALT: &str = ",__salt__!=\"";

/// The first salt in a LogQL text, by which what Loki keeps of it is nobody else's.
pub fn salt_of(text: &str) -> Option<&str> {
    text.split_once(LOGQL_SALT)?.1.split_once('"').map(|(salt, _)| salt)
}

/// A LogQL text without its salts.
///
/// # Panics
/// If one is not as salts are: 16 lower case letters and digits.
pub fn unsalted_logql(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(salt) = salt_of(&text).map(str::to_owned) {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        assert!(salt.len() == 16 && salt.bytes().all(plain), "{text}");
        text = text.replace(&format!("{LOGQL_SALT}{salt}\""), "");
    }
    text
}
