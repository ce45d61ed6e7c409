//! Whom a client of ours trusts, and how it shows itself: certificates and secrets, each out of a file.
//!
//! A configuration holds the files' names only. What is in them is read when a snapshot is built, at the start and
//! at each reload, so that a test of a configuration needs no secret, and none is in its debug output.

use crate::tenant::SaltKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::{BuilderVerifierExt as _, Verifier};
use secrecy::{ExposeSecret as _, SecretString};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a file with a secret.
const SECRET_BYTES: usize = 64 * 1024;

/// The files of a certificate and its key, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The TLS side of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The authorities that are trusted, PEM; `None`: the platform's.
    pub ca: Option<PathBuf>,
    /// Whether the platform's are trusted beside those of `ca`.
    pub platform_roots: bool,
    /// The certificate that the client shows, if it has one.
    pub identity: Option<KeyPair>,
}

/// How a client says to a server who it is. What it says is in files only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// `Authorization: Bearer` with what this file holds.
    Bearer(PathBuf),
    /// `Authorization: Basic` (RFC 7617).
    Basic {
        /// The user, without a colon.
        username: String,
        /// The file that holds the password.
        password: PathBuf,
    },
}

/// A file that cannot be used. Shows nothing of what is in it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct TrustFault {
    file: String,
    problem: String,
}

impl TrustFault {
    /// A fault of `file`.
    pub fn new(file: &Path, problem: impl ToString) -> Self {
        Self { file: file.display().to_string(), problem: problem.to_string() }
    }
}

impl ClientTls {
    /// Every file that is read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let identity = self.identity.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        self.ca.iter().chain(identity).map(PathBuf::as_path)
    }

    /// The settings for rustls: TLS 1.2 and 1.3 by aws-lc, no protocol chosen yet.
    ///
    /// # Errors
    /// If a file cannot be read or holds no PEM of its kind, if key and certificate do not fit, or if the
    /// platform's trust store is needed and cannot be read.
    pub fn settings(&self) -> Result<ClientConfig, TrustFault> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let shown = self.ca.as_deref().unwrap_or(Path::new("the platform's trust store"));
        let fault = |error: rustls::Error| TrustFault::new(shown, error);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(fault)?;
        let builder = match &self.ca {
            None => builder.with_platform_verifier().map_err(fault)?,
            Some(ca) if self.platform_roots => {
                let verifier = Verifier::new_with_extra_roots(certificates(ca)?, provider).map_err(fault)?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(ca)? {
                    roots.add(certificate).map_err(fault)?;
                }
                builder.with_root_certificates(roots)
            }
        };
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some(pair) => {
                let (chain, key) = pair.load()?;
                let shown = |error| TrustFault::new(&pair.cert, error);
                builder.with_client_auth_cert(chain, key).map_err(shown)
            }
        }
    }
}

impl KeyPair {
    /// The certificate chain and the key.
    ///
    /// # Errors
    /// If a file cannot be read or holds no PEM of its kind.
    pub fn load(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TrustFault> {
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| TrustFault::new(&self.key, error))?;
        Ok((certificates(&self.cert)?, key))
    }
}

impl Credentials {
    /// The file that the secret is in.
    pub fn file(&self) -> &Path {
        match self {
            Self::Bearer(file) | Self::Basic { password: file, .. } => file,
        }
    }

    /// The value of `Authorization`.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no secret that the header can say.
    pub fn header(&self) -> Result<SecretString, TrustFault> {
        let secret = secret(self.file())?;
        match self {
            Self::Bearer(file) => {
                if !is_token68(secret.expose_secret()) {
                    return Err(TrustFault::new(file, "holds characters that no bearer token has"));
                }
                Ok(format!("Bearer {}", secret.expose_secret()).into())
            }
            Self::Basic { username, .. } => {
                let pair = SecretString::from(format!("{username}:{}", secret.expose_secret()));
                Ok(format!("Basic {}", STANDARD.encode(pair.expose_secret())).into())
            }
        }
    }
}

/// The key of the salts of scopes that `file` holds.
///
/// # Errors
/// If the file cannot be read, or holds less than [`SaltKey::MIN_BYTES`] bytes.
pub fn salt_key(file: &Path) -> Result<SaltKey, TrustFault> {
    let secret = secret(file)?;
    SaltKey::new(secret.expose_secret().as_bytes())
        .ok_or_else(|| TrustFault::new(file, format!("holds less than {} bytes", SaltKey::MIN_BYTES)))
}

/// Whether `text` is what RFC 6750 lets a bearer token be: the syntax `b64token` of its section 2.1.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty()
        && body
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/'))
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// If the file cannot be read or holds none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustFault> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| TrustFault::new(file, error))?;
    if certificates.is_empty() {
        return Err(TrustFault::new(file, "holds no certificate"));
    }
    Ok(certificates)
}

