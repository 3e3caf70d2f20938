//! Counts the outcomes of the calls.

use std::collections::BTreeMap;

use autharmor::Error;

/// Counts by endpoint or flow, and by outcome: `result`, or the error's kind.
#[derive(Default)]
pub struct Tally {
    begun: u64,
    calls: BTreeMap<(&'static str, String), u64>,
    /// The outcomes of sign-ins that did not end in an error.
    sign_ins: BTreeMap<String, u64>,
}

const RESULT: &str = "result";

impl Tally {
    pub fn begin_call(&mut self) {
        self.begun += 1;
    }

    pub fn end_call<T>(&mut self, name: &'static str, outcome: &Result<T, Error>) {
        let outcome = match outcome {
            Ok(_) => RESULT.to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        *self.calls.entry((name, outcome)).or_default() += 1;
    }

    pub fn count_sign_in(&mut self, outcome: String) {
        *self.sign_ins.entry(outcome).or_default() += 1;
    }

    pub fn add(&mut self, other: Self) {
        self.begun += other.begun;
        for (key, count) in other.calls {
            *self.calls.entry(key).or_default() += count;
        }
        for (key, count) in other.sign_ins {
            *self.sign_ins.entry(key).or_default() += count;
        }
    }

    pub fn begun(&self) -> u64 {
        self.begun
    }

    pub fn results(&self) -> u64 {
        self.outcomes().get(RESULT).copied().unwrap_or(0)
    }

    pub fn errors(&self) -> u64 {
        self.calls.values().sum::<u64>() - self.results()
    }

    fn outcomes(&self) -> BTreeMap<&str, u64> {
        let mut outcomes = BTreeMap::new();
        for ((_, outcome), count) in &self.calls {
            *outcomes.entry(outcome.as_str()).or_default() += count;
        }
        outcomes
    }

    pub fn print(&self) {
        println!("\nOutcomes of all calls:");
        for (outcome, count) in self.outcomes() {
            println!("  {outcome:<14} {count:>9}");
        }
        println!("\nOutcomes by call:");
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((name, outcome), count) in &self.calls {
            let line = lines.entry(name).or_default();
            let at = if outcome == RESULT { 0 } else { line.len() };
            line.insert(at, format!("{outcome} {count}"));
        }
        for (name, outcomes) in lines {
            println!("  {name:<42} {}", outcomes.join(", "));
        }
        println!("\nOutcomes of sign-ins, attacks included:");
        for (outcome, count) in &self.sign_ins {
            println!("  {outcome:<20} {count:>9}");
        }
    }
}
