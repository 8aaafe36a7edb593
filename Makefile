# Everything that a fresh Debian or Ubuntu machine with Python >= 3.11 needs is set up here.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# How many processes share the tests out; 1 runs them one after the other. A test often waits for
# what it has started, so that two processors have work for three.
TEST_PROCESSES ?= $(shell [ "$$(nproc 2>/dev/null || echo 1)" -ge 2 ] && echo 3 || echo 1)
STUDY  ?=
DATA   ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo run test peers bench crash fuzz lint format docs screenshots lock migrations clean

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.ready: requirements.lock pyproject.toml scripts/setup.sh scripts/assets.sh frontend/package-lock.json
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/setup.sh
	@touch $@

setup: $(VENV)/.ready  ## Make the environment (the others do it by themselves)

demo: setup  ## Run the main job once, end to end (STUDY=folder takes your data)
	@exec $(BIN)/isocenter demo $(if $(STUDY),--study "$(STUDY)")

run: setup  ## Serve for good (DATA=folder for another data directory)
	@exec $(BIN)/isocenter up $(if $(DATA),--data-dir "$(DATA)")

test: setup  ## All tests; installs the peers first where it may
	@sh scripts/peers.sh --if-possible
	@$(BIN)/python -m compileall -q src  # many processes are started, also where none is to write it
	$(BIN)/python -m pytest $(if $(filter-out 0 1,$(TEST_PROCESSES)),-n $(TEST_PROCESSES) --dist loadfile)

peers:  ## Install DCMTK, Orthanc, dicom3tools and Chromium, which tests talk to
	@sh scripts/peers.sh

bench: setup  ## Benchmarks, short form
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script --quick || exit 1; done

crash: setup  ## Kill and power-cut tests, long form
	$(BIN)/python -m pytest tests/crash --crash-kills=200 --power-cuts=all --timeout=7200

fuzz: setup  ## Fuzz the parsers of requests with atheris (SECONDS_EACH=60)
	@VENV="$(VENV)" sh scripts/fuzz.sh

lint: setup  ## Style, types, import contracts, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	DJANGO_SETTINGS_MODULE=isocenter.runtime.django $(BIN)/django-admin makemigrations --check --dry-run

format: setup  ## Let ruff put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## Write the generated pages anew
	$(BIN)/isocenter config reference > docs/reference/configuration.md
	$(BIN)/isocenter config conformance > docs/conformance.md

screenshots: setup  ## Take the pictures of the docs anew (needs Chromium)
	$(BIN)/python scripts/screenshots.py

migrations: setup  ## Write the migrations that the models need
	DJANGO_SETTINGS_MODULE=isocenter.runtime.django $(BIN)/django-admin makemigrations

lock: setup  ## Renew requirements.lock
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --group dev --extra deid-ocr -o requirements.lock pyproject.toml

clean:  ## Remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .fuzz
