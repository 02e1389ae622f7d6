# Everything a developer does here, by name. Run `make` for the list.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help env demo test lint fuzz bench chaos clean

BIN := .venv/bin
# uv from the PATH, or one of our own in .uv/
UV := $(shell command -v uv || echo .uv/bin/uv)
# The fastest Python here, unless UV_PYTHON names one; uv alone would take the first on the PATH.
PYTHON = $(addprefix UV_PYTHON=,$(or $(UV_PYTHON),$(shell .ci/fastest-python)))
ENV := .venv/.up-to-date
BENCH := .data/bench/venv
BENCH_ENV := $(BENCH)/.up-to-date

help: ## list the targets
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

env: $(ENV) ## install Python packages into .venv, as locked

.uv/bin/uv:
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This needs uv (https://docs.astral.sh/uv/) on the PATH, or Python 3.11 or newer with venv:" \
	       "on Debian and Ubuntu \`apt-get install python3-venv\`." >&2; exit 1; }
	python3 -m venv .uv
	.uv/bin/pip install --quiet 'uv>=0.5,<1'

$(ENV): pyproject.toml uv.lock .ci/fastest-python $(filter .uv/%,$(UV))
	$(PYTHON) $(UV) sync --frozen --all-extras
	@touch $@

demo: $(ENV) ## a simulated floor on real servers; SECONDS=30 ends by itself; SEATS= BROKER= REDIS=
	$(BIN)/cc-stream demo$(demo_options)

# A shell's own SECONDS is not seen here: shells do not export it.
demo_options = $(if $(SECONDS), --seconds $(SECONDS) --no-screen)$(if $(SEATS), --seats $(SEATS))$\
$(if $(BROKER), --broker '$(BROKER)')$(if $(REDIS), --redis '$(REDIS)')

test: $(ENV) ## all tests, against real servers that it fetches and starts itself
	@.ci/test-packages
	$(BIN)/python -m pytest

lint: $(ENV) ## style, types and the import law
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(ENV) ## bad input for every parser, a million; N= of them, SEED= to repeat
	$(BIN)/python -m tests.fuzz$(if $(N), --inputs $(N))$(if $(SEED), --seed $(SEED))

bench: $(BENCH_ENV) ## throughput, latency, memory on a real Kafka against others; ONLY=flat|latency|…
	$(BENCH)/bin/python -m bench$(if $(ONLY), --only '$(ONLY)')

# The product without its tests, and what it is compared with: an environment of its own.
$(BENCH_ENV): pyproject.toml uv.lock .ci/fastest-python $(filter .uv/%,$(UV))
	$(PYTHON) UV_PROJECT_ENVIRONMENT=$(BENCH) $(UV) sync --frozen --all-extras --no-default-groups --group bench
	@touch $@

chaos: $(ENV) ## faults drawn from a seed on real servers, then every value compared; SEED= FAULTS= WORKERS=
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) \
	  $(if $(WORKERS),--workers $(WORKERS))

clean: ## remove what was installed, fetched and cached
	rm -rf .venv .uv .data dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
