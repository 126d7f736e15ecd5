#!/bin/sh
# Builds slipway-controlplane: build.sh OUTPUT [flags of go build]. With --left it
# prints how many packages are not compiled yet instead.
# The one place that knows the flags: the same ones each time, or the compiler
# starts over, and the API server's version, which it cannot tell by itself.
set -eu
case $1 in --left | /*) output=$1 ;; *) output=$PWD/$1 ;; esac
shift
cd "$(dirname "$0")"

export CGO_ENABLED=0 GOFLAGS= GOTOOLCHAIN=local GOWORK=off
flags="-trimpath -buildvcs=false"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
release=${version#v}
minor=${release#*.}
package=k8s.io/component-base/version
link="-s -w -X $package.gitVersion=$version -X $package.gitMajor=${release%%.*} -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean -X $package.gitCommit="

if [ "$output" = --left ]; then
	# shellcheck disable=SC2086 # flags are words
	go list $flags -ldflags "$link" -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' ./cmd/slipway-controlplane | grep -c . || true
	exit
fi
# shellcheck disable=SC2086
exec go build $flags "$@" -o "$output" -ldflags "$link" ./cmd/slipway-controlplane
