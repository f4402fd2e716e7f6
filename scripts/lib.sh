# shellcheck shell=bash
# What the scripts beside this file share: `source` it, it does nothing by itself.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
target_dir=${CARGO_TARGET_DIR:-$root/target}

# rustup's folder is not on the path of cron jobs and of some CI runners.
case ":$PATH:" in
    *":$HOME/.cargo/bin:"*) ;;
    *) PATH=$PATH:$HOME/.cargo/bin ;;
esac

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

section() {
    printf '\n== %s\n' "$1"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Gives the fuzz targets, which are a crate of their own, the same versions of all that ssb is made of.
lock_fuzz_targets() {
    [ "$root/fuzz/Cargo.lock" -nt "$root/Cargo.lock" ] || cp "$root/Cargo.lock" "$root/fuzz/Cargo.lock"
}

# Prints the newest librocksdb.a that a finished build left in PROFILE's folder, if it is of the version in Cargo.lock
# and has both compressions in it. Cargo writes `root-output` when a build script is done: one that was cut short leaves
# none that is as new as its archive.
rocksdb_archive() { # PROFILE
    local version archive build newest=
    version=$(sed -n '/^name = "librocksdb-sys"$/{n;s/^version = "\(.*\)"$/\1/p;}' "$root/Cargo.lock")
    for archive in "$target_dir/$1"/build/librocksdb-sys-*/out/librocksdb.a; do
        build=${archive%/out/librocksdb.a}
        if [ -f "$archive" ] && [ -f "$build/root-output" ] && [ ! "$archive" -nt "$build/root-output" ] &&
            { [ -z "$newest" ] || [ "$archive" -nt "$newest" ]; } &&
            grep -qF "/librocksdb-sys-$version" "$build/output" &&
            grep -q ZSTD_compress "$archive" && grep -q LZ4_compress "$archive"; then
            newest=$archive
        fi
    done
    printf '%s\n' "$newest"
}

# Whether the dev profile compiles RocksDB as fast as the release profile does.
rocksdb_is_optimized() {
    sed -n '/^\[profile\.dev\.package\.librocksdb-sys\]$/,/^$/p' "$root/Cargo.toml" | grep -x 'opt-level = 3' >/dev/null
}

# Builds the release binary. RocksDB's C++ is most of a first build, and compiles to the same code in both profiles; so
# if only the dev profile has it yet, the release build links that archive. Not done where the caller has chosen
# compilers, flags or a RocksDB of their own: then the two builds may differ.
build_release() {
    local archive=
    if [ -z "${ROCKSDB_LIB_DIR:-}${ROCKSDB_COMPILE:-}${CC:-}${CXX:-}${CFLAGS:-}${CXXFLAGS:-}${RUSTFLAGS:-}" ] &&
        rocksdb_is_optimized && [ -z "$(rocksdb_archive release)" ]; then
        archive=$(rocksdb_archive debug)
    fi
    if [ -n "$archive" ]; then
        printf 'linking the RocksDB that the dev build has compiled\n'
        (cd "$root" && ROCKSDB_LIB_DIR=${archive%/*} ROCKSDB_STATIC=1 cargo build --release --locked)
    else
        (cd "$root" && cargo build --release --locked)
    fi
}
