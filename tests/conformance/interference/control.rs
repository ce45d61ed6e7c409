//! The control of random questions: FULL and TWIN are asked without Palisade for texts without their fence, or
//! unscoped. That they differ shows what the fence and the scope keep apart.
//!
//! A fence is taken out of the text that the library has made. No switch of the program can leave it out.

use std::fmt;

use palisade::lang::{Feature, Features, traceql};
use palisade::limits::QueryLimits;
use palisade::tenant::{Scope, ScopeMatchers, ScopeValue, Values};

use crate::compare::Rules;
use crate::http::Base;
use crate::queries::Case;
use crate::world::{Caller, Twin, World};

/// How many questions of a language it asks.
const ASKED: usize = 300;

/// What it has found.
#[derive(Debug, Default)]
pub struct Control {
    unfenced: Found,
    unscoped: Found,
}

#[derive(Debug, Default)]
struct Found {
    asked: usize,
    differ: usize,
    /// In whether there is an answer at all.
    status: usize,
}

impl Control {
    /// Asks question `n` of FULL and of TWIN, if it is one of the first.
    pub fn ask(
        &mut self,
        world: &World,
        rules: &Rules,
        case: &Case,
        caller: &Caller,
        (n, bases): (usize, [&Base; 2]),
    ) -> Result<(), String> {
        if n >= ASKED {
            return Ok(());
        }
        self.unscoped.ask(world, rules, case, bases)?;
        let query = case.param("q").and_then(|query| unfenced(case.asked().endpoint, query, caller.twin));
        match query {
            Some(query) => self.unfenced.ask(world, rules, &case.with("q", &query), bases),
            None => Ok(()),
        }
    }

    /// Adds what another has found.
    pub fn add(&mut self, other: &Self) {
        for (found, more) in [(&mut self.unfenced, &other.unfenced), (&mut self.unscoped, &other.unscoped)] {
            found.asked += more.asked;
            found.differ += more.differ;
            found.status += more.status;
        }
    }

    /// Whether it found what it must find.
    pub fn found(&self) -> Result<(), String> {
        if self.unscoped.differ == 0 {
            return Err("the questions are blind: FULL, unscoped, answers as TWIN does".into());
        }
        // That errors are among them is what the attacks show.
        if self.unfenced.asked > 0 && self.unfenced.differ == 0 {
            return Err("the questions are blind: without a fence FULL answers as TWIN does".into());
        }
        Ok(())
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unscoped {}", self.unscoped)?;
        if self.unfenced.asked > 0 {
            write!(f, "; without fence {}", self.unfenced)?;
        }
        Ok(())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} differ, {} of them in status", self.differ, self.asked, self.status)
    }
}

impl Found {
    fn ask(
        &mut self,
        world: &World,
        rules: &Rules,
        case: &Case,
        [full, twin]: [&Base; 2],
    ) -> Result<(), String> {
        let request = case.plain(world.start)?;
        let (full, twin) = (request.send(full)?, request.send(twin)?);
        self.asked += 1;
        self.differ += usize::from(!rules.equal(case.asked(), &full, &twin));
        self.status += usize::from(full.status != twin.status);
        Ok(())
    }
}

/// The scoped text of a question of TraceQL without what stands in front of each pipeline; `None` if the endpoint has
/// none, or it is not taken.
pub fn unfenced(endpoint: &str, query: &str, twin: Twin) -> Option<String> {
    let entry = match endpoint {
        "tempo.search" => traceql::Entry::Query,
        "tempo.metrics" | "tempo.compare" | "tempo.instant" => traceql::Entry::Metrics,
        _ => return None,
    };
    let features: Features = [Feature::TracesNeverMixTenants].into_iter().collect();
    let scoped = traceql::scope(query, entry, features, &QueryLimits::default(), &matchers(twin)?).ok()?;
    let text = scoped.as_str();
    let fence = &text[..text.find("} |")? + 3];
    Some(text.replace(fence, "").trim_start().to_owned())
}

/// What a caller is scoped to.
fn matchers(twin: Twin) -> Option<ScopeMatchers> {
    let values =
        |texts: &[&str]| Values::new(texts.iter().filter_map(|t| ScopeValue::parse(t).ok()).collect());
    let tenants = match twin {
        Twin::One | Twin::East => values(&["acme-books"])?,
        Twin::Two => values(&["acme-books", "globex-lit"])?,
    };
    let mut dimensions = vec![("tenant".to_owned(), tenants)];
    if twin == Twin::East {
        dimensions.push(("region".to_owned(), values(&["us-east"])?));
    }
    let scope = Scope::new(dimensions.into_iter().collect())?;
    let label = |name: &str| match name {
        "tenant" => Some("resource.tenant"),
        "region" => Some("resource.region"),
        _ => None,
    };
    scope.in_labels(label).ok()
}
