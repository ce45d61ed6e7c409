//! `palisade demo`.

use super::Stops;
use crate::demo::check::Checker;
use crate::demo::script::{Backend, Place};
use crate::demo::{Demo, DemoFault, Options, print};
use crate::server::StartFault;
use clap::Args;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

/// What to show.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Run the requests, judge the answers and exit: 0 if all are right, 1 if not.
    #[arg(long)]
    check: bool,
    /// Print every request as a `curl` line, instead of three things to try.
    #[arg(long, conflicts_with = "check")]
    all: bool,
    /// Where Palisade listens [default: 127.0.0.1:8080; with --check any free port if that is taken].
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// Use this Prometheus instead of the embedded one.
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// Use this Loki instead of the embedded one.
    #[arg(long, value_name = "URL")]
    loki: Option<String>,
    /// Use this Tempo instead of the embedded one.
    #[arg(long, value_name = "URL")]
    tempo: Option<String>,
    /// Use this Alertmanager instead of the embedded one.
    #[arg(long, value_name = "URL")]
    alertmanager: Option<String>,
}

/// Shows the demo until asked to stop, or checks it.
pub async fn demo(arguments: DemoArguments) -> ExitCode {
    let demo = match start(&arguments).await {
        Ok(demo) => demo,
        Err(fault) => {
            eprintln!("palisade: {fault}");
            return ExitCode::from(2);
        }
    };
    if arguments.check {
        return check(&demo).await;
    }
    if arguments.all {
        println!("{}", print::tokens(&demo));
        for line in demo.lines() {
            println!("{}\n", print::curl(&demo, &line));
        }
        println!("# Everything stays up until Ctrl-C.");
    } else {
        print!("{}", print::welcome(&demo).await);
    }
    Stops::new().next().await;
    demo.palisade.stop().await;
    ExitCode::SUCCESS
}

async fn start(arguments: &DemoArguments) -> Result<Demo, DemoFault> {
    let options = |listen| Options {
        listen,
        prometheus: arguments.prometheus.clone(),
        loki: arguments.loki.clone(),
        tempo: arguments.tempo.clone(),
        alertmanager: arguments.alertmanager.clone(),
    };
    if !arguments.listen.is_empty() {
        return Demo::start(options(arguments.listen.clone())).await;
    }
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    match Demo::start(options(vec![usual])).await {
        Err(DemoFault::Start(StartFault::Listen { .. })) if arguments.check => {
            Demo::start(options(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))])).await
        }
        started => started,
    }
}

/// Prints a line per request, and the `curl` line of those that went wrong.
async fn check(demo: &Demo) -> ExitCode {
    let checker = Checker::new(demo);
    let (mut passed, mut failed) = (0, 0);
    for line in demo.lines() {
        match checker.check(&line).await {
            Ok(()) => {
                passed += 1;
                println!("ok      {}", line.says);
            }
            Err(fault) => {
                failed += 1;
                println!("FAILED  {}\n        {fault}\n{}", line.says, print::curl(demo, &line));
            }
        }
    }
    for backend in Backend::ALL {
        if !demo.is_embedded(Place::Palisade(backend)) {
            println!(
                "note    the data of this {} are not known: only whose they are was checked",
                backend.name()
            );
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
