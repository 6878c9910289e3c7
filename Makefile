# Two commands do everything: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test install lint browser clean

run: .venv/installed-run ## serve on http://127.0.0.1:8000 with everything it needs
	@exec $(BIN)/headstart serve

test: install browser ## run every test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

install: .venv/installed-test ## create .venv with the project and its test extras

lint: install ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

browser: install ## a Chromium for the browser tests
	$(BIN)/python tests/e2e/get_chromium.py

clean: ## remove what was installed and cached; the data folder is not touched
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Headstart needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

# The constraint keeps torch at the tested version: a bare torch may download several GB more.
.venv/installed-run: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/installed-test: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@ .venv/installed-run
