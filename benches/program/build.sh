#!/usr/bin/env bash
# Builds the program as one static file and prints its path:
#
#     benches/program/build.sh
#
# Needs musl-gcc (Debian's musl-tools), for the parts in C, and rustup's target
# x86_64-unknown-linux-musl.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=x86_64-unknown-linux-musl

rustup target list --installed | grep -qx "$target" || rustup target add "$target" >&2
# Size matters more than speed here.
env CC_x86_64_unknown_linux_musl=musl-gcc \
    CARGO_PROFILE_RELEASE_STRIP=symbols \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=s \
    CARGO_PROFILE_RELEASE_LTO=thin \
    cargo build --locked --release --features cli --bin autharmor --target "$target" >&2
echo "${CARGO_TARGET_DIR:-$PWD/target}/$target/release/autharmor"
