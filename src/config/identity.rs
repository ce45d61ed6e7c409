//! Who is trusted: issuers of tokens, and service accounts.

use super::ConfigError;
use super::check::Check;
use super::file::{IssuerFile, ServiceAccountFile};
use crate::auth::config::{DEFAULT_ALGORITHMS, DEFAULT_SKEW, Issuer, IssuerFault, KeySource};
use crate::auth::password::HashFault;
use crate::auth::{MAX_ACCOUNTS, ServiceAccount, is_account_name};
use crate::policy::Condition;
use crate::yaml::duration;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeSet;

impl Check<'_> {
    pub(super) fn issuers(
        &self,
        issuers: Spanned<Vec<Spanned<IssuerFile>>>,
    ) -> Result<Vec<Issuer>, ConfigError> {
        if issuers.value.is_empty() {
            return Err(self.fault(issuers.referenced, "`issuers`: at least one is needed"));
        }
        let mut urls = BTreeSet::new();
        let mut checked = Vec::with_capacity(issuers.value.len());
        for file in issuers.value {
            let place = file.value.url.referenced;
            let issuer = self.issuer(file)?;
            if !urls.insert(issuer.url.clone()) {
                let message = format!("`issuers[].url`: `{}` is listed twice", issuer.url);
                return Err(self.fault(place, message));
            }
            checked.push(issuer);
        }
        Ok(checked)
    }

    fn issuer(&self, file: Spanned<IssuerFile>) -> Result<Issuer, ConfigError> {
        let place = file.referenced;
        let file = file.value;
        let keys = self.keys(&file)?;
        let algorithms = match &file.algorithms {
            None => DEFAULT_ALGORITHMS.to_vec(),
            Some(names) => {
                let parse = |name: &Spanned<String>| {
                    let parse = |name: &str| name.parse().map_err(|fault: IssuerFault| fault.to_string());
                    self.read("issuers[].algorithms", name, parse)
                };
                names.value.iter().map(parse).collect::<Result<_, _>>()?
            }
        };
        if let (KeySource::JwksFile(_), Some(ca)) = (&keys, &file.ca) {
            let message = "`issuers[].ca`: keys come out of `jwks_file`, nothing is fetched";
            return Err(self.fault(ca.referenced, message));
        }
        let skew = file.skew.as_ref().map(|text| self.read("issuers[].skew", text, duration)).transpose()?;
        let header = file.header.as_ref();
        let header = header.map(|name| self.read("issuers[].header", name, str::parse)).transpose()?;
        let required = file.required_claims.iter().map(|(name, value)| self.required(name, value));
        let rule = |text: &Spanned<String>| self.read("issuers[].validation_rules", text, Condition::compile);
        let texts = |list: &[Spanned<String>]| list.iter().map(|text| text.value.clone()).collect();
        let issuer = Issuer {
            url: file.url.value.clone(),
            keys,
            ca: file.ca.as_ref().map(|path| self.path("issuers[].ca", path)).transpose()?,
            header: header.unwrap_or_default(),
            required_claims: required.collect::<Result<_, _>>()?,
            validation_rules: file.validation_rules.iter().map(rule).collect::<Result<_, _>>()?,
            audiences: texts(&file.audiences),
            authorized_parties: texts(&file.authorized_parties),
            algorithms,
            skew: skew.unwrap_or(DEFAULT_SKEW),
            insecure_http: file.insecure_http,
        };
        match issuer.check() {
            Ok(()) => Ok(issuer),
            Err(fault) => {
                let (key, place) = blamed(&fault, &file, place);
                Err(self.fault(place, format!("`issuers[].{key}`: {fault}")))
            }
        }
    }

    /// Where the keys come from: one place at most is named.
    fn keys(&self, file: &IssuerFile) -> Result<KeySource, ConfigError> {
        let mut named = Vec::new();
        if let Some(url) = &file.discovery_url {
            named.push(("discovery_url", url.referenced, KeySource::DiscoveryUrl(url.value.clone())));
        }
        if let Some(url) = &file.jwks_url {
            named.push(("jwks_url", url.referenced, KeySource::JwksUrl(url.value.clone())));
        }
        if let Some(path) = &file.jwks_file {
            let source = KeySource::JwksFile(self.path("issuers[].jwks_file", path)?);
            named.push(("jwks_file", path.referenced, source));
        }
        let mut named = named.into_iter();
        match (named.next(), named.next()) {
            (None, _) => Ok(KeySource::Discovery),
            (Some((_, _, source)), None) => Ok(source),
            (Some((first, ..)), Some((second, place, _))) => {
                let message = format!("`issuers[].{second}`: `{first}` is given too, only one can be");
                Err(self.fault(place, message))
            }
        }
    }

    /// A claim that can be compared: what else a claim may be is for `validation_rules`.
    fn required(&self, name: &str, value: &Spanned<Value>) -> Result<(String, Value), ConfigError> {
        let comparable = match &value.value {
            Value::String(_) | Value::Bool(_) => true,
            Value::Number(number) => number.is_i64() || number.is_u64(),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        if comparable {
            return Ok((name.to_owned(), value.value.clone()));
        }
        let message = format!(
            "`issuers[].required_claims.{name}`: must be a text, a whole number, true or false, use `validation_rules`"
        );
        Err(self.fault(value.referenced, message))
    }

    pub(super) fn service_accounts(
        &self,
        files: Vec<Spanned<ServiceAccountFile>>,
    ) -> Result<Vec<ServiceAccount>, ConfigError> {
        if let Some(over) = files.get(MAX_ACCOUNTS) {
            let message = format!("`service_accounts`: more than {MAX_ACCOUNTS}");
            return Err(self.fault(over.referenced, message));
        }
        let mut names = BTreeSet::new();
        let account = |file: Spanned<ServiceAccountFile>| {
            let file = file.value;
            let name = self.read("service_accounts[].name", &file.name, |name| {
                match (is_account_name(name), names.insert(name.to_owned())) {
                    (true, true) => Ok(name.to_owned()),
                    (true, false) => Err(format!("`{name}` is listed twice")),
                    (false, _) => Err("must match [A-Za-z0-9][A-Za-z0-9._@-]{0,63}".to_owned()),
                }
            })?;
            // The fault shows nothing of the text, which may be the password itself.
            let hash = self.read("service_accounts[].hash", &file.hash, |text| {
                text.parse().map_err(|fault: HashFault| fault.to_string())
            })?;
            Ok(ServiceAccount { name, hash, claims: file.claims })
        };
        files.into_iter().map(account).collect()
    }
}

