//! Server certificates.

use crate::config::Tls;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct TlsFault {
    file: String,
    problem: String,
}

impl TlsFault {
    fn new(file: &Path, problem: impl ToString) -> Self {
        Self { file: file.display().to_string(), problem: problem.to_string() }
    }
}

/// The TLS side of a listener: no client certificates, HTTP/1.1 and HTTP/2.
///
/// # Errors
/// If a file cannot be read, holds no PEM of its kind, or key and certificate do not fit.
pub fn load(files: &Tls) -> Result<Arc<ServerConfig>, TlsFault> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| TlsFault::new(&files.cert, error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsFault::new(&files.key, error))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| TlsFault::new(&files.cert, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
