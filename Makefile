# Needs make and Python 3.11 or newer, nothing else. `make PYTHON=python3.12 test` names another interpreter
# (run `make clean` first if .venv was made with a different one).

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo examples test test-fast lint format docs site bench clean
.NOTPARALLEL: # two pips must not write to one environment at the same time

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.ready-demo ## install what the demo needs and run it
	$(BIN)/tinygrad-edu demo

examples: $(VENV)/.ready-test ## run the guided path, then the cases in full; pictures go to out/
	@for file in examples/[01]*.py examples/case_*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

# mypy runs beside the tests: it has one thread, and takes a minute.
test: $(VENV)/.ready-test ## install everything, then lint, check types and run the tests, a worker for each processor
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@{ $(BIN)/mypy > $(VENV)/types.txt 2>&1; echo $$? > $(VENV)/types.status; } & types=$$!; \
		TINYGRAD_EDU_TEST_PLAIN=1 $(BIN)/python -m pytest -rs -n auto --dist worksteal; tests=$$?; \
		wait $$types; cat $(VENV)/types.txt; exit $$((tests + $$(cat $(VENV)/types.status)))

test-fast: $(VENV)/.ready-test ## the tests of the inner loop, without the slow ones
	TINYGRAD_EDU_TEST_PLAIN=1 TINYGRAD_EDU_TEST_CACHE=.pytest_cache/programs $(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow" tests

lint: $(VENV)/.ready-test ## ruff and mypy, without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.ready-test ## sort imports, fix what ruff can fix, format, write the names of the tables as types
	$(BIN)/python -m tests.literal_names
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(VENV)/.ready-docs ## build the documentation into out/site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

site: $(VENV)/.ready-site ## build JupyterLite with the notebooks and the course into out/lite, to run in a browser
	$(BIN)/python docs/browser.py out/lite

bench: $(VENV)/.ready-bench ## install the libraries to compare with (large) and measure
	$(BIN)/python -m bench

clean: ## remove .venv and everything generated
	rm -rf $(VENV) out build dist bench/results .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up. Each stamp file stands for one finished step, which is repeated only when pyproject.toml changes.
# The names of the packages are printed while pip works through them. Their modules are compiled after that, with all
# processors (35 s, where pip with its one takes 60): where PYTHONDONTWRITEBYTECODE is set, each process would else
# compile those of Numba again (0.4 s of a first `fit`).

$(VENV)/.ready-demo:  EXTRAS := viz
$(VENV)/.ready-test:  EXTRAS := viz,sklearn,test,dev,docs
$(VENV)/.ready-docs:  EXTRAS := viz,sklearn,docs
$(VENV)/.ready-site:  EXTRAS := site
$(VENV)/.ready-bench: EXTRAS := viz,bench

$(VENV)/.ready-demo $(VENV)/.ready-test $(VENV)/.ready-docs $(VENV)/.ready-site $(VENV)/.ready-bench: $(VENV)/.created pyproject.toml
	@rm -f $@
	@echo "Installing tinygrad_edu with the extras $(EXTRAS) into $(VENV): this takes half a minute to two minutes"
	@start=$$(date +%s); { $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off \
		--no-compile --editable ".[$(EXTRAS)]" && touch $@; } | \
		awk '/^Collecting/ { printf "%s ", $$2; fflush() } END { print "" }'; \
		test -e $@ && $(BIN)/python -m compileall -qq -j 0 -x '/tests/' $(VENV)/lib; \
		test -e $@ && echo "Installed in $$(($$(date +%s) - start)) s"

# The version check is written so that Python 2 can run it as well. --clear: what an interrupted run left is no use.
OLD = tinygrad_edu needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name a newer one with make PYTHON=...

$(VENV)/.created:
	@command -v "$(PYTHON)" > /dev/null || { echo "There is no $(PYTHON): name a Python 3.11 or newer with make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c "import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit('$(OLD)' % v)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@
