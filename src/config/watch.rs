//! Whether the files that a server reads have changed.

use super::Config;
use crate::auth::config::KeySource;
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A digest of what the files of a configuration hold: equal as long as none of them says something else.
///
/// What a path leads to is read each time, so a link that is made to point elsewhere, as mounted config maps are
/// changed, is seen like any other change. A file that cannot be read counts as empty: reading the whole will say
/// what is wrong.
pub fn fingerprint(path: &Path, config: &Config) -> Box<[u8]> {
    let mut files = vec![path.to_owned()];
    let mut folder: Vec<PathBuf> = fs::read_dir(&config.policies)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    folder.sort();
    files.extend(folder);
    files.extend(beside(config));
    let mut context = Context::new(&SHA256);
    for file in files {
        add(&mut context, &file);
    }
    context.finish().as_ref().into()
}

fn add(context: &mut Context, file: &Path) {
    let content = fs::read(file).unwrap_or_default();
    context.update(file.as_os_str().as_encoded_bytes());
    context.update(&(content.len() as u64).to_le_bytes());
    context.update(&content);
}

/// A digest of each file that stands beside the configuration and its policies: certificates, keys, secrets.
pub(super) fn digests(config: &Config) -> BTreeMap<PathBuf, Box<[u8]>> {
    let digested = |file: PathBuf| {
        let mut context = Context::new(&SHA256);
        add(&mut context, &file);
        (file, context.finish().as_ref().into())
    };
    beside(config).into_iter().map(digested).collect()
}

fn beside(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for tls in config.listen.iter().filter_map(|listen| listen.tls.as_ref()) {
        files.extend([tls.cert.clone(), tls.key.clone()]);
    }
    for backend in &config.backends {
        files.extend(backend.tls.files().map(Path::to_owned));
        files.extend(backend.credentials.iter().map(|credentials| credentials.file().to_owned()));
    }
    files.extend(config.issuers.iter().filter_map(|issuer| issuer.ca.clone()));
    files.extend(config.issuers.iter().filter_map(|issuer| match &issuer.keys {
        KeySource::JwksFile(file) => Some(file.clone()),
        _ => None,
    }));
    files.extend(config.admin.token_file.clone());
    files.extend(config.cache_salt_file.clone());
    files
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_change_of_any_file_is_seen_and_of_a_link_too() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["one", "two"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("policy.yaml"), version).unwrap();
        }
        symlink(at("one"), at("policies")).unwrap();
        let text = "listen: [{ address: 127.0.0.1:8080 }]
admin: { address: 127.0.0.1:9095 }
issuers: [{ url: https://sso.example.org, audiences: [palisade] }]
backends: { loki: { url: http://127.0.0.1:3100, labels: { tenant: tenant } } }
policies: policies
";
        let text = text.replace(
            "loki: { url: http://127.0.0.1:3100, ",
            "loki: { url: https://127.0.0.1, tls: { ca: ca, cert: cert, key: key }, auth: { bearer_file: token }, ",
        );
        let text = text.replace("audiences:", "ca: issuer, audiences:") + "cache_salt_file: salt\n";
        fs::write(at("palisade.yaml"), text).unwrap();
        let config = Config::load(&at("palisade.yaml")).unwrap();
        let seen = || fingerprint(&at("palisade.yaml"), &config);
        let first = seen();
        assert_eq!(seen(), first);
        fs::remove_file(at("policies")).unwrap();
        symlink(at("two"), at("policies")).unwrap();
        let second = seen();
        assert_ne!(second, first);
        fs::write(at("two/more.yaml"), "").unwrap();
        let third = seen();
        assert_ne!(third, second);
        let mut last = third;
        for name in ["ca", "cert", "key", "token", "issuer", "salt"] {
            fs::write(at(name), "new").unwrap();
            let now = seen();
            assert_ne!(now, last, "{name}");
            last = now;
        }
        fs::write(at("palisade.yaml"), "").unwrap();
        assert_ne!(seen(), last);
    }
}
