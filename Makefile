# Two commands do everything: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export GOTOOLCHAIN := local
export GOFLAGS := -trimpath -buildvcs=false
export CGO_ENABLED := 0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/slipway
# The sample image is known by what it is built from: another clone of the same content finds it built.
IMAGE_KEY := $(shell cd local/sampleimage && find build.sh rootfs -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-16)
IMAGE := $(CACHE)/sample-$(IMAGE_KEY).qcow2
LINK := -s -w -X slipway.dev/slipway/internal/version.Version=$(VERSION)
TOOL := go tool -modfile=tools/go.mod
SOURCES := $(shell find . -name '*.go' -not -path './.*' -not -name '*_test.go' 2>/dev/null) go.mod go.sum

.PHONY: help run build test lint generate verify bench bench-source bench-render bench-disk images e2e e2e-engine e2e-engine-fast bin/engine engine-up engine-down packages test-packages clean

help: ## list the verbs
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

run: packages build $(IMAGE) ## install what is missing, build, and run the demo: a push boots a guest
	SLIPWAY_SAMPLE_IMAGE=$(IMAGE) bin/slipway up --demo

build: bin/slipway bin/slipway-controlplane ## build the binaries into bin/

bin/slipway-controlplane: $(shell find local/controlplane -name '*.go' -o -name 'go.*' 2>/dev/null)
	@echo "Building $@ (the first time compiles Kubernetes: some minutes)"
	@left=$$(local/controlplane/build.sh --left) && local/controlplane/build.sh $@ -v 2>&1 | hack/progress.sh "$$left"

bin/%: $(SOURCES)
	@echo "Building $@"
	@left=$$(go list -ldflags "$(LINK)" -deps -f '{{if .Stale}}{{.ImportPath}}{{end}}' ./cmd/$* | grep -c . || true) && \
		go build -v -ldflags "$(LINK)" -o $@ ./cmd/$* 2>&1 | hack/progress.sh "$$left"

packages:
	@hack/install-packages.sh $$(cat local/node/packages.txt local/sampleimage/packages.txt dvcr/registry/packages.txt)

test-packages:
	@hack/install-packages.sh gcc libc6-dev curl openssh-client gnupg

$(IMAGE): | packages
	@mkdir -p $(@D)
	@local/sampleimage/build.sh $@ || { hack/install-packages.sh --refresh && local/sampleimage/build.sh $@; }

test: packages test-packages bin/slipway-controlplane $(IMAGE) ## run all tests, with the race detector
	SLIPWAY_CONTROLPLANE=$(CURDIR)/bin/slipway-controlplane SLIPWAY_SAMPLE_IMAGE=$(IMAGE) CGO_ENABLED=1 go test -race -shuffle=on -timeout 25m ./...
	cd local/controlplane && go test -vet=off ./...
	cd test/engine && CGO_ENABLED=1 go test -race -shuffle=on ./...

lint: ## run the linters; import directions are among them
	$(TOOL) golangci-lint run ./...
	cd test/engine && go tool -modfile=../../tools/go.mod golangci-lint run --config ../../.golangci.yaml ./...

generate: ## write generated code and CRDs anew
	go generate ./...

verify: ## fail when generated files or go.mod are not current
	@hack/verify.sh

e2e: packages build $(IMAGE) ## run the whole story against the built binaries and a real guest
	SLIPWAY_BIN=$(CURDIR)/bin SLIPWAY_SAMPLE_IMAGE=$(IMAGE) go test -count=1 -timeout 40m -tags e2e ./test/e2e

bin/engine:
	@cd test/engine && go build -ldflags "-s -w" -o $(CURDIR)/$@ ./cmd/engine

engine-up: bin/engine ## bring up stock KubeVirt on a Kubernetes of its own; needs root, NODES=2 for two nodes
	bin/engine up --nodes $(or $(NODES),1)

engine-down: bin/engine ## take it down; nothing stays but what was built
	bin/engine down

e2e-engine: bin/engine packages $(IMAGE) ## run the scenarios on stock KubeVirt; needs root, NODES=2 for those of migration
	trap '$(CURDIR)/bin/engine down' EXIT; bin/engine up --nodes $(or $(NODES),1) && cd test/engine && \
		SLIPWAY_ENGINE_DIR=$(CACHE)/engine/run SLIPWAY_SAMPLE_IMAGE=$(IMAGE) go test -v -count=1 -timeout 60m -tags e2e ./scenario

e2e-engine-fast: test-packages bin/slipway-controlplane ## show Slipway's objects to stock KubeVirt's and CDI's control planes
	@hack/install-packages.sh qemu-utils iproute2
	cd test/engine && SLIPWAY_CONTROLPLANE=$(CURDIR)/bin/slipway-controlplane go test -v -count=1 -timeout 60m -tags e2e ./fast

images: ## make the images for a cluster as OCI archives in bin/images
	@hack/install-packages.sh qemu-utils
	@go run ./hack/images -ldflags "$(LINK)"

bench: packages build $(IMAGE) ## measure beside the peers, print a table and JSON
	SLIPWAY_BIN=$(CURDIR)/bin SLIPWAY_SAMPLE_IMAGE=$(IMAGE) go run ./test/bench

bench-source: ## measure fetches, polls and signatures beside git, print a table and JSON
	go run ./test/bench/source -json -

bench-render: ## measure renders beside kustomize, print a table and JSON
	go run ./test/bench/render -json -

bench-disk: packages ## measure how disks are kept, beside other ways
	@hack/install-packages.sh $$(cat test/bench/disk/packages.txt)
	go run ./test/bench/disk

clean: ## remove what was built here (caches outside the repository stay)
	rm -rf bin
