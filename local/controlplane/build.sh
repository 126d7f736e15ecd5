#!/bin/sh
# Builds slipway-controlplane: build.sh OUTPUT [flags of go build].
# The one place that knows the flags: the same ones each time, or the compiler
# starts over, and the API server's version, which it cannot tell by itself.
set -eu
output=$1
shift
case $output in /*) ;; *) output=$PWD/$output ;; esac
cd "$(dirname "$0")"

export CGO_ENABLED=0 GOFLAGS= GOTOOLCHAIN=local GOWORK=off
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
release=${version#v}
minor=${release#*.}
package=k8s.io/component-base/version
exec go build -trimpath -buildvcs=false "$@" -o "$output" \
	-ldflags "-s -w -X $package.gitVersion=$version -X $package.gitMajor=${release%%.*} -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean -X $package.gitCommit=" \
	./cmd/slipway-controlplane
