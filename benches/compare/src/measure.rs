//! Numbers, and where they come from.

use std::fs;

/// The middle one; of an even number the upper of the two.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A field of `/proc/<pid>/status` that is in KiB.
pub fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim_start_matches(':')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Pins this thread, and all that it will start, to one core: the client's is
/// the first, the server's the second. Says whether that worked.
pub fn pin(which: usize) -> bool {
    core_affinity::get_core_ids()
        .and_then(|cores| cores.get(which).copied())
        .is_some_and(core_affinity::set_for_current)
}
