#!/usr/bin/env bash
# Fails when a generated file or a go.mod is not what the tools would write now.
set -euo pipefail
cd "$(dirname "$0")/.."

state() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null; }

before=$(state)
go generate ./...
for module in . local/controlplane test/engine tools; do
  (cd "$module" && go mod tidy)
done
after=$(state)
if [ "$before" != "$after" ]; then
  echo "not current; run 'make generate', 'go mod tidy' and commit:" >&2
  diff <(echo "$before") <(echo "$after") | sed -n 's/^[<>] [0-9a-f]*  /  /p' | sort -u >&2
  exit 1
fi
