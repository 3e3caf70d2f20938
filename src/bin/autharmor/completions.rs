//! `autharmor completions` and `autharmor man`.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::failure::Failure;

/// Prints the completions of a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor completions bash >/etc/bash_completion.d/autharmor
  autharmor completions zsh >/usr/local/share/zsh/site-functions/_autharmor
  autharmor completions fish >~/.config/fish/completions/autharmor.fish")]
pub(crate) struct Completions {
    /// Shell
    shell: Shell,
}

/// Prints the manual page
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor man | man -l -
  autharmor man --dir /usr/local/share/man/man1")]
pub(crate) struct ManPage {
    /// Writes a page for each command to this folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub(crate) fn completions(options: &Completions, mut command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut command, "autharmor", &mut text);
    print(&text)
}

pub(crate) fn man(options: &ManPage, command: Command) -> Result<(), Failure> {
    if let Some(folder) = &options.dir {
        let fail = |error: io::Error| Failure::Failed(format!("{}: {error}", folder.display()));
        return clap_mangen::generate_to(command, folder).map_err(fail);
    }
    let mut text = Vec::new();
    Man::new(command)
        .render(&mut text)
        .map_err(|error| Failure::of_output(&error))?;
    print(&text)
}

fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::of_output(&error))
}
