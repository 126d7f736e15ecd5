#!/usr/bin/env bash
# Shows how far a build is, from what `go build -v` prints: progress.sh TOTAL, where
# TOTAL is the number of packages to compile at most (a change that leaves a package's
# interface alone spares those that import it). A bar on a terminal, else a line for
# each tenth. Lines that name no package, such as errors, pass through.
set -euo pipefail

total=${1:?progress.sh TOTAL}
count=0
told=0

bar() {
  local full=$((count * 30 / total)) line
  printf -v line '%*s' "$full" ''
  printf '\r\033[K  [%-30s] %3d%%  %d/%d  %.48s' "${line// /=}" $((count * 100 / total)) "$count" "$total" "$1"
}

while IFS= read -r line; do
  if [[ ! $line =~ ^[A-Za-z0-9_./~+-]+$ ]]; then
    echo "$line"
    continue
  fi
  count=$((count + 1))
  ((count <= total)) || total=$count
  if [ -t 1 ]; then
    bar "$line"
  elif ((count * 10 / total > told)); then
    told=$((count * 10 / total))
    echo "  ${told}0% ($count of $total packages)"
  fi
done
((count > 0)) || exit 0
if [ -t 1 ]; then printf '\r\033[K'; fi
echo "  $count packages compiled"
