# The verbs of the repository. Each does all of its own set-up and is quick when that is done.
PY      ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
PIP     ?= $(BIN)/pip install
WORKERS ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTEST := $(BIN)/pytest -q -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup setup-run demo test check fix docs rules dashboards pictures bench bench-peers bench-report growth soak torture fuzz badinput calibrate image lock audit sbom system-packages clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.done ## everything for development, in .venv, from hash-locked packages

setup-run: $(VENV)/.run ## only what running needs: a third of the packages

demo: setup-run ## watch a small model drift; DEMO_ARGS="--batches 20 --exit" ends by itself
	$(BIN)/shiftwatch demo $(DEMO_ARGS)

test: setup system-packages ## the whole test suite; SHIFTWATCH_REQUIRE=all turns skips into failures
	$(PYTEST)

check: setup ## format, lint, types, import contracts, spelling, fast tests: a minute and a half
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(PYTEST) -m "not slow"

fix: setup ## let ruff repair what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup ## write the generated parts of the README files and the schema of the report anew
	$(BIN)/python .ci/readme.py
	$(BIN)/python .ci/report_schema.py

rules: setup ## write the rules for Prometheus, their unit tests and the runbook's table anew
	$(BIN)/python deploy/prometheus/source/rules.py

dashboards: setup ## write the dashboards for Grafana anew
	$(BIN)/python deploy/grafana/source/dashboards.py

pictures: setup ## draw the dashboards from what Prometheus answers for a drifting stream, in build/dashboards
	SHIFTWATCH_PICTURES=build/dashboards $(BIN)/pytest -q -n 0 tests/test_dashboards.py -k drifting_stream

bench: setup ## speed and memory against scipy, the machine and the goals; ARGS="--only ks" for a part
	$(BIN)/python benchmarks/bench.py $(ARGS)

bench-peers: setup ## the same against other packages, each installed into .peers; ARGS as above
	$(BIN)/python benchmarks/bench_peers.py $(ARGS)

bench-report: setup system-packages ## what the report page costs and shows, beside Evidently's; ARGS=--ours keeps the peer's figures; writes benchmarks/report.md
	$(BIN)/python benchmarks/report.py $(ARGS)

growth: setup ## time and memory against rows, columns, categories and stored checks; writes results, picture, table
	$(BIN)/python benchmarks/growth.py

soak: setup ## 10 000 checks with a flat memory, or status 1: a quarter of an hour; writes benchmarks/results/soak.json
	$(BIN)/python benchmarks/soak.py

torture: setup ## kill, starve, lock, confuse and flood the daemon; nothing may be lost: a quarter of an hour; writes benchmarks/reliability.md
	$(BIN)/python benchmarks/torture.py

fuzz: setup ## mutated Parquet, ONNX and configuration for SECONDS: every answer has a name, or status 1
	$(BIN)/python benchmarks/fuzz.py $(or $(SECONDS),120)

badinput: setup ## judge every kind of bad input; writes benchmarks/badinput.md
	$(BIN)/python benchmarks/badinput.py

calibrate: setup ## false-alarm rates, power and delay by simulation; writes benchmarks/results/calibration.json
	$(BIN)/python benchmarks/calibrate.py

audit: .audit/.done ## hold the locks against the published vulnerabilities; fails if it cannot ask
	@for lock in requirements.lock requirements-build.lock requirements-dev.lock .ci/audit.lock; do \
	  echo "$$lock"; \
	  .audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$lock || exit 1; \
	done

sbom: setup ## list what an installation consists of as CycloneDX, in build/sbom.cdx.json
	@mkdir -p build
	$(BIN)/python .ci/sbom.py > build/sbom.cdx.json

image: ## build the container image, with docker or buildah
	.ci/build-image

# The runtime lock alone is a third of the download, so a newcomer sees the demo sooner.
$(VENV)/.run: requirements.lock requirements-build.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) --quiet --require-hashes -r requirements.lock -r requirements-build.lock
	$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.done: requirements-dev.lock requirements-build.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) --quiet --require-hashes -r requirements-dev.lock -r requirements-build.lock
	$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.run $@

# Beside the project, since 30 packages that only ask a question need not be below everything else.
.audit/.done: .ci/audit.lock
	$(PY) -m venv .audit
	.audit/bin/pip install --quiet --require-hashes -r .ci/audit.lock
	@touch $@

$(VENV)/bin/python:
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PY) is older than 3.11; write: make PY=python3.11 ..." >&2; exit 1; }
	@$(PY) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PY) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PY) -m venv $(VENV)

# Installs what is missing where it can. A test that still lacks a part says so by name.
system-packages: ## install the system packages that tests use (needs root)
	@missing=$$(sed 's/#.*//' .ci/apt-packages | while read -r name unless; do \
	  [ -n "$$name" ] || continue; \
	  if sh -c "$${unless:-dpkg -s $$name}" </dev/null >/dev/null 2>&1; then continue; fi; \
	  echo "$$name"; \
	done | tr '\n' ' '); \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $$missing >/dev/null; \
	then exit 0; fi; \
	echo "missing system packages: $$missing" >&2

COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --universal \
	--generate-hashes --no-emit-index-url --no-annotate --no-header

lock: setup ## resolve the dependencies of pyproject.toml anew into the locks
	$(COMPILE) pyproject.toml --extra trees -o requirements.lock
	$(COMPILE) pyproject.toml --extra trees --extra dask --group dev -o requirements-dev.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(COMPILE) - -o requirements-build.lock
	echo pip-audit | $(COMPILE) - -o .ci/audit.lock
	! grep -n '://' requirements.lock requirements-dev.lock requirements-build.lock .ci/audit.lock

clean: ## remove the virtual environments, caches and what was built
	rm -rf $(VENV) .peers .audit build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find shiftwatch tests -name __pycache__ -prune -exec rm -rf {} +
