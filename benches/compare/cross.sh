#!/usr/bin/env bash
# Builds the small program for other targets and runs it against a local server:
#
#     benches/compare/cross.sh [TARGET...]
#
# Default targets: x86_64-unknown-linux-musl (static), aarch64-unknown-linux-gnu
# and armv7-unknown-linux-gnueabihf. Debian's newest compiler builds the standard
# library from Debian's source, so rustup does not need these targets. Debian's
# packages are unpacked, not installed, because they conflict with rustup's.
# Needs Debian, and root to install the linkers and, for Arm, qemu.
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive
cross=${CARGO_TARGET_DIR:-$PWD/target}/cross
targets=("$@")
((${#targets[@]})) || targets=(
    x86_64-unknown-linux-musl aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf
)

tools=(file musl-tools gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf libc6-dev-arm64-cross
    libc6-dev-armhf-cross qemu-user-static)
dpkg -s "${tools[@]}" >/dev/null 2>&1 || {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${tools[@]}"
}
if [[ ! -x $cross/usr/bin/cargo ]]; then
    apt-get update -qq
    mkdir -p "$cross/debs"
    packages=$(apt-get install -s --no-install-recommends \
        rustc-web cargo-web libstd-rust-web-dev rust-web-src |
        awk '/^Inst/ {gsub(/[(]/, ""); print $2 "=" ($3 ~ /^\[/ ? $4 : $3)}')
    # shellcheck disable=SC2086 # a list
    (cd "$cross/debs" && apt-get download -qq -o APT::Sandbox::User=root $packages)
    for package in "$cross"/debs/*.deb; do dpkg -x "$package" "$cross"; done
    rm -r "$cross/debs"
fi

# Debian has no unwinder for musl. With panic="abort" nothing is unwound, so gcc's
# unwinder is enough. It needs one function of glibc that musl lacks.
mkdir -p "$cross/lib"
cp "$(gcc -print-file-name=libgcc_eh.a)" "$cross/lib/libunwind.a"
echo 'int _dl_find_object(void *pc, void *found) { (void)pc; (void)found; return -1; }' |
    musl-gcc -x c -c - -o "$cross/lib/find_object.o"
ar r "$cross/lib/libunwind.a" "$cross/lib/find_object.o"

build() {
    env RUSTC="$cross/usr/bin/rustc" LD_LIBRARY_PATH="$cross/usr/lib/$(gcc -print-multiarch)" \
        RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$cross/target" "${@:2}" \
        "$cross/usr/bin/cargo" build --quiet --locked --profile small -p small-autharmor \
        --target "$1" -Zbuild-std=std,panic_abort
}

for target in "${targets[@]}"; do
    program=$cross/target/$target/small/small-autharmor
    run=
    case $target in
    x86_64-unknown-linux-musl)
        build "$target" CC_x86_64_unknown_linux_musl=musl-gcc \
            CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=musl-gcc \
            RUSTFLAGS="-C link-self-contained=no -C target-feature=+crt-static \
                -C relocation-model=static -L $cross/lib"
        ;;
    aarch64-unknown-linux-gnu)
        build "$target" CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
            CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
        run="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
        ;;
    armv7-unknown-linux-gnueabihf)
        build "$target" CC_armv7_unknown_linux_gnueabihf=arm-linux-gnueabihf-gcc \
            CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
        run="qemu-arm-static -L /usr/arm-linux-gnueabihf"
        ;;
    *) echo "unknown target: $target" >&2 && exit 1 ;;
    esac
    echo "$target: $(stat -c %s "$program") bytes, $(file -b "$program" | cut -d, -f 1,2,4)"
    cargo bench --quiet --bench footprint -- --run "$run $program"
done
