//! Programs that a test needs and a machine may lack.

use std::path::PathBuf;
use std::process::Command;

/// Finds a program in `PATH`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Returns a command that starts this test program once more. The variable
/// `AUTHARMOR_TEST_RUNNER` may name a program with arguments, separated by
/// blanks, that runs it: an emulated one cannot be started by itself.
pub fn this_program() -> Command {
    let exe = std::env::current_exe().unwrap();
    let runner = std::env::var("AUTHARMOR_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(runner) = words.next() else {
        return Command::new(exe);
    };
    let mut command = Command::new(runner);
    command.args(words).arg(exe);
    command
}
