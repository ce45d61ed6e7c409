//! One line per case, and the sum at the end.

use crate::ways::Ways;

/// Outcomes so far.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failed: Vec<String>,
    not_run: Vec<String>,
    /// What the questions were that were asked three times.
    pub ways: Ways,
}

impl Report {
    /// Notes one case and prints its line.
    pub fn case(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok      {name}");
            }
            Err(why) => {
                println!("FAILED  {name}: {why}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Notes a component that cannot be had, and with it all cases that need it.
    pub fn not_run(&mut self, component: &str, why: &str) {
        println!("not run {component}: {why}");
        self.not_run.push(component.to_owned());
    }

    /// Prints the sum; whether the run as a whole passed. With `strict`, a
    /// component that was not run is a failure.
    pub fn end(&self, strict: bool) -> bool {
        for name in &self.failed {
            println!("failed: {name}");
        }
        if !self.not_run.is_empty() {
            println!("not run: {}", self.not_run.join(", "));
        }
        self.ways.print("three ways");
        println!(
            "conformance: {} passed, {} failed, {} components not run",
            self.passed,
            self.failed.len(),
            self.not_run.len()
        );
        self.failed.is_empty() && self.passed > 0 && (self.not_run.is_empty() || !strict)
    }
}
