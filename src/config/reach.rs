//! How a backend is reached: whom we trust to be it, and how we show who we are.

use super::ConfigError;
use super::check::Check;
use super::file::{AuthFile, BackendTlsFile, BasicFile};
use crate::trust::{ClientTls, Credentials, KeyPair};
use serde_saphyr::Spanned;

impl Check<'_> {
    /// `backends.NAME.tls`, which is at `key`, for a URL with `https` or without.
    pub(super) fn client_tls(
        &self,
        key: &str,
        encrypted: bool,
        file: Option<&Spanned<BackendTlsFile>>,
    ) -> Result<ClientTls, ConfigError> {
        let Some(file) = file else { return Ok(ClientTls::default()) };
        let fault = |problem: &str| Err(self.fault(file.referenced, format!("`{key}`: {problem}")));
        if !encrypted {
            return fault("the url is plain http");
        }
        let BackendTlsFile { ca, platform_roots, cert, key: private } = &file.value;
        let path = |name: &str, text| self.path(&format!("{key}.{name}"), text);
        let identity = match (cert, private) {
            (None, None) => None,
            (Some(cert), Some(private)) => {
                Some(KeyPair { cert: path("cert", cert)?, key: path("key", private)? })
            }
            (Some(_), None) => return fault("`cert` needs `key`"),
            (None, Some(_)) => return fault("`key` needs `cert`"),
        };
        if let (None, Some(roots)) = (ca, platform_roots) {
            let problem = "says what is so without `ca` anyway, or nothing would be trusted";
            return Err(self.fault(roots.referenced, format!("`{key}.platform_roots`: {problem}")));
        }
        if ca.is_none() && identity.is_none() {
            return fault("says nothing, give `ca`, or `cert` and `key`");
        }
        let ca = ca.as_ref().map(|ca| path("ca", ca)).transpose()?;
        let platform_roots = platform_roots.as_ref().is_some_and(|roots| roots.value);
        Ok(ClientTls { ca, platform_roots, identity })
    }

    /// `backends.NAME.auth`, which is at `key`. Over plain HTTP it goes where the URL may go: to loopback, or
    /// by `insecure_http`.
    pub(super) fn credentials(
        &self,
        key: &str,
        file: &Spanned<AuthFile>,
    ) -> Result<Credentials, ConfigError> {
        match &file.value {
            AuthFile { bearer_file: Some(path), basic: None } => {
                Ok(Credentials::Bearer(self.path(&format!("{key}.bearer_file"), path)?))
            }
            AuthFile { bearer_file: None, basic: Some(basic) } => self.basic(&format!("{key}.basic"), basic),
            _ => Err(self.fault(file.referenced, format!("`{key}`: give one of `bearer_file` and `basic`"))),
        }
    }

    fn basic(&self, key: &str, file: &BasicFile) -> Result<Credentials, ConfigError> {
        let username = self.read(&format!("{key}.username"), &file.username, |text| match text {
            "" => Err("an empty user".to_owned()),
            // RFC 7617, section 2.
            bad if bad.contains(':') || bad.chars().any(char::is_control) => {
                Err("a user has no colon and no control character".to_owned())
            }
            fine => Ok(fine.to_owned()),
        })?;
        Ok(Credentials::Basic {
            username,
            password: self.path(&format!("{key}.password_file"), &file.password_file)?,
        })
    }
}
