# Targets with two hashes explain themselves in `make help`. CI runs what is here, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables

GO ?= go
BIN := $(CURDIR)/.tmp/bin
# The tools are pinned here and not in go.mod: whoever imports logoutd need not know them.
STATICCHECK := $(BIN)/staticcheck@v0.8.2
EXHAUSTIVE := $(BIN)/exhaustive@v0.17.1
SUMTYPE := $(BIN)/go-check-sumtype@v0.4.0

# Empty without a tag; the program then says so itself.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null)
ROOMS := aggregates cmd commands docs eventstore projections

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2; n++ } END { exit n == 0 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## run a whole logoutd on ./data
	$(GO) run ./cmd/logoutd serve

.PHONY: demo
demo: ## see every branch of a logout, with the events it leaves
	$(GO) run ./cmd/logoutd demo

TESTFLAGS ?=
# The race detector needs a C compiler. CI has one; a machine without still runs every test.
RACE := $(shell command -v "$$($(GO) env CC)" >/dev/null 2>&1 && echo -race)
.PHONY: test
test: ## run all tests, in random order, with the race detector where there is a C compiler
	@[[ -n '$(RACE)' ]] || echo 'no C compiler: testing without the race detector' >&2
	$(GO) test $(RACE) -shuffle=on -timeout 10m $(TESTFLAGS) ./...

.PHONY: bench
bench: ## measure logouts per second against a bare NATS echo
	$(GO) run ./cmd/logoutd bench

.PHONY: microbench
microbench: ## run the benchmarks of the packages
	$(GO) test -run '^$$' -bench . -benchmem ./...

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME each (10s)
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' .ci/fuzz $(ROOMS)

.PHONY: cover
cover: ## write and sum up test coverage, by statement, over all packages
	@mkdir -p .tmp
	$(GO) test -coverpkg=./... -coverprofile=.tmp/cover.out ./...
	$(GO) tool cover -html=.tmp/cover.out -o .tmp/cover.html
	$(GO) tool cover -func=.tmp/cover.out | tail -n 1

.PHONY: build
build: ## build ./logoutd: one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o logoutd ./cmd/logoutd

# Narrowed where a proof needs one package only.
PACKAGES ?= ./...
.PHONY: lint
lint: lint-format lint-vet lint-staticcheck lint-exhaustive lint-sumtype ## find what the compiler does not

.PHONY: lint-format
lint-format:
	@files=$$(find $(ROOMS) -name '*.go'); [[ -n $$files ]] || { echo 'lint-format: found no Go file'; exit 1; }; \
	unformatted=$$(gofmt -l $$files); [[ -z $$unformatted ]] || { echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; }

.PHONY: lint-vet
lint-vet:
	$(GO) vet $(PACKAGES)

.PHONY: lint-staticcheck
lint-staticcheck: $(STATICCHECK)
	$(STATICCHECK) $(PACKAGES)

.PHONY: lint-exhaustive
lint-exhaustive: $(EXHAUSTIVE)
	$(EXHAUSTIVE) -typeonly '^github\.com/logoutd/logoutd/' $(PACKAGES)

.PHONY: lint-sumtype
lint-sumtype: $(SUMTYPE)
	$(SUMTYPE) -default-signifies-exhaustive=false $(PACKAGES)

QUICK ?=
.PHONY: prove-gates
prove-gates: $(STATICCHECK) $(EXHAUSTIVE) $(SUMTYPE) ## break a copy of the code in many ways and see each check go red
	@.ci/prove-gates $(QUICK)

SOAK ?= 10m
.PHONY: soak
soak: ## kill, rotate keys and fill a disk of 2 GiB under load for SOAK (10m); needs root, to make the disk
	@disk=$$(mktemp -d); mount -t tmpfs -o size=2g,mode=0700 logoutd-soak "$$disk"; trap 'umount "$$disk" && rmdir "$$disk"' EXIT; \
	LOGOUTD_SOAK='$(SOAK)' LOGOUTD_SOAK_DISK="$$disk" $(GO) test -count=1 -timeout 0 -v -run '^TestSoak$$' ./cmd/logoutd

.PHONY: prove
prove: prove-gates soak ## everything that takes longer than CI may: prove-gates and soak

.PHONY: ci
ci: ## do what CI does: test, lint and prove-gates in a clean clone
	.ci/run

.PHONY: clean
clean: ## delete what was built; ./data stays
	rm -rf .tmp logoutd

# install <module path> installs the version after the @ in the name of the target.
define install
	@mkdir -p $(BIN)/.new
	GOBIN=$(BIN)/.new $(GO) install $(1)@$(lastword $(subst @, ,$(notdir $@)))
	@mv $(BIN)/.new/$(firstword $(subst @, ,$(notdir $@))) $@
endef

$(STATICCHECK):
	$(call install,honnef.co/go/tools/cmd/staticcheck)

$(EXHAUSTIVE):
	$(call install,github.com/nishanths/exhaustive/cmd/exhaustive)

$(SUMTYPE):
	$(call install,github.com/alecthomas/go-check-sumtype/cmd/go-check-sumtype)
