//! What came of the calls.

use std::collections::BTreeMap;

use autharmor::Error;

/// By endpoint or flow, and by outcome: `result`, or the kind of the error.
#[derive(Default)]
pub(crate) struct Tally {
    begun: u64,
    calls: BTreeMap<(&'static str, String), u64>,
    /// How the sign-ins ended that did not end in an error.
    sign_ins: BTreeMap<String, u64>,
}

const RESULT: &str = "result";

impl Tally {
    pub(crate) fn begin(&mut self) {
        self.begun += 1;
    }

    pub(crate) fn end<T>(&mut self, what: &'static str, outcome: &Result<T, Error>) {
        let outcome = match outcome {
            Ok(_) => RESULT.to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        *self.calls.entry((what, outcome)).or_default() += 1;
    }

    pub(crate) fn sign_in(&mut self, end: String) {
        *self.sign_ins.entry(end).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.begun += other.begun;
        for (key, count) in other.calls {
            *self.calls.entry(key).or_default() += count;
        }
        for (key, count) in other.sign_ins {
            *self.sign_ins.entry(key).or_default() += count;
        }
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    pub(crate) fn results(&self) -> u64 {
        self.outcomes().get(RESULT).copied().unwrap_or(0)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.calls.values().sum::<u64>() - self.results()
    }

    fn outcomes(&self) -> BTreeMap<&str, u64> {
        let mut outcomes = BTreeMap::new();
        for ((_, outcome), count) in &self.calls {
            *outcomes.entry(outcome.as_str()).or_default() += count;
        }
        outcomes
    }

    pub(crate) fn print(&self) {
        println!("\nOutcomes of all calls:");
        for (outcome, count) in self.outcomes() {
            println!("  {outcome:<14} {count:>9}");
        }
        println!("\nOutcomes by call:");
        let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((what, outcome), count) in &self.calls {
            let line = lines.entry(what).or_default();
            let at = if outcome == RESULT { 0 } else { line.len() };
            line.insert(at, format!("{outcome} {count}"));
        }
        for (what, outcomes) in lines {
            println!("  {what:<42} {}", outcomes.join(", "));
        }
        println!("\nEnds of the sign-ins, attacks included:");
        for (end, count) in &self.sign_ins {
            println!("  {end:<20} {count:>9}");
        }
    }
}
