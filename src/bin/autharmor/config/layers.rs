//! [`Layers`]: options come before the environment, and that before the
//! configuration file.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::failure::Failure;

/// How much of its surroundings the program may believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The caller runs the program with its own rights: the environment counts.
    Caller,
    /// The program decides about somebody else. The environment is ignored.
    Nobody,
}

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Option(&'static str),
    Variable(&'static str),
    File(PathBuf),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) | Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Decides between the places that a value can come from.
pub(super) struct Layers<'a> {
    pub(super) trust: Trust,
    /// The configuration file.
    pub(super) file: Option<PathBuf>,
    pub(super) variables: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Layers<'_> {
    /// Returns the first of the values, with its source.
    pub(super) fn pick<T>(
        &self,
        option: (&'static str, Option<T>),
        variable: Option<Setting<T>>,
        in_file: Option<T>,
    ) -> Option<Setting<T>> {
        match option {
            (name, Some(value)) => Some(Setting {
                value,
                source: Source::Option(name),
            }),
            (_, None) => variable.or_else(|| self.of_file(in_file)),
        }
    }

    /// Returns a value of the configuration file with its source.
    pub(super) fn of_file<T>(&self, value: Option<T>) -> Option<Setting<T>> {
        let source = Source::File(self.file.clone()?);
        value.map(|value| Setting { value, source })
    }

    /// Returns a variable's text. Fails if it is not UTF-8.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<Setting<String>>, Failure> {
        let Some(value) = self.variable(name) else {
            return Ok(None);
        };
        let value = value
            .into_string()
            .map_err(|_| Failure::Config(format!("{name} is not UTF-8")))?;
        let source = Source::Variable(name);
        Ok(Some(Setting { value, source }))
    }

    /// Returns a variable as a path.
    pub(super) fn path(&self, name: &'static str) -> Option<Setting<PathBuf>> {
        self.variable(name).map(|value| Setting {
            value: value.into(),
            source: Source::Variable(name),
        })
    }

    /// Returns a variable's value, if the environment counts. An empty one
    /// counts as unset.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        match self.trust {
            Trust::Caller => (self.variables)(name).filter(|value| !value.is_empty()),
            Trust::Nobody => None,
        }
    }
}
