# Everything a developer or a CI job runs. `make` alone lists it.

GO        ?= go
FUZZTIME  ?= 30s
COUNT     ?= 10
BENCH     ?= .
PKG       ?= ./...
CASES     ?= 1000000
ARGS      ?=
REPORT    ?= dist/bench
SOAK      ?= 30
PLATFORMS ?= linux/amd64 linux/arm64

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z-]*:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/switchyard
	$(GO) build -trimpath -o bin/switchyard ./cmd/switchyard

.PHONY: test
test: ## Run the tests; needs neither root nor network
	go test ./...

.PHONY: test-race
test-race: ## Run the short tests under the race detector
	$(GO) test -race -short $(PKG)

.PHONY: test-root
test-root: ## Run the tests that build network namespaces (as root)
	@test "$$(id -u)" = 0 || { echo "make test-root: run as root (sudo -E make test-root)" >&2; exit 1; }
	$(GO) test -count=1 ./balancer/... ./bench/...

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (30s) each
	.ci/fuzz.sh $(FUZZTIME)

.PHONY: differential
differential: ## Compare the parser with crypto/tls on CASES (1000000) generated hellos
	SWITCHYARD_DIFFERENTIAL_CASES=$(CASES) $(GO) test -count=1 -timeout 60m -run 'TestDifferential' ./peek

.PHONY: promises
promises: ## Run the tests of docs/promises.md at full size: minutes, and 20 000 descriptors
	@test "$$(ulimit -n)" -ge 20000 || { echo "make promises: ulimit -n 20000 first" >&2; exit 1; }
	SWITCHYARD_PROMISES=1 $(GO) test -count=1 -p 1 -timeout 60m ./balancer/... ./route ./peek ./admin ./cmd/switchyard

.PHONY: soak
soak: ## The short tests again and again for SOAK (30) minutes; the first failure ends it
	end=$$(( $$(date +%s) + $(SOAK) * 60 )); \
	while [ $$(date +%s) -lt $$end ]; do \
		$(GO) test -short -count=1 -shuffle=on ./balancer/... ./cmd/... || exit 1; \
	done

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, the import arrows; golangci-lint where it is installed
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed:" >&2; echo "$$unformatted" >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test ./internal/layout
	@if command -v golangci-lint >/dev/null; then golangci-lint run; \
	else echo "golangci-lint is not installed: .golangci.yaml not run"; fi

.PHONY: generate
generate: ## Write the generated files again (config schema and reference)
	$(GO) generate ./...

.PHONY: bench
bench: ## Run the Go benchmarks: BENCH=pattern PKG=./peek COUNT=10
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG)

.PHONY: bench-compare
bench-compare: build ## Measure against HAProxy and nginx, interleaved, on this machine: ARGS="--rounds 10"
	bin/switchyard bench compare $(ARGS)

.PHONY: bench-report
bench-report: build ## Measure all that docs/benchmarks.md shows, in a quarter of an hour, into REPORT (dist/bench)
	mkdir -p $(REPORT)
	bin/switchyard bench selfcheck | tee $(REPORT)/selfcheck.txt
	bin/switchyard bench compare --names 10,1000,100000 --rounds 5 --duration 600ms --bulk 192MiB --idle 8000 --dir $(REPORT) $(ARGS)

.PHONY: cover
cover: ## Write cover.out and cover.html, print the coverage of each package
	$(GO) test -short -coverprofile=cover.out ./...
	$(GO) tool cover -html=cover.out -o cover.html

.PHONY: man
man: build ## Write the man pages to dist/man
	bin/switchyard man dist/man

.PHONY: release
release: ## Build stripped binaries, man pages and checksums into dist
	rm -rf dist && mkdir -p dist
	for p in $(PLATFORMS); do \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -buildvcs=true -trimpath -ldflags='-s -w' \
			-o dist/switchyard-$${p%/*}-$${p#*/} ./cmd/switchyard || exit 1; \
	done
	$(GO) run ./cmd/switchyard man dist/man
	tar -C dist -czf dist/switchyard-man.tar.gz man && rm -r dist/man
	cd dist && sha256sum switchyard-* > SHA256SUMS

.PHONY: ci-deps
ci-deps: ## Install what the tests against real programs use (Debian, as root)
	.ci/deps.sh

.PHONY: clean
clean: ## Remove what the targets above have built
	rm -rf bin dist cover.out cover.html
