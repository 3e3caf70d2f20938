//! Medians, memory of a process, and pinning to a core.

use std::fs;

/// Returns the median; of an even number of values, the upper of the middle two.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns a field of `/proc/<pid>/status` whose unit is KiB.
pub fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim_start_matches(':')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Pins this thread, and all threads that it starts, to one core: the first is
/// for the client, the second for the server. Returns whether that worked.
pub fn pin(which: usize) -> bool {
    core_affinity::get_core_ids()
        .and_then(|cores| cores.get(which).copied())
        .is_some_and(core_affinity::set_for_current)
}
