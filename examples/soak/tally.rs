//! What came of the calls, and what is to be said of it in the end.

use std::collections::BTreeMap;
use std::process::ExitCode;

use autharmor::Error;

/// What a thread counts.
#[derive(Default)]
pub(crate) struct Tally {
    /// By what was called and how it ended: `ok` or the kind of the error.
    ends: BTreeMap<(&'static str, String), usize>,
    pub(crate) calls: usize,
    pub(crate) signed_in: usize,
    pub(crate) confirmed: usize,
    pub(crate) attacks: usize,
    pub(crate) let_in: usize,
    pub(crate) panics: usize,
}

impl Tally {
    pub(crate) fn count<T>(&mut self, call: &'static str, result: Result<T, Error>) -> Option<T> {
        let end = match &result {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        *self.ends.entry((call, end)).or_default() += 1;
        self.calls += 1;
        result.ok()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        self.calls += other.calls;
        self.signed_in += other.signed_in;
        self.confirmed += other.confirmed;
        self.attacks += other.attacks;
        self.let_in += other.let_in;
        self.panics += other.panics;
    }

    pub(crate) fn print(&self) {
        let mut by_call: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((call, end), count) in &self.ends {
            let ends = by_call.entry(call).or_default();
            // What went well comes first.
            let at = if end == "ok" { 0 } else { ends.len() };
            ends.insert(at, format!("{end} {count}"));
        }
        for (call, ends) in by_call {
            println!("{call}: {}", ends.join(", "));
        }
        println!();
    }

    pub(crate) fn check(&self, calls: usize, checks: &mut Checks) {
        let well: usize = self
            .ends
            .iter()
            .filter(|((_, end), _)| end == "ok")
            .map(|(_, count)| count)
            .sum();
        checks.expect(
            self.calls >= calls && self.panics == 0,
            &format!(
                "{} calls ended: {well} with a result, {} with a typed error, {} in a panic",
                self.calls,
                self.calls - well,
                self.panics
            ),
        );
    }
}

/// What was expected, and whether it came.
#[derive(Default)]
pub(crate) struct Checks {
    failed: usize,
}

impl Checks {
    pub(crate) fn expect(&mut self, holds: bool, what: &str) {
        println!("{}  {what}", if holds { "ok  " } else { "FAIL" });
        self.failed += usize::from(!holds);
    }

    pub(crate) fn conclude(self) -> ExitCode {
        if self.failed == 0 {
            println!("\nall is well");
            ExitCode::SUCCESS
        } else {
            println!("\n{} checks failed", self.failed);
            ExitCode::FAILURE
        }
    }
}
