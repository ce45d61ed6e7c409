//! Server certificates.

use crate::trust::{KeyPair, TrustFault};
use rustls::ServerConfig;
use std::sync::Arc;

/// The TLS side of a listener: no client certificates, HTTP/1.1 and HTTP/2.
///
/// # Errors
/// If a file cannot be read, holds no PEM of its kind, or key and certificate do not fit.
pub fn load(files: &KeyPair) -> Result<Arc<ServerConfig>, TrustFault> {
    let (chain, key) = files.load()?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| TrustFault::new(&files.cert, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