/// The secret that is in `file`, without the line feed at its end that editors leave.
fn secret(file: &Path) -> Result<SecretString, TrustFault> {
    let fault = |problem: &str| TrustFault::new(file, problem);
    let opened = std::fs::File::open(file).map_err(|error| TrustFault::new(file, error))?;
    let mut text = String::new();
    let read = opened.take(SECRET_BYTES as u64 + 1).read_to_string(&mut text);
    // Wiped when it goes, on every way out.
    let whole = SecretString::from(text);
    read.map_err(|error| TrustFault::new(file, error.kind()))?;
    let text = whole.expose_secret();
    if text.len() > SECRET_BYTES {
        return Err(fault("holds more than 65536 bytes"));
    }
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    match text {
        "" => Err(fault("holds no secret")),
        other if other.chars().any(char::is_control) => Err(fault("holds a line break or control character")),
        fine => Ok(fine.to_owned().into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn file(&self, name: &str, text: &[u8]) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        }
    }

    fn folder() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    #[test]
    fn a_bearer_token_is_what_the_file_holds_without_its_line_feed() {
        let folder = folder();
        for text in ["abc.d-e_f~+/==", "abc.d-e_f~+/==\n", "abc.d-e_f~+/==\r\n"] {
            let header = Credentials::Bearer(folder.file("token", text.as_bytes())).header().unwrap();
            assert_eq!(header.expose_secret(), "Bearer abc.d-e_f~+/==");
        }
        for bad in ["", "\n", "a b", "a\nb", "a\n\n", "a\r\nx-evil: 1", "=", "\u{e9}", "a=b"] {
            let fault = Credentials::Bearer(folder.file("token", bad.as_bytes())).header().unwrap_err();
            assert!(fault.to_string().contains("holds"), "{bad:?}: {fault}");
            assert!(!fault.to_string().contains("evil"), "{fault}");
        }
        assert!(Credentials::Bearer(folder.file("token", b"\xff")).header().is_err());
        assert!(Credentials::Bearer(folder.0.path().join("nowhere")).header().is_err());
    }

    #[test]
    fn basic_is_user_and_password_in_base64() {
        let folder = folder();
        let password = folder.file("password", "open sesame, \u{e9}\n".as_bytes());
        let credentials = Credentials::Basic { username: "palisade".to_owned(), password };
        assert_eq!(credentials.header().unwrap().expose_secret(), "Basic cGFsaXNhZGU6b3BlbiBzZXNhbWUsIMOp");
    }

    #[test]
    fn a_secret_has_65536_bytes_and_not_one_more() {
        let folder = folder();
        let of = |bytes: usize| secret(&folder.file("secret", "a".repeat(bytes).as_bytes()));
        assert!(of(65_536).is_ok());
        assert!(of(65_537).is_err());
    }

    #[test]
    fn a_salt_key_has_32_bytes_and_not_one_less() {
        let folder = folder();
        let of = |bytes: usize| salt_key(&folder.file("salt", "s".repeat(bytes).as_bytes()));
        assert!(of(32).is_ok());
        let fault = of(31).unwrap_err().to_string();
        assert!(fault.ends_with("salt: holds less than 32 bytes"), "{fault}");
        assert!(salt_key(&folder.0.path().join("nowhere")).is_err());
    }

    #[test]
    fn nothing_of_a_secret_is_in_debug_output() {
        let folder = folder();
        let header = Credentials::Bearer(folder.file("token", b"sesame")).header().unwrap();
        assert!(!format!("{header:?}").contains("sesame"));
    }

    #[test]
    fn certificates_that_cannot_be_used_are_told_by_their_file() {
        let folder = folder();
        let (empty, junk) = (folder.file("empty.pem", b""), folder.file("junk.pem", b"junk"));
        let nowhere = folder.0.path().join("nowhere.pem");
        for ca in [empty.clone(), junk.clone(), nowhere] {
            for platform_roots in [false, true] {
                let tls = ClientTls { ca: Some(ca.clone()), platform_roots, identity: None };
                let fault = tls.settings().unwrap_err().to_string();
                assert!(fault.starts_with(&ca.display().to_string()), "{fault}");
            }
        }
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert = folder.file("cert.pem", signed.cert.pem().as_bytes());
        let key = folder.file("key.pem", signed.signing_key.serialize_pem().as_bytes());
        let other = rcgen::KeyPair::generate().unwrap();
        let other = folder.file("other.pem", other.serialize_pem().as_bytes());
        let with = |cert: &Path, key: &Path| {
            let identity = Some(KeyPair { cert: cert.to_owned(), key: key.to_owned() });
            ClientTls { ca: Some(folder.0.path().join("cert.pem")), platform_roots: false, identity }
                .settings()
        };
        assert!(with(&cert, &key).is_ok());
        for (cert, key) in [(&cert, &other), (&cert, &junk), (&empty, &key), (&key, &cert)] {
            assert!(with(cert, key).is_err(), "{cert:?} {key:?}");
        }
    }
}
