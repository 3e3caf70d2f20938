#!/usr/bin/env bash
# Builds the program as one static file and prints its path:
#
#     benches/program/build.sh
#
# Needs musl-gcc (Debian's musl-tools) and rustup's target
# x86_64-unknown-linux-musl.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=x86_64-unknown-linux-musl

rustup target list --installed | grep -qx "$target" || rustup target add "$target" >&2
env CC_x86_64_unknown_linux_musl=musl-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=musl-gcc \
    CARGO_PROFILE_RELEASE_STRIP=symbols \
    cargo build --locked --release --features cli --bin autharmor --target "$target" >&2
echo "${CARGO_TARGET_DIR:-$PWD/target}/$target/release/autharmor"
