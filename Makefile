# Yidang: two commands matter to a newcomer, `make run` and `make test`. The rest is what they are made of.
SHELL   := /bin/sh
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin/yidang
ENGINE  := .cache/chdb

FONTS   := .cache/fonts

.PHONY: run build engine fonts test check bench clean help

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: build engine ## build, set up and serve a populated demo at 127.0.0.1:8080 (data in ./data)
	-@sh ops/fonts/fetch.sh $(FONTS) # without it dossiers have no PDF, and say so
	$(BIN) serve --demo

build: ## one static binary in bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/yidang

engine: ## fetch the pinned ClickHouse library through npm, checked by SHA-256
	@sh ops/engine/fetch.sh $(ENGINE)

fonts: ## fetch the pinned font of printed dossiers through npm, checked by SHA-256
	@sh ops/fonts/fetch.sh $(FONTS)

test: engine fonts ## everything, with the race detector, on real engines in temp directories
	@command -v gcc >/dev/null || (apt-get update -qq && apt-get install -y -qq gcc libc6-dev)
	CGO_ENABLED=1 go test -race -timeout 20m ./...

check: ## formatting, vet, staticcheck, known vulnerabilities, the API description
	@sh ops/check.sh

bench: build engine ## figures beside a baseline of the same run
	@sh ops/bench/run.sh

clean: ## remove what was built and fetched; data stays
	rm -rf bin .cache
