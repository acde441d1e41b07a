#!/usr/bin/env bash
# Makes this machine able to build and test for wasm32-unknown-unknown, and writes the environment for it.
#
#   scripts/setup-wasm.sh            what a build needs: compiler target, wasm-bindgen, wasm-opt
#   scripts/setup-wasm.sh --test     also what tests need: wasm-pack, Chromium and its driver, cargo-nextest
#   . target/wasm-env.sh             use the environment in this shell
#
# Idempotent and quiet; about a second when all is there. Settings:
#   WASM_TOOLCHAIN   auto (default) | rustup | debian   where the compiler for wasm32 comes from
#   WASM_STD         auto (default) | stock             stock: the published package links the compiler's own std too
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
T=wasm32-unknown-unknown
PACK_VERSION=0.15.1
NEXTEST_VERSION=0.9.143
mode=${WASM_TOOLCHAIN:-auto}
root=${CARGO_HOME:-$HOME/.cargo}
want_tests=0
[ "${1-}" != --test ] || want_tests=1
case $mode in auto | rustup | debian) ;; *) echo "setup: WASM_TOOLCHAIN=$mode: auto, rustup or debian" >&2; exit 2 ;; esac

log=$(mktemp "${TMPDIR:-/tmp}/corella-setup.XXXXXX")
work=
trap 'rm -rf "$log" ${work:+"$work"}' EXIT
say() { printf '==> %s\n' "$*" >&2; }
die() {
  say "ERROR: $1"
  [ ! -s "$log" ] || { say "last lines of the failed step:"; tail -n 25 "$log" >&2; }
  exit 1
}
run() { : >"$log"; "$@" >"$log" 2>&1 </dev/null; }
have() { command -v "$1" >/dev/null 2>&1; }

