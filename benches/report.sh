#!/usr/bin/env bash
# Measures this crate and other clients, and writes the results to
# benches/README.md:
#
#     benches/report.sh           # everything, 15 minutes on a machine that is idle
#     benches/report.sh counts    # instructions and allocations only, on any machine
#
# Needs valgrind.
set -euo pipefail
cd "$(dirname "$0")/.."
manifest=benches/compare/Cargo.toml
report=benches/README.md
new=$(mktemp)
trap 'rm -f "$new"' EXIT

version() { awk -v name="\"$1\"" '$1 == "name" && $3 == name {getline; gsub(/"/, "", $3); print $3}' benches/compare/Cargo.lock; }
bench() { cargo bench -q --manifest-path "$manifest" --bench "$1"; }

{
    echo "# Measurements"
    echo
    echo "Written by \`benches/report.sh\` on $(date -u +%Y-%m-%d):"
    echo "$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1),"
    echo "Linux $(uname -r), $(rustc --version | cut -d' ' -f1-2), $(valgrind --version), rustls $(version rustls),"
    echo "ureq $(version ureq), reqwest $(version reqwest). Loopback, TLS 1.3, default settings of each client"
    echo "(this crate: with a deadline). Bare ureq decodes into plain structs with serde."
    echo
    echo "## Instructions and allocations of a warm call"
    echo
    echo "Of the client process, outside the kernel. CI checks these bounds."
    echo
    cargo run -q --release --manifest-path "$manifest" -p autharmor-guard -- --only-count
    if [[ ${1:-} != counts ]]; then
        for name in compare cold_start footprint; do
            echo
            bench "$name" | sed 's/^## /### /; 1i ## '"$name"'\n'
        done
    else
        echo
        echo "Times, cold start, memory and size are not in this report: \`benches/report.sh\`"
        echo "without an argument measures them."
    fi
} >"$new"
# A measurement that fails leaves the last report as it is.
cp "$new" "$report"
