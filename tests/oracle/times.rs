//! How long a typical query takes the backends' parsers and us, side by side.

use crate::judge::Judge;
use crate::ours::{self, Language};
use crate::sources::{Case, From};
use std::time::Instant;

/// A dashboard's usual query in each language.
const TYPICAL: [(Language, &str); 3] = [
    (
        Language::PromQl,
        "histogram_quantile(0.95, sum by(le) (rate(http_request_duration_seconds_bucket{service=\"catalog\"}[5m])))",
    ),
    (Language::LogQl, "sum by(status) (rate({app=\"web\"} |= \"error\" | json | status >= 500 [5m]))"),
    (
        Language::TraceQl,
        "{ resource.service.name = \"catalog\" && duration > 100ms } | rate() by(span.http.status_code)",
    ),
];

/// Prints the times: a figure to look at, checked by the benchmarks and not here.
pub fn show(judge: &Judge) -> Result<(), String> {
    const TIMES: u32 = 500;
    for (language, query) in TYPICAL {
        let theirs = judge.time(language, query, TIMES as usize)?;
        let case = Case::new(language, query.to_owned(), From::Corpus);
        let start = Instant::now();
        for _ in 0..TIMES {
            ours::answer(&case).outcome.map_err(|e| e.to_string())?;
        }
        let ours = start.elapsed().as_nanos() / u128::from(TIMES);
        let build = if cfg!(debug_assertions) { "a build for tests" } else { "a release build" };
        println!("{}: they parse and print in {theirs} ns, we scope in {ours} ns ({build})", language.name());
    }
    Ok(())
}
