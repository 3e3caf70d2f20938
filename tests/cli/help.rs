//! Help, completions and manual pages.

use std::fs;

use autharmor_test_support::Folder;

use crate::harness::{assert_golden, program, run};

/// The commands whose help is compared.
const COMMANDS: [&str; 15] = [
    "users list",
    "users show",
    "users rename",
    "users history",
    "credentials list",
    "credentials disable",
    "enrol",
    "invite",
    "doctor",
    "probe",
    "emulator",
    "approve",
    "proof verify",
    "completions",
    "man",
];

fn help(command: &str) -> String {
    let mut arguments: Vec<&str> = command.split_whitespace().collect();
    arguments.push("--help");
    run(program(&arguments), "").output()
}

/// The names of the subcommands in a help text.
fn subcommands(text: &str) -> Vec<String> {
    let Some((_, list)) = text.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    list.lines()
        .take_while(|line| !line.is_empty())
        // Further lines of a description are indented more.
        .filter(|line| !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_help_of_every_command_has_examples_and_fits_a_terminal() {
    let mut left = vec![String::new()];
    let mut seen = Vec::new();
    while let Some(command) = left.pop() {
        let text = help(&command);
        let wide = text.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{command}");
        let inner = subcommands(&text);
        if inner.is_empty() {
            assert!(
                text.contains("\nExample"),
                "{command} has no example:\n{text}"
            );
        }
        left.extend(inner.iter().map(|name| format!("{command} {name}")));
        seen.push(command.trim().to_owned());
    }
    for command in COMMANDS {
        assert!(
            seen.iter().any(|seen| seen == command),
            "{command}: {seen:?}"
        );
    }
}

#[test]
fn the_help_reads_as_it_was_approved() {
    for command in COMMANDS {
        let name = format!("help-{}.txt", command.replace(' ', "-"));
        assert_golden(&name, &help(command));
    }
    // Without the list of commands, which the other test checks.
    let text = help("");
    let (before, rest) = text.split_once("\nCommands:\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    assert_golden("help.txt", &format!("{before}\n\n{after}"));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let text = run(program(&["completions", shell]), "").output();
        for word in ["autharmor", "credentials", "done-file", "approve-after"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn manual_pages_are_printed_and_written() {
    let page = run(program(&["man"]), "").output();
    assert!(
        page.starts_with(".ie") || page.contains(".TH autharmor 1"),
        "{page}"
    );
    for word in ["autharmor\\-users(1)", "Exit status"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let folder = Folder::new();
    let path = folder.path().to_str().unwrap();
    run(program(&["man", "--dir", path]), "").output();
    for command in [
        "",
        "-users",
        "-users-list",
        "-credentials-disable",
        "-emulator",
    ] {
        let file = folder.path().join(format!("autharmor{command}.1"));
        let page = fs::read_to_string(&file).unwrap();
        assert!(page.contains(".TH autharmor"), "{}", file.display());
    }
    let message = run(program(&["man", "--dir", "/nowhere/at/all"]), "").failure(1);
    assert!(message.contains("/nowhere/at/all: "), "{message}");
}
