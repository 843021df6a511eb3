# Every command a person or CI needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := PATH=$(CURDIR)/$(BIN):$$PATH
CODE := operator tests localcluster images demo charts benchmarks
# Where it is set, as in many containers, every process of every test compiles all over again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "==> Python environment in $(VENV)"
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || $(PYTHON) -m localcluster.debian python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

.PHONY: tools
tools: ## Install what the tests need of Debian's packages
	$(PYTHON) -m localcluster.debian postgresql pgbackrest lua5.4 prometheus prometheus-postgres-exporter libfaketime chromium

.PHONY: check
check: $(VENV)/.ready ## Format, lint, types, layers, unit and golden tests, generated files; no network, a minute
	$(MAKE) --no-print-directory --jobs=2 lint units

.PHONY: lint
lint:
	$(BIN)/ruff format --check --quiet $(wildcard $(CODE))
	$(BIN)/ruff check --quiet $(wildcard $(CODE))
	$(RUN) mypy
	PYTHONPATH=operator $(BIN)/lint-imports --no-cache | tail -n 6
	$(MAKE) --no-print-directory generated-check

.PHONY: units
units: $(VENV)/.ready
	$(BIN)/pytest -q -n 2 tests/unit tests/golden

# Counting lines takes as long as the tests, so that who changes a line need not wait for it.
.PHONY: covered
covered: export COVERAGE_FILE = .coverage.units
covered: $(VENV)/.ready ## Unit and golden tests, and whether they run every line of the pure packages
	$(BIN)/coverage erase
	$(BIN)/pytest -q -n 2 --cov --cov-report= tests/unit tests/golden
	$(BIN)/coverage report --include='$(PURE)' --fail-under=100 --skip-covered

PURE := operator/checkpointstore/kernel/*,operator/checkpointstore/api/*,operator/checkpointstore/features/*,operator/checkpointstore/providers/*,operator/checkpointstore/reconcile.py,operator/checkpointstore/rooms.py,operator/checkpointstore/report/hide.py,operator/checkpointstore/report/content.py

# Run as processes of a Python that is not ours, as in the image: tests/integration and e2e run them, and nobody counts.
ELSEWHERE := operator/checkpointstore/repository/*

.PHONY: generated
generated: $(VENV)/.ready ## Write CRDs, the chart's copy, the install manifests and docs/api.md anew
	$(RUN) $(PYTHON) -m checkpointstore crd crds --reference docs/api.md
	$(RUN) $(PYTHON) -m charts.sync write

.PHONY: generated-check
generated-check: $(VENV)/.ready
	$(RUN) $(PYTHON) -m checkpointstore crd crds --reference docs/api.md --check
	$(RUN) $(PYTHON) -m charts.sync check

.PHONY: golden
golden: $(VENV)/.ready ## Write the golden plans anew; read the difference before you commit it
	$(BIN)/pytest -q tests/golden --golden-write

.PHONY: programs
programs: ## Build the programs that tests without a cluster need
	$(PYTHON) -m localcluster build helm versitygw

.PHONY: installed
installed: $(VENV)/.ready
	$(BIN)/python -m demo install

.PHONY: integration
integration: export COVERAGE_FILE = .coverage.integration
integration: $(VENV)/.ready programs tools ## Tests on a real PostgreSQL, object store, Prometheus and browser
	$(PRIORITY) $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --cov --cov-report= tests/integration $(BUT)

# Integration tests that wait for nothing, and can be kept waiting.
PATIENT := $(patsubst %,tests/integration/test_%.py,client year repository_retention blobs pip tiering \
	repository_backup repository_restore retention_model schema_savers schema_existing schema_fresh tiering_deletions \
	tiering_tiers retention requests blob_collection tiering_obstacles progress retention_space limits tiering_totals)
.PHONY: patient
patient: export COVERAGE_FILE = .coverage.patient
patient: $(VENV)/.ready programs tools
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report= $(PATIENT)

TOGETHER := lane-stores lane-threads lane-backups lane-changes
LANES := $(TOGETHER) lane-disturbing lane-alone

.PHONY: test
test: ## Everything a fresh machine can run: check, integration on PostgreSQL, end to end on Kubernetes
	rm -f .coverage .coverage.*
	$(MAKE) --no-print-directory --jobs lanes BUT='$(addprefix --ignore=,$(PATIENT))'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --omit='$(PURE),$(ELSEWHERE)' --fail-under=85

# Each begins as soon as those are done that it waits for.
.PHONY: lanes
lanes: idle-check $(LANES) integration idle-patient
ifneq ($(filter lanes,$(MAKECMDGOALS)),)
installed: | programs tools
$(TOGETHER): | installed
lane-disturbing integration: | $(TOGETHER)
idle-patient: | idle-check integration
lane-alone: | lane-disturbing integration
integration: private PRIORITY = nice -n 10
endif

# What measures nothing takes what the others leave of the processors: it gives way at once,
# and what it takes counts as free to the autoscaler, as it is nice.
.PHONY: idle-check idle-patient
idle-check: private GOALS = lint covered
idle-patient: private GOALS = patient
idle-check idle-patient: $(VENV)/.ready
	@echo "==> $(GOALS) in what is left of the processors"
	nice -n 19 chrt --idle 0 $(MAKE) --no-print-directory $(GOALS)

.PHONY: $(LANES)
lane-alone: private MORE = tests/contract
$(LANES): lane-%:
	$(BIN)/coverage run -m pytest $(MORE) tests/e2e --lane $* --durations=25

.PHONY: soak
soak: $(VENV)/.ready tools ## The long loops: full counts of faults and lifecycles
	$(BIN)/pytest tests/unit/core tests/unit/runtime tests/integration tests/e2e --soak

.PHONY: bench
bench: $(VENV)/.ready tools ## Benchmarks: figure, bound and verdict
	$(BIN)/python -m benchmarks --install

.PHONY: demo
demo: $(VENV)/.ready ## A cluster, the operator, a store and a real agent that survives its primary's death
	$(BIN)/python -m demo up

.PHONY: demo-down
demo-down: ## Leave nothing behind
	$(PYTHON) -m demo down

.PHONY: clean
clean: ## Remove the Python environment and caches of this checkout
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
