//! [`Finding`]: what a check found, and [`Report`], which prints it.

use std::env;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;
use crate::output::printable;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warn,
    Fail,
    Skipped,
}

impl Verdict {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Skipped => "skipped",
        }
    }
}

/// The kind of a failure, which decides the exit status.
pub(super) type Kind = fn(String) -> Failure;

/// What a check found: one line.
///
/// It names no person and no secret. The report hides home directories.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    verdict: Verdict,
    seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    #[serde(skip)]
    kind: Option<Kind>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            seen: seen.into(),
            advice: None,
            kind: None,
        }
    }

    pub(super) fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Skipped,
            ..Self::ok(check, why)
        }
    }

    pub(super) fn warn(
        check: &'static str,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Warn,
            advice: Some(advice.into()),
            ..Self::ok(check, seen)
        }
    }

    pub(super) fn fail(
        check: &'static str,
        kind: Kind,
        seen: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Fail,
            kind: Some(kind),
            ..Self::warn(check, seen, advice)
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }
}

/// Prints findings as they come, and counts the failures.
pub(super) struct Report {
    json: bool,
    home: Option<PathBuf>,
    checks: usize,
    failures: usize,
    /// The kind of the first failure: later ones often follow from it.
    kind: Option<Kind>,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            home: env::var_os("HOME").map(PathBuf::from),
            checks: 0,
            failures: 0,
            kind: None,
        }
    }

    pub(super) fn add(&mut self, mut finding: Finding) {
        finding.seen = self.clean(&finding.seen);
        finding.advice = finding.advice.map(|advice| self.clean(&advice));
        self.checks += 1;
        if finding.verdict() == Verdict::Fail {
            self.failures += 1;
            self.kind = self.kind.or(finding.kind);
        }
        let text = if self.json {
            serde_json::to_string(&finding).unwrap_or_default()
        } else {
            let Finding {
                check,
                verdict,
                seen,
                advice,
                ..
            } = &finding;
            let line = format!("{:<7}  {check:<25}  {seen}", verdict.label());
            match advice {
                None => line,
                Some(advice) => format!("{line}\n{:<36}{advice}", ""),
            }
        };
        // Whoever reads may have seen enough.
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Fails if a check has failed.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.kind {
            None => Ok(()),
            Some(kind) => Err(kind(format!(
                "{} of {} checks failed",
                self.failures, self.checks
            ))),
        }
    }

    /// Puts a text on one line, without the names in home directories.
    fn clean(&self, text: &str) -> String {
        let mut line = printable(&text.replace(['\r', '\n'], " ")).into_owned();
        let home = self.home.as_deref().and_then(Path::to_str);
        if let Some(home) = home.filter(|home| home.len() > 1) {
            line = line.replace(home, "~");
        }
        without_homes(&line)
    }
}

/// Hides the names of home directories.
fn without_homes(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    let next = |rest: &str| {
        let places = ["/home/", "/Users/"].map(|folder| Some(rest.find(folder)? + folder.len()));
        places.into_iter().flatten().min()
    };
    while let Some((folder, name)) = next(rest).and_then(|at| rest.split_at_checked(at)) {
        shown += folder;
        shown.push('*');
        let end = name.find(|c: char| c == '/' || c == ':' || c.is_whitespace());
        rest = end.and_then(|end| name.get(end..)).unwrap_or_default();
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_does_not_control_the_terminal() {
        // The subject of a certificate, for example.
        let found = Report::new(false).clean("a\u{1b}[2J\u{202e}b\nc");
        assert_eq!(found, "a\\u{1b}[2J\\u{202e}b c");
    }

    #[test]
    fn homes_have_no_names() {
        for (text, expected) in [
            ("/home/ada/.config/a: bad", "/home/*/.config/a: bad"),
            ("from /Users/ada, /home/bob/x", "from /Users/* /home/*/x"),
            ("/home/ada", "/home/*"),
            ("/etc/autharmor", "/etc/autharmor"),
        ] {
            assert_eq!(without_homes(text), expected);
        }
    }
}
