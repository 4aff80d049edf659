# Everything is set up on first use in .venv; all that is needed beforehand is Python >= 3.11
# and, for the fast kernels, a C++ compiler.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := pyproject.toml CMakeLists.txt $(shell find src/native -type f)
PYTEST_FLAGS ?= -q -n 2

.PHONY: demo test lint docs figures bench bench-full peers clean

demo: $(VENV)/.installed
	$(BIN)/crossent fit --demo

# Two test processes share the cores: one BLAS thread each.
test: export OPENBLAS_NUM_THREADS ?= 1
test: $(VENV)/.installed
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: $(VENV)/.installed $(VENV)/.lint $(VENV)/.docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet
	$(BIN)/python .ci/check_offline.py site

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict
	@echo "open site/index.html"

figures: $(VENV)/.installed
	$(BIN)/python docs/figures/draw.py

# The peers that crossent is measured against (torch, JAX) are installed for these two alone.
bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.run $(BENCH_FLAGS)
	$(BIN)/python -m benchmarks.linear times --rounds 5
	$(BIN)/python -m benchmarks.linear peaks
	$(BIN)/python -m benchmarks.render

bench-full: $(VENV)/.bench
	$(BIN)/python -m benchmarks.run --full $(BENCH_FLAGS)
	for set in all classes; do for table in times peaks; do \
	    $(BIN)/python -m benchmarks.linear $$table --set $$set || exit 1; done; done
	$(BIN)/python -m benchmarks.linear largest
	$(BIN)/python -m benchmarks.accuracy
	$(BIN)/python -m benchmarks.render --speed benchmarks/results/speed-full.csv

# What SciPy, torch, JAX and the textbook formula do, judged: docs/peers.md and docs/faults.md.
peers: $(VENV)/.bench
	$(BIN)/python -m benchmarks.peers_page

clean:
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps. The package is installed in editable mode: Python files are used where they lie,
# and only a change of the native sources or of the build's description builds again.

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	    "crossent needs Python 3.11 or newer, found " + sys.version.split()[0] + "; run: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.installed: $(NATIVE) | $(VENV)/.venv
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	$(BIN)/python .ci/check_kernels.py
	@touch $@

$(VENV)/.lint: pyproject.toml | $(VENV)/.venv
	$(BIN)/python -m pip install --quiet --group lint
	@touch $@

# crossent is installed already, so these two only add what the extra asks for.
$(VENV)/.docs: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet "crossent[docs]"
	@touch $@

$(VENV)/.bench: pyproject.toml | $(VENV)/.installed
	$(BIN)/python -m pip install --quiet "crossent[bench]"
	@touch $@
