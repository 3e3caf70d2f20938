#!/usr/bin/env bash
# Measures this crate and other clients, the emulator and the program, and writes
# the results to benches/README.md:
#
#     benches/report.sh           # everything, about 15 minutes on two idle cores
#     benches/report.sh counts    # what CI counts, on any machine
#
# Fails if a bound is exceeded; the report is written all the same.
#
# Needs valgrind. Cold start needs root, iproute2 and netem, or is less exact.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ ${1:-counts} == counts ]] || { echo "usage: benches/report.sh [counts]" >&2 && exit 2; }
command -v valgrind >/dev/null || { echo "valgrind is missing" >&2 && exit 2; }
manifest=benches/compare/Cargo.toml
report=benches/README.md
new=$(mktemp)
trap 'rm -f "$new"' EXIT

version() { awk -v name="\"$1\"" '$1 == "name" && $3 == name {getline; gsub(/"/, "", $3); print $3}' benches/compare/Cargo.lock; }
# Prints a chapter: its title, and what the command prints one level deeper.
chapter() { printf '\n## %s\n\n' "$1" && "${@:2}" | sed 's/^## /### /'; }
compare() { cargo bench -q --locked --manifest-path "$manifest" --bench "$1"; }
package() { cargo run -q --locked --release --manifest-path "$manifest" -p "$@"; }

# Checks results and resources of a million calls, one exchange in twenty of which fails.
soak() {
    echo '```text'
    # It fails if a check does, which is in its output.
    { cargo run -q --locked --release --manifest-path benches/soak/Cargo.toml || (($? == 1)); } |
        sed -n '/^Checks of the soak/,$p'
    echo '```'
}

times() {
    # Built before anything is measured.
    cargo bench -q --locked --manifest-path "$manifest" --no-run
    cargo build -q --locked --release --features cli --bin autharmor
    chapter "Warm calls" compare compare
    chapter "Cold start" compare cold_start
    chapter "Emulator and program" \
        package autharmor-program -- "${CARGO_TARGET_DIR:-target}/release/autharmor"
    chapter "Size, build and memory" compare footprint
    chapter "A million calls with faults" soak
}

{
    echo "# Measurements"
    echo
    echo "Written by \`benches/report.sh\` on $(date -u +%Y-%m-%d):"
    echo "$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1),"
    echo "load $(cut -d' ' -f1 /proc/loadavg) before the start,"
    echo "Linux $(uname -r), $(rustc --version | cut -d' ' -f1-2), $(valgrind --version), rustls $(version rustls),"
    echo "ureq $(version ureq), reqwest $(version reqwest). Loopback, TLS 1.3, default settings of each client"
    echo "(this crate: with a deadline). Bare ureq decodes into plain structs with serde."
    chapter "Instructions, allocations and system calls of a warm call" package autharmor-guard -- --only-count
    echo
    echo "Of the client process, outside the kernel. CI checks these bounds and ratios."
    echo "Reading a clock is not counted as a system call."
    if [[ ${1:-} == counts ]]; then
        echo
        echo "Times, cold start, memory, size and the soak are not in this report: \`benches/report.sh\`"
        echo "without an argument measures them."
    else
        times
    fi
} >"$new"
# A measurement that fails leaves the last report as it is.
cp "$new" "$report"
if grep FAIL "$report"; then exit 1; fi
