# Needs Python >= 3.11 with pip, and nothing else: every target makes what it lacks.
# Another interpreter: make PYTHON=/path/to/python3.12 dev-install

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

export REGISTRY_PORT ?= 15000
export REGISTRY_URL ?= http://localhost:$(REGISTRY_PORT)
REGISTRY := $(PYTHON) scripts/registry.py

PYTEST := $(BIN)/pytest
# Tests with servers wait more than they compute, so there are two processes a core.
# Tests of one module stay in one process, and modules begin in the order of tests/conftest.py.
PROCESSES = $(shell $(PYTHON) -c "import os; print(2 * os.cpu_count())")
PARALLEL = --numprocesses $(PROCESSES) --dist loadscope --no-loadscope-reorder
# Images set it. Then every process that tests start compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

##@ Setting up

# The stamps are newer than what they were made from, so a second run has nothing to do.
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
BENCH := $(VENV)/.bench-installed
SBOM := $(VENV)/.sbom-installed
DOCS := $(VENV)/.docs-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) -qq install
# The lists are complete, so nothing is left to resolve: what the index gains changes nothing.
PINNED := --no-deps --require-hashes --requirement
PIP_CHECK := problems=$$($(PIP) check) || { echo "$$problems" >&2; exit 1; }

.PHONY: install
install: $(RUNTIME) ## Install what runs the queue into .venv

.PHONY: dev-install
dev-install: $(DEV) ## Install what develops it, too

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --without-pip $(VENV)

# Debian splits ensurepip off into a package of its own; its pip can fill a venv all the same.
$(BIN)/pip: | $(BIN)/python
	@$(BIN)/python -m ensurepip --default-pip >/dev/null 2>&1 \
	    || $(PYTHON) -m pip --disable-pip-version-check -qq --python $(BIN)/python \
	        install $(PINNED) requirements/pip.txt

$(RUNTIME): requirements/build.txt requirements/runtime.txt pyproject.toml | $(BIN)/pip
	@echo "Installing the pinned packages into $(VENV)"
	@$(PIP_INSTALL) $(PINNED) requirements/build.txt
	@$(PIP_INSTALL) $(PINNED) requirements/runtime.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@$(PIP_CHECK)
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME)
	@echo "Installing the development tools into $(VENV)"
	@$(PIP_INSTALL) $(PINNED) requirements/dev.txt
	@$(PIP_CHECK)
	@touch $@

$(BENCH): requirements/bench.txt $(RUNTIME)
	@echo "Installing what the benchmarks need into $(VENV)"
	@$(PIP_INSTALL) $(PINNED) requirements/bench.txt
	@$(PIP_CHECK)
	@touch $@

$(SBOM): requirements/sbom.txt $(RUNTIME)
	@echo "Installing what writes the bill of materials into $(VENV)"
	@$(PIP_INSTALL) $(PINNED) requirements/sbom.txt
	@$(PIP_CHECK)
	@touch $@

$(DOCS): requirements/docs.txt $(RUNTIME)
	@echo "Installing what builds the site into $(VENV)"
	@$(PIP_INSTALL) $(PINNED) requirements/docs.txt
	@$(PIP_CHECK)
	@touch $@

EXTRAS := --extra embedded --extra stores --extra tracing
# The client lies in this checkout, so there is no version of it to pin.
COMPILE := uv pip compile --quiet --generate-hashes --universal --no-header \
    --no-emit-package registry-api-v2-client

.PHONY: pins
pins: ## Complete the lists in requirements/ after a change of pyproject.toml, by uv
	@$(COMPILE) pyproject.toml $(EXTRAS) -o requirements/runtime.txt >/dev/null
	@$(COMPILE) pyproject.toml $(EXTRAS) --group dev -o requirements/dev.txt >/dev/null
	@$(COMPILE) pyproject.toml $(EXTRAS) --group bench -c requirements/dev.txt \
	    -o requirements/bench.txt >/dev/null
	@$(COMPILE) pyproject.toml --resolution lowest-direct -o requirements/lowest.txt >/dev/null
	@$(COMPILE) registry_api_v2_client/pyproject.toml -c requirements/runtime.txt \
	    -o requirements/client.txt >/dev/null
	@$(COMPILE) --group build -c requirements/dev.txt -o requirements/build.txt >/dev/null
	@$(COMPILE) --group sbom -c requirements/dev.txt -o requirements/sbom.txt >/dev/null
	@$(COMPILE) --group docs -c requirements/dev.txt -o requirements/docs.txt >/dev/null
	@$(COMPILE) --group pip -o requirements/pip.txt >/dev/null

##@ Trying it

