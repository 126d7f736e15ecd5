#!/usr/bin/env bash
# Installs the Debian packages that are named as arguments and missing here.
# Needs root or sudo only when something is missing. With --refresh first, apt's
# lists are brought up to date in any case.
set -euo pipefail

refresh=
if [ "${1:-}" = --refresh ]; then
  refresh=yes
  shift
fi
missing=()
for package in "$@"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || [ -n "$refresh" ] || exit 0

command -v apt-get >/dev/null || {
  echo "missing packages: ${missing[*]} (no apt-get here: install them with this system's package manager)" >&2
  exit 1
}
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "as root run: apt-get update && apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo DEBIAN_FRONTEND=noninteractive)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
[ ${#missing[@]} -gt 0 ] || exit 0
echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
