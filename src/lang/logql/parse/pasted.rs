//! Values that Loki writes into a query of its own without quoting them.
//!
//! For patterns that are kept in streams it makes a metric query of the caller's matchers, and puts the value
//! of `service_name` between double quotes as it is (`buildPatterLogQLQueryString` in
//! `pkg/logproto/extensions.go`). All other matchers it quotes.

use crate::lang::QueryError;
use crate::lang::logql::tree::Tree;

/// The label whose value is written as it is.
const SERVICE_NAME: &str = "service_name";

/// Refuses values that would not be read back as they are, whatever their matcher's operator.
pub(super) fn check(tree: &Tree<'_>) -> Result<(), QueryError> {
    for selector in tree.selectors() {
        if !tree.matchers(selector).iter().all(|m| can_be_pasted(m.label, &m.value)) {
            let message =
                "a value of `service_name` must not have quotes, backslashes or control characters here";
            return Err(QueryError::unsafe_(selector.at.0, message));
        }
    }
    Ok(())
}

/// Whether a matcher on `label` says the same when `value` is written between double quotes unchanged: it
/// is UTF-8 without what ends such a literal, begins an escape in it, or cannot stand in it.
pub(in crate::lang::logql) fn can_be_pasted(label: &str, value: &[u8]) -> bool {
    let plain = |text: &str| !text.chars().any(|c| matches!(c, '"' | '\\') || c.is_control());
    label != SERVICE_NAME || std::str::from_utf8(value).is_ok_and(plain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
