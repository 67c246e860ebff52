#!/usr/bin/env bash
# Adds what building or testing needs and this machine lacks. Usage: setup.sh (rust|npm|chromium|firefox|webkit)...
# If it cannot add something, it says so in one sentence and fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
  echo "setup: $1" >&2
  exit 1
}

add_rust() {
  command -v cargo >/dev/null || fail "cargo was not found: install Rust 1.89 or later with rustup."
  local libraries
  libraries="$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib"
  if ! compgen -G "$libraries/libcore-*.rlib" >/dev/null; then
    command -v rustup >/dev/null || fail "this Rust has no wasm32-unknown-unknown target and no rustup to add it with."
    rustup target add wasm32-unknown-unknown || fail "rustup could not add the target wasm32-unknown-unknown."
  fi
}

add_npm_packages() {
  command -v node >/dev/null || fail "node was not found: install Node 20.19 or later."
  command -v npm >/dev/null || fail "npm was not found: it comes with Node 20.19 or later."
  node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' ||
    fail "Node 20.19 or later is needed, and this is $(node --version)."
  # A copy of the lock file inside of node_modules tells what is installed there.
  if ! cmp --silent tests/package-lock.json tests/node_modules/.offshoot-lock.json; then
    npm ci --prefix tests --no-audit --no-fund || fail "npm could not install the packages of tests/package-lock.json."
    cp tests/package-lock.json tests/node_modules/.offshoot-lock.json
  fi
}

# add_debian_packages NAME PACKAGE... : NAME is what people call it.
add_debian_packages() {
  local name="$1"
  shift
  command -v apt-get >/dev/null || fail "no $name is installed, and there is no apt-get to install it with."
  [ "$(id -u)" = 0 ] || fail "no $name is installed: run 'apt-get install $*' as root."
  apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@" ||
    fail "apt-get could not install $name."
}

has_one_of() {
  local program
  for program in "$@"; do
    if command -v "$program" >/dev/null; then return 0; fi
  done
  return 1
}

add_chromium() {
  has_one_of chromium chromium-browser google-chrome google-chrome-stable || add_debian_packages Chromium chromium
}

add_firefox() {
  has_one_of firefox-esr firefox || add_debian_packages Firefox firefox-esr
}

# The library with its small browser, the driver, and a screen to draw on that nobody sees.
add_webkit() {
  local browser="/usr/lib/*/webkit2gtk-4.*/MiniBrowser"
  if has_one_of WebKitWebDriver && has_one_of Xvfb && compgen -G "$browser" >/dev/null; then return; fi
  add_debian_packages WebKitGTK webkit2gtk-driver xvfb
}

for part in "$@"; do
  case "$part" in
    rust) add_rust ;;
    npm) add_npm_packages ;;
    chromium) add_chromium ;;
    firefox) add_firefox ;;
    webkit) add_webkit ;;
    *) fail "there is no part of this name. part=$part" ;;
  esac
done