.PHONY: demo
demo: $(RUNTIME) ## Push an image through the queue, and look at the outcome
	@$(BIN)/python examples/demo.py

.PHONY: up
up: $(RUNTIME) ## Run it all: a Valkey of its own, WORKERS (1) workers and the HTTP API
	@$(BIN)/push-queue up --workers $(or $(WORKERS),1)

.PHONY: worker
worker: $(RUNTIME) ## Run a worker on PUSH_QUEUE_REDIS_URL (or REDIS_URL)
	@$(BIN)/python -m worker

##@ Checking

.PHONY: check
check: lint typecheck licences reference-check ## Lint, formatting, imports, types, licences and references

.PHONY: lint
lint: $(DEV) ## Ruff, and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

.PHONY: lint-fix
lint-fix: $(DEV) ## Fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: format
format: $(DEV) ## Format the code
	$(BIN)/ruff format

.PHONY: typecheck
typecheck: $(DEV) ## Mypy, strict, the tests and examples too
	$(BIN)/mypy
	$(BIN)/mypy examples deploy scripts/*.py .ci/*.py

.PHONY: licences
licences: $(DEV) ## Are the licences of all that is installed among those of pyproject.toml?
	@$(BIN)/pip-licenses >/dev/null

##@ Testing

.PHONY: test
test: $(DEV) test-tools ## All tests
	$(PYTEST) $(PARALLEL)

.PHONY: test-unit
test-unit: $(DEV) ## The tests that need no server
	$(PYTEST) --numprocesses auto -m "not integration"

.PHONY: test-integration
test-integration: $(DEV) test-tools ## The tests with a real Valkey and a real registry
	$(PYTEST) $(PARALLEL) -m "integration and not archive_tools and not store_emulators"

.PHONY: test-cov
test-cov: $(DEV) test-tools ## All tests, with coverage in htmlcov/
	$(PYTEST) $(PARALLEL) --cov --cov-report=term --cov-report=html

.PHONY: test-archive-tools
test-archive-tools: $(DEV) test-tools ## Archives of podman, buildah and umoci; installs them (Debian)
	@for tool in podman buildah umoci; do \
	    command -v $$tool >/dev/null || apt-get -qq install --yes --no-install-recommends $$tool; done
	$(PYTEST) -m archive_tools

STORES := $(CURDIR)/.venv-stores

.PHONY: test-stores
test-stores: $(DEV) test-tools ## Buckets of moto, s3rver and Azurite, which it installs (npm), and fake-gcs-server
	@[ -e $(STORES)/bin/python ] || $(PYTHON) -m venv --without-pip $(STORES)
	@$(PIP) -qq --python $(STORES)/bin/python install "moto[server]"
	@npm install --silent --no-audit --prefix $(STORES) azurite s3rver
	PATH=$(STORES)/bin:$(STORES)/node_modules/.bin:$$PATH $(PYTEST) -m store_emulators

.PHONY: chaos
chaos: $(DEV) test-tools ## Kill workers, Redis and registry under JOBS (300) jobs, by SEED
	@$(BIN)/python -m tests.chaos
	@ROUNDS=50 OUTAGE_SECONDS=20 $(PYTEST) -q tests/chaos/test_tag_race.py tests/chaos/test_redis_away.py
	@ROUNDS=20 $(PYTEST) -q tests/chaos/test_late_tag_writes.py

# Needs Docker, which CI has not.
.PHONY: test-compose
test-compose: $(DEV) image ## Push JOBS (60) jobs by docker-compose.yml while workers and Redis crash
	@$(BIN)/python -m tests.compose

.PHONY: test-newcomer
test-newcomer: $(DEV) test-tools ## Run README, tutorial and development guide in a fresh clone, by PYTHON
	@$(BIN)/python -m tests.docs $$(command -v $(PYTHON))

.PHONY: soak
soak: $(DEV) test-tools ## JOBS (10000) small pushes over MINUTES (30): does anything grow?
	@$(BIN)/python -m tests.soak

.PHONY: local-test
local-test: $(DEV) ## The integration tests against the registry on REGISTRY_PORT
	$(REGISTRY) run $(PYTEST) $(PARALLEL) -m "integration and not archive_tools and not store_emulators"

# The tests start registries and browsers of their own; they need no more than the programs.
.PHONY: test-tools
test-tools:
	@$(PYTHON) scripts/tools.py

.PHONY: bench-queue
bench-queue: $(BENCH) test-tools ## Those of the queue, beside plain arq; takes a quarter of an hour
	@$(BIN)/python -m benchmarks queue

.PHONY: bench-growth
bench-growth: $(BENCH) test-tools ## How cost grows with size, layers, targets, workers, jobs; ten minutes
	@$(BIN)/python -m benchmarks growth --runs 2 --save-as growth

.PHONY: screenshots
screenshots: $(DEV) test-tools ## Take the pictures of the page in docs/pictures/ again
	@$(BIN)/python -m tests.browser.screenshots

# Neither make test nor CI runs this: what it finds becomes a test there.
.PHONY: fuzz
fuzz: $(DEV) ## Fuzz every parser, each for FUZZ_SECONDS (60)
	@$(BIN)/python -m tests.fuzz

# schemathesis 4 has to be on PATH: pipx install schemathesis
.PHONY: fuzz-api
fuzz-api: $(DEV) ## Call the HTTP API in all ways that its OpenAPI document allows, and in others
	@$(BIN)/python -m tests.fuzz.api

.PHONY: bench
bench: $(BENCH) test-tools ## All benchmarks; takes half an hour
	@$(BIN)/python -m benchmarks

##@ The documentation

# A link or an anchor that leads nowhere fails it, and so does a page that asks another host for anything.
.PHONY: docs
docs: $(DOCS) ## Build docs/ as a site in dist/site
	@$(BIN)/zensical build --strict --clean
	@! grep -rE '<(script|link|img|iframe)[^>]+(src|href)="?(https?:)?//' --include='*.html' dist/site

.PHONY: reference
reference: $(RUNTIME) ## Write the generated parts of docs/reference/ from the program
	@$(BIN)/python -m scripts.reference

.PHONY: reference-check
reference-check: $(RUNTIME)
	@$(BIN)/python -m scripts.reference --check

.PHONY: docs-serve
docs-serve: $(DOCS) ## Serve it at http://localhost:8000, built anew with every change
	@$(BIN)/zensical serve

##@ Releasing

# The time of the last commit, so that the same commit makes the same files.
COMMIT_TIME = $(shell git log -1 --format=%ct)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: image
image: ## Build the container image IMAGE (push-queue) from PYTHON_IMAGE (python:3.12-slim)
	docker build --build-arg SOURCE_DATE_EPOCH=$(COMMIT_TIME) \
	    --build-arg VERSION=$(VERSION) \
	    --build-arg REVISION=$(shell git rev-parse HEAD) \
	    $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) \
	    --tag $(or $(IMAGE),push-queue) .

# Wheels come from the sdists, which do not see what lies beside them here: hatch_build.py.
.PHONY: dist
dist: export SOURCE_DATE_EPOCH = $(COMMIT_TIME)
dist: $(RUNTIME) ## Build the sdists and wheels of both distributions into dist/
	@rm -f dist/*.tar.gz dist/*.whl
	@mkdir -p dist
	@for project in registry_api_v2_client .; do (cd $$project && $(abspath $(BIN))/python -c \
	    'from hatchling.build import build_sdist; build_sdist("$(CURDIR)/dist")') || exit; done
	@$(PIP) -q wheel --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz

.PHONY: check-dist
check-dist: dist ## Install them into empty environments, import and run them (docker-registry)
	@.ci/pythons | xargs -n 2 -P 2 .ci/check-dist

CYCLONEDX = PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements --output-reproducible --of JSON

.PHONY: sbom
sbom: $(SBOM) ## Write what both distributions are made of to dist/*.cdx.json (CycloneDX)
	@mkdir -p dist
	@sed 's/^dynamic = .*/version = "$(VERSION)"/' registry_api_v2_client/pyproject.toml \
	    | $(CYCLONEDX) --mc-type library --pyproject /dev/stdin \
	        --output-file dist/registry-api-v2-client.cdx.json requirements/client.txt
	@{ echo "registry-api-v2-client==$(VERSION)"; cat requirements/runtime.txt; } \
	    | $(CYCLONEDX) --pyproject pyproject.toml --output-file dist/registry-push-queue.cdx.json -

##@ A local registry on REGISTRY_PORT (15000)

.PHONY: start-registry
start-registry: ## Start one in the background, from Docker or else from its binary
	@$(REGISTRY) start

.PHONY: stop-registry
stop-registry: ## Stop it, and drop what it holds
	@$(REGISTRY) stop

.PHONY: start-registry-compose
start-registry-compose: ## Start the one of docker-compose.yml
	@scripts/compose up --detach registry && $(REGISTRY) wait

.PHONY: stop-registry-compose
stop-registry-compose: ## Stop it; its volume stays
	@scripts/compose stop registry

##@ This Makefile

.PHONY: clean
clean: stop-registry ## Remove what was built, measured and cached (not .venv)
	rm -rf build dist htmlcov .run .coverage .coverage.*
	rm -rf .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv*/*' -prune -exec rm -rf {} +

.PHONY: help
help: ## What there is
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  %-24s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
