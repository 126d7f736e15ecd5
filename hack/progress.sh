#!/usr/bin/env bash
# Shows the packages that `go build -v` compiles, read from standard input: in
# place on a terminal, else one line for each hundred. Other lines pass through.
set -euo pipefail

count=0
while IFS= read -r line; do
  if [[ $line == *" "* || $line != *[./]* ]]; then
    echo "$line"
    continue
  fi
  count=$((count + 1))
  if [ -t 1 ]; then
    printf '\r\033[K  %d packages compiled: %.60s' "$count" "$line"
  elif ((count % 100 == 0)); then
    echo "  $count packages compiled"
  fi
done
if ((count > 0)); then
  if [ -t 1 ]; then printf '\r\033[K'; fi
  echo "  $count packages compiled"
fi
