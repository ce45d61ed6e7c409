//! What must hold of any text that is taken for a configuration.

use super::Config;
use std::path::Path;

/// Reads `text`; what is taken can be served.
pub fn check(text: &str) {
    let Ok(config) = Config::parse("c.yaml", text, Path::new("/etc")) else { return };
    assert!(!config.listen.is_empty() && !config.issuers.is_empty() && !config.backends.is_empty());
    for issuer in &config.issuers {
        assert_eq!(issuer.check(), Ok(()));
    }
    for backend in &config.backends {
        assert!(backend.labels.iter().len() > 0, "a backend that can say nothing");
        assert!(matches!(backend.url.scheme_str(), Some("http" | "https")));
        assert!(backend.timeout <= config.request_timeout && !backend.timeout.is_zero());
    }
    for (index, backend) in config.backends.iter().enumerate() {
        let mut beside = config.backends.iter().skip(index + 1).filter(|other| other.mount == backend.mount);
        assert!(!beside.any(|other| other.kind != backend.kind || other.holds.meets(&backend.holds)));
    }
    for listener in &config.listen {
        let is = |name: &String| config.backends.iter().any(|b| b.name == *name || b.mount == *name);
        assert!(listener.backend.as_ref().is_none_or(is));
    }
    assert!(config.limits.query.nesting <= 128 && config.limits.body_bytes > 0);
}
