//! The files that a configuration names: whether each holds what it should, and how long certificates last.

use super::Finding;
use crate::config::Config;
use crate::server::unusable_files;
use crate::trust::certificates;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Days before its end from which a certificate is a warning: a month, in which most are renewed.
const DAYS: i64 = 30;
const SECONDS_OF_A_DAY: i64 = 24 * 3600;

/// What is wrong with a file, and when certificates end.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        unusable_files(config).into_iter().map(|fault| Finding::problem("file", fault)).collect();
    for file in shown_certificates(config) {
        // One that cannot be read was told.
        let Ok(chain) = certificates(&file) else { continue };
        let ends = chain.iter().filter_map(|certificate| days_left(certificate)).min();
        found.extend(ends.map(|days| of_days(&format!("certificate {}", file.display()), days)));
    }
    if found.is_empty() {
        found.push(Finding::fine("files", "all that are named can be used"));
    }
    found
}

/// What is said of a certificate that ends in so many days.
pub(super) fn of_days(about: &str, days: i64) -> Finding {
    match days {
        ..0 => Finding::problem(about, format!("has ended {} days ago, renew it", -days)),
        0..DAYS => Finding::warning(about, format!("ends in {days} days, renew it")),
        _ => Finding::fine(about, format!("ends in {days} days")),
    }
}

/// Days until a certificate ends, below zero if it has; `None` if it cannot be read.
pub(super) fn days_left(certificate: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let left = certificate.validity().not_after.timestamp().checked_sub(i64::try_from(now).ok()?)?;
    Some(left.div_euclid(SECONDS_OF_A_DAY))
}

/// The certificates that are shown, and those of the authorities that are trusted.
fn shown_certificates(config: &Config) -> Vec<PathBuf> {
    let mut files: Vec<&Path> = Vec::new();
    files.extend(config.listen.iter().filter_map(|listen| Some(&*listen.tls.as_ref()?.cert)));
    for backend in &config.backends {
        files.extend(backend.tls.ca.as_deref());
        files.extend(backend.tls.identity.as_ref().map(|pair| &*pair.cert));
    }
    files.extend(config.issuers.iter().filter_map(|issuer| issuer.ca.as_deref()));
    files.sort();
    files.dedup();
    files.into_iter().map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_a_warning_a_month_before_its_end() {
        let told = |days| of_days("certificate", days).to_string();
        assert_eq!(told(30), "fine    certificate: ends in 30 days");
        assert_eq!(told(29), "warning certificate: ends in 29 days, renew it");
        assert_eq!(told(0), "warning certificate: ends in 0 days, renew it");
        assert_eq!(told(-1), "problem certificate: has ended 1 days ago, renew it");
        assert_eq!(days_left(b"junk"), None);
    }
}
