# The commands of this project. `make demo` shows it, `make test` passes all tests; both set up what they need.

SHELL   := /bin/bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X conpaas/client/daemon.Version=$(VERSION)
NODE    := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
CACHE   ?= $(CONPAAS_CACHE)
# Packages with benchmarks whose figures `make bench` shows.
BENCHED := ./client/e2e ./director/cloud/local ./vpn/wg ./imagebuilder/build ./imagebuilder/imagetest
export GOFLAGS := -buildvcs=false

.PHONY: help build image demo test test-unit test-stories test-images bench lint new-service deps go-version clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

build: go-version ## build the five programs into bin/, with the names of the original tools linked to cps
	@mkdir -p bin
	$(NODE) -o bin/cps ./client
	bin/cps install-links bin
	$(NODE) -o bin/cpsagent ./agent
	$(NODE) -o bin/cpsmanager ./manager
	$(NODE) -o bin/cpsimage ./imagebuilder
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/cpsdirector ./director

image: build ## make the root file system of the local cloud's machines, unless it is cached
	bin/cpsimage build --format rootfs $(if $(CACHE),--cache $(CACHE))

demo: go-version ## show the main job on the local cloud of this machine
	@.ci/deps run
	@$(MAKE) --no-print-directory build
	@.ci/demo

test: go-version ## install what the tests need and run all of them
	@.ci/deps test
	@$(MAKE) --no-print-directory test-unit lint test-stories test-images

test-unit: go-version ## unit, conformance and component tests
	go vet ./...
	go test -timeout 10m $$(go list ./... | grep -vE '/client/e2e$$|/imagebuilder/imagetest$$')
	go test -timeout 2m -run '^TestArchitecture' ./client/e2e

test-stories: build image ## the real programs against each other on the local cloud
	go test -timeout 40m -count=1 ./client/e2e

test-images: build image ## images that are made and booted for real, in virtual machines under both firmwares and as a container
	CONPAAS_CACHE=$(CACHE) go test -timeout 20m -count=1 ./imagebuilder/imagetest

bench: go-version ## measure, print a table of figures and write bench.json; BENCH=Scale limits it to benchmarks of that name
	@.ci/deps test
	@$(MAKE) --no-print-directory build image
	@set -o pipefail; CONPAAS_CACHE=$(CACHE) go test -timeout 60m -run '^$$' -bench '$(or $(BENCH),.)' -benchtime 1x -p 1 $(BENCHED) | go run ./client/e2e/bench

lint: go-version ## the linters of .golangci.yml; the first run builds them, which takes minutes
	@.ci/lint

new-service: go-version ## write all pieces of a new service type, NAME=foo, see docs/contributing/service.md
	@go run ./client/e2e/newservice '$(NAME)'

deps: ## install what building, running and testing need (Debian packages)
	@.ci/deps test

go-version:
	@.ci/go-version

clean: ## remove what the build made; the image cache stays
	rm -rf bin
