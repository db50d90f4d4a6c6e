# Every target first makes the environment it needs; nothing has to be installed by hand.
# Knows how to start things; what they are stands in pyproject.toml, scripts/ and cli/.

.DEFAULT_GOAL := help
.PHONY: help serve test check bench loadtest image format lock

# Handed on only when given, so that VERTO_HOST, VERTO_PORT and the defaults of service/settings.py keep their say.
PORT ?=
# Not taken from the environment, where some shells keep the machine's name under HOST.
HOST =
# The server that a load test asks; without it, and without HOST, one is started. Cross-compilers use the name too.
TARGET =
ARGS ?=
ENGINE ?= docker
VARIANT ?= cpu
TORCH_INDEX_URL ?=

bin := .venv/bin
# A stamp's name holds a checksum of all that decides what an environment contains, so that another branch's lock,
# an edited pyproject.toml or a folder that was moved never passes for installed.
key = $(shell { pwd; cat $(1) pyproject.toml scripts/environment.sh; } | cksum | tr ' ' '-')
dev_stamp := .venv/.installed-dev-$(call key,requirements-dev.lock)
runtime_stamp := .venv/.installed-runtime-$(call key,requirements.lock)
# The development environment holds everything that serving needs.
serve_stamp := $(if $(wildcard $(dev_stamp)),$(dev_stamp),$(runtime_stamp))

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

serve: $(serve_stamp) ## start the server on port 8000 (HOST=0.0.0.0 PORT=9000 ARGS="more options")
	@exec $(bin)/verto serve $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) $(ARGS)

test: $(dev_stamp) ## run the whole test-suite (ARGS="tests/model -k name" for a part)
	@exec $(bin)/python -m pytest $(or $(ARGS),-n auto)

check: $(dev_stamp) ## lint, formatting, types and the arrows between the packages
	$(bin)/python -m ruff check .
	$(bin)/python -m ruff format --check .
	$(bin)/python -m mypy
	$(bin)/python -m pytest tests/contracts/test_imports.py

bench: $(dev_stamp) ## measure against CTranslate2, on a machine that does nothing else (under 15 minutes)
	@exec $(bin)/python -m loadtests.bench $(ARGS)

# Labels that only this folder knows; what the arguments mean stands in docs/image.md.
version = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision = $(shell git rev-parse --verify --quiet HEAD || echo unknown)
image: ## build the container image (VARIANT=cuda ENGINE=podman TORCH_INDEX_URL=... ARGS="more options")
	$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) --tag verto:$(version) \
	    --build-arg VARIANT=$(VARIANT) --build-arg TORCH_INDEX_URL=$(TORCH_INDEX_URL) \
	    --build-arg VERSION=$(version) --build-arg REVISION=$(revision) $(ARGS) .

url = $(or $(TARGET),$(if $(HOST),http://$(HOST):$(or $(PORT),8000)))
loadtest: $(dev_stamp) ## put a server under load for four minutes and report (TARGET=http://host:8000, or its own)
	@exec $(bin)/verto loadtest run $(if $(url),--url $(url)) $(ARGS)

format: $(dev_stamp) ## write the import order and formatting that check asks for
	$(bin)/python -m ruff check --fix-only --quiet .
	$(bin)/python -m ruff format .

lock: $(dev_stamp) ## resolve pyproject.toml anew into the lock files (ARGS=--upgrade for newer versions)
	scripts/lock.sh $(ARGS)

$(runtime_stamp):
	@PYTHON="$(PYTHON)" scripts/environment.sh requirements.lock $@

$(dev_stamp):
	@PYTHON="$(PYTHON)" scripts/environment.sh requirements-dev.lock $@
