//! What holds of every call, whatever its bytes: for tests that make bytes up.

use super::frame::Messages;
use super::{Argument, read, write};
use crate::api::Rpc;

/// Takes `bytes` for a stream of messages, and for a message of each call.
///
/// # Panics
/// If a message is over its cap, or what is read is not what is read of what is written.
pub fn check(bytes: &[u8]) {
    const MAX: usize = 64;
    let mut messages = Messages::new(MAX);
    messages.push(bytes);
    let mut taken = 0;
    while let Ok(Some(message)) = messages.take() {
        assert!(message.len() <= MAX, "over the cap");
        taken += 5 + message.len();
    }
    assert!(taken <= bytes.len(), "more than was given");
    for rpc in Rpc::ALL {
        let Ok(fields) = read(rpc, bytes) else { continue };
        let plain = |(name, value): &(&'static str, String)| Argument::Plain(name, value.clone());
        let arguments: Vec<Argument> = fields.iter().map(plain).collect();
        let written = write(rpc, &arguments).expect("what is read can be written");
        let mut messages = Messages::new(usize::MAX);
        messages.push(&written);
        let message = messages.take().expect("a frame").expect("a message");
        assert!(messages.end().is_ok(), "one message");
        let mut again = read(rpc, &message).expect("a message is read");
        // What a row has translated or refuses is never written.
        let mut fields = fields;
        for (name, value) in fields.iter_mut().chain(&mut again) {
            if matches!(*name, "tags" | "minDuration" | "maxDuration") {
                value.clear();
            }
        }
        assert_eq!(again, fields, "{rpc:?}");
    }
}
