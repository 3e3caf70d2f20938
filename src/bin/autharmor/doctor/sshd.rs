//! Reads `LoginGraceTime` from sshd's configuration.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// sshd's value if none is set.
const DEFAULT: Duration = Duration::from_secs(120);

/// The depth to which sshd follows Include.
const MAX_DEPTH: usize = 16;

/// Returns how long sshd waits for a login, `None` for without limit.
///
/// As in sshd the first value counts, and included files are read where they
/// are included. What follows a `Match` is left out: neither the value nor a
/// file that always counts can stand there.
pub(super) fn login_grace_time(file: &Path) -> io::Result<Option<Duration>> {
    let text = fs::read_to_string(file)?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let set = find(&text, folder, 0);
    Ok(set.map_or(Some(DEFAULT), |time| (!time.is_zero()).then_some(time)))
}

fn find(text: &str, folder: &Path, depth: usize) -> Option<Duration> {
    for line in text.lines() {
        let line = line.trim_start();
        let end = line.find(|c: char| c.is_whitespace() || c == '=');
        let (keyword, rest) = line.split_at(end.unwrap_or(line.len()));
        let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
        match keyword.to_ascii_lowercase().as_str() {
            "match" => return None,
            "logingracetime" => {
                let value = words(rest).into_iter().next().unwrap_or_default();
                if let Some(time) = seconds(&value) {
                    return Some(Duration::from_secs(time));
                }
            }
            "include" if depth < MAX_DEPTH => {
                for file in words(rest)
                    .iter()
                    .flat_map(|pattern| expand(folder, pattern))
                {
                    let text = fs::read_to_string(file).unwrap_or_default();
                    if let Some(time) = find(&text, folder, depth + 1) {
                        return Some(time);
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// Splits arguments. They may be in double quotes; `#` begins a comment.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// Reads a time such as `120`, `2m` or `1h30m`, in seconds.
fn seconds(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut number = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let before = number.unwrap_or(0u64);
            number = Some(before.checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    match number {
        Some(number) => total.checked_add(number),
        None => (!text.is_empty()).then_some(total),
    }
}

/// Returns the files of a pattern with `*` and `?` in the file's name, in
/// order.
fn expand(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let path = folder.join(pattern);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    let mut found: Vec<_> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let file = path.file_name().and_then(|n| n.to_str());
            file.is_some_and(|file| matches(name.as_bytes(), file.as_bytes()))
        })
        .collect();
    found.sort();
    found
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            (0..=text.len()).any(|skip| matches(rest, text.get(skip..).unwrap_or_default()))
        }
        (Some((p, rest)), Some((c, after))) => (*p == b'?' || p == c) && matches(rest, after),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_sshd_reads_them() {
        for (text, expected) in [
            ("120", Some(120)),
            ("2m", Some(120)),
            ("1h30m", Some(5400)),
            ("1m5", Some(65)),
            ("0", Some(0)),
            ("", None),
            ("m", None),
            ("2x", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn the_first_value_counts_outside_of_match() {
        for (text, expected) in [
            ("# LoginGraceTime 5\n", None),
            (
                "Port 22\nlogingracetime=\"30\"\nLoginGraceTime 40",
                Some(30),
            ),
            ("  LoginGraceTime 1m # short\n", Some(60)),
            ("LoginGraceTime soon\nLoginGraceTime 7", Some(7)),
            ("Match User a\nLoginGraceTime 5", None),
        ] {
            let found = find(text, Path::new("/"), 0);
            assert_eq!(found.map(|time| time.as_secs()), expected, "{text}");
        }
    }

    #[test]
    fn patterns_match_names() {
        for (pattern, name, expected) in [
            ("*.conf", "10-a.conf", true),
            ("*.conf", "10-a.conf.bak", false),
            ("?0-*", "10-a.conf", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected);
        }
    }
}