install_packages() {
  local package missing=()
  for package; do dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package"); done
  [ ${#missing[@]} != 0 ] || return 0
  have apt-get || die "no apt-get here; install by hand: ${missing[*]}"
  local sudo=
  [ "$(id -u)" = 0 ] || { have sudo && sudo="sudo -n"; } || die "root is needed to install: ${missing[*]}"
  say "installing ${missing[*]}"
  local get="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300"
  run $get install -y -q --no-install-recommends "${missing[@]}" && return 0
  run $get update -q || die "apt-get update failed"
  run $get install -y -q --no-install-recommends "${missing[@]}" || die "apt-get could not install: ${missing[*]}"
}

has_std() {
  local dir
  dir=$("$@" --print target-libdir --target $T 2>/dev/null) || return 1
  compgen -G "$dir/libstd-*.rlib" >/dev/null
}

# ---- a compiler with a std for wasm32 ----
have cargo || die "Rust is missing: install it from https://rustup.rs"
route=
if [ "$mode" != debian ]; then
  if has_std rustc; then route=rustup
  elif [ "$mode" = auto ] && [ -x /usr/bin/rustc ] && has_std /usr/bin/rustc; then :
  elif have rustup && { say "adding the Rust target $T"; run timeout -k 5 120 rustup target add $T; } && has_std rustc; then route=rustup
  elif [ "$mode" = rustup ]; then die "the active Rust toolchain has no $T and rustup could not add it"
  fi
fi
debian_compiler() {
  local vv llvm host
  install_packages rustc-web cargo-web rust-web-src
  vv=$(/usr/bin/rustc -vV)
  host=$(sed -n 's/^host: //p' <<<"$vv")
  llvm=$(sed -n 's/^LLVM version: \([0-9]*\).*/\1/p' <<<"$vv")
  install_packages "lld-$llvm" # the linker has to match the compiler's LLVM
  [ -w /usr/lib/rustlib ] || die "root is needed to write /usr/lib/rustlib"
  mkdir -p "/usr/lib/rustlib/$host/bin"
  ln -sfn "/usr/lib/llvm-$llvm/bin/lld" "/usr/lib/rustlib/$host/bin/rust-lld"
  if have rustup; then
    rustup toolchain list 2>/dev/null | grep -qE '^web( |$)' || run rustup toolchain link web /usr || die "rustup toolchain link failed"
  fi
}
debian_env() { if have rustup; then echo "RUSTUP_TOOLCHAIN=web"; else echo "PATH=/usr/bin:$PATH RUSTC=/usr/bin/rustc"; fi; }
if [ -z "$route" ]; then
  route=debian
  debian_compiler
  vv=$(/usr/bin/rustc -vV)
  lib=/usr/lib/rustlib/$T/lib
  stamp="$vv v1"
  if [ "$(cat "$lib/.stamp" 2>/dev/null)" != "$stamp" ]; then
    say "building the standard library for $T once (about a minute)"
    work=$(mktemp -d "${TMPDIR:-/tmp}/corella-std.XXXXXX")
    mkdir "$work/src"
    : >"$work/src/lib.rs"
    printf '[package]\nname = "mkstd"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[profile.release]\nopt-level = 3\ndebug = 0\ncodegen-units = 1\n' >"$work/Cargo.toml"
    # RUSTC_BOOTSTRAP only here and for the published package: all else uses the compiler as a plain stable one. The bitcode lets LTO
    # of the real crates see into std, as with rustup's.
    (cd "$work" && run env -u RUSTUP_TOOLCHAIN PATH="/usr/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
      RUSTFLAGS="-Cembed-bitcode=yes -Cpanic=abort" CARGO_TARGET_DIR="$work/target" CARGO_INCREMENTAL=0 \
      /usr/bin/cargo build --release --target $T -Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro) || die "building std for $T failed"
    rm -rf "$lib.new" && mkdir -p "$lib.new"
    cp "$work/target/$T/release/deps/"*.rlib "$lib.new/" && rm -f "$lib.new"/libmkstd-*.rlib
    printf '%s\n' "$stamp" >"$lib.new/.stamp"
    rm -rf "$lib" && mv "$lib.new" "$lib"
    rm -rf "$work" && work=
  fi
fi

# ---- a compiler that can build std along, for the published package ----
# A std made for size, without the texts of panics, makes the package a sixth smaller. It takes the source of std, and settings that a stable
# compiler has under RUSTC_BOOTSTRAP only: without them the package is the same, but larger.
builds_std() {
  [ -f "$("$@" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/std/Cargo.toml" ] &&
    RUSTC_BOOTSTRAP=1 "$@" -Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none --print cfg --target $T >/dev/null 2>&1
}
sized=
refused=target/.no-rust-src # rustup waits long for what it cannot reach
if [ "${WASM_STD:-auto}" = auto ]; then
  if [ $route = rustup ] && builds_std rustc; then sized=active
  elif [ -x /usr/bin/rustc ] && builds_std /usr/bin/rustc; then sized=debian
  elif [ $route = rustup ] && [ ! -e $refused ]; then
    say "adding the source of Rust's standard library, for a smaller package"
    if have rustup && run timeout -k 5 180 rustup component add rust-src && builds_std rustc; then sized=active
    elif [ "$mode" = auto ] && [ "$(id -u)" = 0 ] && have apt-get && (debian_compiler) && builds_std /usr/bin/rustc; then sized=debian
    else mkdir -p target && touch $refused; fi
  fi
  [ -n "$sized" ] || say "no source of the standard library for this compiler: the package will be larger"
fi

# cargo does not see that std was replaced under an unchanged compiler, so what was built on another one goes
td=${CARGO_TARGET_DIR:-target}
key="$route ${stamp-}"
if [ -d "$td/$T" ] && [ -f "$td/.wasm-std" ] && [ "$(cat "$td/.wasm-std")" != "$key" ]; then rm -rf "${td:?}/$T"; fi
mkdir -p "$td" && printf '%s\n' "$key" >"$td/.wasm-std"

# ---- tools ----
cargo_install() {
  say "installing $1 $2 (some minutes)"
  local install=(env -u CARGO_BUILD_TARGET -u RUSTFLAGS -u CARGO_TARGET_DIR cargo install --quiet --force --root "$root" --version "=$2" "$1")
  run "${install[@]}" --locked && return 0
  # Some lock files name versions that a registry does not serve.
  run "${install[@]}" || die "cargo install $1 $2 failed"
}
PATH="$root/bin:$PATH"
bindgen=$(awk '/^name = "wasm-bindgen"$/{getline; gsub(/[^0-9.]/,""); print; exit}' Cargo.lock)
if [ "$(wasm-bindgen --version 2>/dev/null)" != "wasm-bindgen $bindgen" ] || ! have wasm-bindgen-test-runner; then
  cargo_install wasm-bindgen-cli "$bindgen"
fi
have npm || die "Node.js 20 or later with npm is missing"
if [ tools/node_modules/.stamp -ot tools/package-lock.json ]; then
  say "installing the packaging tools (npm)"
  run npm ci --prefix tools --no-fund --no-audit || die "npm ci in tools/ failed"
  touch tools/node_modules/.stamp
fi
driver=
if [ $want_tests = 1 ]; then
  [ "$(wasm-pack --version 2>/dev/null)" = "wasm-pack $PACK_VERSION" ] || cargo_install wasm-pack $PACK_VERSION
  cargo nextest --version >/dev/null 2>&1 || cargo_install cargo-nextest $NEXTEST_VERSION
  { have chromium && have chromedriver; } || install_packages chromium chromium-driver
  driver=$(command -v chromedriver) || die "no chromedriver after installing chromium-driver"
fi

# ---- the environment ----
mkdir -p target
{
  echo "# Written by scripts/setup-wasm.sh; route: $route"
  [ $route = rustup ] || echo "export $(debian_env)"
  # What goes before cargo when the published package is built with a std made for size.
  case $sized in
    active) echo 'export WASM_SIZED="env RUSTC_BOOTSTRAP=1"' ;;
    debian) echo "export WASM_SIZED=\"env RUSTC_BOOTSTRAP=1 $(debian_env)\"" ;;
  esac
  printf 'export PATH=%q:%q:"$PATH"\n' "$root/bin" "$PWD/tools/node_modules/.bin"
  printf 'export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=%q\n' "$(command -v wasm-bindgen-test-runner)"
  [ -z "$driver" ] || printf 'export CHROMEDRIVER=%q\n' "$driver"
} >target/wasm-env.sh
