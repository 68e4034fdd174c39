# Two commands on a fresh machine: `make course`, and `make test`.
# `make help` says what else there is.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

SITE := build/book/_build/html
CLASS := build/sample_class
PORT ?= 8000

say = @printf '\n\033[1m%s\033[0m\n' "$(1)"

.PHONY: help
help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: course
course: setup ## Set up, build the book and the exercises, grade the sample class
	@$(MAKE) exercises book sample-class
	@printf '\n\033[1mThe course is ready.\033[0m\n'
	@printf '  read:   %s   (or: make serve)\n' "$(SITE)/index.html"
	@printf '  learn:  %s\n' "exercises/*/*.ipynb   (open them with: $(BIN)/jupyter lab)"
	@printf '  teach:  %s   (the sample class, graded)\n' "$(CLASS)/grades/index.html"

# --- setting up ------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.installed ## Make .venv and install the course in it

$(VENV)/.installed: requirements.lock pyproject.toml
	$(call say,Setting up $(VENV) (about 2 GB, with the CPU build of torch) …)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; this is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Python cannot make a virtual environment. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock || { \
	  echo "Installing failed. See above; with a network, run the same command again: it goes on where it stopped."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.PHONY: lock
lock: ## Write requirements.lock from what is installed
	@$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' > requirements.lock

# --- making ----------------------------------------------------------------------------------

.PHONY: book
book: setup ## Build the site, every page executed, warnings as errors
	$(call say,Building the book …)
	@jupyter-book build . --path-output build/book -W -n --keep-going || { \
	  echo "The book did not build: the first warning or error above says where. Reports of failed pages are in $(SITE)/reports/."; exit 1; }

.PHONY: exercises
exercises: setup ## Make the students' notebooks from solutions/
	$(call say,Making the exercises …)
	@autograder release

.PHONY: verify
verify: setup ## Prove every assignment: answers, mistakes, mutants
	@autograder verify

.PHONY: sample-class
sample-class: setup ## Make a class of sample submissions and grade it
	$(call say,Grading the sample class …)
	@autograder sample-class $(CLASS)
	@autograder grade --course $(CLASS)

.PHONY: serve
serve: ## Serve the built site on a local port (PORT=8000)
	@test -f $(SITE)/index.html || { echo "There is no site yet: run make book first."; exit 1; }
	@echo "http://127.0.0.1:$(PORT)/"
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory $(SITE) $(PORT)

.PHONY: bench
bench: setup ## Measure, side by side in one run
	@python -m benchmarks

# --- proving ---------------------------------------------------------------------------------

.PHONY: test
test: setup ## Run all checks and tests
	$(call say,Checking style and types …)
	@ruff check . && ruff format --check . && mypy
	$(call say,Testing …)
	@python -m pytest -n 2 --dist loadfile

.PHONY: format
format: setup ## Format the code
	@ruff check --fix . && ruff format .

.PHONY: clean
clean: ## Remove what was built (the environment stays: rm -r .venv)
	rm -rf build .pytest_cache .mypy_cache .ruff_cache *.egg-info
