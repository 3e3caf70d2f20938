//! [`Environment`]: environment variables of the process, or of a test.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::Error;

type LookUp = dyn Fn(&str) -> Option<OsString> + Send + Sync;

pub(crate) struct Environment(Box<LookUp>);

impl Environment {
    pub(crate) fn of_the_process() -> Self {
        Self::new(|name| env::var_os(name))
    }

    pub(crate) fn new(look_up: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self(Box::new(look_up))
    }

    /// Returns the path that a variable holds. An empty variable counts as
    /// unset.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.0(name).filter(|path| !path.is_empty()).map(Into::into)
    }

    /// Returns the value of a variable. An empty variable counts as unset. One
    /// that is not UTF-8 is an error: the default must not replace a URL that
    /// was set but cannot be read.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, Error> {
        match self.0(name).map(OsString::into_string) {
            Some(Ok(value)) if !value.is_empty() => Ok(Some(value)),
            Some(Err(_)) => Err(Error::config(format!("{name} is not UTF-8"))),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
impl Environment {
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let known: Vec<(String, OsString)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        Self::new(move |name| {
            let (_, value) = known.iter().find(|(known, _)| known == name)?;
            Some(value.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientBuilder, ErrorKind};

    #[test]
    fn a_variable_that_is_not_utf_8_is_an_error_and_not_the_default() {
        for broken in [
            "AUTHARMOR_CLIENT_SECRET",
            "AUTHARMOR_API_URL",
            "AUTHARMOR_LOGIN_URL",
            "HTTPS_PROXY",
            "NO_PROXY",
        ] {
            let env = Environment::new(move |name| match name {
                _ if name == broken => {
                    let mut text = OsString::from("https://s3cr3t");
                    text.push(autharmor_test_support::not_unicode());
                    Some(text)
                }
                "AUTHARMOR_CLIENT_ID" | "AUTHARMOR_CLIENT_SECRET" => Some("text".into()),
                "ALL_PROXY" => Some("http://proxy.example:3128".into()),
                _ => None,
            });
            let error = ClientBuilder::from_variables(env)
                .and_then(ClientBuilder::build)
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.to_string().matches(broken).count(), 1, "{error}");
            assert!(!format!("{error:#} {error:?}").contains("s3cr3t"));
        }
    }
}
