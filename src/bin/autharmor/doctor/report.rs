//! [`Finding`]: what a check found, and [`Report`], which prints it.

use std::env;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;

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

    pub(super) fn is_failure(&self) -> bool {
        self.verdict == Verdict::Fail
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
        if finding.is_failure() {
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

    /// Puts a text on one line, and `~` in place of the home directory, which
    /// has a person's name.
    fn clean(&self, text: &str) -> String {
        let mut line: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let home = self.home.as_deref().and_then(Path::to_str);
        if let Some(home) = home.filter(|home| home.len() > 1) {
            line = line.replace(home, "~");
        }
        line
    }
}

/// Shows a path without the name of a person's home directory.
pub(super) fn shown_path(path: &Path) -> String {
    let mut shown = PathBuf::new();
    let mut in_homes = false;
    for part in path.components() {
        if in_homes {
            shown.push("*");
        } else {
            shown.push(part);
        }
        in_homes = matches!(part, Component::Normal(name) if shown.components().count() == 2
            && (name == "home" || name == "Users"));
    }
    match env::var_os("HOME").map(PathBuf::from) {
        Some(home) if home != Path::new("/") => match path.strip_prefix(home) {
            Ok(rest) => Path::new("~").join(rest).display().to_string(),
            Err(_) => shown.display().to_string(),
        },
        _ => shown.display().to_string(),
    }
}
