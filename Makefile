# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
WORKERS ?= 1

.PHONY: demo test lint types contracts unit torture lock clean

demo: $(READY)
	$(BIN)/lgsp demo

# Types are checked beside the tests; what is done in a moment comes first.
test: lint contracts
	$(MAKE) --no-print-directory --jobs=2 --output-sync=line types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

# WORKERS=2 deals the tests out to so many processes; they need a core each, or brokers take too long to start.
unit: $(READY)
	$(BIN)/pytest $(if $(filter-out 1,$(WORKERS)),--numprocesses=$(WORKERS))

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

# TORTURE_SEEDS seeds of the simulation (0: none) on TORTURE_JOBS processes, from TORTURE_FIRST on; then
# real processes, lines, disks, broker and database mistreated at random, TORTURE_ROUNDS times on each runtime.
torture: $(READY)
	[ "$${TORTURE_SEEDS:-0}" = 0 ] || $(BIN)/python -m router.simulation --keep-going --jobs $${TORTURE_JOBS:-1} \
		--seeds $${TORTURE_FIRST:-0}..$$(( $${TORTURE_FIRST:-0} + $${TORTURE_SEEDS:-0} ))
	TORTURE_ROUNDS=$${TORTURE_ROUNDS:-20} $(BIN)/pytest tests/torture

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--extra fast --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .parts .hypothesis .mypy_cache .ruff_cache .pytest_cache
