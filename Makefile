# Everything that a person or the CI does here. Needs Python 3.10 or later with venv, and make.

PYTHON ?= python3
PHOTOS ?=

BIN := .venv/bin

.PHONY: help demo test check prove bench clean

help:
	@echo "make demo                  fit the orientation network on sample photos, then put turned copies upright"
	@echo "make demo PHOTOS=DIR       the same with your own photos (they are only read)"
	@echo "make test                  run the tests"
	@echo "make check                 formatting, lint, types, layers, file sizes"
	@echo "make prove                 run the benchmarks and write docs/benchmarks.md (make bench is the same)"
	@echo "make clean                 remove what these made"
	@echo
	@echo "PYTHON=python3.12 chooses the Python; all of them share the virtual environment .venv"

demo: .venv/.demo
	@$(BIN)/python tools/demo.py $(if $(PHOTOS),--photos "$(PHOTOS)")

test: .venv/.test
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

check: .venv/.test .venv/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check src tests tools benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_file_sizes.py

prove bench: .venv/.test
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# One environment for all, made anew when pyproject.toml changes; one stamp for each extra that is in it.
.venv/.made: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: there is no $(PYTHON). Install Python 3.10 or later, or name yours: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1), and 3.10 or later is needed. Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) can't make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.demo .venv/.test .venv/.check .venv/.engines .venv/.torch .venv/.to-ncnn .venv/.keras .venv/.faiss .venv/.postgres: .venv/.%: .venv/.made
	@echo "Installing edgeproof[$*] into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
