//! Issuers, and a token of one.

use super::Finding;
use crate::auth::config::Issuer;
use crate::auth::{Verifier, keys_of};
use crate::config::Snapshot;
use crate::policy::Outcome;
use crate::rejection::TokenFault;
use http::{HeaderMap, HeaderValue};
use std::path::Path;
use std::time::Duration;

/// How long an issuer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the issuer gives keys.
pub(super) async fn look(issuer: &Issuer) -> Finding {
    let about = format!("issuer {}", issuer.url);
    match tokio::time::timeout(TIMEOUT, keys_of(issuer)).await {
        Err(_) => Finding::problem(about, "its keys: timed out, is it reached from here by this name?"),
        Ok(Err(fault)) => Finding::problem(about, format!("its keys: {fault}")),
        Ok(Ok(0)) => {
            Finding::problem(about, "it has no key for any of `algorithms`: add the one that it signs with")
        }
        Ok(Ok(keys)) => Finding::fine(about, format!("{keys} keys")),
    }
}

/// The token in `file`; `-` is standard input.
pub(super) fn token(file: &Path) -> Result<String, String> {
    let read = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(file),
    };
    let text = read.map_err(|error| error.to_string())?;
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    if token.is_empty() { Err("holds no token".to_owned()) } else { Ok(token.to_owned()) }
}

/// Whether the token is taken, and what it grants.
pub(super) async fn look_at_token(token: &str, snapshot: &Snapshot) -> Vec<Finding> {
    let Snapshot { config, policies, .. } = snapshot;
    let verifier = match Verifier::<()>::new(config.issuers.clone(), &config.limits) {
        Ok(verifier) => verifier,
        Err(fault) => return vec![Finding::problem("issuers", fault.to_string())],
    };
    let header = verifier.header_of(token).name();
    let value = if header == "authorization" { format!("Bearer {token}") } else { token.to_owned() };
    let Ok(value) = HeaderValue::try_from(value) else {
        return vec![Finding::problem("token", "has characters that no token has")];
    };
    let mut headers = HeaderMap::new();
    headers.insert(header, value);
    let verified = match tokio::time::timeout(TIMEOUT, verifier.verify(&headers)).await {
        Err(_) => return vec![Finding::problem("token", TokenFault::KeysUnavailable.to_string())],
        Ok(Err(TokenFault::Audience)) => {
            let audiences = verifier.audiences(token).unwrap_or_default();
            let text =
                format!("{}: {audiences}; add an audience mapper, or list what it has", TokenFault::Audience);
            return vec![Finding::problem("token", text)];
        }
        Ok(Err(fault)) => return vec![Finding::problem("token", fault.to_string())],
        Ok(Ok(verified)) => verified,
    };
    let caller = verified.caller();
    let mut found = vec![Finding::fine(
        "token",
        format!("taken, issuer {}, subject {}", caller.issuer(), caller.subject().unwrap_or("-")),
    )];
    let judged = policies.judge(caller.claims());
    for verdict in &judged.verdicts {
        if let Outcome::Fault { key, fault } = &verdict.outcome {
            let about = format!("rule `{}`", verdict.rule);
            found.push(Finding::warning(
                about,
                format!("`{key}` cannot be evaluated for this token: {fault}"),
            ));
        }
    }
    found.extend(
        judged.granted.iter().map(|(rule, scope)| Finding::fine(format!("rule `{rule}`"), scope.to_string())),
    );
    if let Err(forbidden) = judged.grants {
        found.push(Finding::problem(
            "token",
            format!("{forbidden}; `palisade explain` says what each rule made of it"),
        ));
    }
    found
}
