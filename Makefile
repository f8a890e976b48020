# make help lists the targets.

GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# A number of runs, some 30 s on two cores: with a time, Go before 1.27 may fail at its end (go.dev/issue/75804).
FUZZTIME ?= 300000x
FUZZPKGS ?= ./...
# The packages of both modules, those that take longest first: what is left for the end runs alone.
ALL = ./cmd/brine/... ./persistence ./...
FUZZ ?= ^Fuzz
# Processors that are vetted for besides the one at hand, and what is tested with an int of 32 bits.
OTHERARCHS = 386 arm arm64 riscv64
# The systems that the command is built for.
COMMANDFOR = darwin/arm64 windows/amd64 linux/386
TESTED32 = ./url ./idfactory ./extrafields ./persistence/internal/... ./persistence/mem ./persistence/fs/... ./persistence/sql/sqlite

.DEFAULT_GOAL := help
# Comment lines over 100 columns, a tab being 4. Directives, as //go:build, may be longer.
LONGCOMMENTS = expand -t 4 "$$f" | awk -v f="$$f" '/^ *\/\/ [^ ]/ && !/\/\/ Output:/ && length($$0) > 100 { print f ":" NR; n++ } END { exit n > 0 }'
# The race detector watches all of Go but SQLite, which is translated from C: its memory is not Go's,
# so nothing would be found there, and it takes several times as long.
RACE = -race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false
# Sets TMPDIR to a directory in memory, if programs run there and 4 GB are free (the tests need some
# 200 MB, those with servers 1 GB), and removes it at the end: on a disk, half the time of the tests
# is that of files and syncs.
IN_MEMORY = if dir=$$(mktemp -d /dev/shm/brine.XXXXXX 2>/dev/null); then \
		trap 'rm -rf "$$dir"' EXIT; trap 'exit 1' HUP INT TERM; \
		if chmod 711 "$$dir" && cp /bin/sh "$$dir" && "$$dir/sh" -c : 2>/dev/null && \
			[ "$$(df -Pk "$$dir" | awk 'NR == 2 { print $$4 }')" -ge 4000000 ]; \
		then export TMPDIR="$$dir"; fi; fi

# The test binaries of "make quick": linking them takes 10 s, which go test does each time. They get the
# flags that go test would give them.
QUICK = $(CURDIR)/.quick

.PHONY: help run quick test race vet test32 lint comments fuzz bench benchshort long ci

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the main job: a task graph, persisted, run and resumed
	go run ./examples/taskgraph

quick: ## the tests that need no server, in their short forms
	@$(IN_MEMORY); mkdir -p $(QUICK) && go test -c -o $(QUICK)/ $(ALL) && \
		export BRINE_REQUIRE_SERVERS= BRINE_SERVERS=none GOGC=400 && \
		go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' $(ALL) | xargs -P 6 -n 1 sh -c ' \
			cd "$$0" && out=$$($(QUICK)/"$$(basename "$$0")".test -test.short -test.timeout=10m -test.paniconexit0 2>&1) && echo "ok    $$0" || \
			{ echo "$$out"; echo "FAIL  $$0"; exit 1; }'

test: ## all tests
	go test $(ALL)

race: ## all tests with the race detector, whether or not they have passed before
	@$(IN_MEMORY); go test $(RACE) -count=1 -timeout 20m $(ALL)

vet: ## go vet, here and for the other systems and processors
	go vet $(ALL)
	GOOS=darwin go vet ./...
	GOOS=windows go vet ./...
	@set -e; for arch in $(OTHERARCHS); do \
		echo "GOARCH=$$arch go vet ./..."; \
		GOOS=linux GOARCH=$$arch CGO_ENABLED=0 go vet ./...; \
	done
	@# The command, without its tests: what these import takes long to compile.
	@set -e; for system in $(COMMANDFOR); do \
		echo "$$system go build ./cmd/brine"; \
		GOOS=$${system%/*} GOARCH=$${system#*/} CGO_ENABLED=0 go build -o /dev/null ./cmd/brine; \
	done

test32: ## the tests of the codec and of the embedded backends, with an int of 32 bits
	@$(IN_MEMORY); GOOS=linux GOARCH=386 CGO_ENABLED=0 go test -short -count=1 $(TESTED32)

lint: ## golangci-lint, the arrows between the packages included
	go run $(GOLANGCI_LINT) run ./...
	cd cmd/brine && go run $(GOLANGCI_LINT) run ./...

comments: ## no comment line is longer than 100 columns (preformatted text aside)
	@bad=0; for f in $$(git ls-files '*.go' ':!*testdata/*'); do $(LONGCOMMENTS) || bad=1; done; exit $$bad

fuzz: ## the fuzz targets FUZZ (all) of FUZZPKGS (all), FUZZTIME runs each (300000x)
	@set -e; for pkg in $$(go list $(FUZZPKGS)); do \
		for target in $$(go test -list '$(FUZZ)' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$pkg; \
		done; \
	done

bench: ## benchmarks beside their hand-written equivalents, as ratios
	go test -run '^$$' -bench . -benchtime 1x ./persistence/...

benchshort: ## each benchmark once, in its short form, so that they keep running
	@$(IN_MEMORY); go test -short -run '^$$' -bench . -benchtime 1x ./persistence/... >/dev/null

long: ## the long forms of the crash and stress tests
	BRINE_LONG=1 go test -timeout 60m -count=1 $(ALL)

ci: ## what CI runs
	bash .ci/run
