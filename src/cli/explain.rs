//! `palisade explain`.

use crate::auth::{Caller, Verifier};
use crate::cases::{Asking, Request, explain};
use crate::config::{Config, Snapshot};
use crate::rejection::Rejection;
use crate::respond;
use clap::{ArgGroup, Args};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What to explain.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("caller").required(true).args(["token", "claims"])))]
pub struct ExplainArguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// A token; it is verified as a request's would be. `-` reads it from standard input, so that no other
    /// process and no history sees it.
    #[arg(long)]
    token: Option<String>,
    /// Claims as a JSON object, instead of a token.
    #[arg(long)]
    claims: Option<String>,
    /// The name of the backend that is asked.
    #[arg(long)]
    backend: String,
    /// The request below the backend's mount, such as `GET /api/v1/query?query=up`.
    #[arg(long)]
    request: String,
    /// A header of the request, such as `X-Palisade-Tenant: acme-books`.
    #[arg(long = "header")]
    headers: Vec<String>,
    /// The form of a POST.
    #[arg(long)]
    form: Option<String>,
}

/// Prints what becomes of the request: 0, also if it is refused; 2 if that cannot be said.
pub async fn explain_request(arguments: ExplainArguments) -> ExitCode {
    match explained(&arguments).await {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("palisade: {fault}");
            ExitCode::from(2)
        }
    }
}

async fn explained(arguments: &ExplainArguments) -> Result<String, String> {
    let snapshot = Snapshot::load(&arguments.config).map_err(|fault| fault.to_string())?;
    let Snapshot { config, policies, report } = snapshot;
    let names = || config.backends.iter().map(|b| format!("`{}`", b.name)).collect::<Vec<_>>().join(", ");
    let backend = config.backend(&arguments.backend);
    let backend = backend
        .ok_or_else(|| format!("no backend `{}`, the configuration has {}", arguments.backend, names()))?
        .scoped();
    let request = request(arguments)?;
    let asking = Asking { policies: &policies, backend: &backend, limits: &config.limits };
    let mut text = String::new();
    if !report.failures.is_empty() {
        text.push_str("cases of these policies fail, so they would not be served: run `palisade check`\n\n");
    }
    let claims: Map<String, Value> = match (&arguments.token, &arguments.claims) {
        (Some(token), _) => match verified(&config, token).await? {
            Ok(caller) => {
                text.push_str(&format!("caller\n  issued by {}\n\n", caller.issuer()));
                caller.claims().clone()
            }
            Err(rejection) => {
                let status = respond::status(&rejection).as_u16();
                return Ok(format!("refused\n  {status} {}: {rejection}\n", rejection.kind()));
            }
        },
        (None, Some(claims)) => serde_json::from_str(claims).map_err(|e| format!("--claims: {e}"))?,
        (None, None) => return Err("a token or claims are needed".to_owned()),
    };
    text.push_str(&explain(&asking, &claims, &request).to_string());
    Ok(text)
}

fn request(arguments: &ExplainArguments) -> Result<Request, String> {
    let mut request = Request::parse(&arguments.request)?;
    for header in &arguments.headers {
        let (name, value) = header.split_once(':').ok_or("a header is written as `Name: value`")?;
        request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    request.form.clone_from(&arguments.form);
    Ok(request)
}

/// The caller, verified by the issuers of the configuration.
async fn verified(config: &Config, token: &str) -> Result<Result<Arc<Caller>, Rejection>, String> {
    let token = match token {
        "-" => std::io::read_to_string(std::io::stdin()).map_err(|e| format!("--token: {e}"))?,
        given => given.to_owned(),
    };
    let token = token.trim();
    let value = format!("Bearer {}", token.strip_prefix("Bearer ").unwrap_or(token));
    let value = value.parse().map_err(|_| "--token: has characters that no header can have".to_owned())?;
    let verifier = Verifier::<()>::new(config.issuers.clone(), &config.limits).map_err(|e| e.to_string())?;
    let verified = verifier.verify(&HeaderMap::from_iter([(AUTHORIZATION, value)])).await;
    Ok(verified.map(|verified| Arc::clone(verified.caller())).map_err(Rejection::from))
}
