//! One line per check, and the sum at the end.

/// Outcomes so far.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failed: Vec<String>,
    not_run: Vec<String>,
}

impl Report {
    /// Notes one check; `Ok` holds what it found.
    pub fn check(&mut self, name: &str, outcome: Result<String, String>) {
        match outcome {
            Ok(found) => {
                self.passed += 1;
                println!("ok      {name}: {found}");
            }
            Err(why) => {
                println!("FAILED  {name}: {why}");
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Notes a check that a number is 0.
    pub fn none(&mut self, name: &str, count: usize) {
        self.check(name, if count == 0 { Ok("0".to_owned()) } else { Err(count.to_string()) });
    }

    /// Notes a component that cannot be had, and with it all checks that need it.
    pub fn not_run(&mut self, component: &str, why: &str) {
        println!("not run {component}: {why}");
        self.not_run.push(component.to_owned());
    }

    /// Prints the sum; whether the run as a whole passed. With `strict`, a component that was not run is
    /// a failure.
    pub fn end(&self, strict: bool) -> bool {
        for name in &self.failed {
            println!("failed: {name}");
        }
        if !self.not_run.is_empty() {
            println!("not run: {}", self.not_run.join(", "));
        }
        println!("oracle: {} passed, {} failed", self.passed, self.failed.len());
        self.failed.is_empty() && (self.not_run.is_empty() || !strict)
    }
}
