//! `palisade explain`.

use crate::auth::Verifier;
use crate::config::{Backend, Snapshot};
use crate::server::explain::{Explained, Judges, Question};
use clap::{ArgGroup, Args};
use std::path::PathBuf;
use std::process::ExitCode;

/// What to explain.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("caller").required(true).args(["token", "claims"])))]
pub struct ExplainArguments {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// A token; it is verified as a request's would be that has it in its issuer's header. `-` reads it from
    /// standard input, so that no other process and no history sees it.
    #[arg(long)]
    token: Option<String>,
    /// Claims as a JSON object, instead of a token.
    #[arg(long)]
    claims: Option<String>,
    /// The name of the backend that is asked, or of the mount that several share.
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
    /// Print the request with what becomes of it as a case for a file of cases, instead of an explanation.
    #[arg(long)]
    as_case: bool,
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
    let Snapshot { config, policies, report, .. } = snapshot;
    let backends: Vec<_> = config.backends.iter().map(Backend::scoped).collect();
    let claims = arguments.claims.as_deref().map(serde_json::from_str).transpose();
    let question = Question {
        token: arguments.token.as_deref().map(token).transpose()?,
        claims: claims.map_err(|e| format!("--claims: {e}"))?,
        backend: arguments.backend.clone(),
        request: arguments.request.clone(),
        headers: arguments.headers.clone(),
        form: arguments.form.clone(),
    };
    let verifier = Verifier::<()>::new(config.issuers.clone(), &config.limits).map_err(|e| e.to_string())?;
    let judges = Judges { policies: &policies, backends: &backends, limits: &config.limits };
    let explained = question.answer(judges, &verifier).await?;
    if let (true, Explained::Judged { explanation, .. }) = (arguments.as_case, &explained) {
        return question.case(judges, &explanation.claims);
    }
    let mut text = String::new();
    if !report.failures.is_empty() {
        text.push_str("cases of these policies fail, so they would not be served: run `palisade check`\n\n");
    }
    text.push_str(&explained.to_string());
    Ok(text)
}

fn token(given: &str) -> Result<String, String> {
    match given {
        "-" => std::io::read_to_string(std::io::stdin()).map_err(|e| format!("--token: {e}")),
        given => Ok(given.to_owned()),
    }
}