/// The key that a fault of an issuer's settings is about.
fn blamed<'a>(fault: &IssuerFault, file: &'a IssuerFile, place: Location) -> (&'a str, Location) {
    let at = |text: &Option<Spanned<String>>| text.as_ref().map_or(place, |text| text.referenced);
    match fault {
        IssuerFault::UnknownAlgorithm(_) | IssuerFault::UnsafeAlgorithm(_) | IssuerFault::NoAlgorithm => {
            ("algorithms", file.algorithms.as_ref().map_or(place, |names| names.referenced))
        }
        IssuerFault::NoAudience => ("audiences", place),
        IssuerFault::EmptyAudience => {
            let empty =
                |list: &[Spanned<String>]| list.iter().find(|t| t.value.is_empty()).map(|t| t.referenced);
            match (empty(&file.audiences), empty(&file.authorized_parties)) {
                (None, Some(there)) => ("authorized_parties", there),
                (there, _) => ("audiences", there.unwrap_or(place)),
            }
        }
        IssuerFault::Skew => ("skew", at(&file.skew)),
        IssuerFault::NoUrl => ("url", file.url.referenced),
        IssuerFault::Url(_) | IssuerFault::PlainHttp(_) if file.jwks_url.is_some() => {
            ("jwks_url", at(&file.jwks_url))
        }
        IssuerFault::Url(_) | IssuerFault::PlainHttp(_) if file.discovery_url.is_some() => {
            ("discovery_url", at(&file.discovery_url))
        }
        IssuerFault::Url(_) | IssuerFault::PlainHttp(_) => ("url", file.url.referenced),
    }
}
