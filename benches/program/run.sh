#!/usr/bin/env bash
# Checks size, start and memory of the static program, beside a shell script with
# curl:
#
#     benches/program/run.sh [ARGUMENT...]
#
# The arguments are a command of the program and its options; they default to
# `approve ada@example.com`. It runs against an emulator that approves at once.
# Ends with 1 if a bound is exceeded. Needs cc, curl and what build.sh needs.
set -euo pipefail
cd "$(dirname "$0")"
runs=${RUNS:-5}
arguments=("$@")
((${#arguments[@]})) || arguments=(approve ada@example.com)

program=$(./build.sh)
work=$(mktemp -d)
emulator=
cleanup() {
    [[ -z $emulator ]] || kill "$emulator"
    rm -r "$work"
}
trap cleanup EXIT
cc -O2 -Wall -o "$work/measure" measure.c

"$program" emulator --listen 127.0.0.1:0 --user ada@example.com --approve-after 0 \
    --ca-file "$work/ca.pem" >"$work/emulator.log" &
emulator=$!
until grep -q '^certificate to trust' "$work/emulator.log"; do
    kill -0 "$emulator"
    sleep 0.1
done
value() { sed -n "s/^$1 *//p" "$work/emulator.log"; }
url=$(value 'API and token endpoint')
install -m 600 /dev/null "$work/secret"
printf %s "$(value 'client secret')" >"$work/secret"
mkdir "$work/autharmor"
install -m 600 /dev/stdin "$work/autharmor/config.toml" <<TOML
client_id = "$(value 'client id')"
client_secret_file = "$work/secret"
ca_file = "$work/ca.pem"
api_url = "$url"
login_url = "$url"
TOML

# Only an absolute path, and an environment without settings.
clean() { env -i PATH="$PATH" XDG_CONFIG_HOME="$work" "$work/measure" "$@"; }
size=$(stat -c %s "$program")
read -r start start_median _ < <(clean 20 "$program" --version)
read -r _ time memory < <(clean "$runs" "$program" "${arguments[@]}")
printf '| | static program | shell script with curl |\n| --- | ---: | ---: |\n'
if [[ ${arguments[0]} == approve ]]; then
    read -r _ script_time script_memory < <(clean "$runs" ./approve.sh "$url" \
        "$(value 'client id')" "$work/secret" "$work/ca.pem" ada@example.com)
fi
printf '| size, bytes | %s | |\n' "$size"
printf '| start, ms, shortest of 20 (median) | %s (%s) | |\n' "$start" "$start_median"
printf '| %s, ms, median of %s | %s | %s |\n' "${arguments[0]}" "$runs" "$time" "${script_time:-}"
printf '| memory of the largest process, KiB | %s | %s |\n' "$memory" "${script_memory:-}"

bound() { awk -v value="$2" -v most="$3" -v what="$1" 'BEGIN {
    if (value + 0 > most) { print what ": " value ", at most " most; exit 1 } }'; }
bound "size" "$size" $((8 * 1000 * 1000))
bound "start" "$start" 10
bound "memory" "$memory" $((12 * 1024))
# Nothing is linked dynamically.
if ldd "$program" 2>&1 | grep -q '=>'; then
    echo "the program is not static" && exit 1
fi
